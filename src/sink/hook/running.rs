//! One command that runs for an event. Nothing here waits for it.

use std::io::{self, ErrorKind, Read, Write};
use std::process::{ChildStderr, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal};

use super::{Job, tasks};
use crate::defaults;
use crate::shown::Secrets;
use crate::system::process::{GRACE, Group};

/// How much is kept of the end of what a command says.
const MESSAGE_LIMIT_BYTES: usize = 2048;

/// Settings that may hold the password of a camera, which commands must not see.
const SECRET_VARIABLES: [&str; 2] = ["CELEBCAM_CAMERA", "CELEBCAM_COMMAND"];

/// A command in a process group of its own.
pub(super) struct Running {
    group: Group,
    started: Instant,
    input: Option<(ChildStdin, Vec<u8>)>,
    messages: Option<ChildStderr>,
    said: Vec<u8>,
    secrets: Secrets,
    /// When it has to have ended.
    deadline: Instant,
    /// When its own time is over.
    limit: Instant,
    /// Why it was asked to end.
    asked_to_end: Option<&'static str>,
}

impl Running {
    /// Starts the command for `job`.
    pub(super) fn start(
        argv: &[String],
        job: &Job,
        now: Instant,
        time_limit: Duration,
    ) -> io::Result<Self> {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]);
        for (name, value) in &job.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        for variable in SECRET_VARIABLES {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command)?;
        tasks::hold(Pid::from_child(group.child()));
        let input = group.child().stdin.take();
        let messages = group.child().stderr.take();
        // On this side alone: the command's ends of the pipes have flags of their own.
        if let Some(input) = &input {
            ioctl_fionbio(input, true)?;
        }
        if let Some(messages) = &messages {
            ioctl_fionbio(messages, true)?;
        }
        Ok(Self {
            group,
            started: now,
            input: input.map(|input| (input, job.line.clone().into_bytes())),
            messages,
            said: Vec::new(),
            secrets: Secrets::of(argv),
            deadline: now + time_limit,
            limit: now + time_limit,
            asked_to_end: None,
        })
    }

    /// When it was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Takes away what is left of its time.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.asked_to_end.is_none() {
            self.deadline = now;
        }
    }

    /// Feeds it, listens to it, and stops it when its time is over, which comes earlier when the
    /// run is `closed`. Once it has ended: whether well, or how it failed.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        closed: Option<Instant>,
    ) -> Option<Result<(), String>> {
        self.feed();
        self.listen();
        if self.group.has_ended() {
            self.listen();
            return Some(self.outcome());
        }
        if let Some(until) = closed {
            let was_asked = self.asked_to_end.is_some();
            let grace = if was_asked { defaults::ON_EVENT_LAST_GRACE } else { Duration::ZERO };
            self.deadline = self.deadline.min(until + grace);
        }
        if now >= self.deadline {
            let (signal, grace) = match (self.asked_to_end, closed) {
                (None, None) => (Signal::TERM, GRACE),
                (None, Some(_)) => (Signal::TERM, defaults::ON_EVENT_LAST_GRACE),
                (Some(_), _) => (Signal::KILL, GRACE),
            };
            self.group.signal(signal);
            let why = if now < self.limit && closed.is_some() {
                "was stopped, as the run ended before it did"
            } else {
                "took too long and was stopped"
            };
            self.asked_to_end.get_or_insert(why);
            self.deadline = now + grace;
        }
        None
    }

    fn outcome(&mut self) -> Result<(), String> {
        let status = self.group.end().map_err(|error| format!("was lost: {error}"))?;
        let said = String::from_utf8_lossy(&self.said);
        let said = match said.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            Some(line) => format!(", its last message: {}", self.secrets.cut(line)),
            None => String::new(),
        };
        if let Some(why) = self.asked_to_end {
            Err(format!("{why}{said}"))
        } else if status.success() {
            Ok(())
        } else {
            Err(format!("ended with {status}{said}"))
        }
    }

    /// Writes as much of its input as it takes now.
    fn feed(&mut self) {
        let Some((input, left)) = &mut self.input else { return };
        while !left.is_empty() {
            match input.write(left) {
                Ok(written) => drop(left.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The command has closed its input.
                Err(_) => break,
            }
        }
        self.input = None;
    }

    /// Reads a pipe full of what it says, and keeps the end.
    fn listen(&mut self) {
        let Some(messages) = &mut self.messages else { return };
        let mut chunk = [0; 4096];
        for _ in 0..16 {
            match messages.read(&mut chunk) {
                Ok(read @ 1..) => self.said.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {
                    self.messages = None;
                    break;
                }
            }
        }
        let over = self.said.len().saturating_sub(MESSAGE_LIMIT_BYTES);
        self.said.drain(..over);
    }
}
