//! AVX-512 with VNNI: `vpdpbusd` multiplies unsigned inputs by signed weights, four at a time,
//! and adds them up in 32 bits without saturation.

mod dot;

use std::arch::asm;
use std::arch::x86_64::*;

use super::{
    DotKernel, DwconvKernel, Epilogue, GemmKernel, Kernels, LinesKernel, LutKernel, Row, Tile,
    Vadd, VaddKernel, avx2, scalar,
};
use crate::isa::Isa;
use crate::kernels::lines::Lines;
use crate::kernels::pack::{DepthwisePacking, Packing};
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Avx512Vnni,
    encoding: Encoding::Offset,
    gemm: GemmKernel {
        name: "qu8_gemm_6x64c4_avx512_vnni",
        packing: Packing { columns: CHANNEL_BLOCK, group: 4, words: false },
        rows: ROWS,
        panels: PANELS,
        tile: qu8_gemm_6x64c4_avx512_vnni,
    },
    dwconv: DwconvKernel {
        name: "qu8_dwconv_64c_avx512_vnni",
        packing: DepthwisePacking::ColumnsOfFour,
        row: qu8_dwconv_64c_avx512_vnni,
    },
    vadd: VaddKernel { name: "qu8_vadd_avx512_vnni", run: qu8_vadd_avx512_vnni },
    lut: LutKernel { name: "x8_lut_avx512", run: x8_lut_avx512 },
    lines: LinesKernel { name: "x8_lines_avx512", run: x8_lines_avx512 },
    dot: DotKernel { name: "qs8_dot_4x64c_avx512_vnni", run: dot::qs8_dot_4x64c_avx512_vnni },
};

const ROWS: usize = 6;
const PANELS: usize = 4;

/// Constants of the requantization that all channels share.
#[derive(Clone, Copy)]
struct Requant {
    /// The zero point is 0, and the result any byte.
    plain: bool,
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
}

/// Scales of 16 channels, from zero up and below.
#[derive(Clone, Copy)]
struct Scales {
    positive: __m512,
    negative: __m512,
}

impl Scales {
    /// # Safety
    ///
    /// The epilogue has the 16 channels from `channel` on.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(epilogue: &Epilogue, channel: usize) -> Self {
        // SAFETY: passed on; an empty `negative_scale` is not read.
        unsafe {
            let positive = _mm512_loadu_ps(epilogue.scale.as_ptr().add(channel));
            let negative = if epilogue.negative_scale.is_empty() {
                positive
            } else {
                _mm512_loadu_ps(epilogue.negative_scale.as_ptr().add(channel))
            };
            Self { positive, negative }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn round<const PRELU: bool>(&self, acc: __m512i) -> __m512i {
        let scale = if PRELU {
            _mm512_mask_blend_ps(_mm512_movepi32_mask(acc), self.positive, self.negative)
        } else {
            self.positive
        };
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale))
    }
}

impl Requant {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn of(epilogue: &Epilogue) -> Self {
        Self::new(epilogue.zero_point, epilogue.min, epilogue.max)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(zero_point: i32, min: i32, max: i32) -> Self {
        Self {
            plain: [zero_point, min, max] == [0, 0, 255],
            zero_point: _mm512_set1_epi16(zero_point as i16),
            min: _mm512_set1_epi8(min as i8),
            max: _mm512_set1_epi8(max as i8),
        }
    }

    /// 64 bytes from rounded results. Within each lane of 128 bits, the bytes of the four vectors
    /// follow each other.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn pack(&self, rounded: [__m512i; 4]) -> __m512i {
        let words = words(rounded);
        if self.plain { _mm512_packus_epi16(words[0], words[1]) } else { self.bound(words) }
    }

    /// Adds the zero point to words, and gives bytes within the bounds.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn bound(&self, words: [__m512i; 2]) -> __m512i {
        let low = _mm512_adds_epi16(words[0], self.zero_point);
        let high = _mm512_adds_epi16(words[1], self.zero_point);
        let bytes = _mm512_packus_epi16(low, high);
        _mm512_min_epu8(_mm512_max_epu8(bytes, self.min), self.max)
    }

    /// 16 bytes from rounded results.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn pack_one(&self, rounded: __m512i) -> __m128i {
        let zero = _mm512_setzero_si512();
        let bytes = self.pack([rounded, zero, zero, zero]);
        _mm512_castsi512_si128(_mm512_permutexvar_epi32(lanes_in_turn(), bytes))
    }
}

