//! Reads PNG pictures row by row, so that a large one takes the memory of a small one.

use std::io::{BufRead, Seek};

use image::metadata::Orientation;
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Reader, Transformations};

use super::shrink::{Shrinker, factor};
use super::{Decoded, Limits, MOST_METADATA_BYTES, Unreadable, check_size, large, too_large};
use crate::picture::turn::swaps_sides;

/// Longest side; a row is held as a whole.
const LONGEST_SIDE_PX: u32 = 65_535;

/// Column and row of the first pixel of each pass of an interlaced picture, and the steps to the next.
pub(super) const PASSES: [[u32; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// A picture whose header was read.
pub struct Plan<R: BufRead + Seek> {
    reader: Reader<R>,
    orientation: Orientation,
    factor: u32,
}

impl<R: BufRead + Seek> Plan<R> {
    /// Reads the header, and chooses the largest size that `limits` allow.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn new(source: R, limits: &Limits) -> Result<Self, Unreadable> {
        let mut options = DecodeOptions::default();
        options.set_ignore_text_chunk(true);
        options.set_ignore_iccp_chunk(true);
        let mut decoder = Decoder::new_with_options(source, options);
        decoder.set_limits(png::Limits { bytes: MOST_METADATA_BYTES as usize });
        decoder.set_transformations(Transformations::EXPAND);
        let header = decoder.read_header_info().map_err(Unreadable::decoder)?;
        let (width, height) = (header.width, header.height);
        check_size(width, height, LONGEST_SIDE_PX)?;
        let reader = decoder.read_info().map_err(Unreadable::decoder)?;
        let exif = reader.info().exif_metadata.as_deref();
        let orientation = exif.and_then(Orientation::from_exif_chunk);
        let orientation = limits.turn.after(orientation.unwrap_or(Orientation::NoTransforms));
        let plan = Self { reader, orientation, factor: factor(width, height, limits.pixels) };
        if plan.need_bytes() > limits.bytes {
            return Err(too_large(limits));
        }
        Ok(plan)
    }

    /// Most memory that decoding and turning take, single rows and what stands before them included.
    pub fn need_bytes(&self) -> u64 {
        let [width, height] = self.size();
        let rgb = 3 * u64::from(width) * u64::from(height);
        MOST_METADATA_BYTES + if swaps_sides(self.orientation) { 2 * rgb } else { rgb }
    }

    /// The pixels.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn decode(mut self) -> Result<Decoded, Unreadable> {
        let [width, height] = self.size();
        let (orientation, reduction) = (self.orientation, self.factor);
        let rgb = if self.reader.info().interlaced {
            let mut rgb = large::zeros(3 * width as usize * height as usize);
            self.interlaced(&mut rgb, width as usize)?;
            rgb
        } else {
            self.row_by_row()?
        };
        Ok(Decoded { rgb, size: (width, height), orientation, reduction })
    }

    fn size(&self) -> [u32; 2] {
        let info = self.reader.info();
        [info.width.div_ceil(self.factor), info.height.div_ceil(self.factor)]
    }

    fn row_by_row(&mut self) -> Result<Vec<u8>, Unreadable> {
        let (width, height) = (self.reader.info().width, self.reader.info().height);
        let layout = self.reader.output_color_type();
        let mut shrinker = Shrinker::new([width, height], self.factor);
        let mut line = Vec::with_capacity(3 * width as usize);
        for _ in 0..height {
            let row = self.reader.next_row().map_err(Unreadable::decoder)?.ok_or(CUT)?;
            line.clear();
            line.extend(pixels(row.data(), layout).flatten());
            shrinker.add(&line);
        }
        Ok(shrinker.finish())
    }

    /// Of squares of pixels that become one, the top left one is taken: the others come at other times.
    fn interlaced(&mut self, rgb: &mut [u8], across: usize) -> Result<(), Unreadable> {
        let (width, height) = (self.reader.info().width, self.reader.info().height);
        let layout = self.reader.output_color_type();
        let factor = self.factor;
        for [first_x, first_y, step_x, step_y] in PASSES {
            if first_x >= width {
                continue;
            }
            for y in (first_y..height).step_by(step_y as usize) {
                let row =
                    self.reader.next_interlaced_row().map_err(Unreadable::decoder)?.ok_or(CUT)?;
                if y % factor > 0 {
                    continue;
                }
                let columns = (first_x..width).step_by(step_x as usize);
                for (x, pixel) in columns.zip(pixels(row.data(), layout)) {
                    if x % factor == 0 {
                        let at = (y / factor) as usize * across + (x / factor) as usize;
                        rgb[3 * at..][..3].copy_from_slice(&pixel);
                    }
                }
            }
        }
        Ok(())
    }
}

/// There are fewer rows than the header says.
const CUT: Unreadable = Unreadable::Cut("rows are");

/// The pixels of a row as R G B; how opaque they are does not matter.
fn pixels(row: &[u8], (color, depth): (ColorType, BitDepth)) -> impl Iterator<Item = [u8; 3]> {
    let bytes = if depth == BitDepth::Sixteen { 2 } else { 1 };
    let samples = color.samples();
    row.chunks_exact(bytes * samples).map(move |pixel| {
        let sample = |at: usize| match pixel[at * bytes..][..bytes] {
            [high, low] => ((u32::from(u16::from_be_bytes([high, low])) + 128) / 257) as u8,
            _ => pixel[at],
        };
        if samples < 3 { [sample(0); 3] } else { [sample(0), sample(1), sample(2)] }
    })
}
