//! What an operation knows of an ONNX graph while it looks for itself in a node.
//!
//! onnxruntime's static quantization writes `DequantizeLinear`, a float operation, `QuantizeLinear`. For
//! each value there is a [`View`]: what it is in terms of lowered values. A float operation on dequantized
//! codes becomes a node of the lowered graph where a `QuantizeLinear` says how its result is quantized.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::lowering::{Content, Lowering, Signedness, ValueId, View, dequantize, is_planes};
use crate::graph::{Padding, Quantization, Shape, Window};
use crate::limits::{LOWERED_BYTES, RANK, product};
use crate::onnx::proto::{Constant, Constants, axis, input, integer, integers, pair, text};

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

/// The graph, and what has been found in it.
pub struct Recogniser<'a> {
    /// The tensors that are in the file.
    pub constants: Constants<'a>,
    /// What has been found.
    pub lowering: Lowering,
    quantized_constants: HashMap<&'a str, &'a NodeProto>,
    refused: &'a HashSet<String>,
    /// Of [`LOWERED_BYTES`]; `None` once they are used up.
    left_bytes: Cell<Option<usize>>,
}

impl<'a> Recogniser<'a> {
    /// Nothing found in `graph` yet. The results of `QuantizeLinear` that `refused` names are not to be
    /// lowered.
    pub fn new(graph: &'a GraphProto, refused: &'a HashSet<String>) -> Self {
        Self {
            constants: Constants::new(graph),
            lowering: Lowering::default(),
            quantized_constants: HashMap::new(),
            refused,
            left_bytes: Cell::new(Some(LOWERED_BYTES)),
        }
    }

    /// Remembers `node`, which dequantizes a constant and calls it `name`.
    pub fn add_quantized_constant(&mut self, name: &'a str, node: &'a NodeProto) {
        self.quantized_constants.insert(name, node);
    }

    /// Whether the result of a `QuantizeLinear` is not to be lowered.
    pub fn is_refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// Whether more than [`LOWERED_BYTES`] were asked for.
    pub fn is_used_up(&self) -> bool {
        self.left_bytes.get().is_none()
    }

    /// What is known about the `index`th input of `node`.
    pub fn view(&self, node: &NodeProto, index: usize) -> Option<&View> {
        self.lowering.views.get(input(node, index)?)
    }

    /// Takes `bytes` of those that lowering may use; `None` where they are not left.
    pub fn take(&self, bytes: usize) -> Option<()> {
        self.left_bytes.set(self.left_bytes.get().and_then(|left| left.checked_sub(bytes)));
        self.left_bytes.get().map(drop)
    }

    /// As [`take`](Self::take), for so many values of a type.
    pub fn take_values<T>(&self, count: usize) -> Option<()> {
        self.take(count.saturating_mul(size_of::<T>()))
    }

    /// The shape of the constant called `name`, plain or dequantized.
    pub fn constant_dims(&self, name: &str) -> Option<Vec<usize>> {
        let of = |name| Some(self.constants.get(name)?.dims);
        of(name).or_else(|| of(input(self.quantized_constants.get(name)?, 0)?))
    }

    /// The value of the constant called `name`, where it has one only.
    pub fn scalar(&self, name: &str) -> Option<f32> {
        if product(&self.constant_dims(name)?)? != 1 {
            return None;
        }
        self.constant_floats(name)?.first().copied()
    }

