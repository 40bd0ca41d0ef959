//! A model file of celebcam's: an ONNX file that says what it is for in its metadata, under the prefix
//! `celebcam.`.

use std::collections::BTreeMap;
use std::path::Path;

use celebcam_engine::limits::{FILE_BYTES, METADATA_BYTES};
use celebcam_engine::{LayerTime, OnnxFile, SENTENCE_LENGTH, Settings, shortened};
use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::system::bounded;

/// Version of the metadata that this build reads.
const SCHEMA: &str = "1";

/// Prefix of our keys in the metadata of an ONNX file.
const PREFIX: &str = "celebcam.";

/// Most characters of a word of the metadata in a message.
const WORD_LENGTH: usize = 40;

/// Lowers the choice of the instruction set.
pub const ISA_VARIABLE: &str = "CELEBCAM_ISA";

/// The best kernels of this processor that `CELEBCAM_ISA` allows, on `threads` threads.
///
/// # Errors
///
/// [`Error::Config`] when `CELEBCAM_ISA` names kernels that this processor cannot run.
pub fn settings(threads: usize) -> Result<Settings> {
    let limit = std::env::var(ISA_VARIABLE).ok().filter(|name| !name.is_empty());
    let best = Settings::new(threads);
    let Some(limit) = limit else { return Ok(best) };
    best.with_isa(&limit).map_err(|reason| Error::Config(format!("{ISA_VARIABLE}: {reason}")))
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
    /// [`Error::Model`] when the file cannot be read, is no regular file, or is not a model that
    /// celebcam can run.
    pub fn read(path: &Path, settings: &Settings) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = bounded::read(path, FILE_BYTES).map_err(|error| Error::Model {
            origin: origin.clone(),
            reason: format!("cannot be read: {error}"),
        })?;
        Self::load(&bytes, &origin, settings)
    }

    /// Loads the ONNX file in `bytes`; `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is not a model that celebcam can run or exceeds the
    /// [limits](celebcam_engine::limits), saying why.
    pub fn load(bytes: &[u8], origin: &str, settings: &Settings) -> Result<Self> {
        let wrong = |reason: String| Error::Model { origin: origin.to_owned(), reason };
        let refused = |error: celebcam_engine::Error| wrong(error.to_string());
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
    /// [`Error::Inference`] when the picture has another size or the graph fails, [`Error::Stopped`] when
    /// the work is stopped.
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
        self.inner.run_into(rgb.as_raw(), outputs).map_err(failed)
    }

    /// As [`run_into`](Self::run_into), and gives the time of each layer; `None` where tract runs
    /// the model.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(&self, rgb: &RgbImage) -> Result<Option<Vec<LayerTime>>> {
        self.check_size(rgb)?;
        self.inner.run_timed(rgb.as_raw()).map_err(failed)
    }

    fn check_size(&self, rgb: &RgbImage) -> Result<()> {
        let (height, width) = self.input_size();
        if rgb.dimensions() == (width, height) {
            return Ok(());
        }
        Err(Error::Inference(format!(
            "the model takes {}x{} pixels, not {}x{}",
            width,
            height,
            rgb.width(),
            rgb.height()
        )))
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
    /// [`Error::Model`] when it is missing or does not have the shape of a `T`.
    pub fn json_property<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T> {
        let text = self
            .property(key)
            .ok_or_else(|| self.wrong(format!("its metadata lacks {PREFIX}{key}")))?;
        serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let error = shortened(&error, SENTENCE_LENGTH);
            self.wrong(format!("its metadata {PREFIX}{key} is broken: {error}"))
        })
    }

    /// Checks that the model is of `kind`, "recognizer" or "detector".
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is not.
    pub fn expect_kind(&self, kind: &str) -> Result<()> {
        match self.property("kind") {
            Some(found) if found == kind => Ok(()),
            Some(found) => {
                let found = shortened(found, WORD_LENGTH);
                Err(self.wrong(format!("its kind is {found}; {kind} is needed here")))
            }
            None => Err(self.wrong(format!("its metadata lacks {PREFIX}kind"))),
        }
    }

    /// An [`Error::Model`] about this model.
    pub fn wrong(&self, reason: String) -> Error {
        Error::Model { origin: self.origin.clone(), reason }
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

fn failed(error: celebcam_engine::Error) -> Error {
    match error {
        celebcam_engine::Error::Stopped => Error::Stopped,
        error => Error::Inference(error.to_string()),
    }
}

fn read_properties(file: &OnnxFile) -> Result<BTreeMap<String, String>, String> {
    let entries =
        || file.metadata().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    if entries().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES {
        let most = METADATA_BYTES / 1_000_000;
        return Err(format!("its metadata has more than {most} MB, which is the limit"));
    }
    let properties: BTreeMap<_, _> =
        entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match properties.get("schema").map(String::as_str) {
        Some(SCHEMA) => Ok(properties),
        Some(other) => Err(format!(
            "its metadata has schema {} and this celebcam reads {SCHEMA}; use the trainer of the same \
             version",
            shortened(other, WORD_LENGTH)
        )),
        None => Err("it has no celebcam metadata; export it with celebcam's trainer".to_owned()),
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
