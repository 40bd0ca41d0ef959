//! 64-bit ARM with dot product instructions: `sdot` multiplies bytes, four at a time, and adds
//! them up in 32 bits.

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::requantize::{Requantizer, for_form};
use super::neon::window::{Window, three_by_three};
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
            ".arch_extension dotprod",
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
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Sets the sums of each row to the biases.
macro_rules! load_biases {
    ($($q0:literal $q1:literal $q2:literal $q3:literal),+) => {
        concat!($(
            "ldp ", $q0, ", ", $q1, ", [{bias}]\n",
            "ldp ", $q2, ", ", $q3, ", [{bias}, #32]\n",
        )+)
    };
}

/// Adds four positions of each row to its sums of a quarter of the columns.
macro_rules! dots {
    ($weights:literal, $lane:literal, $($a:literal $sums:literal),+) => {
        concat!($("sdot ", $sums, ".4s, ", $weights, ".16b, ", $a, ".4b[", $lane, "]\n",)+)
    };
}

/// Adds 16 positions of five rows to their sums.
macro_rules! step_of_five {
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal, $a4:literal) => {
        step_of_five!($a0, $a1, $a2, $a3, $a4, "0" "1" "2" "3")
    };
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal, $a4:literal, $($lane:literal)+) => {
        concat!($(
            "ldp q30, q31, [{weights}], #32\n",
            dots!("v30", $lane, $a0 "v0", $a1 "v4", $a2 "v8", $a3 "v12", $a4 "v16"),
            dots!("v31", $lane, $a0 "v1", $a1 "v5", $a2 "v9", $a3 "v13", $a4 "v17"),
            "ldp q30, q31, [{weights}], #32\n",
            dots!("v30", $lane, $a0 "v2", $a1 "v6", $a2 "v10", $a3 "v14", $a4 "v18"),
            dots!("v31", $lane, $a0 "v3", $a1 "v7", $a2 "v11", $a3 "v15", $a4 "v19"),
        )+)
    };
}

