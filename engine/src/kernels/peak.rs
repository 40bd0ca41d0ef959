//! The most that the matrix product reaches on this machine: inputs and weights in the first-level
//! cache, no requantization to speak of.

use std::time::{Duration, Instant};

use super::Kernels;
use super::requant::Epilogue;
use crate::buffer::Buffer;
use crate::graph::{Clamp, Convolution, Quantization, Window};

const ROWS: usize = 12;
const DEPTH: usize = 512;
const COLUMNS: usize = 32;
const CALLS: usize = 50;

/// Multiplications a second of one thread, the best of what is measured in `time`.
pub fn macs_per_s(kernels: &Kernels, time: Duration) -> f64 {
    let quantization = Quantization { scale: 1.0, zero_point: 0 };
    let convolution = Convolution {
        window: Window::POINT,
        weights: vec![1; COLUMNS * DEPTH],
        weight_scales: vec![1e-3; COLUMNS],
        bias: vec![0; COLUMNS],
        slope: None,
        clamp: Clamp::NONE,
    };
    let epilogue = Epilogue::new(&convolution, quantization, quantization, kernels.encoding())
        .expect("such small sums fit");
    let gemm = kernels.pack_gemm(&convolution.weights, DEPTH, epilogue);
    let stride = DEPTH * if kernels.reads_words() { 2 } else { 1 };
    let input = Buffer::zeroed(ROWS * stride);
    let mut output = Buffer::zeroed(ROWS * COLUMNS);
    let begun = Instant::now();
    let mut best = 0.0_f64;
    while begun.elapsed() < time {
        let started = Instant::now();
        for _ in 0..CALLS {
            kernels.gemm(&gemm, ROWS, input.bytes(), stride, output.bytes_mut(), COLUMNS);
        }
        let macs = (CALLS * ROWS * DEPTH * COLUMNS) as f64;
        best = best.max(macs / started.elapsed().as_secs_f64());
    }
    best
}
