//! The narrow boundary to inference: an ONNX file in, vectors of numbers out.
//!
//! A model takes one picture, `image`: uint8, [1, height, width, 3], raw RGB. Everything else it
//! needs (scaling, layout) is in its graph. What the file says about itself is in its ONNX
//! `metadata_props` under the prefix `celebcam.`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::bounded;
use crate::error::{Error, Result};
use crate::stop::StopFlag;
use int8::isa::Isa;
use int8::network::{Input, LayerTime, Network};
use limits::{FILE_BYTES, METADATA_BYTES};
use onnx::sizes::Sizes;

pub mod int8;
pub mod limits;
mod lower;
mod onnx;
mod ops;

/// Lowers the choice of the instruction set.
pub const ISA_VARIABLE: &str = "CELEBCAM_ISA";

/// Version of the metadata that this build reads.
const SCHEMA: &str = "1";

/// Prefix of our keys in the `metadata_props` of an ONNX file.
const PREFIX: &str = "celebcam.";

/// Most characters of a word of the metadata in a message.
const WORD_LENGTH: usize = 40;

/// Most characters of what others say of a model in a message.
const SENTENCE_LENGTH: usize = 200;

/// How models are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kernels to use.
    pub isa: Isa,
    /// Threads for one picture.
    pub threads: usize,
    /// Ends the work on a picture early, with an error.
    pub stop: StopFlag,
}

impl Settings {
    /// The best kernels of this processor that `CELEBCAM_ISA` allows, on `threads` threads.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when `CELEBCAM_ISA` names kernels that this processor cannot run.
    pub fn new(threads: usize) -> Result<Self> {
        let limit = std::env::var(ISA_VARIABLE).ok().filter(|name| !name.is_empty());
        let isa = Isa::choose(limit.as_deref())
            .map_err(|reason| Error::Config(format!("{ISA_VARIABLE}: {reason}")))?;
        Ok(Self { isa, threads, stop: StopFlag::default() })
    }
}

/// A model that is ready to run. It can be shared between threads.
pub struct Model {
    origin: String,
    fingerprint: String,
    size_bytes: usize,
    properties: BTreeMap<String, String>,
    height: u32,
    width: u32,
    output_names: Vec<String>,
    output_lengths: Vec<usize>,
    runner: Runner,
    isa: Isa,
}

/// What computes the outputs.
enum Runner {
    /// The whole graph, in our own arithmetic.
    Network(Box<Network>),
    /// tract, which calls our arithmetic for the parts that were lowered.
    Tract(Arc<TypedRunnableModel>),
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
    /// [`Error::Model`] when it is not a model that celebcam can run or exceeds the [`limits`], saying
    /// why.
    pub fn load(bytes: &[u8], origin: &str, settings: &Settings) -> Result<Self> {
        let wrong = |reason: String| Error::Model { origin: origin.to_owned(), reason };
        let proto = onnx::parse(bytes).map_err(wrong)?;
        let properties = read_properties(&proto).map_err(wrong)?;
        let (height, width) = read_input_size(&proto).map_err(wrong)?;
        let runner = compile(&proto, settings).map_err(wrong)?;
        let (output_names, output_lengths) = read_outputs(&proto, &runner).map_err(wrong)?;
        Ok(Self {
            origin: origin.to_owned(),
            fingerprint: fingerprint(bytes),
            size_bytes: bytes.len(),
            properties,
            height,
            width,
            output_names,
            output_lengths,
            runner,
            isa: settings.isa,
        })
    }

    /// Runs the model on a picture of exactly its [input size](Self::input_size) and gives its
    /// outputs, flattened, in the order of [`output_names`](Self::output_names).
    ///
    /// # Errors
    ///
    /// [`Error::Inference`] when the picture has another size, the graph fails or the work is stopped.
    pub fn run(&self, rgb: &RgbImage) -> Result<Vec<Vec<f32>>> {
        let mut outputs = vec![Vec::new(); self.output_names.len()];
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
        match &self.runner {
            Runner::Network(network) => {
                network.run(&[Input::Pixels(rgb.as_raw())], outputs).map_err(Error::Inference)
            }
            Runner::Tract(plan) => {
                let failed = |error: TractError| Error::Inference(in_short(&error));
                let shape = [1, self.height as usize, self.width as usize, 3];
                let image = Tensor::from_shape(&shape, rgb.as_raw()).map_err(failed)?;
                let values =
                    guarded(|| plan.run(tvec!(image.into_tvalue()))).map_err(Error::Inference)?;
                for (output, value) in outputs.iter_mut().zip(values) {
                    output.clear();
                    output.extend(value.to_plain_array_view::<f32>().map_err(failed)?.iter());
                }
                Ok(())
            }
        }
    }

