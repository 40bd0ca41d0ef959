//! The sum of two tensors, 16 codes at a time.

use std::arch::aarch64::*;

use super::super::Vadd;
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};

/// # Safety
///
/// See [`super::super::VaddFn`].
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn qs8_vadd_neon(a: &[u8], b: &[u8], out: &mut [u8], sum: &Vadd) {
    let blocks = out.len() / CHANNEL_BLOCK;
    let zero_point = vdupq_n_s16(sum.zero_point as i16);
    let min = vdupq_n_s8(sum.min as i8);
    let max = vdupq_n_s8(sum.max as i8);
    for block in 0..blocks {
        let at = block * CHANNEL_BLOCK;
        // SAFETY: the three slices have the 16 bytes of the block.
        unsafe {
            let a = scaled(vld1q_s8(a.as_ptr().add(at).cast()), sum.zero_a, sum.scale_a);
            let b = scaled(vld1q_s8(b.as_ptr().add(at).cast()), sum.zero_b, sum.scale_b);
            let words: [int16x8_t; 2] = std::array::from_fn(|half| {
                let [low, high] = [2 * half, 2 * half + 1]
                    .map(|quarter| vcvtnq_s32_f32(vaddq_f32(a[quarter], b[quarter])));
                vqaddq_s16(vqmovn_high_s32(vqmovn_s32(low), high), zero_point)
            });
            let codes = vqmovn_high_s16(vqmovn_s16(words[0]), words[1]);
            vst1q_s8(out.as_mut_ptr().add(at).cast(), vminq_s8(vmaxq_s8(codes, min), max));
        }
    }
    for at in blocks * CHANNEL_BLOCK..out.len() {
        out[at] = sum.apply(Encoding::Signed, a[at], b[at]);
    }
}

/// The distances of 16 codes from `zero_point`, times `scale`.
#[inline]
#[target_feature(enable = "neon")]
fn scaled(codes: int8x16_t, zero_point: i32, scale: f32) -> [float32x4_t; 4] {
    let zero_point = vdupq_n_s8(zero_point as i8);
    let words =
        [vsubl_s8(vget_low_s8(codes), vget_low_s8(zero_point)), vsubl_high_s8(codes, zero_point)];
    std::array::from_fn(|quarter| {
        let words = words[quarter / 2];
        let distances =
            if quarter % 2 == 0 { vmovl_s16(vget_low_s16(words)) } else { vmovl_high_s16(words) };
        vmulq_n_f32(vcvtq_f32_s32(distances), scale)
    })
}
