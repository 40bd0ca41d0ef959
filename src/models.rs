//! Model files: what they say about themselves, and those that are built in.

mod built_in;
mod error;
mod file;

pub use built_in::{aligner, built_in, detector, recognizer};
pub use error::{Error, JsonFault, Result, Unusable};
pub use file::{ISA_VARIABLE, Model, settings};
