//! Inner products, four rows at a time: products in 16 bits, added in pairs to 32.

use std::arch::aarch64::*;

use super::super::dot::by_rows;

const STEP: usize = 16;

/// # Safety
///
/// See [`super::super::DotFn`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn qs8_dot_4x16c_neon(codes: &[u8], query: &[i8], out: &mut [i32]) {
    // SAFETY: passed on; every processor with NEON can run the step.
    unsafe { dots_of_rows(codes, query, out, add_products) }
}

/// Fills `out` by `step`, which adds the products of 16 codes to four sums.
///
/// # Safety
///
/// See [`super::super::DotFn`]; the processor can run `step`.
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn dots_of_rows(
    codes: &[u8],
    query: &[i8],
    out: &mut [i32],
    step: impl Fn(int32x4_t, int8x16_t, int8x16_t) -> int32x4_t + Copy,
) {
    by_rows(
        codes,
        query.len(),
        out,
        // SAFETY: so many rows can be read from there on.
        |rows| unsafe { dots(rows.cast(), query, step) },
        // SAFETY: as above.
        |row| unsafe { dots(row.cast(), query, step) },
    );
}

/// # Safety
///
/// The processor can run `step`; `R` rows as long as the query, a multiple of [`STEP`], can be read
/// from `codes` on.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn dots<const R: usize>(
    codes: *const i8,
    query: &[i8],
    step: impl Fn(int32x4_t, int8x16_t, int8x16_t) -> int32x4_t,
) -> [i32; R] {
    let mut sums = [vdupq_n_s32(0); R];
    for at in (0..query.len()).step_by(STEP) {
        // SAFETY: `STEP` codes of the query and of each row lie from `at` on.
        unsafe {
            let factors = vld1q_s8(query.as_ptr().add(at));
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = step(*sum, vld1q_s8(codes.add(row * query.len() + at)), factors);
            }
        }
    }
    sums.map(|sums| vaddvq_s32(sums))
}

/// Two products of the least code are one too large for 16 bits, so each is widened by itself.
#[inline]
fn add_products(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: called by the kernel alone, which has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        vpadalq_s16(vpadalq_s16(sums, low), vmull_high_s8(a, b))
    }
}
