//! Picture data as a camera or a stream gives it, and its way to RGB.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::spare::Spare;
use crate::picture::{self, Unreadable};

/// Why a frame cannot be decoded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Corrupt {
    /// It is no JPEG picture that is read.
    #[error("it {0}")]
    Jpeg(#[source] Arc<Unreadable>),
    /// No picture of such pixels has that size.
    #[error("{pixels:?} cannot be {width}x{height} pixels")]
    Size {
        /// The form of its pixels.
        pixels: PixelForm,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Bytes are missing.
    #[error("{given} of {needed} bytes")]
    Short {
        /// Bytes that came.
        given: usize,
        /// Bytes of a whole picture.
        needed: usize,
    },
    /// Its decoder gave too few bytes for the size.
    #[error("the size of the picture does not fit its data")]
    Contradiction,
}

/// How the bytes of an uncompressed picture are to be read. Rows have no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelForm {
    /// Y0 U Y1 V for two pixels, BT.601 limited range.
    Yuyv,
    /// A plane of Y, then a plane of U V for two by two pixels, BT.601 limited range.
    Nv12,
    /// One byte a pixel.
    Grey,
    /// R G B.
    Rgb,
    /// B G R.
    Bgr,
}

/// Appends the bytes of a picture of a width as R G B.
type Convert = fn(&[u8], usize, &mut Vec<u8>);

impl PixelForm {
    /// Appends the picture of `width` times `height` pixels that `bytes` start with to `rgb` and gives
    /// its size, or what is wrong with it.
    pub fn to_rgb(
        self,
        width: u32,
        height: u32,
        bytes: &[u8],
        rgb: &mut Vec<u8>,
    ) -> Result<(u32, u32), Corrupt> {
        let count = width as usize * height as usize;
        let (needed, convert): (usize, Convert) = match self {
            Self::Yuyv => (count * 2, yuyv_to_rgb),
            Self::Nv12 => (count + count / 2, nv12_to_rgb),
            Self::Grey => (count, grey_to_rgb),
            Self::Rgb => (count * 3, |bytes, _, rgb| rgb.extend_from_slice(bytes)),
            Self::Bgr => (count * 3, bgr_to_rgb),
        };
        let odd = self == Self::Yuyv && width % 2 == 1
            || self == Self::Nv12 && (width % 2 == 1 || height % 2 == 1);
        if count == 0 || odd {
            return Err(Corrupt::Size { pixels: self, width, height });
        }
        let Some(bytes) = bytes.get(..needed) else {
            return Err(Corrupt::Short { given: bytes.len(), needed });
        };
        rgb.reserve_exact(count * 3);
        convert(bytes, width as usize, rgb);
        Ok((width, height))
    }
}

/// What a frame holds.
#[derive(Debug, Clone)]
enum Content {
    /// One JPEG picture, maybe with bytes after its end.
    Jpeg(Vec<u8>),
    /// A picture that was converted when it arrived, how long that took, or what was wrong with it.
    Converted(Result<RgbImage, Corrupt>, Duration),
}

/// A picture as a camera or a stream gives it.
#[derive(Debug, Clone)]
pub struct RawFrame {
    content: Content,
    /// When it arrived.
    pub captured_at: Instant,
}

impl RawFrame {
    /// A JPEG picture that arrived now.
    pub fn jpeg(bytes: Vec<u8>) -> Self {
        Self { content: Content::Jpeg(bytes), captured_at: Instant::now() }
    }

    /// An uncompressed picture that arrived now and is converted from where it lies.
    pub fn uncompressed(
        pixels: PixelForm,
        width: u32,
        height: u32,
        bytes: &[u8],
        spare: &Spare,
    ) -> Self {
        let captured_at = Instant::now();
        let rgb = spare.picture(|rgb| pixels.to_rgb(width, height, bytes, rgb));
        Self { content: Content::Converted(rgb, captured_at.elapsed()), captured_at }
    }

    /// The picture in RGB with how many pixels of the data each pixel stands for, each way, or what is
    /// wrong with the data; and how long it took to find out.
    pub fn decode(self, spare: &Spare) -> (Result<(RgbImage, u32), Corrupt>, Duration) {
        match self.content {
            Content::Jpeg(bytes) => {
                let started = Instant::now();
                let mut reduction = 1;
                let decode = |rgb: &mut Vec<u8>| {
                    let (size, by) = picture::decode_frame(&bytes, rgb)
                        .map_err(|reason| Corrupt::Jpeg(Arc::new(reason)))?;
                    reduction = by;
                    Ok(size)
                };
                let rgb = spare.picture(decode);
                (rgb.map(|rgb| (rgb, reduction)), started.elapsed())
            }
            Content::Converted(rgb, took) => (rgb.map(|rgb| (rgb, 1)), took),
        }
    }
}

/// One pixel of BT.601 limited range, in the usual 8-bit fixed point.
fn yuv_to_rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let luma = 298 * (i32::from(y) - 16) + 128;
    let u = i32::from(u) - 128;
    let v = i32::from(v) - 128;
    [luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u]
        .map(|channel| (channel >> 8).clamp(0, 255) as u8)
}

fn yuyv_to_rgb(bytes: &[u8], _width: usize, rgb: &mut Vec<u8>) {
    for pair in bytes.chunks_exact(4) {
        rgb.extend_from_slice(&yuv_to_rgb(pair[0], pair[1], pair[3]));
        rgb.extend_from_slice(&yuv_to_rgb(pair[2], pair[1], pair[3]));
    }
}