    /// As [`run_into`](Self::run_into), and gives the time of each layer; `None` where tract runs
    /// the model.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(&self, rgb: &RgbImage) -> Result<Option<Vec<LayerTime>>> {
        self.check_size(rgb)?;
        let Runner::Network(network) = &self.runner else { return Ok(None) };
        let mut outputs = vec![Vec::new(); self.output_names.len()];
        let times = network.run_timed(&[Input::Pixels(rgb.as_raw())], &mut outputs);
        Ok(Some(times.map_err(Error::Inference)?))
    }

    fn check_size(&self, rgb: &RgbImage) -> Result<()> {
        if rgb.dimensions() == (self.width, self.height) {
            return Ok(());
        }
        Err(Error::Inference(format!(
            "the model takes {}x{} pixels, not {}x{}",
            self.width,
            self.height,
            rgb.width(),
            rgb.height()
        )))
    }

    /// The network that computes the whole model; `None` where tract has to run a part of it.
    pub fn network(&self) -> Option<&Network> {
        match &self.runner {
            Runner::Network(network) => Some(network),
            Runner::Tract(_) => None,
        }
    }

    /// The instruction set that it was loaded for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Height and width of the picture that the model takes, in pixels.
    pub fn input_size(&self) -> (u32, u32) {
        (self.height, self.width)
    }

    /// Names of the outputs.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// Number of values of each output, in the order of [`output_names`](Self::output_names).
    pub fn output_lengths(&self) -> &[usize] {
        &self.output_lengths
    }

    /// Position and length of the output called `name`.
    pub fn output(&self, name: &str) -> Option<(usize, usize)> {
        let index = self.output_names.iter().position(|other| other == name)?;
        Some((index, self.output_lengths[index]))
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
            let error = bounded::shortened(&error, SENTENCE_LENGTH);
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
                let found = bounded::shortened(found, WORD_LENGTH);
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

fn read_properties(proto: &ModelProto) -> std::result::Result<BTreeMap<String, String>, String> {
    let entries = || {
        let entries = proto.metadata_props.iter();
        entries.filter_map(|entry| Some((entry.key.strip_prefix(PREFIX)?, &entry.value)))
    };
    if entries().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES {
        let most = METADATA_BYTES / 1_000_000;
        return Err(format!("its metadata has more than {most} MB, which is the limit"));
    }
    let properties: BTreeMap<_, _> =
        entries().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    match properties.get("schema").map(String::as_str) {
        Some(SCHEMA) => Ok(properties),
        Some(other) => Err(format!(
            "its metadata has schema {} and this celebcam reads {SCHEMA}; use the trainer of the same \
             version",
            bounded::shortened(other, WORD_LENGTH)
        )),
        None => Err("it has no celebcam metadata; export it with celebcam's trainer".to_owned()),
    }
}

fn read_input_size(proto: &ModelProto) -> std::result::Result<(u32, u32), String> {
    use tract_onnx::pb::{
        tensor_proto::DataType, tensor_shape_proto::dimension::Value, type_proto,
    };
    let wrong = || {
        "its input must be one picture, `image`: uint8 [1, height, width, 3] with fixed sizes"
            .to_owned()
    };
    let [input] = &proto.graph.as_ref().ok_or_else(wrong)?.input[..] else { return Err(wrong()) };
    let Some(type_proto::Value::TensorType(tensor)) =
        input.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return Err(wrong());
    };
    let sizes: Vec<i64> = tensor
        .shape
        .iter()
        .flat_map(|shape| &shape.dim)
        .map(|dim| match dim.value {
            Some(Value::DimValue(size)) => size,
            _ => -1,
        })
        .collect();
    match sizes[..] {
        [1, height, width, 3]
            if input.name == "image"
                && tensor.elem_type == DataType::Uint8 as i32
                && (1..=2048).contains(&height)
                && (1..=2048).contains(&width) =>
        {
            Ok((height as u32, width as u32))
        }
        _ => Err(wrong()),
    }
}

fn compile(proto: &ModelProto, settings: &Settings) -> std::result::Result<Runner, String> {
    let sizes = Sizes::of(proto.graph.as_ref().ok_or("it holds no graph")?)?;
    let lowered = lower::lower(proto, &sizes)?;
    let Some(rest) = lowered.rest else {
        let region = lowered.regions.first().ok_or("it computes nothing")?;
        let network = Network::new(&region.graph, settings.isa, settings.threads)?
            .stopping_at(settings.stop.clone());
        return Ok(Runner::Network(Box::new(network)));
    };
    let rest = onnx::without_declarations(rest);
    let given = lowered.regions.iter().flat_map(|region| &region.outputs);
    let given_bytes = given.map(lower::Outside::bytes).fold(0, usize::saturating_add);
    sizes.check_rest(rest.graph.as_ref().ok_or("it holds no graph")?, given_bytes)?;
    let build =
        || ops::region::model(&rest, &lowered.regions, settings)?.into_optimized()?.into_runnable();
    guarded(build)
        .map(Runner::Tract)
        .map_err(|reason| format!("tract cannot run its graph: {reason}"))
}

/// What tract does, or what it said in short. It asserts on some graphs that nobody meant for it.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| in_short(&error)),
        Err(_) => Err("it holds what tract does not expect".to_owned()),
    }
}

/// What tract said, which can be as long as the model.
fn in_short(error: &TractError) -> String {
    bounded::shortened(&format!("{error:#}"), SENTENCE_LENGTH).into_owned()
}

fn read_outputs(
    proto: &ModelProto,
    runner: &Runner,
) -> std::result::Result<(Vec<String>, Vec<usize>), String> {
    let graph = proto.graph.as_ref().ok_or("it holds no graph")?;
    let names = graph.output.iter().map(|output| output.name.clone()).collect();
    let plan = match runner {
        Runner::Network(network) => return Ok((names, network.output_lengths())),
        Runner::Tract(plan) => plan,
    };
    let lengths = plan
        .model()
        .outputs
        .iter()
        .map(|&outlet| {
            let fact = plan.model().outlet_fact(outlet).map_err(|error| error.to_string())?;
            let shape = fact.shape.as_concrete().ok_or("its outputs have no fixed size")?;
            if fact.datum_type != f32::datum_type() {
                return Err("its outputs must be float32".to_owned());
            }
            Ok(shape.iter().product())
        })
        .collect::<std::result::Result<_, String>>()?;
    Ok((names, lengths))
}

fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
