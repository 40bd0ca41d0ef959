//! 64-bit ARM with dot product instructions: `sdot` multiplies bytes, four at a time, and adds
//! them up in 32 bits.

mod window;

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::lut::x8_lut_neon;
use super::neon::qs8_vadd_neon;
use super::neon::requantize::{Requantizer, for_form};
use super::{DwconvKernel, GemmKernel, Kernels, LutKernel, Tile, VaddKernel};
use crate::engine::int8::isa::Isa;
use crate::engine::int8::pack::{DEPTH_BLOCK, DepthwisePacking, Packing};
use crate::engine::int8::requant::{CHANNEL_BLOCK, Encoding};
use window::qs8_dwconv_16c_neon_dotprod;

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

/// Sets the sums of each row to the biases.
macro_rules! load_biases {
    ($($v0:literal $v1:literal $v2:literal $v3:literal),+) => {
        concat!($("ld1 {{", $v0, ".4s, ", $v1, ".4s, ", $v2, ".4s, ", $v3, ".4s}}, [{bias}]\n",)+)
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
    () => {
        concat!(
            "ldr q0, [{a0}], #16\n",
            "ldr q1, [{a1}], #16\n",
            "ldr q2, [{a2}], #16\n",
            "ldr q3, [{a3}], #16\n",
            "ldr q4, [{a4}], #16\n",
            step_of_five!("0" "1" "2" "3"),
        )
    };
    ($($lane:literal)+) => {
        concat!($(
            "ld1 {{v5.16b, v6.16b, v7.16b, v8.16b}}, [{weights}], #64\n",
            dots!("v5", $lane, "v0" "v12", "v1" "v16", "v2" "v20", "v3" "v24", "v4" "v28"),
            dots!("v6", $lane, "v0" "v13", "v1" "v17", "v2" "v21", "v3" "v25", "v4" "v29"),
            dots!("v7", $lane, "v0" "v14", "v1" "v18", "v2" "v22", "v3" "v26", "v4" "v30"),
            dots!("v8", $lane, "v0" "v15", "v1" "v19", "v2" "v23", "v3" "v27", "v4" "v31"),
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
    requantizer: Requantizer<'a, true>,
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
                load_biases!("v8" "v9" "v10" "v11", "v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19",
                    "v20" "v21" "v22" "v23", "v24" "v25" "v26" "v27", "v28" "v29" "v30" "v31"),
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
                load_biases!("v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19", "v20" "v21" "v22" "v23",
                    "v24" "v25" "v26" "v27", "v28" "v29" "v30" "v31"),
                "tbz {depth}, #4, 2f",
                step_of_five!(),
                "subs {depth}, {depth}, #16",
                "b.eq 3f",
                "2:",
                step_of_five!(),
                step_of_five!(),
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
                out("v4") _, out("v5") _, out("v6") _, out("v7") _, out("v8") _,
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
