//! What can be wrong with settings.

use std::path::PathBuf;
use std::time::TryFromFloatSecsError;

use super::Origin;
use crate::sink;
use crate::system::bounded;
use crate::track::WINDOW_FRAMES;

/// Result with the settings' [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file cannot be used.
    #[error("settings {}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// A variable of the environment has a value that its setting does not take.
    #[error(transparent)]
    Variable(WrongValue),
    /// Two settings that stand for each other are said in one place.
    #[error(
        "{first} ({first_origin}) and {second} ({second_origin}) exclude each other; leave one of them out"
    )]
    Exclusive {
        /// One of them.
        first: String,
        /// Who said it.
        first_origin: Origin,
        /// The other.
        second: String,
        /// Who said that.
        second_origin: Origin,
    },
    /// A setting is said without the one that makes it useful.
    #[error("{key} ({origin}) is of use only with {needed}")]
    Alone {
        /// The setting.
        key: &'static str,
        /// Who said it.
        origin: Origin,
        /// The one that is missing.
        needed: &'static str,
    },
    /// Time passes between two pictures of a camera as well.
    #[error("recording is of use only with command or stdin: a camera gives no film")]
    NoFilm,
    /// Snapshots make room for new ones, so none may be among the pictures that are looked at.
    #[error("--snapshot {} and --pictures {} lie in one another, and the oldest snapshots are removed; name another folder", snapshots.display(), pictures.display())]
    SnapshotsAmongPictures {
        /// The folder for snapshots.
        snapshots: PathBuf,
        /// The pictures.
        pictures: PathBuf,
    },
    /// More frames are to confirm somebody than are remembered, or none.
    #[error("--confirm has to be from 1 to {WINDOW_FRAMES}")]
    Confirm,
    /// A time in seconds is none.
    #[error("--{key} {seconds}: {source}")]
    Seconds {
        /// The setting.
        key: &'static str,
        /// Its value.
        seconds: f32,
        /// What is wrong with it.
        source: TryFromFloatSecsError,
    },
    /// The program for events cannot be started.
    #[error(transparent)]
    OnEvent(#[from] sink::Error),
    /// Nobody says where the gallery is.
    #[error("there is no folder for the gallery: HOME is not set; name a file with --gallery")]
    NoGalleryFolder,
}

/// What is wrong with a settings file.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It is not there.
    #[error("no such file")]
    Missing,
    /// It cannot be read, is no regular file, or is too long.
    #[error("{0}")]
    Unreadable(#[source] bounded::Error),
    /// It holds other bytes than text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is not TOML.
    #[error("line {line}: {reason}")]
    NotToml {
        /// Where.
        line: usize,
        /// What the reader of TOML says.
        reason: String,
    },
    /// A key holds a table, or another value that no setting takes.
    #[error("{key} has to be a value or a list of values")]
    NotAValue {
        /// The key.
        key: String,
    },
    /// A key is no setting.
    #[error("there is no setting {key}; {advice}")]
    Unknown {
        /// The key.
        key: String,
        /// What was likely meant.
        advice: String,
    },
    /// A setting does not take its value.
    #[error(transparent)]
    Value(#[from] WrongValue),
}

/// A value that a setting does not take. Secrets are masked.
#[derive(Debug, thiserror::Error)]
pub enum WrongValue {
    /// Neither `true` nor `false`.
    #[error("{name} = {value}: true or false is needed")]
    NotAFlag {
        /// What the setting was called.
        name: String,
        /// Its value.
        value: String,
    },
    /// Not one value.
    #[error("{name} takes one value, not {values}")]
    NotOne {
        /// What the setting was called.
        name: String,
        /// How many values it has.
        values: usize,
    },
    /// The flag does not take it.
    #[error("{name} = {value}: {reason}")]
    Refused {
        /// What the setting was called.
        name: String,
        /// Its value.
        value: String,
        /// What the flag takes.
        reason: String,
    },
}
