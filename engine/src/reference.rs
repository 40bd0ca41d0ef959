//! What a graph computes by the oracles of its operations: the oracle of the executor.

use crate::arena::Input;
use crate::graph::{Elements, Graph, TensorId};
use crate::ops;
use crate::ops::values::{Given, Values};

/// Computes the outputs of `graph`. Panics where the graph does not hold together.
pub fn run(graph: &Graph, inputs: &[Input<'_>]) -> Vec<Vec<f32>> {
    let mut values: Vec<Option<Values>> = vec![None; graph.tensors.len()];
    assert_eq!(inputs.len(), graph.inputs.len());
    for (&id, input) in graph.inputs.iter().zip(inputs) {
        values[id] = Some(match *input {
            Input::Pixels(pixels) => Values::Pixels(pixels.to_vec()),
            Input::Floats(floats) => Values::Floats(floats.to_vec()),
        });
    }
    for node in &graph.nodes {
        let given = |&id: &TensorId| Given {
            tensor: &graph.tensors[id],
            values: Some(values[id].as_ref().expect("it is computed")),
        };
        let inputs: Vec<_> = node.inputs.iter().map(given).collect();
        let output = Given { tensor: &graph.tensors[node.output], values: None };
        let result = ops::reference(&node.op, &inputs, &output);
        let (length, kind) = match &result {
            Values::Pixels(_) => panic!("a result is never pixels"),
            Values::Codes(codes) => {
                (codes.len(), matches!(output.tensor.elements, Elements::Codes(_)))
            }
            Values::Floats(floats) => (floats.len(), output.tensor.elements == Elements::Floats),
        };
        assert!(kind, "{}: kind of the result", node.name);
        assert_eq!(length, output.tensor.shape.values(), "{}", node.name);
        values[node.output] = Some(result);
    }
    let output = |&id: &TensorId| match &values[id] {
        Some(Values::Floats(floats)) => floats.clone(),
        other => panic!("an output is {other:?}"),
    };
    graph.outputs.iter().map(output).collect()
}
