//! Changes of the tracker as events.

use std::time::{Duration, SystemTime};

use crate::event::{Event, EventKind, Guess, whole_pixels};
use crate::track::Change;

/// What the events of one moment share.
#[derive(Debug)]
pub(super) struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// The time from the start of the film, where events carry it.
    pub film_time: Option<Duration>,
    /// Name of the source.
    pub camera: String,
}

impl Moment {
    /// An event that says no more than what happened.
    pub fn event(self, kind: EventKind) -> Event {
        Event {
            film_time: self.film_time,
            camera: Some(self.camera),
            ..Event::new(kind, self.wall)
        }
    }

    /// The event of a `change`, with the name of the recognition model; of one that is seen in a frame,
    /// with the time since that was taken.
    pub fn event_of(self, change: Change, latency: Option<Duration>, model: &str) -> Event {
        let (kind, visit, sighting) = match change {
            Change::Start(visit, sighting) => (EventKind::Start, visit, sighting),
            Change::Update(visit, _, sighting) => (EventKind::Update, visit, sighting),
            Change::End(visit, sighting) => (EventKind::End, visit, sighting),
        };
        let label = sighting.label();
        Event {
            track: Some(visit),
            name: label.map(|label| label.name.clone()),
            id: label.map(|label| label.id.clone()),
            confidence: label.and(Some(sighting.confidence)),
            margin: Some(sighting.margin),
            reason: sighting.name.as_ref().err().copied(),
            top: Some(sighting.top.iter().map(Guess::from).collect()),
            bounds: Some(whole_pixels(&sighting.bounds)),
            frame: Some(sighting.frame),
            latency_ms: latency.map(|latency| (latency.as_secs_f64() * 1e4).round() / 10.0),
            model: Some(model.to_owned()),
            ..self.event(kind)
        }
    }
}

/// Whether the frame in which a change came about shows who it is about.
pub(super) fn is_seen(change: &Change) -> bool {
    match change {
        Change::Start(..) | Change::Update(..) => true,
        Change::End(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Sighting;
    use crate::types::face::BoundingBox;
    use crate::types::identity::{Label, Reason};

    fn label(id: &str) -> Label {
        Label { name: id.to_uppercase(), id: id.to_owned(), url: String::new() }
    }

    fn sighting(name: Result<Label, Reason>) -> Sighting {
        let bounds = BoundingBox { x: 1.2, y: 2.0, width: 30.0, height: 40.0 };
        Sighting { name, confidence: 0.9, margin: 0.3, top: Vec::new(), bounds, frame: 7 }
    }

    fn moment() -> Moment {
        let film_time = Some(Duration::from_secs(3));
        Moment { wall: SystemTime::UNIX_EPOCH, film_time, camera: "door".into() }
    }

    #[test]
    fn each_change_is_the_event_of_its_kind() {
        let (ann, bob) = (label("ann"), label("bob"));
        let changes = [
            (Change::Start(1, sighting(Ok(ann.clone()))), EventKind::Start, "ann", true),
            (
                Change::Update(1, Some(ann), sighting(Ok(bob.clone()))),
                EventKind::Update,
                "bob",
                true,
            ),
            (Change::End(1, sighting(Ok(bob))), EventKind::End, "bob", false),
        ];
        for (change, kind, id, seen) in changes {
            assert_eq!(is_seen(&change), seen);
            let event = moment().event_of(change, None, "print");
            assert_eq!((event.event, event.id.as_deref()), (kind, Some(id)));
            assert_eq!((event.track, event.frame, event.latency_ms), (Some(1), Some(7), None));
        }
    }

    #[test]
    fn an_event_says_all_that_is_known() {
        let change = Change::Start(4, sighting(Ok(label("ann"))));
        let event = moment().event_of(change, Some(Duration::from_micros(12_345)), "print");
        let expected = Event {
            film_time: Some(Duration::from_secs(3)),
            track: Some(4),
            name: Some("ANN".into()),
            id: Some("ann".into()),
            confidence: Some(0.9),
            margin: Some(0.3),
            top: Some(Vec::new()),
            bounds: Some([1, 2, 30, 40]),
            frame: Some(7),
            camera: Some("door".into()),
            latency_ms: Some(12.3),
            model: Some("print".into()),
            ..Event::new(EventKind::Start, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn a_stranger_has_a_reason_in_place_of_a_name() {
        let change = Change::Start(4, sighting(Err(Reason::LowMargin)));
        let event = moment().event_of(change, None, "");
        assert_eq!((event.name, event.id, event.confidence), (None, None, None));
        assert_eq!(event.reason, Some(Reason::LowMargin));
    }
}
