//! Reproducible numbers for tests, benches and the fuzzer: Knuth's MMIX linear congruential generator.

/// A generator; the number is its seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 31 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Any code.
    pub fn code(&mut self) -> i8 {
        self.bits() as i8
    }

    /// Any codes.
    pub fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.code()).collect()
    }

    /// Codes that have an opposite, as weights do.
    pub fn weights(&mut self, count: usize) -> Vec<i8> {
        self.codes(count).into_iter().map(|weight| weight.max(-127)).collect()
    }

    /// Bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.codes(count).into_iter().map(|code| code as u8).collect()
    }

    /// Numbers from -1 to 1.
    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.bits() >> 7) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}
