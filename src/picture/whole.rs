//! WebP and Windows bitmaps, whose decoders give the picture as a whole.

use std::io::{BufRead, Seek};

use image::codecs::bmp::BmpDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder};

use super::{Decoded, Limits, Unreadable, check_size, large, riff, shrink, too_large};
use crate::picture::turn::swaps_sides;

/// A picture whose header was read.
pub struct Plan<D> {
    decoder: D,
    orientation: Orientation,
    factor: u32,
    need_bytes: u64,
}

impl<R: BufRead + Seek> Plan<BmpDecoder<R>> {
    /// Reads the header of a Windows bitmap.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn bmp(source: R, limits: &Limits) -> Result<Self, Unreadable> {
        let decoder = BmpDecoder::new(source).map_err(Unreadable::decoder)?;
        Self::new(decoder, limits, Orientation::NoTransforms, |channels| 10 * channels)
    }
}

impl<R: BufRead + Seek> Plan<WebPDecoder<R>> {
    /// Reads the header of a WebP picture in a file of `length` bytes.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn webp(mut source: R, length: u64, limits: &Limits) -> Result<Self, Unreadable> {
        if length > limits.bytes {
            return Err(too_large(limits));
        }
        let contents = riff::contents(&mut source, length)?;
        source.rewind().map_err(Unreadable::decoder)?;
        let mut decoder = WebPDecoder::new(source).map_err(Unreadable::decoder)?;
        let (width, height) = decoder.dimensions();
        if contents.most_pixels > u64::from(width) * u64::from(height) {
            return Err(Unreadable::Broken("its frame is larger than the picture"));
        }
        let orientation = decoder.orientation().map_err(Unreadable::decoder)?;
        let plan = Self::new(decoder, limits, orientation, |channels| contents.tenths(channels))?;
        let need_bytes = plan.need_bytes + length;
        if need_bytes > limits.bytes {
            return Err(too_large(limits));
        }
        Ok(Self { need_bytes, ..plan })
    }
}

impl<D: ImageDecoder> Plan<D> {
    /// `tenths` says for a number of channels how many bytes ten pixels take at most.
    fn new(
        decoder: D,
        limits: &Limits,
        orientation: Orientation,
        tenths: impl Fn(u64) -> u64,
    ) -> Result<Self, Unreadable> {
        let (width, height) = decoder.dimensions();
        check_size(width, height, u32::MAX)?;
        let pixels = u64::from(width) * u64::from(height);
        let channels = match decoder.color_type() {
            ColorType::Rgb8 => 3,
            ColorType::Rgba8 => 4,
            other => return Err(Unreadable::PixelForm(other)),
        };
        let orientation = limits.turn.after(orientation);
        let factor = shrink::factor(width, height, limits.pixels);
        let kept = 3 * pixels / u64::from(factor).pow(2);
        let turning = if swaps_sides(orientation) { 2 * kept } else { 0 };
        let need_bytes = (pixels * tenths(channels)).div_ceil(10).max(turning);
        if need_bytes > limits.bytes {
            return Err(too_large(limits));
        }
        Ok(Self { decoder, orientation, factor, need_bytes })
    }

    /// Most memory that decoding and turning take.
    pub fn need_bytes(&self) -> u64 {
        self.need_bytes
    }

    /// The pixels.
    ///
    /// # Errors
    /// What is wrong with the picture, to be put after its name.
    pub fn decode(self) -> Result<Decoded, Unreadable> {
        let (width, height) = self.decoder.dimensions();
        let channels = usize::from(self.decoder.color_type().bytes_per_pixel());
        let mut pixels = large::zeros(width as usize * height as usize * channels);
        self.decoder.read_image(&mut pixels).map_err(Unreadable::decoder)?;
        let (orientation, reduction) = (self.orientation, self.factor);
        let rgb = shrink::in_place(pixels, [width, height], channels, reduction)
            .ok_or(Unreadable::Broken("pixels are missing"))?;
        let size = rgb.dimensions();
        Ok(Decoded { rgb: rgb.into_raw(), size, orientation, reduction })
    }
}
