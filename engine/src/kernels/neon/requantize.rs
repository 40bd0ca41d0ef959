//! The epilogue, 16 results at a time.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::kernels::requant::{Epilogue, ROUNDER};

/// The form of a layer's epilogue without any of the bits below: sums of at most 22 bits, results of at
/// most 16 bits around an even zero point, bounded by nothing but the byte. Each bit is one thing more
/// that the epilogue needs.
pub(in super::super) const BARE: u8 = 0;
/// Another scale below zero.
pub(in super::super) const SLOPE: u8 = 1;
/// An odd zero point.
pub(in super::super) const ODD: u8 = 2;
/// Sums of more than 22 bits.
pub(in super::super) const LARGE: u8 = 4;
/// Results of more than 16 bits.
pub(in super::super) const WIDE: u8 = 8;
/// Bounds within those of a byte.
const BOUNDED: u8 = 16;

pub(in super::super) const SLOPE_ODD: u8 = SLOPE | ODD;
pub(in super::super) const LARGE_ODD: u8 = LARGE | ODD;
pub(in super::super) const LARGE_SLOPE: u8 = LARGE | SLOPE;
pub(in super::super) const LARGE_SLOPE_ODD: u8 = LARGE | SLOPE | ODD;
/// Wide results of sums of any size; any zero point.
pub(in super::super) const LARGE_WIDE: u8 = LARGE | WIDE;
/// Whatever there can be. It has two scales, which may be equal.
pub(in super::super) const ANY: u8 = LARGE | WIDE | SLOPE | BOUNDED;

/// Runs the body with the constant `$form` equal to the form of the requantizer.
macro_rules! for_form {
    ($requantizer:expr, $form:ident => $body:block) => {{
        use $crate::kernels::neon::requantize::{
            ANY, BARE, LARGE, LARGE_ODD, LARGE_SLOPE, LARGE_SLOPE_ODD, LARGE_WIDE, ODD, SLOPE,
            SLOPE_ODD,
        };
        for_form!(
            $requantizer,
            $form => $body,
            BARE, SLOPE, ODD, SLOPE_ODD,
            LARGE, LARGE_SLOPE, LARGE_ODD, LARGE_SLOPE_ODD, LARGE_WIDE; ANY
        )
    }};
    ($requantizer:expr, $form:ident => $body:block, $($one:ident),+; $last:ident) => {
        match $requantizer.form() {
            $($one => {
                const $form: u8 = $one;
                $body
            })+
            _ => {
                const $form: u8 = $last;
                $body
            }
        }
    };
}
pub(in super::super) use for_form;

/// The epilogue of a layer, ready for vectors. With `FLOATS`, sums start from
/// [`float_bias`](Epilogue::float_bias), unless the form has [`LARGE`].
#[derive(Clone, Copy)]
pub(in super::super) struct Requantizer<'a, const FLOATS: bool> {
    bias: &'a [i32],
    scale: &'a [f32],
    negative_scale: &'a [f32],
    pub(in super::super) zero_point: i32,
    min: i8,
    max: i8,
    form: u8,
    /// [`ROUNDER`], plus the zero point if that is even.
    pub(in super::super) rounder: f32,
}

/// Where the scales of some channels are.
#[derive(Clone, Copy)]
pub(in super::super) struct ScalesAt {
    pub(in super::super) scale: *const f32,
    pub(in super::super) negative_scale: *const f32,
}

impl ScalesAt {
    /// The scales of 16 channels.
    ///
    /// # Safety
    ///
    /// The epilogue has the channels, and `FORM` is its form.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in super::super) unsafe fn of_sixteen<const FORM: u8>(self) -> Scales {
        // SAFETY: as promised.
        let load =
            |from: *const f32| unsafe { [0, 4, 8, 12].map(|quarter| vld1q_f32(from.add(quarter))) };
        let scale = load(self.scale);
        Scales {
            scale,
            negative_scale: if FORM & SLOPE != 0 { load(self.negative_scale) } else { scale },
        }
    }

    /// Four times the scales of four channels.
    ///
    /// # Safety
    ///
    /// The epilogue has the channels, and `FORM` is its form.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in super::super) unsafe fn of_four<const FORM: u8>(self) -> Scales {
        // SAFETY: as promised.
        let load = |from: *const f32| unsafe { [vld1q_f32(from); 4] };
        let scale = load(self.scale);
        Scales {
            scale,
            negative_scale: if FORM & SLOPE != 0 { load(self.negative_scale) } else { scale },
        }
    }
}

/// Scales of 16 results.
pub(in super::super) struct Scales {
    scale: [float32x4_t; 4],
    negative_scale: [float32x4_t; 4],
}

