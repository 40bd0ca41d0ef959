//! Windows of three by three positions: each column is read once and stays in registers for all
//! windows that it is in.

use std::arch::aarch64::*;

use super::super::Row;
use super::requantize::{Requantizer, ScalesAt, for_form};
use crate::engine::int8::requant::CHANNEL_BLOCK;

/// The arithmetic of a window of three by three positions and one block of channels.
pub(in super::super) trait Window: Copy {
    /// Three positions, one above the other.
    type Column: Copy;

    /// The weights of a block of channels.
    ///
    /// # Safety
    ///
    /// The packed weights have the block.
    unsafe fn new(weights: *const i8, block: usize) -> Self;

    /// A column of the positions that these point to.
    ///
    /// # Safety
    ///
    /// 16 bytes can be read at each.
    unsafe fn read(&self, rows: [*const i8; 3], offset: usize) -> Self::Column;

    /// A column with the same byte everywhere.
    fn fill(&self, byte: i8) -> Self::Column;

    /// Reads the third column of a window and gives it with the sums.
    ///
    /// `TURN` says which registers the columns should be in: the same three groups, from the first
    /// on at 0, from the second on at 1, from the third on at 2, and from the third back at 3.
    ///
    /// # Safety
    ///
    /// As for [`Self::read`] and [`Self::sums`].
    unsafe fn advance<const TURN: usize>(
        &self,
        biases: *const i32,
        columns: [&Self::Column; 2],
        rows: [*const i8; 3],
        offset: usize,
    ) -> (Self::Column, [int32x4_t; 4]);

    /// The sums of the window with these columns, on top of the 16 biases.
    ///
    /// # Safety
    ///
    /// The biases can be read.
    unsafe fn sums(&self, biases: *const i32, columns: [&Self::Column; 3]) -> [int32x4_t; 4];
}

/// Computes a row with a window of three by three, if it is one and `W` slides over it.
///
/// # Safety
///
/// As for [`super::super::RowFn`].
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn three_by_three<W: Window>(
    row: &Row<'_>,
    requantizer: Requantizer<'_>,
) -> bool {
    let &[top, middle, bottom] = row.input else { return false };
    if row.columns != 3 || row.left > 2 || row.stride > 2 {
        return false;
    }
    let rows = [top.cast(), middle.cast(), bottom.cast()];
    // SAFETY: as promised, and the row has the blocks.
    unsafe {
        for_form!(requantizer, FORM => {
            for block in 0..row.stride_bytes / CHANNEL_BLOCK {
                if row.stride == 1 {
                    Slide::<W, FORM>::new(row, rows, requantizer, block).by_one();
                } else {
                    Slide::<W, FORM>::new(row, rows, requantizer, block).by_two();
                }
            }
        });
    }
    true
}

/// A window on its way along one block of channels of a row.
struct Slide<'a, W, const FORM: u8> {
    row: &'a Row<'a>,
    rows: [*const i8; 3],
    requantizer: Requantizer<'a>,
    window: W,
    channel: usize,
    biases: *const i32,
    scales: ScalesAt,
}

impl<'a, W: Window, const FORM: u8> Slide<'a, W, FORM> {
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row has the block of channels.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn new(
        row: &'a Row<'a>,
        rows: [*const i8; 3],
        requantizer: Requantizer<'a>,
        block: usize,
    ) -> Self {
        // SAFETY: the row has the block.
        let window = unsafe { W::new(row.weights.cast(), block) };
        let channel = block * CHANNEL_BLOCK;
        let biases = requantizer.bias(channel);
        Self {
            row,
            rows,
            requantizer,
            window,
            channel,
            biases,
            scales: requantizer.scales(channel),
        }
    }

