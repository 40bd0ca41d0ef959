//! Why a model cannot be used or did not work.

use std::fmt;

use celebcam_engine::limits::METADATA_BYTES;
use celebcam_engine::{SENTENCE_LENGTH, shortened};

use super::file::{ISA_VARIABLE, PREFIX, SCHEMA, WORD_LENGTH};
use crate::system::bounded;

/// Result with this room's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A model that cannot be used or did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be used.
    #[error("model {origin}: {reason}")]
    Unusable {
        /// File name, or "built in".
        origin: String,
        /// What is wrong with it and what would be right.
        #[source]
        reason: Unusable,
    },
    /// Models cannot be run as `CELEBCAM_ISA` asks for.
    #[error("{ISA_VARIABLE}: {0}")]
    Settings(#[source] celebcam_engine::Error),
    /// A run failed on a model that had loaded.
    #[error("inference failed: {0}")]
    Run(#[source] celebcam_engine::Error),
    /// A picture that is not of the size that a model takes.
    #[error(
        "inference failed: the model takes {}x{} pixels, not {}x{}",
        needed.0, needed.1, given.0, given.1
    )]
    Size {
        /// Width and height that it takes, in pixels.
        needed: (u32, u32),
        /// Width and height of the picture.
        given: (u32, u32),
    },
    /// A run was cut short, as asked.
    #[error("inference failed: it was stopped")]
    Stopped,
}

impl From<celebcam_engine::Error> for Error {
    /// Of a run.
    fn from(error: celebcam_engine::Error) -> Self {
        match error {
            celebcam_engine::Error::Stopped => Self::Stopped,
            error => Self::Run(error),
        }
    }
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] bounded::Error),
    /// It is no model that the engine runs.
    #[error(transparent)]
    Engine(#[from] celebcam_engine::Error),
    /// More metadata than is read.
    #[error("its metadata has more than {} MB, which is the limit", METADATA_BYTES / 1_000_000)]
    TooMuchMetadata,
    /// No model of celebcam's trainer.
    #[error("it has no celebcam metadata; export it with celebcam's trainer")]
    NoMetadata,
    /// Metadata of another version.
    #[error(
        "its metadata has schema {} and this celebcam reads {SCHEMA}; use the trainer of the same \
         version",
        shortened(.0, WORD_LENGTH)
    )]
    Schema(String),
    /// An entry of the metadata is missing.
    #[error("its metadata lacks {PREFIX}{0}")]
    Lacks(String),
    /// An entry of the metadata is not what it should be.
    #[error("its metadata {PREFIX}{key} is broken: {fault}")]
    Broken {
        /// The entry.
        key: String,
        /// What is wrong with it.
        #[source]
        fault: JsonFault,
    },
    /// A model for something else.
    #[error("its kind is {}; {needed} is needed here", shortened(found, WORD_LENGTH))]
    Kind {
        /// What it says that it is.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// Its metadata and its outputs do not fit what it is for.
    #[error("{0}")]
    Unfit(String),
}

/// What is wrong with JSON, as one sentence: an error of serde quotes what it found, however long.
#[derive(Debug)]
pub struct JsonFault(serde_json::Error);

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shortened(&self.0.to_string(), SENTENCE_LENGTH))
    }
}

impl std::error::Error for JsonFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_model_is_told_with_its_origin() {
        let fault = serde_json::from_str::<u8>("\"x\"").map(drop).unwrap_err().into();
        for (reason, text) in [
            (Unusable::TooMuchMetadata, "its metadata has more than 1 MB, which is the limit"),
            (Unusable::Lacks("kind".to_owned()), "its metadata lacks celebcam.kind"),
            (
                Unusable::Broken { key: "labels".to_owned(), fault },
                "its metadata celebcam.labels is broken: invalid type: string \"x\", expected u8 at \
                 line 1 column 3",
            ),
            (
                Unusable::Schema("9".repeat(41)),
                "its metadata has schema 9999999999999999999999999999999999999999... and this celebcam \
                 reads 1; use the trainer of the same version",
            ),
            (
                Unusable::Kind { found: "detector".to_owned(), needed: "aligner".to_owned() },
                "its kind is detector; aligner is needed here",
            ),
            (
                Unusable::File(bounded::Error::NotAFile("a pipe")),
                "cannot be read: it is a pipe, not a file",
            ),
        ] {
            let error = Error::Unusable { origin: "a.onnx".to_owned(), reason };
            assert_eq!(error.to_string(), format!("model a.onnx: {text}"));
        }
    }

    #[test]
    fn a_run_that_fails_is_told_apart_from_one_that_was_stopped() {
        let memory = celebcam_engine::Error::Memory { bytes: 9 };
        let failed = Error::from(memory).to_string();
        assert_eq!(failed, "inference failed: there is no memory for the 9 bytes that it needs");
        let stopped = Error::from(celebcam_engine::Error::Stopped);
        assert!(matches!(stopped, Error::Stopped));
        assert_eq!(stopped.to_string(), "inference failed: it was stopped");
        let size = Error::Size { needed: (112, 96), given: (7, 9) };
        assert_eq!(size.to_string(), "inference failed: the model takes 112x96 pixels, not 7x9");
    }
}
