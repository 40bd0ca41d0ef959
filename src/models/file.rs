//! A model file of celebcam's: an ONNX file that says what it is for in its metadata, under the prefix
//! `celebcam.`.

use std::collections::BTreeMap;
use std::path::Path;

use celebcam_engine::limits::{FILE_BYTES, METADATA_BYTES};
use celebcam_engine::{LayerTime, OnnxFile, Settings};
use image::RgbImage;
use sha2::{Digest, Sha256};

use super::{Error, Result, Unusable};
use crate::system::bounded;

/// Version of the metadata that this build reads.
pub(super) const SCHEMA: &str = "1";

/// Prefix of our keys in the metadata of an ONNX file.
pub(super) const PREFIX: &str = "celebcam.";

/// Most characters of a word of the metadata in a message.
pub(super) const WORD_LENGTH: usize = 40;

/// Lowers the choice of the instruction set.
pub const ISA_VARIABLE: &str = "CELEBCAM_ISA";

/// The best kernels of this processor that `CELEBCAM_ISA` allows, on `threads` threads.
///
/// # Errors
///
/// [`Error::Settings`] when `CELEBCAM_ISA` names kernels that this processor cannot run.
pub fn settings(threads: usize) -> Result<Settings> {
    let limit = std::env::var(ISA_VARIABLE).ok().filter(|name| !name.is_empty());
    let best = Settings::new(threads);
    let Some(limit) = limit else { return Ok(best) };
    best.with_isa(&limit).map_err(Error::Settings)
}

/// A model that is ready to run, and what its file says about it. It can be shared between threads.
pub struct Model {
    origin: String,
    fingerprint: String,
    size_bytes: usize,
    properties: BTreeMap<String, String>,
    inner: celebcam_engine::Model,
}

impl Model {
    /// Reads and checks the model in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when the file cannot be read, is no regular file, or is not a model that
    /// celebcam can run.
    pub fn read(path: &Path, settings: &Settings) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = bounded::read(path, FILE_BYTES)
            .map_err(|error| Error::Unusable { origin: origin.clone(), reason: error.into() })?;
        Self::load(&bytes, &origin, settings)
    }

    /// Loads the ONNX file in `bytes`; `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when it is not a model that celebcam can run or exceeds the
    /// [limits](celebcam_engine::limits), saying why.
    pub fn load(bytes: &[u8], origin: &str, settings: &Settings) -> Result<Self> {
        let wrong = |reason| Error::Unusable { origin: origin.to_owned(), reason };
        let refused = |error: celebcam_engine::Error| wrong(error.into());
        let file = OnnxFile::parse(bytes).map_err(refused)?;
        let properties = read_properties(&file).map_err(wrong)?;
        let inner = celebcam_engine::Model::build(&file, settings).map_err(refused)?;
        Ok(Self {
            origin: origin.to_owned(),
            fingerprint: fingerprint(bytes),
            size_bytes: bytes.len(),
            properties,
            inner,
        })
    }

    /// Runs the model on a picture of exactly its [input size](Self::input_size) and gives its
    /// outputs, flattened, in the order of [`output_names`](Self::output_names).
    ///
    /// # Errors
    ///
    /// [`Error::Size`] when the picture has another size, [`Error::Run`] when the graph fails,
    /// [`Error::Stopped`] when the work is stopped.
    pub fn run(&self, rgb: &RgbImage) -> Result<Vec<Vec<f32>>> {
        let mut outputs = vec![Vec::new(); self.output_names().len()];
        self.run_into(rgb, &mut outputs)?;
        Ok(outputs)
    }

    /// As [`run`](Self::run), into vectors that are used again, one for each output.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_into(&self, rgb: &RgbImage, outputs: &mut [Vec<f32>]) -> Result<()> {
        self.check_size(rgb)?;
        Ok(self.inner.run_into(rgb.as_raw(), outputs)?)
    }

    /// As [`run`](Self::run), and gives the time of each layer in place of the outputs; `None` where
    /// tract runs a part of the model.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(&self, rgb: &RgbImage) -> Result<Option<Vec<LayerTime>>> {
        self.check_size(rgb)?;
        Ok(self.inner.run_timed(rgb.as_raw())?)
    }

    fn check_size(&self, rgb: &RgbImage) -> Result<()> {
        let (height, width) = self.input_size();
        if rgb.dimensions() == (width, height) {
            return Ok(());
        }
        Err(Error::Size { needed: (width, height), given: rgb.dimensions() })
    }

    /// Names of the kernels that compute the model; `None` where tract runs a part of it.
    pub fn kernel_names(&self) -> Option<[&'static str; 5]> {
        self.inner.kernel_names()
    }

    /// Multiplications of one run; `None` where tract runs a part of the model.
    pub fn macs(&self) -> Option<u64> {
        self.inner.macs()
    }

    /// How the engine runs it.
    pub fn engine(&self) -> &Settings {
        self.inner.settings()
    }

    /// Height and width of the picture that the model takes, in pixels.
    pub fn input_size(&self) -> (u32, u32) {
        self.inner.input_size()
    }

    /// Names of the outputs.
    pub fn output_names(&self) -> &[String] {
        self.inner.output_names()
    }

    /// Number of values of each output, in the order of [`output_names`](Self::output_names).
    pub fn output_lengths(&self) -> &[usize] {
        self.inner.output_lengths()
    }

    /// Position and length of the output called `name`.
    pub fn output(&self, name: &str) -> Option<(usize, usize)> {
        self.inner.output(name)
    }

    /// What the file says about itself under `celebcam.<key>`.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str)
    }

    /// [`property`](Self::property), read as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when it is missing or does not have the shape of a `T`.
    pub fn json_property<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T> {
        let text =
            self.property(key).ok_or_else(|| self.unusable(Unusable::Lacks(key.to_owned())))?;
        serde_json::from_str(text).map_err(|error| {
            self.unusable(Unusable::Broken { key: key.to_owned(), fault: error.into() })
        })
    }

    /// Checks that the model is of `kind`: "recognizer", "detector" or "aligner".
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when it is not.
    pub fn expect_kind(&self, kind: &str) -> Result<()> {
        match self.property("kind") {
            Some(found) if found == kind => Ok(()),
            Some(found) => {
                let (found, needed) = (found.to_owned(), kind.to_owned());
                Err(self.unusable(Unusable::Kind { found, needed }))
            }
            None => Err(self.unusable(Unusable::Lacks("kind".to_owned()))),
        }
    }

    /// An [`Error::Unusable`] about this model, which does not fit what it is for.
    pub fn wrong(&self, reason: String) -> Error {
        self.unusable(Unusable::Unfit(reason))
    }

    fn unusable(&self, reason: Unusable) -> Error {
        Error::Unusable { origin: self.origin.clone(), reason }
    }

    /// Where the model came from: a path, or "built in".
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the file.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Size of the file.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Model")
            .field("origin", &self.origin)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

fn read_properties(file: &OnnxFile) -> Result<BTreeMap<String, String>, Unusable> {
    let entries =
        || file.metadata().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    if entries().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES {
        return Err(Unusable::TooMuchMetadata);
    }
    let properties: BTreeMap<_, _> =
        entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match properties.get("schema").map(String::as_str) {
        Some(SCHEMA) => Ok(properties),
        Some(other) => Err(Unusable::Schema(other.to_owned())),
        None => Err(Unusable::NoMetadata),
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
