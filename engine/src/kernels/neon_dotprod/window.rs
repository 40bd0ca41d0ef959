//! Depthwise convolution: the bytes of a channel in three or four rows lie side by side, so that one
//! instruction adds a column of four channels.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::Row;
use super::super::neon::read_position;
use super::super::neon::requantize::{
    BARE, LARGE, LARGE_ODD, LARGE_SLOPE, LARGE_SLOPE_ODD, ODD, Requantizer, SLOPE, SLOPE_ODD,
    for_form,
};
use super::super::neon::window::{
    BlockEpilogue, ColumnPlace, Output, SlidingWindow, three_by_three,
};
use crate::kernels::requant::{CHANNEL_BLOCK, ROUNDER};

/// # Safety
///
/// See [`super::super::RowFn`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn qs8_dwconv_16c_neon_dotprod(row: &Row<'_>) {
    let requantizer = Requantizer::new(row.epilogue);
    // SAFETY: as promised.
    if unsafe { three_by_three::<Quads, true>(row, requantizer) } {
        return;
    }
    for block in 0..row.stride_bytes / CHANNEL_BLOCK {
        // SAFETY: the row has this block.
        unsafe { any_window(row, requantizer, block) };
    }
}

/// Adds to each lane the products of its four bytes of `a` and `b`. It asks for no more features than what
/// it is inlined into.
///
/// # Safety
///
/// The processor has the dot product instructions.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn dot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: the processor has `sdot`, which here reads and writes these registers alone.
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

/// The name of a whole vector register.
macro_rules! whole {
    ("v12") => {
        "q12"
    };
    ("v13") => {
        "q13"
    };
    ("v14") => {
        "q14"
    };
    ("v15") => {
        "q15"
    };
    ("v16") => {
        "q16"
    };
    ("v17") => {
        "q17"
    };
    ("v18") => {
        "q18"
    };
    ("v19") => {
        "q19"
    };
    ("v20") => {
        "q20"
    };
    ("v21") => {
        "q21"
    };
    ("v22") => {
        "q22"
    };
    ("v23") => {
        "q23"
    };
}

/// Reads a column into the registers c; the places are in v24 to v27.
macro_rules! read_column {
    ($c0:tt $c1:tt $c2:tt $c3:tt) => {
        concat!(
            "ldr q28, [{top}, {offset}]\n",
            "ldr q29, [{middle}, {offset}]\n",
            "ldr q30, [{bottom}, {offset}]\n",
            "tbl ",
            $c0,
            ".16b, {{v28.16b, v29.16b, v30.16b}}, v24.16b\n",
            "tbl ",
            $c1,
            ".16b, {{v28.16b, v29.16b, v30.16b}}, v25.16b\n",
            "tbl ",
            $c2,
            ".16b, {{v28.16b, v29.16b, v30.16b}}, v26.16b\n",
            "tbl ",
            $c3,
            ".16b, {{v28.16b, v29.16b, v30.16b}}, v27.16b\n",
        )
    };
}

/// Sums up a window in v28 to v31: the columns in the registers a, b and c times the weights in v0
/// to v11, on top of the biases.
macro_rules! sum_up {
    ($a0:tt $a1:tt $a2:tt $a3:tt, $b0:tt $b1:tt $b2:tt $b3:tt, $c0:tt $c1:tt $c2:tt $c3:tt) => {
        concat!(
            ".arch_extension dotprod\n",
            "ld1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{bias}]\n",
            "sdot v28.4s, v0.16b, ",
            $a0,
            ".16b\n",
            "sdot v29.4s, v1.16b, ",
            $a1,
            ".16b\n",
            "sdot v30.4s, v2.16b, ",
            $a2,
            ".16b\n",
            "sdot v31.4s, v3.16b, ",
            $a3,
            ".16b\n",
            "sdot v28.4s, v4.16b, ",
            $b0,
            ".16b\n",
            "sdot v29.4s, v5.16b, ",
            $b1,
            ".16b\n",
            "sdot v30.4s, v6.16b, ",
            $b2,
            ".16b\n",
            "sdot v31.4s, v7.16b, ",
            $b3,
            ".16b\n",
            "sdot v28.4s, v8.16b, ",
            $c0,
            ".16b\n",
            "sdot v29.4s, v9.16b, ",
            $c1,
            ".16b\n",
            "sdot v30.4s, v10.16b, ",
            $c2,
            ".16b\n",
            "sdot v31.4s, v11.16b, ",
            $c3,
            ".16b\n",
        )
    };
}

/// Makes floats of the sums, which have the bits of [`ROUNDER`] plus themselves; t may change.
macro_rules! subtract {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            "dup ",
            $t0,
            ".4s, {subtracted:w}\n",
            "fsub v28.4s, v28.4s, ",
            $t0,
            ".4s\n",
            "fsub v29.4s, v29.4s, ",
            $t0,
            ".4s\n",
            "fsub v30.4s, v30.4s, ",
            $t0,
            ".4s\n",
            "fsub v31.4s, v31.4s, ",
            $t0,
            ".4s\n",
        )
    };
}

