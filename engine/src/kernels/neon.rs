//! 64-bit ARM without dot product instructions: two products of bytes are added in 16 bits, which
//! hold them because no weight is -128, and pairs of these in 32 bits.

pub(super) mod dot;
pub(super) mod lut;
pub(super) mod requantize;
mod vadd;
pub(super) mod window;

use std::arch::aarch64::*;
use std::arch::asm;

use super::scalar::{x8_lines_scalar, x8_lut_scalar};
use super::{
    DotKernel, DwconvKernel, GemmKernel, Kernels, LinesKernel, LutKernel, Row, Tile, VaddKernel,
};
use crate::isa::Isa;
use crate::kernels::pack::{DEPTH_BLOCK, DepthwisePacking, Packing};
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};
use requantize::{Requantizer, ScalesAt, for_form};
pub(super) use vadd::qs8_vadd_neon;
use window::{BlockEpilogue, ColumnPlace, Output, SlidingWindow, three_by_three};

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
    lut: LutKernel { name: "x8_lut_scalar", run: x8_lut_scalar },
    // NEON is part of the target, so the compiler vectorises the scalar kernel with it.
    lines: LinesKernel { name: "x8_lines_neon", run: x8_lines_scalar },
    dot: DotKernel { name: "qs8_dot_4x16c_neon", run: dot::qs8_dot_4x16c_neon },
};

const COLUMNS: usize = 4;

/// Loads 32 positions of four rows.
macro_rules! load_four {
    () => {
        concat!(
            "ldp q0, q1, [{a0}], #32\n",
            "ldp q2, q3, [{a1}], #32\n",
            "ldp q4, q5, [{a2}], #32\n",
            "ldp q6, q7, [{a3}], #32\n",
        )
    };
}

/// Adds the products of a column's weights and four rows to the sums.
macro_rules! column_of_four {
    ($add:literal, $weights:literal, $($a:literal $products:literal $sums:literal),+) => {
        concat!(
            $("smull ", $products, ".8h, ", $a, ".8b, ", $weights, ".8b\n",)+
            $("smlal2 ", $products, ".8h, ", $a, ".16b, ", $weights, ".16b\n",)+
            $($add, " ", $sums, ".4s, ", $products, ".8h\n",)+
        )
    };
}

/// Adds 16 positions of four rows to the sums.
macro_rules! step_of_four {
    ($add:literal, $a0:literal, $a1:literal, $a2:literal, $a3:literal) => {
        concat!(
            "ldp q8, q9, [{weights}], #32\n",
            "ldp q10, q11, [{weights}], #32\n",
            column_of_four!($add, "v8", $a0 "v12" "v16", $a1 "v13" "v17", $a2 "v14" "v18", $a3 "v15" "v19"),
            column_of_four!($add, "v9", $a0 "v12" "v20", $a1 "v13" "v21", $a2 "v14" "v22", $a3 "v15" "v23"),
            column_of_four!($add, "v10", $a0 "v12" "v24", $a1 "v13" "v25", $a2 "v14" "v26", $a3 "v15" "v27"),
            column_of_four!($add, "v11", $a0 "v12" "v28", $a1 "v13" "v29", $a2 "v14" "v30", $a3 "v15" "v31"),
        )
    };
}

/// Adds up the four parts of each column's sum; the sums of a row go to the first register.
macro_rules! add_parts {
    ($($sums:literal $c0:literal $c1:literal $c2:literal $c3:literal),+) => {
        concat!($(
            "addp ", $sums, ".4s, ", $c0, ".4s, ", $c1, ".4s\n",
            "addp ", $c2, ".4s, ", $c2, ".4s, ", $c3, ".4s\n",
            "addp ", $sums, ".4s, ", $sums, ".4s, ", $c2, ".4s\n",
        )+)
    };
}

