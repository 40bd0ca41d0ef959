//! `Normalise`: floats, x / (||x||_2 + epsilon) over all values. In ONNX it is a `ReduceL2`, perhaps an
//! `Add`, and a `Div`.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, expect_floats, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, View, vector};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Elements, Node, Op, Tensor};
use crate::onnx::proto::integer;

/// `ReduceL2` of all values.
pub fn norm(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
    let [axis] = recogniser.listed(node, "axes", 1)?[..] else { return None };
    let &[1, length] = &view.dims[..] else { return None };
    let keeps = integer(node, "keepdims").unwrap_or(1) != 0;
    let shape = recogniser.content_shape(&view.content)?;
    if !matches!(axis, 1 | -1) || !keeps || shape != vector(length) {
        return None;
    }
    let value = recogniser.lowering.floats(at, &view)?;
    Some(View { dims: vec![1, 1], planes: false, content: Content::Norm(value, 0.0) })
}

/// `Div` of a vector by its norm.
pub fn recognise(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    left: &View,
    right: &View,
) -> Option<View> {
    let Content::Norm(value, epsilon) = right.content else { return None };
    let &[1, length] = &left.dims[..] else { return None };
    let shape = recogniser.content_shape(&left.content)?;
    if shape != vector(length) || recogniser.lowering.floats(at, left)? != value {
        return None;
    }
    let result = Tensor { shape, elements: Elements::Floats };
    let value = recogniser.lowering.node(at, Op::Normalise { epsilon }, &[value], result);
    Some(View { content: Content::Floats(value), ..left.clone() })
}

struct Normalise {
    epsilon: f32,
}

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node, epsilon: f32) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_floats(&[input, output])?;
    expect_shape(input.shape == output.shape)?;
    Ok(Compiled::new(Normalise { epsilon }))
}

impl Work for Normalise {
    fn run(&self, context: &Context<'_>) {
        let input = context.floats(0);
        let square: f64 = input.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let length = square.sqrt() as f32 + self.epsilon;
        context.fill_floats(|output| {
            for (output, &value) in output.iter_mut().zip(input) {
                *output = value / length;
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(epsilon: f32, input: &Given<'_>) -> Values {
    let floats = input.floats();
    let norm = floats.iter().map(|x| x * x).sum::<f32>().sqrt() + epsilon;
    Values::Floats(floats.iter().map(|x| x / norm).collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{assert_whole, conv};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn an_embedding_and_logits() {
        let mut model = Model::default();
        let conv = conv(&mut model);
        let codes = model.quantized(&conv, 0.02, 0);
        let mean = model.node("GlobalAveragePool", &[&codes], &[]);
        let mean = model.quantized(&mean, 0.002, 0);
        let shape = model.integers(&[1, -1]);
        let flat = model.node("Reshape", &[&mean, &shape], &[]);
        let axes = [("axes", Attribute::Integers(vec![1]))];
        let norm = model.node("ReduceL2", &[&flat], &axes);
        let epsilon = model.scalar(1e-12);
        let sum = model.node("Add", &[&norm, &epsilon], &[]);
        let embedding = model.node("Div", &[&flat, &sum], &[]);
        let (weights, bias) = (model.random_floats(&[6, 4]), model.random_floats(&[6]));
        let across = [("transB", Attribute::Integer(1))];
        let logits = model.node("Gemm", &[&embedding, &weights, &bias], &across);
        let expected = [
            "QuantizePicture",
            "Convolution",
            "GlobalAveragePool",
            "Dequantize",
            "Normalise",
            "Dense",
        ];
        assert_whole(&model.finish(&[&logits, &embedding]), 0.05, &expected);
    }
}
