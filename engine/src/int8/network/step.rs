//! The steps of a network, and how each is shared between threads.

mod floats;
mod gather;

use std::ops::Range;

use super::memory::{Memory, Place};
use crate::int8::buffer::Buffer;
use crate::int8::graph::{Quantization, Window};
use crate::int8::kernels::{Dwconv, DwconvInput, Gemm, Kernels, MOST_WINDOW_ROWS, Sum};
use crate::int8::lines::Lines;
use crate::int8::pool::Pool;
use crate::int8::requant::{Encoding, round_to_byte};
pub use floats::{DENSE_BLOCK, Dense};

/// One step; numbers are positions in the list of places.
pub struct Step {
    pub inputs: Vec<usize>,
    pub output: usize,
    pub work: Work,
}

/// What a step does.
pub enum Work {
    /// Bytes of three channels, as they lie in the output, through a line for each channel.
    PictureLines(Box<Lines>),
    /// Bytes through a table for each channel of three.
    PictureTables(Box<[[u8; 256]; 3]>),
    /// A matrix product for each position of the output.
    Product(Product),
    /// A depthwise convolution that no product takes up.
    Depthwise(Depthwise),
    Add(Sum),
    Multiply(Multiply),
    MaxPool(Window),
    GlobalAveragePool(Average),
    /// The byte of the channels that are added.
    PadChannels(u8),
    /// Bytes through one table.
    Table(Box<[u8; 256]>),
    Quantize(Quantization),
    Dequantize(Quantization),
    Dense(Dense),
    Normalise(f32),
    Concatenate,
    PlanesToPositions,
    PositionsToPlanes,
}

/// A matrix product, in bands of rows of the output.
pub struct Product {
    pub gemm: Gemm,
    pub source: Source,
    /// Bytes of inputs for each position, or words where the kernel reads those.
    pub depth: usize,
    /// Number of bands.
    pub bands: usize,
}

/// Where a matrix product finds its inputs.
pub enum Source {
    /// The positions of the input, as they lie.
    Positions,
    /// The window around each position, gathered; the byte stands for 0.
    Windows(Window, u8),
    /// A depthwise convolution, computed band by band so that it never leaves the cache.
    Depthwise(Box<Depthwise>),
}

/// A depthwise convolution.
pub struct Depthwise {
    pub dwconv: Dwconv,
    pub window: Window,
    pub zero_point: u8,
    /// A row of padding.
    pub padding: Buffer,
}

/// How two codes are multiplied: `round((a - zero_a) * (b - zero_b) * scale) + zero_point`.
pub struct Multiply {
    pub zero_a: i32,
    pub zero_b: i32,
    pub scale: f32,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

/// How a sum over all positions becomes their mean.
pub struct Average {
    pub zero: i32,
    pub scale: f32,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

/// Works on a band: thread, rows, bytes of these rows.
type BandWork<'a> = dyn Fn(usize, Range<usize>, &mut [u8]) + Sync + 'a;

/// What a step works with.
struct Context<'a> {
    kernels: &'static Kernels,
    memory: &'a Memory<'a>,
    pool: &'a Pool,
    inputs: [&'a Place; 2],
    output: &'a Place,
}

impl Step {
    /// Runs the step on all threads of `pool`.
    pub fn run(
        &self,
        kernels: &'static Kernels,
        places: &[Place],
        memory: &Memory<'_>,
        pool: &Pool,
    ) {
        let first = &places[self.inputs[0]];
        let second = self.inputs.get(1).map_or(first, |&input| &places[input]);
        let output = &places[self.output];
        let context = Context { kernels, memory, pool, inputs: [first, second], output };
        match &self.work {
            Work::PictureLines(lines) => context.picture_lines(lines),
            Work::PictureTables(tables) => context.picture_tables(tables),
            Work::Product(product) => context.product(product),
            Work::Depthwise(depthwise) => context.depthwise(depthwise),
            Work::Add(sum) => context.add(sum),
            Work::Multiply(multiply) => context.multiply(multiply),
            Work::MaxPool(window) => context.max_pool(*window),
            Work::GlobalAveragePool(average) => context.global_average_pool(average),
            Work::PadChannels(byte) => context.pad_channels(*byte),
            Work::Table(table) => context.table(table),
            Work::Quantize(quantization) => context.quantize(*quantization),
            Work::Dequantize(quantization) => context.dequantize(*quantization),
            Work::Dense(dense) => context.dense(dense),
            Work::Normalise(epsilon) => context.normalise(*epsilon),
            Work::Concatenate => context.concatenate(self.inputs.iter().map(|&at| &places[at])),
            Work::PlanesToPositions | Work::PositionsToPlanes => {
                let to_positions = matches!(self.work, Work::PlanesToPositions);
                context.transpose(to_positions);
            }
        }
    }
}

impl Context<'_> {
    fn encoding(&self) -> Encoding {
        self.kernels.encoding()
    }

