//! Pictures for tests.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use super::markers::{DHT, layout};
use crate::random;

/// A picture with detail, as a baseline JPEG file.
pub fn sample_jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut random = random::numbers(u64::from(width * height));
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 4) as u8, 100 + (random() % 32) as u8])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&picture)
        .expect("a small picture can be encoded");
    bytes
}

/// Slopes of colour of 37x29 pixels, as a progressive JPEG file of ten scans with half the colours each
/// way.
pub fn progressive_jpeg() -> Vec<u8> {
    include_bytes!("../../../fuzz/corpus/jpeg/progressive.jpg").to_vec()
}

/// The picture without its DHT segments.
pub fn without_huffman_tables(picture: &[u8]) -> Vec<u8> {
    let scan_start = layout(picture).expect("the picture is whole").scan_start;
    let mut stripped = picture[..2].to_vec();
    let mut at = 2;
    while at < scan_start {
        let length = usize::from(u16::from_be_bytes([picture[at + 2], picture[at + 3]]));
        if picture[at + 1] != DHT {
            stripped.extend_from_slice(&picture[at..at + 2 + length]);
        }
        at += 2 + length;
    }
    stripped.extend_from_slice(&picture[scan_start..]);
    stripped
}

/// The picture with EXIF data that says how it has to be turned, 1 to 8.
pub fn with_orientation(picture: &[u8], orientation: u8) -> Vec<u8> {
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
    [&picture[..2], exif, &[orientation, 0, 0, 0, 0, 0, 0], &picture[2..]].concat()
}
