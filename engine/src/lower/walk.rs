//! Walks over an ONNX graph and finds what can be computed on codes: each node is shown to the
//! [operations](crate::ops). Values that nothing is known about stay in ONNX.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, ValueInfoProto, type_proto};

use crate::error::{Limit, ModelError};
use crate::graph::{Elements, Shape, Tensor};
use crate::onnx::proto::{declared_dims, input, is_standard};
use crate::onnx::sizes::Sizes;
use crate::ops;
use crate::ops::lowering::{Content, Lowering, View};
use crate::ops::recogniser::Recogniser;

/// Finds what can be lowered of `graph`, whose nodes are in order and whose values have `sizes`. The
/// results of `QuantizeLinear` that `refused` names are not lowered.
///
/// # Errors
///
/// [`Limit::Lowered`] when that takes more memory.
pub fn recognise(
    graph: &GraphProto,
    sizes: &Sizes<'_>,
    refused: &HashSet<String>,
) -> Result<Lowering, ModelError> {
    let mut recogniser = Recogniser::new(graph, refused);
    for info in &graph.input {
        add_input(&mut recogniser, info);
    }
    for (at, node) in graph.node.iter().enumerate() {
        let Some(name) = node.output.first() else { continue };
        if !is_standard(node) || recogniser.constants.get(name).is_some() {
            continue;
        }
        let constant = input(node, 0).is_some_and(|name| recogniser.constants.get(name).is_some());
        if constant && node.op_type == "DequantizeLinear" {
            recogniser.add_quantized_constant(name, node);
            continue;
        }
        let node_name = if node.name.is_empty() { name } else { &node.name };
        let view = ops::recognise(&mut recogniser, (at, node_name), node);
        if let Some(view) = view.or_else(|| outside(sizes, node)) {
            recogniser.lowering.views.insert(name.clone(), view);
        }
        if recogniser.is_used_up() {
            return Err(Limit::Lowered.into());
        }
    }
    Ok(recogniser.lowering)
}

/// An input of the graph: the picture, or floats that stay in ONNX.
fn add_input(recogniser: &mut Recogniser<'_>, info: &ValueInfoProto) {
    let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return;
    };
    let Some(dims) = declared_dims(info) else { return };
    let content = match dims[..] {
        [1, height, width, 3] if tensor.elem_type == DataType::Uint8 as i32 => {
            let shape = Shape { height, width, channels: 3 };
            let picture = Tensor { shape, elements: Elements::Pixels };
            Content::Pixels(recogniser.lowering.outside(picture, &info.name, &dims))
        }
        _ if tensor.elem_type == DataType::Float as i32 => Content::Outside,
        _ => return,
    };
    recogniser.lowering.views.insert(info.name.clone(), View { dims, planes: false, content });
}

/// The result of a node that stays in ONNX, where its shape is known.
fn outside(sizes: &Sizes<'_>, node: &NodeProto) -> Option<View> {
    let dims = sizes.get(&node.output[0])?.to_vec();
    Some(View { dims, planes: false, content: Content::Outside })
}
