//! A model: an ONNX file, what computes its outputs, and the way to run it.

use std::fmt;
use std::sync::atomic::Ordering;

use tract_onnx::pb::ModelProto;

use crate::arena::Input;
use crate::error::{Error, ModelError, Result, RunError};
use crate::isa::Isa;
use crate::lower;
use crate::network::{LayerTime, Network};
use crate::onnx;
use crate::onnx::sizes::Sizes;
use crate::settings::Settings;
use crate::tract::Plan;

/// An ONNX file that was parsed and is no larger than the [`limits`](crate::limits).
pub struct OnnxFile(ModelProto);

impl OnnxFile {
    /// Parses the file in `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is no ONNX file, exceeds the [`limits`](crate::limits) or holds something
    /// that is not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Ok(Self(onnx::parse(bytes)?))
    }

    /// What the file says about itself, key and value (`metadata_props`).
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.metadata_props.iter().map(|entry| (&*entry.key, &*entry.value))
    }
}

impl fmt::Debug for OnnxFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.0.graph.as_ref().map_or(0, |graph| graph.node.len());
        formatter.debug_struct("OnnxFile").field("nodes", &nodes).finish_non_exhaustive()
    }
}

/// A model that is ready to run. It can be shared between threads.
pub struct Model {
    height: u32,
    width: u32,
    output_names: Vec<String>,
    output_lengths: Vec<usize>,
    runner: Runner,
    settings: Settings,
}

/// What computes the outputs.
enum Runner {
    /// The whole graph, in our own arithmetic.
    Network(Box<Network>),
    /// tract, which calls our arithmetic for the parts that were lowered.
    Tract(Plan),
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
    /// [`Error::Model`] when it is not a model that can be run or exceeds the [`limits`](crate::limits),
    /// saying why; [`Error::Threads`] and [`Error::Memory`] when these are short.
    pub fn build(file: &OnnxFile, settings: &Settings) -> Result<Self> {
        let graph = file.0.graph.as_ref().ok_or(ModelError::NoGraph)?;
        let (height, width) = onnx::picture_size(graph).ok_or(ModelError::Input)?;
        let runner = Runner::new(&file.0, settings)?;
        let output_lengths = match &runner {
            Runner::Network(network) => network.output_lengths(),
            Runner::Tract(plan) => plan.output_lengths()?,
        };
        let output_names = graph.output.iter().map(|output| output.name.clone()).collect();
        let settings = settings.clone();
        Ok(Self { height, width, output_names, output_lengths, runner, settings })
    }

    /// Runs the model on a picture of exactly its [input size](Self::input_size), three bytes a pixel (red,
    /// green, blue) and row by row, and gives its outputs, flattened, in the order of
    /// [`output_names`](Self::output_names).
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when the picture has another size or the graph fails, [`Error::Memory`] when there
    /// is none for the values of the run, [`Error::Stopped`] when the work is stopped.
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
            Runner::Tract(plan) => plan.run(self.input_size(), rgb, outputs).map_err(|failure| {
                if self.settings.stop().load(Ordering::Relaxed) {
                    Error::Stopped
                } else {
                    RunError::from(failure).into()
                }
            }),
        }
    }

    /// As [`run`](Self::run), and gives the time of each layer in place of the outputs; `None` where tract
    /// runs a part of the model.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(&self, rgb: &[u8]) -> Result<Option<Vec<LayerTime>>> {
        let Some(network) = self.network() else { return Ok(None) };
        let mut outputs = vec![Vec::new(); self.output_names.len()];
        network.run_timed(&[Input::Pixels(rgb)], &mut outputs).map(Some)
    }

    fn network(&self) -> Option<&Network> {
        match &self.runner {
            Runner::Network(network) => Some(network),
            Runner::Tract(_) => None,
        }
    }

    /// Names of the kernels that compute the model; `None` where tract runs a part of it.
    pub fn kernel_names(&self) -> Option<[&'static str; 5]> {
        self.network().map(Network::kernel_names)
    }

    /// Multiplications of one run; `None` where tract runs a part of the model.
    pub fn macs(&self) -> Option<u64> {
        self.network().map(Network::macs)
    }

    /// What it was loaded with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The instruction set that it was loaded for.
    pub fn isa(&self) -> Isa {
        self.settings.isa()
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

impl fmt::Debug for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = format!("{}x{}", self.width, self.height);
        formatter.debug_struct("Model").field("input", &size).finish_non_exhaustive()
    }
}

