//! Inner products, four rows at a time, by `sdot`.

use super::super::neon::dot::dots_of_rows;
use super::window::dot;

/// # Safety
///
/// See [`super::super::DotFn`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn qs8_dot_4x16c_neon_dotprod(codes: &[u8], query: &[i8], out: &mut [i32]) {
    // SAFETY: passed on; the processor has `sdot`.
    unsafe { dots_of_rows(codes, query, out, |sums, a, b| dot(sums, a, b)) }
}
