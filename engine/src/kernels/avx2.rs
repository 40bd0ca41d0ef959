//! AVX2: 16-bit words through `vpmaddwd`. The byte product `vpmaddubsw` saturates where two
//! products of unsigned inputs and signed weights exceed 16 bits, so it is not used.

mod dot;

use std::arch::x86_64::*;

use super::{
    DotKernel, DwconvKernel, Epilogue, GemmKernel, Kernels, LinesKernel, LutKernel, Row, Tile,
    Vadd, VaddKernel, scalar,
};
use crate::isa::Isa;
use crate::kernels::lines::Lines;
use crate::kernels::pack::{DepthwisePacking, Packing};
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Avx2,
    encoding: Encoding::Signed,
    gemm: GemmKernel {
        name: "qs8_gemm_6x16c2_avx2",
        packing: Packing { columns: CHANNEL_BLOCK, group: 2, words: true },
        rows: ROWS,
        panels: 1,
        tile: qs8_gemm_6x16c2_avx2,
    },
    dwconv: DwconvKernel {
        name: "qs8_dwconv_16c_avx2",
        packing: DepthwisePacking::PairsOfWords,
        row: qs8_dwconv_16c_avx2,
    },
    vadd: VaddKernel { name: "qs8_vadd_avx2", run: qs8_vadd_avx2 },
    lut: LutKernel { name: "x8_lut_scalar", run: scalar::x8_lut_scalar },
    lines: LinesKernel { name: "x8_lines_avx2", run: x8_lines_avx2 },
    dot: DotKernel { name: "qs8_dot_4x16c_avx2", run: dot::qs8_dot_4x16c_avx2 },
};

const ROWS: usize = 6;

/// 16 sums of 32 bits.
type Sums = [__m256i; 2];

/// Requantization constants of one block of channels.
struct Requant {
    scale: [__m256; 2],
    negative_scale: [__m256; 2],
    zero_point: __m256i,
    min: __m128i,
    max: __m128i,
}

impl Requant {
    /// # Safety
    ///
    /// The processor has AVX2; the epilogue has the 16 channels from `channel` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn new(epilogue: &Epilogue, channel: usize) -> Self {
        // SAFETY: the slices have the 16 channels.
        let load = |scales: &[f32]| unsafe {
            let first = scales.as_ptr().add(channel);
            [_mm256_loadu_ps(first), _mm256_loadu_ps(first.add(8))]
        };
        let scale = load(&epilogue.scale);
        let same = epilogue.negative_scale.is_empty();
        Self {
            scale,
            negative_scale: if same { scale } else { load(&epilogue.negative_scale) },
            zero_point: _mm256_set1_epi32(epilogue.zero_point),
            min: _mm_set1_epi8(epilogue.min as i8),
            max: _mm_set1_epi8(epilogue.max as i8),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply<const PRELU: bool>(&self, acc: Sums) -> __m128i {
        let half = |acc: __m256i, scale: __m256, negative_scale: __m256| {
            let scale = if PRELU {
                _mm256_blendv_ps(scale, negative_scale, _mm256_castsi256_ps(acc))
            } else {
                scale
            };
            let rounded = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale));
            _mm256_add_epi32(rounded, self.zero_point)
        };
        let low = half(acc[0], self.scale[0], self.negative_scale[0]);
        let high = half(acc[1], self.scale[1], self.negative_scale[1]);
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
        let bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        _mm_min_epi8(_mm_max_epi8(bytes, self.min), self.max)
    }
}

/// # Safety
///
/// See [`super::TileFn`].
unsafe fn qs8_gemm_6x16c2_avx2(rows: usize, _panels: usize, tile: &Tile<'_>) {
    // SAFETY: passed on from the caller; the number of rows is the tile's.
    unsafe {
        match rows {
            1 => tile_of::<1>(tile),
            2 => tile_of::<2>(tile),
            3 => tile_of::<3>(tile),
            4 => tile_of::<4>(tile),
            5 => tile_of::<5>(tile),
            6 => tile_of::<6>(tile),
            _ => unreachable!("a tile has at most {ROWS} rows"),
        }
    }
}

/// # Safety
///
/// See [`super::TileFn`]; the tile has `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn tile_of<const R: usize>(tile: &Tile<'_>) {
    // SAFETY: the epilogue has the 16 channels of the panel.
    let bias = unsafe { load_bias(tile.epilogue, tile.channel) };
    let mut sums = [bias; R];
    for depth in (0..tile.depth).step_by(2) {
        // SAFETY: a row of inputs has `depth` words, the panel `depth` times 16.
        unsafe {
            let weights = tile.weights.add(depth * CHANNEL_BLOCK * 2).cast::<__m256i>();
            let weights = [_mm256_load_si256(weights), _mm256_load_si256(weights.add(1))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let input = tile.input.add(row * tile.input_stride + depth * 2).cast::<i32>();
                let input = _mm256_set1_epi32(input.read_unaligned());
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(input, weights));
                }
            }
        }
    }
    // SAFETY: the epilogue has the 16 channels of the panel, and so has each row of the output.
    unsafe {
        let requant = Requant::new(tile.epilogue, tile.channel);
        let prelu = !tile.epilogue.negative_scale.is_empty();
        for (row, sums) in sums.into_iter().enumerate() {
            let bytes =
                if prelu { requant.apply::<true>(sums) } else { requant.apply::<false>(sums) };
            _mm_storeu_si128(tile.output.add(row * tile.output_stride).cast(), bytes);
        }
    }
}

