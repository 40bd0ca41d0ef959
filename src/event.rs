//! What the outside is told: the versioned schema of events.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::types::decimals::{four_decimals, four_decimals_if_any};
use crate::types::face::BoundingBox;
use crate::types::identity::{Candidate, Reason};

/// Version of the fields of [`Event`].
pub const SCHEMA: u32 = 1;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A person came.
    Start,
    /// What is known of a person who is there has changed.
    Update,
    /// A person went.
    End,
    /// The camera broke.
    CameraLost,
    /// The camera is back.
    CameraRestored,
    /// Events before this one were lost, so that who is there is not known any more.
    Status,
}

impl EventKind {
    /// The name that it has in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
            Self::CameraLost => "camera_lost",
            Self::CameraRestored => "camera_restored",
            Self::Status => "status",
        }
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A candidate for a face, as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guess {
    /// The person's name.
    pub name: String,
    /// The person's identifier.
    pub id: String,
    /// How alike the face is, in the model's own measure.
    #[serde(serialize_with = "four_decimals")]
    pub similarity: f32,
    /// Estimated probability that it is this person, 0 to 1.
    #[serde(serialize_with = "four_decimals")]
    pub confidence: f32,
}

impl From<&Candidate> for Guess {
    fn from(candidate: &Candidate) -> Self {
        Self {
            name: candidate.label.name.clone(),
            id: candidate.label.id.clone(),
            similarity: candidate.similarity,
            confidence: candidate.confidence,
        }
    }
}

/// One event. Every field is always there; what is not known or does not apply is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Version of these fields.
    pub schema: u32,
    /// Time of the event, RFC 3339 in UTC with milliseconds; of a film, its time from the start of the
    /// run on.
    pub ts: String,
    /// Time from the start of the film, for people.
    #[serde(skip)]
    pub film_time: Option<Duration>,
    /// What happened.
    pub event: EventKind,
    /// Number of the visit that starts, changes or ends.
    pub track: Option<u64>,
    /// The person's name.
    pub name: Option<String>,
    /// The person's identifier.
    pub id: Option<String>,
    /// Estimated probability that the name is right, 0 to 1.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub confidence: Option<f32>,
    /// Difference of similarity between the best and the second candidate.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub margin: Option<f32>,
    /// Why a face has no name.
    pub reason: Option<Reason>,
    /// The best candidates, best first.
    pub top: Option<Vec<Guess>>,
    /// Where the face is: x, y, width and height in pixels.
    #[serde(rename = "box")]
    pub bounds: Option<[i32; 4]>,
    /// Number of the frame.
    pub frame: Option<u64>,
    /// Name of the camera or other source.
    pub camera: Option<String>,
    /// Time from the frame's arrival to this event.
    pub latency_ms: Option<f64>,
    /// The recognition model.
    pub model: Option<String>,
}

impl Event {
    /// An event at the time `now` with nothing known about it.
    pub fn new(event: EventKind, now: SystemTime) -> Self {
        Self {
            schema: SCHEMA,
            ts: timestamp(now),
            film_time: None,
            event,
            track: None,
            name: None,
            id: None,
            confidence: None,
            margin: None,
            reason: None,
            top: None,
            bounds: None,
            frame: None,
            camera: None,
            latency_ms: None,
            model: None,
        }
    }
}

/// A box in whole pixels, for [`Event::bounds`].
pub fn whole_pixels(bounds: &BoundingBox) -> [i32; 4] {
    [bounds.x, bounds.y, bounds.width, bounds.height].map(|value| value.round() as i32)
}

/// RFC 3339 in UTC with milliseconds; the epoch for a clock outside of all calendars.
fn timestamp(now: SystemTime) -> String {
    let now = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{now:.3}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn every_field_is_there_and_unknown_ones_are_null() {
        let event = Event::new(EventKind::CameraLost, UNIX_EPOCH);
        let json = serde_json::to_string(&event).unwrap();
        let expected = r#"{"schema":1,"ts":"1970-01-01T00:00:00.000Z","event":"camera_lost","track":null,"name":null,"id":null,"confidence":null,"margin":null,"reason":null,"top":null,"box":null,"frame":null,"camera":null,"latency_ms":null,"model":null}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn known_fields_are_short_and_exact() {
        let mut event = Event::new(EventKind::Start, UNIX_EPOCH + Duration::from_millis(1_234_567));
        event.confidence = Some(0.912_345_6);
        event.reason = Some(Reason::LowMargin);
        event.bounds = Some([-1, 2, 30, 40]);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["ts"], "1970-01-01T00:20:34.567Z");
        assert_eq!(json["confidence"].to_string(), "0.9123");
        assert_eq!(json["reason"], "low_margin");
        assert_eq!(json["box"].to_string(), "[-1,2,30,40]");
        assert_eq!(json["event"], "start");
    }

    #[test]
    fn boxes_are_rounded() {
        let bounds = BoundingBox { x: -0.6, y: 1.4, width: 9.5, height: 8.0 };
        assert_eq!(whole_pixels(&bounds), [-1, 1, 10, 8]);
    }
}
