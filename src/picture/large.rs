//! Memory for large pictures that goes back to the system when it is freed.
//!
//! The allocator of the C library keeps freed memory for the thread that had it, several pictures for
//! each thread, unless it was asked for more than 32 MiB at once. Memory that is asked for and never
//! written takes none, but for addresses: where these are limited, nothing is asked for beyond the need.

use crate::system::heap;

/// Bytes that are asked for at least, where memory is large.
const GIVEN_BACK_BYTES: usize = 33 << 20;

/// From so many bytes on memory is large.
const LARGE_BYTES: usize = 1 << 20;

/// The capacity to ask for where `count` items are needed.
pub fn capacity<T>(count: usize) -> usize {
    let size = size_of::<T>().max(1);
    let is_large = count.saturating_mul(size) >= LARGE_BYTES;
    if is_large && heap::limit_bytes().is_none() {
        count.max(GIVEN_BACK_BYTES / size)
    } else {
        count
    }
}

/// An empty vector with room for `count` items.
pub fn empty<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(capacity::<T>(count))
}

/// A vector of `count` zeros.
pub fn zeros<T: Clone + Default>(count: usize) -> Vec<T> {
    let mut zeros = empty(count);
    zeros.resize(count, T::default());
    zeros
}
