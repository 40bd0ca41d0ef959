//! Walks over an ONNX graph and finds what can be computed on codes.
//!
//! onnxruntime's static quantization writes `DequantizeLinear`, a float operation,
//! `QuantizeLinear`. The walk keeps for each value a [`View`]: what it is in terms of lowered
//! values. A float operation on dequantized codes becomes a step where a `QuantizeLinear` says
//! how its result is quantized. Values that nothing is known about stay in ONNX.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, ValueInfoProto, type_proto};

use super::value::{
    Content, Encoding, Lowering, Pending, Sum, ValueId, View, dequantize, quantize, vector,
};
use crate::int8::graph::{Clamp, Convolution, Elements, Op, Quantization, Shape, Tensor};
use crate::int8::pack::product;
use crate::limits::LOWERED_BYTES;
use crate::onnx::proto::{Constant, Constants, axis, declared_dims, input, integer, is_standard};
use crate::onnx::sizes::Sizes;

/// Position and name of a node.
pub type At<'a> = (usize, &'a str);

/// A `DequantizeLinear` of a constant.
pub struct QuantizedConstant<'a> {
    /// The codes.
    pub codes: Constant<'a>,
    /// One scale, or one for each index along `axis`.
    pub scales: Vec<f32>,
    /// As many as there are scales.
    pub zero_points: Vec<i64>,
    /// The axis that the scales are for.
    pub axis: usize,
}

/// The walk.
pub struct Recogniser<'a> {
    pub(super) constants: Constants<'a>,
    pub(super) lowering: Lowering,
    quantized_constants: HashMap<&'a str, &'a NodeProto>,
    sizes: &'a Sizes<'a>,
    refused: &'a HashSet<String>,
    /// Of [`LOWERED_BYTES`]; `None` once they are used up.
    left_bytes: Cell<Option<usize>>,
}

/// Finds what can be lowered of `graph`, whose nodes are in order and whose values have `sizes`. The results of the
/// `QuantizeLinear` nodes in `refused` are not, where that would start a new region.
///
/// # Errors
///
/// A sentence when that takes more than [`LOWERED_BYTES`].
pub fn recognise(
    graph: &GraphProto,
    sizes: &Sizes<'_>,
    refused: &HashSet<String>,
) -> Result<Lowering, String> {
    let mut walk = Recogniser {
        constants: Constants::new(graph),
        lowering: Lowering::default(),
        quantized_constants: HashMap::new(),
        sizes,
        refused,
        left_bytes: Cell::new(Some(LOWERED_BYTES)),
    };
    for info in &graph.input {
        walk.picture(info);
    }
    for (index, node) in graph.node.iter().enumerate() {
        let Some(name) = node.output.first() else { continue };
        if !is_standard(node) || walk.constants.get(name).is_some() {
            continue;
        }
        let constant = input(node, 0).is_some_and(|name| walk.constants.get(name).is_some());
        if constant && node.op_type == "DequantizeLinear" {
            walk.quantized_constants.insert(name, node);
            continue;
        }
        let label = if node.name.is_empty() { name } else { &node.name };
        if let Some(view) = walk.node((index, label), node).or_else(|| walk.unknown(node)) {
            walk.lowering.views.insert(name.clone(), view);
        }
        if walk.left_bytes.get().is_none() {
            let most = LOWERED_BYTES / 1_000_000;
            return Err(format!(
                "its weights take more than {most} MB while they are read, which is the limit"
            ));
        }
    }
    Ok(walk.lowering)
}