    /// All windows, side by side.
    ///
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row moves by one position.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn by_one(&mut self) {
        let row = self.row;
        let step = row.stride_bytes;
        // SAFETY: the windows before `inside` end within the row.
        unsafe {
            let inside = (row.width + row.left).saturating_sub(2).min(row.output_width);
            let mut output = row.output.add(self.channel).cast();
            let mut a = self.read(0);
            let mut b = self.read(1);
            let mut x = 0;
            let mut offset = self.offset(2);
            while x + 3 <= inside {
                let c = self.advance::<0>([&a, &b], offset, output);
                offset = offset.wrapping_add(step);
                output = output.wrapping_add(step);
                a = self.advance::<1>([&b, &c], offset, output);
                offset = offset.wrapping_add(step);
                output = output.wrapping_add(step);
                b = self.advance::<2>([&c, &a], offset, output);
                offset = offset.wrapping_add(step);
                output = output.wrapping_add(step);
                x += 3;
            }
            while x < row.output_width {
                let c = self.read(x + 2);
                self.put([&a, &b, &c], output);
                (a, b) = (b, c);
                output = output.wrapping_add(step);
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
    unsafe fn by_two(&mut self) {
        let row = self.row;
        let step = row.stride_bytes;
        // SAFETY: the windows before `inside` end within the row.
        unsafe {
            let inside = ((row.width + row.left).saturating_sub(1) / 2).min(row.output_width);
            let mut output = row.output.add(self.channel).cast();
            let mut a = self.read(0);
            let mut x = 0;
            if row.left == 2 && row.output_width > 0 {
                let [b, c] = [self.read(1), self.read(2)];
                self.put([&a, &b, &c], output);
                a = c;
                output = output.wrapping_add(step);
                x = 1;
            }
            let mut offset = self.offset(2 * x + 1);
            while x + 2 <= inside {
                let b = self.window.read(self.rows, offset);
                offset = offset.wrapping_add(step);
                let c = self.advance::<0>([&a, &b], offset, output);
                offset = offset.wrapping_add(step);
                output = output.wrapping_add(step);
                let b = self.window.read(self.rows, offset);
                offset = offset.wrapping_add(step);
                a = self.advance::<3>([&c, &b], offset, output);
                offset = offset.wrapping_add(step);
                output = output.wrapping_add(step);
                x += 2;
            }
            while x < row.output_width {
                let [b, c] = [self.read(2 * x + 1), self.read(2 * x + 2)];
                self.put([&a, &b, &c], output);
                a = c;
                output = output.wrapping_add(step);
                x += 1;
            }
        }
    }

    /// Bytes from the start of a row to a position, counted from the padding's first.
    #[inline]
    fn offset(&self, position: usize) -> usize {
        position
            .wrapping_sub(self.row.left)
            .wrapping_mul(self.row.stride_bytes)
            .wrapping_add(self.channel)
    }

    /// The column at a position, counted from the padding's first; it may lie outside the row.
    ///
    /// # Safety
    ///
    /// As for [`super::super::RowFn`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn read(&self, position: usize) -> W::Column {
        if position.wrapping_sub(self.row.left) < self.row.width {
            // SAFETY: the row has the position.
            unsafe { self.window.read(self.rows, self.offset(position)) }
        } else {
            self.window.fill(self.row.zero_point as i8)
        }
    }

    /// Stores the results of a window whose first two columns are these, and gives the third.
    ///
    /// # Safety
    ///
    /// As for [`super::super::RowFn`]; the row has the position of the third column and 16 bytes
    /// can be written at `output`.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn advance<const TURN: usize>(
        &mut self,
        columns: [&W::Column; 2],
        offset: usize,
        output: *mut i8,
    ) -> W::Column {
        // SAFETY: as promised; the epilogue has the channels.
        unsafe {
            let (column, sums) =
                self.window.advance::<TURN>(self.biases, columns, self.rows, offset);
            self.store(sums, output);
            column
        }
    }

    /// Stores the results of a window.
    ///
    /// # Safety
    ///
    /// 16 bytes can be written at `output`.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn put(&mut self, columns: [&W::Column; 3], output: *mut i8) {
        // SAFETY: as promised; the epilogue has the channels.
        unsafe {
            let sums = self.window.sums(self.biases, columns);
            self.store(sums, output);
        }
    }

    /// Stores the results of these sums.
    ///
    /// # Safety
    ///
    /// 16 bytes can be written at `output`.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(&mut self, sums: [int32x4_t; 4], output: *mut i8) {
        // SAFETY: as promised; the epilogue has the channels.
        unsafe {
            self.scales = self.scales.hidden();
            let scales = self.scales.of_sixteen::<FORM>();
            vst1q_s8(output, self.requantizer.codes::<FORM>(sums, &scales));
        }
    }
}
