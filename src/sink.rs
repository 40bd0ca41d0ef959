//! Where events go. No sink makes the pipeline wait: each works in a thread of its own, behind a
//! queue that forgets what has grown old.

mod hook;
mod json;
mod lines;
mod snapshot;
mod text;
mod worker;

use std::io;
use std::time::Instant;

use crate::event::Event;
use crate::types::frame::Frame;

pub use hook::{HookSink, HookSpec};
pub use json::line as json_line;
pub use lines::{LineSink, Outlet, Render, StandardOutput};
pub use snapshot::{SnapshotSink, snapshot_bytes};
pub use text::line as text_line;

/// Takes events, one at a time, without making anybody wait.
pub trait EventSink {
    /// Takes an event of this moment, and the frame it was seen in, if any.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> io::Result<()>;

    /// Whether events can still be told.
    ///
    /// # Errors
    /// Once, what the system said when one could not be written;
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when nobody reads any more.
    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Says that no more events come, and that it is over at `until`.
    fn close(&mut self, _until: Instant) {}

    /// Waits until everything taken is told, `until` at most. The last call.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    fn finish(&mut self, until: Instant) -> io::Result<()>;
}

/// Several sinks, each of which gets every event, whatever becomes of the others.
pub struct Fanout(pub Vec<Box<dyn EventSink>>);

impl Fanout {
    /// Asks all, and returns the first error.
    fn each(
        &mut self,
        mut ask: impl FnMut(&mut dyn EventSink) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut result = Ok(());
        for sink in &mut self.0 {
            result = result.and(ask(sink.as_mut()));
        }
        result
    }
}

impl EventSink for Fanout {
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> io::Result<()> {
        self.each(|sink| sink.emit(event, frame))
    }

    fn check(&mut self) -> io::Result<()> {
        self.each(|sink| sink.check())
    }

    fn close(&mut self, until: Instant) {
        self.0.iter_mut().for_each(|sink| sink.close(until));
    }

    /// They use the time together: none waits for another before it comes to its end.
    fn finish(&mut self, until: Instant) -> io::Result<()> {
        self.close(until);
        self.each(|sink| sink.finish(until))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::SystemTime;

    use super::*;
    use crate::event::EventKind;

    struct Counts(Rc<Cell<u32>>, Option<io::ErrorKind>);

    impl EventSink for Counts {
        fn emit(&mut self, _event: &Event, _frame: Option<&Frame>) -> io::Result<()> {
            self.0.set(self.0.get() + 1);
            self.1.map_or(Ok(()), |kind| Err(kind.into()))
        }

        fn close(&mut self, _until: Instant) {
            self.0.set(self.0.get() + 100);
        }

        fn finish(&mut self, _until: Instant) -> io::Result<()> {
            assert!(self.0.get() >= 300, "all are closed before one is waited for");
            self.0.set(self.0.get() + 10);
            Ok(())
        }
    }

    #[test]
    fn an_error_of_one_sink_is_told_and_does_not_keep_events_from_the_others() {
        let count = Rc::new(Cell::new(0));
        let sink = |error| Box::new(Counts(Rc::clone(&count), error)) as Box<dyn EventSink>;
        let broken = io::ErrorKind::BrokenPipe;
        let mut sinks = Fanout(vec![sink(None), sink(Some(broken)), sink(None)]);
        let event = Event::new(EventKind::End, SystemTime::UNIX_EPOCH);
        assert_eq!(sinks.emit(&event, None).unwrap_err().kind(), broken);
        assert!(sinks.check().is_ok());
        assert!(sinks.finish(Instant::now()).is_ok());
        assert_eq!(count.get(), 333);
    }
}
