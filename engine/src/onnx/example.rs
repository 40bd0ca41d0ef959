//! Small ONNX models, quantized as onnxruntime does it, written in code.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use crate::random::Random;

/// Height and width of the picture that the models take.
pub const SIZE: [usize; 2] = [6, 5];

/// An attribute of a node.
pub enum Attribute {
    /// `i`.
    Integer(i64),
    /// `ints`.
    Integers(Vec<i64>),
    /// `f`.
    Float(f32),
}

/// A model while it is written.
pub struct Model {
    /// What it computes so far.
    pub graph: GraphProto,
    opset: i64,
    random: Random,
}

fn info(name: &str, kind: DataType, dims: &[usize]) -> ValueInfoProto {
    let dim = dims.iter().map(|&size| Dimension {
        value: Some(dimension::Value::DimValue(size as i64)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: kind as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    let kind =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}

/// A picture of this size as an input.
pub fn picture(height: usize, width: usize) -> ValueInfoProto {
    info("image", DataType::Uint8, &[1, height, width, 3])
}

impl Default for Model {
    /// One that takes a picture.
    fn default() -> Self {
        let image = picture(SIZE[0], SIZE[1]);
        let graph = GraphProto { input: vec![image], name: "test".into(), ..GraphProto::default() };
        Self { graph, opset: 13, random: Random(7) }
    }
}

impl Model {
    /// A number from 0 to `end` - 1 that looks random.
    pub fn random(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    fn tensor(&mut self, kind: DataType, dims: &[usize], raw_data: Vec<u8>) -> String {
        let name = format!("constant{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            data_type: kind as i32,
            dims: dims.iter().map(|&size| size as i64).collect(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// A float32 constant.
    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(DataType::Float, dims, raw)
    }

    /// A scalar constant.
    pub fn scalar(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    /// A float32 constant of numbers between -1 and 1 that look random.
    pub fn random_floats(&mut self, dims: &[usize]) -> String {
        let values: Vec<f32> =
            (0..dims.iter().product()).map(|_| self.random(2001) as f32 / 1000.0 - 1.0).collect();
        self.floats(dims, &values)
    }

    /// An int64 constant.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(DataType::Int64, &[values.len()], raw)
    }

    /// An int8 constant.
    pub fn codes(&mut self, dims: &[usize], values: &[i8]) -> String {
        self.tensor(DataType::Int8, dims, values.iter().map(|&value| value as u8).collect())
    }

    /// A node; gives the name of its result.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let name = format!("{op}{}", self.graph.node.len());
        let attribute = attributes.iter().map(|(name, value)| {
            let mut attribute =
                AttributeProto { name: (*name).into(), ..AttributeProto::default() };
            let kind = match value {
                Attribute::Integer(value) => {
                    attribute.i = *value;
                    AttributeType::Int
                }
                Attribute::Integers(values) => {
                    attribute.ints = values.clone();
                    AttributeType::Ints
                }
                Attribute::Float(value) => {
                    attribute.f = *value;
                    AttributeType::Float
                }
            };
            attribute.r#type = kind as i32;
            attribute
        });
        self.graph.node.push(NodeProto {
            name: name.clone(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            attribute: attribute.collect(),
            ..NodeProto::default()
        });
        name
    }

    /// `QuantizeLinear` to int8 and `DequantizeLinear`.
    pub fn quantized(&mut self, input: &str, scale: f32, zero_point: i8) -> String {
        let zero_point = self.codes(&[], &[zero_point]);
        self.quantized_with(input, scale, &zero_point)
    }

    /// `QuantizeLinear` to uint8 and `DequantizeLinear`.
    pub fn quantized_unsigned(&mut self, input: &str, scale: f32, zero_point: u8) -> String {
        let zero_point = self.tensor(DataType::Uint8, &[], vec![zero_point]);
        self.quantized_with(input, scale, &zero_point)
    }

    fn quantized_with(&mut self, input: &str, scale: f32, zero_point: &str) -> String {
        let scale = self.scalar(scale);
        let codes = self.node("QuantizeLinear", &[input, &scale, zero_point], &[]);
        self.node("DequantizeLinear", &[&codes, &scale, zero_point], &[])
    }

    /// The picture as quantized floats, plane by plane: from -1 to 1, scale 1/127.
    pub fn picture(&mut self) -> String {
        let floats = self.node("Cast", &["image"], &[("to", Attribute::Integer(1))]);
        let perm = [("perm", Attribute::Integers(vec![0, 3, 1, 2]))];
        let planes = self.node("Transpose", &[&floats], &perm);
        let mean = self.floats(&[1, 3, 1, 1], &[120.0, 127.5, 131.0]);
        let scale = self.scalar(1.0 / 128.0);
        let centred = self.node("Sub", &[&planes, &mean], &[]);
        let normalised = self.node("Mul", &[&centred, &scale], &[]);
        self.quantized(&normalised, 1.0 / 127.0, 0)
    }

    /// Dequantized int8 weights that look random, with a scale for each index along `axis`.
    pub fn weights(&mut self, dims: &[usize], axis: usize) -> String {
        let codes: Vec<i8> =
            (0..dims.iter().product()).map(|_| self.random(255) as u8 as i8).collect();
        let codes: Vec<i8> = codes.iter().map(|&code| code.max(-127)).collect();
        let codes = self.codes(dims, &codes);
        let scales: Vec<f32> = (0..dims[axis]).map(weight_scale).collect();
        let scales = self.floats(&[dims[axis]], &scales);
        let zeros = self.codes(&[dims[axis]], &vec![0; dims[axis]]);
        let axis = [("axis", Attribute::Integer(axis as i64))];
        self.node("DequantizeLinear", &[&codes, &scales, &zeros], &axis)
    }

    /// A dequantized int32 bias for [`weights`](Self::weights) on an input of this scale.
    pub fn bias(&mut self, length: usize, input_scale: f32) -> String {
        let codes: Vec<i32> = (0..length).map(|_| self.random(4001) as i32 - 2000).collect();
        let raw = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
        let codes = self.tensor(DataType::Int32, &[length], raw);
        let scales: Vec<f32> = (0..length).map(|at| weight_scale(at) * input_scale).collect();
        let scales = self.floats(&[length], &scales);
        self.node("DequantizeLinear", &[&codes, &scales], &[("axis", Attribute::Integer(0))])
    }

    /// A quantized convolution of `input`, which has the scale of [`picture`](Self::picture).
    pub fn conv(&mut self, input: &str, dims: [usize; 4], stride: i64, pads: [i64; 4]) -> String {
        let weights = self.weights(&dims, 0);
        let bias = self.bias(dims[0], 1.0 / 127.0);
        let group = if dims[1] == 1 { dims[0] as i64 } else { 1 };
        let attributes = [
            ("group", Attribute::Integer(group)),
            ("strides", Attribute::Integers(vec![stride; 2])),
            ("pads", Attribute::Integers(pads.to_vec())),
        ];
        self.node("Conv", &[input, &weights, &bias], &attributes)
    }

    /// The model, of operator set 13, with these outputs.
    pub fn finish(mut self, outputs: &[&str]) -> ModelProto {
        for name in outputs {
            let output = ValueInfoProto { name: (*name).to_owned(), ..ValueInfoProto::default() };
            self.graph.output.push(output);
        }
        let opset = OperatorSetIdProto { domain: String::new(), version: self.opset };
        ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }
}

fn weight_scale(at: usize) -> f32 {
    0.004 + 0.001 * (at % 5) as f32
}
