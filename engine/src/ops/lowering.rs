//! What is known about the values of an ONNX graph while it is being lowered.

use std::collections::HashMap;
use std::rc::Rc;

use crate::graph::{Clamp, Elements, Op, Quantization, Shape, Tensor, Window};

/// Position in [`Lowering::tensors`].
pub type ValueId = usize;

/// Position and name of an ONNX node.
pub type At<'a> = (usize, &'a str);

/// What a value of the ONNX graph is, in terms of lowered values.
#[derive(Clone)]
pub struct View {
    /// Its shape in ONNX.
    pub dims: Vec<usize>,
    /// ONNX has its elements plane by plane; the lowered value always has the channels last.
    pub planes: bool,
    /// Where its elements come from.
    pub content: Content,
}

/// Where the elements of a value come from.
#[derive(Clone)]
pub enum Content {
    /// The bytes of the picture.
    Pixels(ValueId),
    /// A float function of each byte of the picture, by channel.
    Picture(ValueId, Rc<[[f32; 256]; 3]>),
    /// Codes.
    Codes(ValueId, Signedness),
    /// A float function of each code, `function[code as u8]`; none for what the code stands for.
    Function(ValueId, Option<Rc<[f32; 256]>>),
    /// The float result of a node that gives codes once its quantization is known.
    Pending(Pending),
    /// Floats.
    Floats(ValueId),
    /// ||x||_2 of these floats, plus a number.
    Norm(ValueId, f32),
    /// Floats that are not lowered.
    Outside,
}

/// How ONNX has the codes of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signedness {
    /// int8.
    Signed,
    /// uint8: 128 more than the lowered codes.
    Unsigned,
}

/// A node that lacks the quantization of its result.
#[derive(Clone)]
pub struct Pending {
    /// Name of its node.
    pub name: String,
    /// What is computed.
    pub sum: Sum,
    /// Size of the result.
    pub shape: Shape,
    /// Slope of each channel below zero.
    pub slope: Option<Rc<[f32]>>,
    /// The result is not less than this.
    pub low: f32,
    /// The result is not more than this.
    pub high: f32,
}

impl Pending {
    /// One with nothing done to its result yet.
    pub fn new(name: &str, sum: Sum, shape: Shape) -> Self {
        let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
        Self { name: name.to_owned(), sum, shape, slope: None, low, high }
    }

    /// Whether there is no activation behind it.
    pub fn is_bare(&self) -> bool {
        self.slope.is_none() && self.low == f32::NEG_INFINITY && self.high == f32::INFINITY
    }
}

/// What a node computes before it quantizes.
#[derive(Clone)]
pub enum Sum {
    /// A convolution or a fully connected layer.
    Linear(Rc<Linear>),
    /// Any other operation of these values, with the bounds of its result.
    Of(fn(Clamp) -> Op, Vec<ValueId>),
}

/// A convolution of codes.
#[derive(Clone)]
pub struct Linear {
    /// The codes.
    pub input: ValueId,
    /// Each channel by itself.
    pub depthwise: bool,
    /// What is summed.
    pub window: Window,
    /// As in [`Convolution`](crate::graph::Convolution).
    pub weights: Vec<i8>,
    /// Scale of the weights of each output channel.
    pub weight_scales: Vec<f32>,
    /// Of each output channel, in units of input scale times weight scale.
    pub bias: Vec<f64>,
}

impl Linear {
    /// Bytes of its lists.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.weights[..])
            + size_of_val(&self.weight_scales[..])
            + size_of_val(&self.bias[..])
    }
}

/// A node of the lowered graph.
pub struct LoweredNode {
    /// Name of the ONNX node or value that it stands for.
    pub name: String,
    /// What is done.
    pub op: Op,
    /// The values that it is done to.
    pub inputs: Vec<ValueId>,
    /// The value that it gives.
    pub output: ValueId,
    /// Position of the ONNX node at which it was found.
    pub at: usize,
}

/// A value that the lowered graph is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Outside {
    /// Name in the ONNX graph.
    pub name: String,
    /// Shape in the ONNX graph.
    pub dims: Vec<usize>,
}

