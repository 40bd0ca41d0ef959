//! Bytes through a table, 16 at a time. Cores without dot product instructions take longer for
//! such a look-up than for 16 loads.

use std::arch::aarch64::*;

use super::super::scalar::x8_lut_scalar;

/// # Safety
///
/// See [`super::super::LutFn`].
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn x8_lut_neon(input: &[u8], out: &mut [u8], table: &[u8; 256]) {
    const VECTOR: usize = 16;
    // SAFETY: the table has four times 64 bytes.
    let parts: [uint8x16x4_t; 4] =
        std::array::from_fn(|part| unsafe { vld1q_u8_x4(table.as_ptr().add(64 * part)) });
    let part_bytes = vdupq_n_u8(64);
    let whole = out.len() / VECTOR * VECTOR;
    for at in (0..whole).step_by(VECTOR) {
        // SAFETY: both slices have the 16 bytes.
        unsafe {
            // A byte beyond a part leaves the result as it is, or 0 at the first.
            let mut left = vld1q_u8(input.as_ptr().add(at));
            let mut found = vqtbl4q_u8(parts[0], left);
            for &part in &parts[1..] {
                left = vsubq_u8(left, part_bytes);
                found = vqtbx4q_u8(found, part, left);
            }
            vst1q_u8(out.as_mut_ptr().add(at), found);
        }
    }
    // SAFETY: the scalar kernel has no conditions.
    unsafe { x8_lut_scalar(&input[whole..], &mut out[whole..], table) };
}
