//! Runs quantized (int8) ONNX models of pictures on small ARM and x86 cores.
//!
//! A model takes one picture, `image`: uint8, [1, height, width, 3], raw RGB. Everything else that it
//! needs (scaling, layout) is in its graph. Its quantized layers are lowered to our own arithmetic;
//! tract loads and runs what is not lowered.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use int8::isa::Isa;
use int8::network::{Input, LayerTime, Network};
use onnx::sizes::Sizes;

pub mod int8;
pub mod limits;
mod lower;
mod onnx;
mod ops;

/// Most characters of what others say of a model in a message.
pub const SENTENCE_LENGTH: usize = 200;

/// Result with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a model that can be run, and why.
    #[error("{0}")]
    Model(String),
    /// There are no such kernels on this processor.
    #[error("{0}")]
    Settings(String),
    /// A run failed on a model that had loaded.
    #[error("{0}")]
    Run(String),
    /// The run was stopped, see [`Settings::stop`].
    #[error("it was stopped")]
    Stopped,
}

/// How models are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kernels to use.
    pub isa: Isa,
    /// Threads for one picture.
    pub threads: usize,
    /// Ends the work on a picture early, with [`Error::Stopped`], once it is true.
    pub stop: Arc<AtomicBool>,
}

impl Settings {
    /// The best kernels of this processor that are no better than those called `limit`, on `threads`
    /// threads.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when `limit` names kernels that this processor cannot run.
    pub fn new(threads: usize, limit: Option<&str>) -> Result<Self> {
        let isa = Isa::choose(limit).map_err(Error::Settings)?;
        Ok(Self { isa, threads, stop: Arc::default() })
    }
}

/// An ONNX file that was parsed and is no larger than the [`limits`].
pub struct OnnxFile(ModelProto);

impl OnnxFile {
    /// Parses the file in `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is no ONNX file, exceeds the [`limits`] or holds what no model that can be
    /// run does.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        onnx::parse(bytes).map(Self).map_err(Error::Model)
    }

    /// What the file says about itself, key and value (`metadata_props`).
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.metadata_props.iter().map(|entry| (&*entry.key, &*entry.value))
    }
}

/// A model that is ready to run. It can be shared between threads.
pub struct Model {
    height: u32,
    width: u32,
    output_names: Vec<String>,
    output_lengths: Vec<usize>,
    runner: Runner,
    isa: Isa,
    stop: Arc<AtomicBool>,
}

/// What computes the outputs.
enum Runner {
    /// The whole graph, in our own arithmetic.
    Network(Box<Network>),
    /// tract, which calls our arithmetic for the parts that were lowered.
    Tract(Arc<TypedRunnableModel>),
}

impl Model {
    /// Loads the ONNX file in `bytes`.
    ///
    /// # Errors
    ///
    /// Those of [`OnnxFile::parse`] and of [`Model::build`].
    pub fn load(bytes: &[u8], settings: &Settings) -> Result<Self> {
        Self::build(&OnnxFile::parse(bytes)?, settings)
    }

    /// Makes the model in the file ready to run.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is not a model that can be run or exceeds the [`limits`], saying why.
    pub fn build(file: &OnnxFile, settings: &Settings) -> Result<Self> {
        let proto = &file.0;
        let (height, width) = read_input_size(proto).map_err(Error::Model)?;
        let runner = compile(proto, settings).map_err(Error::Model)?;
        let (output_names, output_lengths) = read_outputs(proto, &runner).map_err(Error::Model)?;
        let (isa, stop) = (settings.isa, Arc::clone(&settings.stop));
        Ok(Self { height, width, output_names, output_lengths, runner, isa, stop })
    }

    /// Runs the model on a picture of exactly its [input size](Self::input_size), three bytes a pixel, and
    /// gives its outputs, flattened, in the order of [`output_names`](Self::output_names).
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when the picture has another size or the graph fails, [`Error::Stopped`] when the work
    /// is stopped.
    pub fn run(&self, rgb: &[u8]) -> Result<Vec<Vec<f32>>> {
        let mut outputs = vec![Vec::new(); self.output_names.len()];
        self.run_into(rgb, &mut outputs)?;
        Ok(outputs)
    }

    /// As [`run`](Self::run), into vectors that are used again, one for each output.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_into(&self, rgb: &[u8], outputs: &mut [Vec<f32>]) -> Result<()> {
        match &self.runner {
            Runner::Network(network) => network.run(&[Input::Pixels(rgb)], outputs),
            Runner::Tract(plan) => self.run_plan(plan, rgb, outputs).map_err(|reason| {
                if self.stop.load(Ordering::Relaxed) { Error::Stopped } else { Error::Run(reason) }
            }),
        }
    }

    fn run_plan(
        &self,
        plan: &Arc<TypedRunnableModel>,
        rgb: &[u8],
        outputs: &mut [Vec<f32>],
    ) -> Result<(), String> {
        let failed = |error: TractError| in_short(&error);
        let shape = [1, self.height as usize, self.width as usize, 3];
        let image = Tensor::from_shape(&shape, rgb).map_err(failed)?;
        let values = guarded(|| plan.run(tvec!(image.into_tvalue())))?;
        for (output, value) in outputs.iter_mut().zip(values) {
            output.clear();
            output.extend(value.to_plain_array_view::<f32>().map_err(failed)?.iter());
        }
        Ok(())
    }

    /// As [`run_into`](Self::run_into), and gives the time of each layer; `None` where tract runs
    /// the model.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(&self, rgb: &[u8]) -> Result<Option<Vec<LayerTime>>> {
        let Runner::Network(network) = &self.runner else { return Ok(None) };
        let mut outputs = vec![Vec::new(); self.output_names.len()];
        network.run_timed(&[Input::Pixels(rgb)], &mut outputs).map(Some)
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
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = format!("{}x{}", self.width, self.height);
        formatter.debug_struct("Model").field("input", &size).finish_non_exhaustive()
    }
}

fn read_input_size(proto: &ModelProto) -> Result<(u32, u32), String> {
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

fn compile(proto: &ModelProto, settings: &Settings) -> Result<Runner, String> {
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
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| in_short(&error)),
        Err(_) => Err("it holds what tract does not expect".to_owned()),
    }
}

/// What tract said, which can be as long as the model.
fn in_short(error: &TractError) -> String {
    shortened(&format!("{error:#}"), SENTENCE_LENGTH).into_owned()
}

fn read_outputs(proto: &ModelProto, runner: &Runner) -> Result<(Vec<String>, Vec<usize>), String> {
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
        .collect::<Result<_, String>>()?;
    Ok((names, lengths))
}

/// The text, no longer than `most` characters and three dots: what a file says of itself can be long.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_off_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö...");
        assert_eq!(shortened("", 0), "");
    }
}