/// # Safety
///
/// The epilogue has the 16 channels from `channel` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_bias(epilogue: &Epilogue, channel: usize) -> Sums {
    // SAFETY: passed on.
    unsafe {
        let bias = epilogue.bias.as_ptr().add(channel).cast::<__m256i>();
        [_mm256_loadu_si256(bias), _mm256_loadu_si256(bias.add(1))]
    }
}

/// # Safety
///
/// See [`super::RowFn`].
#[target_feature(enable = "avx2")]
unsafe fn qs8_dwconv_16c_avx2(row: &Row<'_>) {
    let prelu = !row.epilogue.negative_scale.is_empty();
    // SAFETY: passed on.
    unsafe {
        match (row.input.len(), row.columns) {
            (3, 3) => dwconv_row::<9, 3>(row, prelu),
            (5, 5) => dwconv_row::<25, 5>(row, prelu),
            (7, 7) => dwconv_row::<49, 7>(row, prelu),
            _ => dwconv_row::<0, 0>(row, prelu),
        }
    }
}

/// # Safety
///
/// See [`super::RowFn`]; the window has `TAPS` taps in `COLUMNS` columns, or any number where
/// these are 0.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dwconv_row<const TAPS: usize, const COLUMNS: usize>(row: &Row<'_>, prelu: bool) {
    let columns = if COLUMNS > 0 { COLUMNS } else { row.columns };
    let taps = if TAPS > 0 { TAPS } else { row.input.len() * columns };
    let pairs = taps.div_ceil(2);
    for channel in (0..row.stride_bytes).step_by(CHANNEL_BLOCK) {
        // SAFETY: a block has 64 bytes of weights for each pair of taps; the epilogue has all
        // channels; the positions of the output are below `output_width`.
        unsafe {
            let weights = row.weights.add(channel / CHANNEL_BLOCK * pairs * 64).cast::<__m256i>();
            let bias = load_bias(row.epilogue, channel);
            let requant = Requant::new(row.epilogue, channel);
            for x in 0..row.output_width {
                let first = x * row.stride;
                let inside = first >= row.left && first + columns <= row.width + row.left;
                let tap = |tap: usize| {
                    let position = first + tap % columns;
                    let pointer = row.input[tap / columns];
                    if inside || position.wrapping_sub(row.left) < row.width {
                        let at = (position - row.left) * row.stride_bytes + channel;
                        _mm_loadu_si128(pointer.add(at).cast())
                    } else {
                        _mm_set1_epi8(row.zero_point as i8)
                    }
                };
                let mut sums = bias;
                for pair in 0..pairs {
                    let a = tap(pair * 2);
                    // The last weight of an odd number of taps is 0.
                    let b = if pair * 2 + 1 < taps { tap(pair * 2 + 1) } else { a };
                    let low = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
                    let high = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b));
                    let w = weights.add(pair * 2);
                    let low = _mm256_madd_epi16(low, _mm256_load_si256(w));
                    let high = _mm256_madd_epi16(high, _mm256_load_si256(w.add(1)));
                    sums = [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)];
                }
                let bytes =
                    if prelu { requant.apply::<true>(sums) } else { requant.apply::<false>(sums) };
                _mm_storeu_si128(row.output.add(x * row.stride_bytes + channel).cast(), bytes);
            }
        }
    }
}

/// # Safety
///
/// See [`super::VaddFn`].
#[target_feature(enable = "avx2")]
unsafe fn qs8_vadd_avx2(a: &[u8], b: &[u8], out: &mut [u8], sum: &Vadd) {
    vadd_elements(Encoding::Signed, a, b, out, sum);
}

/// The sum of each pair, as the compiler vectorises it for the caller's instruction set.
#[inline(always)]
pub(super) fn vadd_elements(encoding: Encoding, a: &[u8], b: &[u8], out: &mut [u8], sum: &Vadd) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = sum.apply(encoding, a, b);
    }
}

/// # Safety
///
/// See [`super::LinesFn`].
#[target_feature(enable = "avx2")]
unsafe fn x8_lines_avx2(pixels: &[u8], codes: &mut [u8], lines: &Lines) {
    lines.apply(pixels, codes);
}