/// Words of rounded results; what does not fit becomes the nearest that does.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(rounded: [__m512i; 4]) -> [__m512i; 2] {
    [_mm512_packs_epi32(rounded[0], rounded[1]), _mm512_packs_epi32(rounded[2], rounded[3])]
}

/// Indices that bring dword `i` of each lane to lane `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_in_turn() -> __m512i {
    _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
}

/// # Safety
///
/// See [`super::TileFn`].
unsafe fn qu8_gemm_6x64c4_avx512_vnni(rows: usize, panels: usize, tile: &Tile<'_>) {
    macro_rules! dispatch {
        ($($rows:literal),+) => {
            // SAFETY: passed on from the caller; the numbers of rows and panels are the tile's.
            unsafe {
                match (rows, panels) {
                    $(
                        ($rows, 1) => tile_of::<$rows, 1>(tile),
                        ($rows, 2) => tile_of::<$rows, 2>(tile),
                        ($rows, 3) => tile_of::<$rows, 3>(tile),
                        ($rows, 4) => tile_of::<$rows, 4>(tile),
                    )+
                    _ => unreachable!("a tile has at most {ROWS} rows and {PANELS} panels"),
                }
            }
        };
    }
    dispatch!(1, 2, 3, 4, 5, 6);
}

/// # Safety
///
/// See [`super::TileFn`]; the tile has `R` rows and `P` panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_of<const R: usize, const P: usize>(tile: &Tile<'_>) {
    let panel_bytes = tile.depth * CHANNEL_BLOCK;
    // SAFETY: the epilogue has the channels of all panels.
    let bias: [__m512i; P] = std::array::from_fn(|panel| unsafe {
        let channel = tile.channel + panel * CHANNEL_BLOCK;
        _mm512_loadu_si512(tile.epilogue.bias.as_ptr().add(channel).cast())
    });
    let mut sums = [bias; R];
    for depth in (0..tile.depth).step_by(4) {
        // SAFETY: a row of inputs has `depth` bytes, a panel `depth` times 16.
        unsafe {
            let weights: [__m512i; P] = std::array::from_fn(|panel| {
                let at = panel * panel_bytes + depth * CHANNEL_BLOCK;
                _mm512_load_si512(tile.weights.add(at).cast())
            });
            for (row, sums) in sums.iter_mut().enumerate() {
                let input = tile.input.add(row * tile.input_stride + depth).cast::<i32>();
                let input = _mm512_set1_epi32(input.read_unaligned());
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbusd_epi32(*sum, input, weights);
                }
            }
        }
    }
    // SAFETY: passed on; `sums` are those of the tile.
    unsafe {
        if tile.epilogue.negative_scale.is_empty() {
            store::<R, P, false>(tile, &sums);
        } else {
            store::<R, P, true>(tile, &sums);
        }
    }
}

/// # Safety
///
/// See [`tile_of`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn store<const R: usize, const P: usize, const PRELU: bool>(
    tile: &Tile<'_>,
    sums: &[[__m512i; P]; R],
) {
    // SAFETY: the epilogue has the channels of all panels, and so has each row of the output.
    unsafe {
        let requant = Requant::of(tile.epilogue);
        let scales: [Scales; P] = std::array::from_fn(|panel| {
            Scales::load(tile.epilogue, tile.channel + panel * CHANNEL_BLOCK)
        });
        for (row, sums) in sums.iter().enumerate() {
            let output = tile.output.add(row * tile.output_stride);
            let rounded: [__m512i; 4] = std::array::from_fn(|panel| {
                let panel = panel.min(P - 1);
                scales[panel].round::<PRELU>(sums[panel])
            });
            let bytes = _mm512_permutexvar_epi32(lanes_in_turn(), requant.pack(rounded));
            match P {
                4 => _mm512_storeu_si512(output.cast(), bytes),
                2 => _mm256_storeu_si256(output.cast(), _mm512_castsi512_si256(bytes)),
                _ => {
                    let mask = (1 << (P * 4)) - 1;
                    _mm512_mask_storeu_epi32(output.cast(), mask, bytes);
                }
            }
        }
    }
}