impl Runner {
    fn new(proto: &ModelProto, settings: &Settings) -> Result<Self> {
        let sizes = Sizes::of(proto.graph.as_ref().ok_or(ModelError::NoGraph)?)?;
        let lowered = lower::lower(proto, &sizes)?;
        let Some(rest) = lowered.rest else {
            let region = lowered.regions.first().ok_or(ModelError::NothingToCompute)?;
            return Ok(Self::Network(Box::new(Network::new(&region.graph, settings)?)));
        };
        let rest = onnx::without_declarations(rest);
        let given = lowered.regions.iter().flat_map(|region| &region.outputs);
        let given_bytes = given.map(lower::Outside::bytes).fold(0, usize::saturating_add);
        sizes.check_rest(rest.graph.as_ref().ok_or(ModelError::NoGraph)?, given_bytes)?;
        Ok(Self::Tract(Plan::new(&rest, &lowered.regions, settings)?))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::error::TractError;
    use crate::onnx::example::{Model as Example, SIZE};

    /// A model whose picture goes through a layer and then `operation`.
    fn with(operation: &str) -> ModelProto {
        let mut example = Example::default();
        let picture = example.picture();
        let conv = example.conv(&picture, [4, 3, 3, 3], 1, [1; 4]);
        let codes = example.quantized(&conv, 0.02, 0);
        let output = example.node(operation, &[&codes], &[]);
        example.finish(&[&output])
    }

    fn load(proto: &ModelProto) -> Result<Model> {
        Model::load(&proto.encode_to_vec(), &Settings::new(1))
    }

    #[test]
    fn an_operation_that_nobody_has_is_refused_by_its_name() {
        let made_up = with("Frobnicate");
        let message = load(&made_up).expect_err("nobody has it").to_string();
        assert!(
            message.contains("(Frobnicate): celebcam does not know this operator"),
            "{message}"
        );
        let plan = Plan::new(&made_up, &[], &Settings::new(1)).map(drop);
        let error = plan.expect_err("tract has it neither");
        let unknown = TractError::UnknownOperation("Frobnicate".to_owned());
        assert!(matches!(&error, ModelError::Tract(said) if *said == unknown), "{error:?}");
        let said = "tract cannot run its graph: it has no operation Frobnicate";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn an_operation_whose_size_is_known_runs_or_is_refused_by_its_name() {
        let mut ran = 0;
        for operation in [
            "Celu",
            "Elu",
            "Erf",
            "Exp",
            "Floor",
            "Gelu",
            "HardSwish",
            "Mish",
            "Selu",
            "Softmax",
            "Softplus",
            "Softsign",
            "Tanh",
        ] {
            match load(&with(operation)) {
                Ok(model) => {
                    let outputs = model.run(&vec![9; SIZE[0] * SIZE[1] * 3]).expect(operation);
                    assert_eq!(outputs[0].len(), model.output_lengths()[0]);
                    ran += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains(operation), "{operation}: {error}");
                }
            }
        }
        assert!(ran > 5, "{ran}");
    }

    #[test]
    fn a_picture_may_have_any_name() {
        let mut proto = with("Relu");
        let graph = proto.graph.as_mut().expect("it has one");
        graph.input[0].name = "photo".to_owned();
        for name in graph.node.iter_mut().flat_map(|node| &mut node.input) {
            if name == "image" {
                *name = "photo".to_owned();
            }
        }
        let model = load(&proto).expect("a picture is a picture");
        assert_eq!(model.input_size(), (SIZE[0] as u32, SIZE[1] as u32));
        graph_input(&mut proto).shape.as_mut().expect("it has one").dim.truncate(3);
        let message = load(&proto).expect_err("no picture").to_string();
        assert!(message.starts_with("its input must be one picture, `image`: uint8"), "{message}");
    }

    fn graph_input(proto: &mut ModelProto) -> &mut tract_onnx::pb::type_proto::Tensor {
        use tract_onnx::pb::type_proto::Value;
        let input = &mut proto.graph.as_mut().expect("it has one").input[0];
        let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        let Some(Value::TensorType(tensor)) = kind else { panic!("a picture is a tensor") };
        tensor
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let mut example = Example::default();
        let picture = example.picture();
        let conv = example.conv(&picture, [4, 3, 3, 3], 1, [1; 4]);
        let output = example.quantized(&conv, 0.02, 0);
        let whole = load(&example.finish(&[&output])).expect("it is lowered");
        let error = whole.run(&[0; 5]).expect_err("too short");
        assert!(matches!(error, Error::Run(RunError::Input)), "{error:?}");
        assert!(whole.kernel_names().is_some() && whole.macs() > Some(0));
        let in_part = load(&with("Tanh")).expect("tract has it");
        let error = in_part.run(&[0; 5]).expect_err("too short");
        assert!(matches!(error, Error::Run(RunError::Tract(_))), "{error:?}");
        assert!(in_part.kernel_names().is_none() && in_part.macs().is_none());
    }
}
