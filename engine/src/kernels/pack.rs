//! Weights in the order in which a kernel reads them.

use super::requant::CHANNEL_BLOCK;
use crate::buffer::Buffer;
use crate::limits::product;

/// The positions of the summed dimension are padded to a multiple of this.
pub const DEPTH_BLOCK: usize = 16;

/// Order of the weights of a matrix product: panels of `columns` output channels; in a panel,
/// steps of `group` positions of the summed dimension; in a step, each column's `group` weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Output channels of a panel; divides [`CHANNEL_BLOCK`].
    pub columns: usize,
    /// Neighbouring weights of a column; divides [`DEPTH_BLOCK`].
    pub group: usize,
    /// Weights and inputs are 16-bit words instead of bytes.
    pub words: bool,
}

impl Packing {
    /// Bytes of a weight.
    pub fn weight_bytes(self) -> usize {
        if self.words { 2 } else { 1 }
    }

    /// Bytes of a panel with `depth` positions; `None` where they exceed `usize`.
    pub fn panel_bytes(self, depth: usize) -> Option<usize> {
        product(&[self.columns, depth, self.weight_bytes()])
    }

    /// Bytes of packed weights; `None` where they exceed `usize`.
    pub fn packed_bytes(self, columns: usize, depth: usize) -> Option<usize> {
        let columns = columns.checked_next_multiple_of(CHANNEL_BLOCK)?;
        let depth = depth.checked_next_multiple_of(DEPTH_BLOCK)?;
        product(&[columns, depth, self.weight_bytes()])
    }

    /// Packs `weights`, `[column][position]`, padded with zeros in both directions.
    pub fn pack(self, weights: &[i8], columns: usize, depth: usize) -> Buffer {
        assert_eq!(Some(weights.len()), product(&[columns, depth]));
        let packed_bytes = self.packed_bytes(columns, depth).expect("the weights are not so many");
        let padded_depth = depth.next_multiple_of(DEPTH_BLOCK);
        let bytes = self.weight_bytes();
        let mut packed = Buffer::zeroed(packed_bytes);
        let target = packed.bytes_mut();
        for column in 0..columns {
            let panel = column / self.columns * self.columns * padded_depth;
            for position in 0..depth {
                let step = position / self.group * self.group * self.columns;
                let within = column % self.columns * self.group + position % self.group;
                let weight = weights[column * depth + position];
                let at = (panel + step + within) * bytes;
                target[at..at + bytes].copy_from_slice(&i16::from(weight).to_le_bytes()[..bytes]);
            }
        }
        packed
    }
}

/// Order of the weights of a depthwise convolution, in blocks of [`CHANNEL_BLOCK`] channels.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "orders that the kernels of other processors read")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthwisePacking {
    /// `[block][row][column][channel]`, bytes.
    Taps,
    /// `[block][pair of taps in reading order][channel][2]`, 16-bit words; the last pair may have
    /// one tap.
    PairsOfWords,
    /// `[block][column][group of four rows][channel][4]`, bytes; rows that are not there weigh 0.
    ColumnsOfFour,
}

impl DepthwisePacking {
    /// Bytes of a block with a window of `size` rows and columns; `None` where they exceed `usize`.
    pub fn block_bytes(self, size: [usize; 2]) -> Option<usize> {
        let taps = product(&size)?;
        match self {
            Self::Taps => product(&[CHANNEL_BLOCK, taps]),
            Self::PairsOfWords => product(&[CHANNEL_BLOCK, taps.div_ceil(2), 4]),
            Self::ColumnsOfFour => product(&[CHANNEL_BLOCK, size[1], size[0].div_ceil(4), 4]),
        }
    }

    /// Bytes of packed weights; `None` where they exceed `usize`.
    pub fn packed_bytes(self, channels: usize, size: [usize; 2]) -> Option<usize> {
        self.block_bytes(size)?.checked_mul(channels.div_ceil(CHANNEL_BLOCK))
    }

