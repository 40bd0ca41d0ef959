//! The models built into the binary, and the way to use others.

use std::path::Path;

use crate::engine::Model;
use crate::error::Result;

const RECOGNIZER: &[u8] = include_bytes!("../models/celebrities.onnx");
const DETECTOR: &[u8] = include_bytes!("../models/detector.onnx");

/// The recognizer in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Model`](crate::error::Error::Model) when it cannot be used.
pub fn recognizer(path: Option<&Path>) -> Result<Model> {
    load(path, RECOGNIZER, "built in (celebrities)")
}

/// The face detector in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Model`](crate::error::Error::Model) when it cannot be used.
pub fn detector(path: Option<&Path>) -> Result<Model> {
    load(path, DETECTOR, "built in (detector)")
}

fn load(path: Option<&Path>, built_in: &[u8], origin: &str) -> Result<Model> {
    match path {
        Some(path) => Model::read(path),
        None => Model::load(built_in, origin),
    }
}