/// # Safety
///
/// See [`super::RowFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn qu8_dwconv_64c_avx512_vnni(row: &Row<'_>) {
    let prelu = !row.epilogue.negative_scale.is_empty();
    let three = row.input.len() == 3 && row.columns == 3;
    let mut channel = 0;
    while channel < row.stride_bytes {
        let left = row.stride_bytes - channel;
        // SAFETY: passed on; `channel` and those that are worked on are channels of the row.
        unsafe {
            channel += match (three && left >= 64, three && left >= 32, row.stride) {
                (true, _, 1) => three_by_three::<4, 1>(row, channel),
                (true, _, 2) => three_by_three::<4, 2>(row, channel),
                (_, true, 1) => three_by_three::<2, 1>(row, channel),
                (_, true, 2) => three_by_three::<2, 2>(row, channel),
                _ if prelu => any_window::<true>(row, channel),
                _ => any_window::<false>(row, channel),
            }
        }
    }
}

/// Four blocks of 16 channels, as four vectors of 16 sums: sum `d` of lane `l` of vector `j` is
/// that of channel `16 * l + 4 * j + d`. This is how unpacking bytes leaves them, and packing
/// brings them back.
type Interleaved = [__m512i; 4];

/// What a window of three by three is multiplied by and starts from.
struct Constants {
    weights: [Interleaved; 3],
    bias: Interleaved,
}

impl Constants {
    /// The constants, out of the compiler's sight: it would load them into registers once, run out of
    /// registers, and keep some of them in memory that is not aligned.
    #[inline(always)]
    fn in_memory(&self) -> &Self {
        let mut pointer: *const Self = self;
        // SAFETY: the assembly holds no instruction, so the pointer is still that of `self`.
        unsafe {
            asm!("/* {} */", inout(reg) pointer, options(nostack, preserves_flags, readonly));
            &*pointer
        }
    }
}

/// From four vectors of 16 channels each.
#[inline]
#[target_feature(enable = "avx512f")]
fn interleave(blocks: [__m512i; 4]) -> Interleaved {
    let [a, b, c, d] = blocks;
    let ab = _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
    let ab_high = _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
    let cd = _mm512_shuffle_i32x4::<0b01_00_01_00>(c, d);
    let cd_high = _mm512_shuffle_i32x4::<0b11_10_11_10>(c, d);
    [
        _mm512_shuffle_i32x4::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(ab, cd),
        _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_high, cd_high),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_high, cd_high),
    ]
}

/// Which of `B` blocks of channels a lane of 128 bits holds. Behind the last block come the same ones of
/// the next position.
#[inline]
fn block_of<const B: usize>(lane: usize) -> usize {
    lane % B
}

/// `4 / B` positions of `B` blocks of 16 channels in three rows, one output position apart, as
/// quads of rows.
///
/// # Safety
///
/// `channel` and the `16 * B - 1` behind it are channels of the row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn quads<const B: usize, const S: usize>(
    row: &Row<'_>,
    position: usize,
    channel: usize,
) -> Interleaved {
    let x = position.wrapping_sub(row.left);
    let at = |x: usize| x.wrapping_mul(row.stride_bytes).wrapping_add(channel);
    let first = at(x);
    let inside = x < row.width;
    // 32 bytes of one position.
    let half = |rows: usize, x: usize| {
        let pointer = row.input[rows].wrapping_add(at(x));
        if x < row.width {
            // SAFETY: x is a position of the row, and the channels are passed on.
            unsafe { _mm512_castsi256_si512(_mm256_loadu_si256(pointer.cast())) }
        } else {
            _mm512_set1_epi8(row.zero_point as i8)
        }
    };
    let row_of = |rows: usize| match (B, inside) {
        // SAFETY: x is a position of the row, and the channels are passed on.
        (4, true) => unsafe { _mm512_loadu_si512(row.input[rows].add(first).cast()) },
        (4, false) => _mm512_set1_epi8(row.zero_point as i8),
        _ => {
            let second = _mm512_castsi512_si256(half(rows, x.wrapping_add(S)));
            _mm512_inserti64x4::<1>(half(rows, x), second)
        }
    };
    let [a, b, c] = [row_of(0), row_of(1), row_of(2)];
    // The weights of a fourth row are 0.
    let [ab, ab_high] = [_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)];
    let [cd, cd_high] = [_mm512_unpacklo_epi8(c, c), _mm512_unpackhi_epi8(c, c)];
    [
        _mm512_unpacklo_epi16(ab, cd),
        _mm512_unpackhi_epi16(ab, cd),
        _mm512_unpacklo_epi16(ab_high, cd_high),
        _mm512_unpackhi_epi16(ab_high, cd_high),
    ]
}

