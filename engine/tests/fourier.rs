//! The plain Fourier transform that stands in the place of rustfft.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftPlanner};

fn complex(values: &[f64]) -> Vec<Complex<f64>> {
    values.iter().map(|&value| Complex::new(value, 0.0)).collect()
}

#[test]
fn a_wave_is_one_frequency_and_comes_back() {
    let wave: Vec<f64> = (0..6).map(|at| (TAU * f64::from(at) / 6.0).cos()).collect();
    let mut numbers = complex(&wave);
    FftPlanner::new().plan_fft_forward(6).process(&mut numbers);
    let sizes: Vec<f64> =
        numbers.iter().map(|number| (number.norm() * 1e9).round() / 1e9).collect();
    assert_eq!(sizes, [0.0, 3.0, 0.0, 0.0, 0.0, 3.0]);
    FftPlanner::new().plan_fft(6, FftDirection::Inverse).process(&mut numbers);
    for (number, value) in numbers.iter().zip(wave) {
        assert!((number.re / 6.0 - value).abs() < 1e-12 && number.im.abs() < 1e-12);
    }
}

#[test]
fn a_step_turns_clockwise_forward() {
    let mut numbers = complex(&[0.0, 1.0, 0.0, 0.0]);
    FftPlanner::new().plan_fft_forward(4).process(&mut numbers);
    assert!((numbers[1] - Complex::new(0.0, -1.0)).norm() < 1e-12, "{numbers:?}");
}

#[test]
fn several_are_transformed_one_by_one() {
    let mut numbers = complex(&[1.0, 2.0, 3.0, 5.0]);
    FftPlanner::new().plan_fft_forward(2).process(&mut numbers);
    for (number, expected) in numbers.iter().zip(complex(&[3.0, -1.0, 8.0, -2.0])) {
        assert!((number - expected).norm() < 1e-12, "{numbers:?}");
    }
}
