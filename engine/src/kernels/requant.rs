//! From the integer sum of a convolution to the code of its result.
//!
//! float32 arithmetic as onnxruntime does it: one multiplication, rounding to the nearest integer
//! with halves to even. Both are exact functions of their operands on every processor, so all
//! kernels agree to the bit.

use std::borrow::Cow;

use crate::error::LayerError;
use crate::graph::{Convolution, Quantization};

/// Channels that the kernels compute at once; everything per channel is padded to a multiple.
pub const CHANNEL_BLOCK: usize = 16;

/// How a code lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is, -128 to 127.
    Signed,
    /// Plus 128, 0 to 255, for instructions that multiply unsigned by signed bytes.
    Offset,
}

impl Encoding {
    /// The byte that stands for `code`.
    pub fn encode(self, code: i8) -> u8 {
        match self {
            Self::Signed => code as u8,
            Self::Offset => code as u8 ^ 0x80,
        }
    }

    /// The code that `byte` stands for.
    pub fn decode(self, byte: u8) -> i8 {
        match self {
            Self::Signed => byte as i8,
            Self::Offset => (byte ^ 0x80) as i8,
        }
    }

    /// The number that a kernel computes with, for `code`.
    pub fn value(self, code: i8) -> i32 {
        match self {
            Self::Signed => i32::from(code),
            Self::Offset => i32::from(code) + 128,
        }
    }

    /// The number that a kernel computes with, for a byte in memory.
    #[inline(always)]
    pub fn read(self, byte: u8) -> i32 {
        match self {
            Self::Signed => i32::from(byte as i8),
            Self::Offset => i32::from(byte),
        }
    }
}

/// What a kernel does with the sum of each channel, and with what numbers.
///
/// `sum + bias[c]` is the accumulator `acc`; the stored result is
/// `clamp(round(acc * s) + zero_point, min, max)`, where `s` is `scale[c]`, or `negative_scale[c]`
/// for a negative `acc`. All slices have the channels padded to [`CHANNEL_BLOCK`].
#[derive(Clone, Debug)]
pub struct Epilogue {
    /// Bias with the input's zero point folded in.
    pub bias: Vec<i32>,
    /// The same plus the bits of 1.5 * 2^23: the sum on top of it has the bits of that float plus
    /// `acc`, which spares a conversion. Empty when `acc` can leave 22 bits and a sign.
    pub float_bias: Vec<i32>,
    /// Output steps per unit of the accumulator.
    pub scale: Vec<f32>,
    /// The same below zero; empty when it is the same.
    pub negative_scale: Vec<f32>,
    /// Of the result, in its encoding.
    pub zero_point: i32,
    /// Smallest stored result.
    pub min: i32,
    /// Largest stored result.
    pub max: i32,
    /// `round(acc * s) + zero_point` fits 16 bits whatever the input is.
    pub narrow: bool,
}

/// Halves the weights and the bias of each channel whose sum could leave 32 bits, and doubles its
/// scale, until none can. Only a bias that dwarfs its weights is that large: half a weight is then
/// a small fraction of a step of the result.
pub fn fit_32_bits(convolution: &Convolution) -> Cow<'_, Convolution> {
    let mut fitted = Cow::Borrowed(convolution);
    let per_channel = convolution.weights.len() / convolution.bias.len().max(1);
    for channel in 0..convolution.bias.len() {
        let range = channel * per_channel..(channel + 1) * per_channel;
        // In every encoding the folded bias is at most 255 steps for each unit of weight away.
        let reach = |convolution: &Convolution| {
            let weights = convolution.weights[range.clone()].iter();
            let magnitude: i64 = weights.map(|&weight| i64::from(weight).abs()).sum();
            magnitude * 2 * 255 + i64::from(convolution.bias[channel]).abs()
        };
        while reach(&fitted) > i64::from(i32::MAX) {
            let fitted = fitted.to_mut();
            for weight in &mut fitted.weights[range.clone()] {
                *weight /= 2;
            }
            fitted.bias[channel] /= 2;
            fitted.weight_scales[channel] *= 2.0;
        }
    }
    fitted
}

