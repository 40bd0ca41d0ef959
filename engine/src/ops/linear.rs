//! `Conv`, `Gemm` and `MatMul` in ONNX, and which of [`convolution`](super::convolution),
//! [`depthwise`](super::depthwise) and [`dense`](super::dense) each of them is.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::dense;
use super::lowering::{At, Content, Linear, Pending, Sum, ValueId, View, is_planes, vector};
use super::recogniser::{QuantizedConstant, Recogniser, window};
use crate::graph::{Clamp, Convolution, Op, Shape, Window};
use crate::limits::product;
use crate::onnx::proto::{float, input, integer};

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

/// `Conv`.
pub fn conv(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
    let name = input(node, 1)?;
    match (&view.content, recogniser.quantized(name)) {
        (&Content::Function(value, None), Some(constant)) => {
            conv_codes(recogniser, at, node, (&view, value), &constant)
        }
        _ => dense::conv(recogniser, at, node, &view),
    }
}

fn conv_codes(
    recogniser: &Recogniser<'_>,
    at: At<'_>,
    node: &NodeProto,
    (view, value): (&View, ValueId),
    constant: &QuantizedConstant<'_>,
) -> Option<View> {
    let shape = recogniser.lowering.shape(value);
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
    let (codes, scales) = symmetric(recogniser, constant, 0)?;
    let weights = Weights { codes, dims: [outputs, inputs, rows, columns] };
    let linear = Linear {
        input: value,
        depthwise,
        window,
        weights: if depthwise { weights.codes } else { weights.channels_last() },
        bias: bias_codes(recogniser, input(node, 2), value, &scales)?,
        weight_scales: scales,
    };
    let sum = Sum::Linear(Rc::new(linear));
    let pending = Pending::new(at.1, sum, Shape { height, width, channels: outputs });
    let dims = vec![1, outputs, height, width];
    Some(View { dims, planes: true, content: Content::Pending(pending) })
}

/// `Gemm` and `MatMul`.
pub fn fully_connected(
    recogniser: &mut Recogniser<'_>,
    at: At<'_>,
    node: &NodeProto,
) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
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
        (&view.content, recogniser.quantized(name))
    {
        let &[first, second] = &constant.codes.dims[..] else { return None };
        if inputs != if across { second } else { first } {
            return None;
        }
        let (codes, scales) = symmetric(recogniser, &constant, usize::from(!across))?;
        let codes = if across {
            codes
        } else {
            recogniser.take(codes.len())?;
            transposed(&codes, second)
        };
        return gemm_codes(recogniser, at, (&view, value), (codes, scales), bias);
    }
    let &[first, second] = &recogniser.constant_dims(name)?[..] else { return None };
    let (outputs, length) = if across { (first, second) } else { (second, first) };
    let value = match view.content {
        Content::Floats(value) | Content::Function(value, None) => value,
        _ => return None,
    };
    if length != inputs || recogniser.lowering.shape(value) != vector(inputs) {
        return None;
    }
    let weights = recogniser.constant_floats(name)?;
    let weights = if across {
        weights
    } else {
        recogniser.take_values::<f32>(weights.len())?;
        transposed(&weights, second)
    };
    let content = dense::lower(recogniser, at, &view, (weights, bias), vector(outputs))?;
    Some(View { dims: vec![1, outputs], planes: true, content })
}

/// A fully connected layer on all values of a picture: a convolution as large as the picture.
fn gemm_codes(
    recogniser: &Recogniser<'_>,
    at: At<'_>,
    (view, value): (&View, ValueId),
    (codes, scales): (Vec<i8>, Vec<f32>),
    bias: Option<&str>,
) -> Option<View> {
    let Shape { height, width, channels } = recogniser.lowering.shape(value);
    let outputs = scales.len();
    let weights = Weights { codes, dims: [outputs, channels, height, width] };
    let codes = if view.planes { weights.channels_last() } else { weights.codes };
    let linear = Linear {
        input: value,
        depthwise: false,
        window: Window { size: [height, width], ..Window::POINT },
        weights: codes,
        bias: bias_codes(recogniser, bias, value, &scales)?,
        weight_scales: scales,
    };
    let pending = Pending::new(at.1, Sum::Linear(Rc::new(linear)), vector(outputs));
    Some(View { dims: vec![1, outputs], planes: true, content: Content::Pending(pending) })
}

