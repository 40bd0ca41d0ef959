//! What an operation is given to be compiled: the graph, the kernels, and where values lie; and what is
//! checked of more than one operation.

use super::context::Work;
use crate::arena::Place;
use crate::error::{LayerError, Limit};
use crate::graph::{
    Convolution, Elements, Graph, Node, Quantization, Shape, Tensor, TensorId, Window,
};
use crate::kernels::requant::Encoding;
use crate::kernels::{Kernels, MOST_WINDOW_ROWS};
use crate::limits::product;

/// Inputs of a band: they stay in the first-level cache while all weights pass by.
const BAND_BYTES: usize = 24 * 1024;
/// The same where the weights themselves do not stay in the second-level cache.
const HEAVY_BAND_BYTES: usize = 56 * 1024;
const HEAVY_WEIGHTS: usize = 400 * 1024;

/// A graph while its nodes are compiled.
pub struct Compiler<'a> {
    /// What is computed.
    pub graph: &'a Graph,
    /// What computes it.
    pub kernels: &'static Kernels,
    /// Threads of a run.
    pub threads: usize,
    /// Where the values lie; the offsets are not known yet.
    pub places: Vec<Place>,
    /// Bytes of scratch that each thread needs.
    pub scratch_bytes: usize,
}

/// A node made ready to run.
pub struct Compiled {
    /// What runs.
    pub work: Box<dyn Work>,
    /// Multiplications of a run.
    pub macs: u64,
}

impl Compiled {
    /// Work without multiplications to speak of.
    pub fn new(work: impl Work + 'static) -> Self {
        Self { work: Box::new(work), macs: 0 }
    }

    /// As [`new`](Self::new), with so many multiplications.
    pub fn with_macs(work: impl Work + 'static, macs: u64) -> Self {
        Self { work: Box::new(work), macs }
    }
}

impl Compiler<'_> {
    /// A value of the graph.
    pub fn tensor(&self, id: TensorId) -> Tensor {
        self.graph.tensors[id]
    }

    /// The first input and the output of a node.
    pub fn ends(&self, node: &Node) -> [Tensor; 2] {
        [self.tensor(node.inputs[0]), self.tensor(node.output)]
    }

    /// How codes lie in memory.
    pub fn encoding(&self) -> Encoding {
        self.kernels.encoding()
    }

    /// In how many bands an output is computed: each small enough for the cache, and as many as
    /// there are threads, or a multiple. There are `depth` bytes of inputs for each position, and
    /// `weights` bytes of weights.
    pub fn bands(&self, output: Shape, depth: usize, weights: usize) -> usize {
        let budget = if weights > HEAVY_WEIGHTS { HEAVY_BAND_BYTES } else { BAND_BYTES };
        let rows = (budget / output.width.saturating_mul(depth)).clamp(1, output.height);
        output.height.div_ceil(rows).next_multiple_of(self.threads.max(1)).min(output.height)
    }

    /// Sees to it that each thread has so many bytes of scratch; [`Limit::Values`] where they exceed
    /// `usize`.
    pub fn reserve_scratch(&mut self, bytes: Option<usize>) -> Result<(), LayerError> {
        self.scratch_bytes = self.scratch_bytes.max(bytes.ok_or(Limit::Values)?);
        Ok(())
    }
}

/// Whether the window is one position.
pub fn is_pointwise(convolution: &Convolution) -> bool {
    convolution.window == Window::POINT
}

/// Multiplications of a convolution with a result of this size.
pub fn macs(convolution: &Convolution, output: Shape) -> u64 {
    (convolution.weights.len() as u64).saturating_mul(output.positions() as u64)
}

/// Checks that the kernels can have so many rows under a window.
pub fn check_rows(window: Window) -> Result<(), LayerError> {
    if window.size[0] <= MOST_WINDOW_ROWS {
        return Ok(());
    }
    Err(LayerError::WindowRows { most: MOST_WINDOW_ROWS })
}

/// Checks sizes; each output channel has weights for `depth` channels in each tap.
pub fn check_convolution(
    convolution: &Convolution,
    input: Shape,
    output: Shape,
    depth: usize,
) -> Result<(), LayerError> {
    let channels = output.channels;
    let weights = product(&[channels, convolution.window.taps(), depth]);
    expect_shape(input.values() > 0 && channels > 0)?;
    expect_shape(Some(convolution.weights.len()) == weights)?;
    expect_shape(convolution.bias.len() == channels)?;
    expect_shape(convolution.weight_scales.len() == channels)?;
    expect_shape(convolution.slope.as_ref().is_none_or(|slope| slope.len() == channels))?;
    expect_shape(convolution.window.output_size(input) == Some([output.height, output.width]))?;
    if convolution.weights.contains(&i8::MIN) {
        return Err(LayerError::Asymmetric);
    }
    Ok(())
}

/// Quantization of a tensor, which has to be of codes.
pub fn codes(tensor: Tensor) -> Result<Quantization, LayerError> {
    match tensor.elements {
        Elements::Codes(quantization) => Ok(quantization),
        _ => Err(LayerError::Codes),
    }
}

/// Checks that the tensors are of floats.
pub fn expect_floats(tensors: &[Tensor]) -> Result<(), LayerError> {
    let floats = tensors.iter().all(|tensor| tensor.elements == Elements::Floats);
    if floats { Ok(()) } else { Err(LayerError::Floats) }
}

/// [`LayerError::Shapes`] unless sizes fit.
pub fn expect_shape(fits: bool) -> Result<(), LayerError> {
    if fits { Ok(()) } else { Err(LayerError::Shapes) }
}
