//! The models built into the binary, and the way to use others.

use std::path::Path;

use celebcam_engine::Settings;

use super::{Model, Result};

const RECOGNIZER: &[u8] = include_bytes!("../../models/celebrities.onnx");
const DETECTOR: &[u8] = include_bytes!("../../models/detector.onnx");
const ALIGNER: &[u8] = include_bytes!("../../models/aligner.onnx");

/// The recognizer in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Unusable`](super::Error::Unusable) when it cannot be used.
pub fn recognizer(path: Option<&Path>, settings: &Settings) -> Result<Model> {
    load(path, RECOGNIZER, "built in (celebrities)", settings)
}

/// The face detector in the file at `path`, or the one built in.
///
/// # Errors
///
/// [`Error::Unusable`](super::Error::Unusable) when it cannot be used.
pub fn detector(path: Option<&Path>, settings: &Settings) -> Result<Model> {
    load(path, DETECTOR, "built in (detector)", settings)
}

/// The network that places a face in its crop, which is built in.
///
/// # Errors
///
/// [`Error::Unusable`](super::Error::Unusable) when it cannot be used.
pub fn aligner(settings: &Settings) -> Result<Model> {
    load(None, ALIGNER, "built in (aligner)", settings)
}

/// All that is built in: recognizer, detector and aligner.
///
/// # Errors
///
/// [`Error::Unusable`](super::Error::Unusable) when one of them cannot be used.
pub fn built_in(settings: &Settings) -> Result<Vec<Model>> {
    Ok(vec![recognizer(None, settings)?, detector(None, settings)?, aligner(settings)?])
}

fn load(path: Option<&Path>, built_in: &[u8], origin: &str, settings: &Settings) -> Result<Model> {
    match path {
        Some(path) => Model::read(path, settings),
        None => Model::load(built_in, origin, settings),
    }
}
