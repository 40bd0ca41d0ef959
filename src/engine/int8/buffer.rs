//! Bytes that start on a cache line.

/// Length of a cache line, and of the longest vector register.
pub const LINE_BYTES: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// A fixed number of bytes, aligned to [`LINE_BYTES`].
#[derive(Clone)]
pub struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    /// `length` zeros.
    pub fn zeroed(length: usize) -> Self {
        Self { lines: vec![Line([0; LINE_BYTES]); length.div_ceil(LINE_BYTES)], length }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `lines` owns at least `length` initialized bytes, one behind the other.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }

    /// The bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_and_as_many_as_asked_for() {
        for length in [0, 1, 63, 64, 65, 1000] {
            let mut buffer = Buffer::zeroed(length);
            assert_eq!(buffer.bytes().len(), length);
            if length > 0 {
                assert_eq!(buffer.bytes().as_ptr() as usize % LINE_BYTES, 0);
            }
            buffer.bytes_mut().fill(7);
            assert!(buffer.clone().bytes().iter().all(|&byte| byte == 7));
        }
    }
}
