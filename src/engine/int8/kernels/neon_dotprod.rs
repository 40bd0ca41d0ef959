//! 64-bit ARM with dot product instructions: `sdot` multiplies bytes, four at a time, and adds
//! them up in 32 bits.

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::lut::x8_lut_neon;
use super::neon::requantize::{Requantizer, for_form};
use super::neon::window::{Window, three_by_three};
use super::neon::{qs8_vadd_neon, read_position};
use super::{DwconvKernel, GemmKernel, Kernels, LutKernel, Row, Tile, VaddKernel};
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
    lut: LutKernel { name: "x8_lut_neon", run: x8_lut_neon },
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
            "ldp q10, q11, [{weights}], #32\n",
            dots!("v10", $lane, $a0 "v12", $a1 "v16", $a2 "v20", $a3 "v24", $a4 "v28"),
            dots!("v11", $lane, $a0 "v13", $a1 "v17", $a2 "v21", $a3 "v25", $a4 "v29"),
            "ldp q10, q11, [{weights}], #32\n",
            dots!("v10", $lane, $a0 "v14", $a1 "v18", $a2 "v22", $a3 "v26", $a4 "v30"),
            dots!("v11", $lane, $a0 "v15", $a1 "v19", $a2 "v23", $a3 "v27", $a4 "v31"),
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
            "ldp q6, q7, [{weights}], #32\n",
            dots!("v6", $lane, $a0 "v8", $a1 "v12", $a2 "v16", $a3 "v20", $a4 "v24", $a5 "v28"),
            dots!("v7", $lane, $a0 "v9", $a1 "v13", $a2 "v17", $a3 "v21", $a4 "v25", $a5 "v29"),
            "ldp q6, q7, [{weights}], #32\n",
            dots!("v6", $lane, $a0 "v10", $a1 "v14", $a2 "v18", $a3 "v22", $a4 "v26", $a5 "v30"),
            dots!("v7", $lane, $a0 "v11", $a1 "v15", $a2 "v19", $a3 "v23", $a4 "v27", $a5 "v31"),
        )+)
    };
}