impl<'a, const FLOATS: bool> Requantizer<'a, FLOATS> {
    pub(in super::super) fn new(epilogue: &'a Epilogue) -> Self {
        let any_byte = epilogue.min == -128 && epilogue.max == 127;
        let one_scale = epilogue.negative_scale.is_empty();
        let odd = epilogue.zero_point % 2 != 0;
        let large = FLOATS && epilogue.float_bias.is_empty();
        let form = match (any_byte, epilogue.narrow, one_scale) {
            (false, ..) | (true, false, false) => ANY,
            (true, false, true) => LARGE_WIDE,
            (true, true, _) => {
                let bit = |set: bool, bit: u8| if set { bit } else { 0 };
                bit(!one_scale, SLOPE) | bit(odd, ODD) | bit(large, LARGE)
            }
        };
        // Ties go to an even sum, so only an even zero point can be added before rounding.
        let before = if odd { 0.0 } else { epilogue.zero_point as f32 };
        let negative_scale = match epilogue.negative_scale.as_slice() {
            [] => &epilogue.scale,
            scale => scale,
        };
        Self {
            bias: if FLOATS && form & LARGE == 0 { &epilogue.float_bias } else { &epilogue.bias },
            scale: &epilogue.scale,
            negative_scale,
            zero_point: epilogue.zero_point,
            min: epilogue.min as i8,
            max: epilogue.max as i8,
            form,
            rounder: ROUNDER + before,
        }
    }

    #[inline(always)]
    pub(in super::super) fn form(&self) -> u8 {
        self.form
    }

    /// What the sums start from, from `channel` on, up to the end of a block.
    #[inline(always)]
    pub(in super::super) fn bias(&self, channel: usize) -> *const i32 {
        self.bias.as_ptr().wrapping_add(channel)
    }

    /// What the 16 sums from `channel` on start from.
    ///
    /// # Safety
    ///
    /// The epilogue has the channels.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in super::super) unsafe fn biases(&self, channel: usize) -> [int32x4_t; 4] {
        let bias = self.bias(channel);
        // SAFETY: as promised.
        std::array::from_fn(|quarter| unsafe { vld1q_s32(bias.add(4 * quarter)) })
    }

    /// Where the scales from `channel` on are, up to the end of a block.
    #[inline]
    pub(in super::super) fn scales(&self, channel: usize) -> ScalesAt {
        let at = |scale: &[f32]| scale.as_ptr().wrapping_add(channel);
        ScalesAt { scale: at(self.scale), negative_scale: at(self.negative_scale) }
    }

    /// The stored results of 16 sums, what they start from included. `FORM` is [`Self::form`].
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in super::super) fn codes<const FORM: u8>(
        &self,
        sums: [int32x4_t; 4],
        scales: &Scales,
    ) -> int8x16_t {
        let products: [float32x4_t; 4] = std::array::from_fn(|quarter| {
            let sum = if FLOATS && FORM & LARGE == 0 {
                vsubq_f32(vreinterpretq_f32_s32(sums[quarter]), vdupq_n_f32(ROUNDER))
            } else {
                vcvtq_f32_s32(sums[quarter])
            };
            let scale = if FORM & SLOPE != 0 {
                let negative = vcltzq_s32(vreinterpretq_s32_f32(sum));
                vbslq_f32(negative, scales.negative_scale[quarter], scales.scale[quarter])
            } else {
                scales.scale[quarter]
            };
            vmulq_f32(sum, scale)
        });
        let zero_point = vdupq_n_s16(self.zero_point as i16);
        let words: [int16x8_t; 2] = if FORM & WIDE != 0 {
            let rounded = products.map(|product| vcvtnq_s32_f32(product));
            std::array::from_fn(|half| {
                let low = vqmovn_s32(rounded[2 * half]);
                vqaddq_s16(vqmovn_high_s32(low, rounded[2 * half + 1]), zero_point)
            })
        } else {
            let rounder = vdupq_n_f32(self.rounder);
            let rounded =
                products.map(|product| vreinterpretq_s16_f32(vaddq_f32(product, rounder)));
            std::array::from_fn(|half| {
                let [low, high] = [rounded[2 * half], rounded[2 * half + 1]];
                let words = if FLOATS { vuzp1q_s16(low, high) } else { low_words(low, high) };
                if FORM & ODD != 0 { vaddq_s16(words, zero_point) } else { words }
            })
        };
        let codes = vqmovn_high_s16(vqmovn_s16(words[0]), words[1]);
        if FORM & BOUNDED != 0 {
            let min = vdupq_n_s8(self.min);
            let max = vdupq_n_s8(self.max);
            vminq_s8(vmaxq_s8(codes, min), max)
        } else {
            codes
        }
    }
}

/// The even words of `low` and `high`, as `vuzp1q_s16` gives them. Older cores than those with dot
/// product instructions take three steps for that one and two for these.
#[inline]
#[target_feature(enable = "neon")]
fn low_words(low: int16x8_t, high: int16x8_t) -> int16x8_t {
    let words;
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "xtn {words:v}.4h, {low:v}.4s",
            "xtn2 {words:v}.8h, {high:v}.4s",
            words = out(vreg) words, low = in(vreg) low, high = in(vreg) high,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    words
}
