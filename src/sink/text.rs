//! Events as lines for people.

use std::io;

use crate::event::{Event, EventKind};
use crate::shown;

/// One readable line, without its end.
///
/// # Errors
/// None; the type is that of [`json::line`](super::json_line).
pub fn line(event: &Event) -> io::Result<String> {
    let name = event.name.as_deref().unwrap_or("unknown");
    let camera = event.camera.as_deref().unwrap_or("camera");
    let confidence = event
        .confidence
        .map_or_else(String::new, |confidence| format!(" ({:.0} %)", confidence * 100.0));
    let what = match event.event {
        EventKind::Start => format!("{name} is here{confidence}"),
        EventKind::Update => format!("it is {name} after all{confidence}"),
        EventKind::End => format!("{name} is gone"),
        EventKind::CameraLost => format!("{camera} is lost"),
        EventKind::CameraRestored => format!("{camera} is back"),
        EventKind::Status => "events before this line were not read in time and are lost".into(),
    };
    Ok(shown::line(format_args!("{}  {what}", event.ts)))
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
        assert_eq!(line(&event).unwrap(), "1970-01-01T00:00:00.000Z  Tom Hanks is here (97 %)");
        event.event = EventKind::Update;
        let text = line(&event).unwrap();
        assert_eq!(text, "1970-01-01T00:00:00.000Z  it is Tom Hanks after all (97 %)");
        event.event = EventKind::End;
        assert_eq!(line(&event).unwrap(), "1970-01-01T00:00:00.000Z  Tom Hanks is gone");
        event.event = EventKind::CameraLost;
        assert_eq!(line(&event).unwrap(), "1970-01-01T00:00:00.000Z  /dev/video0 is lost");
    }
}
