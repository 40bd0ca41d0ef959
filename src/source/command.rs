//! MJPEG from a child process, such as the one that reads a camera in the network, or from standard
//! input.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::backoff::Backoff;
use super::handover::{Giver, Keep};
use super::live::{Ending, Feed, Link, LiveSource, Manner};
use super::mjpeg::Splitter;
use super::raw::RawFrame;
use super::spare::Spare;
use super::stoppable::Stopper;
use super::turned::turned;
use super::{Error, Failure, FrameSource, Loss, Program, Result, SourceSpec, Time};
use crate::picture::turn::Turn;
use crate::shown::{Secrets, masked, program_name};
use crate::system::process::{self, GRACE, Group};

/// Longest time without a frame; libcamera takes some seconds to start.
const FRAME_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time to the first frame of a camera in the network, whose picture may be a change of the
/// one before for many seconds.
const NETWORK_DEADLINE: Duration = Duration::from_secs(20);

/// First and longest time between the end of a program and its next start.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Longest message of a program that is kept whole.
const MESSAGE_LIMIT_BYTES: usize = 2048;

/// Bytes of a program's line that are looked at for secrets, the last of which may be cut.
const LINE_LIMIT_BYTES: u64 = 2 * MESSAGE_LIMIT_BYTES as u64;

/// A program that writes MJPEG to its standard output.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// The program and its arguments, quoted as in a shell; no shell runs it.
    pub line: String,
    /// Every frame counts and the end of the stream is the end of the source.
    pub recording: bool,
    /// Waits for a program that is not there or gives no pictures; not for a recording.
    pub wait: bool,
}

impl SourceSpec for CommandRequest {
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>> {
        let (recording, argv) = (self.recording, process::split(&self.line)?);
        let (name, role) = (program_name(&argv), Role::Program { recording });
        let feed = CommandFeed { argv, name, role, wait: self.wait && !recording };
        Ok(turned(Box::new(LiveSource::open(feed)?), turn))
    }

    fn origin(&self) -> String {
        format!("the command `{}`", masked(&self.line))
    }

    fn time(&self) -> Time {
        if self.recording { Time::Film } else { Time::Live }
    }

    fn program(&self) -> Option<Program> {
        let name = process::split(&self.line).map_err(Error::from).and_then(|argv| {
            process::check_program(&argv[0])?;
            Ok(argv[0].clone())
        });
        let advice = "For a CSI camera of a Raspberry Pi: sudo apt install rpicam-apps-lite";
        Some(Program { name, advice: advice.to_owned() })
    }

    fn may_be_taken(&self) -> bool {
        true
    }

    fn advice(&self) -> String {
        let line = process::quoted(masked(&self.line));
        format!("See what the program says: celebcam -v doctor --command {line}")
    }
}

/// MJPEG on standard input.
#[derive(Debug, Clone)]
pub struct StdinRequest {
    /// Every frame counts.
    pub recording: bool,
}

impl SourceSpec for StdinRequest {
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>> {
        let feed = StdinFeed { recording: self.recording };
        Ok(turned(Box::new(LiveSource::open(feed)?), turn))
    }

    fn origin(&self) -> String {
        "standard input".to_owned()
    }

    fn time(&self) -> Time {
        if self.recording { Time::Film } else { Time::Live }
    }

    fn advice(&self) -> String {
        "Give it MJPEG: rpicam-vid -t 0 --codec mjpeg -o - | celebcam doctor --stdin".to_owned()
    }
}

/// Starts the program `argv` that reads the camera in the network called `name`.
pub fn open_network(
    argv: Vec<String>,
    name: String,
    wait: bool,
) -> Result<LiveSource<CommandFeed>> {
    LiveSource::open(CommandFeed { argv, name, role: Role::Network, wait })
}

fn keep(recording: bool) -> Keep {
    if recording { Keep::Every } else { Keep::Newest }
}

