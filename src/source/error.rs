//! Why a source does not open, and why one that was open gives no more pictures.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::camera::Fault;
use super::device::{Device, Present};
use super::network::{READER, READER_ADVICE};
use crate::system::process::NotStartable;
use crate::{picture, system};

/// Result with this room's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A source that gives no pictures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command line that cannot be split, or signals that cannot be caught.
    #[error(transparent)]
    System(#[from] system::Error),
    /// A picture or folder that is missing or cannot be read.
    #[error(transparent)]
    Picture(#[from] picture::Error),
    /// None of several picture files can be read; the first of them.
    #[error("{}: neither this nor any other picture could be read", .0.display())]
    NoPicture(PathBuf),
    /// No camera at all.
    #[error("no camera found; {0}")]
    NoCamera(Present),
    /// Not the camera that was asked for.
    #[error("there is no {what}; {present}")]
    NoSuchCamera {
        /// Its node, or its name.
        what: String,
        /// What there is instead.
        present: Present,
    },
    /// A path that is not that of a device.
    #[error("{} is not a camera; {present}", path.display())]
    NotACamera {
        /// The path.
        path: PathBuf,
        /// What there is instead.
        present: Present,
    },
    /// A device that gives no pictures.
    #[error("{} ({}) is {}; {present}", device.node.display(), device.name, device.kind)]
    OtherDevice {
        /// The device.
        device: Box<Device>,
        /// What there is instead.
        present: Present,
    },
    /// The program that reads network cameras is missing.
    #[error("network cameras are read by {READER}, which is not installed: {READER_ADVICE}")]
    NoReader(#[source] NotStartable),
    /// A program that cannot be started.
    #[error(transparent)]
    Program(#[from] NotStartable),
    /// A program does not start.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A pipe cannot be read.
    #[error("cannot read from a pipe: {0}")]
    Pipe(#[source] io::Error),
    /// There is no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// A call for an earlier link has not returned.
    #[error("its driver does not let go of it")]
    Stuck,
    /// A camera has never given a picture.
    #[error("{name}: {failure}")]
    Camera {
        /// Its node and name.
        name: String,
        /// What happened.
        #[source]
        failure: Failure,
    },
    /// A camera in the network has never given a picture.
    #[error("{name}: {READER} {failure}")]
    Network {
        /// Its address, without secrets.
        name: String,
        /// What happened to the program that reads it.
        #[source]
        failure: Failure,
    },
    /// A program has never given a picture.
    #[error("the command `{name}` {failure}; it has to write MJPEG to its standard output")]
    Command {
        /// The program.
        name: String,
        /// What happened to it.
        #[source]
        failure: Failure,
    },
    /// Standard input has never given a picture.
    #[error("standard input gave no picture: {0}; it has to be MJPEG")]
    Stdin(#[source] Failure),
}

/// What happened to a source that has never given a frame which could be decoded.
#[derive(Debug, thiserror::Error)]
#[error("{loss}{}", corrupt_frames(*corrupt))]
pub struct Failure {
    /// How its link ended.
    #[source]
    pub loss: Loss,
    /// Frames that came and could not be decoded.
    pub corrupt: u64,
}

impl From<Loss> for Failure {
    fn from(loss: Loss) -> Self {
        Self { loss, corrupt: 0 }
    }
}

fn corrupt_frames(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => " (1 frame was corrupt)".to_owned(),
        count => format!(" ({count} frames were corrupt)"),
    }
}

/// How a link has ended, as the end of a sentence that starts with the source's name.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Loss {
    /// The link did not open.
    #[error(transparent)]
    NotOpened(Arc<Error>),
    /// No picture came for this time.
    #[error("gave no picture for {} seconds", .0.as_secs_f32())]
    Silence(Duration),
    /// The thread that reads it ended without a word.
    #[error("its thread ended")]
    Thread,
    /// Its pictures were not wanted any more.
    #[error("closed")]
    Closed,
    /// A camera's driver gave an answer that nokhwa panics at.
    #[error("its driver gave an answer that makes no sense")]
    Nonsense,
    /// A camera broke.
    #[error(transparent)]
    Camera(#[from] Fault),
    /// A stream came to its end.
    #[error("the stream ended")]
    StreamEnd,
    /// A stream cannot be read.
    #[error(transparent)]
    Stream(Arc<io::Error>),
    /// A program ended.
    #[error("ended with {status}{}", last_words(last_message))]
    Program {
        /// How.
        status: ExitStatus,
        /// The last line that it wrote to standard error, or nothing.
        last_message: String,
    },
    /// A program ended, and the system does not say how.
    #[error("{loss} ({source}){}", last_words(last_message))]
    Unknown {
        /// What was known before.
        loss: Box<Loss>,
        /// What the system said.
        source: Arc<io::Error>,
        /// The last line that it wrote to standard error, or nothing.
        last_message: String,
    },
}

impl From<Error> for Loss {
    fn from(error: Error) -> Self {
        Self::NotOpened(Arc::new(error))
    }
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        Self::Stream(Arc::new(error))
    }
}

fn last_words(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", its last message: {text}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn broken() -> io::Error {
        io::ErrorKind::BrokenPipe.into()
    }

    #[test]
    fn how_a_link_ended_is_told() {
        let program = |last_message: &str| Loss::Program {
            status: ExitStatus::from_raw(256),
            last_message: last_message.to_owned(),
        };
        let unknown = Loss::Unknown {
            loss: Box::new(Loss::StreamEnd),
            source: Arc::new(broken()),
            last_message: "no".to_owned(),
        };
        for (loss, text) in [
            (Error::Stuck.into(), "its driver does not let go of it"),
            (Loss::Silence(Duration::from_millis(2500)), "gave no picture for 2.5 seconds"),
            (Loss::Silence(Duration::from_secs(10)), "gave no picture for 10 seconds"),
            (broken().into(), "broken pipe"),
            (program(""), "ended with exit status: 1"),
            (program("no"), "ended with exit status: 1, its last message: no"),
            (unknown, "the stream ended (broken pipe), its last message: no"),
        ] {
            assert_eq!(loss.to_string(), text);
        }
    }

    #[test]
    fn who_never_gave_a_picture_is_told_with_what_is_needed() {
        let name = || "cam".to_owned();
        let failure = |corrupt| Failure { loss: Loss::StreamEnd, corrupt };
        for (error, text) in [
            (Error::Camera { name: name(), failure: failure(0) }, "cam: the stream ended"),
            (
                Error::Network { name: name(), failure: failure(1) },
                "cam: ffmpeg the stream ended (1 frame was corrupt)",
            ),
            (
                Error::Command { name: name(), failure: failure(2) },
                "the command `cam` the stream ended (2 frames were corrupt); it has to write MJPEG to \
                 its standard output",
            ),
            (
                Error::Stdin(failure(0)),
                "standard input gave no picture: the stream ended; it has to be MJPEG",
            ),
            (Error::Start { program: name(), source: broken() }, "cannot start cam: broken pipe"),
            (
                Error::NoReader(NotStartable::NotOnPath(name())),
                "network cameras are read by ffmpeg, which is not installed: sudo apt install ffmpeg",
            ),
            (Error::NoPicture("a".into()), "a: neither this nor any other picture could be read"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
