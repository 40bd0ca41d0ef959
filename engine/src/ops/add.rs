//! `Add`: the sum of two tensors of codes of equal shape, by the `vadd` kernel. In ONNX it is an `Add` of
//! dequantized codes.

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, Pending, Sum, View};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values, round};
use crate::error::LayerError;
use crate::graph::{Clamp, Node, Op};
use crate::kernels::Vadd;

/// `Add` of two values that lie alike.
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
    if !recogniser.are_alike(left, right)? {
        return None;
    }
    let sum = Sum::Of(Op::Add, vec![first, second]);
    let pending = Pending::new(at.1, sum, recogniser.lowering.shape(first));
    Some(View { content: Content::Pending(pending), ..left.clone() })
}

/// Works out the scales.
pub fn compile(compiler: &Compiler<'_>, node: &Node, clamp: Clamp) -> Result<Compiled, LayerError> {
    let [a, output] = compiler.ends(node);
    let b = compiler.tensor(node.inputs[1]);
    expect_shape(a.shape == b.shape && a.shape == output.shape)?;
    let [a, b, output] = [codes(a)?, codes(b)?, codes(output)?];
    let encoding = compiler.encoding();
    let [scale_a, scale_b] = [a.scale / output.scale, b.scale / output.scale];
    let in_range = 255.0 * (scale_a.abs() + scale_b.abs()) < (1 << 30) as f32;
    if !in_range {
        return Err(LayerError::Sum);
    }
    Ok(Compiled::new(Vadd {
        zero_a: encoding.value(a.zero_point),
        zero_b: encoding.value(b.zero_point),
        scale_a,
        scale_b,
        zero_point: encoding.value(output.zero_point),
        min: encoding.value(clamp.min),
        max: encoding.value(clamp.max),
    }))
}

impl Work for Vadd {
    fn run(&self, context: &Context<'_>) {
        let [a, b] = [0, 1].map(|index| context.bytes(index));
        let row_bytes = context.output.row_bytes();
        context.bands(context.share(), &|rows, output| {
            let bytes = rows.start * row_bytes..rows.end * row_bytes;
            context.kernels.vadd(&a[bytes.clone()], &b[bytes], output, self);
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(clamp: Clamp, inputs: [&Given<'_>; 2], output: &Given<'_>) -> Values {
    let to = output.quantization();
    let [left, right] = inputs.map(|input| {
        let ratio = input.quantization().scale / to.scale;
        input.steps().into_iter().map(|steps| steps as f32 * ratio).collect::<Vec<_>>()
    });
    let sum = |(a, b): (&f32, &f32)| round(a + b, to.zero_point, clamp);
    Values::Codes(left.iter().zip(&right).map(sum).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, STEP, assert_whole};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn residual_pooling_and_channel_padding() {
        let mut model = Model::default();
        let picture = model.picture();
        let square = |values: Vec<i64>| Attribute::Integers(values);
        let attributes = [("kernel_shape", square(vec![2, 2])), ("strides", square(vec![2, 2]))];
        let pooled = model.node("MaxPool", &[&picture], &attributes);
        let pooled = model.quantized(&pooled, 0.01, 4);
        let pads = model.integers(&[0, 0, 0, 0, 0, 2, 0, 0]);
        let padded = model.node("Pad", &[&pooled, &pads], &[]);
        let padded = model.quantized(&padded, 0.01, 4);
        let conv = model.conv(&picture, [5, 3, 3, 3], 2, [0, 0, 1, 0]);
        let conv = model.quantized(&conv, 0.02, 1);
        let sum = model.node("Add", &[&padded, &conv], &[]);
        let active = model.node("Relu", &[&sum], &[]);
        let output = model.quantized(&active, STEP, -100);
        let expected = [
            "QuantizePicture",
            "MaxPool",
            "Table",
            "PadChannels",
            "Convolution",
            "Add",
            "Dequantize",
            "PositionsToPlanes",
        ];
        assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
    }
}
