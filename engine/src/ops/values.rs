//! What the oracles of the operations share: values as plain lists, and rounding.

use crate::graph::{Clamp, Convolution, Elements, Quantization, Shape, Tensor, Window};

/// Values of a tensor, channels last.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Pixels(Vec<u8>),
    Codes(Vec<i8>),
    Floats(Vec<f32>),
}

/// A value that an operation is given, or the place of the one that it gives, which has no values.
pub struct Given<'a> {
    pub tensor: &'a Tensor,
    pub values: Option<&'a Values>,
}

impl Given<'_> {
    pub fn pixels(&self) -> &[u8] {
        let Some(Values::Pixels(pixels)) = self.values else { panic!("these are no pixels") };
        pixels
    }

    pub fn codes(&self) -> &[i8] {
        let Some(Values::Codes(codes)) = self.values else { panic!("these are no codes") };
        codes
    }

    pub fn floats(&self) -> &[f32] {
        let Some(Values::Floats(floats)) = self.values else { panic!("these are no floats") };
        floats
    }

    pub fn quantization(&self) -> Quantization {
        match self.tensor.elements {
            Elements::Codes(quantization) => quantization,
            other => panic!("{other:?} have no quantization"),
        }
    }

    /// The codes without their zero point.
    pub fn steps(&self) -> Vec<i32> {
        let zero = i32::from(self.quantization().zero_point);
        self.codes().iter().map(|&code| i32::from(code) - zero).collect()
    }
}

/// The nearest code, halves to even.
pub fn round(steps: f32, zero_point: i8, clamp: Clamp) -> i8 {
    let code = steps.round_ties_even() + f32::from(zero_point);
    code.clamp(f32::from(clamp.min), f32::from(clamp.max)) as i8
}

/// The code for the sum of a channel of a convolution, bias included.
pub fn requantize(
    convolution: &Convolution,
    channel: usize,
    acc: i32,
    input: &Given<'_>,
    output: &Given<'_>,
) -> i8 {
    let (from, to) = (input.quantization(), output.quantization());
    let mut scale = from.scale * convolution.weight_scales[channel] / to.scale;
    if let Some(slope) = convolution.slope.as_ref().filter(|_| acc < 0) {
        scale *= slope[channel];
    }
    round(acc as f32 * scale, to.zero_point, convolution.clamp)
}

/// The positions under the window at (`y`, `x`) of the output: index in the window and position
/// in the input, where there is one.
pub fn under(
    window: &Window,
    shape: Shape,
    (y, x): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let [rows, columns] = window.size;
    let (top, left) = (window.padding.top, window.padding.left);
    let (y, x) = (y * window.stride[0], x * window.stride[1]);
    (0..rows * columns).filter_map(move |tap| {
        let row = (y + tap / columns).checked_sub(top).filter(|&row| row < shape.height)?;
        let column =
            (x + tap % columns).checked_sub(left).filter(|&column| column < shape.width)?;
        Some((tap, row * shape.width + column))
    })
}