/// Makes floats of sums that can be large.
macro_rules! convert {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            "scvtf v28.4s, v28.4s\n",
            "scvtf v29.4s, v29.4s\n",
            "scvtf v30.4s, v30.4s\n",
            "scvtf v31.4s, v31.4s\n",
        )
    };
}

/// Multiplies the sums with their scales; t may change.
macro_rules! scale {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            "ld1 {{",
            $t0,
            ".4s, ",
            $t1,
            ".4s, ",
            $t2,
            ".4s, ",
            $t3,
            ".4s}}, [{scale}]\n",
            "fmul v28.4s, v28.4s, ",
            $t0,
            ".4s\n",
            "fmul v29.4s, v29.4s, ",
            $t1,
            ".4s\n",
            "fmul v30.4s, v30.4s, ",
            $t2,
            ".4s\n",
            "fmul v31.4s, v31.4s, ",
            $t3,
            ".4s\n",
        )
    };
}

/// As [`scale`], with other scales for negative sums.
macro_rules! scale_by_sign {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            "ldp ", whole!($t0), ", ", whole!($t1), ", [{scale}]\n",
            scale_by_sign!("v28" "0" $t0 $t2 $t3),
            scale_by_sign!("v29" "16" $t1 $t2 $t3),
            "ldp ", whole!($t0), ", ", whole!($t1), ", [{scale}, #32]\n",
            scale_by_sign!("v30" "32" $t0 $t2 $t3),
            scale_by_sign!("v31" "48" $t1 $t2 $t3),
        )
    };
    ($sums:tt $offset:tt $scale:tt $negative_scale:tt $sign:tt) => {
        concat!(
            "ldr ", whole!($negative_scale), ", [{negative_scale}, #", $offset, "]\n",
            "cmlt ", $sign, ".4s, ", $sums, ".4s, #0\n",
            "bit ", $scale, ".16b, ", $negative_scale, ".16b, ", $sign, ".16b\n",
            "fmul ", $sums, ".4s, ", $sums, ".4s, ", $scale, ".4s\n",
        )
    };
}

/// Rounds the scaled sums to words, in v28 and v30.
macro_rules! round {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            "dup ",
            $t0,
            ".4s, {rounder:w}\n",
            "fadd v28.4s, v28.4s, ",
            $t0,
            ".4s\n",
            "fadd v29.4s, v29.4s, ",
            $t0,
            ".4s\n",
            "fadd v30.4s, v30.4s, ",
            $t0,
            ".4s\n",
            "fadd v31.4s, v31.4s, ",
            $t0,
            ".4s\n",
            "uzp1 v28.8h, v28.8h, v29.8h\n",
            "uzp1 v30.8h, v30.8h, v31.8h\n",
        )
    };
}

/// The same, and adds an odd zero point.
macro_rules! round_and_add {
    ($t0:tt $t1:tt $t2:tt $t3:tt) => {
        concat!(
            round!($t0 $t1 $t2 $t3),
            "dup ", $t1, ".8h, {zero_point:w}\n",
            "add v28.8h, v28.8h, ", $t1, ".8h\n",
            "add v30.8h, v30.8h, ", $t1, ".8h\n",
        )
    };
}

/// Stores the words as bytes.
macro_rules! store {
    () => {
        "sqxtn v28.8b, v28.8h\nsqxtn2 v28.16b, v30.8h\nstr q28, [{output}, {output_offset}]\n"
    };
}

