//! Decodes JPEG pictures: all of the data has to be there, and memory is bounded.
//!
//! zune-jpeg decodes the common forms in full size, as it is fast. What it cannot do is done here: find
//! out whether scans are cut off, decode what it refuses though it is valid, and decode large pictures
//! in a half, a quarter or an eighth of their size with little more memory than that size takes.

mod bits;
mod header;
pub mod markers;
mod pixels;
#[cfg(test)]
pub(crate) mod samples;
mod scans;
mod tables;

use std::borrow::Cow;

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Limits, Unreadable};
use crate::picture::turn::swaps_sides;
use header::FrameHeader;
use markers::Layout;
use scans::Coefficients;

/// Most pixels of a picture; some phones write 200 million.
const MOST_PIXELS: u64 = 256_000_000;

/// Most scans of a picture. Ten are usual; each takes time even if there is nothing in it.
const MOST_SCANS: u32 = 100;

/// Pixels that a block of eight by eight can give, each way; the largest first.
const SIDES: [usize; 4] = [8, 4, 2, 1];

/// What is wrong with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Data is missing.
    #[error("is cut off: data is missing")]
    Cut,
    /// Data makes no sense.
    #[error("is broken: its JPEG data makes no sense")]
    Data,
    /// It asks for more work than any picture needs.
    #[error("is broken: it has more scans than a picture needs")]
    Work,
    /// It is of a kind that is not read.
    #[error("is a JPEG of a kind that is not read ({0}); save it anew")]
    Unsupported(&'static str),
}

/// A picture whose header was read, and how it will be decoded.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The picture up to the end of its compressed data.
    bytes: &'a [u8],
    /// The segment of Huffman tables that it lacks, or nothing.
    tables: Vec<u8>,
    layout: Layout,
    frame: FrameHeader,
    orientation: Orientation,
    side: usize,
    /// The decoder of this crate reads it in full size too.
    is_own: bool,
    limits: Limits,
}

