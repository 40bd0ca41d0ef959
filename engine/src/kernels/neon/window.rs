//! Windows of three by three positions: each column is read once and stays in registers for all
//! windows that it is in.

use std::arch::aarch64::*;

use super::super::Row;
use super::requantize::{Requantizer, ScalesAt, for_form};
use crate::kernels::requant::CHANNEL_BLOCK;

/// The arithmetic of a window of three by three positions and one block of channels.
pub(in super::super) trait SlidingWindow<const FLOATS: bool>: Copy {
    /// Three positions, one above the other.
    type Column: Copy;

    /// The weights of a block of channels.
    ///
    /// # Safety
    ///
    /// The packed weights have the block.
    unsafe fn new(weights: *const i8, block: usize) -> Self;

    /// The column at a place.
    ///
    /// # Safety
    ///
    /// 16 bytes can be read in each row.
    unsafe fn read(&self, place: ColumnPlace) -> Self::Column;

    /// Stores the results of the window whose first two columns are given and whose third is at
    /// `place`, and gives the third.
    ///
    /// `TURN` says in which of three groups of registers the first, second and third column should be:
    /// 0 1 2 for a turn of 0, 1 2 0 for 1, 2 0 1 for 2, and 2 1 0 for 3.
    ///
    /// # Safety
    ///
    /// As for [`Self::read`]; 16 bytes can be written at `output`, and `FORM` is that of the
    /// epilogue.
    unsafe fn advance<const TURN: usize, const FORM: u8>(
        &self,
        epilogue: &BlockEpilogue<'_, FLOATS>,
        columns: [Self::Column; 2],
        place: ColumnPlace,
        output: Output,
    ) -> Self::Column;
}

/// Three rows and the bytes from their starts to a position.
#[derive(Clone, Copy)]
pub(in super::super) struct ColumnPlace {
    pub(in super::super) rows: [*const i8; 3],
    pub(in super::super) offset: usize,
}

/// Where results are stored: an address, in two parts.
#[derive(Clone, Copy)]
pub(in super::super) struct Output {
    pub(in super::super) base: *mut i8,
    pub(in super::super) offset: usize,
}

/// The epilogue of a block of channels.
pub(in super::super) struct BlockEpilogue<'a, const FLOATS: bool> {
    pub(in super::super) requantizer: Requantizer<'a, FLOATS>,
    pub(in super::super) bias: *const i32,
    pub(in super::super) scales: ScalesAt,
}

impl<'a, const FLOATS: bool> BlockEpilogue<'a, FLOATS> {
    fn new(requantizer: Requantizer<'a, FLOATS>, block: usize) -> Self {
        let channel = block * CHANNEL_BLOCK;
        let bias = requantizer.bias(channel);
        Self { requantizer, bias, scales: requantizer.scales(channel) }
    }

    /// Stores the results of these sums, biases included.
    ///
    /// # Safety
    ///
    /// The epilogue has the channels, 16 bytes can be written at `output`, and `FORM` is its form.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in super::super) unsafe fn store<const FORM: u8>(
        &self,
        sums: [int32x4_t; 4],
        output: Output,
    ) {
        // SAFETY: as promised.
        unsafe {
            let scales = self.scales.of_sixteen::<FORM>();
            vst1q_s8(
                output.base.wrapping_add(output.offset),
                self.requantizer.codes::<FORM>(sums, &scales),
            );
        }
    }
}

/// Computes a row with a window of three by three, if it is one and `W` slides over it.
///
/// # Safety
///
/// As for [`super::super::RowFn`].
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn three_by_three<W: SlidingWindow<FLOATS>, const FLOATS: bool>(
    row: &Row<'_>,
    requantizer: Requantizer<'_, FLOATS>,
) -> bool {
    let &[top, middle, bottom] = row.input else { return false };
    if row.columns != 3 || row.left > 2 || row.stride > 2 {
        return false;
    }
    let rows = [top.cast(), middle.cast(), bottom.cast()];
    let padding = [row.zero_point as i8; CHANNEL_BLOCK];
    // SAFETY: as promised, and the row has the blocks.
    unsafe {
        for_form!(requantizer, FORM => {
            for block in 0..row.stride_bytes / CHANNEL_BLOCK {
                if row.stride == 1 {
                    Slide::<W, FLOATS, FORM>::new(row, rows, padding.as_ptr(), requantizer, block).by_one();
                } else {
                    Slide::<W, FLOATS, FORM>::new(row, rows, padding.as_ptr(), requantizer, block).by_two();
                }
            }
        });
    }
    true
}

/// A window on its way along one block of channels of a row.
struct Slide<'a, W, const FLOATS: bool, const FORM: u8> {
    row: &'a Row<'a>,
    rows: [*const i8; 3],
    epilogue: BlockEpilogue<'a, FLOATS>,
    window: W,
    channel: usize,
    /// A block of the byte that stands for 0.
    padding: *const i8,
}

