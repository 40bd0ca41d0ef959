//! Operations on each element by itself, and on pairs of elements.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::recognise::{At, Recogniser};
use super::value::{Content, Pending, Step, Sum, ValueId, View, is_planes};
use crate::int8::graph::{Elements, Op, Shape, Tensor};
use crate::int8::pack::product;
use crate::onnx::proto::{float, input, integer};

impl Recogniser<'_> {
    /// `Cast` of the picture to float32.
    pub(super) fn cast(&self, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        let content = match (&view.content, integer(node, "to")?) {
            (&Content::Pixels(value), 1) => {
                let identity = std::array::from_fn(|byte| byte as f32);
                Content::Picture(value, Rc::new([identity; 3]))
            }
            (Content::Picture(..) | Content::Function(..) | Content::Floats(_), 1) => {
                view.content.clone()
            }
            _ => return None,
        };
        Some(View { content, ..view.clone() })
    }

    /// Activations.
    pub(super) fn unary(&self, node: &NodeProto) -> Option<View> {
        let view = self.view(node, 0)?;
        let content = match &view.content {
            Content::Pending(pending) => Content::Pending(self.activate(node, view, pending)?),
            Content::Picture(value, tables) => {
                let function = self.scalar_function(node)?;
                Content::Picture(*value, Rc::new(tables.map(|table| table.map(&function))))
            }
            Content::Function(value, table) => {
                let table = self.function(*value, table.as_ref())?;
                let function = self.scalar_function(node)?;
                Content::Function(*value, Some(Rc::new(table.map(function))))
            }
            _ => return None,
        };
        Some(View { content, ..view.clone() })
    }

    fn activate(&self, node: &NodeProto, view: &View, pending: &Pending) -> Option<Pending> {
        if let "Relu" | "Clip" = node.op_type.as_str() {
            let (low, high) = self.bounds(node)?;
            let clip = |value: f32| value.max(low).min(high);
            let (low, high) = (clip(pending.low), clip(pending.high));
            return Some(Pending { low, high, ..pending.clone() });
        }
        if !pending.is_bare() || !matches!(pending.sum, Sum::Linear(_)) {
            return None;
        }
        let slope = match node.op_type.as_str() {
            "LeakyRelu" => {
                self.take_values::<f32>(pending.shape.channels)?;
                vec![float(node, "alpha").unwrap_or(0.01); pending.shape.channels]
            }
            "PRelu" => self.per_channel(input(node, 1)?, view, pending.shape)?,
            _ => return None,
        };
        Some(Pending { slope: Some(slope.into()), ..pending.clone() })
    }

    fn bounds(&self, node: &NodeProto) -> Option<(f32, f32)> {
        if node.op_type == "Relu" {
            return Some((0.0, f32::INFINITY));
        }
        let bound = |index, missing| match input(node, index) {
            Some(name) => self.scalar(name),
            None => Some(missing),
        };
        Some((bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?))
    }

    fn scalar_function(&self, node: &NodeProto) -> Option<Box<dyn Fn(f32) -> f32>> {
        let hard_sigmoid = |alpha: f32, beta: f32| move |x: f32| (alpha * x + beta).clamp(0.0, 1.0);
        let leaky = |slope: f32| move |x: f32| if x < 0.0 { slope * x } else { x };
        Some(match node.op_type.as_str() {
            "Relu" | "Clip" => {
                let (low, high) = self.bounds(node)?;
                Box::new(move |x: f32| x.max(low).min(high))
            }
            "LeakyRelu" => Box::new(leaky(float(node, "alpha").unwrap_or(0.01))),
            "PRelu" => Box::new(leaky(self.scalar(input(node, 1)?)?)),
            "HardSigmoid" => Box::new(hard_sigmoid(
                float(node, "alpha").unwrap_or(0.2),
                float(node, "beta").unwrap_or(0.5),
            )),
            "HardSwish" => {
                let gate = hard_sigmoid(1.0 / 6.0, 0.5);
                Box::new(move |x| x * gate(x))
            }
            "Sigmoid" => Box::new(|x: f32| 1.0 / (1.0 + (-x).exp())),
            _ => return None,
        })
    }

    /// The constant called `name`, which applies to all of `view` or to each of its channels: a
    /// value for each channel.
    pub(super) fn per_channel(&self, name: &str, view: &View, shape: Shape) -> Option<Vec<f32>> {
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

    /// `Add`, `Sub`, `Mul` and `Div`.
    pub(super) fn binary(&mut self, at: At<'_>, node: &NodeProto) -> Option<View> {
        let operation: fn(f32, f32) -> f32 = match node.op_type.as_str() {
            "Add" => |left, right| left + right,
            "Sub" => |left, right| left - right,
            "Mul" => |left, right| left * right,
            "Div" => |left, right| left / right,
            _ => return None,
        };
        match (self.view(node, 0).cloned(), self.view(node, 1).cloned()) {
            (Some(left), Some(right)) => self
                .combine(&left, &right, operation)
                .or_else(|| self.pair(at, node, &left, &right)),
            (Some(view), None) => {
                let name = input(node, 1)?;
                self.with_constant(&view, name, operation).or_else(|| match &*node.op_type {
                    "Add" => self.add_constant(at, &view, name),
                    _ => None,
                })
            }
            (None, Some(view)) => {
                let name = input(node, 0)?;
                let swapped = |right, left| operation(left, right);
                self.with_constant(&view, name, swapped).or_else(|| match &*node.op_type {
                    "Add" => self.add_constant(at, &view, name),
                    _ => None,
                })
            }
            (None, None) => None,
        }
    }

    fn with_constant(
        &self,
        view: &View,
        constant: &str,
        operation: impl Fn(f32, f32) -> f32,
    ) -> Option<View> {
        let content = match &view.content {
            Content::Picture(value, tables) => {
                let shape = self.lowering.shape(*value);
                let constant = self.per_channel(constant, view, shape)?;
                let tables = std::array::from_fn(|channel| {
                    tables[channel].map(|x| operation(x, constant[channel]))
                });
                Content::Picture(*value, Rc::new(tables))
            }
            Content::Function(value, table) => {
                if self.constant_dims(constant)?.len() > view.dims.len() {
                    return None;
                }
                let constant = self.scalar(constant)?;
                let table = self.function(*value, table.as_ref())?;
                Content::Function(*value, Some(Rc::new(table.map(|x| operation(x, constant)))))
            }
            _ => return None,
        };
        Some(View { content, ..view.clone() })
    }

    /// Two functions of the same code are one function of it.
    fn combine(&self, left: &View, right: &View, operation: fn(f32, f32) -> f32) -> Option<View> {
        let (value, first) = self.root(&left.content)?;
        let (other, second) = self.root(&right.content)?;
        if value != other || left.dims != right.dims || left.planes != right.planes {
            return None;
        }
        let table = std::array::from_fn(|code| operation(first[code], second[code]));
        Some(View { content: Content::Function(value, Some(Rc::new(table))), ..left.clone() })
    }

    /// The codes that all tables before this function go back to, and the function of them.
    fn root(&self, content: &Content) -> Option<(ValueId, [f32; 256])> {
        let Content::Function(value, function) = content else { return None };
        let mut value = *value;
        let mut function = self.function(value, function.as_ref())?;
        while let Some(step) = self.lowering.producer(value)
            && let Step { op: Op::Table(table), inputs, .. } = &self.lowering.steps[step]
        {
            let of = function;
            function = table.map(|code| of[usize::from(code as u8)]);
            value = inputs[0];
        }
        Some((value, function))
    }

    fn pair(&mut self, at: At<'_>, node: &NodeProto, left: &View, right: &View) -> Option<View> {
        if node.op_type == "Div" {
            return self.normalise(at, left, right);
        }
        let (&Content::Function(first, None), &Content::Function(second, None)) =
            (&left.content, &right.content)
        else {
            return None;
        };
        let (shape, other) = (self.lowering.shape(first), self.lowering.shape(second));
        let alike = shape == other
            && left.dims == right.dims
            && (left.planes == right.planes || shape.positions() == 1);
        let gate = |large: &View, shape: Shape, small: &View, gate: Shape| {
            let same = shape.channels == gate.channels && gate.positions() == 1;
            same && is_planes(large, shape) && is_planes(small, gate)
        };
        let (view, shape, sum) = match node.op_type.as_str() {
            "Add" if alike => (left, shape, Sum::Add(first, second)),
            "Mul" if alike || gate(left, shape, right, other) => {
                (left, shape, Sum::Multiply(first, second))
            }
            "Mul" if gate(right, other, left, shape) => {
                (right, other, Sum::Multiply(second, first))
            }
            _ => return None,
        };
        let pending = Pending::new(at.1, sum, shape);
        Some(View { content: Content::Pending(pending), ..view.clone() })
    }

    /// A bias that is added behind a layer, or what is added to a norm.
    fn add_constant(&mut self, at: At<'_>, view: &View, name: &str) -> Option<View> {
        let content = match &view.content {
            Content::Norm(value, epsilon) => Content::Norm(*value, epsilon + self.scalar(name)?),
            Content::Pending(pending) if pending.is_bare() => {
                let Sum::Linear(linear) = &pending.sum else { return None };
                let constant = self.per_channel(name, view, pending.shape)?;
                let input_scale = self.lowering.quantization(linear.input)?.scale;
                self.take(linear.bytes())?;
                let mut linear = linear.as_ref().clone();
                for ((bias, value), scale) in
                    linear.bias.iter_mut().zip(constant).zip(&linear.weight_scales)
                {
                    *bias += f64::from(value) / (f64::from(input_scale) * f64::from(*scale));
                }
                let sum = Sum::Linear(Rc::new(linear));
                Content::Pending(Pending { sum, ..pending.clone() })
            }
            &Content::Floats(value) => {
                let shape = self.lowering.shape(value);
                let constant = self.per_channel(name, view, shape)?;
                let step = &self.lowering.steps[self.lowering.producer(value)?];
                let Op::Dense { weights, bias } = &step.op else { return None };
                self.take_values::<f32>(weights.len() + bias.len())?;
                let bias = bias.iter().zip(constant).map(|(bias, value)| bias + value).collect();
                let op = Op::Dense { weights: weights.clone(), bias };
                let inputs = step.inputs.clone();
                let result = Tensor { shape, elements: Elements::Floats };
                Content::Floats(self.lowering.step(at, op, &inputs, result))
            }
            _ => return None,
        };
        Some(View { content, ..view.clone() })
    }
}
