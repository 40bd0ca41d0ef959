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
use std::fmt;

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Limits;
use super::turn::swaps_sides;
use header::Frame;
use markers::Layout;
use scans::Coefficients;

/// Most pixels of a picture; some phones write 200 million.
const MOST_PIXELS: u64 = 256_000_000;

/// Most scans of a picture. Ten are usual; each takes time even if there is nothing in it.
const MOST_SCANS: u32 = 100;

/// Pixels of a block that stand for its eight, each way, the largest first.
const SIDES: [usize; 4] = [8, 4, 2, 1];

/// What is wrong with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Data is missing.
    Cut,
    /// Data makes no sense.
    Data,
    /// It asks for more work than any picture needs.
    Work,
    /// It is of a kind that is not read.
    Unsupported(&'static str),
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => formatter.write_str("is cut off: data is missing"),
            Self::Data => formatter.write_str("is broken: its JPEG data makes no sense"),
            Self::Work => formatter.write_str("is broken: it has more scans than a picture needs"),
            Self::Unsupported(kind) => {
                write!(formatter, "is a JPEG of a kind that is not read ({kind}); save it anew")
            }
        }
    }
}

impl From<Damage> for String {
    fn from(damage: Damage) -> Self {
        damage.to_string()
    }
}

/// A picture whose header was read, and how it will be decoded.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The picture up to the end of its compressed data, with Huffman tables.
    picture: Cow<'a, [u8]>,
    layout: Layout,
    frame: Frame,
    orientation: Orientation,
    side: usize,
    limit_bytes: u64,
}

impl<'a> Plan<'a> {
    /// Reads the header of the picture that `bytes` starts with, and chooses the largest size that
    /// `limits` allow. Bytes after its end are ignored; Huffman tables are added when it has none.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, String> {
        let layout = markers::layout(bytes)?;
        if layout.scans > MOST_SCANS {
            return Err(Damage::Work.into());
        }
        let frame = header::find_frame(bytes, layout.scan_start)?;
        if frame.pixels() > MOST_PIXELS {
            return Err(super::too_many_pixels(frame.width, frame.height, MOST_PIXELS));
        }
        let orientation = layout.exif.clone().and_then(|exif| bytes.get(exif));
        let orientation = orientation.and_then(Orientation::from_exif_chunk);
        let (start, scan) = bytes[..layout.end].split_at(layout.scan_start);
        let picture = if layout.has_huffman_tables {
            Cow::Borrowed(&bytes[..layout.end])
        } else {
            Cow::Owned([start, &tables::huffman_tables(), scan].concat())
        };
        let mut plan = Self {
            picture,
            layout,
            frame,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            side: 0,
            limit_bytes: limits.bytes,
        };
        let fits = |&side: &usize| {
            plan.pixels(side) <= limits.pixels && plan.need_bytes_for(side) <= limits.bytes
        };
        plan.side = SIDES.into_iter().find(fits).ok_or_else(|| super::too_large(limits))?;
        Ok(plan)
    }

    /// Most memory that decoding takes beside the bytes it starts from.
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

    /// Appends the pixels as R G B to `rgb`, which is empty, and gives their width and height.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn decode(&self, rgb: &mut Vec<u8>) -> Result<(u32, u32), String> {
        if self.side < 8 || !self.is_common() {
            return self.decode_own(self.side, rgb);
        }
        if self.layout.scans > 1 || !self.layout.has_end_marker {
            self.coefficients(0)?;
        }
        self.decode_fast(rgb).or_else(|_| {
            rgb.clear();
            if self.own_bytes(8) > self.limit_bytes {
                return Err(Damage::Data.into());
            }
            self.decode_own(8, rgb)
        })
    }

    /// Whether zune-jpeg knows the form. Of components in scans of their own, and of colours that are
    /// finer than the brightness, it makes nonsense.
    fn is_common(&self) -> bool {
        let [first, rest @ ..] = self.frame.components.as_slice() else { return false };
        let is_finest = [first.h, first.v] == [self.frame.h_max, self.frame.v_max];
        let others_are_coarsest = rest.iter().all(|other| [other.h, other.v] == [1, 1]);
        let is_cmyk_as_usual = rest.len() < 3 || [first.h, first.v] == [1, 1];
        let is_interleaved = self.frame.is_progressive || self.layout.scans == 1;
        is_finest && others_are_coarsest && is_cmyk_as_usual && is_interleaved
    }

    fn decode_own(&self, side: usize, rgb: &mut Vec<u8>) -> Result<(u32, u32), String> {
        Ok(pixels::paint(&self.coefficients(side)?, rgb)?)
    }

    fn coefficients(&self, side: usize) -> Result<Coefficients, Damage> {
        Coefficients::read(&self.picture, side, self.layout.has_end_marker)
    }

    fn decode_fast(&self, rgb: &mut Vec<u8>) -> Result<(u32, u32), String> {
        // The decoder takes an end marker in the middle of a scan for the end of the picture and
        // fills up with grey. Without the marker it notices that data is missing.
        let with_end;
        let picture = if self.layout.scans > 1 {
            with_end = [&self.picture, &[0xFF, markers::EOI][..]].concat();
            &with_end
        } else {
            &*self.picture
        };
        let side = usize::from(u16::MAX);
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(side)
            .set_max_height(side)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
        decoder.decode_headers().map_err(|error| error.to_string())?;
        let (width, height) = (self.frame.width, self.frame.height);
        let size = decoder.output_buffer_size();
        if decoder.dimensions() != Some((width, height)) || size != Some(width * height * 3) {
            return Err(Damage::Data.into());
        }
        rgb.resize(width * height * 3, 0);
        decoder.decode_into(rgb).map_err(|error| error.to_string())?;
        Ok((width as u32, height as u32))
    }

    /// Pixels that come out when each block of eight by eight gives `side` by `side`.
    fn pixels(&self, side: usize) -> u64 {
        let scaled = |length: usize| (length * side).div_ceil(8) as u64;
        scaled(self.frame.width) * scaled(self.frame.height)
    }

    fn need_bytes_for(&self, side: usize) -> u64 {
        let rgb = 3 * self.pixels(side);
        let decoding = match side {
            8 if !self.is_common() => scans::bytes(&self.frame, 8),
            8 if self.layout.scans > 1 => 128 * self.frame.blocks() + self.picture.len() as u64,
            8 => 0,
            _ => scans::bytes(&self.frame, side),
        };
        let turning = if swaps_sides(self.orientation) { rgb } else { 0 };
        rgb + decoding.max(turning)
    }

    fn own_bytes(&self, side: usize) -> u64 {
        3 * self.pixels(side) + scans::bytes(&self.frame, side)
    }
}

#[cfg(test)]
#[path = "jpeg_tests.rs"]
mod tests;
