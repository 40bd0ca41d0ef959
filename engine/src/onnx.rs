//! An ONNX file from anywhere: looked over before it is parsed, and the sizes of all that it would
//! compute before any of it is.

use prost::Message;
use tract_onnx::pb::ModelProto;

#[cfg(test)]
pub mod example;
pub mod proto;
pub mod sizes;
mod wire;

/// Parses the file in `bytes`.
///
/// # Errors
///
/// A sentence when it is no ONNX file, exceeds the [limits](crate::limits) or holds what no
/// model of celebcam does.
pub fn parse(bytes: &[u8]) -> Result<ModelProto, String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    wire::check(bytes)?;
    let broken = "it is not an ONNX file, or it is cut off";
    let proto = ModelProto::decode(bytes).map_err(|_| broken)?;
    if proto.graph.is_none() {
        return Err(broken.to_owned());
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
