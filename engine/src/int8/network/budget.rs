//! What a network will take, counted before any of it is taken.

use super::memory::{Place, too_large};
use crate::int8::graph::{Graph, Node, Op, Padding, Window};
use crate::int8::kernels::Kernels;
use crate::int8::pack::{DEPTH_BLOCK, product};
use crate::int8::requant::CHANNEL_BLOCK;
use crate::limits::{ARENA_BYTES, OPERATIONS, WEIGHT_BYTES, WINDOW};

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
    /// A sentence with the limit that it does not keep.
    pub fn check(self) -> Result<(), String> {
        if self.kept_bytes > WEIGHT_BYTES {
            return Err(too_heavy());
        }
        if self.operations > OPERATIONS {
            let most = OPERATIONS / 1_000_000_000;
            return Err(format!(
                "a run takes more than {most} billion operations, which is the limit"
            ));
        }
        if self.arena_bytes > ARENA_BYTES { Err(too_large()) } else { Ok(()) }
    }
}

/// What `graph` takes, whose nodes are in order and whose values have `places`, but for its arena.
///
/// # Errors
///
/// A sentence with the limit that it does not keep.
pub fn cost(graph: &Graph, places: &[Place], kernels: &Kernels) -> Result<Cost, String> {
    let mut all = Cost::default();
    for node in &graph.nodes {
        check_at_once(node, places)?;
        if let Op::Convolution(conv) | Op::Depthwise(conv) = &node.op {
            check_window(conv.window)?;
        } else if let Op::MaxPool(window) = &node.op {
            check_window(*window)?;
        }
        all = all.plus(node_cost(node, places, kernels).ok_or_else(too_heavy)?);
    }
    all.check()?;
    Ok(all)
}

fn too_heavy() -> String {
    format!("its weights take more than {} MB, which is the limit", WEIGHT_BYTES / 1_000_000)
}

/// What a node reads and makes is in memory at once.
fn check_at_once(node: &Node, places: &[Place]) -> Result<(), String> {
    let values = node.inputs.iter().chain([&node.output]);
    let bytes = values.map(|&value| places[value].bytes());
    let bytes = bytes.fold(0_usize, usize::saturating_add);
    if bytes > ARENA_BYTES { Err(too_large()) } else { Ok(()) }
}

fn check_window(window: Window) -> Result<(), String> {
    let Window { size, stride, padding: Padding { top, left, bottom, right } } = window;
    let sizes = size.into_iter().chain(stride).chain([top, left, bottom, right]);
    if sizes.max().is_some_and(|size| size > WINDOW) {
        return Err(format!("it has a window, stride or padding of more than {WINDOW}"));
    }
    Ok(())
}

/// Bytes that an epilogue keeps for each channel.
const EPILOGUE_BYTES: usize = 4 * size_of::<i32>();

fn node_cost(node: &Node, places: &[Place], kernels: &Kernels) -> Option<Cost> {
    let [input, output] = [&places[*node.inputs.first()?], &places[node.output]];
    let positions = output.tensor.shape.positions() as u64;
    let channels = output.tensor.shape.channels;
    let many = |times: usize, bytes: usize| positions.checked_mul(product(&[times, bytes])? as u64);
    let (operations, kept_bytes) = match &node.op {
        Op::Convolution(convolution) => {
            let depth = product(&[convolution.window.taps(), input.stride_bytes])?
                .checked_next_multiple_of(DEPTH_BLOCK)?;
            let columns = channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
            let packed = kernels.gemm_bytes(columns, depth)?;
            (many(depth, columns)?, packed.checked_add(product(&[columns, EPILOGUE_BYTES])?)?)
        }
        Op::Depthwise(convolution) => {
            let window = convolution.window;
            let packed = kernels.dwconv_bytes(channels, window.size)?;
            let columns = channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
            let epilogue = product(&[columns, EPILOGUE_BYTES])?;
            // A row of padding is kept as well.
            let kept = packed.checked_add(epilogue)?.checked_add(input.row_bytes())?;
            (many(window.taps(), output.stride_bytes)?, kept)
        }
        Op::MaxPool(window) => (many(window.taps(), output.stride_bytes)?, 0),
        Op::Dense { .. } => {
            let depth = input.tensor.shape.channels;
            let columns = channels.checked_next_multiple_of(CHANNEL_BLOCK)?;
            (many(depth, columns)?, product(&[depth, columns, size_of::<f32>()])?)
        }
        _ => ((input.bytes() + output.bytes()) as u64, 0),
    };
    Some(Cost { operations, kept_bytes, arena_bytes: 0 })
}