impl<'a> Plan<'a> {
    /// Reads the header of the picture that `bytes` starts with, and chooses the largest size that
    /// `limits` allow. Bytes after its end are ignored; Huffman tables are added when it has none.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, Unreadable> {
        let layout = markers::layout(bytes)?;
        if layout.scans > MOST_SCANS {
            return Err(Damage::Work.into());
        }
        let frame = header::find_frame(bytes, layout.scan_start)?;
        let orientation = layout.exif.clone().and_then(|exif| bytes.get(exif));
        let orientation = orientation.and_then(Orientation::from_exif_chunk);
        let tables = if layout.has_huffman_tables { Vec::new() } else { tables::huffman_tables() };
        let is_own = !is_common(&frame, &layout, bytes);
        let orientation = limits.turn.after(orientation.unwrap_or(Orientation::NoTransforms));
        let bytes = &bytes[..layout.end];
        let plan =
            Self { bytes, tables, layout, frame, orientation, side: 0, is_own, limits: *limits };
        plan.check_pixels(MOST_PIXELS)?;
        plan.sized()
    }

    /// The same picture by the decoder of this crate, which reads what the other one refuses, takes
    /// more memory, and so may make the picture smaller.
    ///
    /// # Errors
    /// When that memory is more than there may be.
    pub fn with_own_decoder(self) -> Result<Self, Unreadable> {
        Self { is_own: true, ..self }.sized()
    }

    fn sized(self) -> Result<Self, Unreadable> {
        let limits = &self.limits;
        let fits = |&side: &usize| {
            self.pixels(side) <= limits.pixels && self.need_bytes_for(side) <= limits.bytes
        };
        let advice = if self.frame.is_progressive {
            "scale it down, or save it without the progressive option"
        } else {
            "scale it down"
        };
        let side = SIDES.into_iter().find(fits);
        let side = side.ok_or(Unreadable::TooMuchMemory { most_bytes: limits.bytes, advice })?;
        Ok(Self { side, ..self })
    }

    /// Checks the size that the header says.
    ///
    /// # Errors
    /// When there are more than `most` pixels.
    pub fn check_pixels(&self, most: u64) -> Result<(), Unreadable> {
        let FrameHeader { width, height, .. } = self.frame;
        if self.frame.pixels() > most {
            return Err(Unreadable::TooManyPixels { width, height, most });
        }
        Ok(())
    }

    /// Most memory that decoding and turning take beside the bytes it starts from.
    pub fn need_bytes(&self) -> u64 {
        self.need_bytes_for(self.side)
    }

    /// Bytes of the pixels that come out.
    pub fn rgb_bytes(&self) -> usize {
        3 * self.pixels(self.side) as usize
    }

    /// How many pixels of the picture each pixel that comes out stands for, each way.
    pub fn reduction(&self) -> u32 {
        (8 / self.side) as u32
    }

    /// How the picture has to be turned after it was decoded.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Appends the pixels as R G B to `rgb`, which is made empty before, and gives their width and
    /// height; `None` when that takes the [decoder of this crate](Self::with_own_decoder).
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn decode(&self, rgb: &mut Vec<u8>) -> Result<Option<(u32, u32)>, Unreadable> {
        rgb.clear();
        let picture = self.picture();
        if self.side < 8 || self.is_own {
            return Ok(Some(self.decode_own(&picture, self.side, rgb)?));
        }
        let is_checked = self.layout.scans > 1 || !self.layout.has_end_marker;
        if is_checked {
            self.coefficients(&picture, 0)?;
        }
        if let Some(size) = self.decode_fast(&picture, rgb) {
            return Ok(Some(size));
        }
        // What is broken is found out without memory for it.
        if !is_checked {
            self.coefficients(&picture, 0)?;
        }
        Ok(None)
    }

    /// The picture with Huffman tables.
    fn picture(&self) -> Cow<'a, [u8]> {
        if self.tables.is_empty() {
            return Cow::Borrowed(self.bytes);
        }
        let (start, scan) = self.bytes.split_at(self.layout.scan_start);
        Cow::Owned([start, &self.tables, scan].concat())
    }

    fn decode_own(
        &self,
        picture: &[u8],
        side: usize,
        rgb: &mut Vec<u8>,
    ) -> Result<(u32, u32), Damage> {
        pixels::paint(&self.coefficients(picture, side)?, rgb)
    }

    fn coefficients(&self, picture: &[u8], side: usize) -> Result<Coefficients, Damage> {
        Coefficients::read(picture, side, self.layout.has_end_marker)
    }

    /// `None` where zune-jpeg refuses it.
    fn decode_fast(&self, picture: &[u8], rgb: &mut Vec<u8>) -> Option<(u32, u32)> {
        // The decoder takes an end marker in the middle of a scan for the end of the picture and
        // fills up with gray. Without the marker it notices that data is missing.
        let with_end;
        let picture = if self.layout.scans > 1 {
            with_end = [picture, &[0xFF, markers::EOI]].concat();
            &with_end
        } else {
            picture
        };
        let side = usize::from(u16::MAX);
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(side)
            .set_max_height(side)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
        decoder.decode_headers().ok()?;
        let (width, height) = (self.frame.width, self.frame.height);
        let size = decoder.output_buffer_size();
        if decoder.dimensions() != Some((width, height)) || size != Some(width * height * 3) {
            return None;
        }
        rgb.resize(width * height * 3, 0);
        decoder.decode_into(rgb).ok()?;
        Some((width as u32, height as u32))
    }

    /// Pixels that come out when each block of eight by eight gives `side` by `side`.
    fn pixels(&self, side: usize) -> u64 {
        let scaled = |length: usize| (length * side).div_ceil(8) as u64;
        scaled(self.frame.width) * scaled(self.frame.height)
    }

    fn need_bytes_for(&self, side: usize) -> u64 {
        let rgb = 3 * self.pixels(side);
        let decoding = match side {
            8 if self.is_own => scans::bytes(&self.frame, 8),
            8 if self.layout.scans > 1 => 128 * self.frame.blocks() + self.bytes.len() as u64,
            8 => 0,
            _ => scans::bytes(&self.frame, side),
        };
        let turning = if swaps_sides(self.orientation) { rgb } else { 0 };
        let with_tables = (self.bytes.len() + self.tables.len()) as u64;
        let copied = if self.tables.is_empty() { 0 } else { with_tables };
        rgb + decoding.max(turning) + copied
    }
}

/// Whether zune-jpeg knows the form. Of components in scans of their own, and of colours that are finer
/// than the brightness, it makes nonsense.
fn is_common(frame: &FrameHeader, layout: &Layout, bytes: &[u8]) -> bool {
    let [first, rest @ ..] = frame.components.as_slice() else { return false };
    let is_finest = [first.h, first.v] == [frame.h_max, frame.v_max];
    let others_are_coarsest = rest.iter().all(|other| [other.h, other.v] == [1, 1]);
    let is_cmyk_as_usual = rest.len() < 3 || [first.h, first.v] == [1, 1];
    // The first scan says how many components it has.
    let named = bytes.get(layout.scan_start + 4).map_or(0, |&count| usize::from(count));
    let is_interleaved = layout.scans == 1 && named == frame.components.len();
    is_finest && others_are_coarsest && is_cmyk_as_usual && (frame.is_progressive || is_interleaved)
}

#[cfg(test)]
mod tests;
