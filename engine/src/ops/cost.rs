//! What an operation takes, counted before any of it is taken.

use crate::arena::Place;
use crate::error::Limit;
use crate::graph::{Node, Padding, Window};
use crate::kernels::Kernels;
use crate::limits::{ARENA_BYTES, OPERATIONS, WEIGHT_BYTES, WINDOW, product};

/// Bytes that the epilogue of a convolution keeps for each channel.
pub const EPILOGUE_BYTES: usize = 4 * size_of::<i32>();

/// What a network takes, or a part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Multiplications or the like of one run.
    pub operations: u64,
    /// Bytes of weights and of what else stays as long as the network.
    pub kept_bytes: usize,
    /// Bytes of the values of one run, and of the scratch of each thread.
    pub arena_bytes: usize,
}

impl Cost {
    /// What both take.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            operations: self.operations.saturating_add(other.operations),
            kept_bytes: self.kept_bytes.saturating_add(other.kept_bytes),
            arena_bytes: self.arena_bytes.saturating_add(other.arena_bytes),
        }
    }

    /// Checks that it keeps the [limits](crate::limits).
    ///
    /// # Errors
    ///
    /// The first limit that it exceeds.
    pub fn check(self) -> Result<(), Limit> {
        if self.kept_bytes > WEIGHT_BYTES {
            return Err(Limit::Weights);
        }
        if self.operations > OPERATIONS {
            return Err(Limit::Operations);
        }
        if self.arena_bytes > ARENA_BYTES { Err(Limit::Values) } else { Ok(()) }
    }
}

/// A node whose cost is counted, and where its values lie.
pub struct Counted<'a> {
    /// The first input.
    pub input: &'a Place,
    /// The output.
    pub output: &'a Place,
    /// What will compute it.
    pub kernels: &'a Kernels,
}

impl<'a> Counted<'a> {
    /// `node`, which has an input.
    pub fn new(node: &Node, places: &'a [Place], kernels: &'a Kernels) -> Option<Self> {
        let input = &places[*node.inputs.first()?];
        Some(Self { input, output: &places[node.output], kernels })
    }

    /// A cost of `kept_bytes`, and of the product of `operations` for each position of the output; `None`
    /// where that exceeds a word.
    pub fn for_each_position(&self, operations: [usize; 2], kept_bytes: usize) -> Option<Cost> {
        let positions = self.output.tensor.shape.positions() as u64;
        let operations = positions.checked_mul(product(&operations)? as u64)?;
        Some(Cost { operations, kept_bytes, arena_bytes: 0 })
    }

    /// One operation for each byte that is read or written.
    pub fn for_each_byte(&self) -> Cost {
        let operations = (self.input.bytes() + self.output.bytes()) as u64;
        Cost { operations, ..Cost::default() }
    }
}

/// Checks that a window keeps the limits.
///
/// # Errors
///
/// [`Limit::Window`] when it does not.
pub fn check_window(window: Window) -> Result<(), Limit> {
    let Window { size, stride, padding: Padding { top, left, bottom, right } } = window;
    let sizes = size.into_iter().chain(stride).chain([top, left, bottom, right]);
    if sizes.max().is_some_and(|size| size > WINDOW) { Err(Limit::Window) } else { Ok(()) }
}
