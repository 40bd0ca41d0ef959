//! `Quantize`: floats to codes, `round(x / scale) + zero_point`, halves to even.
//!
//! In ONNX it is `QuantizeLinear`, which says the quantization that most other operations wait for.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_floats, expect_shape};
use super::context::{Context, Work};
use super::linear;
use super::lowering::{At, Content, Pending, Signedness, Sum, ValueId, View, quantize, vector};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values, round};
use crate::error::LayerError;
use crate::graph::{Clamp, Elements, Node, Op, Quantization, Shape, Tensor};
use crate::kernels::requant::round_to_byte;
use crate::onnx::proto::{input, integer};

/// `QuantizeLinear`.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
    let signedness = match integer(node, "output_dtype").unwrap_or(0) {
        0 | 2 => Some(Signedness::Unsigned),
        3 => Some(Signedness::Signed),
        _ => None,
    };
    let (quantization, signedness) = recogniser.affine(node, signedness)?;
    let name = node.output[0].as_str();
    if recogniser.is_refused(name) {
        return None;
    }
    let here = (at.0, name);
    let lowering = &mut recogniser.lowering;
    let codes = |shape| Tensor { shape, elements: Elements::Codes(quantization) };
    let value = match &view.content {
        Content::Picture(pixels, function) => {
            let tables = Box::new(function.map(|table| table.map(|x| quantize(x, quantization))));
            let result = codes(lowering.shape(*pixels));
            lowering.node(here, Op::QuantizePicture(tables), &[*pixels], result)
        }
        Content::Function(value, None) if lowering.quantization(*value) == Some(quantization) => {
            *value
        }
        Content::Function(value, function) => {
            let function = recogniser.function(*value, function.as_ref())?;
            let table = Op::Table(Box::new(function.map(|x| quantize(x, quantization))));
            let result = codes(recogniser.lowering.shape(*value));
            recogniser.lowering.node(here, table, &[*value], result)
        }
        Content::Pending(pending) => finish(recogniser, at.0, pending, quantization)?,
        Content::Floats(value) => {
            let result = codes(lowering.shape(*value));
            lowering.node(here, Op::Quantize, &[*value], result)
        }
        Content::Outside => {
            let floats = enter(recogniser, here, input(node, 0)?, &view.dims)?;
            let result = codes(recogniser.lowering.shape(floats));
            let value = recogniser.lowering.node(here, Op::Quantize, &[floats], result);
            let content = Content::Codes(value, signedness);
            return Some(View { planes: true, content, ..view });
        }
        _ => return None,
    };
    Some(View { content: Content::Codes(value, signedness), ..view })
}

/// The floats called `name` as a lowered value.
fn enter(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    name: &str,
    dims: &[usize],
) -> Option<ValueId> {
    let shape = match *dims {
        [1, channels] => vector(channels),
        [1, channels, height, width] => Shape { height, width, channels },
        _ => return None,
    };
    let tensor = Tensor { shape, elements: Elements::Floats };
    let floats = recogniser.lowering.outside(tensor, name, dims);
    if shape.positions() == 1 || shape.channels == 1 {
        return Some(floats);
    }
    Some(recogniser.lowering.node(at, Op::PlanesToPositions, &[floats], tensor))
}

/// The node of `pending`, now that the quantization of its result is known.
fn finish(
    recogniser: &mut Recogniser<'_>,
    at: usize,
    pending: &Pending,
    quantization: Quantization,
) -> Option<ValueId> {
    let clamp = Clamp {
        min: quantize(pending.low, quantization),
        max: quantize(pending.high, quantization),
    };
    let (op, inputs) = match &pending.sum {
        Sum::Linear(linear) => {
            (linear::finish(recogniser, linear, pending, clamp)?, vec![linear.input])
        }
        Sum::Of(op, inputs) => (op(clamp), inputs.clone()),
    };
    let result = Tensor { shape: pending.shape, elements: Elements::Codes(quantization) };
    Some(recogniser.lowering.node((at, &pending.name), op, &inputs, result))
}

struct Quantize(Quantization);

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_floats(&[input])?;
    expect_shape(input.shape == output.shape)?;
    Ok(Compiled::new(Quantize(codes(output)?)))
}

impl Work for Quantize {
    fn run(&self, context: &Context<'_>) {
        let input = context.floats(0);
        let shape = context.output.tensor.shape;
        let [zero, min, max] =
            [self.0.zero_point, i8::MIN, i8::MAX].map(|code| context.encoding().value(code));
        context.bands(context.share(), &|rows, output| {
            let first = rows.start * shape.width * shape.channels;
            let positions = output.chunks_exact_mut(context.output.stride_bytes);
            let sources = input[first..].chunks_exact(shape.channels);
            for (target, source) in positions.zip(sources) {
                for (byte, &value) in target.iter_mut().zip(source) {
                    *byte = round_to_byte(value / self.0.scale, zero, min, max);
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(input: &Given<'_>, output: &Given<'_>) -> Values {
    let Quantization { scale, zero_point } = output.quantization();
    let code = |&x: &f32| round(x / scale, zero_point, Clamp::NONE);
    Values::Codes(input.floats().iter().map(code).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, PICTURE, STEP, assert_whole, conv};
    use crate::onnx::example::Model;

    #[test]
    fn unsigned_codes() {
        let mut model = Model::default();
        let conv = conv(&mut model);
        let active = model.node("Relu", &[&conv], &[]);
        let codes = model.quantized_unsigned(&active, PICTURE, 0);
        let second = model.conv(&codes, [5, 4, 1, 1], 1, [0; 4]);
        let output = model.quantized_unsigned(&second, STEP, 100);
        let expected =
            ["QuantizePicture", "Convolution", "Convolution", "Dequantize", "PositionsToPlanes"];
        assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
    }
}