impl Epilogue {
    /// The epilogue of `convolution`, whose input and output are quantized like this and lie in memory in
    /// this encoding.
    ///
    /// # Errors
    ///
    /// [`LayerError`] when a sum or a result could leave 32 bits.
    pub fn new(
        convolution: &Convolution,
        input: Quantization,
        output: Quantization,
        encoding: Encoding,
    ) -> Result<Self, LayerError> {
        let channels = convolution.bias.len();
        let padded = channels.next_multiple_of(CHANNEL_BLOCK);
        let per_channel = convolution.weights.len() / channels.max(1);
        let zero = i64::from(encoding.value(input.zero_point));
        let above = 127 - i64::from(input.zero_point);
        let below = 128 + i64::from(input.zero_point);
        let mut epilogue = Self {
            bias: vec![0; padded],
            float_bias: vec![ROUNDER.to_bits() as i32; padded],
            scale: vec![0.0; padded],
            negative_scale: Vec::new(),
            zero_point: encoding.value(output.zero_point),
            min: encoding.value(convolution.clamp.min),
            max: encoding.value(convolution.clamp.max),
            narrow: true,
        };
        if let Some(slope) = &convolution.slope {
            epilogue.negative_scale = vec![0.0; padded];
            assert_eq!(slope.len(), channels);
        }
        for channel in 0..channels {
            let weights = &convolution.weights[channel * per_channel..][..per_channel];
            let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
            let magnitude: i64 = weights.iter().map(|&weight| i64::from(weight).abs()).sum();
            let bias = i64::from(convolution.bias[channel]);
            let folded = bias - zero * sum;
            if magnitude * 255 + folded.abs() > i64::from(i32::MAX) {
                return Err(LayerError::ChannelSum(channel));
            }
            epilogue.bias[channel] = folded as i32;
            let scale = input.scale * convolution.weight_scales[channel] / output.scale;
            let mut negative_scale = scale;
            epilogue.scale[channel] = scale;
            if let Some(slope) = &convolution.slope {
                negative_scale *= slope[channel];
                epilogue.negative_scale[channel] = negative_scale;
            }
            let [positive, negative] = [(magnitude + sum) / 2, (magnitude - sum) / 2];
            let highest = (positive * above + negative * below + bias).max(0);
            let lowest = (positive * below + negative * above - bias).max(0);
            if highest.max(lowest) < 1 << 22 && !epilogue.float_bias.is_empty() {
                epilogue.float_bias[channel] += folded as i32;
            } else {
                epilogue.float_bias.clear();
            }
            let reaches = [highest as f32 * scale.abs(), lowest as f32 * negative_scale.abs()];
            let reach = if reaches[1].is_nan() { reaches[1] } else { reaches[0].max(reaches[1]) };
            if reach.is_nan() || reach >= (1 << 30) as f32 {
                return Err(LayerError::ChannelResult(channel));
            }
            epilogue.narrow &= reach < 32_000.0;
        }
        Ok(epilogue)
    }

    /// Whether a kernel may read `channels` channels of it.
    pub fn covers(&self, channels: usize) -> bool {
        let complete = |length: usize| length == channels;
        let complete_or_empty = |length: usize| length == channels || length == 0;
        complete(self.bias.len())
            && complete(self.scale.len())
            && complete_or_empty(self.float_bias.len())
            && complete_or_empty(self.negative_scale.len())
    }

    /// The stored result of channel `channel` for the sum `acc`, bias included.
    #[inline(always)]
    pub fn apply(&self, channel: usize, acc: i32) -> u8 {
        let scale = if acc < 0 && !self.negative_scale.is_empty() {
            self.negative_scale[channel]
        } else {
            self.scale[channel]
        };
        round_to_byte(acc as f32 * scale, self.zero_point, self.min, self.max)
    }
}

/// 1.5 * 2^23. The sum with it has no room for a fraction, so adding rounds as the processor does: to
/// nearest, halves to even; and the low bits of the sum are those of the rounded value.
pub const ROUNDER: f32 = 12_582_912.0;

/// `clamp(round(value) + zero_point, min, max)` as a byte; all bounds lie in -128..=255.
#[inline(always)]
pub fn round_to_byte(value: f32, zero_point: i32, min: i32, max: i32) -> u8 {
    let low = (min - zero_point) as f32;
    let high = (max - zero_point) as f32;
    let bounded = value.max(low).min(high);
    let rounded = (bounded + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32;
    (rounded + zero_point) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_halves_to_even_and_clamps() {
        let cases = [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (3.49, 3), (1e30, 127)];
        for (value, expected) in cases {
            assert_eq!(round_to_byte(value, 0, -128, 127) as i8, expected, "{value}");
        }
        assert_eq!(round_to_byte(f32::NEG_INFINITY, 5, -3, 127) as i8, -3);
        assert_eq!(round_to_byte(f32::INFINITY, 128, 0, 255), 255);
        assert_eq!(round_to_byte(-200.0, 128, 0, 255), 0);
    }

    #[test]
    fn equals_rounding_in_double_precision() {
        let mut value = -300.0_f32;
        while value < 300.0 {
            let expected = (f64::from(value).round_ties_even() as i32 + 3).clamp(-128, 127);
            assert_eq!(i32::from(round_to_byte(value, 3, -128, 127) as i8), expected, "{value}");
            value += 0.015_625;
        }
    }

    #[test]
    fn a_bias_that_fills_32_bits_is_halved_with_its_weights() {
        let convolution = Convolution {
            window: crate::graph::Window::POINT,
            weights: vec![100, -7, 100, -7],
            weight_scales: vec![0.5, 0.5],
            bias: vec![i32::MAX, 5],
            slope: None,
            clamp: crate::graph::Clamp::NONE,
        };
        let quantization = Quantization { scale: 1e-4, zero_point: 127 };
        let output = Quantization { scale: 1e4, zero_point: 0 };
        let exceeds = Epilogue::new(&convolution, quantization, output, Encoding::Offset);
        assert!(exceeds.is_err());
        let fitted = fit_32_bits(&convolution);
        assert_eq!(fitted.weights, [50, -3, 100, -7]);
        assert_eq!(fitted.bias, [i32::MAX / 2, 5]);
        assert_eq!(fitted.weight_scales, [1.0, 0.5]);
        let epilogue = Epilogue::new(&fitted, quantization, output, Encoding::Offset);
        assert_eq!(epilogue.expect("it fits now").apply(0, i32::MAX / 2), 128 + 11);
    }

    #[test]
    fn an_encoding_and_back() {
        for code in i8::MIN..=i8::MAX {
            for encoding in [Encoding::Signed, Encoding::Offset] {
                let byte = encoding.encode(code);
                assert_eq!(encoding.decode(byte), code);
                assert_eq!(encoding.read(byte), encoding.value(code));
            }
        }
    }
}