/// `B` blocks of 16 channels of all positions; gives the number of channels.
///
/// # Safety
///
/// See [`super::RowFn`]; the window has 3 rows and 3 columns, `S` is its stride; `channel` and the
/// `16 * B - 1` behind it are channels of the row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn three_by_three<const B: usize, const S: usize>(row: &Row<'_>, channel: usize) -> usize {
    // SAFETY: passed on.
    unsafe {
        if !row.epilogue.negative_scale.is_empty() {
            windows::<B, S, true, false>(row, channel);
        } else if Requant::of(row.epilogue).plain {
            windows::<B, S, false, true>(row, channel);
        } else {
            windows::<B, S, false, false>(row, channel);
        }
    }
    B * CHANNEL_BLOCK
}

/// [`three_by_three`] for one kind of epilogue.
///
/// # Safety
///
/// See [`three_by_three`]; with `PLAIN`, the epilogue is.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn windows<const B: usize, const S: usize, const PRELU: bool, const PLAIN: bool>(
    row: &Row<'_>,
    channel: usize,
) {
    let at_once = 4 / B;
    // SAFETY: a block has three vectors of weights; the epilogue has all channels; positions of the
    // output are below `output_width`.
    unsafe {
        let first = |lane: usize| channel + block_of::<B>(lane) * CHANNEL_BLOCK;
        let constants = Constants {
            weights: std::array::from_fn(|column| {
                interleave(std::array::from_fn(|lane| {
                    let at = channel * 12 + block_of::<B>(lane) * 192 + column * 64;
                    _mm512_load_si512(row.weights.add(at).cast())
                }))
            }),
            bias: interleave(std::array::from_fn(|lane| {
                _mm512_loadu_si512(row.epilogue.bias.as_ptr().add(first(lane)).cast())
            })),
        };
        let scales = std::array::from_fn(|lane| Scales::load(row.epilogue, first(lane)));
        let scales = interleave_scales(scales);
        let requant = Requant::of(row.epilogue);
        let finish = |x: usize, sums: Interleaved| {
            let rounded = std::array::from_fn(|at| scales[at].round::<PRELU>(sums[at]));
            let words = words(rounded);
            let bytes =
                if PLAIN { _mm512_packus_epi16(words[0], words[1]) } else { requant.bound(words) };
            let output = row.output.add(x * row.stride_bytes + channel);
            if B == 4 {
                _mm512_storeu_si512(output.cast(), bytes);
                return;
            }
            _mm256_storeu_si256(output.cast(), _mm512_castsi512_si256(bytes));
            if x + 1 < row.output_width {
                let second = _mm512_extracti64x4_epi64::<1>(bytes);
                _mm256_storeu_si256(output.add(row.stride_bytes).cast(), second);
            }
        };
        // Each column of the input is read once where positions follow each other; what it adds to
        // the next one or two results is kept as their sums so far.
        match (B, S) {
            (4, 1) => {
                let Constants { weights, bias } = &constants;
                let start = quads::<B, S>(row, 0, channel);
                let mut first = dot(*bias, start, weights[0]);
                let next = quads::<B, S>(row, 1, channel);
                let mut second = dot(first, next, weights[1]);
                first = dot(*bias, next, weights[0]);
                for x in 0..row.output_width {
                    let Constants { weights, bias } = constants.in_memory();
                    let bytes = quads::<B, S>(row, x + 2, channel);
                    finish(x, dot(second, bytes, weights[2]));
                    second = dot(first, bytes, weights[1]);
                    first = dot(*bias, bytes, weights[0]);
                }
            }
            (4, 2) | (2, 1) => {
                let Constants { weights, bias } = &constants;
                let mut sums = dot(*bias, quads::<B, S>(row, 0, channel), weights[0]);
                for x in (0..row.output_width).step_by(at_once) {
                    let Constants { weights, bias } = constants.in_memory();
                    sums = dot(sums, quads::<B, S>(row, x * S + 1, channel), weights[1]);
                    let bytes = quads::<B, S>(row, x * S + 2, channel);
                    finish(x, dot(sums, bytes, weights[2]));
                    sums = dot(*bias, bytes, weights[0]);
                }
            }
            _ => {
                for x in (0..row.output_width).step_by(at_once) {
                    let Constants { weights, bias } = constants.in_memory();
                    let mut sums = dot(*bias, quads::<B, S>(row, x * S, channel), weights[0]);
                    sums = dot(sums, quads::<B, S>(row, x * S + 1, channel), weights[1]);
                    finish(x, dot(sums, quads::<B, S>(row, x * S + 2, channel), weights[2]));
                }
            }
        }
    }
}

