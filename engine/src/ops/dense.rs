//! `Dense`: floats at each position, weights times the channels, plus a bias. In ONNX it is a `Gemm`, a
//! `MatMul` or a `Conv` of one position; [`linear`](super::linear) tells it from those of codes.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, expect_floats, expect_shape};
use super::context::{Context, Work};
use super::cost::{Cost, Counted};
use super::lowering::{At, Content, ValueId, View, is_planes};
use super::recogniser::{Recogniser, window};
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Elements, Node, Op, Shape, Tensor, Window};
use crate::kernels::requant::CHANNEL_BLOCK;
use crate::limits::product;
use crate::onnx::proto::{input, integer};

/// Outputs that are computed at once.
const BLOCK: usize = 16;

/// `Conv` of one position with float weights.
pub fn conv(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    node: &NodeProto,
    view: &View,
) -> Option<View> {
    let name = input(node, 1)?;
    let &[outputs, inputs, 1, 1] = &recogniser.constant_dims(name)?[..] else { return None };
    let value = match view.content {
        Content::Floats(value) | Content::Function(value, None) => value,
        _ => return None,
    };
    let shape = recogniser.lowering.shape(value);
    let fits = integer(node, "group").unwrap_or(1) == 1
        && window(node, [1, 1])? == Window::POINT
        && inputs == shape.channels
        && is_planes(view, shape);
    if !fits {
        return None;
    }
    let shape = Shape { channels: outputs, ..shape };
    let weights = recogniser.constant_floats(name)?;
    let content = lower(recogniser, at, view, (weights, input(node, 2)), shape)?;
    Some(View { dims: vec![1, outputs, shape.height, shape.width], planes: true, content })
}

/// The layer on the floats of `view`, with weights `[output][input]` and the name of a bias; its result has
/// the size `shape`.
pub fn lower(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    view: &View,
    (weights, bias): (Vec<f32>, Option<&str>),
    shape: Shape,
) -> Option<Content> {
    let bias = match bias {
        None => {
            recogniser.take_values::<f32>(shape.channels)?;
            vec![0.0; shape.channels]
        }
        Some(name) => recogniser.constant_list(name, shape.channels)?,
    };
    let floats = recogniser.lowering.floats(at, view)?;
    let result = Tensor { shape, elements: Elements::Floats };
    let op = Op::Dense { weights, bias };
    Some(Content::Floats(recogniser.lowering.node(at, op, &[floats], result)))
}

/// The layer that gives `value` with a number added to each output.
pub fn with_bias(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    value: ValueId,
    constant: &[f32],
) -> Option<ValueId> {
    let node = &recogniser.lowering.nodes[recogniser.lowering.producer(value)?];
    let Op::Dense { weights, bias } = &node.op else { return None };
    recogniser.take_values::<f32>(weights.len() + bias.len())?;
    let bias = bias.iter().zip(constant).map(|(bias, value)| bias + value).collect();
    let op = Op::Dense { weights: weights.clone(), bias };
    let inputs = node.inputs.clone();
    let shape = recogniser.lowering.shape(value);
    let result = Tensor { shape, elements: Elements::Floats };
    Some(recogniser.lowering.node(at, op, &inputs, result))
}

/// What the layer takes; `None` where a number of it exceeds a word.
pub fn cost(node: &Counted<'_>) -> Option<Cost> {
    let depth = node.input.tensor.shape.channels;
    let columns = node.output.tensor.shape.channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
    node.for_each_position([depth, columns], product(&[depth, columns, size_of::<f32>()])?)
}

/// Weights `[block of outputs][input][output of the block]`, and the bias; blocks are padded with zeros.
struct Dense {
    weights: Vec<[f32; BLOCK]>,
    bias: Vec<[f32; BLOCK]>,
}

/// Packs the weights.
pub fn compile(
    compiler: &Compiler<'_>,
    node: &Node,
    weights: &[f32],
    bias: &[f32],
) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_floats(&[input, output])?;
    let [depth, outputs] = [input.shape.channels, output.shape.channels];
    expect_shape(Shape { channels: outputs, ..input.shape } == output.shape && depth > 0)?;
    expect_shape(Some(weights.len()) == product(&[depth, outputs]))?;
    expect_shape(bias.len() == outputs && outputs > 0)?;
    let blocks = outputs.div_ceil(BLOCK);
    let mut packed =
        Dense { weights: vec![[0.0; BLOCK]; blocks * depth], bias: vec![[0.0; BLOCK]; blocks] };
    for (output, (weights, &bias)) in weights.chunks_exact(depth).zip(bias).enumerate() {
        let [block, lane] = [output / BLOCK, output % BLOCK];
        packed.bias[block][lane] = bias;
        for (channel, &weight) in weights.iter().enumerate() {
            packed.weights[block * depth + channel][lane] = weight;
        }
    }
    let macs = (weights.len() as u64).saturating_mul(output.shape.positions() as u64);
    Ok(Compiled::with_macs(packed, macs))
}

impl Dense {
    /// The outputs of one position. Each is summed up in the order of the inputs, so that the bits
    /// are the same on every processor.
    fn apply(&self, input: &[f32], output: &mut [f32]) {
        let blocks = self.bias.iter().zip(self.weights.chunks_exact(input.len()));
        for (output, (bias, weights)) in output.chunks_mut(BLOCK).zip(blocks) {
            let mut sums = *bias;
            for (&value, weights) in input.iter().zip(weights) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
            output.copy_from_slice(&sums[..output.len()]);
        }
    }
}

impl Work for Dense {
    fn run(&self, context: &Context<'_>) {
        let inputs = context.floats(0).chunks_exact(context.place(0).tensor.shape.channels);
        let outputs = context.output.tensor.shape.channels;
        context.fill_floats(|output| {
            for (input, output) in inputs.zip(output.chunks_exact_mut(outputs)) {
                self.apply(input, output);
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(weights: &[f32], bias: &[f32], input: &Given<'_>) -> Values {
    let inputs = weights.len() / bias.len();
    let rows = input.floats().chunks(inputs).flat_map(|position| {
        weights.chunks(inputs).zip(bias).map(move |(row, bias)| {
            row.iter().zip(position).map(|(weight, x)| weight * x).sum::<f32>() + bias
        })
    });
    Values::Floats(rows.collect())
}