/// A few rows of a tile and one panel, and where they are in memory.
#[derive(Clone, Copy)]
struct Strip<'a> {
    depth: usize,
    input_stride: usize,
    output_stride: usize,
    requantizer: Requantizer<'a>,
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
    for_form!(requantizer, FORM => {
        for panel in 0..panels {
            let first = panel * CHANNEL_BLOCK;
            // SAFETY: the tile has this panel and these columns, all of its rows; `Strip::run`
            // stays within as many rows as it is told.
            unsafe {
                let mut strip = Strip {
                    depth: tile.depth,
                    input_stride: tile.input_stride,
                    output_stride: tile.output_stride,
                    requantizer,
                    input: tile.input,
                    weights: tile.weights.add(first * tile.depth),
                    channel: tile.channel + first,
                    output: tile.output.add(first),
                };
                for _ in 0..sixes {
                    let sums = strip.accumulate_six();
                    strip.put::<6, FORM>(sums);
                }
                for _ in 0..fives {
                    let sums = strip.accumulate_five();
                    strip.put::<5, FORM>(sums);
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
    });
}

impl Strip<'_> {
    /// Computes `ROWS` rows of the panel.
    ///
    /// # Safety
    ///
    /// The tile has `ROWS` rows from `input` and `output` on.
    #[inline(never)]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn run<const ROWS: usize>(mut self) {
        // SAFETY: as promised.
        unsafe {
            let sums = self.accumulate::<ROWS>();
            for_form!(self.requantizer, FORM => {
                self.put::<ROWS, FORM>(sums);
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
    unsafe fn put<const ROWS: usize, const FORM: u8>(&mut self, sums: [Sums; ROWS]) {
        // SAFETY: the rows and the panel are the tile's; the epilogue has its channels.
        unsafe {
            let scales = self.requantizer.scales(self.channel).of_sixteen::<FORM>();
            for sums in sums {
                vst1q_s8(self.output.cast(), self.requantizer.codes::<FORM>(sums, &scales));
                self.output = self.output.wrapping_add(self.output_stride);
            }
            self.input = self.input.wrapping_add(ROWS * self.input_stride);
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
        let stride = self.input_stride;
        let input: [*const u8; 6] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride));
        let mut sums = [[vdupq_n_s32(0); 4]; 6];
        let [s0, s1, s2, s3, s4, s5] = &mut sums;
        // SAFETY: each row has `depth` bytes, a multiple of 16 and not 0, the panel 16 times as
        // many, the epilogue the channels; the registers that change are operands.
        unsafe {
            asm!(
                load_biases!("q8" "q9" "q10" "q11", "q12" "q13" "q14" "q15", "q16" "q17" "q18" "q19",
                    "q20" "q21" "q22" "q23", "q24" "q25" "q26" "q27", "q28" "q29" "q30" "q31"),
                "2:",
                "ldr q0, [{a0}], #16",
                "ldr q1, [{a1}], #16",
                "ldr q2, [{a2}], #16",
                "ldr q3, [{a3}], #16",
                "ldr q4, [{a4}], #16",
                "ldr q5, [{a5}], #16",
                step_of_six!("v0", "v1", "v2", "v3", "v4", "v5"),
                "subs {depth}, {depth}, #16",
                "b.ne 2b",
                depth = inout(reg) self.depth => _,
                bias = in(reg) self.requantizer.bias(self.channel),
                weights = inout(reg) self.weights => _,
                a0 = inout(reg) input[0] => _,
                a1 = inout(reg) input[1] => _,
                a2 = inout(reg) input[2] => _,
                a3 = inout(reg) input[3] => _,
                a4 = inout(reg) input[4] => _,
                a5 = inout(reg) input[5] => _,
                out("v8") s0[0], out("v9") s0[1], out("v10") s0[2], out("v11") s0[3],
                out("v12") s1[0], out("v13") s1[1], out("v14") s1[2], out("v15") s1[3],
                out("v16") s2[0], out("v17") s2[1], out("v18") s2[2], out("v19") s2[3],
                out("v20") s3[0], out("v21") s3[1], out("v22") s3[2], out("v23") s3[3],
                out("v24") s4[0], out("v25") s4[1], out("v26") s4[2], out("v27") s4[3],
                out("v28") s5[0], out("v29") s5[1], out("v30") s5[2], out("v31") s5[3],
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
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
        let stride = self.input_stride;
        let input: [*const u8; 5] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride));
        let mut sums = [[vdupq_n_s32(0); 4]; 5];
        let [s0, s1, s2, s3, s4] = &mut sums;
        // SAFETY: as in `accumulate_six`.
        unsafe {
            asm!(
                load_biases!("q12" "q13" "q14" "q15", "q16" "q17" "q18" "q19", "q20" "q21" "q22" "q23",
                    "q24" "q25" "q26" "q27", "q28" "q29" "q30" "q31"),
                "tbz {depth}, #4, 2f",
                "ldr q0, [{a0}], #16",
                "ldr q2, [{a1}], #16",
                "ldr q4, [{a2}], #16",
                "ldr q6, [{a3}], #16",
                "ldr q8, [{a4}], #16",
                step_of_five!("v0", "v2", "v4", "v6", "v8"),
                "subs {depth}, {depth}, #16",
                "b.eq 3f",
                "2:",
                "ldp q0, q1, [{a0}], #32",
                "ldp q2, q3, [{a1}], #32",
                "ldp q4, q5, [{a2}], #32",
                "ldp q6, q7, [{a3}], #32",
                "ldp q8, q9, [{a4}], #32",
                step_of_five!("v0", "v2", "v4", "v6", "v8"),
                step_of_five!("v1", "v3", "v5", "v7", "v9"),
                "subs {depth}, {depth}, #32",
                "b.ne 2b",
                "3:",
                depth = inout(reg) self.depth => _,
                bias = in(reg) self.requantizer.bias(self.channel),
                weights = inout(reg) self.weights => _,
                a0 = inout(reg) input[0] => _,
                a1 = inout(reg) input[1] => _,
                a2 = inout(reg) input[2] => _,
                a3 = inout(reg) input[3] => _,
                a4 = inout(reg) input[4] => _,
                out("v12") s0[0], out("v13") s0[1], out("v14") s0[2], out("v15") s0[3],
                out("v16") s1[0], out("v17") s1[1], out("v18") s1[2], out("v19") s1[3],
                out("v20") s2[0], out("v21") s2[1], out("v22") s2[2], out("v23") s2[3],
                out("v24") s3[0], out("v25") s3[1], out("v26") s3[2], out("v27") s3[3],
                out("v28") s4[0], out("v29") s4[1], out("v30") s4[2], out("v31") s4[3],
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _,
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
        let stride = self.input_stride;
        let mut input: [*const i8; ROWS] =
            std::array::from_fn(|row| self.input.wrapping_add(row * stride).cast());
        let mut weights = self.weights.cast::<i8>();
        // SAFETY: each row has `depth` bytes and the panel 16 times as many; the epilogue has the
        // channels.
        unsafe {
            let mut sums = [self.requantizer.biases(self.channel); ROWS];
            let mut left = self.depth / DEPTH_BLOCK;
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
    if unsafe { three_by_three::<Quads>(row, requantizer) } {
        return;
    }
    for block in 0..row.stride_bytes / CHANNEL_BLOCK {
        // SAFETY: the row has this block.
        unsafe { any_window(row, requantizer, block) };
    }
}

/// [`Window::advance`] with the columns in these registers. The compiler keeps everything in its
/// registers between the windows because all 32 are named.
macro_rules! advance {
    ($window:expr, $biases:expr, $columns:expr, $rows:expr, $offset:expr,
        $a0:tt $a1:tt $a2:tt $a3:tt, $b0:tt $b1:tt $b2:tt $b3:tt, $c0:tt $c1:tt $c2:tt $c3:tt) => {{
        let [[u0, u1, u2, u3], [v0, v1, v2, v3], [w0, w1, w2, w3]] = $window.weights;
        let [[a0, a1, a2, a3], [b0, b1, b2, b3]] = $columns;
        let [p0, p1, p2, p3] = $window.places;
        let (c0, c1, c2, c3, s0, s1, s2, s3);
        asm!(
            ".arch_extension dotprod",
            "ldr q28, [{top}, {offset}]",
            "ldr q29, [{middle}, {offset}]",
            "ldr q30, [{bottom}, {offset}]",
            concat!("tbl ", $c0, ".16b, {{v28.16b, v29.16b, v30.16b}}, v24.16b"),
            concat!("tbl ", $c1, ".16b, {{v28.16b, v29.16b, v30.16b}}, v25.16b"),
            concat!("tbl ", $c2, ".16b, {{v28.16b, v29.16b, v30.16b}}, v26.16b"),
            concat!("tbl ", $c3, ".16b, {{v28.16b, v29.16b, v30.16b}}, v27.16b"),
            "ldp q28, q29, [{biases}]",
            "ldp q30, q31, [{biases}, #32]",
            concat!("sdot v28.4s, v0.16b, ", $a0, ".16b"),
            concat!("sdot v29.4s, v1.16b, ", $a1, ".16b"),
            concat!("sdot v30.4s, v2.16b, ", $a2, ".16b"),
            concat!("sdot v31.4s, v3.16b, ", $a3, ".16b"),
            concat!("sdot v28.4s, v4.16b, ", $b0, ".16b"),
            concat!("sdot v29.4s, v5.16b, ", $b1, ".16b"),
            concat!("sdot v30.4s, v6.16b, ", $b2, ".16b"),
            concat!("sdot v31.4s, v7.16b, ", $b3, ".16b"),
            concat!("sdot v28.4s, v8.16b, ", $c0, ".16b"),
            concat!("sdot v29.4s, v9.16b, ", $c1, ".16b"),
            concat!("sdot v30.4s, v10.16b, ", $c2, ".16b"),
            concat!("sdot v31.4s, v11.16b, ", $c3, ".16b"),
            biases = in(reg) $biases,
            top = in(reg) $rows[0],
            middle = in(reg) $rows[1],
            bottom = in(reg) $rows[2],
            offset = in(reg) $offset,
            in("v0") u0, in("v1") u1, in("v2") u2, in("v3") u3,
            in("v4") v0, in("v5") v1, in("v6") v2, in("v7") v3,
            in("v8") w0, in("v9") w1, in("v10") w2, in("v11") w3,
            in($a0) *a0, in($a1) *a1, in($a2) *a2, in($a3) *a3,
            in($b0) *b0, in($b1) *b1, in($b2) *b2, in($b3) *b3,
            in("v24") p0, in("v25") p1, in("v26") p2, in("v27") p3,
            out($c0) c0, out($c1) c1, out($c2) c2, out($c3) c3,
            out("v28") s0, out("v29") s1, out("v30") s2, out("v31") s3,
            options(readonly, nostack, preserves_flags),
        );
        ([c0, c1, c2, c3], [s0, s1, s2, s3])
    }};
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
    unsafe fn advance<const TURN: usize>(
        &self,
        biases: *const i32,
        columns: [&Self::Column; 2],
        rows: [*const i8; 3],
        offset: usize,
    ) -> (Self::Column, Sums) {
        // SAFETY: as promised.
        unsafe {
            match TURN {
                0 => advance!(self, biases, columns, rows, offset, "v12" "v13" "v14" "v15",
                    "v16" "v17" "v18" "v19", "v20" "v21" "v22" "v23"),
                1 => advance!(self, biases, columns, rows, offset, "v16" "v17" "v18" "v19",
                    "v20" "v21" "v22" "v23", "v12" "v13" "v14" "v15"),
                2 => advance!(self, biases, columns, rows, offset, "v20" "v21" "v22" "v23",
                    "v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19"),
                _ => advance!(self, biases, columns, rows, offset, "v20" "v21" "v22" "v23",
                    "v16" "v17" "v18" "v19", "v12" "v13" "v14" "v15"),
            }
        }
    }

    #[inline(always)]
    unsafe fn sums(&self, biases: *const i32, columns: [&Self::Column; 3]) -> Sums {
        // SAFETY: the biases can be read.
        [0, 1, 2, 3].map(|quarter| unsafe {
            let sums = vld1q_s32(biases.add(4 * quarter));
            let sums = dot(sums, columns[0][quarter], self.weights[0][quarter]);
            let sums = dot(sums, columns[1][quarter], self.weights[1][quarter]);
            dot(sums, columns[2][quarter], self.weights[2][quarter])
        })
    }
}

/// # Safety
///
/// As for [`super::RowFn`]; the row has the block of channels.
#[target_feature(enable = "neon")]
unsafe fn any_window(row: &Row<'_>, requantizer: Requantizer<'_>, block: usize) {
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
                let scales = requantizer.scales(channel).of_sixteen::<FORM>();
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
unsafe fn read_quads(
    row: &Row<'_>,
    first: usize,
    position: usize,
    channel: usize,
) -> [int8x16_t; 4] {
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