/// Adds the products of bytes and weights to the sums.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot(sums: Interleaved, bytes: Interleaved, weights: Interleaved) -> Interleaved {
    [
        _mm512_dpbusd_epi32(sums[0], bytes[0], weights[0]),
        _mm512_dpbusd_epi32(sums[1], bytes[1], weights[1]),
        _mm512_dpbusd_epi32(sums[2], bytes[2], weights[2]),
        _mm512_dpbusd_epi32(sums[3], bytes[3], weights[3]),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn interleave_scales(scales: [Scales; 4]) -> [Scales; 4] {
    let positive = interleave(scales.map(|scales| _mm512_castps_si512(scales.positive)));
    let negative = interleave(scales.map(|scales| _mm512_castps_si512(scales.negative)));
    std::array::from_fn(|at| Scales {
        positive: _mm512_castsi512_ps(positive[at]),
        negative: _mm512_castsi512_ps(negative[at]),
    })
}

/// 16 channels of up to four rows at one input position, `[channel][row]`. Missing rows are those of
/// the first.
///
/// # Safety
///
/// `rows` has 1 to 4 pointers to rows of `row.width` positions; `channel` is a multiple of 16 below
/// `row.stride_bytes`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn column(row: &Row<'_>, rows: &[*const u8], position: usize, channel: usize) -> __m512i {
    let x = position.wrapping_sub(row.left);
    if x >= row.width {
        return _mm512_set1_epi8(row.zero_point as i8);
    }
    let at = x * row.stride_bytes + channel;
    // SAFETY: x is a position of the rows.
    let load = |index: usize| unsafe {
        _mm_loadu_si128(rows.get(index).unwrap_or(&rows[0]).add(at).cast())
    };
    let rows = _mm512_castsi128_si512(load(0));
    let rows = _mm512_inserti32x4::<1>(rows, load(1));
    let rows = _mm512_inserti32x4::<2>(rows, load(2));
    let rows = _mm512_inserti32x4::<3>(rows, load(3));
    let bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let quads = _mm512_permutexvar_epi32(lanes_in_turn(), rows);
    _mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(bytes))
}

