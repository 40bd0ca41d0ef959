//! The discrete Fourier transform as a plain sum, behind the part of the interface of the library rustfft that
//! tract uses.
//!
//! tract has a transform for models of sound. The library's fast one takes more than a megabyte of a program.
//! The engine refuses `DFT` and `STFT` before tract sees a model, so nothing runs this: it has to be there, right
//! and small.

use std::f64::consts::TAU;
use std::fmt::Debug;
use std::marker::PhantomData;

pub use num_complex;
use num_complex::Complex;
pub use num_traits;
use num_traits::{FromPrimitive, Signed};

/// Numbers that can be transformed.
pub trait FftNum: Copy + FromPrimitive + Signed + Sync + Send + Debug + 'static {}

impl<T: Copy + FromPrimitive + Signed + Sync + Send + Debug + 'static> FftNum for T {}

/// Which way to transform; neither divides by the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FftDirection {
    /// From values to frequencies.
    Forward,
    /// From frequencies to values.
    Inverse,
}

/// Gives transforms.
#[derive(Debug)]
pub struct FftPlanner<T>(PhantomData<T>);

impl<T: FftNum> Default for FftPlanner<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: FftNum> FftPlanner<T> {
    /// One for numbers of this type.
    pub fn new() -> Self {
        Self::default()
    }

    /// The transform of `len` numbers.
    pub fn plan_fft(&mut self, len: usize, direction: FftDirection) -> Dft<T> {
        Dft { len, direction, numbers: PhantomData }
    }

    /// The transform of `len` values to frequencies.
    pub fn plan_fft_forward(&mut self, len: usize) -> Dft<T> {
        self.plan_fft(len, FftDirection::Forward)
    }
}

/// The transform of numbers of one length.
#[derive(Debug)]
pub struct Dft<T> {
    len: usize,
    direction: FftDirection,
    numbers: PhantomData<T>,
}

impl<T: FftNum> Dft<T> {
    /// Transforms the numbers in place, as many at a time as the transform is long.
    ///
    /// # Panics
    ///
    /// When there are some left over, or cosines are no numbers of this type.
    pub fn process(&self, buffer: &mut [Complex<T>]) {
        if self.len == 0 {
            return;
        }
        assert_eq!(
            buffer.len() % self.len,
            0,
            "as many numbers as the transform is long, or several times"
        );
        let sign = match self.direction {
            FftDirection::Forward => -1.0,
            FftDirection::Inverse => 1.0,
        };
        let number = |value| T::from_f64(value).expect("cosines are numbers");
        let turns: Vec<Complex<T>> = (0..self.len)
            .map(|step| sign * TAU * step as f64 / self.len as f64)
            .map(|angle| Complex::new(number(angle.cos()), number(angle.sin())))
            .collect();
        for part in buffer.chunks_exact_mut(self.len) {
            let values = part.to_vec();
            for (frequency, sum) in part.iter_mut().enumerate() {
                let turned = values
                    .iter()
                    .enumerate()
                    .map(|(at, value)| value * turns[frequency * at % self.len]);
                *sum = turned.fold(Complex::new(T::zero(), T::zero()), |sum, value| sum + value);
            }
        }
    }
}
