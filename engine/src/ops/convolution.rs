//! `Convolution`: codes times weights over all channels of a window, by the `gemm` kernel. A fully
//! connected layer is one on a 1x1 picture. [`linear`](super::linear) finds it in ONNX.

mod gather;

use super::compiler::{
    Compiled, Compiler, check_convolution, check_rows, codes, is_pointwise, macs,
};
use super::context::{Context, Work};
use super::cost::{Cost, Counted, EPILOGUE_BYTES};
use super::depthwise::{self, Depthwise};
#[cfg(test)]
use super::values::{Given, Values, requantize, under};
use crate::error::{LayerError, Limit};
use crate::graph::{Convolution, Node, Op, Window};
use crate::kernels::Gemm;
use crate::kernels::pack::DEPTH_BLOCK;
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding, Epilogue, fit_32_bits};
use crate::limits::product;

/// Room behind gathered bytes for a whole vector.
const SCRATCH_SLACK_BYTES: usize = 64;

/// A matrix product, in bands of rows of the output.
struct Product {
    gemm: Gemm,
    source: Source,
    /// Bytes of inputs for each position, or words where the kernel reads those.
    depth: usize,
    /// Number of bands.
    bands: usize,
}

/// Where a matrix product finds its inputs.
enum Source {
    /// The positions of the input, as they lie.
    Positions,
    /// The window around each position, gathered; the byte stands for 0.
    Windows(Window, u8),
    /// A depthwise convolution, computed band by band so that it never leaves the cache.
    Depthwise(Box<Depthwise>),
}

/// What the layer takes; `None` where a number of it exceeds a word.
pub fn cost(convolution: &Convolution, node: &Counted<'_>) -> Option<Cost> {
    let depth = product(&[convolution.window.taps(), node.input.stride_bytes])?
        .checked_next_multiple_of(DEPTH_BLOCK)?;
    let channels = node.output.tensor.shape.channels;
    let columns = channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
    let epilogue = product(&[columns, EPILOGUE_BYTES])?;
    let kept = node.kernels.gemm_bytes(columns, depth)?.checked_add(epilogue)?;
    node.for_each_position([depth, columns], kept)
}

/// Packs the weights; `ahead` is a depthwise convolution that gives the input and is computed in the
/// same step.
pub fn compile(
    compiler: &mut Compiler<'_>,
    node: &Node,
    convolution: &Convolution,
    ahead: Option<&Node>,
) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    let mut all_macs = macs(convolution, output.shape);
    check_convolution(convolution, input.shape, output.shape, input.shape.channels)?;
    check_rows(convolution.window)?;
    let convolution = &*fit_32_bits(convolution);
    let quantization = codes(input)?;
    let encoding = compiler.encoding();
    let epilogue = Epilogue::new(convolution, quantization, codes(output)?, encoding)?;
    let stride = compiler.places[node.inputs[0]].stride_bytes;
    let channels = input.shape.channels;
    // Weights of 0 for the channels that only pad each position.
    let spread: Vec<i8> = convolution
        .weights
        .chunks_exact(channels)
        .flat_map(|weights| {
            weights.iter().copied().chain(std::iter::repeat_n(0, stride - channels))
        })
        .collect();
    let depth = product(&[convolution.window.taps(), stride]).ok_or(Limit::Values)?;
    let source = match ahead {
        Some(ahead @ Node { op: Op::Depthwise(depthwise), .. }) => {
            all_macs += macs(depthwise, input.shape);
            Source::Depthwise(Box::new(depthwise::prepare(compiler, ahead, depthwise)?))
        }
        _ if is_pointwise(convolution) => Source::Positions,
        _ => Source::Windows(convolution.window, encoding.encode(quantization.zero_point)),
    };
    let gemm = compiler.kernels.pack_gemm(&spread, depth, epilogue);
    let depth = depth.next_multiple_of(DEPTH_BLOCK);
    let bands = compiler.bands(output.shape, depth, spread.len());
    let rows = output.shape.height.div_ceil(bands);
    let copies = if compiler.kernels.reads_words() { 3 } else { 1 };
    let bytes = product(&[rows, output.shape.width, depth])
        .and_then(|bytes| product(&[bytes.checked_add(SCRATCH_SLACK_BYTES)?, copies]));
    compiler.reserve_scratch(bytes)?;
    Ok(Compiled::with_macs(Product { gemm, source, depth, bands }, all_macs))
}

impl Work for Product {
    fn run(&self, context: &Context<'_>) {
        let input = context.bytes(0);
        let width = context.output.tensor.shape.width;
        context.bands_with_scratch(self.bands, &|rows, output, scratch| {
            let positions = rows.len() * width;
            let at = rows.start * width * self.depth;
            let bytes = positions * self.depth;
            let (gathered, words) = scratch.split_at_mut(bytes + SCRATCH_SLACK_BYTES);
            let inputs: &[u8] = match &self.source {
                Source::Positions => &input[at..at + bytes],
                Source::Windows(window, zero) => {
                    gather::windows(context, *window, *zero, rows, self.depth, gathered);
                    &gathered[..bytes]
                }
                Source::Depthwise(depthwise) => {
                    for (y, row) in rows.zip(gathered.chunks_exact_mut(width * self.depth)) {
                        depthwise.row(context, y, row, width);
                    }
                    &gathered[..bytes]
                }
            };
            let (inputs, stride) = if context.kernels.reads_words() {
                widen(inputs, words, context.encoding());
                (&words[..bytes * 2], self.depth * 2)
            } else {
                (inputs, self.depth)
            };
            let stride_bytes = context.output.stride_bytes;
            context.kernels.gemm(&self.gemm, positions, inputs, stride, output, stride_bytes);
        });
    }
}

/// Bytes to 16-bit words.
fn widen(bytes: &[u8], words: &mut [u8], encoding: Encoding) {
    for (word, &byte) in words.chunks_exact_mut(2).zip(bytes) {
        word.copy_from_slice(&(encoding.read(byte) as i16).to_le_bytes());
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(convolution: &Convolution, input: &Given<'_>, output: &Given<'_>) -> Values {
    let Convolution { window, weights, bias, .. } = convolution;
    let (inputs, codes) = (input.tensor.shape.channels, input.codes());
    let zero = i32::from(input.quantization().zero_point);
    let shape = output.tensor.shape;
    assert_eq!(weights.len(), shape.channels * window.taps() * inputs);
    let mut results = Vec::with_capacity(shape.values());
    for position in 0..shape.positions() {
        let at = (position / shape.width, position % shape.width);
        for channel in 0..shape.channels {
            let mut acc = bias[channel];
            for (tap, position) in under(window, input.tensor.shape, at) {
                let codes = &codes[position * inputs..][..inputs];
                let weights = &weights[(channel * window.taps() + tap) * inputs..][..inputs];
                for (&code, &weight) in codes.iter().zip(weights) {
                    acc += (i32::from(code) - zero) * i32::from(weight);
                }
            }
            results.push(requantize(convolution, channel, acc, input, output));
        }
    }
    Values::Codes(results)
}
