//! Events as lines on standard output, for as long as somebody reads them.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::worker::{Finished, Queue, Worker};
use super::{Error, EventSink, Result};
use crate::defaults;
use crate::event::{Event, EventKind};
use crate::system::throttle::Throttle;
use crate::types::frame::Frame;

/// Events that may wait for a reader at the same time, each for [`defaults::EVENT_MAX_AGE`] at most.
const ROOM: usize = 256;

/// Name of the sink in errors.
const NAME: &str = "standard output";

/// How often what waits is looked at while the reader does not read.
const READY_PATIENCE: Duration = Duration::from_millis(100);

/// How an event becomes a line.
pub type Render = fn(&Event) -> io::Result<String>;

/// Where lines go.
pub trait Outlet {
    /// Waits until a line can be written without waiting for a reader, `timeout` at most.
    fn ready(&mut self, timeout: Duration) -> bool;

    /// Writes one line and ends it.
    ///
    /// # Errors
    /// What the system says.
    fn write_line(&mut self, line: &str) -> io::Result<()>;
}

/// Standard output of the process.
#[derive(Debug)]
pub struct StandardOutput;

impl Outlet for StandardOutput {
    fn ready(&mut self, timeout: Duration) -> bool {
        let stdout = io::stdout();
        let timeout = Timespec::try_from(timeout).ok();
        match poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], timeout.as_ref()) {
            Ok(ready) => ready > 0,
            Err(Errno::INTR) => false,
            // The write will tell what is wrong.
            Err(_) => true,
        }
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(format!("{line}\n").as_bytes())?;
        stdout.flush()
    }
}

/// Writes one line an event from a thread of its own. Events that nobody reads within
/// [`defaults::EVENT_MAX_AGE`] are dropped; a `status` event takes their place.
#[derive(Debug)]
pub struct LineSink {
    worker: Worker<String, io::Result<()>>,
    render: Render,
}

impl LineSink {
    /// Starts to write to `outlet`.
    ///
    /// # Errors
    /// [`Error::Start`] when the system has no thread to give.
    pub fn start(outlet: impl Outlet + Send + 'static, render: Render) -> Result<Self> {
        let queue = Queue::new(ROOM, defaults::EVENT_MAX_AGE);
        let worker = Worker::start("lines", queue, move |queue| {
            Writer { outlet, render, behind: false, dropped: Throttle::default() }.write_all(queue)
        })
        .map_err(Error::Start)?;
        Ok(Self { worker, render })
    }
}

impl EventSink for LineSink {
    fn emit(&mut self, event: &Event, _frame: Option<&Frame>) -> Result<()> {
        self.check()?;
        self.worker.put((self.render)(event).map_err(failure)?);
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        self.worker.outcome().unwrap_or(Ok(())).map_err(failure)
    }

    fn close(&mut self, until: Instant) {
        self.worker.close(until);
    }

    fn finish(&mut self, until: Instant) -> Result<()> {
        match self.worker.finish(until) {
            Finished::Now(outcome) => outcome.map_err(failure),
            Finished::Before => Ok(()),
            Finished::Not => {
                log::warn!("the last events were not read and are lost");
                Ok(())
            }
        }
    }
}

/// What the system said, as the sink's own error.
fn failure(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::Write { sink: NAME, source },
    }
}

/// The thread's side.
struct Writer<O> {
    outlet: O,
    render: Render,
    /// Events were dropped and the reader has not been told.
    behind: bool,
    dropped: Throttle,
}

impl<O: Outlet> Writer<O> {
    fn write_all(mut self, queue: &Queue<String>) -> io::Result<()> {
        while self.behind || queue.wait() {
            self.turn(queue, Instant::now)?;
        }
        if let Some(count) = self.dropped.rest() {
            warn_dropped(count);
        }
        Ok(())
    }

    /// Writes one line, if the outlet takes one. An event is taken out of the queue only when it
    /// can be written, so that none grows old on its way.
    fn turn(&mut self, queue: &Queue<String>, now: impl Fn() -> Instant) -> io::Result<()> {
        let ready = self.outlet.ready(READY_PATIENCE);
        let now = now();
        let dropped = queue.take_dropped(now);
        self.behind |= dropped > 0;
        if let Some(count) = self.dropped.note(now, dropped) {
            warn_dropped(count);
        }
        if !ready {
            return Ok(());
        }
        if self.behind {
            self.behind = false;
            let status = Event::new(EventKind::Status, SystemTime::now());
            return self.outlet.write_line(&(self.render)(&status)?);
        }
        match queue.take(now) {
            Some(line) => self.outlet.write_line(&line),
            None => Ok(()),
        }
    }
}

