//! The kernels of one instruction set, and what every kernel promises.
//!
//! | kernel | computes |
//! | --- | --- |
//! | gemm | rows of inputs times packed weights, and the epilogue |
//! | dwconv | a row of a depthwise convolution, and the epilogue |
//! | vadd | the sum of two tensors of codes |
//! | lut | bytes through a table |
//! | lines | the codes of pixels, by a straight line for each of three channels |
//! | dot | the inner products of many rows of codes with one |
//!
//! Names follow XNNPACK: type, operation, tile, instruction set. Every kernel gives the same bytes
//! as the scalar one, on all inputs.

#![allow(unsafe_code, reason = "vector instructions")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod dot;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_dotprod;
mod scalar;
#[cfg(test)]
mod tests;

pub mod lines;
pub mod pack;
pub mod peak;
pub mod requant;

use crate::buffer::{Buffer, CACHE_LINE_BYTES};
use crate::isa::Isa;
use crate::limits::product;
use lines::Lines;
use pack::{DEPTH_BLOCK, DepthwisePacking, Packing};
use requant::{CHANNEL_BLOCK, Encoding, Epilogue, round_to_byte};

/// The largest number of rows in the window of a depthwise convolution.
pub const MOST_WINDOW_ROWS: usize = 7;

/// The longest row of codes whose inner product is sure to fit 32 bits.
pub const LONGEST_DOT: usize = 1 << 16;

/// The kernels of one instruction set. [`Kernels::of`] gives them only where the processor has it.
pub struct Kernels {
    isa: Isa,
    encoding: Encoding,
    gemm: GemmKernel,
    dwconv: DwconvKernel,
    vadd: VaddKernel,
    lut: LutKernel,
    lines: LinesKernel,
    dot: DotKernel,
}

struct GemmKernel {
    name: &'static str,
    packing: Packing,
    /// Rows and panels of the largest tile.
    rows: usize,
    panels: usize,
    tile: TileFn,
}

struct DwconvKernel {
    name: &'static str,
    packing: DepthwisePacking,
    row: RowFn,
}

struct VaddKernel {
    name: &'static str,
    run: VaddFn,
}

struct LutKernel {
    name: &'static str,
    run: LutFn,
}

struct LinesKernel {
    name: &'static str,
    run: LinesFn,
}

struct DotKernel {
    name: &'static str,
    run: DotFn,
}

/// # Safety
///
/// The processor has the kernel's instruction set; `rows` and `panels` are at least 1 and at most
/// those of the kernel; every pointer of the [`Tile`] reaches as far as its doc says.
type TileFn = unsafe fn(rows: usize, panels: usize, tile: &Tile<'_>);

/// # Safety
///
/// The processor has the kernel's instruction set; every pointer of the [`Row`] reaches as far as
/// its doc says.
type RowFn = unsafe fn(row: &Row<'_>);

/// # Safety
///
/// The processor has the kernel's instruction set; `a`, `b` and `out` have the same length.
type VaddFn = unsafe fn(a: &[u8], b: &[u8], out: &mut [u8], vadd: &Vadd);

/// # Safety
///
/// The processor has the kernel's instruction set; `input` and `out` have the same length.
type LutFn = unsafe fn(input: &[u8], out: &mut [u8], table: &[u8; 256]);

/// # Safety
///
/// The processor has the kernel's instruction set.
type LinesFn = unsafe fn(pixels: &[u8], codes: &mut [u8], lines: &Lines);

/// # Safety
///
/// The processor has the kernel's instruction set; `query` has a multiple of [`CACHE_LINE_BYTES`] codes,
/// and `codes` as many bytes for each element of `out`.
type DotFn = unsafe fn(codes: &[u8], query: &[i8], out: &mut [i32]);

/// A part of a matrix product: some rows times some panels.
#[cfg_attr(
    not(any(target_arch = "aarch64", target_arch = "x86_64")),
    expect(dead_code, reason = "the scalar kernel takes one row, which needs no strides")
)]
struct Tile<'a> {
    /// Length of the sum, a multiple of [`DEPTH_BLOCK`].
    depth: usize,
    /// First row of inputs; `depth` bytes or words can be read in each row.
    input: *const u8,
    /// Bytes from one row of inputs to the next.
    input_stride: usize,
    /// First panel of weights, aligned to 64 bytes if a panel is; panels follow each other.
    weights: *const u8,
    epilogue: &'a Epilogue,
    /// Output channel of the first column.
    channel: usize,
    /// Result of the first row and column; the columns of all panels can be written in each row.
    output: *mut u8,
    /// Bytes from one row of the output to the next.
    output_stride: usize,
}

