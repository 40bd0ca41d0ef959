//! The operations that are computed on codes, and the floats around them: one file each, which finds it
//! in ONNX, compiles it, runs it, and says in a few plain loops what it computes.
//!
//! | part | is given | in |
//! | --- | --- | --- |
//! | `recognise` | what is known about an ONNX graph | [`recogniser`], [`lowering`] |
//! | `cost` | places of its values | [`cost`](mod@cost) |
//! | `compile` | the graph and the kernels | [`compiler`] |
//! | [`Work::run`](context::Work::run) | memory and threads | [`context`] |
//! | `reference` | plain lists of values | `values`, for tests |
//!
//! Some ONNX operators can become several operations: [`linear`] and [`binary`] choose. Others are only
//! another view of a value ([`shape`]) or part of the operation before them ([`activation`]).

mod activation;
mod add;
mod average_pool;
mod binary;
mod compiler;
mod concatenate;
pub mod context;
mod convolution;
pub mod cost;
mod dense;
mod depthwise;
mod dequantize;
mod linear;
pub mod lowering;
mod max_pool;
mod multiply;
mod normalise;
mod pad_channels;
mod picture;
mod planes;
mod quantize;
pub mod recogniser;
mod shape;
mod table;
#[cfg(test)]
pub mod values;

use tract_onnx::pb::NodeProto;

use crate::arena::Place;
use crate::error::{LayerError, Limit};
use crate::graph::{Node, Op};
use crate::kernels::Kernels;
pub use compiler::{Compiled, Compiler, expect_floats, is_pointwise};
use cost::{Cost, Counted, check_window};
use lowering::{At, View};
use planes::To;
use recogniser::Recogniser;
#[cfg(test)]
use values::{Given, Values};

/// What an ONNX node gives in terms of lowered values; `None` where it is not lowered.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    match node.op_type.as_str() {
        "Identity" => recogniser.view(node, 0).cloned(),
        "Dropout" if node.input.len() == 1 => recogniser.view(node, 0).cloned(),
        "QuantizeLinear" => quantize::recognise(recogniser, at, node),
        "DequantizeLinear" => dequantize::recognise(recogniser, node),
        "Cast" => picture::cast(recogniser, node),
        "Transpose" => shape::transpose(recogniser, node),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => shape::reshape(recogniser, node),
        "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "HardSigmoid" | "HardSwish" | "Sigmoid" => {
            activation::recognise(recogniser, node)
        }
        "Add" | "Sub" | "Mul" | "Div" => binary::recognise(recogniser, at, node),
        "Conv" => linear::conv(recogniser, at, node),
        "Gemm" | "MatMul" => linear::fully_connected(recogniser, at, node),
        "GlobalAveragePool" | "ReduceMean" | "AveragePool" => {
            average_pool::recognise(recogniser, at, node)
        }
        "MaxPool" => max_pool::recognise(recogniser, at, node),
        "Pad" => pad_channels::recognise(recogniser, at, node),
        "ReduceL2" => normalise::norm(recogniser, at, node),
        "Concat" => concatenate::recognise(recogniser, at, node),
        _ => None,
    }
}

/// Whether an operation does more than to carry values into a region or out of it.
pub fn computes(op: &Op) -> bool {
    !matches!(
        op,
        Op::QuantizePicture(_)
            | Op::Quantize
            | Op::Dequantize
            | Op::Table(_)
            | Op::PadChannels
            | Op::PlanesToPositions
            | Op::PositionsToPlanes
    )
}

/// What a node takes, but for memory in a run.
///
/// # Errors
///
/// The limit that it exceeds.
pub fn cost(node: &Node, places: &[Place], kernels: &Kernels) -> Result<Cost, Limit> {
    if let Op::Convolution(layer) | Op::Depthwise(layer) = &node.op {
        check_window(layer.window)?;
    } else if let Op::MaxPool(window) = &node.op {
        check_window(*window)?;
    }
    let counted = Counted::new(node, places, kernels);
    let cost = counted.and_then(|counted| match &node.op {
        Op::Convolution(layer) => convolution::cost(layer, &counted),
        Op::Depthwise(layer) => depthwise::cost(layer, &counted),
        Op::MaxPool(window) => max_pool::cost(window, &counted),
        Op::Dense { .. } => dense::cost(&counted),
        _ => Some(counted.for_each_byte()),
    });
    cost.ok_or(Limit::Weights)
}

/// Makes a node ready to run. `ahead` is a depthwise convolution that gives the input of a pointwise one
/// and is computed in the same step.
///
/// # Errors
///
/// [`LayerError`] when the kernels cannot compute it.
pub fn compile(
    compiler: &mut Compiler<'_>,
    node: &Node,
    ahead: Option<&Node>,
) -> Result<Compiled, LayerError> {
    let inputs = match &node.op {
        Op::Add(_) | Op::Multiply(_) => 2..=2,
        Op::Concatenate => 1..=usize::MAX,
        _ => 1..=1,
    };
    if !inputs.contains(&node.inputs.len()) {
        return Err(LayerError::Inputs);
    }
    match &node.op {
        Op::QuantizePicture(tables) => picture::compile(compiler, node, tables),
        Op::Quantize => quantize::compile(compiler, node),
        Op::Dequantize => dequantize::compile(compiler, node),
        Op::Convolution(layer) => convolution::compile(compiler, node, layer, ahead),
        Op::Depthwise(layer) => depthwise::compile(compiler, node, layer),
        Op::Add(clamp) => add::compile(compiler, node, *clamp),
        Op::Multiply(clamp) => multiply::compile(compiler, node, *clamp),
        Op::MaxPool(window) => max_pool::compile(compiler, node, *window),
        Op::GlobalAveragePool(clamp) => average_pool::compile(compiler, node, *clamp),
        Op::PadChannels => pad_channels::compile(compiler, node),
        Op::Table(table) => table::compile(compiler, node, table),
        Op::Dense { weights, bias } => dense::compile(compiler, node, weights, bias),
        Op::Normalise { epsilon } => normalise::compile(compiler, node, *epsilon),
        Op::Concatenate => concatenate::compile(compiler, node),
        Op::PlanesToPositions => planes::compile(compiler, node, To::Positions),
        Op::PositionsToPlanes => planes::compile(compiler, node, To::Planes),
    }
}

/// What an operation computes, as its oracle says.
#[cfg(test)]
pub fn reference(op: &Op, inputs: &[Given<'_>], output: &Given<'_>) -> Values {
    let first = &inputs[0];
    let pair = || [first, &inputs[1]];
    match op {
        Op::QuantizePicture(tables) => picture::reference(tables, first),
        Op::Quantize => quantize::reference(first, output),
        Op::Dequantize => dequantize::reference(first),
        Op::Convolution(layer) => convolution::reference(layer, first, output),
        Op::Depthwise(layer) => depthwise::reference(layer, first, output),
        Op::Add(clamp) => add::reference(*clamp, pair(), output),
        Op::Multiply(clamp) => multiply::reference(*clamp, pair(), output),
        Op::MaxPool(window) => max_pool::reference(window, first, output),
        Op::GlobalAveragePool(clamp) => average_pool::reference(*clamp, first, output),
        Op::PadChannels => pad_channels::reference(first, output),
        Op::Table(table) => table::reference(table, first),
        Op::Dense { weights, bias } => dense::reference(weights, bias, first),
        Op::Normalise { epsilon } => normalise::reference(*epsilon, first),
        Op::Concatenate => concatenate::reference(inputs),
        Op::PlanesToPositions => planes::reference(To::Positions, first),
        Op::PositionsToPlanes => planes::reference(To::Planes, first),
    }
}