impl Outside {
    /// Bytes of it as floats; the largest `usize` where they are more.
    pub fn bytes(&self) -> usize {
        self.dims.iter().fold(size_of::<f32>(), |bytes, &size| bytes.saturating_mul(size))
    }
}

/// Everything of an ONNX graph that could be lowered, before it is cut into regions.
#[derive(Default)]
pub struct Lowering {
    /// The lowered values.
    pub tensors: Vec<Tensor>,
    /// The nodes, each behind those that it needs.
    pub nodes: Vec<LoweredNode>,
    /// The values that no node gives.
    pub outside: HashMap<ValueId, Outside>,
    /// The ONNX values that something is known about.
    pub views: HashMap<String, View>,
    dequantized: HashMap<ValueId, ValueId>,
}

impl Lowering {
    /// A new value.
    pub fn tensor(&mut self, shape: Shape, elements: Elements) -> ValueId {
        self.tensors.push(Tensor { shape, elements });
        self.tensors.len() - 1
    }

    /// A value that is given.
    pub fn outside(&mut self, tensor: Tensor, name: &str, dims: &[usize]) -> ValueId {
        let value = self.tensor(tensor.shape, tensor.elements);
        self.outside.insert(value, Outside { name: name.to_owned(), dims: dims.to_vec() });
        value
    }

    /// A new node; gives its result.
    pub fn node(
        &mut self,
        (at, name): At<'_>,
        op: Op,
        inputs: &[ValueId],
        result: Tensor,
    ) -> ValueId {
        let output = self.tensor(result.shape, result.elements);
        let name = name.to_owned();
        self.nodes.push(LoweredNode { name, op, inputs: inputs.to_vec(), output, at });
        output
    }

    /// Position of the node that gives `value`.
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        self.nodes.binary_search_by_key(&value, |node| node.output).ok()
    }

    /// Size of a value.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.tensors[value].shape
    }

    /// Quantization of a value that has codes.
    pub fn quantization(&self, value: ValueId) -> Option<Quantization> {
        match self.tensors[value].elements {
            Elements::Codes(quantization) => Some(quantization),
            _ => None,
        }
    }

    /// The value that holds the floats of `view`, channels last; a new node computes it where none does.
    pub fn floats(&mut self, at: At<'_>, view: &View) -> Option<ValueId> {
        match view.content {
            Content::Floats(value) => Some(value),
            Content::Function(codes, None) => {
                if let Some(&value) = self.dequantized.get(&codes) {
                    return Some(value);
                }
                let result = Tensor { shape: self.shape(codes), elements: Elements::Floats };
                let value = self.node(at, Op::Dequantize, &[codes], result);
                self.dequantized.insert(codes, value);
                Some(value)
            }
            _ => None,
        }
    }

    /// The lowered value whose floats the ONNX value `name` is, and how it has them; `None` where they
    /// cannot be given to ONNX.
    pub fn exported(&self, name: &str) -> Option<(ValueId, &View)> {
        let view = self.views.get(name)?;
        match view.content {
            Content::Floats(value) | Content::Function(value, None) => Some((value, view)),
            _ => None,
        }
    }
}

/// Size of a result that is a list of numbers.
pub fn vector(length: usize) -> Shape {
    Shape { height: 1, width: 1, channels: length }
}

/// Whether a value of this shape, plane by plane in ONNX, is [1, channels, height, width] there.
pub fn is_planes(view: &View, shape: Shape) -> bool {
    let same_order = view.planes || shape.positions() == 1 || shape.channels == 1;
    same_order && view.dims == [1, shape.channels, shape.height, shape.width]
}

/// The code of `value`: `round(value / scale) + zero_point`, halves to even, saturated.
pub fn quantize(value: f32, quantization: Quantization) -> i8 {
    let steps = (value / quantization.scale).round_ties_even();
    (steps + f32::from(quantization.zero_point)).clamp(-128.0, 127.0) as i8
}

/// What `code` stands for.
pub fn dequantize(code: i8, quantization: Quantization) -> f32 {
    quantization.scale * (i32::from(code) - i32::from(quantization.zero_point)) as f32
}
