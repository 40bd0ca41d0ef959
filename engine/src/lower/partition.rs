//! Cuts what could be lowered into regions, and puts them in the place of what they stand for.
//!
//! A region could not be run if it needed its own results by way of nodes that stay in ONNX. So every
//! node has a level. That of a node that stays is the highest of its inputs. That of a lowered node is so
//! as well, but an input that comes from a node that stays counts one more. A region is all lowered nodes
//! of one level.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};

use super::{DOMAIN, Lowered, OP_TYPE, Outside, Region};
use crate::graph::{Elements, Graph, Node, Op, Tensor, TensorId};
use crate::ops;
use crate::ops::lowering::{Lowering, ValueId};

/// Which regions there are and what stays.
pub struct Partition<'a> {
    graph: &'a GraphProto,
    lowering: &'a Lowering,
    producers: HashMap<&'a str, usize>,
    /// ONNX nodes that stay.
    kept: BTreeSet<usize>,
    /// Lowered values that ONNX needs, by name.
    exports: Vec<&'a str>,
    /// Lowered nodes that are needed.
    lowered: BTreeSet<usize>,
    kept_levels: HashMap<usize, usize>,
    lowered_levels: HashMap<usize, usize>,
}

impl<'a> Partition<'a> {
    /// Finds what the outputs of `graph` need, and the levels.
    pub fn new(graph: &'a GraphProto, lowering: &'a Lowering) -> Self {
        let produced =
            graph.node.iter().enumerate().flat_map(|(index, node)| {
                node.output.iter().map(move |name| (name.as_str(), index))
            });
        let mut partition = Self {
            graph,
            lowering,
            producers: produced.filter(|(name, _)| !name.is_empty()).collect(),
            kept: BTreeSet::new(),
            exports: vec![],
            lowered: BTreeSet::new(),
            kept_levels: HashMap::new(),
            lowered_levels: HashMap::new(),
        };
        partition.follow();
        partition.number();
        partition
    }

    /// Follows the graph from its outputs to what they need.
    fn follow(&mut self) {
        let mut seen = HashSet::new();
        let mut queue: VecDeque<&'a str> =
            self.graph.output.iter().map(|output| output.name.as_str()).collect();
        while let Some(name) = queue.pop_front() {
            if !seen.insert(name) {
                continue;
            }
            let lowering = self.lowering;
            if let Some((value, _)) = lowering.exported(name) {
                self.exports.push(name);
                self.need(value, &mut queue);
            } else if let Some(&node) = self.producers.get(name) {
                self.kept.insert(node);
                let inputs = self.graph.node[node].input.iter().map(String::as_str);
                queue.extend(inputs.filter(|name| !name.is_empty()));
            }
        }
    }

    fn need(&mut self, value: ValueId, queue: &mut VecDeque<&'a str>) {
        let mut values = vec![value];
        while let Some(value) = values.pop() {
            match self.lowering.producer(value) {
                Some(node) if self.lowered.insert(node) => {
                    values.extend(&self.lowering.nodes[node].inputs);
                }
                Some(_) => {}
                None => queue.push_back(&self.lowering.outside[&value].name),
            }
        }
    }

    fn number(&mut self) {
        let mut nodes = self.lowered.iter().copied().peekable();
        for (index, node) in self.graph.node.iter().enumerate() {
            while let Some(lowered) =
                nodes.next_if(|&lowered| self.lowering.nodes[lowered].at <= index)
            {
                let inputs = self.lowering.nodes[lowered].inputs.iter();
                let level = inputs.map(|&value| self.input_level(value)).max().unwrap_or(0);
                self.lowered_levels.insert(lowered, level);
            }
            if self.kept.contains(&index) {
                let level = node.input.iter().map(|name| self.level(name)).max().unwrap_or(0);
                self.kept_levels.insert(index, level);
            }
        }
    }

    fn value_level(&self, value: ValueId) -> Option<usize> {
        self.lowered_levels.get(&self.lowering.producer(value)?).copied()
    }

    fn input_level(&self, value: ValueId) -> usize {
        self.value_level(value).unwrap_or_else(|| match self.lowering.tensors[value].elements {
            Elements::Pixels => 0,
            _ => self.level(&self.lowering.outside[&value].name) + 1,
        })
    }

    fn level(&self, name: &str) -> usize {
        if let Some((value, _)) = self.lowering.exported(name) {
            return self.value_level(value).unwrap_or(0);
        }
        let node = self.producers.get(name);
        node.and_then(|node| self.kept_levels.get(node)).copied().unwrap_or(0)
    }

    fn levels(&self) -> BTreeSet<usize> {
        self.lowered_levels.values().copied().collect()
    }

