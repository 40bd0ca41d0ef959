//! 64-bit ARM with dot product instructions: `sdot` multiplies bytes, four at a time, and adds
//! them up in 32 bits.

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::requantize::{Requantizer, for_form};
use super::neon::{qs8_vadd_neon, read_position};
use super::{DwconvKernel, GemmKernel, Kernels, Row, Tile, VaddKernel};
use crate::engine::int8::isa::Isa;
use crate::engine::int8::pack::{DEPTH_BLOCK, DepthwisePacking, Packing};
use crate::engine::int8::requant::{CHANNEL_BLOCK, Encoding};

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::NeonDotprod,
    encoding: Encoding::Signed,
    gemm: GemmKernel {
        name: "qs8_gemm_6x16c4_neon_dotprod",
        packing: Packing { columns: CHANNEL_BLOCK, group: 4, words: false },
        rows: usize::MAX,
        panels: usize::MAX,
        tile: qs8_gemm_6x16c4_neon_dotprod,
    },
    dwconv: DwconvKernel {
        name: "qs8_dwconv_16c_neon_dotprod",
        packing: DepthwisePacking::ColumnsOfFour,
        row: qs8_dwconv_16c_neon_dotprod,
    },
    vadd: VaddKernel { name: "qs8_vadd_neon", run: qs8_vadd_neon },
};

/// Sums of 16 columns.
type Sums = [int32x4_t; 4];

/// Adds to each lane the products of its four bytes of `b` and the four bytes of `a`'s lane.
#[inline]
#[target_feature(enable = "neon")]
fn dot_lane<const LANE: i32>(sums: int32x4_t, b: int8x16_t, a: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: registers alone; only functions with the feature `dotprod` are built on this.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {b:v}.16b, {a:v}.4b[{lane}]",
            sums = inout(vreg) sums, b = in(vreg) b, a = in(vreg) a, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds to each lane the products of its four bytes of `a` and `b`.
#[inline]
#[target_feature(enable = "neon")]
fn dot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: as in `dot_lane`.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

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
#[target_feature(enable = "neon,dotprod")]
unsafe fn qs8_gemm_6x16c4_neon_dotprod(rows: usize, panels: usize, tile: &Tile<'_>) {
    let requantizer = Requantizer::new(tile.epilogue);
    // Five rows at a time take the fewest instructions, and as many sixes as leave no others.
    let sixes = if rows % 5 * 6 <= rows { rows % 5 } else { 0 };
    let fives = (rows - 6 * sixes) / 5;
    for panel in 0..panels {
        let first = panel * CHANNEL_BLOCK;
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
            for _ in 0..sixes {
                strip.run::<6>();
            }
            for _ in 0..fives {
                strip.run::<5>();
            }
            match rows - 6 * sixes - 5 * fives {
                4 => strip.run::<4>(),
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
            let requantizer = self.requantizer;
            let output = self.output;
            for_form!(requantizer, FORM => {
                let scales = requantizer.scales::<FORM>(self.channel);
                for (row, sums) in sums.into_iter().enumerate() {
                    let output = output.add(row * self.tile.output_stride);
                    vst1q_s8(output.cast(), requantizer.codes::<FORM>(sums, &scales));
                }
            });
            self.input = self.input.add(ROWS * self.tile.input_stride);
            self.output = self.output.add(ROWS * self.tile.output_stride);
        }
    }

    /// The sums of each row, biases included.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn accumulate<const ROWS: usize>(&self) -> [Sums; ROWS] {
        let stride = self.tile.input_stride;
        let mut input: [*const i8; ROWS] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride).cast());
        let mut weights = self.weights.cast::<i8>();
        // SAFETY: each row has `depth` bytes and the panel 16 times as many; the epilogue has the
        // channels.
        unsafe {
            let mut sums = [self.requantizer.biases(self.channel); ROWS];
            let mut left = self.tile.depth / DEPTH_BLOCK;
            if ROWS <= 5 {
                while left > 1 {
                    step::<ROWS, 2>(&mut sums, &mut input, &mut weights);
                    left -= 2;
                }
            }
            while left > 0 {
                step::<ROWS, 1>(&mut sums, &mut input, &mut weights);
                left -= 1;
            }
            sums
        }
    }
}

/// Adds `STEPS` times 16 positions of the summed dimension to the sums.
///
/// # Safety
///
/// `16 * STEPS` bytes can be read in each row, 16 times as many at `weights`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn step<const ROWS: usize, const STEPS: usize>(
    sums: &mut [Sums; ROWS],
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
            for quarter in 0..16 {
                let b = vld1q_s8(weights.add(256 * step + 16 * quarter));
                for (a, sums) in a.iter().zip(sums.iter_mut()) {
                    let sum = &mut sums[quarter % 4];
                    *sum = match quarter / 4 {
                        0 => dot_lane::<0>(*sum, b, a[step]),
                        1 => dot_lane::<1>(*sum, b, a[step]),
                        2 => dot_lane::<2>(*sum, b, a[step]),
                        _ => dot_lane::<3>(*sum, b, a[step]),
                    };
                }
            }
        }
        *weights = weights.add(256 * STEPS);
    }
}

/// # Safety
///
/// See [`super::RowFn`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn qs8_dwconv_16c_neon_dotprod(row: &Row<'_>) {
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
    let groups = row.input.len().div_ceil(4);
    for x in 0..row.output_width {
        // SAFETY: the block has the channels, the packed weights 64 bytes for each group of each
        // column.
        unsafe {
            let mut weights = row.weights.cast::<i8>().add(channel * groups * 4 * row.columns);
            let mut sums = requantizer.biases(channel);
            for column in 0..row.columns {
                let position = x * row.stride + column;
                for group in 0..groups {
                    let quads = read_quads(row, 4 * group, position, channel);
                    for (quarter, sum) in sums.iter_mut().enumerate() {
                        *sum = dot(*sum, quads[quarter], vld1q_s8(weights.add(16 * quarter)));
                    }
                    weights = weights.add(64);
                }
            }
            let output = row.output.add(x * row.stride_bytes + channel).cast();
            for_form!(requantizer, FORM => {
                let scales = requantizer.scales::<FORM>(channel);
                vst1q_s8(output, requantizer.codes::<FORM>(sums, &scales));
            });
        }
    }
}

/// For each of the 16 channels from `channel` on, the bytes of up to four rows at a position.
///
/// # Safety
///
/// As for [`super::RowFn`]; the row has the channels and the window the first row.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn read_quads(row: &Row<'_>, first: usize, position: usize, channel: usize) -> [int8x16_t; 4] {
    let rows: [int8x16_t; 4] = std::array::from_fn(|next| {
        if first + next < row.input.len() {
            // SAFETY: the window has the row.
            unsafe { read_position(row, first + next, position, channel) }
        } else {
            vdupq_n_s8(0)
        }
    });
    let pairs = |a, b| [vzip1q_s8(a, b), vzip2q_s8(a, b)].map(|pairs| vreinterpretq_s16_s8(pairs));
    let [upper, lower] = [pairs(rows[0], rows[1]), pairs(rows[2], rows[3])];
    std::array::from_fn(|quarter| {
        let (upper, lower) = (upper[quarter / 2], lower[quarter / 2]);
        vreinterpretq_s8_s16(if quarter % 2 == 0 {
            vzip1q_s16(upper, lower)
        } else {
            vzip2q_s16(upper, lower)
        })
    })
}