/// The codes and the scale of each index along `axis`, when the codes are symmetric.
fn symmetric(
    recogniser: &Recogniser<'_>,
    constant: &QuantizedConstant<'_>,
    axis: usize,
) -> Option<(Vec<i8>, Vec<f32>)> {
    let channels = *constant.codes.dims.get(axis)?;
    // Once as they are and once in the order of the kernels.
    recogniser.take(constant.codes.count()?.saturating_mul(2))?;
    recogniser.take_values::<f32>(channels)?;
    let codes = constant.codes.codes()?;
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

/// The bias called `name`, in units of input scale times weight scale.
fn bias_codes(
    recogniser: &Recogniser<'_>,
    name: Option<&str>,
    value: ValueId,
    scales: &[f32],
) -> Option<Vec<f64>> {
    recogniser.take_values::<(f64, i64)>(scales.len())?;
    let Some(name) = name else { return Some(vec![0.0; scales.len()]) };
    let input_scale = f64::from(recogniser.lowering.quantization(value)?.scale);
    let unit = |channel: usize| input_scale * f64::from(scales[channel]);
    let Some(constant) = recogniser.quantized(name) else {
        let values = recogniser.constant_list(name, scales.len())?;
        let bias =
            values.iter().enumerate().map(|(channel, &bias)| f64::from(bias) / unit(channel));
        return Some(bias.collect());
    };
    let codes = constant.codes.integers(scales.len())?;
    let fits = codes.len() == scales.len() && constant.zero_points.iter().all(|&zero| zero == 0);
    let bias = codes.iter().enumerate().map(|(channel, &code)| {
        let scale = constant.scales[channel.min(constant.scales.len() - 1)];
        let ratio = f64::from(scale) / unit(channel);
        if (ratio - 1.0).abs() <= 1e-5 { code as f64 } else { code as f64 * ratio }
    });
    fits.then(|| bias.collect())
}

/// The operation that `linear` is with this activation; `None` where a bias exceeds 32 bits.
pub fn finish(
    recogniser: &Recogniser<'_>,
    linear: &Linear,
    pending: &Pending,
    clamp: Clamp,
) -> Option<Op> {
    recogniser.take(linear.bytes())?;
    recogniser.take_values::<f32>(pending.slope.as_ref().map_or(0, |slope| slope.len()))?;
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
    Some(if linear.depthwise { Op::Depthwise(convolution) } else { Op::Convolution(convolution) })
}

/// `linear` with a number added to each of its channels.
pub fn with_bias(
    recogniser: &Recogniser<'_>,
    linear: &Linear,
    constant: &[f32],
) -> Option<Rc<Linear>> {
    let input_scale = recogniser.lowering.quantization(linear.input)?.scale;
    recogniser.take(linear.bytes())?;
    let mut linear = linear.clone();
    for ((bias, &value), &scale) in linear.bias.iter_mut().zip(constant).zip(&linear.weight_scales)
    {
        *bias += f64::from(value) / (f64::from(input_scale) * f64::from(scale));
    }
    Some(Rc::new(linear))
}

#[cfg(test)]
mod tests {
    use crate::lower::tests::{NEAR, PICTURE, STEP, assert_whole, whole};
    use crate::onnx::example::{Attribute, Model, SIZE};

    #[test]
    fn convolution() {
        for (stride, pads) in [(1, [1, 1, 1, 1]), (2, [0, 0, 1, 1]), (1, [0, 0, 0, 0])] {
            let mut model = Model::default();
            let picture = model.picture();
            let conv = model.conv(&picture, [4, 3, 3, 3], stride, pads);
            let output = model.quantized(&conv, STEP, 5);
            let expected = ["QuantizePicture", "Convolution", "Dequantize", "PositionsToPlanes"];
            assert_whole(&model.finish(&[&output]), NEAR, &expected);
        }
    }

    #[test]
    fn depthwise_convolution() {
        let mut model = Model::default();
        let picture = model.picture();
        let conv = model.conv(&picture, [3, 1, 3, 3], 2, [1, 1, 1, 1]);
        let output = model.quantized(&conv, STEP, 0);
        let expected = ["QuantizePicture", "Depthwise", "Dequantize", "PositionsToPlanes"];
        assert_whole(&model.finish(&[&output]), NEAR, &expected);
    }

    #[test]
    fn convolution_with_float_bias_and_one_weight_scale() {
        let mut model = Model::default();
        let picture = model.picture();
        let codes: Vec<i8> = (0..24).map(|at| (at * 11 % 200 - 100) as i8).collect();
        let codes = model.codes(&[8, 3, 1, 1], &codes);
        let (scale, zero) = (model.scalar(0.01), model.codes(&[], &[0]));
        let weights = model.node("DequantizeLinear", &[&codes, &scale, &zero], &[]);
        let bias = model.random_floats(&[8]);
        let conv = model.node("Conv", &[&picture, &weights, &bias], &[]);
        let output = model.quantized(&conv, STEP, 0);
        assert_eq!(whole(&model.finish(&[&output]), NEAR)[1], "Convolution");
    }

    #[test]
    fn fully_connected_layers() {
        let inputs = 3 * SIZE[0] * SIZE[1];
        for (spelling, across) in [("Gemm", 1), ("Gemm", 0), ("MatMul", 0)] {
            let mut model = Model::default();
            let picture = model.picture();
            let flat = model.node("Flatten", &[&picture], &[]);
            let flat = model.quantized(&flat, PICTURE, 0);
            let dims = if across == 1 { [7, inputs] } else { [inputs, 7] };
            let weights = model.weights(&dims, 1 - across);
            let bias = model.bias(7, PICTURE);
            let layer = if spelling == "Gemm" {
                let attributes = [("transB", Attribute::Integer(across as i64))];
                model.node("Gemm", &[&flat, &weights, &bias], &attributes)
            } else {
                let product = model.node("MatMul", &[&flat, &weights], &[]);
                model.node("Add", &[&product, &bias], &[])
            };
            let output = model.quantized(&layer, 0.1, 0);
            let expected = ["QuantizePicture", "Convolution", "Dequantize"];
            assert_whole(&model.finish(&[&output]), 0.101, &expected);
        }
    }
}
