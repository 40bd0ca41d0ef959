//! Events as lines for people.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::{Event, EventKind};
use crate::shown;

/// One readable line, without its end, in the time of this place.
///
/// # Errors
/// None; the type is that of [`json::line`](super::json_line).
pub fn line(event: &Event) -> io::Result<String> {
    Ok(line_in(event, &TimeZone::system()))
}

fn line_in(event: &Event, zone: &TimeZone) -> String {
    let name = event.name.as_deref().unwrap_or("somebody unknown");
    let camera = event.camera.as_deref().unwrap_or("camera");
    let confidence = event
        .confidence
        .map_or_else(String::new, |confidence| format!(" ({:.0} %)", confidence * 100.0));
    let what = match event.event {
        EventKind::Start => format!("{name} is here{confidence}"),
        EventKind::Update => format!("it is {name} after all{confidence}"),
        EventKind::End => format!("{name} is gone"),
        EventKind::CameraLost => format!("{camera} gives no pictures"),
        EventKind::CameraRestored => format!("{camera} gives pictures"),
        EventKind::Status => "events before this line were not read in time and are lost".into(),
    };
    let time = event.film_time.map_or_else(|| local(&event.ts, zone), of_film);
    shown::line(format_args!("{time}  {what}"))
}

/// An RFC 3339 time as one of `zone`: `2026-11-23T21:56:58.888+01:00`.
fn local(ts: &str, zone: &TimeZone) -> String {
    match ts.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string(),
        Err(_) => ts.to_owned(),
    }
}

/// A time of a film: `0:04:07.120`.
fn of_film(time: Duration) -> String {
    let seconds = time.as_secs();
    let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    format!("{hours}:{minutes:02}:{seconds:02}.{:03}", time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn lines_name_the_person_and_the_confidence() {
        let mut event = Event::new(EventKind::Start, UNIX_EPOCH);
        event.name = Some("Tom Hanks".to_string());
        event.confidence = Some(0.971);
        event.camera = Some("/dev/video0".to_string());
        let told = |event: &Event| {
            let line = line_in(event, &TimeZone::UTC);
            line.strip_prefix("1970-01-01T00:00:00.000+00:00  ").map(str::to_owned)
        };
        assert_eq!(told(&event).as_deref(), Some("Tom Hanks is here (97 %)"));
        event.event = EventKind::Update;
        assert_eq!(told(&event).as_deref(), Some("it is Tom Hanks after all (97 %)"));
        event.event = EventKind::End;
        assert_eq!(told(&event).as_deref(), Some("Tom Hanks is gone"));
        event.event = EventKind::CameraLost;
        assert_eq!(told(&event).as_deref(), Some("/dev/video0 gives no pictures"));
        let stranger = Event { name: None, confidence: None, event: EventKind::Start, ..event };
        assert_eq!(told(&stranger).as_deref(), Some("somebody unknown is here"));
    }

    #[test]
    fn times_are_those_of_the_place_and_of_a_film_its_own() {
        let mut event =
            Event::new(EventKind::Start, UNIX_EPOCH + Duration::from_millis(90_061_234));
        let place = TimeZone::posix("CET-1").unwrap();
        assert!(line_in(&event, &place).starts_with("1970-01-02T02:01:01.234+01:00  "));
        assert_eq!(event.ts, "1970-01-02T01:01:01.234Z");
        event.film_time = Some(Duration::from_millis(3_847_120));
        assert!(line_in(&event, &place).starts_with("1:04:07.120  "));
    }
}
