//! Picture data as a camera or a stream gives it, and its way to RGB.

use std::time::Instant;

use image::RgbImage;

use super::jpeg;

/// How the bytes of a [`RawFrame`] are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One JPEG picture, maybe with bytes after its end.
    Jpeg,
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

/// Turns the bytes of a picture of a width into R G B.
type Convert = fn(&[u8], usize) -> Vec<u8>;

/// An undecoded picture.
#[derive(Debug, Clone)]
pub struct RawFrame {
    /// How to read the bytes.
    pub encoding: Encoding,
    /// Width in pixels; a JPEG picture brings its own.
    pub width: u32,
    /// Height in pixels; a JPEG picture brings its own.
    pub height: u32,
    /// Rows without padding; longer than the picture is allowed.
    pub bytes: Vec<u8>,
    /// When it arrived.
    pub captured_at: Instant,
}

impl RawFrame {
    /// A JPEG picture that arrived now.
    pub fn jpeg(bytes: Vec<u8>) -> Self {
        Self { encoding: Encoding::Jpeg, width: 0, height: 0, bytes, captured_at: Instant::now() }
    }

    /// The picture in RGB, or what is wrong with the data.
    pub fn decode(&self) -> Result<RgbImage, String> {
        let pixels = self.width as usize * self.height as usize;
        let (needed, convert): (usize, Convert) = match self.encoding {
            Encoding::Jpeg => return jpeg::decode(&self.bytes),
            Encoding::Yuyv => (pixels * 2, yuyv_to_rgb),
            Encoding::Nv12 => (pixels + pixels / 2, nv12_to_rgb),
            Encoding::Grey => (pixels, grey_to_rgb),
            Encoding::Rgb => (pixels * 3, |bytes, _| bytes.to_vec()),
            Encoding::Bgr => (pixels * 3, bgr_to_rgb),
        };
        let odd = self.encoding == Encoding::Yuyv && self.width % 2 == 1
            || self.encoding == Encoding::Nv12 && (self.width % 2 == 1 || self.height % 2 == 1);
        if pixels == 0 || odd {
            return Err(format!(
                "{:?} cannot be {}x{} pixels",
                self.encoding, self.width, self.height
            ));
        }
        let Some(bytes) = self.bytes.get(..needed) else {
            return Err(format!("{} of {needed} bytes", self.bytes.len()));
        };
        RgbImage::from_raw(self.width, self.height, convert(bytes, self.width as usize))
            .ok_or_else(|| "size of the picture does not fit its data".to_string())
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

fn yuyv_to_rgb(bytes: &[u8], _width: usize) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(bytes.len() / 2 * 3);
    for pair in bytes.chunks_exact(4) {
        rgb.extend_from_slice(&yuv_to_rgb(pair[0], pair[1], pair[3]));
        rgb.extend_from_slice(&yuv_to_rgb(pair[2], pair[1], pair[3]));
    }
    rgb
}

fn nv12_to_rgb(bytes: &[u8], width: usize) -> Vec<u8> {
    let (luma, chroma) = bytes.split_at(bytes.len() / 3 * 2);
    let mut rgb = Vec::with_capacity(luma.len() * 3);
    for (row, line) in luma.chunks_exact(width).enumerate() {
        let chroma = &chroma[row / 2 * width..][..width];
        for (x, &y) in line.iter().enumerate() {
            let pair = x / 2 * 2;
            rgb.extend_from_slice(&yuv_to_rgb(y, chroma[pair], chroma[pair + 1]));
        }
    }
    rgb
}

fn grey_to_rgb(bytes: &[u8], _width: usize) -> Vec<u8> {
    bytes.iter().flat_map(|&value| [value; 3]).collect()
}

fn bgr_to_rgb(bytes: &[u8], _width: usize) -> Vec<u8> {
    let (pixels, _) = bytes.as_chunks::<3>();
    pixels.iter().flat_map(|&[b, g, r]| [r, g, b]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(encoding: Encoding, width: u32, height: u32, bytes: &[u8]) -> RawFrame {
        RawFrame { width, height, encoding, ..RawFrame::jpeg(bytes.to_vec()) }
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
        let rgb = frame(Encoding::Yuyv, 2, 1, &[81, 90, 16, 240, 9, 9]).decode().unwrap();
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
        let rgb = frame(Encoding::Nv12, 4, 2, &bytes).decode().unwrap();
        assert_eq!(rgb.get_pixel(0, 1).0, [255; 3]);
        assert_eq!(rgb.get_pixel(1, 1).0, [0; 3]);
        assert_eq!(rgb.get_pixel(3, 1).0, [255, 0, 0]);
    }

    #[test]
    fn grey_rgb_and_bgr() {
        let grey = frame(Encoding::Grey, 1, 2, &[7, 9]).decode().unwrap();
        assert_eq!(grey.as_raw(), &[7, 7, 7, 9, 9, 9]);
        let rgb = frame(Encoding::Rgb, 1, 1, &[1, 2, 3]).decode().unwrap();
        assert_eq!(rgb.as_raw(), &[1, 2, 3]);
        let bgr = frame(Encoding::Bgr, 1, 1, &[1, 2, 3]).decode().unwrap();
        assert_eq!(bgr.as_raw(), &[3, 2, 1]);
    }

    #[test]
    fn short_and_impossible_frames_are_refused() {
        let short = frame(Encoding::Yuyv, 4, 2, &[0; 15]).decode();
        assert_eq!(short.unwrap_err(), "15 of 16 bytes");
        assert!(frame(Encoding::Yuyv, 3, 2, &[0; 64]).decode().is_err());
        assert!(frame(Encoding::Nv12, 2, 3, &[0; 64]).decode().is_err());
        assert!(frame(Encoding::Grey, 0, 9, &[0; 64]).decode().is_err());
    }
}
