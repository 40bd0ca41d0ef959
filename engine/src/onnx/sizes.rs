//! The size of every value of an ONNX graph, computed from the file alone and with overflow checked,
//! before anything is computed or any memory taken. What has no fixed size, exceeds the limits or is
//! of an operator that is not known here is refused, so tract gets nothing else.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::proto::{Constants, declared_dims, input, is_standard};
use crate::error::{Limit, ModelError};
use crate::limits::{
    ARENA_BYTES, FOLDED_OPERATIONS, NAME_BYTES, NODES, OPERATIONS, RANK, TRACT_BYTES, product,
};
use crate::onnx::DOMAIN;
use crate::text::shortened;

mod layers;
mod shapes;
#[cfg(test)]
mod tests;
mod windows;

pub use shapes::reshaped;

/// Why a node is refused.
type Reason = &'static str;

const UNFIT: Reason = "its inputs do not fit together";
const UNFIXED: Reason = "its result has no size that is fixed in the file";
const OUT_OF_RANGE: Reason = "one of its attributes is out of range";
const NOT_FREE: Reason = "a name that is too long or celebcam's own";
const TOO_LARGE: Reason = "its result is too large";

/// Most characters of a name in a message.
const NAME_LENGTH: usize = 60;

/// A value of the graph.
#[derive(Debug, Default)]
struct Value {
    dims: Vec<usize>,
    /// Multiplications, or results where there are none.
    operations: u64,
    /// Numbers that tract may copy in order to compute it.
    copied: usize,
    /// It follows from the file alone.
    is_constant: bool,
}

impl Value {
    /// One operation for each element.
    fn new(dims: Vec<usize>) -> Self {
        let operations = product(&dims).map_or(u64::MAX, |values| values as u64);
        Self { dims, operations, ..Self::default() }
    }

    /// So many operations for each element; the largest number where they are more.
    fn with_operations(self, each: Option<usize>) -> Self {
        let each = each.map_or(u64::MAX, |each| each as u64);
        Self { operations: self.operations.saturating_mul(each), ..self }
    }

    fn elements(&self) -> Option<usize> {
        product(&self.dims)
    }
}

/// Sizes of the values of a graph.
#[derive(Debug, Default)]
pub struct Sizes<'a> {
    values: HashMap<&'a str, Value>,
}

/// A node and what is known about its inputs.
struct Known<'a> {
    node: &'a NodeProto,
    sizes: &'a Sizes<'a>,
    constants: &'a Constants<'a>,
}

impl Known<'_> {
    /// Size of the `index`th input, unless it is left out.
    fn dims(&self, index: usize) -> Option<&[usize]> {
        self.sizes.get(input(self.node, index)?)
    }

    fn first(&self) -> Result<&[usize], Reason> {
        self.dims(0).ok_or(UNFIT)
    }

    /// Number of values of the `index`th input, unless it is left out.
    fn count(&self, index: usize) -> Option<usize> {
        product(self.dims(index)?)
    }

    /// The integers of the `index`th input, which has to be a constant. It may have two for each of the
    /// most dimensions that a value can have.
    fn integers(&self, index: usize) -> Result<Vec<i64>, Reason> {
        let constant = input(self.node, index).and_then(|name| self.constants.get(name));
        constant.and_then(|constant| constant.integers(2 * RANK)).ok_or(UNFIXED)
    }
}

impl<'a> Sizes<'a> {
    /// Those of `graph`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when a size is not fixed or exceeds a limit, an operator is not known, or the
    /// graph does not hold together.
    pub fn of(graph: &'a GraphProto) -> Result<Self, ModelError> {
        if graph.node.len() > NODES {
            return Err(Limit::Nodes.into());
        }
        let mut sizes = Self::default();
        for tensor in &graph.initializer {
            let dims = constant_dims(tensor)
                .map_err(|reason| ModelError::Constant { name: shown(&tensor.name), reason })?;
            sizes.insert(&tensor.name, Value { is_constant: true, ..Value::new(dims) })?;
        }
        for info in &graph.input {
            let dims = declared_dims(info).ok_or(ModelError::InputSize)?;
            sizes.insert(&info.name, Value::new(dims))?;
        }
        let constants = Constants::new(graph);
        let mut operations = 0_u64;
        for node in &graph.node {
            let value = sizes.node(node, &constants).map_err(|reason| {
                let output = node.output.first().map_or("", String::as_str);
                let name = if node.name.is_empty() { output } else { &node.name };
                ModelError::Node { name: shown(name), operator: shown(&node.op_type), reason }
            })?;
            operations = operations.saturating_add(value.operations);
            sizes.insert(&node.output[0], value)?;
        }
        if operations > OPERATIONS {
            return Err(Limit::Operations.into());
        }
        match graph.output.iter().find(|output| sizes.get(&output.name).is_none()) {
            Some(output) => Err(ModelError::MissingOutput(shown(&output.name))),
            None => Ok(sizes),
        }
    }

    /// The size of the value called `name`.
    pub fn get(&self, name: &str) -> Option<&[usize]> {
        Some(&self.values.get(name)?.dims)
    }

