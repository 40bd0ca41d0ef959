//! Activations in ONNX. Behind a layer they are a part of it: bounds of its result or slopes below zero.
//! On a picture or on codes they are a function of each element, see [`table`](super::table).

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::lowering::{Content, Pending, Sum, View};
use super::recogniser::Recogniser;
use crate::onnx::proto::{float, input};

/// `Relu`, `Clip`, `LeakyRelu`, `PRelu`, `HardSigmoid`, `HardSwish` and `Sigmoid`.
pub fn recognise(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    let content = match &view.content {
        Content::Pending(pending) => Content::Pending(activate(recogniser, node, view, pending)?),
        Content::Picture(value, tables) => {
            let function = scalar_function(recogniser, node)?;
            Content::Picture(*value, Rc::new(tables.map(|table| table.map(&function))))
        }
        Content::Function(value, table) => {
            let table = recogniser.function(*value, table.as_ref())?;
            let function = scalar_function(recogniser, node)?;
            Content::Function(*value, Some(Rc::new(table.map(function))))
        }
        _ => return None,
    };
    Some(View { content, ..view.clone() })
}

fn activate(
    recogniser: &Recogniser<'_>,
    node: &NodeProto,
    view: &View,
    pending: &Pending,
) -> Option<Pending> {
    if let "Relu" | "Clip" = node.op_type.as_str() {
        let (low, high) = bounds(recogniser, node)?;
        let clip = |value: f32| value.max(low).min(high);
        let (low, high) = (clip(pending.low), clip(pending.high));
        return Some(Pending { low, high, ..pending.clone() });
    }
    if !pending.is_bare() || !matches!(pending.sum, Sum::Linear(_)) {
        return None;
    }
    let slope = match node.op_type.as_str() {
        "LeakyRelu" => {
            recogniser.take_values::<f32>(pending.shape.channels)?;
            vec![float(node, "alpha").unwrap_or(0.01); pending.shape.channels]
        }
        "PRelu" => recogniser.per_channel(input(node, 1)?, view, pending.shape)?,
        _ => return None,
    };
    Some(Pending { slope: Some(slope.into()), ..pending.clone() })
}

fn bounds(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<(f32, f32)> {
    if node.op_type == "Relu" {
        return Some((0.0, f32::INFINITY));
    }
    let bound = |index, missing| match input(node, index) {
        Some(name) => recogniser.scalar(name),
        None => Some(missing),
    };
    Some((bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?))
}

fn scalar_function(
    recogniser: &Recogniser<'_>,
    node: &NodeProto,
) -> Option<Box<dyn Fn(f32) -> f32>> {
    let hard_sigmoid = |alpha: f32, beta: f32| move |x: f32| (alpha * x + beta).clamp(0.0, 1.0);
    let leaky = |slope: f32| move |x: f32| if x < 0.0 { slope * x } else { x };
    Some(match node.op_type.as_str() {
        "Relu" | "Clip" => {
            let (low, high) = bounds(recogniser, node)?;
            Box::new(move |x: f32| x.max(low).min(high))
        }
        "LeakyRelu" => Box::new(leaky(float(node, "alpha").unwrap_or(0.01))),
        "PRelu" => Box::new(leaky(recogniser.scalar(input(node, 1)?)?)),
        "HardSigmoid" => Box::new(hard_sigmoid(
            float(node, "alpha").unwrap_or(0.2),
            float(node, "beta").unwrap_or(0.5),
        )),
        "HardSwish" => {
            let gate = hard_sigmoid(1.0 / 6.0, 0.5);
            Box::new(move |x| x * gate(x))
        }
        "Sigmoid" => Box::new(|x: f32| 1.0 / (1.0 + (-x).exp())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, STEP, assert_whole, conv};
    use crate::onnx::example::{Attribute, Model};

    #[test]
    fn activations_behind_a_convolution() {
        for activation in ["Relu", "Clip", "PRelu", "LeakyRelu"] {
            let mut model = Model::default();
            let conv = conv(&mut model);
            let constants = match activation {
                "Clip" => vec![model.scalar(-0.3), model.scalar(0.4)],
                "PRelu" => vec![model.floats(&[4, 1, 1], &[0.1, -0.2, 0.3, 1.5])],
                _ => vec![],
            };
            let mut inputs = vec![conv.as_str()];
            inputs.extend(constants.iter().map(String::as_str));
            let attributes = [("alpha", Attribute::Float(0.2))];
            let attributes = if activation == "LeakyRelu" { &attributes[..] } else { &[] };
            let active = model.node(activation, &inputs, attributes);
            let output = model.quantized(&active, STEP, -20);
            let expected = ["QuantizePicture", "Convolution", "Dequantize", "PositionsToPlanes"];
            assert_whole(&model.finish(&[&output]), NEAR, &expected);
        }
    }
}