    /// Packs `weights`, `[channel][row][column]`.
    pub fn pack(self, weights: &[i8], channels: usize, size: [usize; 2]) -> Buffer {
        let [rows, columns] = size;
        assert_eq!(Some(weights.len()), product(&[channels, rows, columns]));
        let sizes = self.packed_bytes(channels, size).zip(self.block_bytes(size));
        let (packed_bytes, block_bytes) = sizes.expect("the weights are not so many");
        let mut packed = Buffer::zeroed(packed_bytes);
        let target = packed.bytes_mut();
        for channel in 0..channels {
            let block = channel / CHANNEL_BLOCK * block_bytes;
            let lane = channel % CHANNEL_BLOCK;
            for tap in 0..rows * columns {
                let (row, column) = (tap / columns, tap % columns);
                let weight = weights[channel * rows * columns + tap];
                match self {
                    Self::Taps => target[block + tap * CHANNEL_BLOCK + lane] = weight as u8,
                    Self::PairsOfWords => {
                        let at = block + (tap / 2 * CHANNEL_BLOCK + lane) * 4 + tap % 2 * 2;
                        target[at..at + 2].copy_from_slice(&i16::from(weight).to_le_bytes());
                    }
                    Self::ColumnsOfFour => {
                        let group = column * rows.div_ceil(4) + row / 4;
                        target[block + (group * CHANNEL_BLOCK + lane) * 4 + row % 4] = weight as u8;
                    }
                }
            }
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_exceed_a_word_are_none() {
        let packing = Packing { columns: 16, group: 4, words: true };
        assert_eq!(packing.panel_bytes(16), Some(512));
        assert_eq!(packing.panel_bytes(usize::MAX / 16), None);
        assert_eq!(packing.packed_bytes(17, 1), Some(32 * 16 * 2));
        assert_eq!(packing.packed_bytes(1 << 32, 1 << 32), None);
        assert_eq!(packing.packed_bytes(usize::MAX, 1), None);
        for packing in [
            DepthwisePacking::Taps,
            DepthwisePacking::PairsOfWords,
            DepthwisePacking::ColumnsOfFour,
        ] {
            assert_eq!(packing.block_bytes([7, usize::MAX / 8]), None);
            assert_eq!(packing.packed_bytes(usize::MAX, [7, 7]), None);
        }
    }

    #[test]
    fn a_column_lies_in_groups_within_its_panel() {
        let weights: Vec<i8> = (0..2 * 5).map(|value| value as i8 + 1).collect();
        let packed = Packing { columns: 16, group: 4, words: false }.pack(&weights, 2, 5);
        assert_eq!(packed.bytes().len(), 16 * 16);
        assert_eq!(packed.bytes()[..9], [1, 2, 3, 4, 6, 7, 8, 9, 0]);
        assert_eq!(packed.bytes()[64..69], [5, 0, 0, 0, 10]);
        let words = Packing { columns: 4, group: 2, words: true }.pack(&[-3, 4], 1, 2);
        assert_eq!(words.bytes()[..5], [0xfd, 0xff, 4, 0, 0]);
    }

    #[test]
    fn depthwise_taps_lie_channel_by_channel() {
        let weights: Vec<i8> = (1..=18).collect();
        let taps = DepthwisePacking::Taps.pack(&weights, 2, [3, 3]);
        assert_eq!(taps.bytes()[..3], [1, 10, 0]);
        assert_eq!(taps.bytes()[16..18], [2, 11]);
        let pairs = DepthwisePacking::PairsOfWords.pack(&weights, 2, [3, 3]);
        assert_eq!(pairs.bytes().len(), 5 * 64);
        assert_eq!(pairs.bytes()[..6], [1, 0, 2, 0, 10, 0]);
        let quads = DepthwisePacking::ColumnsOfFour.pack(&weights, 2, [3, 3]);
        assert_eq!(quads.bytes().len(), 3 * 64);
        assert_eq!(quads.bytes()[..8], [1, 4, 7, 0, 10, 13, 16, 0]);
        let tall = DepthwisePacking::ColumnsOfFour.pack(&[1; 5], 1, [5, 1]);
        assert_eq!(tall.bytes()[64..66], [1, 0]);
    }
}
