//! `GlobalAveragePool`: the mean over all positions. In ONNX it is also spelt `ReduceMean` and
//! `AveragePool`.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, Pending, Sum, View, is_planes, vector};
use super::recogniser::{Recogniser, window};
#[cfg(test)]
use super::values::{Given, Values, round};
use crate::error::LayerError;
use crate::graph::{Clamp, Node, Op, Shape, Window};
use crate::kernels::requant::{CHANNEL_BLOCK, round_to_byte};
use crate::onnx::proto::{axis, integer};

/// A mean over all positions of dequantized codes.
pub fn recognise(recogniser: &Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    let Content::Function(value, None) = view.content else { return None };
    let shape = recogniser.lowering.shape(value);
    let keeps = integer(node, "keepdims").unwrap_or(1) != 0;
    let over_all = match node.op_type.as_str() {
        "ReduceMean" => {
            let axes = recogniser.listed(node, "axes", 1)?;
            let mut axes: Vec<_> = axes.iter().map(|&at| axis(at, 4)).collect();
            axes.sort_unstable();
            axes == [Some(2), Some(3)]
        }
        "AveragePool" => {
            let Window { size, padding, .. } = window(node, [0, 0])?;
            size == [shape.height, shape.width]
                && padding == Window::POINT.padding
                && integer(node, "ceil_mode").unwrap_or(0) == 0
        }
        _ => true,
    };
    let channels = shape.channels;
    let dims = if keeps { vec![1, channels, 1, 1] } else { vec![1, channels] };
    let sum = Sum::Of(Op::GlobalAveragePool, vec![value]);
    let content = Content::Pending(Pending::new(at.1, sum, vector(channels)));
    (over_all && is_planes(view, shape)).then_some(View { dims, planes: true, content })
}

/// How a sum over all positions becomes their mean.
struct Average {
    zero: i32,
    scale: f32,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Works out the scale.
pub fn compile(compiler: &Compiler<'_>, node: &Node, clamp: Clamp) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    let positions = input.shape.positions();
    expect_shape(output.shape == Shape { height: 1, width: 1, ..input.shape })?;
    expect_shape(positions > 0 && positions < 1 << 20)?;
    let [input, output] = [codes(input)?, codes(output)?];
    let encoding = compiler.encoding();
    Ok(Compiled::new(Average {
        zero: encoding.value(input.zero_point),
        scale: input.scale / (output.scale * positions as f32),
        zero_point: encoding.value(output.zero_point),
        min: encoding.value(clamp.min),
        max: encoding.value(clamp.max),
    }))
}

impl Work for Average {
    fn run(&self, context: &Context<'_>) {
        let input = context.bytes(0);
        let stride = context.output.stride_bytes;
        let encoding = context.encoding();
        context.bands(1, &|_, output| {
            for (block, target) in output.chunks_exact_mut(CHANNEL_BLOCK).enumerate() {
                let mut sums = [0_i32; CHANNEL_BLOCK];
                for position in input.chunks_exact(stride) {
                    let bytes = &position[block * CHANNEL_BLOCK..(block + 1) * CHANNEL_BLOCK];
                    for (sum, &byte) in sums.iter_mut().zip(bytes) {
                        *sum += encoding.read(byte) - self.zero;
                    }
                }
                for (target, sum) in target.iter_mut().zip(sums) {
                    let value = sum as f32 * self.scale;
                    *target = round_to_byte(value, self.zero_point, self.min, self.max);
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(clamp: Clamp, input: &Given<'_>, output: &Given<'_>) -> Values {
    let (from, to) = (input.quantization(), output.quantization());
    let Shape { channels, .. } = input.tensor.shape;
    let scale = from.scale / to.scale / input.tensor.shape.positions() as f32;
    let steps = input.steps();
    let mean = |channel: usize| {
        let sum: i32 = steps[channel..].iter().step_by(channels).sum();
        round(sum as f32 * scale, to.zero_point, clamp)
    };
    Values::Codes((0..channels).map(mean).collect())
}
