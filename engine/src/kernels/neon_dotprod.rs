//! 64-bit ARM with dot product instructions: `sdot` multiplies bytes, four at a time, and adds
//! them up in 32 bits.

mod dot;
mod window;

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::lut::x8_lut_neon;
use super::neon::qs8_vadd_neon;
use super::neon::requantize::{Requantizer, for_form};
use super::scalar::x8_lines_scalar;
use super::{
    DotKernel, DwconvKernel, GemmKernel, Kernels, LinesKernel, LutKernel, Tile, VaddKernel,
};
use crate::isa::Isa;
use crate::kernels::pack::{DepthwisePacking, Packing};
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};
use window::qs8_dwconv_16c_neon_dotprod;

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::NeonDotprod,
    encoding: Encoding::Signed,
    gemm: GemmKernel {
        name: "qs8_gemm_5x16c4_neon_dotprod",
        packing: Packing { columns: CHANNEL_BLOCK, group: 4, words: false },
        rows: usize::MAX,
        panels: usize::MAX,
        tile: qs8_gemm_5x16c4_neon_dotprod,
    },
    dwconv: DwconvKernel {
        name: "qs8_dwconv_16c_neon_dotprod",
        packing: DepthwisePacking::ColumnsOfFour,
        row: qs8_dwconv_16c_neon_dotprod,
    },
    vadd: VaddKernel { name: "qs8_vadd_neon", run: qs8_vadd_neon },
    lut: LutKernel { name: "x8_lut_neon", run: x8_lut_neon },
    // NEON is part of the target, so the compiler vectorises the scalar kernel with it.
    lines: LinesKernel { name: "x8_lines_neon", run: x8_lines_scalar },
    dot: DotKernel { name: "qs8_dot_4x16c_neon_dotprod", run: dot::qs8_dot_4x16c_neon_dotprod },
};

/// Sums of 16 columns.
type Sums = [int32x4_t; 4];

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

/// Adds 16 positions of each row to its sums.
macro_rules! step {
    (@lane $lane:literal $($a:literal $s0:literal $s1:literal $s2:literal $s3:literal),+) => {
        concat!(
            "ld1 {{v8.16b, v9.16b, v10.16b, v11.16b}}, [{weights}], #64\n",
            dots!("v8", $lane, $($a $s0),+),
            dots!("v9", $lane, $($a $s1),+),
            dots!("v10", $lane, $($a $s2),+),
            dots!("v11", $lane, $($a $s3),+),
        )
    };
    ($($rows:tt)+) => {
        concat!(
            step!(@lane "0" $($rows)+),
            step!(@lane "1" $($rows)+),
            step!(@lane "2" $($rows)+),
            step!(@lane "3" $($rows)+),
        )
    };
}

/// Adds 16 positions of five rows to their sums.
macro_rules! step_of_five {
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal, $a4:literal) => {
        step!(
            $a0 "v12" "v13" "v14" "v15", $a1 "v16" "v17" "v18" "v19", $a2 "v20" "v21" "v22" "v23",
            $a3 "v24" "v25" "v26" "v27", $a4 "v28" "v29" "v30" "v31"
        )
    };
}

/// The sums of up to four rows. For each row: its number, the name of its address, the registers for
/// 32 positions by both of their names, and those of its sums.
macro_rules! accumulate {
    ($strip:expr, $($row:tt $a:ident $q0:tt $q1:tt $v0:tt $v1:tt
        $s0:tt $s1:tt $s2:tt $s3:tt),+) => {{
        let mut sums = [[vdupq_n_s32(0); 4]; [$($row),+].len()];
        asm!(
            load_biases!($($s0 $s1 $s2 $s3),+),
            "tbz {depth}, #4, 2f",
            $(concat!("ldr ", $q0, ", [{", stringify!($a), "}], #16"),)+
            step!($($v0 $s0 $s1 $s2 $s3),+),
            "subs {depth}, {depth}, #16",
            "b.eq 3f",
            "2:",
            $(concat!("ldp ", $q0, ", ", $q1, ", [{", stringify!($a), "}], #32"),)+
            step!($($v0 $s0 $s1 $s2 $s3),+),
            step!($($v1 $s0 $s1 $s2 $s3),+),
            "subs {depth}, {depth}, #32",
            "b.ne 2b",
            "3:",
            depth = inout(reg) $strip.depth => _,
            bias = in(reg) $strip.requantizer.bias($strip.channel),
            weights = inout(reg) $strip.weights => _,
            $(
                $a = inout(reg) $strip.input.wrapping_add($row * $strip.input_stride) => _,
                out($s0) sums[$row][0],
                out($s1) sums[$row][1],
                out($s2) sums[$row][2],
                out($s3) sums[$row][3],
            )+
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            options(readonly, nostack),
        );
        sums
    }};
}

