//! What can go wrong, from the file to the outputs.

use crate::isa::Isa;
use crate::limits::{
    ARENA_BYTES, LOWERED_BYTES, NODES, OPERATIONS, PARSED_BYTES, TRACT_BYTES, WEIGHT_BYTES, WINDOW,
};

/// Result with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

const MB: usize = 1_000_000;
const BILLION: u64 = 1_000_000_000;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a model that can be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// This processor has no instruction set of that name, or there are no kernels for it.
    #[error("this processor has no {name}; it has {}", listed(available))]
    UnknownIsa {
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<Isa>,
    },
    /// The system does not give so many threads.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// What was asked for.
        threads: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no memory for what the model keeps or for the values of a run.
    #[error("there is no memory for the {bytes} bytes that it needs")]
    Memory {
        /// What was asked for.
        bytes: usize,
    },
    /// A run failed on a model that had loaded.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run was stopped, see [`Settings::stop`](crate::Settings::stop).
    #[error("it was stopped")]
    Stopped,
}

fn listed(isas: &[Isa]) -> String {
    isas.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

/// Why a file is not a model that can be run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are no ONNX file, or only the first part of one.
    #[error("it is not an ONNX file, or it is cut off")]
    NotOnnx,
    /// The file holds something that is not supported; the text says what, and what to do about it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// It exceeds one of the [limits](crate::limits).
    #[error(transparent)]
    Limit(#[from] Limit),
    /// The file holds no graph.
    #[error("it holds no graph")]
    NoGraph,
    /// The outputs of the graph need no node.
    #[error("it computes nothing")]
    NothingToCompute,
    /// The graph takes something else than one picture.
    #[error("its input must be one picture, `image`: uint8 [1, height, width, 3] with fixed sizes")]
    Input,
    /// An input has sizes that are not in the file.
    #[error("its input has no fixed size")]
    InputSize,
    /// A constant cannot be used.
    #[error("its constant {name} {reason}")]
    Constant {
        /// Name of the constant, shortened.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A node cannot be computed.
    #[error("node {name} ({operator}): {reason}")]
    Node {
        /// Name of the node or of its result, shortened.
        name: String,
        /// Its type in ONNX, shortened.
        operator: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name is not free to use.
    #[error("it has a value called {name}, {reason}")]
    Name {
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two values have one name.
    #[error("two of its values are called {0}")]
    SameName(String),
    /// An output of the graph is the result of no node.
    #[error("its output {0} is not computed")]
    MissingOutput(String),
    /// The sizes of an output are not known before a run.
    #[error("its outputs have no fixed size")]
    OutputSize,
    /// An output holds something else than float32.
    #[error("its outputs must be float32")]
    OutputType,
    /// A quantized layer cannot be computed.
    #[error("layer {name}: {source}")]
    Layer {
        /// Name of the node.
        name: String,
        /// What is wrong with it.
        source: LayerError,
    },
    /// The quantized layers do not make a graph.
    #[error(transparent)]
    Graph(#[from] LayerError),
    /// tract, which runs what is not quantized, cannot run that.
    #[error("tract cannot run its graph: {0}")]
    Tract(#[from] TractError),
}

/// Which of the [limits](crate::limits) a model exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// [`PARSED_BYTES`].
    #[error("it takes more than {} MB of memory, which is the limit", PARSED_BYTES / MB)]
    Parsed,
    /// [`NODES`].
    #[error("it has more than {NODES} nodes, which is the limit")]
    Nodes,
    /// [`OPERATIONS`].
    #[error("a run takes more than {} billion operations, which is the limit", OPERATIONS / BILLION)]
    Operations,
    /// [`LOWERED_BYTES`].
    #[error(
        "its weights take more than {} MB while they are read, which is the limit",
        LOWERED_BYTES / MB
    )]
    Lowered,
    /// [`WEIGHT_BYTES`].
    #[error("its weights take more than {} MB, which is the limit", WEIGHT_BYTES / MB)]
    Weights,
    /// [`ARENA_BYTES`].
    #[error("its values take more than {} MB, which is the limit", ARENA_BYTES / MB)]
    Values,
    /// [`WINDOW`].
    #[error("it has a window, stride or padding of more than {WINDOW}")]
    Window,
    /// [`TRACT_BYTES`].
    #[error("what is not quantized in it takes more than {} MB, which is the limit", TRACT_BYTES / MB)]
    Tract,
    /// [`FOLDED_OPERATIONS`](crate::limits::FOLDED_OPERATIONS).
    #[error("it computes too much from constants; export it with them folded")]
    Folded,
}

/// Why a quantized layer cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// A node uses a value that no earlier one gives, or gives one that is there.
    #[error("the nodes of the graph are not in order")]
    Order,
    /// A node has more or fewer inputs than its operation.
    #[error("it has another number of inputs than it needs")]
    Inputs,
    /// A value should hold codes.
    #[error("it needs codes where there are none")]
    Codes,
    /// A value should hold floats.
    #[error("it needs floats where there are none")]
    Floats,
    /// Sizes contradict each other.
    #[error("its inputs, weights and output do not fit together")]
    Shapes,
    /// A value has no elements.
    #[error("it computes an empty value")]
    Empty,
    /// A weight is -128, which has no opposite: the kernels count on symmetric weights.
    #[error("it has a weight of -128; weights must be symmetric")]
    Asymmetric,
    /// The window is higher than those of the kernels.
    #[error("its window has more than {most} rows")]
    WindowRows {
        /// The most that there may be.
        most: usize,
    },
    /// Scales are so far apart that a sum of two values overflows.
    #[error("its sum can exceed 32 bits")]
    Sum,
    /// The accumulator of a channel overflows.
    #[error("the sum of channel {0} can exceed 32 bits")]
    ChannelSum(usize),
    /// The scaled accumulator of a channel overflows.
    #[error("the result of channel {0} can exceed 32 bits")]
    ChannelResult(usize),
    /// It exceeds one of the [limits](crate::limits).
    #[error(transparent)]
    Limit(#[from] Limit),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another number of inputs or outputs was given than the model has.
    #[error("the network has another number of inputs or outputs")]
    Count,
    /// An input is not what the model takes, such as a picture of another size.
    #[error("an input of the network has the wrong kind or length")]
    Input,
    /// tract failed, which runs what is not quantized.
    #[error(transparent)]
    Tract(#[from] TractError),
}

/// What tract said, in short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TractError {
    /// It refused. A sentence of tract's, cut off after
    /// [`SENTENCE_LENGTH`](crate::text::SENTENCE_LENGTH) characters.
    #[error("{0}")]
    Refused(String),
    /// It has no such operation.
    #[error("it has no operation {0}")]
    UnknownOperation(String),
    /// It panicked, as it does on some graphs that it was not made for.
    #[error("it holds what tract does not expect")]
    Panicked,
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::Model(limit.into())
    }
}
