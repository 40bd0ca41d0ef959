//! Convolutions and fully connected layers: of codes, and of floats at each position.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::recognise::{At, QuantizedConstant, Recogniser};
use super::value::{Content, Linear, Pending, Sum, ValueId, View, is_planes, vector};
use crate::int8::graph::{Elements, Op, Padding, Shape, Tensor, Window};
use crate::int8::pack::product;
use crate::onnx::proto::{float, input, integer, integers, pair, text};

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

/// Weights of a convolution: codes in ONNX's order, `[output][input][row][column]`.
struct Weights {
    codes: Vec<i8>,
    dims: [usize; 4],
}

impl Weights {
    /// `[output][row][column][input]`
    fn channels_last(&self) -> Vec<i8> {
        let [outputs, inputs, rows, columns] = self.dims;
        let sizes = product(&[rows, columns]).zip(product(&[inputs, rows, columns]));
        let Some((positions @ 2.., kernel_length @ 1..)) = sizes else {
            return self.codes.clone();
        };
        let mut codes = Vec::with_capacity(self.codes.len());
        for kernel in self.codes.chunks_exact(kernel_length).take(outputs) {
            for position in 0..positions {
                codes.extend(kernel[position..].iter().step_by(positions));
            }
        }
        codes
    }
}

/// `[columns][rows]` of a matrix of `[rows][columns]`.
fn transposed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let column = |column| values.iter().skip(column).step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}