impl<'a> Recogniser<'a> {
    fn picture(&mut self, info: &ValueInfoProto) {
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
                Content::Pixels(self.lowering.outside(picture, &info.name, &dims))
            }
            _ if tensor.elem_type == DataType::Float as i32 => Content::Outside,
            _ => return,
        };
        self.lowering.views.insert(info.name.clone(), View { dims, planes: false, content });
    }

    fn node(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        match node.op_type.as_str() {
            "Identity" => self.view(node, 0).cloned(),
            "Dropout" if node.input.len() == 1 => self.view(node, 0).cloned(),
            "QuantizeLinear" => self.quantize_linear(at, node),
            "DequantizeLinear" => self.dequantize_linear(node),
            "Cast" => self.cast(node),
            "Transpose" => self.transpose(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "HardSigmoid" | "HardSwish" | "Sigmoid" => {
                self.unary(node)
            }
            "Add" | "Sub" | "Mul" | "Div" => self.binary(at, node),
            "Conv" => self.conv(at, node),
            "Gemm" | "MatMul" => self.fully_connected(at, node),
            "GlobalAveragePool" | "ReduceMean" | "AveragePool" => self.average_pool(at, node),
            "MaxPool" => self.max_pool(at, node),
            "Pad" => self.pad(at, node),
            "ReduceL2" => self.norm(at, node),
            "Concat" => self.concat(at, node),
            _ => None,
        }
    }

    /// What is known about the `index`th input of `node`.
    pub(super) fn view(&self, node: &NodeProto, index: usize) -> Option<&View> {
        self.lowering.views.get(input(node, index)?)
    }

    /// Takes so many bytes of what may be made; `None` where they are not left.
    pub(super) fn take(&self, bytes: usize) -> Option<()> {
        self.left_bytes.set(self.left_bytes.get().and_then(|left| left.checked_sub(bytes)));
        self.left_bytes.get().map(drop)
    }

    /// As [`take`](Self::take), for so many values of a type.
    pub(super) fn take_values<T>(&self, count: usize) -> Option<()> {
        self.take(count.saturating_mul(size_of::<T>()))
    }

    /// The shape of the constant called `name`, plain or dequantized.
    pub(super) fn constant_dims(&self, name: &str) -> Option<Vec<usize>> {
        let of = |name| Some(self.constants.get(name)?.dims);
        of(name).or_else(|| of(input(self.quantized_constants.get(name)?, 0)?))
    }

    /// The value of the constant called `name`, where it has one only.
    pub(super) fn scalar(&self, name: &str) -> Option<f32> {
        if product(&self.constant_dims(name)?)? != 1 {
            return None;
        }
        self.constant_floats(name)?.first().copied()
    }

    /// The values of the constant floats called `name`, dequantized if need be.
    pub(super) fn constant_floats(&self, name: &str) -> Option<Vec<f32>> {
        if let Some(constant) = self.constants.get(name) {
            self.take_values::<f32>(constant.count()?)?;
            return constant.floats();
        }
        let QuantizedConstant { codes, scales, zero_points, axis } = self.quantized(name)?;
        let inner = product(codes.dims[axis.min(codes.dims.len())..].get(1..).unwrap_or(&[]))?;
        let count = codes.count()?;
        self.take_values::<(i64, f32)>(count)?;
        let values = codes.integers(count)?.into_iter().enumerate().map(|(index, code)| {
            let channel = if scales.len() == 1 { 0 } else { index / inner % scales.len() };
            code.saturating_sub(zero_points[channel]) as f32 * scales[channel]
        });
        Some(values.collect())
    }

    /// The codes of the dequantized constant called `name`.
    pub(super) fn quantized(&self, name: &str) -> Option<QuantizedConstant<'_>> {
        let node = *self.quantized_constants.get(name)?;
        let codes = self.constants.get(input(node, 0)?)?;
        let scales = self.constants.get(input(node, 1)?)?;
        self.take_values::<(f32, i64)>(scales.count()?)?;
        let scales = scales.floats()?;
        let zero_points = match input(node, 2) {
            Some(name) => self.constants.get(name)?.integers(scales.len())?,
            None => vec![0; scales.len()],
        };
        let rank = codes.dims.len();
        let axis = axis(integer(node, "axis").unwrap_or(1), rank);
        let per_axis = axis.is_some_and(|axis| codes.dims[axis] == scales.len());
        let fits = zero_points.len() == scales.len() && (scales.len() == 1 || per_axis);
        let whole = integer(node, "block_size").unwrap_or(0) == 0;
        (fits && whole).then_some(QuantizedConstant {
            codes,
            scales,
            zero_points,
            axis: axis.unwrap_or(rank),
        })
    }

    /// Quantization of the codes that the node gives or takes; `encoding` where it has no zero
    /// point to tell.
    fn affine(
        &self,
        node: &NodeProto,
        encoding: Option<Encoding>,
    ) -> Option<(Quantization, Encoding)> {
        let scale = self.constants.get(input(node, 1)?)?.scalar()?;
        if !(scale.is_normal() && scale > 0.0) || integer(node, "block_size").unwrap_or(0) != 0 {
            return None;
        }
        let (zero_point, encoding) = match input(node, 2) {
            None => (0, encoding?),
            Some(name) => {
                let constant = self.constants.get(name)?;
                let [zero_point] = constant.integers(1)?[..] else { return None };
                let unsigned = constant.is_unsigned();
                (zero_point, if unsigned { Encoding::Unsigned } else { Encoding::Signed })
            }
        };
        let shift = if encoding == Encoding::Unsigned { 128 } else { 0 };
        let zero_point = i8::try_from(zero_point.checked_sub(shift)?).ok()?;
        Some((Quantization { scale, zero_point }, encoding))
    }

    fn dequantize_linear(&self, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        let Content::Codes(value, encoding) = view.content else { return None };
        let expected = (self.lowering.quantization(value)?, encoding);
        let content = Content::Function(value, None);
        (self.affine(node, Some(encoding))? == expected).then(|| View { content, ..view.clone() })
    }

    fn quantize_linear(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let encoding = match integer(node, "output_dtype").unwrap_or(0) {
            0 | 2 => Some(Encoding::Unsigned),
            3 => Some(Encoding::Signed),
            _ => None,
        };
        let (quantization, encoding) = self.affine(node, encoding)?;
        let name = node.output[0].as_str();
        if self.refused.contains(name) {
            return None;
        }
        let here = (at.0, name);
        let lowering = &mut self.lowering;
        let codes = |shape| Tensor { shape, elements: Elements::Codes(quantization) };
        let value = match &view.content {
            Content::Picture(pixels, function) => {
                let tables =
                    Box::new(function.map(|table| table.map(|x| quantize(x, quantization))));
                let result = codes(lowering.shape(*pixels));
                lowering.step(here, Op::QuantizePicture(tables), &[*pixels], result)
            }
            Content::Function(value, None)
                if lowering.quantization(*value) == Some(quantization) =>
            {
                *value
            }
            Content::Function(value, function) => {
                let function = self.function(*value, function.as_ref())?;
                let table = Op::Table(Box::new(function.map(|x| quantize(x, quantization))));
                let result = codes(self.lowering.shape(*value));
                self.lowering.step((at.0, name), table, &[*value], result)
            }
            Content::Pending(pending) => self.finish(at.0, pending, quantization)?,
            Content::Floats(value) => {
                let result = codes(lowering.shape(*value));
                lowering.step(here, Op::Quantize, &[*value], result)
            }
            Content::Outside => {
                let floats = self.enter(here, input(node, 0)?, &view.dims)?;
                let result = codes(self.lowering.shape(floats));
                let value = self.lowering.step(here, Op::Quantize, &[floats], result);
                let content = Content::Codes(value, encoding);
                return Some(View { planes: true, content, ..view });
            }
            _ => return None,
        };
        Some(View { content: Content::Codes(value, encoding), ..view })
    }

    /// The floats called `name` as a lowered value.
    fn enter(&mut self, at: At<'_>, name: &str, dims: &[usize]) -> Option<ValueId> {
        let shape = match *dims {
            [1, channels] => vector(channels),
            [1, channels, height, width] => Shape { height, width, channels },
            _ => return None,
        };
        let tensor = Tensor { shape, elements: Elements::Floats };
        let floats = self.lowering.outside(tensor, name, dims);
        if shape.positions() == 1 || shape.channels == 1 {
            return Some(floats);
        }
        Some(self.lowering.step(at, Op::PlanesToPositions, &[floats], tensor))
    }

    /// The step of `pending`, now that the quantization of its result is known.
    fn finish(
        &mut self,
        node: usize,
        pending: &Pending,
        quantization: Quantization,
    ) -> Option<ValueId> {
        let clamp = Clamp {
            min: quantize(pending.low, quantization),
            max: quantize(pending.high, quantization),
        };
        let (op, inputs) = match &pending.sum {
            Sum::Linear(linear) => {
                self.take(linear.bytes())?;
                self.take_values::<f32>(pending.slope.as_ref().map_or(0, |slope| slope.len()))?;
                let bias = linear.bias.iter().map(|bias| {
                    let bias = bias.round_ties_even();
                    (bias.abs() <= f64::from(i32::MAX)).then_some(bias as i32)
                });
                let convolution = Convolution {
                    window: linear.window,
                    weights: linear.weights.clone(),
                    weight_scales: linear.weight_scales.clone(),
                    bias: bias.collect::<Option<_>>()?,
                    slope: pending.slope.as_ref().map(|slope| slope.to_vec()),
                    clamp,
                };
                let op = if linear.depthwise { Op::Depthwise } else { Op::Convolution };
                (op(convolution), vec![linear.input])
            }
            &Sum::Add(left, right) => (Op::Add(clamp), vec![left, right]),
            &Sum::Multiply(left, right) => (Op::Multiply(clamp), vec![left, right]),
            &Sum::Pool(value) => (Op::GlobalAveragePool(clamp), vec![value]),
        };
        let result = Tensor { shape: pending.shape, elements: Elements::Codes(quantization) };
        Some(self.lowering.step((node, &pending.name), op, &inputs, result))
    }

    /// The values of a function of the codes of `value`.
    pub(super) fn function(
        &self,
        value: ValueId,
        function: Option<&Rc<[f32; 256]>>,
    ) -> Option<[f32; 256]> {
        let quantization = self.lowering.quantization(value)?;
        Some(match function {
            Some(function) => **function,
            None => std::array::from_fn(|code| dequantize(code as u8 as i8, quantization)),
        })
    }

    /// The result of a node that stays in ONNX, where its shape is known.
    fn unknown(&self, node: &NodeProto) -> Option<View> {
        let dims = self.sizes.get(&node.output[0])?.to_vec();
        Some(View { dims, planes: false, content: Content::Outside })
    }
}
