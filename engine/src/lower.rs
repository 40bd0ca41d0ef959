//! Takes the quantized layers out of an ONNX graph and states them as [`Graph`]s of codes.
//!
//! It works on the file as it was parsed, before tract builds a model of it: tract would turn all
//! weights into float32. What is not recognised stays in ONNX, for tract, with a node in the place
//! of each part that was taken out.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, ModelProto};

use crate::error::ModelError;
use crate::graph::Graph;
use crate::onnx::DOMAIN;
use crate::onnx::sizes::Sizes;
pub use crate::ops::lowering::Outside;
use partition::Partition;

mod partition;
#[cfg(test)]
pub mod tests;
mod walk;

/// Type of the nodes that stand for regions, of [`DOMAIN`]; the attribute `index` says for which.
const OP_TYPE: &str = "Int8Region";

/// Versions of ONNX's operator set that are understood.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=21;

/// A model in two parts.
#[derive(Debug)]
pub struct Lowered {
    /// The parts that are computed on codes.
    pub regions: Vec<Region>,
    /// Everything else; `None` when there is one region, from the picture to all outputs, in the
    /// order of the model.
    pub rest: Option<ModelProto>,
}

/// A part of a model that is computed on codes.
#[derive(Debug)]
pub struct Region {
    /// What is computed.
    pub graph: Graph,
    /// How the inputs of the graph lie in ONNX: pixels [1, height, width, 3] of uint8, or float32,
    /// in the order of memory that the graph takes.
    pub inputs: Vec<Outside>,
    /// How the outputs of the graph lie in ONNX: float32, in the order of memory that it gives.
    pub outputs: Vec<Outside>,
}

/// Name of the node that stands for the region at `index`.
pub fn region_name(index: usize) -> String {
    format!("{DOMAIN}/region{index}")
}

/// How often regions that compute nothing are looked for. One that is left costs a little time.
const ROUNDS: usize = 8;

/// Takes out of the model, whose values have `sizes`, what can be computed on codes. The result
/// computes the same.
///
/// # Errors
///
/// When the file holds no graph, or exceeds a [limit](crate::limits).
pub fn lower(proto: &ModelProto, sizes: &Sizes<'_>) -> Result<Lowered, ModelError> {
    let graph = proto.graph.as_ref().ok_or(ModelError::NoGraph)?;
    if !is_understood(proto, graph) {
        return Ok(Lowered { regions: vec![], rest: Some(proto.clone()) });
    }
    let mut refused = HashSet::new();
    for _ in 1..ROUNDS {
        let lowering = walk::recognise(graph, sizes, &refused)?;
        let partition = Partition::new(graph, &lowering);
        let before = refused.len();
        refused.extend(partition.idle().into_iter().map(str::to_owned));
        if refused.len() == before {
            return Ok(partition.build(proto));
        }
    }
    let lowering = walk::recognise(graph, sizes, &refused)?;
    Ok(Partition::new(graph, &lowering).build(proto))
}

/// Whether the operator set is known, no node holds a graph of its own, and each value is computed
/// once, before it is used.
fn is_understood(proto: &ModelProto, graph: &GraphProto) -> bool {
    let mut opsets =
        proto.opset_import.iter().filter(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let mut known: HashSet<&str> = HashSet::new();
    known.extend(graph.input.iter().map(|input| input.name.as_str()));
    known.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    known.extend(
        graph
            .sparse_initializer
            .iter()
            .filter_map(|sparse| Some(sparse.values.as_ref()?.name.as_str())),
    );
    let nodes = graph.node.iter().all(|node| {
        let mut attributes = node.attribute.iter();
        let flat = attributes.all(|attribute| attribute.g.is_none() && attribute.graphs.is_empty());
        let mut inputs = node.input.iter().map(String::as_str);
        let in_order = inputs.all(|name| name.is_empty() || known.contains(name));
        let mut outputs = node.output.iter().map(String::as_str);
        flat && in_order && outputs.all(|name| name.is_empty() || known.insert(name))
    });
    nodes && opsets.any(|set| OPSETS.contains(&set.version))
}