    /// The values of the constant floats called `name`, dequantized if need be.
    pub fn constant_floats(&self, name: &str) -> Option<Vec<f32>> {
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
    pub fn quantized(&self, name: &str) -> Option<QuantizedConstant<'_>> {
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

    /// Quantization of the codes that the node gives or takes; `signedness` where it has no zero
    /// point to tell.
    pub fn affine(
        &self,
        node: &NodeProto,
        signedness: Option<Signedness>,
    ) -> Option<(Quantization, Signedness)> {
        let scale = self.constants.get(input(node, 1)?)?.scalar()?;
        if !(scale.is_normal() && scale > 0.0) || integer(node, "block_size").unwrap_or(0) != 0 {
            return None;
        }
        let (zero_point, signedness) = match input(node, 2) {
            None => (0, signedness?),
            Some(name) => {
                let constant = self.constants.get(name)?;
                let [zero_point] = constant.integers(1)?[..] else { return None };
                let unsigned = constant.is_unsigned();
                (zero_point, if unsigned { Signedness::Unsigned } else { Signedness::Signed })
            }
        };
        let shift = if signedness == Signedness::Unsigned { 128 } else { 0 };
        let zero_point = i8::try_from(zero_point.checked_sub(shift)?).ok()?;
        Some((Quantization { scale, zero_point }, signedness))
    }

    /// The values of a function of the codes of `value`.
    pub fn function(
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

    /// Size of the lowered value that a view is on.
    pub fn content_shape(&self, content: &Content) -> Option<Shape> {
        Some(match content {
            Content::Pixels(value)
            | Content::Picture(value, _)
            | Content::Codes(value, _)
            | Content::Function(value, _)
            | Content::Floats(value) => self.lowering.shape(*value),
            Content::Pending(pending) => pending.shape,
            Content::Norm(..) | Content::Outside => return None,
        })
    }

    /// Integers that are an attribute of the node or, since a later operator set, an input.
    pub fn listed(&self, node: &NodeProto, name: &str, index: usize) -> Option<Vec<i64>> {
        match integers(node, name) {
            Some(values) => Some(values.to_vec()),
            None => self.constants.get(input(node, index)?)?.integers(2 * RANK),
        }
    }

    /// Whether the elements of two views lie in the same order; `None` where one of them is not lowered.
    pub fn are_alike(&self, left: &View, right: &View) -> Option<bool> {
        let shape = self.content_shape(&left.content)?;
        let same = shape == self.content_shape(&right.content)? && left.dims == right.dims;
        Some(same && (left.planes == right.planes || shape.positions() == 1))
    }

    /// The value of a view on plain codes, quantized or dequantized, plane by plane.
    pub fn codes(&self, view: &View) -> Option<ValueId> {
        let (Content::Function(value, None) | Content::Codes(value, _)) = view.content else {
            return None;
        };
        is_planes(view, self.lowering.shape(value)).then_some(value)
    }

    /// A view like `view` on other codes of the same quantization.
    pub fn replaced(&self, view: &View, value: ValueId) -> View {
        let Shape { height, width, channels } = self.lowering.shape(value);
        let content = match view.content {
            Content::Codes(_, signedness) => Content::Codes(value, signedness),
            _ => Content::Function(value, None),
        };
        View { dims: vec![1, channels, height, width], planes: true, content }
    }

    /// So many values of the constant called `name`, which has as many or one for all.
    pub fn constant_list(&self, name: &str, count: usize) -> Option<Vec<f32>> {
        match product(&self.constant_dims(name)?)? {
            1 => {
                self.take_values::<f32>(count)?;
                Some(vec![self.scalar(name)?; count])
            }
            values if values == count => self.constant_floats(name),
            _ => None,
        }
    }

    /// The constant called `name`, which applies to all of `view` or to each of its channels: a
    /// value for each channel.
    pub fn per_channel(&self, name: &str, view: &View, shape: Shape) -> Option<Vec<f32>> {
        let dims = self.constant_dims(name)?;
        let offset = view.dims.len().checked_sub(dims.len())?;
        let count = product(&dims)?;
        if count == 1 {
            self.take_values::<f32>(shape.channels)?;
            return Some(vec![self.scalar(name)?; shape.channels]);
        }
        let Shape { height, width, channels } = shape;
        let along =
            if is_planes(view, shape) || (shape.positions() == 1 && view.dims == [1, channels]) {
                1
            } else if !view.planes && view.dims == [1, height, width, channels] {
                3
            } else {
                return None;
            };
        let mut others = dims.iter().enumerate().filter(|&(axis, _)| axis + offset != along);
        let fits = count == channels && others.all(|(_, &size)| size == 1);
        if fits { self.constant_floats(name) } else { None }
    }
}

/// The window of a convolution or of a pooling node, `size` where it does not say; `None` when it
/// is dilated or padded in a way that is not in numbers.
pub fn window(node: &NodeProto, size: [usize; 2]) -> Option<Window> {
    let size =
        if integers(node, "kernel_shape").is_some() { pair(node, "kernel_shape")? } else { size };
    let padding = match integers(node, "pads") {
        None => Padding::default(),
        Some(pads) => {
            let pads: Option<Vec<usize>> =
                pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
            let [top, left, bottom, right] = pads?[..] else { return None };
            Padding { top, left, bottom, right }
        }
    };
    let plain = pair(node, "dilations")? == [1, 1]
        && text(node, "auto_pad").is_none_or(|value| value == "NOTSET");
    plain.then_some(Window { size, stride: pair(node, "strides")?, padding })
}
