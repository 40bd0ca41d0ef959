//! Why events cannot be told.

use std::io;
use std::path::PathBuf;

use crate::system;
use crate::system::process::NotStartable;

/// An error of a sink.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody reads standard output any more.
    #[error("nobody reads standard output any more")]
    ReaderGone,
    /// A sink can tell no more events.
    #[error("cannot write {sink}: {source}")]
    Write {
        /// Name of the sink for people.
        sink: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A sink does not start to work.
    #[error("cannot write events: {0}")]
    Start(#[source] io::Error),
    /// The folder for snapshots cannot be used.
    #[error("cannot write {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The command for events cannot be split into words.
    #[error(transparent)]
    Words(#[from] system::Error),
    /// The program for events cannot be started.
    #[error("--on-event: {0}")]
    Program(#[source] NotStartable),
}

/// Result with a sink's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
