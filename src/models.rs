//! The models built into the binary, and the way to use others.

use std::path::Path;

use crate::engine::{Model, Settings};
use crate::error::Result;

const RECOGNIZER: &[u8] = include_bytes!("../models/celebrities.onnx");
const DETECTOR: &[u8] = include_bytes!("../models/detector.onnx");

/// The recognizer in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Model`](crate::error::Error::Model) when it cannot be used.
pub fn recognizer(path: Option<&Path>, settings: &Settings) -> Result<Model> {
    load(path, RECOGNIZER, "built in (celebrities)", settings)
}

/// The face detector in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Model`](crate::error::Error::Model) when it cannot be used.
pub fn detector(path: Option<&Path>, settings: &Settings) -> Result<Model> {
    load(path, DETECTOR, "built in (detector)", settings)
}

fn load(path: Option<&Path>, built_in: &[u8], origin: &str, settings: &Settings) -> Result<Model> {
    match path {
        Some(path) => Model::read(path, settings),
        None => Model::load(built_in, origin, settings),
    }
}