    fn lowered_at(&self, level: usize) -> impl Iterator<Item = usize> {
        self.lowered.iter().copied().filter(move |node| self.lowered_levels[node] == level)
    }

    /// Names of the results of `QuantizeLinear` in regions that compute nothing.
    pub fn idle(&self) -> Vec<&str> {
        let nodes = |level| self.lowered_at(level).map(|node| &self.lowering.nodes[node]);
        let idle = self
            .levels()
            .into_iter()
            .filter(|&level| !nodes(level).any(|node| ops::computes(&node.op)))
            .collect::<Vec<_>>();
        let quantized = idle.into_iter().flat_map(nodes);
        let quantized =
            quantized.filter(|node| matches!(node.op, Op::Quantize | Op::QuantizePicture(_)));
        quantized.map(|node| node.name.as_str()).collect()
    }

    /// The regions, and the model without what they stand for.
    pub fn build(&self, proto: &ModelProto) -> Lowered {
        let levels: Vec<usize> = self.levels().into_iter().collect();
        let regions: Vec<Region> = levels.iter().map(|&level| self.region(level)).collect();
        if let [region] = &regions[..]
            && self.kept.is_empty()
            && region.inputs.len() == 1
            && region.outputs.iter().map(|output| &output.name).eq(self
                .graph
                .output
                .iter()
                .map(|output| &output.name))
        {
            return Lowered { regions, rest: None };
        }
        let rest = self.rest(proto, &levels, &regions);
        Lowered { regions, rest: Some(rest) }
    }

    /// The lowered nodes of one level as a graph of their own.
    fn region(&self, level: usize) -> Region {
        let mut builder = Builder { level, ..Builder::default() };
        for &name in &self.exports {
            let Some((value, view)) = self.lowering.exported(name) else { continue };
            if self.value_level(value) == Some(level) {
                self.compute(&mut builder, value);
                let floats = builder.floats(value, view.planes);
                builder.give(floats, name, view.dims.clone());
            }
        }
        for value in self.crossing(level) {
            self.compute(&mut builder, value);
            let floats = builder.floats(value, false);
            builder.give(floats, &crossing_name(value), self.crossing_dims(value));
        }
        let Builder { graph, inputs, outputs, .. } = builder;
        Region { graph, inputs, outputs }
    }

    /// The values of `level` that regions of higher levels need.
    fn crossing(&self, level: usize) -> BTreeSet<ValueId> {
        let above = self.lowered.iter().filter(|node| self.lowered_levels[node] > level);
        let inputs = above.flat_map(|&node| &self.lowering.nodes[node].inputs);
        inputs.copied().filter(|&value| self.value_level(value) == Some(level)).collect()
    }

    fn crossing_dims(&self, value: ValueId) -> Vec<usize> {
        let shape = self.lowering.shape(value);
        vec![1, shape.height, shape.width, shape.channels]
    }

    /// The tensor of `value` in the region. What it is computed from comes right before it; a value
    /// from elsewhere becomes an input.
    fn compute(&self, builder: &mut Builder, value: ValueId) -> TensorId {
        // Values that are to be computed, each above those that need it.
        let mut waiting = vec![value];
        while let Some(&value) = waiting.last() {
            if builder.values.contains_key(&value) {
                waiting.pop();
                continue;
            }
            let here = self.value_level(value) == Some(builder.level);
            let node = self.lowering.producer(value).filter(|_| here);
            let tensor = match node.map(|node| &self.lowering.nodes[node]) {
                Some(node) => {
                    let missing = |input: &&ValueId| !builder.values.contains_key(input);
                    if let Some(&input) = node.inputs.iter().find(missing) {
                        waiting.push(input);
                        continue;
                    }
                    let inputs = node.inputs.iter().map(|input| builder.values[input]).collect();
                    let output = builder.tensor(self.lowering.tensors[value]);
                    let (name, op) = (node.name.clone(), node.op.clone());
                    builder.graph.nodes.push(Node { name, op, inputs, output });
                    output
                }
                None => self.given(builder, value),
            };
            builder.values.insert(value, tensor);
        }
        builder.values[&value]
    }

    fn given(&self, builder: &mut Builder, value: ValueId) -> TensorId {
        let tensor = self.lowering.tensors[value];
        if let Some(outside) = self.lowering.outside.get(&value) {
            return builder.take(tensor, outside.clone());
        }
        let name = crossing_name(value);
        let floats = Tensor { elements: Elements::Floats, ..tensor };
        let outside = Outside { name: name.clone(), dims: self.crossing_dims(value) };
        let given = builder.take(floats, outside);
        match tensor.elements {
            Elements::Codes(_) => builder.node(&name, Op::Quantize, given, tensor),
            _ => given,
        }
    }

