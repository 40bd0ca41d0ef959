//! What can go wrong, in the terms of the person who has to put it right.

use std::path::PathBuf;

use crate::settings;

/// Result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library. [`exit`](crate::exit) says how the process ends for each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A picture or folder is missing or cannot be read.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model file cannot be used.
    #[error("model {origin}: {reason}")]
    Model {
        /// File name, or "built in".
        origin: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The file of the people that were added cannot be used.
    #[error("gallery {}: {reason}", path.display())]
    Gallery {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// What was asked for would spoil the gallery.
    #[error("{0}")]
    Refused(String),
    /// No camera, or not the one asked for.
    #[error("{0}")]
    NoCamera(String),
    /// A frame source broke while it ran.
    #[error("{0}")]
    Source(String),
    /// The command line asks for what would do harm.
    #[error("{0}")]
    Usage(String),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The settings contradict each other or are out of range.
    #[error("{0}")]
    Config(String),
    /// Inference failed on a model that had loaded.
    #[error("inference failed: {0}")]
    Inference(String),
    /// A look at a picture was cut short, as asked.
    #[error("inference failed: it was stopped")]
    Stopped,
    /// A result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
