//! 64-bit ARM without dot product instructions: two products of bytes are added in 16 bits, which
//! hold them because no weight is -128, and pairs of these in 32 bits.

pub(super) mod requantize;
mod vadd;

use std::arch::aarch64::*;

use super::{DwconvKernel, GemmKernel, Kernels, Row, Tile, VaddKernel};
use crate::engine::int8::isa::Isa;
use crate::engine::int8::pack::{DEPTH_BLOCK, DepthwisePacking, Packing};
use crate::engine::int8::requant::{CHANNEL_BLOCK, Encoding};
use requantize::{Requantizer, for_form};
pub(super) use vadd::qs8_vadd_neon;

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Neon,
    encoding: Encoding::Signed,
    gemm: GemmKernel {
        name: "qs8_gemm_4x4c16_neon",
        packing: Packing { columns: COLUMNS, group: DEPTH_BLOCK, words: false },
        rows: usize::MAX,
        panels: usize::MAX,
        tile: qs8_gemm_4x4c16_neon,
    },
    dwconv: DwconvKernel {
        name: "qs8_dwconv_16c_neon",
        packing: DepthwisePacking::Taps,
        row: qs8_dwconv_16c_neon,
    },
    vadd: VaddKernel { name: "qs8_vadd_neon", run: qs8_vadd_neon },
};

const COLUMNS: usize = 4;

/// A few rows of a tile and one panel, and where they are in memory.
struct Strip<'a> {
    tile: &'a Tile<'a>,
    requantizer: &'a Requantizer<'a>,
    input: *const u8,
    weights: *const u8,
    channel: usize,
    output: *mut u8,
}

/// # Safety
///
/// See [`super::TileFn`].
#[target_feature(enable = "neon")]
unsafe fn qs8_gemm_4x4c16_neon(rows: usize, panels: usize, tile: &Tile<'_>) {
    let requantizer = Requantizer::new(tile.epilogue);
    for panel in 0..panels {
        let first = panel * COLUMNS;
        // SAFETY: the tile has this panel and these columns, all of its rows; `Strip::run` stays
        // within as many rows as it is told.
        unsafe {
            let mut strip = Strip {
                tile,
                requantizer: &requantizer,
                input: tile.input,
                weights: tile.weights.add(first * tile.depth),
                channel: tile.channel + first,
                output: tile.output.add(first),
            };
            for _ in 0..rows / 4 {
                strip.run::<4>();
            }
            match rows % 4 {
                3 => strip.run::<3>(),
                2 => strip.run::<2>(),
                1 => strip.run::<1>(),
                _ => {}
            }
        }
    }
}

impl Strip<'_> {
    /// Computes `ROWS` rows of the panel and moves on to the row behind them.
    ///
    /// # Safety
    ///
    /// The tile has `ROWS` rows from `input` and `output` on.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn run<const ROWS: usize>(&mut self) {
        // SAFETY: the rows and the panel are the tile's; the epilogue has its channels.
        unsafe {
            let sums = self.accumulate::<ROWS>();
            let bias = vld1q_s32(self.requantizer.bias(self.channel));
            let mut rows = [bias; 4];
            for (row, sums) in rows.iter_mut().zip(sums) {
                let low = vpaddq_s32(sums[0], sums[1]);
                let high = vpaddq_s32(sums[2], sums[3]);
                *row = vaddq_s32(vpaddq_s32(low, high), bias);
            }
            let requantizer = self.requantizer;
            let channel = self.channel;
            let codes = for_form!(requantizer, FORM => {
                let scales = requantizer.scales_of_four::<FORM>(channel);
                requantizer.codes::<FORM>(rows, &scales)
            });
            let words = vreinterpretq_s32_s8(codes);
            let stride = self.tile.output_stride;
            let output = |row: usize| self.output.add(row * stride).cast::<i32>();
            vst1q_lane_s32::<0>(output(0), words);
            if ROWS > 1 {
                vst1q_lane_s32::<1>(output(1), words);
            }
            if ROWS > 2 {
                vst1q_lane_s32::<2>(output(2), words);
            }
            if ROWS > 3 {
                vst1q_lane_s32::<3>(output(3), words);
            }
            self.input = self.input.add(ROWS * self.tile.input_stride);
            self.output = self.output.add(ROWS * stride);
        }
    }

    /// Parts of the sums of each row and column.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn accumulate<const ROWS: usize>(&self) -> [[int32x4_t; COLUMNS]; ROWS] {
        let stride = self.tile.input_stride;
        let mut input: [*const i8; ROWS] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride).cast());
        let mut weights = self.weights.cast::<i8>();
        let mut sums = [[vdupq_n_s32(0); COLUMNS]; ROWS];
        // SAFETY: each row has `depth` bytes and the panel four times as many.
        unsafe {
            let mut left = self.tile.depth;
            if left % 32 != 0 {
                step::<ROWS, 1, true>(&mut sums, &mut input, &mut weights);
                left -= 16;
            } else {
                step::<ROWS, 2, true>(&mut sums, &mut input, &mut weights);
                left -= 32;
            }
            while left > 0 {
                step::<ROWS, 2, false>(&mut sums, &mut input, &mut weights);
                left -= 32;
            }
        }
        sums
    }
}

