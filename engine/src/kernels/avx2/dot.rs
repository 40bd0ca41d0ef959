//! Inner products, four rows at a time: 16 codes as words through `vpmaddwd`.

use std::arch::x86_64::*;

use super::super::dot::by_rows;

const STEP: usize = 16;

/// # Safety
///
/// See [`super::super::DotFn`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn qs8_dot_4x16c_avx2(codes: &[u8], query: &[i8], out: &mut [i32]) {
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
/// The processor has AVX2; `R` rows as long as the query, a multiple of [`STEP`], can be read from
/// `codes` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dots<const R: usize>(codes: *const u8, query: &[i8]) -> [i32; R] {
    let mut sums = [_mm256_setzero_si256(); R];
    for at in (0..query.len()).step_by(STEP) {
        // SAFETY: `STEP` codes of the query and of each row lie from `at` on.
        unsafe {
            let words = |codes: *const u8| _mm256_cvtepi8_epi16(_mm_loadu_si128(codes.cast()));
            let factors = words(query.as_ptr().add(at).cast());
            for (row, sum) in sums.iter_mut().enumerate() {
                let row = words(codes.add(row * query.len() + at));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(row, factors));
            }
        }
    }
    sums.map(|sums| total(sums))
}

/// The sum of the eight lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
    _mm_cvtsi128_si32(one)
}
