//! Whatever can go wrong in the library, for the commands above it.

use std::path::PathBuf;

use crate::recognize::UnknownRate;
use crate::{gallery, models, picture, pipeline, settings, sink, source, stages, system};

/// Result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library. [`exit`](crate::exit) says how the process ends for each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command line cannot be split, signals cannot be caught, or there is too little address space.
    #[error(transparent)]
    System(#[from] system::Error),
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
    /// What was asked for cannot or must not be done to the gallery.
    #[error("{0}")]
    Refused(String),
    /// A source that is there gave no picture.
    #[error("{0}")]
    NoFrame(String),
    /// The command line asks for what would do harm.
    #[error("{0}")]
    Usage(String),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// A run ended before its source did.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A sink does not start to work.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// A result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<stages::Error> for Error {
    fn from(error: stages::Error) -> Self {
        match error {
            stages::Error::Model(error) => Self::Model(error),
            stages::Error::Rate(error) => Self::Rate(error),
            stages::Error::Gallery(error) => Self::Gallery(error),
        }
    }
}
