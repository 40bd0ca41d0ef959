//! `Depthwise`: a convolution of each channel by itself, by the `dwconv` kernel.
//! [`linear`](super::linear) finds it in ONNX.

use super::compiler::{
    Compiled, Compiler, check_convolution, check_rows, codes, expect_shape, macs,
};
use super::context::{Context, Work};
use super::cost::{Cost, Counted, EPILOGUE_BYTES};
#[cfg(test)]
use super::values::{Given, Values, requantize, under};
use crate::buffer::Buffer;
use crate::error::LayerError;
use crate::graph::{Convolution, Node, Window};
use crate::kernels::requant::{CHANNEL_BLOCK, Epilogue, fit_32_bits};
use crate::kernels::{Dwconv, DwconvInput, MOST_WINDOW_ROWS};
use crate::limits::product;

/// A depthwise convolution with packed weights.
pub struct Depthwise {
    dwconv: Dwconv,
    window: Window,
    zero_point: u8,
    /// A row of padding.
    padding: Buffer,
}

/// What the layer takes; `None` where a number of it exceeds a word.
pub fn cost(convolution: &Convolution, node: &Counted<'_>) -> Option<Cost> {
    let channels = node.output.tensor.shape.channels;
    let packed = node.kernels.dwconv_bytes(channels, convolution.window.size)?;
    let columns = channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
    let epilogue = product(&[columns, EPILOGUE_BYTES])?;
    // A row of padding is kept as well.
    let kept = packed.checked_add(epilogue)?.checked_add(node.input.row_bytes())?;
    node.for_each_position([convolution.window.taps(), node.output.stride_bytes], kept)
}

/// Packs the weights.
pub fn prepare(
    compiler: &Compiler<'_>,
    node: &Node,
    convolution: &Convolution,
) -> Result<Depthwise, LayerError> {
    let [input, output] = compiler.ends(node);
    check_convolution(convolution, input.shape, output.shape, 1)?;
    expect_shape(input.shape.channels == output.shape.channels)?;
    let window = convolution.window;
    check_rows(window)?;
    let convolution = &*fit_32_bits(convolution);
    let encoding = compiler.encoding();
    let quantization = codes(input)?;
    let epilogue = Epilogue::new(convolution, quantization, codes(output)?, encoding)?;
    let dwconv = compiler.kernels.pack_dwconv(&convolution.weights, window.size, epilogue);
    let zero_point = encoding.encode(quantization.zero_point);
    let mut padding = Buffer::zeroed(compiler.places[node.inputs[0]].row_bytes());
    padding.bytes_mut().fill(zero_point);
    Ok(Depthwise { dwconv, window, zero_point, padding })
}

/// As a step of its own.
pub fn compile(
    compiler: &Compiler<'_>,
    node: &Node,
    convolution: &Convolution,
) -> Result<Compiled, LayerError> {
    let [_, output] = compiler.ends(node);
    let depthwise = prepare(compiler, node, convolution)?;
    Ok(Compiled::with_macs(depthwise, macs(convolution, output.shape)))
}

impl Depthwise {
    /// Row `y` of the result, `width` positions, of the first input.
    pub fn row(&self, context: &Context<'_>, y: usize, output: &mut [u8], width: usize) {
        let (input, place) = (context.bytes(0), context.place(0));
        let row_bytes = place.row_bytes();
        let window = self.window;
        let mut rows = [&[][..]; MOST_WINDOW_ROWS];
        for (index, row) in rows[..window.size[0]].iter_mut().enumerate() {
            let source = (y * window.stride[0] + index).wrapping_sub(window.padding.top);
            *row = if source < place.tensor.shape.height {
                &input[source * row_bytes..(source + 1) * row_bytes]
            } else {
                self.padding.bytes()
            };
        }
        let input = DwconvInput {
            rows: &rows[..window.size[0]],
            stride: window.stride[1],
            left: window.padding.left,
            zero_point: self.zero_point,
        };
        context.kernels.dwconv(&self.dwconv, &input, output, width);
    }
}

impl Work for Depthwise {
    fn run(&self, context: &Context<'_>) {
        let width = context.output.tensor.shape.width;
        context.bands(context.share(), &|rows, output| {
            for (y, row) in rows.zip(output.chunks_exact_mut(context.output.row_bytes())) {
                self.row(context, y, row, width);
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(convolution: &Convolution, input: &Given<'_>, output: &Given<'_>) -> Values {
    let Convolution { window, weights, bias, .. } = convolution;
    let (channels, codes) = (input.tensor.shape.channels, input.codes());
    let zero = i32::from(input.quantization().zero_point);
    let shape = output.tensor.shape;
    assert_eq!(weights.len(), channels * window.taps());
    let mut results = Vec::with_capacity(shape.values());
    for position in 0..shape.positions() {
        let at = (position / shape.width, position % shape.width);
        for channel in 0..channels {
            let product = |(tap, position): (usize, usize)| {
                let code = i32::from(codes[position * channels + channel]) - zero;
                code * i32::from(weights[channel * window.taps() + tap])
            };
            let sum: i32 = under(window, input.tensor.shape, at).map(product).sum();
            results.push(requantize(convolution, channel, bias[channel] + sum, input, output));
        }
    }
    Values::Codes(results)
}
