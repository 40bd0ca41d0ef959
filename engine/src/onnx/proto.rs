//! Reading the parts of an ONNX graph: constants, attributes, declared shapes.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use crate::limits::product;

/// Whether the node is of ONNX's own operator set.
pub fn is_standard(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// The `index`th input, unless it is left out.
pub fn input(node: &NodeProto, index: usize) -> Option<&str> {
    node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
}

/// The integer attribute `name`.
pub fn integer(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

/// The float attribute `name`.
pub fn float(node: &NodeProto, name: &str) -> Option<f32> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.f)
}

/// The attribute `name`, a list of integers.
pub fn integers<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
    Some(&attribute.ints)
}

/// The attribute `name`, a text.
pub fn text<'a>(node: &'a NodeProto, name: &str) -> Option<&'a str> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
    std::str::from_utf8(&attribute.s).ok()
}

/// The attribute `name`, a pair of positive integers; 1 and 1 where it is missing.
pub fn pair(node: &NodeProto, name: &str) -> Option<[usize; 2]> {
    match integers(node, name) {
        None => Some([1, 1]),
        Some(&[first, second]) if first > 0 && second > 0 => {
            Some([usize::try_from(first).ok()?, usize::try_from(second).ok()?])
        }
        Some(_) => None,
    }
}

/// `axis` of a tensor of this rank, counted from the front.
pub fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// The shape that a value is declared with, where all of it is known.
pub fn declared_dims(info: &ValueInfoProto) -> Option<Vec<usize>> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    let dims = &tensor.shape.as_ref()?.dim;
    dims.iter()
        .map(|dim| match dim.value {
            Some(Dimension::DimValue(size)) => usize::try_from(size).ok(),
            _ => None,
        })
        .collect()
}

/// The tensors of a graph that are in the file.
pub struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Constants<'a> {
    /// Those of `graph`: its initializers, what its `Constant` nodes hold, other names of these.
    pub fn new(graph: &'a GraphProto) -> Self {
        let initializers = graph.initializer.iter();
        let mut tensors: HashMap<_, _> =
            initializers.map(|tensor| (tensor.name.as_str(), tensor)).collect();
        for node in graph.node.iter().filter(|node| is_standard(node)) {
            let value = node.attribute.iter().find(|attribute| attribute.name == "value");
            let tensor = match node.op_type.as_str() {
                "Constant" => value.and_then(|value| value.t.as_ref()),
                "Identity" => input(node, 0).and_then(|name| tensors.get(name).copied()),
                _ => None,
            };
            if let (Some(name), Some(tensor)) = (node.output.first(), tensor) {
                tensors.insert(name, tensor);
            }
        }
        Self { tensors }
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<Constant<'a>> {
        let tensor = *self.tensors.get(name)?;
        if tensor.data_location == Some(DataLocation::External as i32) {
            return None;
        }
        let dims: Option<Vec<usize>> =
            tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        Some(Constant { tensor, dims: dims? })
    }
}

/// A tensor that is in the file.
pub struct Constant<'a> {
    tensor: &'a TensorProto,
    /// Its shape.
    pub dims: Vec<usize>,
}

impl Constant<'_> {
    fn is(&self, kind: DataType) -> bool {
        self.tensor.data_type == kind as i32
    }

    fn values<T: Copy, const N: usize>(
        &self,
        listed: impl ExactSizeIterator<Item = T>,
        read: fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        let raw = self.tensor.raw_data.as_slice();
        let values: Vec<T> = if raw.is_empty() {
            listed.collect()
        } else {
            let (chunks, []) = raw.as_chunks::<N>() else { return None };
            chunks.iter().map(|&chunk| read(chunk)).collect()
        };
        (Some(values.len()) == self.count()).then_some(values)
    }

    /// Its values, when it is float32.
    pub fn floats(&self) -> Option<Vec<f32>> {
        if !self.is(DataType::Float) {
            return None;
        }
        self.values(self.tensor.float_data.iter().copied(), f32::from_le_bytes)
    }

    /// Its values, when it is int8.
    pub fn codes(&self) -> Option<Vec<i8>> {
        if !self.is(DataType::Int8) {
            return None;
        }
        self.values(self.tensor.int32_data.iter().map(|&value| value as i8), i8::from_le_bytes)
    }

    /// Whether it is uint8.
    pub fn is_unsigned(&self) -> bool {
        self.is(DataType::Uint8)
    }

    /// Number of its values.
    pub fn count(&self) -> Option<usize> {
        product(&self.dims)
    }

    /// Its values, when it is int8, uint8, int32 or int64 and they are not more than `most`.
    pub fn integers(&self, most: usize) -> Option<Vec<i64>> {
        if self.count()? > most {
            return None;
        }
        let listed = self.tensor.int32_data.iter().map(|&value| i64::from(value));
        if self.is(DataType::Int8) {
            self.values(listed, |raw| i64::from(i8::from_le_bytes(raw)))
        } else if self.is(DataType::Uint8) {
            self.values(listed, |raw| i64::from(u8::from_le_bytes(raw)))
        } else if self.is(DataType::Int32) {
            self.values(listed, |raw| i64::from(i32::from_le_bytes(raw)))
        } else if self.is(DataType::Int64) {
            self.values(self.tensor.int64_data.iter().copied(), i64::from_le_bytes)
        } else {
            None
        }
    }

    /// Its only value, when it is float32.
    pub fn scalar(&self) -> Option<f32> {
        if self.count()? != 1 {
            return None;
        }
        self.floats()?.first().copied()
    }
}
