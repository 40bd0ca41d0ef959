//! The run under test: its events and its log while it goes on.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::runs::{self, REPORT_WITHIN};

/// Lines of the log that are kept.
const KEPT_LINES: usize = 30;

/// What a run says of itself when it is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Status {
    /// Frames that were decoded.
    pub frames: u64,
    /// Frames that came too soon.
    pub dropped: u64,
    /// Frames that could not be decoded.
    pub corrupt: u64,
    /// Times the camera was started again.
    pub reopened: u64,
}

impl Status {
    fn read(line: &str) -> Option<Self> {
        let (counts, _) = line.split_once("; p50/p95 ms:")?;
        let count = |unit: &str| {
            let field = counts.split(", ").find(|field| field.contains(unit))?;
            field.split(' ').find_map(|word| word.parse().ok())
        };
        Some(Self {
            frames: count("frames")?,
            dropped: count("dropped")?,
            corrupt: count("corrupt")?,
            reopened: count("reopened")?,
        })
    }
}

/// What the log has said so far.
#[derive(Debug, Default)]
pub struct Said {
    /// The last lines, but for those on how it is.
    pub lines: VecDeque<String>,
    /// How often it said how things are, and what.
    pub statuses: (u64, Status),
    /// The last of these lines.
    pub status_line: String,
    /// How often it read the gallery again, and how many people were in it.
    pub galleries: (u64, usize),
    watches: bool,
}

impl Said {
    fn note(&mut self, line: String) {
        if let Some(status) = Status::read(&line) {
            self.statuses = (self.statuses.0 + 1, status);
            self.status_line = line;
            return;
        }
        if let Some((_, people)) = line.split_once("gallery read again, people: ") {
            self.galleries = (self.galleries.0 + 1, people.parse().unwrap_or(usize::MAX));
        }
        self.watches |= line.contains("watching ");
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[derive(Default)]
struct Log {
    said: Mutex<Said>,
    changed: Condvar,
}

/// A run.
pub struct Run {
    child: Child,
    events: Receiver<Value>,
    log: Arc<Log>,
    reading: Arc<Mutex<()>>,
}

impl Run {
    /// Starts it and waits until it watches.
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("celebcam starts");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let (sender, events) = mpsc::channel();
        let log = Arc::<Log>::default();
        let reading = Arc::<Mutex<()>>::default();
        let (noted, gate) = (Arc::clone(&log), Arc::clone(&reading));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                noted.said.lock().unwrap_or_else(PoisonError::into_inner).note(line);
                noted.changed.notify_all();
            }
        });
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    break;
                }
                drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
        let run = Self { child, events, log, reading };
        assert!(run.says(REPORT_WITHIN, |said| said.watches), "celebcam does not watch");
        run
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// None comes in time, or ever.
    pub fn event(&self, within: Duration) -> Result<Value, RecvTimeoutError> {
        self.events.recv_timeout(within)
    }

    /// Nobody reads its events while this is held.
    pub fn unread(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what the log has said.
    pub fn said<T>(&self, look: impl FnOnce(&Said) -> T) -> T {
        look(&self.log.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the log to say something; whether it did.
    pub fn says(&self, within: Duration, what: impl Fn(&Said) -> bool) -> bool {
        let said = self.log.said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.log.changed.wait_timeout_while(said, within, |said| !what(said));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        runs::signal(&self.child, signal);
    }

    /// Asks it to stop, which it has to do in time and well. Gives the events that were left.
    pub fn stops(mut self) -> Vec<Value> {
        self.signal(Signal::TERM);
        let status = runs::ends_within(&mut self.child, runs::STOP_WITHIN);
        assert_eq!(status.code(), Some(0), "{:#?}", self.said(|said| said.lines.clone()));
        self.events.iter().collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // After a failure it must not go on. One that has ended is not there to be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