    /// Calls `work` for `bands` bands of rows of the output, as even as can be. The larger ones come
    /// first, so that the threads end at about the same time.
    fn bands(&self, bands: usize, work: &BandWork<'_>) {
        let height = self.output.tensor.shape.height;
        let row_bytes = self.output.row_bytes();
        self.pool.run(bands, &|thread, band| {
            let start = |band: usize| band * (height / bands) + band.min(height % bands);
            let rows = start(band)..start(band + 1);
            // SAFETY: bands do not overlap, and the output is no input of this step.
            let bytes = unsafe {
                self.memory.write(self.output, rows.start * row_bytes..rows.end * row_bytes)
            };
            work(thread, rows, bytes);
        });
    }

    /// One band for each thread, where there is a row for each.
    fn share(&self) -> usize {
        self.pool.threads().min(self.output.tensor.shape.height)
    }

    fn picture_lines(&self, lines: &Lines) {
        let input = self.memory.read(self.inputs[0]);
        let row_bytes = self.inputs[0].row_bytes();
        self.bands(self.share(), &|_, rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            self.kernels.lines(input, output, lines);
        });
    }

    fn picture_tables(&self, tables: &[[u8; 256]; 3]) {
        let input = self.memory.read(self.inputs[0]);
        let row_bytes = self.inputs[0].row_bytes();
        let stride = self.output.stride_bytes;
        self.bands(self.share(), &|_, rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            for (codes, pixel) in output.chunks_exact_mut(stride).zip(input.chunks_exact(3)) {
                for ((code, &value), table) in codes.iter_mut().zip(pixel).zip(tables) {
                    *code = table[usize::from(value)];
                }
            }
        });
    }

    fn product(&self, product: &Product) {
        let input = self.memory.read(self.inputs[0]);
        let width = self.output.tensor.shape.width;
        self.bands(product.bands, &|thread, rows, output| {
            let positions = rows.len() * width;
            let at = rows.start * width * product.depth;
            // SAFETY: the pool runs one part on a thread at a time.
            let scratch = unsafe { self.memory.scratch(thread) };
            let bytes = positions * product.depth;
            let (gathered, words) = scratch.split_at_mut(bytes + SCRATCH_SLACK_BYTES);
            let inputs: &[u8] = match &product.source {
                Source::Positions => &input[at..at + bytes],
                Source::Windows(window, zero) => {
                    self.gather(input, *window, *zero, rows, product.depth, gathered);
                    &gathered[..bytes]
                }
                Source::Depthwise(depthwise) => {
                    for (y, row) in rows.zip(gathered.chunks_exact_mut(width * product.depth)) {
                        self.depthwise_row(depthwise, input, y, row, width);
                    }
                    &gathered[..bytes]
                }
            };
            let (inputs, stride) = if self.kernels.reads_words() {
                widen(inputs, words, self.encoding());
                (&words[..bytes * 2], product.depth * 2)
            } else {
                (inputs, product.depth)
            };
            let stride_bytes = self.output.stride_bytes;
            self.kernels.gemm(&product.gemm, positions, inputs, stride, output, stride_bytes);
        });
    }

    fn depthwise_row(
        &self,
        depthwise: &Depthwise,
        input: &[u8],
        y: usize,
        output: &mut [u8],
        width: usize,
    ) {
        let row_bytes = self.inputs[0].row_bytes();
        let window = depthwise.window;
        let mut rows = [&[][..]; MOST_WINDOW_ROWS];
        for (index, row) in rows[..window.size[0]].iter_mut().enumerate() {
            let source = (y * window.stride[0] + index).wrapping_sub(window.padding.top);
            *row = if source < self.inputs[0].tensor.shape.height {
                &input[source * row_bytes..(source + 1) * row_bytes]
            } else {
                depthwise.padding.bytes()
            };
        }
        let input = DwconvInput {
            rows: &rows[..window.size[0]],
            stride: window.stride[1],
            left: window.padding.left,
            zero_point: depthwise.zero_point,
        };
        self.kernels.dwconv(&depthwise.dwconv, &input, output, width);
    }

    fn depthwise(&self, depthwise: &Depthwise) {
        let input = self.memory.read(self.inputs[0]);
        let width = self.output.tensor.shape.width;
        self.bands(self.share(), &|_, rows, output| {
            for (y, row) in rows.zip(output.chunks_exact_mut(self.output.row_bytes())) {
                self.depthwise_row(depthwise, input, y, row, width);
            }
        });
    }

    fn add(&self, sum: &Sum) {
        let [a, b] = self.inputs.map(|place| self.memory.read(place));
        let row_bytes = self.output.row_bytes();
        self.bands(self.share(), &|_, rows, output| {
            let bytes = rows.start * row_bytes..rows.end * row_bytes;
            self.kernels.vadd(&a[bytes.clone()], &b[bytes], output, sum);
        });
    }

    fn multiply(&self, multiply: &Multiply) {
        let [a, b] = self.inputs.map(|place| self.memory.read(place));
        let stride = self.output.stride_bytes;
        let row_bytes = self.output.row_bytes();
        let encoding = self.encoding();
        let factors = |position: usize| {
            let at = if self.inputs[1].tensor.shape.positions() == 1 { 0 } else { position };
            &b[at * stride..(at + 1) * stride]
        };
        self.bands(self.share(), &|_, rows, output| {
            let a = &a[rows.start * row_bytes..rows.end * row_bytes];
            let first = rows.start * self.output.tensor.shape.width;
            let positions = output.chunks_exact_mut(stride).zip(a.chunks_exact(stride));
            for (position, (output, a)) in positions.enumerate() {
                for ((output, &a), &b) in output.iter_mut().zip(a).zip(factors(first + position)) {
                    let a = encoding.read(a) - multiply.zero_a;
                    let b = encoding.read(b) - multiply.zero_b;
                    let value = (a * b) as f32 * multiply.scale;
                    *output = round_to_byte(value, multiply.zero_point, multiply.min, multiply.max);
                }
            }
        });
    }

    fn max_pool(&self, window: Window) {
        let input = self.memory.read(self.inputs[0]);
        let shape = self.inputs[0].tensor.shape;
        let stride = self.output.stride_bytes;
        let encoding = self.encoding();
        self.bands(self.share(), &|_, rows, output| {
            output.fill(encoding.encode(i8::MIN));
            for (index, target) in output.chunks_exact_mut(stride).enumerate() {
                let y = rows.start + index / self.output.tensor.shape.width;
                let x = index % self.output.tensor.shape.width;
                for tap in 0..window.size[0] * window.size[1] {
                    let [row, column] = [tap / window.size[1], tap % window.size[1]];
                    let y = (y * window.stride[0] + row).wrapping_sub(window.padding.top);
                    let x = (x * window.stride[1] + column).wrapping_sub(window.padding.left);
                    if y >= shape.height || x >= shape.width {
                        continue;
                    }
                    let source = &input[(y * shape.width + x) * stride..][..stride];
                    keep_largest(target, source, encoding);
                }
            }
        });
    }

    fn global_average_pool(&self, average: &Average) {
        const BLOCK: usize = 16;
        let input = self.memory.read(self.inputs[0]);
        let stride = self.output.stride_bytes;
        let encoding = self.encoding();
        self.bands(1, &|_, _, output| {
            for (block, target) in output.chunks_exact_mut(BLOCK).enumerate() {
                let mut sums = [0_i32; BLOCK];
                for position in input.chunks_exact(stride) {
                    let bytes = &position[block * BLOCK..(block + 1) * BLOCK];
                    for (sum, &byte) in sums.iter_mut().zip(bytes) {
                        *sum += encoding.read(byte) - average.zero;
                    }
                }
                for (target, sum) in target.iter_mut().zip(sums) {
                    let value = sum as f32 * average.scale;
                    *target = round_to_byte(value, average.zero_point, average.min, average.max);
                }
            }
        });
    }

    fn pad_channels(&self, byte: u8) {
        let input = self.memory.read(self.inputs[0]);
        let channels = self.inputs[0].tensor.shape.channels;
        let strides = [self.inputs[0].stride_bytes, self.output.stride_bytes];
        self.bands(self.share(), &|_, rows, output| {
            let first = rows.start * self.output.tensor.shape.width;
            for (index, target) in output.chunks_exact_mut(strides[1]).enumerate() {
                let source = &input[(first + index) * strides[0]..][..channels];
                target[..channels].copy_from_slice(source);
                target[channels..].fill(byte);
            }
        });
    }

    fn table(&self, table: &[u8; 256]) {
        let input = self.memory.read(self.inputs[0]);
        let row_bytes = self.output.row_bytes();
        self.bands(self.share(), &|_, rows, output| {
            let input = &input[rows.start * row_bytes..rows.end * row_bytes];
            self.kernels.lut(input, output, table);
        });
    }
}

/// Room behind gathered bytes for a whole vector.
pub const SCRATCH_SLACK_BYTES: usize = 64;

/// Keeps the larger of each two bytes; the loops are apart so that each becomes vector code.
fn keep_largest(largest: &mut [u8], bytes: &[u8], encoding: Encoding) {
    match encoding {
        Encoding::Signed => {
            for (largest, &byte) in largest.iter_mut().zip(bytes) {
                *largest = (*largest as i8).max(byte as i8) as u8;
            }
        }
        Encoding::Offset => {
            for (largest, &byte) in largest.iter_mut().zip(bytes) {
                *largest = (*largest).max(byte);
            }
        }
    }
}

/// Bytes to 16-bit words.
fn widen(bytes: &[u8], words: &mut [u8], encoding: Encoding) {
    for (word, &byte) in words.chunks_exact_mut(2).zip(bytes) {
        word.copy_from_slice(&(encoding.read(byte) as i16).to_le_bytes());
    }
}