impl Recogniser<'_> {
    /// `Conv`.
    pub(super) fn conv(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let name = input(node, 1)?;
        match (&view.content, self.quantized(name)) {
            (&Content::Function(value, None), Some(constant)) => {
                self.conv_codes(at, node, (&view, value), &constant)
            }
            _ => self.conv_floats(at, node, &view),
        }
    }

    /// The codes and the scale of each index along `axis`, when the codes are symmetric.
    fn symmetric(
        &self,
        constant: &QuantizedConstant<'_>,
        axis: usize,
    ) -> Option<(Vec<i8>, Vec<f32>)> {
        let channels = *constant.codes.dims.get(axis)?;
        // Once as they are and once in the order of the kernels.
        self.take(constant.codes.count()?.saturating_mul(2))?;
        self.take_values::<f32>(channels)?;
        let codes = constant.codes.bytes()?;
        let scales = match constant.scales[..] {
            [scale] => vec![scale; channels],
            _ if constant.axis == axis => constant.scales.clone(),
            _ => return None,
        };
        let fits = !codes.is_empty()
            && constant.zero_points.iter().all(|&zero_point| zero_point == 0)
            && codes.iter().all(|&code| code != i8::MIN)
            && scales.iter().all(|scale| scale.is_normal() && *scale > 0.0);
        fits.then_some((codes, scales))
    }

    fn conv_codes(
        &self,
        at: At<'_>,
        node: &NodeProto,
        (view, value): (&View, ValueId),
        constant: &QuantizedConstant<'_>,
    ) -> Option<View> {
        let shape = self.lowering.shape(value);
        let &[outputs, inputs, rows, columns] = &constant.codes.dims[..] else { return None };
        let window = window(node, [rows, columns])?;
        if !is_planes(view, shape) || window.size != [rows, columns] {
            return None;
        }
        let depthwise = match usize::try_from(integer(node, "group").unwrap_or(1)).ok()? {
            1 if inputs == shape.channels => false,
            group if group == shape.channels && group == outputs && inputs == 1 => true,
            _ => return None,
        };
        let [height, width] = window.output_size(shape)?;
        let (codes, scales) = self.symmetric(constant, 0)?;
        let weights = Weights { codes, dims: [outputs, inputs, rows, columns] };
        let linear = Linear {
            input: value,
            depthwise,
            window,
            weights: if depthwise { weights.codes } else { weights.channels_last() },
            bias: self.bias(input(node, 2), value, &scales)?,
            weight_scales: scales,
        };
        let sum = Sum::Linear(Rc::new(linear));
        let pending = Pending::new(at.1, sum, Shape { height, width, channels: outputs });
        let dims = vec![1, outputs, height, width];
        Some(View { dims, planes: true, content: Content::Pending(pending) })
    }

    /// The bias called `name`, in units of input scale times weight scale.
    fn bias(&self, name: Option<&str>, value: ValueId, scales: &[f32]) -> Option<Vec<f64>> {
        self.take_values::<(f64, i64)>(scales.len())?;
        let Some(name) = name else { return Some(vec![0.0; scales.len()]) };
        let input_scale = f64::from(self.lowering.quantization(value)?.scale);
        let unit = |channel: usize| input_scale * f64::from(scales[channel]);
        let Some(constant) = self.quantized(name) else {
            let values = self.constant_list(name, scales.len())?;
            let bias =
                values.iter().enumerate().map(|(channel, &bias)| f64::from(bias) / unit(channel));
            return Some(bias.collect());
        };
        let codes = constant.codes.integers(scales.len())?;
        let fits =
            codes.len() == scales.len() && constant.zero_points.iter().all(|&zero| zero == 0);
        let bias = codes.iter().enumerate().map(|(channel, &code)| {
            let scale = constant.scales[channel.min(constant.scales.len() - 1)];
            let ratio = f64::from(scale) / unit(channel);
            if (ratio - 1.0).abs() <= 1e-5 { code as f64 } else { code as f64 * ratio }
        });
        fits.then(|| bias.collect())
    }

    /// So many values of the constant called `name`, which has as many or one for all.
    fn constant_list(&self, name: &str, count: usize) -> Option<Vec<f32>> {
        match product(&self.constant_dims(name)?)? {
            1 => {
                self.take_values::<f32>(count)?;
                Some(vec![self.scalar(name)?; count])
            }
            values if values == count => self.constant_floats(name),
            _ => None,
        }
    }

    /// A convolution of one position with float weights.
    fn conv_floats(&mut self, at: At<'_>, node: &NodeProto, view: &View) -> Option<View> {
        let name = input(node, 1)?;
        let &[outputs, inputs, 1, 1] = &self.constant_dims(name)?[..] else { return None };
        let value = match view.content {
            Content::Floats(value) | Content::Function(value, None) => value,
            _ => return None,
        };
        let shape = self.lowering.shape(value);
        let fits = integer(node, "group").unwrap_or(1) == 1
            && window(node, [1, 1])? == Window::POINT
            && inputs == shape.channels
            && is_planes(view, shape);
        if !fits {
            return None;
        }
        let shape = Shape { channels: outputs, ..shape };
        let weights = self.constant_floats(name)?;
        let content = self.dense(at, view, weights, input(node, 2), shape)?;
        Some(View { dims: vec![1, outputs, shape.height, shape.width], planes: true, content })
    }

    /// `Gemm` and `MatMul`.
    pub(super) fn fully_connected(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?.clone();
        let gemm = node.op_type == "Gemm";
        let across = gemm && integer(node, "transB").unwrap_or(0) != 0;
        let plain = !gemm
            || integer(node, "transA").unwrap_or(0) == 0
                && float(node, "alpha").unwrap_or(1.0) == 1.0
                && float(node, "beta").unwrap_or(1.0) == 1.0;
        let name = input(node, 1)?;
        let bias = if gemm { input(node, 2) } else { None };
        let &[1, inputs] = &view.dims[..] else { return None };
        if !plain {
            return None;
        }
        if let (&Content::Function(value, None), Some(constant)) =
            (&view.content, self.quantized(name))
        {
            let &[first, second] = &constant.codes.dims[..] else { return None };
            if inputs != if across { second } else { first } {
                return None;
            }
            let (codes, scales) = self.symmetric(&constant, usize::from(!across))?;
            let codes = if across {
                codes
            } else {
                self.take(codes.len())?;
                transposed(&codes, second)
            };
            return self.gemm_codes(at, (&view, value), (codes, scales), bias);
        }
        let &[first, second] = &self.constant_dims(name)?[..] else { return None };
        let (outputs, length) = if across { (first, second) } else { (second, first) };
        let value = match view.content {
            Content::Floats(value) | Content::Function(value, None) => value,
            _ => return None,
        };
        if length != inputs || self.lowering.shape(value) != vector(inputs) {
            return None;
        }
        let weights = self.constant_floats(name)?;
        let weights = if across {
            weights
        } else {
            self.take_values::<f32>(weights.len())?;
            transposed(&weights, second)
        };
        let content = self.dense(at, &view, weights, bias, vector(outputs))?;
        Some(View { dims: vec![1, outputs], planes: true, content })
    }

    /// A fully connected layer on all values of a picture: a convolution as large as the picture.
    fn gemm_codes(
        &self,
        at: At<'_>,
        (view, value): (&View, ValueId),
        (codes, scales): (Vec<i8>, Vec<f32>),
        bias: Option<&str>,
    ) -> Option<View> {
        let Shape { height, width, channels } = self.lowering.shape(value);
        let outputs = scales.len();
        let weights = Weights { codes, dims: [outputs, channels, height, width] };
        let codes = if view.planes { weights.channels_last() } else { weights.codes };
        let linear = Linear {
            input: value,
            depthwise: false,
            window: Window { size: [height, width], ..Window::POINT },
            weights: codes,
            bias: self.bias(bias, value, &scales)?,
            weight_scales: scales,
        };
        let pending = Pending::new(at.1, Sum::Linear(Rc::new(linear)), vector(outputs));
        Some(View { dims: vec![1, outputs], planes: true, content: Content::Pending(pending) })
    }

    fn dense(
        &mut self,
        at: At<'_>,
        view: &View,
        weights: Vec<f32>,
        bias: Option<&str>,
        shape: Shape,
    ) -> Option<Content> {
        let bias = match bias {
            None => {
                self.take_values::<f32>(shape.channels)?;
                vec![0.0; shape.channels]
            }
            Some(name) => self.constant_list(name, shape.channels)?,
        };
        let floats = self.lowering.floats(at, view)?;
        let result = Tensor { shape, elements: Elements::Floats };
        let op = Op::Dense { weights, bias };
        Some(Content::Floats(self.lowering.step(at, op, &[floats], result)))
    }
}