/// The sums of five rows, with what comes before 32 positions at a time.
macro_rules! accumulate_five {
    ($strip:expr, $($first:expr,)*) => {{
        let input: [*const u8; 5] =
            std::array::from_fn(|row| $strip.input.wrapping_add(row * $strip.input_stride));
        let mut sums = [[vdupq_n_s32(0); 4]; 5];
        let [s0, s1, s2, s3, s4] = &mut sums;
        asm!(
            load_biases!("v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19", "v20" "v21" "v22" "v23",
                "v24" "v25" "v26" "v27", "v28" "v29" "v30" "v31"),
            $($first,)*
            // There are registers to load 32 positions of three rows at once.
            "2:",
            "ldp q0, q1, [{a0}], #32",
            "ldp q2, q3, [{a1}], #32",
            "ldp q4, q5, [{a2}], #32",
            "ldr q6, [{a3}], #16",
            "ldr q7, [{a4}], #16",
            step_of_five!("v0", "v2", "v4", "v6", "v7"),
            "ldr q6, [{a3}], #16",
            "ldr q7, [{a4}], #16",
            step_of_five!("v1", "v3", "v5", "v6", "v7"),
            "subs {depth}, {depth}, #32",
            "b.ne 2b",
            "3:",
            depth = inout(reg) $strip.depth => _,
            bias = in(reg) $strip.requantizer.bias($strip.channel),
            weights = inout(reg) $strip.weights => _,
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
        sums
    }};
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
unsafe fn qs8_gemm_5x16c4_neon_dotprod(rows: usize, panels: usize, tile: &Tile<'_>) {
    let requantizer = Requantizer::new(tile.epilogue);
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
                if tile.depth % 32 == 0 {
                    for _ in 0..rows / 5 {
                        let sums = strip.accumulate_five::<false>();
                        strip.put::<5, FORM>(sums);
                    }
                } else {
                    for _ in 0..rows / 5 {
                        let sums = strip.accumulate_five::<true>();
                        strip.put::<5, FORM>(sums);
                    }
                }
                match rows % 5 {
                    4 => {
                        let sums = strip.accumulate_four();
                        strip.put::<4, FORM>(sums);
                    }
                    3 => {
                        let sums = strip.accumulate_three();
                        strip.put::<3, FORM>(sums);
                    }
                    2 => {
                        let sums = strip.accumulate_two();
                        strip.put::<2, FORM>(sums);
                    }
                    1 => {
                        let sums = strip.accumulate_one();
                        strip.put::<1, FORM>(sums);
                    }
                    _ => {}
                }
            }
        }
    });
}

impl Strip<'_> {
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
                // Stores and moves on in one instruction.
                asm!(
                    "st1 {{{codes:v}.16b}}, [{output}], {stride}",
                    codes = in(vreg) self.requantizer.codes::<FORM>(sums, &scales),
                    output = inout(reg) self.output,
                    stride = in(reg) self.output_stride,
                    options(nostack, preserves_flags),
                );
            }
            self.input = self.input.wrapping_add(ROWS * self.input_stride);
        }
    }

    /// The sums of five rows, biases included; `ODD` says whether the depth is an odd multiple of 16.
    ///
    /// # Safety
    ///
    /// The tile has five rows from `input` on.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn accumulate_five<const ODD: bool>(&self) -> [Sums; 5] {
        // SAFETY: each row has `depth` bytes, a multiple of 16 and not 0, the panel 16 times as
        // many, the epilogue the channels; the registers that change are operands.
        unsafe {
            if ODD {
                accumulate_five!(
                    self,
                    "ldr q0, [{a0}], #16\nldr q2, [{a1}], #16\nldr q4, [{a2}], #16\n",
                    "ldr q6, [{a3}], #16\nldr q7, [{a4}], #16\n",
                    step_of_five!("v0", "v2", "v4", "v6", "v7"),
                    "subs {depth}, {depth}, #16",
                    "b.eq 3f",
                )
            } else {
                accumulate_five!(self,)
            }
        }
    }

    /// The sums of four rows, biases included.
    ///
    /// # Safety
    ///
    /// The tile has four rows from `input` on.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn accumulate_four(&self) -> [Sums; 4] {
        // SAFETY: as in `accumulate_five`.
        unsafe {
            accumulate!(self,
                0 a0 "q0" "q1" "v0" "v1" "v12" "v13" "v14" "v15",
                1 a1 "q2" "q3" "v2" "v3" "v16" "v17" "v18" "v19",
                2 a2 "q4" "q5" "v4" "v5" "v20" "v21" "v22" "v23",
                3 a3 "q6" "q7" "v6" "v7" "v24" "v25" "v26" "v27")
        }
    }

    /// The sums of three rows, biases included.
    ///
    /// # Safety
    ///
    /// The tile has three rows from `input` on.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn accumulate_three(&self) -> [Sums; 3] {
        // SAFETY: as in `accumulate_five`.
        unsafe {
            accumulate!(self,
                0 a0 "q0" "q1" "v0" "v1" "v12" "v13" "v14" "v15",
                1 a1 "q2" "q3" "v2" "v3" "v16" "v17" "v18" "v19",
                2 a2 "q4" "q5" "v4" "v5" "v20" "v21" "v22" "v23")
        }
    }

    /// The sums of two rows, biases included.
    ///
    /// # Safety
    ///
    /// The tile has two rows from `input` on.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn accumulate_two(&self) -> [Sums; 2] {
        // SAFETY: as in `accumulate_five`.
        unsafe {
            accumulate!(self,
                0 a0 "q0" "q1" "v0" "v1" "v12" "v13" "v14" "v15",
                1 a1 "q2" "q3" "v2" "v3" "v16" "v17" "v18" "v19")
        }
    }

    /// The sums of one row, biases included.
    ///
    /// # Safety
    ///
    /// The tile has a row at `input`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn accumulate_one(&self) -> [Sums; 1] {
        // SAFETY: as in `accumulate_five`.
        unsafe { accumulate!(self, 0 a0 "q0" "q1" "v0" "v1" "v12" "v13" "v14" "v15") }
    }
}
