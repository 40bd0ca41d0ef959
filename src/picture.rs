//! Pictures out of files and streams: one door behind which all decoders stand.
//!
//! Of what kind a picture is, its content says. A decoder that panics is caught, and what comes out is
//! complete, upright, and of a size that is known before it is decoded: a larger picture is made
//! smaller on the way. So pixels, memory and time are bounded.

mod budget;
mod error;
mod find;
pub mod jpeg;
mod kind;
mod large;
pub mod luma;
mod png;
mod reader;
pub mod resample;
mod riff;
mod shrink;
pub mod turn;
pub mod warp;
mod whole;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;

use crate::picture::turn::{Turn, swaps_sides, turned};
use crate::system::heap;
pub use error::{Error, Unreadable};
pub use find::{Found, LeftOut, PictureFile, find};
pub use reader::{Picture, Reader};

/// Pixels of the largest picture that is read, if it is no JPEG: 64 megapixels as cameras count.
const MOST_PIXELS: u64 = 65_000_000;

/// Pixels of the largest frame of a stream: to look through more takes seconds.
const MOST_FRAME_PIXELS: u64 = 64_000_000;

/// Most bytes of what stands before the pixels of a PNG or WebP picture and is kept.
const MOST_METADATA_BYTES: u64 = 8 << 20;

/// Where the address space is limited, what is left for everything but pictures: stacks, networks, and
/// copies that are written.
const BESIDE_BYTES: u64 = 40_000_000;

/// What a picture may take, and how it comes out.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most pixels that come out; a larger picture is made smaller.
    pub pixels: u64,
    /// Most memory that decoding and turning take, in bytes.
    pub bytes: u64,
    /// How it is turned once it is upright.
    pub turn: Turn,
}

impl Limits {
    /// For photos: with 24 megapixels a face of a fiftieth of the picture is large enough.
    pub const PHOTO: Self = Self { pixels: 25_200_000, bytes: 230_000_000, turn: Turn::NONE };
    /// For frames of a stream: 4K. Two more pictures of a stream wait beside the one that is decoded.
    pub const FRAME: Self = Self { pixels: 9_000_000, bytes: 72_000_000, turn: Turn::NONE };

    /// The same where `bytes` less are there.
    fn beside(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    /// The same where the address space is limited and the process has `had` bytes for this already.
    fn within_address_space(self, had: u64) -> Self {
        let Some(left) = heap::left_bytes() else { return self };
        Self { bytes: self.bytes.min((left + had).saturating_sub(BESIDE_BYTES)), ..self }
    }
}

/// Pixels as a decoder gives them, and what is still to be done to them.
struct Decoded {
    rgb: Vec<u8>,
    size: (u32, u32),
    orientation: Orientation,
    reduction: u32,
}

impl Decoded {
    fn upright(self) -> Result<RgbImage, Unreadable> {
        let needs_memory = swaps_sides(self.orientation);
        let mut memory = large::empty(if needs_memory { self.rgb.len() } else { 0 });
        RgbImage::from_raw(self.size.0, self.size.1, self.rgb)
            .map(|rgb| turned(rgb, self.orientation, &mut memory))
            .ok_or(Unreadable::Broken("its size does not fit its data"))
    }
}

/// Decodes a JPEG frame of a stream into `rgb`, whose memory is used again and is a part of what a frame may
/// take, and turns it upright as its EXIF data says. Gives its size and how many pixels of the frame each
/// pixel stands for, each way.
///
/// # Errors
///
/// What is wrong with it, to be put after its name.
pub fn decode_frame(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<((u32, u32), u32), Unreadable> {
    guarded(|| {
        let limits = Limits::FRAME.beside(bytes.len() as u64);
        let limits = limits.within_address_space(rgb.capacity() as u64);
        let mut plan = jpeg::Plan::new(bytes, &limits)?;
        plan.check_pixels(MOST_FRAME_PIXELS)?;
        let size = loop {
            // Memory of a larger picture is not kept where there is none for both.
            let idle = rgb.capacity().saturating_sub(plan.rgb_bytes()) as u64;
            if idle + plan.need_bytes() > limits.bytes {
                *rgb = Vec::new();
            }
            match plan.decode(rgb)? {
                Some(size) => break size,
                None => plan = plan.with_own_decoder()?,
            }
        };
        let (orientation, reduction) = (plan.orientation(), plan.reduction());
        if orientation == Orientation::NoTransforms {
            return Ok((size, reduction));
        }
        let upright =
            Decoded { rgb: std::mem::take(rgb), size, orientation, reduction }.upright()?;
        let size = upright.dimensions();
        *rgb = upright.into_raw();
        Ok((size, reduction))
    })
}

/// What `decode` gives; a decoder that panics has met a picture that makes no sense to it.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(Unreadable::Broken("its decoder gave up")))
}

fn check_size(width: u32, height: u32, longest: u32) -> Result<(), Unreadable> {
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        let (width, height) = (width as usize, height as usize);
        return Err(Unreadable::TooManyPixels { width, height, most: 64_000_000 });
    }
    if width == 0 || height == 0 {
        return Err(Unreadable::Broken("it has no pixels"));
    }
    if width.max(height) > longest {
        return Err(Unreadable::TooWide { width, height, longest });
    }
    Ok(())
}

fn too_large(limits: &Limits) -> Unreadable {
    let advice = "scale it down or save it as JPEG";
    Unreadable::TooMuchMemory { most_bytes: limits.bytes, advice }
}

/// A picture to measure with: any takes a model the same time, this one uses all values.
pub fn made_up(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7 + y) as u8, (x + y * 5) as u8, (x * 3 + y * 3) as u8])
    })
}

/// Encodes a picture as JPEG of a quality from 1 to 100.
///
/// # Errors
///
/// For a picture without pixels and one that is too large for JPEG.
pub fn encode_jpeg(rgb: &RgbImage, quality: u8) -> io::Result<Vec<u8>> {
    // A quarter of the pixels' bytes is more than most pictures take.
    let mut bytes = large::empty(rgb.as_raw().len() / 4);
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(rgb)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