/// A row of the output of a depthwise convolution, all channels.
///
/// Position x of the output is the sum over the window's columns kx of input positions
/// `x * stride - left + kx`, where positions outside the input hold `zero_point`.
struct Row<'a> {
    /// First position of each input row under the window, from top to bottom; `width` positions
    /// can be read in each.
    input: &'a [*const u8],
    /// Columns of the window.
    columns: usize,
    /// Number of input positions in a row.
    width: usize,
    /// Bytes from one position to the next, of input and output; a multiple of [`CHANNEL_BLOCK`].
    stride_bytes: usize,
    /// Input positions from one output position to the next.
    stride: usize,
    /// Positions of padding to the left.
    left: usize,
    /// Byte of the input that stands for 0.
    zero_point: u8,
    /// Packed weights: `stride_bytes / CHANNEL_BLOCK` blocks.
    weights: *const u8,
    epilogue: &'a Epilogue,
    /// First position of the output; `output_width` can be written.
    output: *mut u8,
    output_width: usize,
}

/// How two codes are added: `round(a' * scale_a + b' * scale_b) + zero_point`, clamped, where a'
/// and b' are the stored bytes without their zero points; two float32 products and their float32
/// sum, none of them fused.
#[derive(Clone, Copy, Debug)]
pub struct Vadd {
    /// Zero point of the first, in its encoding.
    pub zero_a: i32,
    /// Zero point of the second.
    pub zero_b: i32,
    /// Scale of the first over that of the result.
    pub scale_a: f32,
    /// Scale of the second over that of the result.
    pub scale_b: f32,
    /// Zero point of the result.
    pub zero_point: i32,
    /// Smallest stored result.
    pub min: i32,
    /// Largest stored result.
    pub max: i32,
}

impl Vadd {
    #[inline(always)]
    fn apply(&self, encoding: Encoding, a: u8, b: u8) -> u8 {
        let a = (encoding.read(a) - self.zero_a) as f32 * self.scale_a;
        let b = (encoding.read(b) - self.zero_b) as f32 * self.scale_b;
        round_to_byte(a + b, self.zero_point, self.min, self.max)
    }
}

/// Packed weights of a matrix product.
pub struct Gemm {
    weights: Buffer,
    depth: usize,
    columns: usize,
    epilogue: Epilogue,
}

/// Packed weights of a depthwise convolution.
pub struct Dwconv {
    weights: Buffer,
    size: [usize; 2],
    blocks: usize,
    epilogue: Epilogue,
}

/// Where a depthwise convolution reads one of its rows.
pub struct DwconvInput<'a> {
    /// Rows under the window, from top to bottom, each of `width` positions.
    pub rows: &'a [&'a [u8]],
    /// Input positions from one output position to the next.
    pub stride: usize,
    /// Positions of padding to the left.
    pub left: usize,
    /// Byte of the input that stands for 0.
    pub zero_point: u8,
}