/// Adds `STEPS` times 16 positions of the summed dimension to the sums, or sets them.
///
/// # Safety
///
/// `16 * STEPS` bytes can be read in each row, four times as many at `weights`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn step<const ROWS: usize, const STEPS: usize, const FIRST: bool>(
    sums: &mut [[int32x4_t; COLUMNS]; ROWS],
    input: &mut [*const i8; ROWS],
    weights: &mut *const i8,
) {
    // SAFETY: as promised above.
    unsafe {
        let mut a = [[vdupq_n_s8(0); STEPS]; ROWS];
        for (a, input) in a.iter_mut().zip(input) {
            for (step, a) in a.iter_mut().enumerate() {
                *a = vld1q_s8(input.add(16 * step));
            }
            *input = input.add(16 * STEPS);
        }
        for step in 0..STEPS {
            for column in 0..COLUMNS {
                let b = vld1q_s8(weights.add(16 * (step * COLUMNS + column)));
                for (a, sums) in a.iter().zip(sums.iter_mut()) {
                    let products = vmull_s8(vget_low_s8(a[step]), vget_low_s8(b));
                    let products = vmlal_high_s8(products, a[step], b);
                    sums[column] = if FIRST && step == 0 {
                        vpaddlq_s16(products)
                    } else {
                        vpadalq_s16(sums[column], products)
                    };
                }
            }
        }
        *weights = weights.add(16 * STEPS * COLUMNS);
    }
}

/// # Safety
///
/// See [`super::RowFn`].
#[target_feature(enable = "neon")]
unsafe fn qs8_dwconv_16c_neon(row: &Row<'_>) {
    let requantizer = Requantizer::new(row.epilogue);
    for block in 0..row.stride_bytes / CHANNEL_BLOCK {
        // SAFETY: the row has this block.
        unsafe { any_window(row, &requantizer, block) };
    }
}

/// # Safety
///
/// As for [`super::RowFn`]; the row has the block of channels.
#[target_feature(enable = "neon")]
unsafe fn any_window(row: &Row<'_>, requantizer: &Requantizer<'_>, block: usize) {
    let channel = block * CHANNEL_BLOCK;
    let taps = row.input.len() * row.columns;
    for x in 0..row.output_width {
        // SAFETY: the block has the channels, the packed weights `taps` vectors for it.
        unsafe {
            let weights = row.weights.cast::<i8>().add(channel * taps);
            let mut sums = requantizer.biases(channel);
            for tap in (0..taps).step_by(2) {
                let a = read_taps(row, tap, x * row.stride, channel);
                let b = vld1q_s8(weights.add(16 * tap));
                let mut products = [vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b)];
                if tap + 1 < taps {
                    let a = read_taps(row, tap + 1, x * row.stride, channel);
                    let b = vld1q_s8(weights.add(16 * tap + 16));
                    products[0] = vmlal_s8(products[0], vget_low_s8(a), vget_low_s8(b));
                    products[1] = vmlal_high_s8(products[1], a, b);
                }
                add_products(&mut sums, products);
            }
            let output = row.output.add(x * row.stride_bytes + channel).cast();
            for_form!(requantizer, FORM => {
                let scales = requantizer.scales::<FORM>(channel);
                vst1q_s8(output, requantizer.codes::<FORM>(sums, &scales));
            });
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn add_products(sums: &mut [int32x4_t; 4], products: [int16x8_t; 2]) {
    for (pair, products) in products.into_iter().enumerate() {
        sums[2 * pair] = vaddw_s16(sums[2 * pair], vget_low_s16(products));
        sums[2 * pair + 1] = vaddw_high_s16(sums[2 * pair + 1], products);
    }
}

/// The 16 channels from `channel` on under a tap, for the window that starts at `start`.
///
/// # Safety
///
/// As for [`super::RowFn`]; the row has the channels and the window the tap.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn read_taps(row: &Row<'_>, tap: usize, start: usize, channel: usize) -> int8x16_t {
    // SAFETY: the tap lies in the window.
    unsafe { read_position(row, tap / row.columns, start + tap % row.columns, channel) }
}

/// The 16 channels from `channel` on at a position, counted from the padding's first, of a row
/// under the window.
///
/// # Safety
///
/// As for [`super::RowFn`]; the row has the channels and the window the row.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn read_position(
    row: &Row<'_>,
    window_row: usize,
    position: usize,
    channel: usize,
) -> int8x16_t {
    let x = position.wrapping_sub(row.left);
    if x >= row.width {
        return vdupq_n_s8(row.zero_point as i8);
    }
    // SAFETY: x is a position of the row.
    unsafe { vld1q_s8(row.input.get_unchecked(window_row).add(x * row.stride_bytes + channel).cast()) }
}