fn nv12_to_rgb(bytes: &[u8], width: usize, rgb: &mut Vec<u8>) {
    let (luma, chroma) = bytes.split_at(bytes.len() / 3 * 2);
    for (row, line) in luma.chunks_exact(width).enumerate() {
        let chroma = &chroma[row / 2 * width..][..width];
        for (x, &y) in line.iter().enumerate() {
            let pair = x / 2 * 2;
            rgb.extend_from_slice(&yuv_to_rgb(y, chroma[pair], chroma[pair + 1]));
        }
    }
}

fn grey_to_rgb(bytes: &[u8], _width: usize, rgb: &mut Vec<u8>) {
    rgb.extend(bytes.iter().flat_map(|&value| [value; 3]));
}

fn bgr_to_rgb(bytes: &[u8], _width: usize, rgb: &mut Vec<u8>) {
    let (pixels, _) = bytes.as_chunks::<3>();
    rgb.extend(pixels.iter().flat_map(|&[b, g, r]| [r, g, b]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::jpeg::samples::sample_jpeg;

    fn to_rgb(
        pixels: PixelForm,
        width: u32,
        height: u32,
        bytes: &[u8],
    ) -> Result<RgbImage, Corrupt> {
        Spare::default().picture(|rgb| pixels.to_rgb(width, height, bytes, rgb))
    }

    #[test]
    fn limited_range_reaches_black_white_and_the_primaries() {
        assert_eq!(yuv_to_rgb(16, 128, 128), [0, 0, 0]);
        assert_eq!(yuv_to_rgb(235, 128, 128), [255, 255, 255]);
        assert_eq!(yuv_to_rgb(81, 90, 240), [255, 0, 0]);
        assert_eq!(yuv_to_rgb(145, 54, 34), [0, 255, 1]);
        assert_eq!(yuv_to_rgb(41, 240, 110), [0, 0, 255]);
    }

    #[test]
    fn yuyv_pairs_share_their_colour_and_trailing_bytes_are_cut() {
        let rgb = to_rgb(PixelForm::Yuyv, 2, 1, &[81, 90, 16, 240, 9, 9]).unwrap();
        assert_eq!(rgb.dimensions(), (2, 1));
        assert_eq!(rgb.get_pixel(0, 0).0, [255, 0, 0]);
        assert_eq!(rgb.get_pixel(1, 0).0, yuv_to_rgb(16, 90, 240));
    }

    #[test]
    fn nv12_takes_the_colour_of_its_block() {
        let grey = [128, 128];
        let red = [90, 240];
        let bytes = [[16, 16, 81, 81], [235, 16, 81, 81]].concat();
        let bytes = [bytes, grey.to_vec(), red.to_vec()].concat();
        let rgb = to_rgb(PixelForm::Nv12, 4, 2, &bytes).unwrap();
        assert_eq!(rgb.get_pixel(0, 1).0, [255; 3]);
        assert_eq!(rgb.get_pixel(1, 1).0, [0; 3]);
        assert_eq!(rgb.get_pixel(3, 1).0, [255, 0, 0]);
    }

    #[test]
    fn grey_rgb_and_bgr() {
        let grey = to_rgb(PixelForm::Grey, 1, 2, &[7, 9]).unwrap();
        assert_eq!(grey.as_raw(), &[7, 7, 7, 9, 9, 9]);
        let rgb = to_rgb(PixelForm::Rgb, 1, 1, &[1, 2, 3]).unwrap();
        assert_eq!(rgb.as_raw(), &[1, 2, 3]);
        let bgr = to_rgb(PixelForm::Bgr, 1, 1, &[1, 2, 3]).unwrap();
        assert_eq!(bgr.as_raw(), &[3, 2, 1]);
    }

    #[test]
    fn short_and_impossible_frames_are_refused() {
        let spare = Spare::default();
        let raw = RawFrame::uncompressed(PixelForm::Yuyv, 4, 2, &[0; 15], &spare);
        let (short, _) = raw.decode(&spare);
        assert_eq!(short.unwrap_err().to_string(), "15 of 16 bytes");
        let odd = to_rgb(PixelForm::Yuyv, 3, 2, &[0; 64]).unwrap_err();
        assert_eq!(odd.to_string(), "Yuyv cannot be 3x2 pixels");
        let (text, _) = RawFrame::jpeg(b"no picture".to_vec()).decode(&spare);
        assert_eq!(text.unwrap_err().to_string(), "it is broken: its JPEG data makes no sense");
        assert!(to_rgb(PixelForm::Nv12, 2, 3, &[0; 64]).is_err());
        assert!(to_rgb(PixelForm::Grey, 0, 9, &[0; 64]).is_err());
    }

    #[test]
    fn pictures_take_the_memory_of_those_that_are_done_with() {
        let spare = Spare::default();
        let jpeg = sample_jpeg(96, 64);
        let raw = || RawFrame::uncompressed(PixelForm::Grey, 96, 64, &[7; 96 * 64], &spare);
        let first = raw().decode(&spare).0.unwrap().0;
        let (at, old) = (first.as_ptr(), first.clone());
        spare.keep(first);
        let second = RawFrame::jpeg(jpeg.clone()).decode(&spare).0.unwrap().0;
        assert_eq!(second.as_ptr(), at);
        assert_eq!(second, RawFrame::jpeg(jpeg.clone()).decode(&Spare::default()).0.unwrap().0);
        spare.keep(second);
        assert!(RawFrame::jpeg(jpeg[..jpeg.len() / 2].to_vec()).decode(&spare).0.is_err());
        let third = raw().decode(&spare).0.unwrap().0;
        assert_eq!((third.as_ptr(), third), (at, old));
    }
}
