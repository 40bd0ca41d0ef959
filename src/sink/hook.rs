//! A command for each event: a bounded number at a time, each for a bounded time.

mod running;
mod tasks;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::json::line;
use super::worker::{Finished, Queue, Worker};
use super::{Error, EventSink, Result};
use crate::defaults;
use crate::event::{Event, EventKind};
use crate::system::process;
use crate::system::throttle::Throttle;
use crate::types::frame::Frame;
use running::Running;

/// Name of the sink in errors.
const NAME: &str = "--on-event";

/// Events that may wait for a command at the same time, each for [`defaults::EVENT_MAX_AGE`] at most.
const ROOM: usize = 64;

/// How often running commands are looked at.
const POLL: Duration = Duration::from_millis(10);

/// Which command to run, how many of it at a time, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    argv: Vec<String>,
    at_once: usize,
    time_limit: Duration,
}

impl HookSpec {
    /// The command `line`, quoted as in a shell; at most `at_once` of it run at a time, for
    /// `time_limit` each.
    ///
    /// # Errors
    /// [`Error::Words`] for a line that cannot be split, and [`Error::Program`] for a program that cannot
    /// be started.
    pub fn parse(line: &str, at_once: usize, time_limit: Duration) -> Result<Self> {
        let argv = process::split(line)?;
        process::check_program(&argv[0]).map_err(Error::Program)?;
        Ok(Self { argv, at_once, time_limit })
    }
}

/// What a command is told: the JSON line for its standard input, and variables.
#[derive(Debug)]
struct Job {
    line: String,
    /// Variables that an event does not set are removed.
    variables: BTreeMap<&'static str, Option<String>>,
}

impl Job {
    fn of(event: &Event) -> io::Result<Self> {
        let variables = [
            ("CELEBCAM_EVENT", Some(event.event.name().to_string())),
            ("CELEBCAM_TRACK", event.track.map(|track| track.to_string())),
            ("CELEBCAM_NAME", event.name.clone()),
            ("CELEBCAM_ID", event.id.clone()),
            ("CELEBCAM_CONFIDENCE", event.confidence.map(|value| format!("{value:.4}"))),
        ];
        Ok(Self { line: line(event)? + "\n", variables: variables.into() })
    }
}

/// Runs a command for each event. An event for which no command could be started within
/// [`defaults::EVENT_MAX_AGE`] is dropped.
#[derive(Debug)]
pub struct HookSink {
    worker: Worker<Job, ()>,
}

impl HookSink {
    /// Gets ready to run what `spec` says.
    ///
    /// # Errors
    /// [`Error::Start`] when the system has no thread to give.
    pub fn start(spec: HookSpec) -> Result<Self> {
        let queue = Queue::new(ROOM, defaults::EVENT_MAX_AGE);
        let work = move |queue: &_| Runner::new(spec).work(queue);
        let worker = Worker::start("commands", queue, work).map_err(Error::Start)?;
        Ok(Self { worker })
    }
}

impl EventSink for HookSink {
    fn emit(&mut self, event: &Event, _frame: Option<&Frame>) -> Result<()> {
        if event.event != EventKind::Status {
            let job = Job::of(event).map_err(|source| Error::Write { sink: NAME, source })?;
            self.worker.put(job);
        }
        Ok(())
    }

    fn close(&mut self, until: Instant) {
        self.worker.close(until);
    }

    fn finish(&mut self, until: Instant) -> Result<()> {
        // `until` then commands may end by themselves; afterwards they are asked to, and then killed.
        let killed = until + 2 * defaults::ON_EVENT_LAST_GRACE;
        if let Finished::Not = self.worker.finish_by(until, killed) {
            log::warn!("--on-event: a command does not end even when it is killed");
        }
        Ok(())
    }
}

/// The thread's side: it starts, feeds, stops and reaps commands.
struct Runner {
    spec: HookSpec,
    running: Vec<Running>,
    dropped: Throttle,
    failed: Throttle,
}

impl Runner {
    fn new(spec: HookSpec) -> Self {
        let (dropped, failed) = (Throttle::default(), Throttle::default());
        Self { spec, running: Vec::new(), dropped, failed }
    }

    fn work(mut self, queue: &Queue<Job>) {
        while !self.running.is_empty() || queue.wait() {
            self.turn(queue, Instant::now());
            if self.running.len() >= self.spec.at_once {
                std::thread::sleep(POLL);
            } else if !self.running.is_empty() {
                queue.wait_for(POLL);
            }
        }
        if let Some(count) = self.dropped.rest() {
            warn_dropped(count);
        }
    }

    /// Looks after the commands that run, then starts as many as may be.
    fn turn(&mut self, queue: &Queue<Job>, now: Instant) {
        let closed = queue.closed();
        for index in (0..self.running.len()).rev() {
            if let Some(outcome) = self.running[index].turn(now, closed) {
                self.running.swap_remove(index);
                self.note_failure(now, outcome.err());
            }
        }
        // The last events get their commands even where earlier ones hang.
        let full = self.running.len() >= self.spec.at_once && !queue.is_empty();
        let oldest = self.running.iter_mut().min_by_key(|running| running.started());
        if let Some(oldest) = oldest.filter(|_| full && closed.is_some()) {
            oldest.stop(now);
        }
        self.start_some(queue, now, closed.is_some_and(|until| now >= until));
        if let Some(count) = self.dropped.note(now, queue.take_dropped(now)) {
            warn_dropped(count);
        }
    }

    /// Starts as many commands as may be; none when the run is `over`.
    fn start_some(&mut self, queue: &Queue<Job>, now: Instant, over: bool) {
        while over || self.running.len() < self.spec.at_once {
            let Some(job) = queue.take(now) else { break };
            if over {
                self.dropped.add(1);
                continue;
            }
            match Running::start(&self.spec.argv, &job, now, self.spec.time_limit) {
                Ok(running) => self.running.push(running),
                Err(error) => self.note_failure(now, Some(format!("cannot be started: {error}"))),
            }
        }
    }

    fn note_failure(&mut self, now: Instant, failure: Option<String>) {
        let Some(failure) = failure else { return };
        let program = &self.spec.argv[0];
        match self.failed.note(now, 1) {
            Some(1) => log::warn!("--on-event: {program} {failure}"),
            Some(count) => log::warn!("--on-event: {program} {failure} ({count} times like this)"),
            None => log::debug!("--on-event: {program} {failure}"),
        }
    }
}

fn warn_dropped(count: u64) {
    log::warn!("--on-event: {count} events dropped: the commands before them take too long");
}

#[cfg(test)]
mod tests;