/// The third column of a window and its sums, with the columns in these registers; with an epilogue,
/// stores the results. It is one piece of assembly because every register is in use: the compiler
/// would move the weights about between two pieces.
macro_rules! window {
    ($quads:ident $epilogue:ident $columns:ident $place:ident $output:ident,
        $a0:tt $a1:tt $a2:tt $a3:tt, $b0:tt $b1:tt $b2:tt $b3:tt, $c0:tt $c1:tt $c2:tt $c3:tt
        $(, $float:ident $scale:ident $round:ident)?) => {{
        let [[u0, u1, u2, u3], [v0, v1, v2, v3], [w0, w1, w2, w3]] = $quads.weights;
        let [p0, p1, p2, p3] = $quads.places;
        let [[a0, a1, a2, a3], [b0, b1, b2, b3]] = $columns;
        let (c0, c1, c2, c3);
        let (s0, s1, s2, s3): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
        asm!(
            read_column!($c0 $c1 $c2 $c3),
            sum_up!($a0 $a1 $a2 $a3, $b0 $b1 $b2 $b3, $c0 $c1 $c2 $c3),
            $(
                $float!($a0 $a1 $a2 $a3),
                $scale!($a0 $a1 $a2 $a3),
                $round!($a0 $a1 $a2 $a3),
                store!(),
            )?
            // Assembly has to name every operand, also those that this epilogue does not use.
            "/* {scale} {negative_scale} {subtracted:w} {rounder:w} {zero_point:w} {output} {output_offset} */",
            top = in(reg) $place.rows[0],
            middle = in(reg) $place.rows[1],
            bottom = in(reg) $place.rows[2],
            offset = in(reg) $place.offset,
            bias = in(reg) $epilogue.bias,
            scale = in(reg) $epilogue.scales.scale,
            negative_scale = in(reg) $epilogue.scales.negative_scale,
            subtracted = in(reg) ROUNDER.to_bits(),
            rounder = in(reg) $epilogue.requantizer.rounder.to_bits(),
            zero_point = in(reg) $epilogue.requantizer.zero_point,
            output = in(reg) $output.base,
            output_offset = in(reg) $output.offset,
            in("v0") u0, in("v1") u1, in("v2") u2, in("v3") u3,
            in("v4") v0, in("v5") v1, in("v6") v2, in("v7") v3,
            in("v8") w0, in("v9") w1, in("v10") w2, in("v11") w3,
            in("v24") p0, in("v25") p1, in("v26") p2, in("v27") p3,
            inout($a0) a0 => _, inout($a1) a1 => _, inout($a2) a2 => _, inout($a3) a3 => _,
            in($b0) b0, in($b1) b1, in($b2) b2, in($b3) b3,
            out($c0) c0, out($c1) c1, out($c2) c2, out($c3) c3,
            out("v28") s0, out("v29") s1, out("v30") s2, out("v31") s3,
            options(nostack, preserves_flags),
        );
        ([c0, c1, c2, c3], [s0, s1, s2, s3])
    }};
}

/// [`SlidingWindow::advance`] with the columns in these registers.
macro_rules! advance {
    ($form:ident, $($given:tt)+) => {
        match $form {
            BARE => window!($($given)+, subtract scale round).0,
            ODD => window!($($given)+, subtract scale round_and_add).0,
            SLOPE => window!($($given)+, subtract scale_by_sign round).0,
            SLOPE_ODD => window!($($given)+, subtract scale_by_sign round_and_add).0,
            LARGE => window!($($given)+, convert scale round).0,
            LARGE_ODD => window!($($given)+, convert scale round_and_add).0,
            LARGE_SLOPE => window!($($given)+, convert scale_by_sign round).0,
            LARGE_SLOPE_ODD => window!($($given)+, convert scale_by_sign round_and_add).0,
            _ => advance!(@sums $form, $($given)+),
        }
    };
    (@sums $form:ident, $quads:ident $epilogue:ident $columns:ident $place:ident $output:ident, $($registers:tt)+) => {{
        let (column, sums) = window!($quads $epilogue $columns $place $output, $($registers)+);
        $epilogue.store::<FORM>(sums, $output);
        column
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

impl SlidingWindow<true> for Quads {
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
    unsafe fn read(&self, place: ColumnPlace) -> Self::Column {
        // SAFETY: 16 bytes can be read at each.
        unsafe {
            let [top, middle, bottom] =
                place.rows.map(|row| vld1q_s8(row.wrapping_add(place.offset)));
            let table = int8x16x3_t(top, middle, bottom);
            self.places.map(|places| vqtbl3q_s8(table, places))
        }
    }

    #[inline(always)]
    unsafe fn advance<const TURN: usize, const FORM: u8>(
        &self,
        epilogue: &BlockEpilogue<'_, true>,
        columns: [Self::Column; 2],
        place: ColumnPlace,
        output: Output,
    ) -> Self::Column {
        // SAFETY: as promised; only processors with these instructions come here.
        unsafe {
            match TURN {
                0 => advance!(FORM, self epilogue columns place output,
                    "v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19", "v20" "v21" "v22" "v23"),
                1 => advance!(FORM, self epilogue columns place output,
                    "v16" "v17" "v18" "v19", "v20" "v21" "v22" "v23", "v12" "v13" "v14" "v15"),
                2 => advance!(FORM, self epilogue columns place output,
                    "v20" "v21" "v22" "v23", "v12" "v13" "v14" "v15", "v16" "v17" "v18" "v19"),
                _ => advance!(FORM, self epilogue columns place output,
                    "v20" "v21" "v22" "v23", "v16" "v17" "v18" "v19", "v12" "v13" "v14" "v15"),
            }
        }
    }
}

/// # Safety
///
/// As for [`super::super::RowFn`]; the row has the block of channels.
#[target_feature(enable = "neon")]
unsafe fn any_window(row: &Row<'_>, requantizer: Requantizer<'_, true>, block: usize) {
    let channel = block * CHANNEL_BLOCK;
    let groups = row.input.len().div_ceil(4);
    for x in 0..row.output_width {
        // SAFETY: the block has the channels, the packed weights 64 bytes for each group of each
        // column; the processor has the kernel's instructions.
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
/// As for [`super::super::RowFn`]; the row has the channels and the window the first row.
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
