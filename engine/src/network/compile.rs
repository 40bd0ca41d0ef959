//! From a graph to steps: counts what it will take, compiles each node, joins a depthwise convolution with
//! the pointwise one behind it, and plans the memory.

use std::ops::Range;

use super::Step;
use crate::arena::{Place, plan};
use crate::error::{LayerError, Limit, ModelError};
use crate::graph::{Graph, Node, Op};
use crate::kernels::Kernels;
use crate::limits::{ARENA_BYTES, product};
use crate::ops::cost::Cost;
use crate::ops::{self, Compiler, expect_floats, is_pointwise};

/// A graph whose nodes are compiled and whose values have places.
pub struct CompiledGraph {
    pub places: Vec<Place>,
    pub steps: Vec<Step>,
    pub arena_bytes: usize,
    pub scratch_bytes: usize,
    pub cost: Cost,
}

/// Compiles `graph`. What it will take is counted before anything large is made.
pub fn compile(
    graph: &Graph,
    kernels: &'static Kernels,
    threads: usize,
) -> Result<CompiledGraph, ModelError> {
    let readers = count_readers(graph)?;
    let places = places(graph)?;
    let cost = cost(graph, &places, kernels)?;
    let mut compiler = Compiler { graph, kernels, threads, places, scratch_bytes: 0 };
    let mut steps = Vec::new();
    let mut joined: Option<&Node> = None;
    for (at, node) in graph.nodes.iter().enumerate() {
        if joins_next(graph, &readers, at) {
            joined = Some(node);
            continue;
        }
        let ahead = joined.take_if(|ahead| node.inputs.first() == Some(&ahead.output));
        let compiled = ops::compile(&mut compiler, node, ahead)
            .map_err(|source| ModelError::Layer { name: node.name.clone(), source })?;
        steps.push(Step {
            name: match ahead {
                Some(ahead) => format!("{} + {}", ahead.name, node.name),
                None => node.name.clone(),
            },
            macs: compiled.macs,
            inputs: ahead.unwrap_or(node).inputs.clone(),
            output: node.output,
            work: compiled.work,
        });
    }
    let Compiler { mut places, scratch_bytes, .. } = compiler;
    let arena_bytes = plan(&mut places, &lives(graph, &steps))?;
    let scratches_bytes = product(&[scratch_bytes, threads]).ok_or(Limit::Values)?;
    let cost = Cost { arena_bytes: arena_bytes.saturating_add(scratches_bytes), ..cost };
    cost.check()?;
    Ok(CompiledGraph { places, steps, arena_bytes, scratch_bytes, cost })
}

/// What `graph` takes, whose nodes are in order, but for its arena.
fn cost(graph: &Graph, places: &[Place], kernels: &Kernels) -> Result<Cost, Limit> {
    let mut all = Cost::default();
    for node in &graph.nodes {
        // What a node reads and gives is in memory at once.
        let values = node.inputs.iter().chain([&node.output]);
        let bytes = values.map(|&value| places[value].bytes());
        if bytes.fold(0_usize, usize::saturating_add) > ARENA_BYTES {
            return Err(Limit::Values);
        }
        all = all.plus(ops::cost(node, places, kernels)?);
    }
    all.check()?;
    Ok(all)
}

/// The places of all values. The codes of a picture that only windows are gathered from lie without
/// padding channels.
fn places(graph: &Graph) -> Result<Vec<Place>, LayerError> {
    let mut tight = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        let gathers = matches!(&node.op, Op::Convolution(conv) if !is_pointwise(conv));
        for &input in node.inputs.iter().filter(|_| !gathers) {
            tight[input] = false;
        }
        tight[node.output] = matches!(node.op, Op::QuantizePicture(_));
    }
    let tensors = graph.tensors.iter().zip(tight);
    tensors.map(|(&tensor, tight)| Place::new(tensor, tight)).collect()
}

/// Whether the node at `at` is a depthwise convolution whose result only a pointwise one reads, the next.
fn joins_next(graph: &Graph, readers: &[usize], at: usize) -> bool {
    let node = &graph.nodes[at];
    matches!(node.op, Op::Depthwise(_))
        && readers[node.output] == 1
        && graph.nodes.get(at + 1).is_some_and(|next| {
            next.inputs[0] == node.output
                && matches!(&next.op, Op::Convolution(conv) if is_pointwise(conv))
        })
}

/// How many nodes read each tensor, whose order is checked on the way. Outputs of the graph count as read
/// twice, so that no node is taken for the only one that needs them.
fn count_readers(graph: &Graph) -> Result<Vec<usize>, LayerError> {
    let mut readers = vec![0; graph.tensors.len()];
    let mut made = vec![false; graph.tensors.len()];
    for &input in &graph.inputs {
        *made.get_mut(input).ok_or(LayerError::Order)? = true;
    }
    for node in &graph.nodes {
        for &input in &node.inputs {
            if !made.get(input).copied().unwrap_or(false) {
                return Err(LayerError::Order);
            }
            readers[input] += 1;
        }
        let made = made.get_mut(node.output).ok_or(LayerError::Order)?;
        if node.inputs.is_empty() || std::mem::replace(made, true) {
            return Err(LayerError::Order);
        }
    }
    for &output in &graph.outputs {
        if !made.get(output).copied().unwrap_or(false) {
            return Err(LayerError::Order);
        }
        expect_floats(&[graph.tensors[output]])?;
        readers[output] += 2;
    }
    Ok(readers)
}

/// From the step that makes a value to the last that reads it.
fn lives(graph: &Graph, steps: &[Step]) -> Vec<Option<Range<usize>>> {
    let mut lives: Vec<Option<Range<usize>>> = vec![None; graph.tensors.len()];
    for &input in &graph.inputs {
        lives[input] = Some(0..0);
    }
    for (at, step) in steps.iter().enumerate() {
        for &input in &step.inputs {
            if let Some(life) = &mut lives[input] {
                life.end = at;
            }
        }
        lives[step.output] = Some(at..at);
    }
    for &output in &graph.outputs {
        if let Some(life) = &mut lives[output] {
            life.end = steps.len();
        }
    }
    lives
}