/// 16 channels of all positions; gives the number of channels.
///
/// # Safety
///
/// See [`super::RowFn`]; `channel` is a multiple of 16 below `row.stride_bytes`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn any_window<const PRELU: bool>(row: &Row<'_>, channel: usize) -> usize {
    let groups = row.input.len().div_ceil(4);
    let block_bytes = row.columns * groups * 64;
    // SAFETY: a block has a vector of weights for each column and group of rows; the epilogue has
    // all channels; the positions of the output are below `output_width`.
    unsafe {
        let weights = row.weights.add(channel / CHANNEL_BLOCK * block_bytes);
        let bias = _mm512_loadu_si512(row.epilogue.bias.as_ptr().add(channel).cast());
        let scales = Scales::load(row.epilogue, channel);
        let requant = Requant::of(row.epilogue);
        for x in 0..row.output_width {
            let mut sum = bias;
            for index in 0..row.columns {
                for (group, rows) in row.input.chunks(4).enumerate() {
                    let bytes = column(row, rows, x * row.stride + index, channel);
                    let at = (index * groups + group) * 64;
                    let weights = _mm512_load_si512(weights.add(at).cast());
                    sum = _mm512_dpbusd_epi32(sum, bytes, weights);
                }
            }
            let bytes = requant.pack_one(scales.round::<PRELU>(sum));
            _mm_storeu_si128(row.output.add(x * row.stride_bytes + channel).cast(), bytes);
        }
    }
    CHANNEL_BLOCK
}

/// # Safety
///
/// See [`super::VaddFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn qu8_vadd_avx512_vnni(a: &[u8], b: &[u8], out: &mut [u8], sum: &Vadd) {
    let [zero_a, zero_b] = [sum.zero_a, sum.zero_b].map(|zero| _mm512_set1_epi32(zero));
    let [scale_a, scale_b] = [sum.scale_a, sum.scale_b].map(|scale| _mm512_set1_ps(scale));
    let requant = Requant::new(sum.zero_point, sum.min, sum.max);
    let real = |bytes: __m128i, zero: __m512i, scale: __m512| {
        let value = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), zero);
        _mm512_mul_ps(_mm512_cvtepi32_ps(value), scale)
    };
    let whole = out.len() / 64 * 64;
    for at in (0..whole).step_by(64) {
        // SAFETY: 64 bytes from `at` on lie in each of the three.
        unsafe {
            let rounded = std::array::from_fn(|quarter| {
                let at = at + quarter * 16;
                let a = real(_mm_loadu_si128(a.as_ptr().add(at).cast()), zero_a, scale_a);
                let b = real(_mm_loadu_si128(b.as_ptr().add(at).cast()), zero_b, scale_b);
                _mm512_cvtps_epi32(_mm512_add_ps(a, b))
            });
            let bytes = _mm512_permutexvar_epi32(lanes_in_turn(), requant.pack(rounded));
            _mm512_storeu_si512(out.as_mut_ptr().add(at).cast(), bytes);
        }
    }
    avx2::vadd_elements(Encoding::Offset, &a[whole..], &b[whole..], &mut out[whole..], sum);
}

/// # Safety
///
/// See [`super::LutFn`].
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn x8_lut_avx512(input: &[u8], out: &mut [u8], table: &[u8; 256]) {
    const VECTOR: usize = 64;
    let low_bits = _mm512_set1_epi8(15);
    // SAFETY: the table has 16 times 16 bytes.
    let parts: [__m512i; 16] = std::array::from_fn(|part| unsafe {
        _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().add(16 * part).cast()))
    });
    let whole = out.len() / VECTOR * VECTOR;
    for at in (0..whole).step_by(VECTOR) {
        // SAFETY: both slices have the 64 bytes.
        unsafe {
            let bytes = _mm512_loadu_si512(input.as_ptr().add(at).cast());
            let low = _mm512_and_si512(bytes, low_bits);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low_bits);
            let mut found = _mm512_setzero_si512();
            for (number, &part) in (0..).zip(&parts) {
                let here = _mm512_cmpeq_epi8_mask(high, _mm512_set1_epi8(number));
                found = _mm512_mask_shuffle_epi8(found, here, part, low);
            }
            _mm512_storeu_si512(out.as_mut_ptr().add(at).cast(), found);
        }
    }
    // SAFETY: the scalar kernel has no conditions.
    unsafe { scalar::x8_lut_scalar(&input[whole..], &mut out[whole..], table) };
}

/// # Safety
///
/// See [`super::LinesFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn x8_lines_avx512(pixels: &[u8], codes: &mut [u8], lines: &Lines) {
    lines.apply(pixels, codes);
}
