//! Inner products, four rows at a time. `vpdpbusd` wants one factor unsigned: the query's codes are
//! raised by 128, and 128 times the sum of the row is taken away.

use std::arch::x86_64::*;

use super::super::dot::by_rows;

const STEP: usize = 64;
/// Raises a signed byte by 128.
const RAISE: i8 = i8::MIN;

/// # Safety
///
/// See [`super::super::DotFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn qs8_dot_4x64c_avx512_vnni(codes: &[u8], query: &[i8], out: &mut [i32]) {
    by_rows(
        codes,
        query.len(),
        out,
        // SAFETY: so many rows can be read from there on.
        |rows| unsafe { dots(rows, query) },
        // SAFETY: as above.
        |row| unsafe { dots(row, query) },
    );
}

/// # Safety
///
/// The processor has AVX-512 VNNI; `R` rows as long as the query, a multiple of [`STEP`], can be
/// read from `codes` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dots<const R: usize>(codes: *const u8, query: &[i8]) -> [i32; R] {
    let raise = _mm512_set1_epi8(RAISE);
    let mut raised_sums = [_mm512_setzero_si512(); R];
    let mut excesses = [_mm512_setzero_si512(); R];
    for at in (0..query.len()).step_by(STEP) {
        // SAFETY: `STEP` codes of the query and of each row lie from `at` on.
        unsafe {
            let factors =
                _mm512_xor_si512(_mm512_loadu_si512(query.as_ptr().add(at).cast()), raise);
            for row in 0..R {
                let codes = _mm512_loadu_si512(codes.add(row * query.len() + at).cast());
                raised_sums[row] = _mm512_dpbusd_epi32(raised_sums[row], factors, codes);
                excesses[row] = _mm512_dpbusd_epi32(excesses[row], raise, codes);
            }
        }
    }
    std::array::from_fn(|row| {
        _mm512_reduce_add_epi32(_mm512_sub_epi32(raised_sums[row], excesses[row]))
    })
}
