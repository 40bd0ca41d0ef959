//! Events as lines for people.

use std::io::{self, Write};

use super::{EventSink, write_line};
use crate::event::{Event, EventKind};

/// Writes one readable line an event.
#[derive(Debug)]
pub struct TextSink<W>(pub W);

impl<W: Write> EventSink for TextSink<W> {
    fn emit(&mut self, event: &Event) -> io::Result<()> {
        write_line(&mut self.0, &line(event))
    }
}

fn line(event: &Event) -> String {
    let name = event.name.as_deref().unwrap_or("unknown");
    let camera = event.camera.as_deref().unwrap_or("camera");
    let confidence = event
        .confidence
        .map_or_else(String::new, |confidence| format!(" ({:.0} %)", confidence * 100.0));
    let what = match event.event {
        EventKind::Start => format!("{name} is here{confidence}"),
        EventKind::Update => format!("{name} is still here{confidence}"),
        EventKind::End => format!("{name} is gone"),
        EventKind::CameraLost => format!("{camera} is lost"),
        EventKind::CameraRestored => format!("{camera} is back"),
        EventKind::Status => "running".to_string(),
    };
    format!("{}  {what}", event.ts)
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
        assert_eq!(line(&event), "1970-01-01T00:00:00.000Z  Tom Hanks is here (97 %)");
        event.event = EventKind::End;
        assert_eq!(line(&event), "1970-01-01T00:00:00.000Z  Tom Hanks is gone");
        event.event = EventKind::CameraLost;
        assert_eq!(line(&event), "1970-01-01T00:00:00.000Z  /dev/video0 is lost");
    }
}
