//! Decodes one JPEG picture of a camera: strict, with bounded memory.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::mjpeg;

/// Largest picture; it takes 100 MB decoded.
const PICTURE_LIMIT_PIXELS: usize = 33_000_000;

/// Decodes the picture that `bytes` starts with into `rgb`, which is empty, and gives its size. Bytes
/// after its end are ignored, Huffman tables are added when it has none, a picture that is broken or
/// not complete is refused with the reason.
pub fn decode(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(u32, u32), String> {
    let layout = mjpeg::layout(bytes).ok_or("the JPEG data is truncated or broken")?;
    // The decoder takes an end marker in the middle of a scan for the end of the picture and fills
    // up with grey. Without the marker it notices that data is missing.
    let end = if layout.scans == 1 { layout.end - 2 } else { layout.end };
    let picture = &bytes[..end];
    if layout.has_huffman_tables {
        return decode_complete(picture, rgb);
    }
    let (header, scan) = picture.split_at(layout.scan_start);
    decode_complete(&[header, &huffman_tables(), scan].concat(), rgb)
}

fn decode_complete(picture: &[u8], rgb: &mut Vec<u8>) -> Result<(u32, u32), String> {
    let options =
        DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("the JPEG header has no size")?;
    if width * height > PICTURE_LIMIT_PIXELS {
        return Err(format!("{width}x{height} pixels are too many"));
    }
    let size = decoder.output_buffer_size().ok_or("the JPEG header has no size")?;
    rgb.resize(size, 0);
    decoder.decode_into(rgb).map_err(|error| error.to_string())?;
    Ok((width as u32, height as u32))
}

/// A segment with the tables K.3 to K.6 of ITU-T T.81, which Motion JPEG may leave out.
fn huffman_tables() -> Vec<u8> {
    let tables: [(u8, [u8; 16], &[u8]); 4] = [
        (0x00, LUMA_DC_COUNTS, &DC_VALUES),
        (0x10, LUMA_AC_COUNTS, &LUMA_AC_VALUES),
        (0x01, CHROMA_DC_COUNTS, &DC_VALUES),
        (0x11, CHROMA_AC_COUNTS, &CHROMA_AC_VALUES),
    ];
    let mut body = Vec::with_capacity(420);
    for (class_and_id, counts, values) in tables {
        body.push(class_and_id);
        body.extend_from_slice(&counts);
        body.extend_from_slice(values);
    }
    let length = (body.len() + 2) as u16;
    [&[0xFF, 0xC4], &length.to_be_bytes()[..], &body].concat()
}

const DC_VALUES: [u8; 12] =
    [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b];
const LUMA_DC_COUNTS: [u8; 16] = [
    0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];
const CHROMA_DC_COUNTS: [u8; 16] = [
    0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
];
const LUMA_AC_COUNTS: [u8; 16] = [
    0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7d,
];
const CHROMA_AC_COUNTS: [u8; 16] = [
    0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77,
];
const LUMA_AC_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
const CHROMA_AC_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::source::mjpeg::tests::{random_numbers, sample_jpeg, without_huffman_tables};
    use crate::source::spare::Spare;

    fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
        Spare::default().picture(|rgb| super::decode(bytes, rgb))
    }

    fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: f64 =
            std::iter::zip(a.as_raw(), b.as_raw()).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
        sum / a.as_raw().len() as f64
    }

    #[test]
    fn equals_the_image_crate_and_ignores_trailing_bytes() {
        let bytes = sample_jpeg(96, 64);
        let expected = image::load_from_memory(&bytes).unwrap().into_rgb8();
        let padded = [bytes.as_slice(), &[0; 500], &bytes[bytes.len() / 2..]].concat();
        for bytes in [bytes, padded] {
            let rgb = decode(&bytes).unwrap();
            assert_eq!(rgb.dimensions(), (96, 64));
            assert!(difference(&rgb, &expected) < 1.0);
        }
    }

    #[test]
    fn inserts_huffman_tables() {
        let bytes = sample_jpeg(96, 64);
        let stripped = without_huffman_tables(&bytes);
        assert!(stripped.len() + 400 < bytes.len());
        assert_eq!(decode(&stripped).unwrap(), decode(&bytes).unwrap());
    }

    #[test]
    fn refuses_what_is_cut_off_anywhere() {
        let bytes = sample_jpeg(96, 64);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn refuses_compressed_data_that_ends_early() {
        let bytes = sample_jpeg(96, 64);
        let scan = mjpeg::layout(&bytes).unwrap().scan_start;
        for kept in [20, 200, (bytes.len() - scan) / 2] {
            let cut = [&bytes[..scan + kept], &[0xFF, 0xD9]].concat();
            assert!(decode(&cut).is_err(), "{kept} bytes of the scan");
        }
    }

    #[test]
    fn survives_damage() {
        let bytes = sample_jpeg(48, 32);
        let mut random = random_numbers(1);
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() as usize % damaged.len();
                damaged[at] = random() as u8;
            }
            if let Ok(rgb) = decode(&damaged) {
                assert!((rgb.width() as usize) * (rgb.height() as usize) <= PICTURE_LIMIT_PIXELS);
            }
        }
    }

    #[test]
    fn refuses_a_header_that_claims_too_many_pixels() {
        let mut bytes = sample_jpeg(48, 32);
        let size = [0xFF, 0xC0, 0, 17, 8];
        let at = bytes.windows(5).position(|window| window == size).unwrap() + 5;
        bytes[at..at + 4].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
        assert_eq!(decode(&bytes).unwrap_err(), "16383x16383 pixels are too many");
    }
}
