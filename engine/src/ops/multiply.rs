//! `Multiply`: the product of two tensors of codes; the second may have one position for all of the
//! first, as the gate of a squeeze-and-excite block has. In ONNX it is a `Mul` of dequantized codes.

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, Pending, Sum, View, is_planes};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values, round};
use crate::error::LayerError;
use crate::graph::{Clamp, Node, Op, Shape};
use crate::kernels::requant::round_to_byte;

/// `Mul` of two values that lie alike, or of one and a number for each of its channels.
pub fn recognise(
    recogniser: &Recogniser<'_>,
    at: At<'_>,
    left: &View,
    right: &View,
) -> Option<View> {
    let (&Content::Function(first, None), &Content::Function(second, None)) =
        (&left.content, &right.content)
    else {
        return None;
    };
    let shapes = [first, second].map(|value| recogniser.lowering.shape(value));
    let is_gate = |large: &View, shape: Shape, small: &View, gate: Shape| {
        let same = shape.channels == gate.channels && gate.positions() == 1;
        same && is_planes(large, shape) && is_planes(small, gate)
    };
    let (view, shape, inputs) =
        if recogniser.are_alike(left, right)? || is_gate(left, shapes[0], right, shapes[1]) {
            (left, shapes[0], vec![first, second])
        } else if is_gate(right, shapes[1], left, shapes[0]) {
            (right, shapes[1], vec![second, first])
        } else {
            return None;
        };
    let pending = Pending::new(at.1, Sum::Of(Op::Multiply, inputs), shape);
    Some(View { content: Content::Pending(pending), ..view.clone() })
}

/// `round((a - zero_a) * (b - zero_b) * scale) + zero_point`, clamped.
struct Multiply {
    zero_a: i32,
    zero_b: i32,
    scale: f32,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Works out the scale.
pub fn compile(compiler: &Compiler<'_>, node: &Node, clamp: Clamp) -> Result<Compiled, LayerError> {
    let [a, output] = compiler.ends(node);
    let b = compiler.tensor(node.inputs[1]);
    expect_shape(a.shape == output.shape && a.shape.channels == b.shape.channels)?;
    expect_shape(b.shape == a.shape || b.shape.positions() == 1)?;
    let [a, b, output] = [codes(a)?, codes(b)?, codes(output)?];
    let encoding = compiler.encoding();
    Ok(Compiled::new(Multiply {
        zero_a: encoding.value(a.zero_point),
        zero_b: encoding.value(b.zero_point),
        scale: a.scale * b.scale / output.scale,
        zero_point: encoding.value(output.zero_point),
        min: encoding.value(clamp.min),
        max: encoding.value(clamp.max),
    }))
}

impl Work for Multiply {
    fn run(&self, context: &Context<'_>) {
        let [a, b] = [0, 1].map(|index| context.bytes(index));
        let (stride, row_bytes) = (context.output.stride_bytes, context.output.row_bytes());
        let encoding = context.encoding();
        let factors = |position: usize| {
            let at = if context.place(1).tensor.shape.positions() == 1 { 0 } else { position };
            &b[at * stride..(at + 1) * stride]
        };
        context.bands(context.share(), &|rows, output| {
            let a = &a[rows.start * row_bytes..rows.end * row_bytes];
            let first = rows.start * context.output.tensor.shape.width;
            let positions = output.chunks_exact_mut(stride).zip(a.chunks_exact(stride));
            for (position, (output, a)) in positions.enumerate() {
                for ((output, &a), &b) in output.iter_mut().zip(a).zip(factors(first + position)) {
                    let a = encoding.read(a) - self.zero_a;
                    let b = encoding.read(b) - self.zero_b;
                    let value = (a * b) as f32 * self.scale;
                    *output = round_to_byte(value, self.zero_point, self.min, self.max);
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(clamp: Clamp, inputs: [&Given<'_>; 2], output: &Given<'_>) -> Values {
    let [left, right] = inputs;
    let to = output.quantization();
    let scale = left.quantization().scale * right.quantization().scale / to.scale;
    let product = |(&a, &b): (&i32, &i32)| round((a * b) as f32 * scale, to.zero_point, clamp);
    Values::Codes(left.steps().iter().zip(right.steps().iter().cycle()).map(product).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, PICTURE, STEP, assert_whole, conv};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn squeeze_and_excite() {
        for spelling in ["GlobalAveragePool", "ReduceMean"] {
            let mut model = Model::default();
            let conv = conv(&mut model);
            let codes = model.quantized(&conv, 0.03, 0);
            let axes = [("axes", Attribute::Integers(vec![2, 3]))];
            let axes = if spelling == "ReduceMean" { &axes[..] } else { &[] };
            let mean = model.node(spelling, &[&codes], axes);
            let mean = model.quantized(&mean, PICTURE, 0);
            let gate = model.conv(&mean, [4, 4, 1, 1], 1, [0; 4]);
            let gate = model.quantized(&gate, 0.02, 0);
            let gate = model.node("HardSigmoid", &[&gate], &[]);
            let gate = model.quantized(&gate, 0.004, -128);
            let product = model.node("Mul", &[&gate, &codes], &[]);
            let output = model.quantized(&product, STEP, 0);
            let expected = [
                "QuantizePicture",
                "Convolution",
                "GlobalAveragePool",
                "Convolution",
                "Table",
                "Multiply",
                "Dequantize",
                "PositionsToPlanes",
            ];
            assert_whole(&model.finish(&[&output]), 3.0 * NEAR, &expected);
        }
    }
}