/// The sums of four rows. The first positions, given here, set the sums; the others are added.
macro_rules! accumulate_four {
    ($strip:expr, $($first:expr),+) => {{
        let input: [*const u8; 4] =
            std::array::from_fn(|row| $strip.input.wrapping_add(row * $strip.input_stride));
        let (s0, s1, s2, s3);
        asm!(
            $($first,)+
            "b.eq 4f",
            "3:",
            load_four!(),
            step_of_four!("sadalp", "v0", "v2", "v4", "v6"),
            step_of_four!("sadalp", "v1", "v3", "v5", "v7"),
            "subs {depth}, {depth}, #32",
            "b.ne 3b",
            "4:",
            add_parts!("v0" "v16" "v20" "v24" "v28", "v1" "v17" "v21" "v25" "v29",
                "v2" "v18" "v22" "v26" "v30", "v3" "v19" "v23" "v27" "v31"),
            depth = inout(reg) $strip.depth => _,
            weights = inout(reg) $strip.weights => _,
            a0 = inout(reg) input[0] => _,
            a1 = inout(reg) input[1] => _,
            a2 = inout(reg) input[2] => _,
            a3 = inout(reg) input[3] => _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            out("v0") s0, out("v1") s1, out("v2") s2, out("v3") s3,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(readonly, nostack),
        );
        [s0, s1, s2, s3]
    }};
}

/// A few rows of a tile and one panel, and where they are in memory.
#[derive(Clone, Copy)]
struct Strip<'a> {
    depth: usize,
    input_stride: usize,
    output_stride: usize,
    requantizer: Requantizer<'a, false>,
    input: *const u8,
    weights: *const u8,
    bias: *const i32,
    scales: ScalesAt,
    output: *mut u8,
}

/// # Safety
///
/// See [`super::TileFn`].
#[target_feature(enable = "neon")]
unsafe fn qs8_gemm_4x4c16_neon(rows: usize, panels: usize, tile: &Tile<'_>) {
    let requantizer = Requantizer::new(tile.epilogue);
    for_form!(requantizer, FORM => {
        for panel in 0..panels {
            let first = panel * COLUMNS;
            // SAFETY: the tile has this panel and these columns, all of its rows; `Strip` stays
            // within as many rows as it is told.
            unsafe {
                let mut strip = Strip {
                    depth: tile.depth,
                    input_stride: tile.input_stride,
                    output_stride: tile.output_stride,
                    requantizer,
                    input: tile.input,
                    weights: tile.weights.add(first * tile.depth),
                    bias: requantizer.bias(tile.channel + first),
                    scales: requantizer.scales(tile.channel + first),
                    output: tile.output.add(first),
                };
                if tile.depth % 32 == 0 {
                    for _ in 0..rows / 4 {
                        let sums = strip.accumulate_four::<false>();
                        strip.put::<4, FORM>(sums);
                    }
                } else {
                    for _ in 0..rows / 4 {
                        let sums = strip.accumulate_four::<true>();
                        strip.put::<4, FORM>(sums);
                    }
                }
                match rows % 4 {
                    3 => strip.run::<3>(),
                    2 => strip.run::<2>(),
                    1 => strip.run::<1>(),
                    _ => {}
                }
            }
        }
    });
}