/// A program that can be started again.
pub struct CommandFeed {
    argv: Vec<String>,
    name: String,
    role: Role,
    wait: bool,
}

/// What a program stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Itself.
    Program {
        /// Every frame counts and its end is the end of the source.
        recording: bool,
    },
    /// A camera in the network.
    Network,
}

impl Feed for CommandFeed {
    type Link = CommandLink;

    fn connect(&mut self, giver: Giver<RawFrame>, _spare: &Spare) -> Result<CommandLink> {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command)
            .map_err(|source| Error::Start { program: self.argv[0].clone(), source })?;
        let stdout = group.child().stdout.take();
        let stderr = group.child().stderr.take();
        let stopper = Stopper::new().map_err(Error::Pipe)?;
        let link = CommandLink { group, last_message: Arc::default(), stopper };
        if let Some(stderr) = stderr {
            let stderr = link.stopper.reader(stderr.into()).map_err(Error::Pipe)?;
            let last_message = Arc::clone(&link.last_message);
            let (program, secrets) = (self.argv[0].clone(), Secrets::of(&self.argv));
            spawn("messages", move || {
                pass_on_messages(stderr, &program, &secrets, &last_message);
            })?;
        }
        if let Some(stdout) = stdout {
            let stdout = link.stopper.reader(stdout.into()).map_err(Error::Pipe)?;
            spawn("frames", move || give_pictures(stdout, giver))?;
        }
        Ok(link)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn failure(&self, failure: Failure) -> Error {
        let name = self.name.clone();
        match self.role {
            Role::Program { .. } => Error::Command { name, failure },
            Role::Network => Error::Network { name, failure },
        }
    }

    fn manner(&self) -> Manner {
        let recording = self.role == Role::Program { recording: true };
        let opening = if self.role == Role::Network { NETWORK_DEADLINE } else { FRAME_DEADLINE };
        Manner {
            opening_deadline: (!recording).then_some(opening),
            frame_deadline: (!recording).then_some(FRAME_DEADLINE),
            reopen: (!recording).then(|| Backoff::new(RESTART.0, RESTART.1)),
            patient: self.wait,
            keep: keep(recording),
        }
    }
}

/// A running program.
pub struct CommandLink {
    group: Group,
    last_message: Arc<Mutex<String>>,
    /// Ends the threads that read what the program and its children write.
    stopper: Stopper,
}

impl Link for CommandLink {
    fn ending(&mut self, loss: Loss) -> Ending {
        if !self.group.ends_within(GRACE) {
            return Ending { loss, complete: false };
        }
        let status = self.group.end();
        let last_message = self.last_message.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match status {
            Ok(status) => {
                Ending { complete: status.success(), loss: Loss::Program { status, last_message } }
            }
            Err(error) => {
                let (loss, source) = (Box::new(loss), Arc::new(error));
                Ending { complete: false, loss: Loss::Unknown { loss, source, last_message } }
            }
        }
    }
}

/// Standard input, read once.
pub struct StdinFeed {
    recording: bool,
}

impl Feed for StdinFeed {
    type Link = StdinLink;

    fn connect(&mut self, giver: Giver<RawFrame>, _spare: &Spare) -> Result<StdinLink> {
        let stopper = Stopper::new().map_err(Error::Pipe)?;
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(Error::Pipe)?;
        let stdin = stopper.reader(stdin).map_err(Error::Pipe)?;
        spawn("frames", move || give_pictures(stdin, giver))?;
        Ok(StdinLink { _stopper: stopper })
    }

    fn name(&self) -> &str {
        "standard input"
    }

    fn failure(&self, failure: Failure) -> Error {
        Error::Stdin(failure)
    }

    fn manner(&self) -> Manner {
        Manner {
            opening_deadline: None,
            frame_deadline: None,
            reopen: None,
            patient: false,
            keep: keep(self.recording),
        }
    }
}

/// The reading of standard input.
pub struct StdinLink {
    _stopper: Stopper,
}

