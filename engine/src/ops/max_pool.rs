//! `MaxPool`: the largest code in each window; input and output have the same quantization.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::cost::{Cost, Counted};
use super::lowering::{At, View};
use super::recogniser::{Recogniser, window};
#[cfg(test)]
use super::values::{Given, Values, under};
use crate::error::LayerError;
use crate::graph::{Node, Op, Shape, Tensor, Window};
use crate::kernels::requant::Encoding;
use crate::onnx::proto::{integer, integers};

/// `MaxPool` of codes, quantized or dequantized. No window may lie in the padding alone.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
    let value = recogniser.codes(&view)?;
    integers(node, "kernel_shape")?;
    let window = window(node, [1, 1])?;
    let padding = window.padding;
    let covers = padding.top.max(padding.bottom) < window.size[0]
        && padding.left.max(padding.right) < window.size[1];
    let whole = integer(node, "ceil_mode").unwrap_or(0) == 0 && node.output.len() == 1;
    if !covers || !whole {
        return None;
    }
    let Tensor { shape, elements } = recogniser.lowering.tensors[value];
    let [height, width] = window.output_size(shape)?;
    let result = Tensor { shape: Shape { height, width, ..shape }, elements };
    let pooled = recogniser.lowering.node(at, Op::MaxPool(window), &[value], result);
    Some(recogniser.replaced(&view, pooled))
}

/// What the layer takes; `None` where a number of it exceeds a word.
pub fn cost(window: &Window, node: &Counted<'_>) -> Option<Cost> {
    node.for_each_position([window.taps(), node.output.stride_bytes], 0)
}

struct MaxPool(Window);

/// Checks the sizes.
pub fn compile(
    compiler: &Compiler<'_>,
    node: &Node,
    window: Window,
) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_shape(codes(input)? == codes(output)?)?;
    expect_shape(input.shape.channels == output.shape.channels)?;
    expect_shape(
        window.output_size(input.shape) == Some([output.shape.height, output.shape.width]),
    )?;
    Ok(Compiled::new(MaxPool(window)))
}

impl Work for MaxPool {
    fn run(&self, context: &Context<'_>) {
        let window = self.0;
        let (input, shape) = (context.bytes(0), context.place(0).tensor.shape);
        let (stride, output_width) =
            (context.output.stride_bytes, context.output.tensor.shape.width);
        let encoding = context.encoding();
        context.bands(context.share(), &|rows, output| {
            output.fill(encoding.encode(i8::MIN));
            for (index, target) in output.chunks_exact_mut(stride).enumerate() {
                let y = rows.start + index / output_width;
                let x = index % output_width;
                for tap in 0..window.size[0] * window.size[1] {
                    let [row, column] = [tap / window.size[1], tap % window.size[1]];
                    let y = (y * window.stride[0] + row).wrapping_sub(window.padding.top);
                    let x = (x * window.stride[1] + column).wrapping_sub(window.padding.left);
                    if y >= shape.height || x >= shape.width {
                        continue;
                    }
                    let source = &input[(y * shape.width + x) * stride..][..stride];
                    keep_largest(target, source, encoding);
                }
            }
        });
    }
}

/// Keeps the larger of each two bytes; the loops are apart so that each becomes vector code.
fn keep_largest(largest: &mut [u8], bytes: &[u8], encoding: Encoding) {
    match encoding {
        Encoding::Signed => {
            for (largest, &byte) in largest.iter_mut().zip(bytes) {
                *largest = (*largest as i8).max(byte as i8) as u8;
            }
        }
        Encoding::Offset => {
            for (largest, &byte) in largest.iter_mut().zip(bytes) {
                *largest = (*largest).max(byte);
            }
        }
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(window: &Window, input: &Given<'_>, output: &Given<'_>) -> Values {
    let (shape, channels) = (output.tensor.shape, input.tensor.shape.channels);
    let code = |at: usize| {
        let (position, channel) = (at / channels, at % channels);
        let at = (position / shape.width, position % shape.width);
        let seen = under(window, input.tensor.shape, at);
        let codes = seen.map(|(_, position)| input.codes()[position * channels + channel]);
        codes.max().expect("not empty")
    };
    Values::Codes((0..shape.values()).map(code).collect())
}