    /// Checks that tract can be given `rest`, a part of the graph, and values of `other_bytes` that
    /// are not of the graph.
    ///
    /// # Errors
    ///
    /// [`Limit`] when that takes too much memory, or too long to load.
    pub fn check_rest(&self, rest: &GraphProto, other_bytes: usize) -> Result<(), Limit> {
        let names = rest.node.iter().flat_map(|node| &node.output);
        let values: Vec<&Value> = names.filter_map(|name| self.values.get(name.as_str())).collect();
        let bytes = |value: &&Value| {
            let numbers = value.elements()?.checked_add(value.copied)?;
            numbers.checked_mul(size_of::<f32>())
        };
        let bytes = values.iter().map(|value| bytes(value).unwrap_or(usize::MAX));
        if bytes.fold(other_bytes, usize::saturating_add) > TRACT_BYTES {
            return Err(Limit::Tract);
        }
        let folded = values.iter().filter(|value| value.is_constant);
        let folded = folded.map(|value| value.operations).fold(0, u64::saturating_add);
        if folded > FOLDED_OPERATIONS {
            return Err(Limit::Folded);
        }
        Ok(())
    }

    fn insert(&mut self, name: &'a str, value: Value) -> Result<(), ModelError> {
        if !is_free(name) {
            return Err(ModelError::Name { name: shown(name), reason: NOT_FREE });
        }
        match self.values.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(ModelError::SameName(shown(name))),
        }
    }

    fn node(&self, node: &NodeProto, constants: &Constants<'_>) -> Result<Value, Reason> {
        if !is_standard(node) {
            return Err("it is of an operator set that celebcam does not know");
        }
        if !is_free(&node.name) {
            return Err(NOT_FREE);
        }
        let [output, others @ ..] = &node.output[..] else { return Err("it has no result") };
        if output.is_empty() || !others.iter().all(String::is_empty) {
            return Err("it has more than one result, or none with a name");
        }
        let mut attributes = HashSet::new();
        if !node.attribute.iter().all(|attribute| attributes.insert(&attribute.name)) {
            return Err("two of its attributes have one name");
        }
        let names = || node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
        if !names().all(|name| self.values.contains_key(name)) {
            return Err("an input is not there, or computed only later");
        }
        let at = Known { node, sizes: self, constants };
        let value = at.compute()?;
        match value.elements() {
            Some(0) => Err("its result is empty"),
            Some(1..=ARENA_BYTES) if value.dims.len() <= RANK => {
                let is_constant = names().all(|name| self.values[name].is_constant);
                Ok(Value { is_constant, ..value })
            }
            _ => Err(TOO_LARGE),
        }
    }
}

impl Known<'_> {
    /// What the node computes.
    fn compute(&self) -> Result<Value, Reason> {
        match self.node.op_type.as_str() {
            "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "Mish" | "HardSigmoid"
            | "HardSwish" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign" | "Erf" | "Exp"
            | "Log" | "Sqrt" | "Reciprocal" | "Abs" | "Neg" | "Floor" | "Ceil" | "Round"
            | "Identity" | "Softmax" | "LogSoftmax" => self.alone(),
            "Dropout" | "Clip" => self.with_numbers(),
            "Cast" => self.cast(),
            "QuantizeLinear" | "DequantizeLinear" => self.quantized(),
            "BatchNormalization" | "InstanceNormalization" => self.normalised(),
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" | "PRelu" => self.broadcast(),
            "Conv" => self.conv(),
            "MaxPool" | "AveragePool" => self.pool(),
            "GlobalAveragePool" | "GlobalMaxPool" => self.pool_all(),
            "Gemm" => self.gemm(),
            "MatMul" => self.matmul(),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2"
            | "ReduceSumSquare" => self.reduce(),
            "Constant" => self.constant(),
            "Transpose" => self.transpose(),
            "Reshape" => self.reshape(),
            "Flatten" => self.flatten(),
            "Squeeze" => self.squeeze(),
            "Unsqueeze" => self.unsqueeze(),
            "Concat" => self.concat(),
            "Pad" => self.pad(),
            "Shape" => self.shape(),
            "Slice" => self.slice(),
            _ => Err("celebcam does not know this operator"),
        }
    }
}

/// The size of a constant, whose values have to be in the file.
fn constant_dims(tensor: &TensorProto) -> Result<Vec<usize>, Reason> {
    if tensor.data_location.unwrap_or(0) != DataLocation::Default as i32 || tensor.segment.is_some()
    {
        return Err("is in another file; export it as one self-contained file");
    }
    let (bytes, listed) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => (4, tensor.float_data.len()),
        Ok(DataType::Double) => (8, tensor.double_data.len()),
        Ok(DataType::Int64) => (8, tensor.int64_data.len()),
        Ok(DataType::Int32) => (4, tensor.int32_data.len()),
        Ok(DataType::Int16 | DataType::Uint16 | DataType::Float16) => (2, tensor.int32_data.len()),
        Ok(DataType::Int8 | DataType::Uint8 | DataType::Bool) => (1, tensor.int32_data.len()),
        _ => return Err("is of a type that celebcam does not know"),
    };
    let dims: Option<Vec<usize>> =
        tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
    let dims = dims.filter(|dims| dims.len() <= RANK).ok_or("has sizes out of range")?;
    let length = product(&dims).ok_or("has sizes out of range")?;
    let fits = match tensor.raw_data.len() {
        0 => listed == length,
        raw => listed == 0 && length.checked_mul(bytes) == Some(raw),
    };
    if fits { Ok(dims) } else { Err("has not as many values as its size says") }
}

/// Whether a node or a value may have this name. Those of the domain are for what is put in the place
/// of the quantized layers.
fn is_free(name: &str) -> bool {
    let is_ours = name.strip_prefix(DOMAIN).is_some_and(|rest| rest.starts_with('/'));
    name.len() <= NAME_BYTES && !is_ours
}

/// The name, shortened for a message.
fn shown(name: &str) -> String {
    shortened(name, NAME_LENGTH).into_owned()
}