impl Strip<'_> {
    /// Computes `ROWS` rows of the panel.
    ///
    /// # Safety
    ///
    /// The tile has `ROWS` rows from `input` and `output` on.
    #[inline(never)]
    #[target_feature(enable = "neon")]
    unsafe fn run<const ROWS: usize>(mut self) {
        // SAFETY: as promised.
        unsafe {
            let mut rows = [vdupq_n_s32(0); 4];
            for (row, sums) in rows.iter_mut().zip(self.accumulate::<ROWS>()) {
                let low = vpaddq_s32(sums[0], sums[1]);
                let high = vpaddq_s32(sums[2], sums[3]);
                *row = vpaddq_s32(low, high);
            }
            for_form!(self.requantizer, FORM => {
                self.put::<ROWS, FORM>(rows);
            });
        }
    }

    /// Stores the results of `ROWS` rows of sums and moves on to the row behind them.
    ///
    /// # Safety
    ///
    /// The tile has `ROWS` rows from `input` and `output` on.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn put<const ROWS: usize, const FORM: u8>(&mut self, sums: [int32x4_t; 4]) {
        // SAFETY: the rows and the panel are the tile's; the epilogue has its channels.
        unsafe {
            let bias = vld1q_s32(self.bias);
            let scales = self.scales.of_four::<FORM>();
            let sums = sums.map(|sums| vaddq_s32(sums, bias));
            let codes = self.requantizer.codes::<FORM>(sums, &scales);
            if ROWS == 4 {
                asm!(
                    "str {codes:s}, [{output}]",
                    "add {output}, {output}, {stride}",
                    "st1 {{{codes:v}.s}}[1], [{output}]",
                    "add {output}, {output}, {stride}",
                    "st1 {{{codes:v}.s}}[2], [{output}]",
                    "add {output}, {output}, {stride}",
                    "st1 {{{codes:v}.s}}[3], [{output}]",
                    "add {output}, {output}, {stride}",
                    codes = in(vreg) codes,
                    output = inout(reg) self.output,
                    stride = in(reg) self.output_stride,
                    options(nostack, preserves_flags),
                );
            } else {
                let words: [i32; 4] = std::mem::transmute(codes);
                for word in &words[..ROWS] {
                    self.output.cast::<i32>().write_unaligned(*word);
                    self.output = self.output.wrapping_add(self.output_stride);
                }
            }
            self.input = self.input.wrapping_add(ROWS * self.input_stride);
        }
    }

    /// The sums of four rows; `ODD` says whether the depth is an odd multiple of 16.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn accumulate_four<const ODD: bool>(&self) -> [int32x4_t; 4] {
        // SAFETY: each row has `depth` bytes, a multiple of 16 and not 0, and the panel four times
        // as many; the registers that change are operands.
        unsafe {
            if ODD {
                accumulate_four!(
                    self,
                    "ldr q0, [{a0}], #16\nldr q2, [{a1}], #16\n",
                    "ldr q4, [{a2}], #16\nldr q6, [{a3}], #16\n",
                    step_of_four!("saddlp", "v0", "v2", "v4", "v6"),
                    "subs {depth}, {depth}, #16"
                )
            } else {
                accumulate_four!(
                    self,
                    load_four!(),
                    step_of_four!("saddlp", "v0", "v2", "v4", "v6"),
                    step_of_four!("sadalp", "v1", "v3", "v5", "v7"),
                    "subs {depth}, {depth}, #32"
                )
            }
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
        let stride = self.input_stride;
        let mut input: [*const i8; ROWS] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride).cast());
        let mut weights = self.weights.cast::<i8>();
        let mut sums = [[vdupq_n_s32(0); COLUMNS]; ROWS];
        // SAFETY: each row has `depth` bytes and the panel four times as many.
        unsafe {
            let mut left = self.depth;
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
    // SAFETY: as promised.
    if unsafe { three_by_three::<Taps, false>(row, requantizer) } {
        return;
    }
    for block in 0..row.stride_bytes / CHANNEL_BLOCK {
        // SAFETY: the row has this block.
        unsafe { any_window(row, requantizer, block) };
    }
}

/// Multiplies the first input of a pair by its weights.
macro_rules! multiply {
    ($low:literal $high:literal, $a:literal $w:literal) => {
        concat!(
            "smull {",
            $low,
            ":v}.8h, {",
            $a,
            ":v}.8b, {",
            $w,
            ":v}.8b\n",
            "smull2 {",
            $high,
            ":v}.8h, {",
            $a,
            ":v}.16b, {",
            $w,
            ":v}.16b\n",
        )
    };
}

/// Adds the products of the second input of a pair.
macro_rules! multiply_and_add {
    ($low:literal $high:literal, $a:literal $w:literal) => {
        concat!(
            "smlal {",
            $low,
            ":v}.8h, {",
            $a,
            ":v}.8b, {",
            $w,
            ":v}.8b\n",
            "smlal2 {",
            $high,
            ":v}.8h, {",
            $a,
            ":v}.16b, {",
            $w,
            ":v}.16b\n",
        )
    };
}

/// Adds the products of the first half of the channels to their sums.
macro_rules! add_low {
    ($low:literal) => {
        concat!(
            "saddw {s0:v}.4s, {s0:v}.4s, {",
            $low,
            ":v}.4h\n",
            "saddw2 {s1:v}.4s, {s1:v}.4s, {",
            $low,
            ":v}.8h\n",
        )
    };
}

/// Adds the products of the second half of the channels to their sums.
macro_rules! add_high {
    ($high:literal) => {
        concat!(
            "saddw {s2:v}.4s, {s2:v}.4s, {",
            $high,
            ":v}.4h\n",
            "saddw2 {s3:v}.4s, {s3:v}.4s, {",
            $high,
            ":v}.8h\n",
        )
    };
}

/// Nine taps of 16 channels.
#[derive(Clone, Copy)]
struct Taps([[int8x16_t; 3]; 3]);