    fn rest(&self, proto: &ModelProto, levels: &[usize], regions: &[Region]) -> ModelProto {
        let highest = self.kept_levels.values().chain(levels).max().copied().unwrap_or(0);
        let mut nodes = vec![];
        for level in 0..=highest {
            if let Ok(index) = levels.binary_search(&level) {
                nodes.push(region_node(index, &regions[index]));
            }
            let kept = self.kept.iter().filter(|node| self.kept_levels[node] == level);
            nodes.extend(kept.map(|&node| self.graph.node[node].clone()));
        }
        let used: HashSet<String> = nodes
            .iter()
            .flat_map(|node| &node.input)
            .chain(self.graph.output.iter().map(|output| &output.name))
            .cloned()
            .collect();
        let given: HashSet<&str> = self
            .kept
            .iter()
            .flat_map(|&node| &self.graph.node[node].output)
            .map(|name| &**name)
            .collect();
        let initializers = self.graph.initializer.iter();
        let initialized: HashSet<&str> = initializers.clone().map(|tensor| &*tensor.name).collect();
        let inputs = self.graph.input.iter();
        let infos = self.graph.value_info.iter();
        let graph = GraphProto {
            node: nodes,
            name: self.graph.name.clone(),
            initializer: initializers
                .filter(|tensor| used.contains(&tensor.name))
                .cloned()
                .collect(),
            sparse_initializer: self.graph.sparse_initializer.clone(),
            input: inputs
                .filter(|info| used.contains(&info.name) || !initialized.contains(&*info.name))
                .cloned()
                .collect(),
            output: self.graph.output.clone(),
            value_info: infos.filter(|info| given.contains(&*info.name)).cloned().collect(),
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: proto.ir_version,
            opset_import: proto.opset_import.clone(),
            graph: Some(graph),
            ..ModelProto::default()
        }
    }
}

/// Name of a value that goes from one region to another.
fn crossing_name(value: ValueId) -> String {
    format!("{DOMAIN}/value{value}")
}

/// The node that stands for a region.
fn region_node(index: usize, region: &Region) -> NodeProto {
    let names = |values: &[Outside]| values.iter().map(|value| value.name.clone()).collect();
    let attribute = AttributeProto {
        name: "index".to_owned(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::Int as i32,
        i: index as i64,
        ..AttributeProto::default()
    };
    NodeProto {
        name: super::region_name(index),
        op_type: OP_TYPE.to_owned(),
        domain: DOMAIN.to_owned(),
        input: names(&region.inputs),
        output: names(&region.outputs),
        attribute: vec![attribute],
        ..NodeProto::default()
    }
}

/// The graph of a region while it is built.
#[derive(Default)]
struct Builder {
    level: usize,
    graph: Graph,
    inputs: Vec<Outside>,
    outputs: Vec<Outside>,
    values: HashMap<ValueId, TensorId>,
}

impl Builder {
    fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.graph.tensors.push(tensor);
        self.graph.tensors.len() - 1
    }

    fn take(&mut self, tensor: Tensor, outside: Outside) -> TensorId {
        let given = self.tensor(tensor);
        self.graph.inputs.push(given);
        self.inputs.push(outside);
        given
    }

    fn give(&mut self, tensor: TensorId, name: &str, dims: Vec<usize>) {
        self.graph.outputs.push(tensor);
        self.outputs.push(Outside { name: name.to_owned(), dims });
    }

    /// The result of `op` on `input`, computed once.
    fn node(&mut self, name: &str, op: Op, input: TensorId, result: Tensor) -> TensorId {
        let mut same =
            self.graph.nodes.iter().filter(|node| node.op == op && node.inputs == [input]);
        if let Some(node) = same.find(|node| self.graph.tensors[node.output] == result) {
            return node.output;
        }
        let output = self.tensor(result);
        self.graph.nodes.push(Node { name: name.to_owned(), op, inputs: vec![input], output });
        output
    }

    /// The floats of a value of this region, plane by plane or with the channels last.
    fn floats(&mut self, value: ValueId, planes: bool) -> TensorId {
        let id = self.values[&value];
        let tensor = self.graph.tensors[id];
        let floats = Tensor { elements: Elements::Floats, ..tensor };
        let id = match tensor.elements {
            Elements::Codes(_) => self.node("dequantize", Op::Dequantize, id, floats),
            _ => id,
        };
        if !planes || tensor.shape.positions() == 1 || tensor.shape.channels == 1 {
            return id;
        }
        self.node("planes", Op::PositionsToPlanes, id, floats)
    }
}
