//! The code with which the process ends, after `sysexits.h` where that has one.

use std::process::ExitCode;

use crate::error::Error;

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
    /// The process was ended before it could stop by itself.
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
            Error::Usage(_) => Self::Usage,
            Error::Input { .. } => Self::NoInput,
            Error::NoCamera(_) => Self::NoCamera,
            Error::Settings(_) | Error::Config(_) | Error::Model { .. } | Error::Gallery { .. } => {
                Self::BadConfiguration
            }
            Error::Refused(_)
            | Error::Source(_)
            | Error::Inference(_)
            | Error::Stopped
            | Error::Output { .. } => Self::Failure,
        }
    }

    /// As [`of`](Self::of) for an error that may be another than the library's.
    pub fn of_any(error: &anyhow::Error) -> Self {
        error.downcast_ref().map_or(Self::Failure, Self::of)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Error {
    /// Exit code of the process when this error ends it.
    pub fn exit_code(&self) -> u8 {
        Exit::of(self).code()
    }
}
