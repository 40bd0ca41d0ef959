//! How the process ends when an error ends it: its exit code, after `sysexits.h` where that has one, and its
//! last words.

use std::error::Error as StdError;
use std::process::ExitCode;

use crate::error::Error;
use crate::recognize::UnknownRate;
use crate::{gallery, models, picture, pipeline, settings, sink, source, stages, system};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work is done, or was stopped by a signal.
    Done,
    /// Something failed.
    Failure,
    /// The command line asks for what would do harm.
    Usage,
    /// An input was missing or unreadable.
    NoInput,
    /// There is no camera, or not the one asked for.
    NoCamera,
    /// The settings, a model or the gallery cannot be used.
    BadConfiguration,
}

impl Exit {
    /// How the process ends when it is ended before it could stop by itself.
    pub const FORCED: Self = Self::Failure;

    /// The number that the system is told.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NoInput => 66,
            Self::NoCamera => 69,
            Self::BadConfiguration => 78,
        }
    }

    /// How work on inputs ends of which so many were unreadable.
    pub fn with_unreadable(inputs: usize) -> Self {
        if inputs > 0 { Self::NoInput } else { Self::Done }
    }

    /// How the process ends when this error ends it.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::System(error) => of_system(error),
            Error::Picture(_) | Error::Input { .. } => Self::NoInput,
            Error::Model(error) => of_model(error),
            Error::Source(error) => of_source(error),
            Error::Gallery(error) => of_gallery(error),
            Error::Pipeline(error) => of_pipeline(error),
            Error::Sink(error) => of_sink(error),
            Error::Usage(_) => Self::Usage,
            Error::Settings(_) | Error::Rate(_) => Self::BadConfiguration,
            Error::Refused(_) | Error::NoFrame(_) | Error::Output { .. } => Self::Failure,
        }
    }

    /// As [`of`](Self::of) for a stage that cannot be loaded.
    pub fn of_stages(error: &stages::Error) -> Self {
        match error {
            stages::Error::Model(error) => of_model(error),
            stages::Error::Rate(_) => Self::BadConfiguration,
            stages::Error::Gallery(error) => of_gallery(error),
        }
    }

    /// As [`of`](Self::of) for an error that may hold one of the library's, however deep.
    pub fn of_any(error: &anyhow::Error) -> Self {
        error.chain().find_map(of_ours).unwrap_or(Self::Failure)
    }
}

fn of_pipeline(error: &pipeline::Error) -> Exit {
    match error {
        pipeline::Error::Source(error) => of_source(error),
        pipeline::Error::Look(error) => of_model(error),
        pipeline::Error::Sink(_) => Exit::Failure,
    }
}

/// Of a sink that does not start to work.
fn of_sink(error: &sink::Error) -> Exit {
    match error {
        sink::Error::Words(_) | sink::Error::Program(_) => Exit::BadConfiguration,
        sink::Error::ReaderGone
        | sink::Error::Write { .. }
        | sink::Error::Start(_)
        | sink::Error::Folder { .. } => Exit::Failure,
    }
}

fn of_system(error: &system::Error) -> Exit {
    match error {
        system::Error::CommandLine(_) | system::Error::AddressSpace { .. } => {
            Exit::BadConfiguration
        }
        system::Error::Signals(_) => Exit::Failure,
    }
}

fn of_model(error: &models::Error) -> Exit {
    match error {
        models::Error::Unusable { .. } | models::Error::Settings(_) => Exit::BadConfiguration,
        models::Error::Run(_) | models::Error::Size { .. } | models::Error::Stopped => {
            Exit::Failure
        }
    }
}

fn of_source(error: &source::Error) -> Exit {
    use source::Error;
    match error {
        Error::System(error) => of_system(error),
        Error::Picture(_) | Error::NoPicture(_) => Exit::NoInput,
        Error::NoCamera(_)
        | Error::NoSuchCamera { .. }
        | Error::NotACamera { .. }
        | Error::OtherDevice { .. }
        | Error::Camera { .. }
        | Error::Network { .. } => Exit::NoCamera,
        Error::NoReader(_) => Exit::BadConfiguration,
        Error::Program(_)
        | Error::Start { .. }
        | Error::Pipe(_)
        | Error::Thread(_)
        | Error::Stuck
        | Error::Command { .. }
        | Error::Stdin(_) => Exit::Failure,
    }
}

fn of_gallery(error: &gallery::Error) -> Exit {
    use gallery::Error;
    match error {
        Error::Unusable { .. } => Exit::BadConfiguration,
        Error::NotWritten { .. }
        | Error::Full
        | Error::Name(_)
        | Error::Known(_)
        | Error::SameId { .. } => Exit::Failure,
    }
}

/// How the process ends for `error`, where that is an error of the library or of one of its rooms: the latter
/// are met by themselves among the sources of other errors.
fn of_ours(error: &(dyn StdError + 'static)) -> Option<Exit> {
    None.or_else(|| error.downcast_ref().map(Exit::of))
        .or_else(|| error.downcast_ref().map(of_system))
        .or_else(|| error.downcast_ref().map(|_: &picture::Error| Exit::NoInput))
        .or_else(|| error.downcast_ref().map(of_model))
        .or_else(|| error.downcast_ref().map(|_: &UnknownRate| Exit::BadConfiguration))
        .or_else(|| error.downcast_ref().map(|_: &settings::Error| Exit::BadConfiguration))
        .or_else(|| error.downcast_ref().map(of_source))
        .or_else(|| error.downcast_ref().map(of_gallery))
        .or_else(|| error.downcast_ref().map(Exit::of_stages))
        .or_else(|| error.downcast_ref().map(of_pipeline))
        .or_else(|| error.downcast_ref().map(of_sink))
}

/// What went wrong, with its causes, each told once. The message of an error of the library holds them
/// already.
pub fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut told = String::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let cause = error.to_string();
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
        if of_ours(error).is_some() {
            break;
        }
    }
    told
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn unknown_isa() -> celebcam_engine::Error {
        celebcam_engine::Error::UnknownIsa { name: "quantum".to_owned(), available: Vec::new() }
    }

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
            (stages::Error::from(models::Error::Settings(unknown_isa())).into(), 78),
            (pipeline::Error::from(source::Error::NoPicture("a".into())).into(), 66),
            (sink::Error::Start(full()).into(), 1),
        ];
        for (error, code) in codes {
            assert_eq!(Exit::of_any(&error).code(), code, "{error}");
        }
        assert_eq!(Exit::of_any(&full().into()), Exit::Failure);
    }
}