/// Adds 16 positions of six rows to their sums.
macro_rules! step_of_six {
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal, $a4:literal, $a5:literal) => {
        step_of_six!($a0, $a1, $a2, $a3, $a4, $a5, "0" "1" "2" "3")
    };
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal, $a4:literal, $a5:literal, $($lane:literal)+) => {
        concat!($(
            "ldp q30, q31, [{weights}], #32\n",
            dots!("v30", $lane, $a0 "v0", $a1 "v4", $a2 "v8", $a3 "v12", $a4 "v16", $a5 "v20"),
            dots!("v31", $lane, $a0 "v1", $a1 "v5", $a2 "v9", $a3 "v13", $a4 "v17", $a5 "v21"),
            "ldp q30, q31, [{weights}], #32\n",
            dots!("v30", $lane, $a0 "v2", $a1 "v6", $a2 "v10", $a3 "v14", $a4 "v18", $a5 "v22"),
            dots!("v31", $lane, $a0 "v3", $a1 "v7", $a2 "v11", $a3 "v15", $a4 "v19", $a5 "v23"),
        )+)
    };
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
            let sums: [Sums; ROWS] = match ROWS {
                6 => {
                    let sums = self.accumulate_six();
                    std::array::from_fn(|row| sums[row])
                }
                5 => {
                    let sums = self.accumulate_five();
                    std::array::from_fn(|row| sums[row])
                }
                _ => self.accumulate::<ROWS>(),
            };
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

    /// The sums of six rows, biases included.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn accumulate_six(&self) -> [Sums; 6] {
        let stride = self.tile.input_stride;
        let input: [*const u8; 6] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride));
        let mut sums = [[vdupq_n_s32(0); 4]; 6];
        let [s0, s1, s2, s3, s4, s5] = &mut sums;
        // SAFETY: each row has `depth` bytes, a multiple of 16 and not 0, the panel 16 times as
        // many, the epilogue the channels; the registers that change are operands.
        unsafe {
            asm!(
                load_biases!("q0" "q1" "q2" "q3", "q4" "q5" "q6" "q7", "q8" "q9" "q10" "q11",
                    "q12" "q13" "q14" "q15", "q16" "q17" "q18" "q19", "q20" "q21" "q22" "q23"),
                "2:",
                "ldr q24, [{a0}], #16",
                "ldr q25, [{a1}], #16",
                "ldr q26, [{a2}], #16",
                "ldr q27, [{a3}], #16",
                "ldr q28, [{a4}], #16",
                "ldr q29, [{a5}], #16",
                step_of_six!("v24", "v25", "v26", "v27", "v28", "v29"),
                "subs {depth}, {depth}, #16",
                "b.ne 2b",
                depth = inout(reg) self.tile.depth => _,
                bias = in(reg) self.requantizer.bias(self.channel),
                weights = inout(reg) self.weights => _,
                a0 = inout(reg) input[0] => _,
                a1 = inout(reg) input[1] => _,
                a2 = inout(reg) input[2] => _,
                a3 = inout(reg) input[3] => _,
                a4 = inout(reg) input[4] => _,
                a5 = inout(reg) input[5] => _,
                out("v0") s0[0], out("v1") s0[1], out("v2") s0[2], out("v3") s0[3],
                out("v4") s1[0], out("v5") s1[1], out("v6") s1[2], out("v7") s1[3],
                out("v8") s2[0], out("v9") s2[1], out("v10") s2[2], out("v11") s2[3],
                out("v12") s3[0], out("v13") s3[1], out("v14") s3[2], out("v15") s3[3],
                out("v16") s4[0], out("v17") s4[1], out("v18") s4[2], out("v19") s4[3],
                out("v20") s5[0], out("v21") s5[1], out("v22") s5[2], out("v23") s5[3],
                out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(readonly, nostack),
            );
        }
        sums
    }

    /// The sums of five rows, biases included.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn accumulate_five(&self) -> [Sums; 5] {
        let stride = self.tile.input_stride;
        let input: [*const u8; 5] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride));
        let mut sums = [[vdupq_n_s32(0); 4]; 5];
        let [s0, s1, s2, s3, s4] = &mut sums;
        // SAFETY: as in `accumulate_six`.
        unsafe {
            asm!(
                load_biases!("q0" "q1" "q2" "q3", "q4" "q5" "q6" "q7", "q8" "q9" "q10" "q11",
                    "q12" "q13" "q14" "q15", "q16" "q17" "q18" "q19"),
                "tbz {depth}, #4, 2f",
                "ldr q20, [{a0}], #16",
                "ldr q22, [{a1}], #16",
                "ldr q24, [{a2}], #16",
                "ldr q26, [{a3}], #16",
                "ldr q28, [{a4}], #16",
                step_of_five!("v20", "v22", "v24", "v26", "v28"),
                "subs {depth}, {depth}, #16",
                "b.eq 3f",
                "2:",
                "ldp q20, q21, [{a0}], #32",
                "ldp q22, q23, [{a1}], #32",
                "ldp q24, q25, [{a2}], #32",
                "ldp q26, q27, [{a3}], #32",
                "ldp q28, q29, [{a4}], #32",
                step_of_five!("v20", "v22", "v24", "v26", "v28"),
                step_of_five!("v21", "v23", "v25", "v27", "v29"),
                "subs {depth}, {depth}, #32",
                "b.ne 2b",
                "3:",
                depth = inout(reg) self.tile.depth => _,
                bias = in(reg) self.requantizer.bias(self.channel),
                weights = inout(reg) self.weights => _,
                a0 = inout(reg) input[0] => _,
                a1 = inout(reg) input[1] => _,
                a2 = inout(reg) input[2] => _,
                a3 = inout(reg) input[3] => _,
                a4 = inout(reg) input[4] => _,
                out("v0") s0[0], out("v1") s0[1], out("v2") s0[2], out("v3") s0[3],
                out("v4") s1[0], out("v5") s1[1], out("v6") s1[2], out("v7") s1[3],
                out("v8") s2[0], out("v9") s2[1], out("v10") s2[2], out("v11") s2[3],
                out("v12") s3[0], out("v13") s3[1], out("v14") s3[2], out("v15") s3[3],
                out("v16") s4[0], out("v17") s4[1], out("v18") s4[2], out("v19") s4[3],
                out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(readonly, nostack),
            );
        }
        sums
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
            while left > 0 {
                step(&mut sums, &mut input, &mut weights);
                left -= 1;
            }
            sums
        }
    }
}

/// Adds 16 positions of the summed dimension to the sums.
///
/// # Safety
///
/// 16 bytes can be read in each row, 16 times as many at `weights`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn step<const ROWS: usize>(
    sums: &mut [Sums; ROWS],
    input: &mut [*const i8; ROWS],
    weights: &mut *const i8,
) {
    // SAFETY: as promised above.
    unsafe {
        let mut a = [vdupq_n_s8(0); ROWS];
        for (a, input) in a.iter_mut().zip(input) {
            *a = vld1q_s8(*input);
            *input = input.add(16);
        }
        lane::<0, ROWS>(sums, &a, *weights);
        lane::<1, ROWS>(sums, &a, weights.add(64));
        lane::<2, ROWS>(sums, &a, weights.add(128));
        lane::<3, ROWS>(sums, &a, weights.add(192));
        *weights = weights.add(256);
    }
}

/// Adds the four positions of a lane to the sums.
///
/// # Safety
///
/// 64 bytes can be read at `weights`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn lane<const LANE: i32, const ROWS: usize>(
    sums: &mut [Sums; ROWS],
    a: &[int8x16_t; ROWS],
    weights: *const i8,
) {
    for quarter in 0..4 {
        // SAFETY: as promised above.
        let b = unsafe { vld1q_s8(weights.add(16 * quarter)) };
        for (sums, &a) in sums.iter_mut().zip(a) {
            sums[quarter] = dot_lane::<LANE>(sums[quarter], b, a);
        }
    }
}

