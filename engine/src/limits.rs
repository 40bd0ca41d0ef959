//! How large a model may be. A file that asks for more is refused before the memory is taken or the
//! work begun. The shipped models stay well below each.

/// Bytes of a model file.
pub const FILE_BYTES: u64 = 256_000_000;

/// Bytes of memory that the parsed file takes, weights included.
pub const PARSED_BYTES: usize = 40_000_000;

/// Bytes of `celebcam.` metadata.
pub const METADATA_BYTES: usize = 1_000_000;

/// Nodes of the graph.
pub const NODES: usize = 4_000;

/// Rows or columns of a window, of its stride, and of the padding on one side.
pub const WINDOW: usize = 1 << 20;

/// Bytes of the name of a node or a value.
pub const NAME_BYTES: usize = 1_000;

/// Bytes of the weights and other lists that are made while the quantized layers are taken out of the
/// file, those of intermediate forms included.
pub const LOWERED_BYTES: usize = 64_000_000;

/// Dimensions of a value.
pub const RANK: usize = 8;

/// Bytes of all that lives at once in a run: the values of the network, and the scratch of each
/// thread.
pub const ARENA_BYTES: usize = 64_000_000;

/// Bytes of the weights in the order of the kernels, and of what else a network keeps.
pub const WEIGHT_BYTES: usize = 96_000_000;

/// Multiplications, comparisons and the like of one run.
pub const OPERATIONS: u64 = 4_000_000_000;

/// Operations on constants that tract does while it loads a model.
pub const FOLDED_OPERATIONS: u64 = 12_000_000;

/// Bytes of the values of one run that tract computes.
pub const TRACT_BYTES: usize = 128_000_000;

/// The product of these sizes; `None` where it exceeds `usize`.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size))
}
