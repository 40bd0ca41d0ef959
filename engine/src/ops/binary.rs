//! `Add`, `Sub`, `Mul` and `Div` in ONNX, and what each of them is: a function of a code, an operation on
//! two values, or a part of the layer before it.

use tract_onnx::pb::NodeProto;

use super::lowering::{At, Content, Pending, Sum, View};
use super::recogniser::Recogniser;
use super::{add, dense, linear, multiply, normalise, table};
use crate::onnx::proto::input;

/// What the node gives.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let operation: fn(f32, f32) -> f32 = match node.op_type.as_str() {
        "Add" => |left, right| left + right,
        "Sub" => |left, right| left - right,
        "Mul" => |left, right| left * right,
        "Div" => |left, right| left / right,
        _ => return None,
    };
    let views = [0, 1].map(|index| recogniser.view(node, index).cloned());
    let (view, name, found) = match &views {
        [Some(left), Some(right)] => {
            return table::combine(recogniser, left, right, operation)
                .or_else(|| pair(recogniser, at, node, left, right));
        }
        [Some(view), None] => {
            let name = input(node, 1)?;
            (view, name, table::with_constant(recogniser, view, name, operation))
        }
        [None, Some(view)] => {
            let name = input(node, 0)?;
            let swapped = |right, left| operation(left, right);
            (view, name, table::with_constant(recogniser, view, name, swapped))
        }
        [None, None] => return None,
    };
    found.or_else(|| if node.op_type == "Add" { add_to(recogniser, at, view, name) } else { None })
}

fn pair(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    node: &NodeProto,
    left: &View,
    right: &View,
) -> Option<View> {
    match node.op_type.as_str() {
        "Add" => add::recognise(recogniser, at, left, right),
        "Mul" => multiply::recognise(recogniser, at, left, right),
        "Div" => normalise::recognise(recogniser, at, left, right),
        _ => None,
    }
}

/// The constant called `name` added to a layer or to a norm, which takes it up.
fn add_to(recogniser: &mut Recogniser<'_>, at: At<'_>, view: &View, name: &str) -> Option<View> {
    let content = match &view.content {
        Content::Norm(value, epsilon) => Content::Norm(*value, epsilon + recogniser.scalar(name)?),
        Content::Pending(pending) if pending.is_bare() => {
            let Sum::Linear(layer) = &pending.sum else { return None };
            let constant = recogniser.per_channel(name, view, pending.shape)?;
            let sum = Sum::Linear(linear::with_bias(recogniser, layer, &constant)?);
            Content::Pending(Pending { sum, ..pending.clone() })
        }
        &Content::Floats(value) => {
            let constant = recogniser.per_channel(name, view, recogniser.lowering.shape(value))?;
            Content::Floats(dense::with_bias(recogniser, at, value, &constant)?)
        }
        _ => return None,
    };
    Some(View { content, ..view.clone() })
}
