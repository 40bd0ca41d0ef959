//! The reference: loops short enough to check by eye, in a shape that compilers vectorise.

use super::{
    DotKernel, DwconvKernel, GemmKernel, Kernels, LinesKernel, LutKernel, Row, Tile, Vadd,
    VaddKernel, read_tap,
};
use crate::isa::Isa;
use crate::kernels::lines::Lines;
use crate::kernels::pack::{DepthwisePacking, Packing};
use crate::kernels::requant::{CHANNEL_BLOCK, Encoding};

pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Scalar,
    encoding: Encoding::Signed,
    gemm: GemmKernel {
        name: "qs8_gemm_1x16_scalar",
        packing: Packing { columns: CHANNEL_BLOCK, group: 1, words: false },
        rows: 1,
        panels: 1,
        tile: qs8_gemm_1x16_scalar,
    },
    dwconv: DwconvKernel {
        name: "qs8_dwconv_16c_scalar",
        packing: DepthwisePacking::Taps,
        row: qs8_dwconv_16c_scalar,
    },
    vadd: VaddKernel { name: "qs8_vadd_scalar", run: qs8_vadd_scalar },
    lut: LutKernel { name: "x8_lut_scalar", run: x8_lut_scalar },
    lines: LinesKernel { name: "x8_lines_scalar", run: x8_lines_scalar },
    dot: DotKernel { name: "qs8_dot_scalar", run: qs8_dot_scalar },
};

/// # Safety
///
/// See [`super::TileFn`].
unsafe fn qs8_gemm_1x16_scalar(_rows: usize, _panels: usize, tile: &Tile<'_>) {
    let mut sums = [0_i32; CHANNEL_BLOCK];
    for position in 0..tile.depth {
        // SAFETY: a row has `depth` bytes, and a panel `depth` times 16.
        let (input, weights) = unsafe {
            let weights = tile.weights.add(position * CHANNEL_BLOCK).cast::<[i8; CHANNEL_BLOCK]>();
            (i32::from(*tile.input.add(position) as i8), *weights)
        };
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += input * i32::from(weight);
        }
    }
    for (column, sum) in sums.into_iter().enumerate() {
        let channel = tile.channel + column;
        let byte = tile.epilogue.apply(channel, sum + tile.epilogue.bias[channel]);
        // SAFETY: a row of the output has the 16 columns of the panel.
        unsafe { *tile.output.add(column) = byte };
    }
}

/// # Safety
///
/// See [`super::RowFn`].
unsafe fn qs8_dwconv_16c_scalar(row: &Row<'_>) {
    let taps = row.input.len() * row.columns;
    for x in 0..row.output_width {
        for block in 0..row.stride_bytes / CHANNEL_BLOCK {
            let mut sums = [0_i32; CHANNEL_BLOCK];
            for tap in 0..taps {
                let position = x * row.stride + tap % row.columns;
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let channel = block * CHANNEL_BLOCK + lane;
                    // SAFETY: the channel is one of the position's; the packed weights have
                    // `taps` rows of 16 for each block.
                    let (input, weight) = unsafe {
                        let at = (block * taps + tap) * CHANNEL_BLOCK + lane;
                        let input = read_tap(row, tap / row.columns, position, channel);
                        (input as i8, *row.weights.add(at) as i8)
                    };
                    *sum += i32::from(input) * i32::from(weight);
                }
            }
            for (lane, sum) in sums.into_iter().enumerate() {
                let channel = block * CHANNEL_BLOCK + lane;
                let byte = row.epilogue.apply(channel, sum + row.epilogue.bias[channel]);
                // SAFETY: `x` is below `output_width`, the channel one of the position's.
                unsafe { *row.output.add(x * row.stride_bytes + channel) = byte };
            }
        }
    }
}

/// # Safety
///
/// None: the slices are checked.
unsafe fn qs8_vadd_scalar(a: &[u8], b: &[u8], out: &mut [u8], sum: &Vadd) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = sum.apply(Encoding::Signed, a, b);
    }
}

/// # Safety
///
/// None: the slices are checked.
pub(super) unsafe fn x8_lut_scalar(input: &[u8], out: &mut [u8], table: &[u8; 256]) {
    for (out, &byte) in out.iter_mut().zip(input) {
        *out = table[usize::from(byte)];
    }
}

/// # Safety
///
/// See [`super::LinesFn`].
pub(super) unsafe fn x8_lines_scalar(pixels: &[u8], codes: &mut [u8], lines: &Lines) {
    lines.apply(pixels, codes);
}

/// # Safety
///
/// None: the slices are checked.
unsafe fn qs8_dot_scalar(codes: &[u8], query: &[i8], out: &mut [i32]) {
    for (row, out) in out.iter_mut().enumerate() {
        let codes = &codes[row * query.len()..][..query.len()];
        let products = codes.iter().zip(query).map(|(&a, &b)| i32::from(a as i8) * i32::from(b));
        *out = products.sum();
    }
}
