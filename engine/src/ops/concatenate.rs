//! `Concatenate`: floats, all values of the inputs, one input behind the other. In ONNX it is a `Concat`.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, expect_floats, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, ValueId, View, vector};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Elements, Node, Op, Tensor};
use crate::limits::product;
use crate::onnx::proto::{axis, integer};

/// `Concat` of floats that lie in ONNX as they do here.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let views: Option<Vec<View>> =
        (0..node.input.len()).map(|index| recogniser.view(node, index).cloned()).collect();
    let views = views?;
    let mut dims = views.first()?.dims.clone();
    let along = axis(integer(node, "axis")?, dims.len())?;
    dims[along] = 0;
    for view in &views {
        let shape = recogniser.content_shape(&view.content)?;
        let in_order = !view.planes || shape.positions() == 1 || shape.channels == 1;
        let alike = view.dims.len() == dims.len()
            && (0..dims.len()).all(|at| at == along || view.dims[at] == dims[at])
            && view.dims[..along].iter().all(|&size| size == 1);
        if !in_order || !alike {
            return None;
        }
        dims[along] = dims[along].checked_add(view.dims[along])?;
    }
    let plain =
        |view: &View| matches!(view.content, Content::Floats(_) | Content::Function(_, None));
    if !views.iter().all(plain) {
        return None;
    }
    let inputs: Option<Vec<ValueId>> =
        views.iter().map(|view| recogniser.lowering.floats(at, view)).collect();
    let shape = vector(product(&dims)?);
    let result = Tensor { shape, elements: Elements::Floats };
    let value = recogniser.lowering.node(at, Op::Concatenate, &inputs?, result);
    Some(View { dims, planes: false, content: Content::Floats(value) })
}

struct Concatenate;

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node) -> Result<Compiled, LayerError> {
    let output = compiler.tensor(node.output);
    let mut values = 0;
    for &input in &node.inputs {
        let input = compiler.tensor(input);
        expect_floats(&[input])?;
        values = input.shape.values().saturating_add(values);
    }
    expect_floats(&[output])?;
    expect_shape(values == output.shape.values())?;
    Ok(Compiled::new(Concatenate))
}

impl Work for Concatenate {
    fn run(&self, context: &Context<'_>) {
        context.fill_floats(|mut output| {
            for index in 0..context.inputs.len() {
                let input = context.floats(index);
                let (target, rest) = output.split_at_mut(input.len());
                target.copy_from_slice(input);
                output = rest;
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(inputs: &[Given<'_>]) -> Values {
    Values::Floats(inputs.iter().flat_map(|input| input.floats()).copied().collect())
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{assert_whole, conv, lowered};
    use crate::onnx::example::{Attribute, Model, SIZE};

    #[test]
    fn heads_of_a_detector() {
        let mut model = Model::default();
        let conv = conv(&mut model);
        let codes = model.quantized(&conv, 0.02, 0);
        let perm = [("perm", Attribute::Integers(vec![0, 2, 3, 1]))];
        let heads = [2, 6].map(|anchors| {
            let weights = model.random_floats(&[anchors * 4, 4, 1, 1]);
            let bias = model.random_floats(&[anchors * 4]);
            let head = model.node("Conv", &[&codes, &weights, &bias], &[]);
            let last = model.node("Transpose", &[&head], &perm);
            let shape = model.integers(&[1, -1, 4]);
            model.node("Reshape", &[&last, &shape], &[])
        });
        let axis = [("axis", Attribute::Integer(1))];
        let boxes = model.node("Concat", &[&heads[0], &heads[1]], &axis);
        let expected =
            ["QuantizePicture", "Convolution", "Dequantize", "Dense", "Dense", "Concatenate"];
        let proto = model.finish(&[&boxes]);
        assert_whole(&proto, 0.1, &expected);
        let lowered = lowered(&proto);
        assert_eq!(lowered.regions[0].outputs[0].dims, [1, 8 * SIZE[0] * SIZE[1], 4]);
    }
}
