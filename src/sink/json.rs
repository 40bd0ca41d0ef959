//! Events as JSON lines.

use std::io::{self, Write};

use super::{EventSink, write_line};
use crate::event::Event;

/// Writes one JSON object a line.
#[derive(Debug)]
pub struct JsonSink<W>(pub W);

impl<W: Write> EventSink for JsonSink<W> {
    fn emit(&mut self, event: &Event) -> io::Result<()> {
        let line = serde_json::to_string(event)?;
        write_line(&mut self.0, &line)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::event::EventKind;

    #[test]
    fn one_object_a_line() {
        let mut sink = JsonSink(Vec::new());
        for kind in [EventKind::Start, EventKind::End] {
            sink.emit(&Event::new(kind, UNIX_EPOCH)).unwrap();
        }
        let text = String::from_utf8(sink.0).unwrap();
        let events: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0]["event"], "start");
        assert_eq!(events[1]["event"], "end");
        assert!(text.ends_with('\n'));
    }
}
