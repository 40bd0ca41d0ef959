//! Where events go. No sink makes the pipeline wait: each works in a thread of its own, behind a
//! queue that forgets what has grown old.

mod error;
mod hook;
mod json;
mod lines;
mod snapshot;
mod text;
mod worker;

use std::time::Instant;

use crate::event::Event;
use crate::types::frame::Frame;
use crate::types::scene::Scene;

pub use error::{Error, Result};
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
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> Result<()>;

    /// Whether it wants to be [shown](Self::show) frames. Nothing is made for it where it does not.
    fn wants_scenes(&self) -> bool {
        false
    }

    /// Takes a frame that was worked on, after its events, and who is there. Who goes while no frame
    /// comes is told by events alone.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    fn show(&mut self, _frame: &Frame, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    /// Whether events can still be told.
    ///
    /// # Errors
    /// Once, why one could not be told; [`Error::ReaderGone`] ends the run without a failure.
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    /// Says that no more events come, and that it is over at `until`.
    fn close(&mut self, _until: Instant) {}

    /// Waits until everything taken is told, `until` at most. The last call.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    fn finish(&mut self, until: Instant) -> Result<()>;
}

/// Several sinks, each of which gets every event, whatever becomes of the others.
pub struct Fanout(pub Vec<Box<dyn EventSink>>);

impl Fanout {
    /// Asks all, and returns the first error.
    fn each(&mut self, mut ask: impl FnMut(&mut dyn EventSink) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        for sink in &mut self.0 {
            result = result.and(ask(sink.as_mut()));
        }
        result
    }
}

impl EventSink for Fanout {
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> Result<()> {
        self.each(|sink| sink.emit(event, frame))
    }

    fn wants_scenes(&self) -> bool {
        self.0.iter().any(|sink| sink.wants_scenes())
    }

    fn show(&mut self, frame: &Frame, scene: &Scene<'_>) -> Result<()> {
        self.each(|sink| if sink.wants_scenes() { sink.show(frame, scene) } else { Ok(()) })
    }

    fn check(&mut self) -> Result<()> {
        self.each(|sink| sink.check())
    }

    fn close(&mut self, until: Instant) {
        self.0.iter_mut().for_each(|sink| sink.close(until));
    }

    /// They use the time together: none waits for another before it comes to its end.
    fn finish(&mut self, until: Instant) -> Result<()> {
        self.close(until);
        self.each(|sink| sink.finish(until))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::SystemTime;

    use image::RgbImage;

    use super::*;
    use crate::event::EventKind;

    /// Counts what it takes; wants scenes and fails at will.
    struct Counts {
        count: Rc<Cell<u32>>,
        wants_scenes: bool,
        fails: bool,
    }

    impl Counts {
        fn add(&self, count: u32) {
            self.count.set(self.count.get() + count);
        }
    }

    impl EventSink for Counts {
        fn emit(&mut self, _event: &Event, _frame: Option<&Frame>) -> Result<()> {
            self.add(1);
            if self.fails { Err(Error::ReaderGone) } else { Ok(()) }
        }

        fn wants_scenes(&self) -> bool {
            self.wants_scenes
        }

        fn show(&mut self, _frame: &Frame, _scene: &Scene<'_>) -> Result<()> {
            self.add(1000);
            Ok(())
        }

        fn close(&mut self, _until: Instant) {
            self.add(100);
        }

        fn finish(&mut self, _until: Instant) -> Result<()> {
            assert!(self.count.get() >= 300, "all are closed before one is waited for");
            self.add(10);
            Ok(())
        }
    }

    #[test]
    fn an_error_of_one_sink_is_told_and_does_not_keep_events_from_the_others() {
        let count = Rc::new(Cell::new(0));
        let sink = |fails| -> Box<dyn EventSink> {
            Box::new(Counts { count: Rc::clone(&count), wants_scenes: false, fails })
        };
        let mut sinks = Fanout(vec![sink(false), sink(true), sink(false)]);
        let event = Event::new(EventKind::End, SystemTime::UNIX_EPOCH);
        assert!(matches!(sinks.emit(&event, None), Err(Error::ReaderGone)));
        assert!(sinks.check().is_ok());
        assert!(sinks.finish(Instant::now()).is_ok());
        assert_eq!(count.get(), 333);
    }

    #[test]
    fn scenes_are_shown_to_those_who_want_them() {
        let count = Rc::new(Cell::new(0));
        let sink = |wants_scenes| -> Box<dyn EventSink> {
            Box::new(Counts { count: Rc::clone(&count), wants_scenes, fails: false })
        };
        assert!(!Fanout(vec![sink(false), sink(false)]).wants_scenes());
        let mut sinks = Fanout(vec![sink(false), sink(true)]);
        assert!(sinks.wants_scenes());
        let now = Instant::now();
        let rgb = RgbImage::new(1, 1);
        let frame = Frame { sequence: 0, captured_at: now, rgb, reduction: 1 };
        sinks.show(&frame, &Scene { now, visits: Vec::new() }).unwrap();
        assert_eq!(count.get(), 1000);
    }
}