impl<'a, W: SlidingWindow<FLOATS>, const FLOATS: bool, const FORM: u8> Slide<'a, W, FLOATS, FORM> {
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row has the block of channels, and `padding` outlives the
    /// window.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn new(
        row: &'a Row<'a>,
        rows: [*const i8; 3],
        padding: *const i8,
        requantizer: Requantizer<'a, FLOATS>,
        block: usize,
    ) -> Self {
        Self {
            row,
            rows,
            epilogue: BlockEpilogue::new(requantizer, block),
            // SAFETY: the row has the block.
            window: unsafe { W::new(row.weights.cast(), block) },
            channel: block * CHANNEL_BLOCK,
            padding,
        }
    }

    /// All windows, side by side.
    ///
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row moves by one position.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn by_one(&self) {
        let row = self.row;
        let step = row.stride_bytes;
        // SAFETY: the windows before `inside` end within the row, all places can be read, and the
        // row has `output_width` outputs.
        unsafe {
            let inside = (row.width + row.left).saturating_sub(2).min(row.output_width);
            let mut a = self.window.read(self.place(0));
            let mut b = self.window.read(self.place(1));
            let mut x = 0;
            let mut place = self.inner_place(2);
            // Outputs are as far apart as inputs, so one offset does for both.
            let base = self.output().wrapping_sub(place.offset);
            while x + 3 <= inside {
                let c = self.advance::<0>([a, b], place, Output { base, offset: place.offset });
                place.offset = place.offset.wrapping_add(step);
                a = self.advance::<1>([b, c], place, Output { base, offset: place.offset });
                place.offset = place.offset.wrapping_add(step);
                b = self.advance::<2>([c, a], place, Output { base, offset: place.offset });
                place.offset = place.offset.wrapping_add(step);
                x += 3;
            }
            while x < row.output_width {
                let output = Output { base, offset: place.offset };
                let c = self.advance::<0>([a, b], self.place(x + 2), output);
                (a, b) = (b, c);
                place.offset = place.offset.wrapping_add(step);
                x += 1;
            }
        }
    }

    /// Every other window.
    ///
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row moves by two positions.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn by_two(&self) {
        let row = self.row;
        let step = row.stride_bytes;
        // SAFETY: as in `by_one`.
        unsafe {
            let inside = ((row.width + row.left).saturating_sub(1) / 2).min(row.output_width);
            let mut output = Output { base: self.output(), offset: 0 };
            let mut a = self.window.read(self.place(0));
            let mut x = 0;
            // The one window whose second column may lie outside the row.
            if row.left == 2 && row.output_width > 0 {
                let b = self.window.read(self.place(1));
                a = self.advance::<0>([a, b], self.place(2), output);
                output.offset += step;
                x = 1;
            }
            let mut place = self.inner_place(2 * x + 1);
            while x + 2 <= inside {
                let b = self.window.read(place);
                place.offset = place.offset.wrapping_add(step);
                let c = self.advance::<0>([a, b], place, output);
                place.offset = place.offset.wrapping_add(step);
                output.offset += step;
                let b = self.window.read(place);
                place.offset = place.offset.wrapping_add(step);
                a = self.advance::<3>([c, b], place, output);
                place.offset = place.offset.wrapping_add(step);
                output.offset += step;
                x += 2;
            }
            while x < row.output_width {
                let b = self.window.read(self.place(2 * x + 1));
                a = self.advance::<0>([a, b], self.place(2 * x + 2), output);
                output.offset += step;
                x += 1;
            }
        }
    }

    /// Where the results of the block's first window go.
    #[inline]
    fn output(&self) -> *mut i8 {
        self.row.output.wrapping_add(self.channel).cast()
    }

    /// Where a position is, counted from the padding's first, that does not lie outside the row.
    #[inline]
    fn inner_place(&self, position: usize) -> ColumnPlace {
        let offset = position
            .wrapping_sub(self.row.left)
            .wrapping_mul(self.row.stride_bytes)
            .wrapping_add(self.channel);
        ColumnPlace { rows: self.rows, offset }
    }

    /// Where a position is, counted from the padding's first.
    #[inline]
    fn place(&self, position: usize) -> ColumnPlace {
        if position.wrapping_sub(self.row.left) < self.row.width {
            self.inner_place(position)
        } else {
            ColumnPlace { rows: [self.padding; 3], offset: 0 }
        }
    }

    /// Stores the results of a window whose first two columns are these, and gives the third.
    ///
    /// # Safety
    ///
    /// 16 bytes can be read in each row at `place`, and written at `output`.
    #[inline(always)]
    unsafe fn advance<const TURN: usize>(
        &self,
        columns: [W::Column; 2],
        place: ColumnPlace,
        output: Output,
    ) -> W::Column {
        // SAFETY: as promised; `FORM` is that of the epilogue.
        unsafe { self.window.advance::<TURN, FORM>(&self.epilogue, columns, place, output) }
    }
}