fn warn_dropped(count: u64) {
    log::warn!("{count} events were not read in time from standard output and are lost");
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Keeps lines; its reader stalls and goes away at will.
    #[derive(Default)]
    struct Kept {
        lines: Vec<String>,
        stalled: bool,
        broken: Option<io::ErrorKind>,
    }

    impl Outlet for Kept {
        fn ready(&mut self, _timeout: Duration) -> bool {
            !self.stalled
        }

        fn write_line(&mut self, line: &str) -> io::Result<()> {
            if let Some(broken) = self.broken {
                return Err(broken.into());
            }
            self.lines.push(line.to_string());
            Ok(())
        }
    }

    fn kind(event: &Event) -> io::Result<String> {
        Ok(format!("{:?}", event.event))
    }

    fn writer() -> Writer<Kept> {
        let (outlet, dropped) = (Kept::default(), Throttle::default());
        Writer { outlet, render: kind, behind: false, dropped }
    }

    #[test]
    fn a_stall_costs_the_old_lines_and_is_told_before_the_new_ones() {
        let mut writer = writer();
        let queue = Queue::new(ROOM, SECOND);
        let start = Instant::now();
        writer.outlet.stalled = true;
        for line in ["one", "two"] {
            queue.put(start, line.to_string());
        }
        writer.turn(&queue, || start).unwrap();
        writer.turn(&queue, || start + 2 * SECOND).unwrap();
        queue.put(start + 2 * SECOND, "three".to_string());
        writer.outlet.stalled = false;
        for _ in 0..3 {
            writer.turn(&queue, || start + 2 * SECOND).unwrap();
        }
        assert_eq!(writer.outlet.lines, ["Status", "three"]);
    }

    #[test]
    fn a_stall_is_told_even_when_nothing_new_waits() {
        let mut writer = writer();
        let queue = Queue::new(ROOM, SECOND);
        let start = Instant::now();
        queue.put(start, "old".to_string());
        queue.close(start);
        writer.turn(&queue, || start + 2 * SECOND).unwrap();
        assert_eq!(writer.outlet.lines, ["Status"]);
    }

    #[test]
    fn a_short_stall_costs_nothing() {
        let mut writer = writer();
        let queue = Queue::new(ROOM, SECOND);
        let start = Instant::now();
        writer.outlet.stalled = true;
        queue.put(start, "one".to_string());
        writer.turn(&queue, || start + SECOND / 2).unwrap();
        writer.outlet.stalled = false;
        writer.turn(&queue, || start + SECOND).unwrap();
        assert_eq!(writer.outlet.lines, ["one"]);
    }

    /// What a sink says, once, whose outlet breaks.
    fn told_of(broken: io::ErrorKind) -> Error {
        let outlet = Kept { broken: Some(broken), ..Kept::default() };
        let mut sink = LineSink::start(outlet, kind).unwrap();
        let event = Event::new(EventKind::Start, SystemTime::UNIX_EPOCH);
        sink.emit(&event, None).unwrap();
        let told = loop {
            match sink.check() {
                Ok(()) => std::thread::yield_now(),
                Err(error) => break error,
            }
        };
        assert!(sink.emit(&event, None).is_ok());
        assert!(sink.finish(Instant::now()).is_ok());
        told
    }

    #[test]
    fn a_reader_that_has_gone_and_an_outlet_that_is_full_are_told_apart_and_once() {
        assert!(matches!(told_of(io::ErrorKind::BrokenPipe), Error::ReaderGone));
        let full = told_of(io::ErrorKind::StorageFull);
        let system = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(full.to_string(), format!("cannot write standard output: {system}"));
    }

    #[test]
    fn emitting_does_not_wait_and_the_end_does_not_wait_long() {
        struct Stuck(mpsc::Receiver<()>);
        impl Outlet for Stuck {
            fn ready(&mut self, _timeout: Duration) -> bool {
                self.0.recv().is_ok()
            }

            fn write_line(&mut self, _line: &str) -> io::Result<()> {
                Ok(())
            }
        }
        let (_hold, held) = mpsc::channel();
        let mut sink = LineSink::start(Stuck(held), kind).unwrap();
        for _ in 0..2 * ROOM {
            sink.emit(&Event::new(EventKind::Start, SystemTime::UNIX_EPOCH), None).unwrap();
        }
        sink.finish(Instant::now()).unwrap();
    }
}
