//! An ONNX file from anywhere: looked over before it is parsed, and the sizes of all that it would
//! compute before any of it is.

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, type_proto};

use crate::error::ModelError;

pub mod example;
pub mod proto;
pub mod sizes;
mod wire;

/// Domain of the nodes that stand for the quantized layers in a graph, and first part of their names, which
/// no file may use.
pub const DOMAIN: &str = "celebcam";

/// Parses the file in `bytes`.
///
/// # Errors
///
/// [`ModelError`] when it is no ONNX file, exceeds the [limits](crate::limits) or holds something that is
/// not supported.
pub fn parse(bytes: &[u8]) -> Result<ModelProto, ModelError> {
    if bytes.is_empty() {
        return Err(ModelError::Empty);
    }
    wire::check(bytes)?;
    let proto = ModelProto::decode(bytes).map_err(|_| ModelError::NotOnnx)?;
    if proto.graph.is_none() {
        return Err(ModelError::NotOnnx);
    }
    Ok(proto)
}

/// The model without the sizes that it declares for what it computes: they follow from the rest.
pub fn without_declarations(mut model: ModelProto) -> ModelProto {
    if let Some(graph) = &mut model.graph {
        graph.value_info.clear();
        for output in &mut graph.output {
            output.r#type = None;
        }
    }
    model
}

/// The longest side of a picture that a model may take.
const LONGEST_SIDE: usize = 2048;

/// Height and width of the one input of the graph, a picture: uint8 [1, height, width, 3] with fixed
/// sizes. `None` where it takes something else.
pub fn picture_size(graph: &GraphProto) -> Option<(u32, u32)> {
    let [input] = &graph.input[..] else { return None };
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    let [1, height, width, 3] = proto::declared_dims(input)?[..] else { return None };
    let fits = tensor.elem_type == DataType::Uint8 as i32
        && [height, width].iter().all(|side| (1..=LONGEST_SIDE).contains(side));
    fits.then_some((height as u32, width as u32))
}
