//! Why a gallery cannot be read, changed or written.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::MOST_PEOPLE;
use super::names::BadName;
use super::store::VERSION;
use crate::system::bounded;

/// Result with this room's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A gallery that cannot be used, or a change that would spoil it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its file cannot be used.
    #[error("gallery {}: {defect}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        #[source]
        defect: Defect,
    },
    /// Its file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        #[source]
        reason: NotWritten,
    },
    /// There is no room for one more person.
    #[error("the gallery is full: it has {MOST_PEOPLE} people")]
    Full,
    /// Nobody may have such a name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Somebody has this name.
    #[error("{0} is in the gallery already")]
    Known(String),
    /// Somebody has a name that makes the same id.
    #[error(
        "{name} has the id {id} and so does {owner}, who is in the gallery; choose a name that \
         differs in a letter or digit"
    )]
    SameId {
        /// The new name.
        name: String,
        /// The id of both.
        id: String,
        /// The name that is there.
        owner: String,
    },
}

/// What is wrong with a gallery's file.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] bounded::Error),
    /// It is something else.
    #[error("is not a gallery of celebcam, or it is cut off")]
    NotAGallery,
    /// A later celebcam has written it.
    #[error("has version {0} and this celebcam reads {VERSION}; use the celebcam that wrote it")]
    Version(String),
    /// Its embeddings are of another model.
    #[error(
        "was made with the model {made_with}, and this is {model}; embeddings of one mean nothing to \
         the other: name another gallery with --gallery and enroll its people again"
    )]
    OtherModel {
        /// Fingerprint of the model that it was made with.
        made_with: String,
        /// Fingerprint of the model that it is to be used with.
        model: String,
    },
    /// It was whole once.
    #[error("is damaged: {0}; put a copy in its place, or remove it and enroll again")]
    Damaged(#[source] Damaged),
}

impl From<io::Error> for Defect {
    fn from(error: io::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<Damaged> for Defect {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

/// What shows that a gallery's file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// There is less in it than its header says.
    #[error("it is cut off")]
    Cut,
    /// Its header promises more than there is, or what cannot be.
    #[error("it is cut off, or its sizes are wrong")]
    Sizes,
    /// A line goes on for longer than any.
    #[error("a line has no end")]
    EndlessLine,
    /// A line is not UTF-8.
    #[error("a line is no text")]
    NoText(#[source] std::str::Utf8Error),
    /// A line is not the JSON that it should be.
    #[error("a line is not what it should be")]
    Line(#[source] serde_json::Error),
    /// Somebody in it has a name that nobody may have.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Two people in it have one name.
    #[error("two people have the name {0}")]
    OneName(String),
    /// Its checksum does not fit its content.
    #[error("its checksum is wrong")]
    Checksum,
    /// There is more in it than its header says.
    #[error("there is more in it than there should be")]
    More,
}

/// Why a gallery's file was not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Somebody else changes it and does not come to an end.
    #[error(
        "another process has held {lock} for {} seconds; `fuser {lock}` says which",
        patience.as_secs_f32(),
        lock = lock.display()
    )]
    Held {
        /// The file with the lock.
        lock: PathBuf,
        /// For so long.
        patience: Duration,
    },
    /// Something else is in the place of the file with the lock.
    #[error("{} is not a file; remove it", .0.display())]
    LockNotAFile(PathBuf),
    /// The file with the lock cannot be opened.
    #[error("its lock {}: {source}", lock.display())]
    Lock {
        /// The file with the lock.
        lock: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let path = || PathBuf::from("g");
        let system = || io::Error::from(io::ErrorKind::StorageFull);
        let damaged = |damaged| Error::Unusable { path: path(), defect: Defect::Damaged(damaged) };
        let lock = |reason| Error::NotWritten { path: path(), reason };
        for (error, text) in [
            (
                damaged(Damaged::OneName("Ann".to_owned())),
                "gallery g: is damaged: two people have the name Ann; put a copy in its place, or \
                 remove it and enroll again",
            ),
            (
                Error::Unusable { path: path(), defect: system().into() },
                "gallery g: cannot be read: no storage space",
            ),
            (
                Error::Unusable {
                    path: path(),
                    defect: Defect::OtherModel { made_with: "a".into(), model: "b".into() },
                },
                "gallery g: was made with the model a, and this is b; embeddings of one mean nothing \
                 to the other: name another gallery with --gallery and enroll its people again",
            ),
            (lock(system().into()), "cannot write g: no storage space"),
            (
                lock(NotWritten::Held { lock: ".g".into(), patience: Duration::from_millis(1500) }),
                "cannot write g: another process has held .g for 1.5 seconds; `fuser .g` says which",
            ),
            (
                lock(NotWritten::Lock { lock: ".g".into(), source: system() }),
                "cannot write g: its lock .g: no storage space",
            ),
            (Error::Full, "the gallery is full: it has 1000000 people"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
