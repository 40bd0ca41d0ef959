//! Steps on floats, and between floats and codes. Each runs on one thread or by bands, and in an order
//! that gives the same bits everywhere.

use super::Context;
use crate::int8::graph::Quantization;
use crate::int8::network::memory::Place;
use crate::int8::requant::round_to_byte;

/// float32 weights, `[block of outputs][input][output of the block]`, and the bias; blocks are padded
/// with zeros.
pub struct Dense {
    pub weights: Vec<[f32; DENSE_BLOCK]>,
    pub bias: Vec<[f32; DENSE_BLOCK]>,
}

/// Outputs that are computed at once.
pub const DENSE_BLOCK: usize = 16;

impl Dense {
    /// The outputs of one position. Each is summed up in the order of the inputs, so that the bits
    /// are the same on every processor.
    fn apply(&self, input: &[f32], output: &mut [f32]) {
        let blocks = self.bias.iter().zip(self.weights.chunks_exact(input.len()));
        for (output, (bias, weights)) in output.chunks_mut(DENSE_BLOCK).zip(blocks) {
            let mut sums = *bias;
            for (&value, weights) in input.iter().zip(weights) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
            output.copy_from_slice(&sums[..output.len()]);
        }
    }
}

impl Context<'_> {
    pub(super) fn quantize(&self, quantization: Quantization) {
        let input = self.memory.floats(self.inputs[0]);
        let channels = self.output.tensor.shape.channels;
        let [zero, min, max] =
            [quantization.zero_point, i8::MIN, i8::MAX].map(|code| self.encoding().value(code));
        self.bands(self.share(), &|_, rows, output| {
            let first = rows.start * self.output.tensor.shape.width * channels;
            let positions = output.chunks_exact_mut(self.output.stride_bytes);
            for (target, source) in positions.zip(input[first..].chunks_exact(channels)) {
                for (byte, &value) in target.iter_mut().zip(source) {
                    *byte = round_to_byte(value / quantization.scale, zero, min, max);
                }
            }
        });
    }

    pub(super) fn dequantize(&self, quantization: Quantization) {
        let input = self.memory.read(self.inputs[0]);
        // SAFETY: this step runs on one thread and its output is no input.
        let output = unsafe { self.memory.write_floats(self.output) };
        let zero = self.encoding().value(quantization.zero_point);
        let positions = input.chunks_exact(self.inputs[0].stride_bytes);
        let channels = self.output.tensor.shape.channels;
        for (target, source) in output.chunks_exact_mut(channels).zip(positions) {
            for (value, &byte) in target.iter_mut().zip(source) {
                *value = (self.encoding().read(byte) - zero) as f32 * quantization.scale;
            }
        }
    }

    pub(super) fn dense(&self, dense: &Dense) {
        let input = self.memory.floats(self.inputs[0]);
        // SAFETY: this step runs on one thread and its output is no input.
        let output = unsafe { self.memory.write_floats(self.output) };
        let outputs = self.output.tensor.shape.channels;
        let channels = self.inputs[0].tensor.shape.channels;
        let positions = input.chunks_exact(channels).zip(output.chunks_exact_mut(outputs));
        for (input, output) in positions {
            dense.apply(input, output);
        }
    }

    pub(super) fn normalise(&self, epsilon: f32) {
        let input = self.memory.floats(self.inputs[0]);
        // SAFETY: this step runs on one thread and its output is no input.
        let output = unsafe { self.memory.write_floats(self.output) };
        let square: f64 = input.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let length = square.sqrt() as f32 + epsilon;
        for (output, &value) in output.iter_mut().zip(input) {
            *output = value / length;
        }
    }

    pub(super) fn concatenate<'b>(&self, inputs: impl Iterator<Item = &'b Place>) {
        // SAFETY: this step runs on one thread and its output is no input.
        let mut output = unsafe { self.memory.write_floats(self.output) };
        for place in inputs {
            let input = self.memory.floats(place);
            let (target, rest) = output.split_at_mut(input.len());
            target.copy_from_slice(input);
            output = rest;
        }
    }

    pub(super) fn transpose(&self, to_positions: bool) {
        let input = self.memory.floats(self.inputs[0]);
        // SAFETY: this step runs on one thread and its output is no input.
        let output = unsafe { self.memory.write_floats(self.output) };
        let shape = self.output.tensor.shape;
        let [rows, columns] = if to_positions {
            [shape.channels, shape.positions()]
        } else {
            [shape.positions(), shape.channels]
        };
        for row in 0..rows {
            for column in 0..columns {
                output[column * rows + row] = input[row * columns + column];
            }
        }
    }
}