impl Kernels {
    /// The best kernels of this processor.
    pub fn best() -> &'static Self {
        Isa::available().filter_map(Self::of).last().unwrap_or(&scalar::KERNELS)
    }

    /// The kernels of `isa`; `None` when this processor does not have it.
    pub fn of(isa: Isa) -> Option<&'static Self> {
        if !isa.is_available() {
            return None;
        }
        Some(match isa {
            Isa::Scalar => &scalar::KERNELS,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &neon::KERNELS,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDotprod => &neon_dotprod::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &avx2::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => &avx512_vnni::KERNELS,
            #[allow(unreachable_patterns, reason = "those of other architectures")]
            _ => return None,
        })
    }

    /// Which instruction set this is.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How codes lie in memory.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Names of the kernels that networks use.
    pub fn names(&self) -> [&'static str; 5] {
        [self.gemm.name, self.dwconv.name, self.vadd.name, self.lut.name, self.lines.name]
    }

    /// Name of the kernel of [`dot`](Self::dot).
    pub fn dot_name(&self) -> &'static str {
        self.dot.name
    }

    /// Whether [`gemm`](Self::gemm) reads 16-bit words instead of bytes.
    pub fn reads_words(&self) -> bool {
        self.gemm.packing.words
    }

    /// Bytes of packed weights of [`gemm`](Self::gemm); `None` where they exceed `usize`.
    pub fn gemm_bytes(&self, columns: usize, depth: usize) -> Option<usize> {
        self.gemm.packing.packed_bytes(columns, depth)
    }

    /// Bytes of packed weights of [`dwconv`](Self::dwconv); `None` where they exceed `usize`.
    pub fn dwconv_bytes(&self, channels: usize, size: [usize; 2]) -> Option<usize> {
        self.dwconv.packing.packed_bytes(channels, size)
    }

    /// Packs weights, `[column][position]`, for [`gemm`](Self::gemm).
    pub fn pack_gemm(&self, weights: &[i8], depth: usize, epilogue: Epilogue) -> Gemm {
        let columns = weights.len().checked_div(depth).unwrap_or(0);
        assert!(epilogue.covers(columns.next_multiple_of(CHANNEL_BLOCK)));
        Gemm {
            weights: self.gemm.packing.pack(weights, columns, depth),
            depth: depth.next_multiple_of(DEPTH_BLOCK),
            columns: columns.next_multiple_of(CHANNEL_BLOCK),
            epilogue,
        }
    }

    /// Packs weights, `[channel][row][column]`, for [`dwconv`](Self::dwconv).
    pub fn pack_dwconv(&self, weights: &[i8], size: [usize; 2], epilogue: Epilogue) -> Dwconv {
        assert!((1..=MOST_WINDOW_ROWS).contains(&size[0]) && size[1] > 0);
        let taps = product(&size).expect("the window is not so large");
        let channels = weights.len() / taps;
        assert!(epilogue.covers(channels.next_multiple_of(CHANNEL_BLOCK)));
        Dwconv {
            weights: self.dwconv.packing.pack(weights, channels, size),
            size,
            blocks: channels.div_ceil(CHANNEL_BLOCK),
            epilogue,
        }
    }

    /// `rows` rows of `input` times the weights. A row has `gemm.depth` bytes, or words where
    /// [`reads_words`](Self::reads_words), and starts `input_stride` bytes after the one before. A
    /// row of the output has a byte for each column and starts `output_stride` bytes after the one
    /// before.
    pub fn gemm(
        &self,
        gemm: &Gemm,
        rows: usize,
        input: &[u8],
        input_stride: usize,
        output: &mut [u8],
        output_stride: usize,
    ) {
        if rows == 0 || gemm.columns == 0 {
            return;
        }
        let all = gemm.columns / self.gemm.packing.columns;
        let row_bytes = gemm.depth.checked_mul(self.gemm.packing.weight_bytes());
        let panel_bytes = self.gemm.packing.panel_bytes(gemm.depth);
        let (row_bytes, panel_bytes) = row_bytes.zip(panel_bytes).expect("weights of that depth");
        assert!(rows_fit(rows, input_stride, row_bytes, input.len()));
        assert!(rows_fit(rows, output_stride, gemm.columns, output.len()));
        assert!(output_stride >= gemm.columns || rows == 1);
        assert!(product(&[all, panel_bytes]).is_some_and(|end| end <= gemm.weights.bytes().len()));
        let mut panel = 0;
        while panel < all {
            let panels = self.gemm.panels.min(all - panel);
            let channel = panel * self.gemm.packing.columns;
            let mut row = 0;
            while row < rows {
                let tile_rows = self.gemm.rows.min(rows - row);
                let tile = Tile {
                    depth: gemm.depth,
                    input: input[row * input_stride..].as_ptr(),
                    input_stride,
                    weights: gemm.weights.bytes()[panel * panel_bytes..].as_ptr(),
                    epilogue: &gemm.epilogue,
                    channel,
                    output: output[row * output_stride + channel..].as_mut_ptr(),
                    output_stride,
                };
                // SAFETY: `self` exists, so the processor has the instructions; the assertions
                // above hold for all rows and panels, this tile's among them.
                unsafe { (self.gemm.tile)(tile_rows, panels, &tile) };
                row += tile_rows;
            }
            panel += panels;
        }
    }

    /// One row of a depthwise convolution: `width` output positions of all channels.
    pub fn dwconv(
        &self,
        dwconv: &Dwconv,
        input: &DwconvInput<'_>,
        output: &mut [u8],
        output_width: usize,
    ) {
        if output_width == 0 || dwconv.blocks == 0 {
            return;
        }
        let stride_bytes = dwconv.blocks * CHANNEL_BLOCK;
        let [rows, columns] = dwconv.size;
        assert_eq!(input.rows.len(), rows);
        assert!(input.stride > 0);
        assert!(product(&[output_width, stride_bytes]).is_some_and(|end| end <= output.len()));
        let packed = self.dwconv.packing.packed_bytes(stride_bytes, dwconv.size);
        assert!(packed.is_some_and(|end| end <= dwconv.weights.bytes().len()));
        let width = input.rows[0].len() / stride_bytes;
        // A kernel counts positions from the first of the padding, up to one window behind the last.
        let windows = product(&[output_width, input.stride]);
        assert!(windows.and_then(|windows| windows.checked_add(columns)).is_some());
        assert!(width.checked_add(input.left).is_some());
        let mut pointers = [std::ptr::null(); MOST_WINDOW_ROWS];
        for (pointer, row) in pointers.iter_mut().zip(input.rows) {
            assert_eq!(row.len(), width * stride_bytes);
            *pointer = row.as_ptr();
        }
        let row = Row {
            input: &pointers[..rows],
            columns,
            width,
            stride_bytes,
            stride: input.stride,
            left: input.left,
            zero_point: input.zero_point,
            weights: dwconv.weights.bytes().as_ptr(),
            epilogue: &dwconv.epilogue,
            output: output.as_mut_ptr(),
            output_width,
        };
        // SAFETY: `self` exists, so the processor has the instructions; each pointer was checked
        // against the length of its slice.
        unsafe { (self.dwconv.row)(&row) };
    }

    /// Adds the codes of two tensors.
    pub fn vadd(&self, a: &[u8], b: &[u8], output: &mut [u8], vadd: &Vadd) {
        assert!(a.len() == b.len() && a.len() == output.len());
        // SAFETY: `self` exists, so the processor has the instructions; the lengths are equal.
        unsafe { (self.vadd.run)(a, b, output, vadd) };
    }

    /// Looks up each byte in a table.
    pub fn lut(&self, input: &[u8], output: &mut [u8], table: &[u8; 256]) {
        assert_eq!(input.len(), output.len());
        // SAFETY: `self` exists, so the processor has the instructions; the lengths are equal.
        unsafe { (self.lut.run)(input, output, table) };
    }

    /// The codes of a picture's bytes.
    pub fn lines(&self, pixels: &[u8], codes: &mut [u8], lines: &Lines) {
        assert_eq!(pixels.len(), codes.len());
        // SAFETY: `self` exists, so the processor has the instructions.
        unsafe { (self.lines.run)(pixels, codes, lines) };
    }

    /// The inner product of `query` with each row of `codes`, exact for all values. The codes are
    /// signed bytes whatever the [`encoding`](Self::encoding); rows follow each other and are as
    /// long as the query, a multiple of [`CACHE_LINE_BYTES`].
    pub fn dot(&self, codes: &[u8], query: &[i8], out: &mut [i32]) {
        assert!(query.len().is_multiple_of(CACHE_LINE_BYTES) && query.len() <= LONGEST_DOT);
        assert_eq!(Some(codes.len()), product(&[query.len(), out.len()]));
        // SAFETY: `self` exists, so the processor has the instructions; the lengths fit.
        unsafe { (self.dot.run)(codes, query, out) };
    }
}

/// Whether `rows` rows of `row_bytes`, each `stride` bytes behind the one before, lie within `length`
/// bytes. There is at least one row.
fn rows_fit(rows: usize, stride: usize, row_bytes: usize, length: usize) -> bool {
    let last = product(&[rows - 1, stride]);
    last.and_then(|last| last.checked_add(row_bytes)).is_some_and(|end| end <= length)
}

/// The byte at an input position of a row under the window, or the padding's.
///
/// # Safety
///
/// `row.input[window_row]` can be read for `row.width` positions; `channel < row.stride_bytes`.
#[inline(always)]
unsafe fn read_tap(row: &Row<'_>, window_row: usize, position: usize, channel: usize) -> u8 {
    let x = position.wrapping_sub(row.left);
    if x >= row.width {
        return row.zero_point;
    }
    // SAFETY: x is a position of the row.
    unsafe { *row.input[window_row].add(x * row.stride_bytes + channel) }
}
