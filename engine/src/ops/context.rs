//! What an operation is given to run: kernels, its inputs and its output, threads.

#![allow(unsafe_code, reason = "bands of a value that threads write at the same time")]

use std::ops::Range;

use crate::arena::{Memory, Place};
use crate::kernels::Kernels;
use crate::kernels::requant::Encoding;
use crate::pool::Pool;

/// The computation of a compiled node.
pub trait Work: Send + Sync {
    /// Computes the output from the inputs. Allocates nothing.
    fn run(&self, context: &Context<'_>);
}

/// Computes rows of the output into their bytes, as the thread of this number.
type ThreadWork<'a> = dyn Fn(usize, Range<usize>, &mut [u8]) + Sync + 'a;

/// Works on a band: rows of the output, and their bytes.
type BandWork<'a> = dyn Fn(Range<usize>, &mut [u8]) + Sync + 'a;

/// As [`BandWork`], with the scratch of the thread.
type ScratchWork<'a> = dyn Fn(Range<usize>, &mut [u8], &mut [u8]) + Sync + 'a;

/// What a compiled node works with.
pub struct Context<'a> {
    /// The kernels that it was compiled for.
    pub kernels: &'static Kernels,
    /// All values of the network.
    pub places: &'a [Place],
    /// The inputs, positions in `places`.
    pub inputs: &'a [usize],
    /// The output, which is none of the inputs.
    pub output: &'a Place,
    /// Where the values lie.
    pub memory: &'a Memory<'a>,
    /// The threads.
    pub pool: &'a Pool,
}

impl Context<'_> {
    /// How codes lie in memory.
    pub fn encoding(&self) -> Encoding {
        self.kernels.encoding()
    }

    /// The place of an input.
    pub fn place(&self, index: usize) -> &Place {
        &self.places[self.inputs[index]]
    }

    /// The bytes of an input.
    pub fn bytes(&self, index: usize) -> &[u8] {
        self.memory.read(self.place(index))
    }

    /// The values of an input of floats.
    pub fn floats(&self, index: usize) -> &[f32] {
        self.memory.floats(self.place(index))
    }

    /// Calls `work` for the values of the output, which is of floats.
    pub fn fill_floats(&self, work: impl FnOnce(&mut [f32])) {
        // SAFETY: a node writes its output here or in `bands`, one after the other, and its output is
        // none of its inputs.
        work(unsafe { self.memory.write_floats(self.output) });
    }

    /// One band for each thread, where there is a row for each.
    pub fn share(&self) -> usize {
        self.pool.threads().min(self.output.tensor.shape.height)
    }

    /// Calls `work` for `bands` bands of rows of the output, as even as can be, on all threads. The
    /// larger ones come first, so that the threads end at about the same time.
    pub fn bands(&self, bands: usize, work: &BandWork<'_>) {
        self.each_band(bands, &|_, rows, bytes| work(rows, bytes));
    }

    /// As [`bands`](Self::bands), with the scratch of the thread.
    pub fn bands_with_scratch(&self, bands: usize, work: &ScratchWork<'_>) {
        self.each_band(bands, &|thread, rows, bytes| {
            // SAFETY: the pool runs one part on a thread at a time.
            work(rows, bytes, unsafe { self.memory.scratch(thread) });
        });
    }

    fn each_band(&self, bands: usize, work: &ThreadWork<'_>) {
        let height = self.output.tensor.shape.height;
        let row_bytes = self.output.row_bytes();
        self.pool.run(bands, &|thread, band| {
            let start = |band: usize| band * (height / bands) + band.min(height % bands);
            let rows = start(band)..start(band + 1);
            // SAFETY: bands do not overlap, and the output is none of the inputs.
            let bytes = unsafe {
                self.memory.write(self.output, rows.start * row_bytes..rows.end * row_bytes)
            };
            work(thread, rows, bytes);
        });
    }
}
