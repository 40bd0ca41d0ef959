//! Bytes that start on a cache line.

#![allow(unsafe_code, reason = "whole cache lines seen as bytes")]

/// Length of a cache line, and of the longest vector register.
pub const CACHE_LINE_BYTES: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; CACHE_LINE_BYTES]);

/// A fixed number of bytes, aligned to [`CACHE_LINE_BYTES`].
#[derive(Clone)]
pub struct Buffer {
    lines: Vec<CacheLine>,
    length: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Buffer").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Buffer {
    /// `length` zeros.
    pub fn zeroed(length: usize) -> Self {
        Self {
            lines: vec![CacheLine([0; CACHE_LINE_BYTES]); length.div_ceil(CACHE_LINE_BYTES)],
            length,
        }
    }

    /// `length` zeros; `None` when there is not so much memory.
    pub fn try_zeroed(length: usize) -> Option<Self> {
        let count = length.div_ceil(CACHE_LINE_BYTES);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, CacheLine([0; CACHE_LINE_BYTES]));
        Some(Self { lines, length })
    }

    /// No bytes yet, with room for `room` of them.
    pub fn with_room(room: usize) -> Self {
        Self { lines: Vec::with_capacity(room.div_ceil(CACHE_LINE_BYTES)), length: 0 }
    }

    /// Drops bytes at the end or appends zeros, so that there are `length` of them.
    pub fn resize(&mut self, length: usize) {
        if length < self.length {
            let line_end = length.next_multiple_of(CACHE_LINE_BYTES).min(self.length);
            self.bytes_mut()[length..line_end].fill(0);
        }
        self.lines.resize(length.div_ceil(CACHE_LINE_BYTES), CacheLine([0; CACHE_LINE_BYTES]));
        self.length = length;
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
    fn what_is_appended_is_zero() {
        let mut buffer = Buffer::with_room(10);
        for length in [5, 300, 70, 64, 65, 200, 0, 100] {
            let before = buffer.bytes().len();
            buffer.resize(length);
            assert_eq!(buffer.bytes().len(), length);
            assert!(buffer.bytes()[before.min(length)..].iter().all(|&byte| byte == 0));
            buffer.bytes_mut().fill(9);
        }
    }

    #[test]
    fn more_than_there_is_cannot_be_had() {
        assert!(Buffer::try_zeroed(isize::MAX as usize).is_none());
        assert!(Buffer::try_zeroed(usize::MAX).is_none());
        let buffer = Buffer::try_zeroed(100).expect("it is little");
        assert_eq!(buffer.bytes(), [0; 100]);
    }

    #[test]
    fn bytes_are_aligned_and_as_many_as_asked_for() {
        for length in [0, 1, 63, 64, 65, 1000] {
            let mut buffer = Buffer::zeroed(length);
            assert_eq!(buffer.bytes().len(), length);
            if length > 0 {
                assert_eq!(buffer.bytes().as_ptr() as usize % CACHE_LINE_BYTES, 0);
            }
            buffer.bytes_mut().fill(7);
            assert!(buffer.clone().bytes().iter().all(|&byte| byte == 7));
        }
    }
}
