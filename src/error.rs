//! Whatever can go wrong in the library, for the commands above it.

use std::error::Error as StdError;
use std::path::PathBuf;

use crate::recognize::UnknownRate;
use crate::system::process::NotStartable;
use crate::{gallery, models, picture, source, system};

/// Result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library. Each belongs to one exit code of the binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process cannot be what it should be among others.
    #[error(transparent)]
    System(#[from] system::Error),
    /// A program that is to be started cannot be.
    #[error(transparent)]
    Program(#[from] NotStartable),
    /// A picture or folder is missing or cannot be read.
    #[error(transparent)]
    Picture(#[from] picture::Error),
    /// A model cannot be used, or a run of it failed.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// A model cannot keep a rate of false accepts.
    #[error(transparent)]
    Rate(#[from] UnknownRate),
    /// A source does not open, or gives no pictures any more.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A gallery cannot be used, changed or written.
    #[error(transparent)]
    Gallery(#[from] gallery::Error),
    /// What the command line names is missing or of no use.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked for would spoil the gallery.
    #[error("{0}")]
    Refused(String),
    /// A source that is there gave no picture.
    #[error("{0}")]
    NoFrame(String),
    /// The command line asks for what would do harm.
    #[error("{0}")]
    Usage(String),
    /// The settings contradict each other or are out of range.
    #[error("{0}")]
    Config(String),
    /// A run ended before its source did.
    #[error(transparent)]
    Pipeline(#[from] crate::pipeline::Error),
    /// A sink does not start to work.
    #[error(transparent)]
    Sink(#[from] crate::sink::Error),
    /// A result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// Exit code of the process when this error ends it, after `sysexits.h` where it has one.
    pub fn exit_code(&self) -> u8 {
        use crate::{pipeline, sink};
        match self {
            Self::System(error) => of_system(error),
            Self::Picture(_) | Self::Input { .. } => 66,
            Self::Model(error) => of_model(error),
            Self::Source(error) => of_source(error),
            Self::Gallery(error) => of_gallery(error),
            Self::Pipeline(pipeline::Error::Source(error)) => of_source(error),
            Self::Pipeline(pipeline::Error::Look(error)) => of_model(error),
            Self::Sink(sink::Error::Words(_) | sink::Error::Program(_)) => 78,
            Self::Pipeline(pipeline::Error::Sink(_)) | Self::Sink(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) | Self::Rate(_) => 78,
            Self::Program(_) | Self::Refused(_) | Self::NoFrame(_) | Self::Output { .. } => 1,
        }
    }
}

fn of_system(error: &system::Error) -> u8 {
    match error {
        system::Error::CommandLine(_) | system::Error::AddressSpace { .. } => 78,
        system::Error::Signals(_) => 1,
    }
}

fn of_model(error: &models::Error) -> u8 {
    match error {
        models::Error::Unusable { .. } | models::Error::Settings(_) => 78,
        models::Error::Run(_) | models::Error::Size { .. } | models::Error::Stopped => 1,
    }
}

fn of_source(error: &source::Error) -> u8 {
    use source::Error;
    match error {
        Error::System(error) => of_system(error),
        Error::Picture(_) | Error::NoPicture(_) => 66,
        Error::NoCamera(_)
        | Error::NoSuchCamera { .. }
        | Error::NotACamera { .. }
        | Error::OtherDevice { .. }
        | Error::Camera { .. }
        | Error::Network { .. } => 69,
        Error::NoReader(_) => 78,
        Error::Start { .. }
        | Error::Pipe(_)
        | Error::Thread(_)
        | Error::Stuck
        | Error::Command { .. }
        | Error::Stdin(_) => 1,
    }
}

fn of_gallery(error: &gallery::Error) -> u8 {
    use gallery::Error;
    match error {
        Error::Unusable { .. } => 78,
        Error::NotWritten { .. }
        | Error::Full
        | Error::Name(_)
        | Error::Known(_)
        | Error::SameId { .. } => 1,
    }
}

/// The exit code of `error` where it is the library's or one of its rooms', as what `?` made part of
/// another error is.
pub fn exit_code(error: &(dyn StdError + 'static)) -> Option<u8> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.exit_code());
    }
    None.or_else(|| error.downcast_ref().map(of_system))
        .or_else(|| error.downcast_ref().map(|_: &picture::Error| 66))
        .or_else(|| error.downcast_ref().map(of_model))
        .or_else(|| error.downcast_ref().map(|_: &UnknownRate| 78))
        .or_else(|| error.downcast_ref().map(of_source))
        .or_else(|| error.downcast_ref().map(of_gallery))
}

/// What went wrong, with its causes. An error of the library tells its own in its message; of other
/// errors, a cause that was told already is not told again.
pub fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut told = String::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let cause = error.to_string();
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
        if exit_code(error).is_some() {
            break;
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_cause_is_told_once() {
        let output = Error::Output { path: "x".into(), source: full() };
        assert_eq!(with_causes(&output), format!("cannot write x: {}", full()));
        let other = anyhow::Error::from(full()).context("cannot start");
        assert_eq!(with_causes(&*other), format!("cannot start: {}", full()));
        // The cause is not in the message, and is not told behind it.
        let missing = system::process::NotStartable::NotOnPath("ffmpeg".to_owned());
        let no_reader = source::Error::NoReader(missing);
        let text = no_reader.to_string();
        assert_eq!(with_causes(&no_reader), text);
        assert_eq!(with_causes(&Error::from(no_reader)), text);
    }

    #[test]
    fn the_exit_code_is_found_however_deep_the_error_is() {
        let missing =
            || picture::Error { path: "a.jpg".into(), reason: picture::Unreadable::Missing };
        let codes = [
            (anyhow::Error::from(missing()), 66),
            (Error::from(missing()).into(), 66),
            (source::Error::from(missing()).into(), 66),
            (anyhow::Error::from(missing()).context("no photo"), 66),
            (system::Error::CommandLine(String::new()).into(), 78),
            (source::Error::from(system::Error::CommandLine(String::new())).into(), 78),
            (system::Error::Signals(full()).into(), 1),
            (models::Error::Stopped.into(), 1),
            (source::Error::NoCamera(source::Present::Nothing).into(), 69),
            (source::Error::Stuck.into(), 1),
            (gallery::Error::Full.into(), 1),
        ];
        for (error, code) in codes {
            assert_eq!(error.chain().find_map(exit_code), Some(code), "{error}");
        }
        assert_eq!(exit_code(&full()), None);
    }
}