impl SlidingWindow<false> for Taps {
    type Column = [int8x16_t; 3];

    #[inline(always)]
    unsafe fn new(weights: *const i8, block: usize) -> Self {
        // SAFETY: the packed weights have nine vectors for each block.
        Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| unsafe {
                vld1q_s8(weights.add(16 * (9 * block + 3 * row + column)))
            })
        }))
    }

    #[inline(always)]
    unsafe fn read(&self, place: ColumnPlace) -> Self::Column {
        // SAFETY: 16 bytes can be read at each.
        place.rows.map(|row| unsafe { vld1q_s8(row.wrapping_add(place.offset)) })
    }

    #[inline(always)]
    unsafe fn advance<const TURN: usize, const FORM: u8>(
        &self,
        epilogue: &BlockEpilogue<'_, false>,
        [a, b]: [Self::Column; 2],
        place: ColumnPlace,
        output: Output,
    ) -> Self::Column {
        // SAFETY: as promised.
        unsafe {
            let column = self.read(place);
            epilogue.store::<FORM>(self.sums(epilogue.bias, [a, b, column]), output);
            column
        }
    }
}

impl Taps {
    /// The sums of the window with these columns, on top of the 16 biases.
    ///
    /// # Safety
    ///
    /// The biases can be read.
    #[inline(always)]
    unsafe fn sums(&self, biases: *const i32, columns: [[int8x16_t; 3]; 3]) -> [int32x4_t; 4] {
        let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]] = columns;
        let [[u0, v0, w0], [u1, v1, w1], [u2, v2, w2]] = self.0;
        let (s0, s1, s2, s3);
        // SAFETY: the biases can be read; the registers that change are operands.
        unsafe {
            asm!(
                "ldr {s0:q}, [{biases}]",
                "ldr {s1:q}, [{biases}, #16]",
                "ldr {s2:q}, [{biases}, #32]",
                "ldr {s3:q}, [{biases}, #48]",
                // While the products of two taps are made, those of the two before are added: only one
                // of the two pipelines multiplies.
                multiply!("l0" "h0", "a0" "u0"),
                multiply!("l1" "h1", "a1" "u1"),
                add_low!("l0"),
                multiply_and_add!("l1" "h1", "a2" "u2"),
                add_high!("h0"),
                multiply!("l0" "h0", "b0" "v0"),
                add_low!("l1"),
                multiply_and_add!("l0" "h0", "b1" "v1"),
                add_high!("h1"),
                multiply!("l1" "h1", "b2" "v2"),
                add_low!("l0"),
                multiply_and_add!("l1" "h1", "c0" "w0"),
                add_high!("h0"),
                multiply!("l0" "h0", "c1" "w1"),
                add_low!("l1"),
                multiply_and_add!("l0" "h0", "c2" "w2"),
                add_high!("h1"),
                add_low!("l0"),
                add_high!("h0"),
                biases = in(reg) biases,
                a0 = in(vreg) a0, a1 = in(vreg) a1, a2 = in(vreg) a2,
                b0 = in(vreg) b0, b1 = in(vreg) b1, b2 = in(vreg) b2,
                c0 = in(vreg) c0, c1 = in(vreg) c1, c2 = in(vreg) c2,
                u0 = in(vreg) u0, u1 = in(vreg) u1, u2 = in(vreg) u2,
                v0 = in(vreg) v0, v1 = in(vreg) v1, v2 = in(vreg) v2,
                w0 = in(vreg) w0, w1 = in(vreg) w1, w2 = in(vreg) w2,
                s0 = out(vreg) s0, s1 = out(vreg) s1, s2 = out(vreg) s2, s3 = out(vreg) s3,
                l0 = out(vreg) _, h0 = out(vreg) _, l1 = out(vreg) _, h1 = out(vreg) _,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        [s0, s1, s2, s3]
    }
}

/// # Safety
///
/// As for [`super::RowFn`]; the row has the block of channels.
#[target_feature(enable = "neon")]
unsafe fn any_window(row: &Row<'_>, requantizer: Requantizer<'_, false>, block: usize) {
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
                let scales = requantizer.scales(channel).of_sixteen::<FORM>();
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
    // SAFETY: x is a position of the row, and the window has `window_row`.
    unsafe {
        vld1q_s8(row.input.get_unchecked(window_row).add(x * row.stride_bytes + channel).cast())
    }
}
