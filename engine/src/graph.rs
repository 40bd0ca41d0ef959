//! What a quantized network computes, free of any file format and of any processor.
//!
//! A tensor is one picture: `height` x `width` positions of `channels` values, channels last. Its
//! elements are int8 codes, which stand for `scale * (code - zero_point)`, or plain floats.

/// Affine quantization of a tensor, as in ONNX's `QuantizeLinear`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Distance between two neighbouring codes.
    pub scale: f32,
    /// Code that stands for 0.
    pub zero_point: i8,
}

/// Size of a tensor; the batch is always 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values at each position.
    pub channels: usize,
}

impl Shape {
    /// Number of positions; the largest `usize` where it would be more.
    pub fn positions(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Number of values; the largest `usize` where it would be more.
    pub fn values(self) -> usize {
        self.positions().saturating_mul(self.channels)
    }
}

/// What the values of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Elements {
    /// Bytes of a picture, 0 to 255. Only an input of the graph can hold these.
    Pixels,
    /// int8 codes.
    Codes(Quantization),
    /// float32.
    Floats,
}

/// A value that flows between nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Its size.
    pub shape: Shape,
    /// Its elements.
    pub elements: Elements,
}

/// Position of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// One operation on tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name for logs and for the table of layers.
    pub name: String,
    /// What is done.
    pub op: Op,
    /// The tensors that it reads.
    pub inputs: Vec<TensorId>,
    /// The tensor that it gives.
    pub output: TensorId,
}

/// A network: nodes in an order in which every input is computed before it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// All values.
    pub tensors: Vec<Tensor>,
    /// Values that the caller gives: pixels or floats.
    pub inputs: Vec<TensorId>,
    /// The operations, each behind those whose results it reads.
    pub nodes: Vec<Node>,
    /// Values that the caller gets: floats.
    pub outputs: Vec<TensorId>,
}

/// Zero padding around a picture, in positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

/// A window that slides over the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// What lies around the picture. It counts as 0, in a maximum as nothing.
    pub padding: Padding,
}

impl Window {
    /// A window of one position.
    pub const POINT: Self = Self {
        size: [1, 1],
        stride: [1, 1],
        padding: Padding { top: 0, left: 0, bottom: 0, right: 0 },
    };

    /// Number of positions in the window; the largest `usize` where it would be more.
    pub fn taps(&self) -> usize {
        self.size[0].saturating_mul(self.size[1])
    }

    /// Height and width of the result on a picture of this size; `None` when the window is larger
    /// than the padded picture, or a size exceeds `usize`.
    pub fn output_size(&self, shape: Shape) -> Option<[usize; 2]> {
        let Padding { top, left, bottom, right } = self.padding;
        let along = |length: usize, padding: [usize; 2], axis: usize| {
            let padded = length.checked_add(padding[0])?.checked_add(padding[1])?;
            let room = padded.checked_sub(self.size[axis])?;
            if self.size[axis] == 0 {
                return None;
            }
            Some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([along(shape.height, [top, bottom], 0)?, along(shape.width, [left, right], 1)?])
    }
}

/// The smallest and the largest code of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Smallest code.
    pub min: i8,
    /// Largest code.
    pub max: i8,
}

impl Clamp {
    /// Every code.
    pub const NONE: Self = Self { min: i8::MIN, max: i8::MAX };
}

/// Weights of a convolution and what is done to each sum.
///
/// The sum over the window, `acc`, is an integer: products of weight codes and of input codes
/// without their zero point, plus `bias`. The output code is
/// `clamp(round(acc * (input_scale * weight_scale / output_scale)) + output_zero_point)`, in
/// float32, halves to even, as onnxruntime's `QLinearConv` computes it; with a `slope`, a negative
/// `acc` is multiplied by it first.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// What is summed.
    pub window: Window,
    /// Weight codes, symmetric: -127 to 127. Dense: `[output channel][row][column][input channel]`.
    /// Depthwise: `[channel][row][column]`.
    pub weights: Vec<i8>,
    /// Scale of the weights of each output channel.
    pub weight_scales: Vec<f32>,
    /// Added to each sum, in units of input scale times weight scale.
    pub bias: Vec<i32>,
    /// PReLU behind the sum: the slope of each output channel below zero.
    pub slope: Option<Vec<f32>>,
    /// ReLU, ReLU6 and the like.
    pub clamp: Clamp,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Pixels to codes, by a table for each channel.
    QuantizePicture(Box<[[i8; 256]; 3]>),
    /// Floats to codes: `round(x / scale) + zero_point`, halves to even.
    Quantize,
    /// Codes to floats.
    Dequantize,
    /// A convolution over all channels. A fully connected layer is one on a 1x1 picture.
    Convolution(Convolution),
    /// A convolution of each channel by itself.
    Depthwise(Convolution),
    /// Sum of two tensors of codes of equal shape.
    Add(Clamp),
    /// Product of two tensors of codes; the second may have one position for all of the first.
    Multiply(Clamp),
    /// The largest code in each window; input and output have the same quantization.
    MaxPool(Window),
    /// Mean over all positions.
    GlobalAveragePool(Clamp),
    /// More channels behind those that are there, of value 0; same quantization.
    PadChannels,
    /// Any function of one code: `table[code as u8]`.
    Table(Box<[i8; 256]>),
    /// Floats, at each position: `weights` `[output][input]` times the channels, plus `bias`.
    Dense {
        /// One for each output and input, `[output][input]`.
        weights: Vec<f32>,
        /// Added to each output.
        bias: Vec<f32>,
    },
    /// Floats: x / (||x||_2 + epsilon) over all values.
    Normalise {
        /// Keeps a zero vector from dividing by zero.
        epsilon: f32,
    },
    /// Floats: all values of the inputs, one input behind the other.
    Concatenate,
    /// Floats laid out plane by plane (channel, row, column) to channels last.
    PlanesToPositions,
    /// Floats from channels last to plane by plane.
    PositionsToPlanes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_exceed_a_word_are_none() {
        let shape = Shape { height: 1 << 60, width: 1 << 60, channels: 3 };
        assert_eq!((shape.positions(), shape.values()), (usize::MAX, usize::MAX));
        let shape = Shape { height: 4, width: 4, channels: 3 };
        let point = Window::POINT;
        assert_eq!(point.output_size(shape), Some([4, 4]));
        for left in [usize::MAX, usize::MAX - 3, usize::MAX - 4] {
            let padding = Padding { left, right: 1, ..Padding::default() };
            assert_eq!(Window { padding, ..point }.output_size(shape), None, "{left}");
        }
        for size in [[0, 1], [5, 1], [usize::MAX, 1]] {
            assert_eq!(Window { size, ..point }.output_size(shape), None, "{size:?}");
        }
        assert_eq!(Window { stride: [1, 0], ..point }.output_size(shape), None);
        assert_eq!(Window { size: [1 << 60, 1 << 60], ..point }.taps(), usize::MAX);
    }
}