/// # Safety
///
/// See [`super::RowFn`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn qs8_dwconv_16c_neon_dotprod(row: &Row<'_>) {
    let requantizer = Requantizer::new(row.epilogue);
    // SAFETY: as promised.
    if unsafe { three_by_three::<Quads>(row, &requantizer) } {
        return;
    }
    for block in 0..row.stride_bytes / CHANNEL_BLOCK {
        // SAFETY: the row has this block.
        unsafe { any_window(row, &requantizer, block) };
    }
}

/// Three columns of 16 channels, with the four bytes of a channel next to each other.
#[derive(Clone, Copy)]
struct Quads {
    weights: [[int8x16_t; 4]; 3],
    /// Where the bytes of a column are in its three rows.
    places: [uint8x16_t; 4],
}

/// Where the bytes of the first four channels of a column are in its three rows. What is at the
/// fourth of each does not matter, as it weighs 0.
const PLACES: [u8; 16] = [0, 16, 32, 48, 1, 17, 33, 49, 2, 18, 34, 50, 3, 19, 35, 51];

impl Window for Quads {
    type Column = [int8x16_t; 4];

    #[inline(always)]
    unsafe fn new(weights: *const i8, block: usize) -> Self {
        // SAFETY: the packed weights have twelve vectors for each block.
        unsafe {
            let weights = weights.add(16 * 12 * block);
            let weights = std::array::from_fn(|column| {
                std::array::from_fn(|quarter| vld1q_s8(weights.add(16 * (4 * column + quarter))))
            });
            let places = vld1q_u8(PLACES.as_ptr());
            let places =
                std::array::from_fn(|quarter| vaddq_u8(places, vdupq_n_u8(4 * quarter as u8)));
            Self { weights, places }
        }
    }

    #[inline(always)]
    unsafe fn read(&self, rows: [*const i8; 3], offset: usize) -> Self::Column {
        // SAFETY: 16 bytes can be read at each.
        unsafe {
            let [top, middle, bottom] = rows.map(|row| vld1q_s8(row.wrapping_add(offset)));
            let table = int8x16x3_t(top, middle, bottom);
            self.places.map(|places| vqtbl3q_s8(table, places))
        }
    }

    #[inline(always)]
    fn fill(&self, byte: i8) -> Self::Column {
        // SAFETY: every 64-bit ARM has this instruction.
        unsafe { [vdupq_n_s8(byte); 4] }
    }

    #[inline(always)]
    unsafe fn sums(&self, biases: *const i32, columns: [&Self::Column; 3]) -> Sums {
        let [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]] = columns;
        let [[u0, u1, u2, u3], [v0, v1, v2, v3], [w0, w1, w2, w3]] = self.weights;
        let (s0, s1, s2, s3);
        // SAFETY: the biases can be read; the registers that change are operands.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "ldp {s0:q}, {s1:q}, [{biases}]",
                "ldp {s2:q}, {s3:q}, [{biases}, #32]",
                "sdot {s0:v}.4s, {a0:v}.16b, {u0:v}.16b",
                "sdot {s1:v}.4s, {a1:v}.16b, {u1:v}.16b",
                "sdot {s2:v}.4s, {a2:v}.16b, {u2:v}.16b",
                "sdot {s3:v}.4s, {a3:v}.16b, {u3:v}.16b",
                "sdot {s0:v}.4s, {b0:v}.16b, {v0:v}.16b",
                "sdot {s1:v}.4s, {b1:v}.16b, {v1:v}.16b",
                "sdot {s2:v}.4s, {b2:v}.16b, {v2:v}.16b",
                "sdot {s3:v}.4s, {b3:v}.16b, {v3:v}.16b",
                "sdot {s0:v}.4s, {c0:v}.16b, {w0:v}.16b",
                "sdot {s1:v}.4s, {c1:v}.16b, {w1:v}.16b",
                "sdot {s2:v}.4s, {c2:v}.16b, {w2:v}.16b",
                "sdot {s3:v}.4s, {c3:v}.16b, {w3:v}.16b",
                biases = in(reg) biases,
                a0 = in(vreg) *a0, a1 = in(vreg) *a1, a2 = in(vreg) *a2, a3 = in(vreg) *a3,
                b0 = in(vreg) *b0, b1 = in(vreg) *b1, b2 = in(vreg) *b2, b3 = in(vreg) *b3,
                c0 = in(vreg) *c0, c1 = in(vreg) *c1, c2 = in(vreg) *c2, c3 = in(vreg) *c3,
                u0 = in(vreg) u0, u1 = in(vreg) u1, u2 = in(vreg) u2, u3 = in(vreg) u3,
                v0 = in(vreg) v0, v1 = in(vreg) v1, v2 = in(vreg) v2, v3 = in(vreg) v3,
                w0 = in(vreg) w0, w1 = in(vreg) w1, w2 = in(vreg) w2, w3 = in(vreg) w3,
                s0 = out(vreg) s0, s1 = out(vreg) s1, s2 = out(vreg) s2, s3 = out(vreg) s3,
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