impl Link for StdinLink {
    fn ending(&mut self, loss: Loss) -> Ending {
        Ending { loss, complete: true }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.to_string()).spawn(body).map(drop).map_err(Error::Thread)
}

/// Gives the pictures of `stream` until it ends or nobody wants them.
fn give_pictures(mut stream: impl Read, giver: Giver<RawFrame>) {
    let mut splitter = Splitter::default();
    let mut chunk = vec![0; 64 << 10];
    while giver.is_wanted() {
        let read = match stream.read(&mut chunk) {
            Ok(0) => {
                while let Some(picture) = splitter.last_picture() {
                    if !giver.give(RawFrame::jpeg(picture)) {
                        return;
                    }
                }
                giver.note_broken(splitter.take_broken());
                return giver.end(Loss::StreamEnd);
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return giver.end(error.into()),
        };
        splitter.push(&chunk[..read]);
        while let Some(picture) = splitter.next_picture() {
            if !giver.give(RawFrame::jpeg(picture)) {
                return;
            }
        }
        giver.note_broken(splitter.take_broken());
    }
}

/// Logs what the program says and keeps the last line that is not empty.
fn pass_on_messages(
    stderr: impl Read,
    program: &str,
    secrets: &Secrets,
    last_message: &Mutex<String>,
) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(length @ 1..) = read_line(&mut stderr, &mut line) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            let mut text = secrets.cut(text);
            // Of a line that was cut, the end may be a part of a secret, which is not found.
            let unsure = if length > line.len() { MESSAGE_LIMIT_BYTES } else { 0 };
            let kept = text.len().saturating_sub(unsure).min(MESSAGE_LIMIT_BYTES);
            text.truncate(text.floor_char_boundary(kept));
            log::debug!("{program}: {text}");
            *last_message.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}

/// Reads a line, of which [`LINE_LIMIT_BYTES`] are kept, and gives its length.
fn read_line(stream: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let mut length = stream.take(LINE_LIMIT_BYTES).read_until(b'\n', line)?;
    if length as u64 == LINE_LIMIT_BYTES && !line.ends_with(b"\n") {
        length += stream.skip_until(b'\n')?;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of what a program with a password says.
    fn told(said: &str) -> String {
        let secrets = Secrets::of(&["cam".into(), "rtsp://ann:hunter22go@10.0.0.5/".into()]);
        let last_message = Mutex::default();
        pass_on_messages(said.as_bytes(), "cam", &secrets, &last_message);
        last_message.into_inner().unwrap()
    }

    #[test]
    fn the_last_line_counts_and_its_secrets_do_not() {
        assert_eq!(told("one\nno hunter22go\n\n"), "no ***");
        assert_eq!(told("open\nhunter22go"), "***");
        assert_eq!(told(""), "");
    }

    #[test]
    fn no_part_of_a_secret_is_told_of_a_long_line() {
        let secret = "hunter22go";
        let is_told = |line: &str| {
            let told = told(line);
            assert!(told.len() <= MESSAGE_LIMIT_BYTES);
            (0..=secret.len() - 4).any(|at| told.contains(&secret[at..at + 4]))
        };
        for end in [MESSAGE_LIMIT_BYTES, 2 * MESSAGE_LIMIT_BYTES] {
            for place in end - 12..end + 2 {
                let line = format!("{}{secret}{}", "é".repeat(place / 2), ".".repeat(9000));
                assert!(!is_told(&line), "{place}");
            }
        }
        assert!(!is_told(&secret.repeat(1000)) && !is_told(&format!(" {}", secret.repeat(1000))));
    }

    #[test]
    fn the_line_behind_a_long_one_is_a_line_of_its_own() {
        let long = "x".repeat(10_000);
        assert_eq!(told(&format!("{long}hunter22go\nlast")), "last");
        assert_eq!(told(&format!("first\n{long}")), long[..MESSAGE_LIMIT_BYTES]);
    }
}
