//! The process among others on its system: files, memory, time, programs, signals and the service
//! manager.

use std::io;

pub mod bounded;
pub mod files;
pub mod heap;
pub mod journal;
pub mod process;
pub mod service;
pub mod stop;
pub mod supervisor;
pub mod throttle;
pub mod timing;

/// Result with this room's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A command line, signals or a limit that the process cannot run with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command line holds no program, or a quote is left open.
    #[error("cannot split the command `{0}`: empty, or an open quote")]
    CommandLine(String),
    /// Nobody would notice that the process is to stop.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// The limit of the address space is too low to run at all.
    #[error(
        "the address space is limited to {} MB (ulimit -v); celebcam needs {} MB or more",
        limit_bytes / 1_000_000,
        heap::LEAST_BYTES / 1_000_000
    )]
    AddressSpace {
        /// The limit.
        limit_bytes: u64,
    },
}
