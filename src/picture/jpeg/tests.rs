use image::RgbImage;

use super::samples::*;
use super::*;
use crate::random;

const SMALL: Limits = Limits { pixels: u64::MAX, bytes: 1 << 30, ..Limits::PHOTO };

fn decode_within(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Unreadable> {
    let mut plan = Plan::new(bytes, limits)?;
    let mut rgb = Vec::new();
    let (width, height) = loop {
        match plan.decode(&mut rgb)? {
            Some(size) => break size,
            None => plan = plan.with_own_decoder()?,
        }
    };
    Ok(RgbImage::from_raw(width, height, rgb).expect("the size is right"))
}

fn decode(bytes: &[u8]) -> Result<RgbImage, Unreadable> {
    decode_within(bytes, &SMALL)
}

/// As the decoder of this crate does it.
fn decode_own(bytes: &[u8], side: usize) -> Result<RgbImage, Unreadable> {
    let plan = Plan::new(bytes, &SMALL)?;
    let mut rgb = Vec::new();
    let (width, height) = plan.decode_own(&plan.picture(), side, &mut rgb)?;
    Ok(RgbImage::from_raw(width, height, rgb).expect("the size is right"))
}

fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: f64 =
        std::iter::zip(a.as_raw(), b.as_raw()).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
    sum / a.as_raw().len() as f64
}

/// The part of `bytes` that ends where its compressed data does.
fn without_end_marker(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - 2]
}

#[test]
fn equals_the_image_crate_and_ignores_trailing_bytes() {
    let bytes = sample_jpeg(96, 64);
    let expected = image::load_from_memory(&bytes).unwrap().into_rgb8();
    let padded = [bytes.as_slice(), &[0; 500], &bytes[bytes.len() / 2..]].concat();
    for bytes in [bytes, padded] {
        assert!(difference(&decode(&bytes).unwrap(), &expected) < 1.0);
    }
}

#[test]
fn both_decoders_agree() {
    for bytes in [sample_jpeg(96, 64), sample_jpeg(37, 29), progressive_jpeg()] {
        let expected = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!(decode(&bytes).unwrap(), expected);
        // They differ where a pixel of colour stands for four.
        let difference = difference(&decode_own(&bytes, 8).unwrap(), &expected);
        assert!(difference < 6.0, "{difference}");
    }
}

/// JPEG files of the fuzzer's corpus that are whole.
const WHOLE: [&[u8]; 15] = [
    include_bytes!("../../../fuzz/corpus/jpeg/baseline-420.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/baseline-444-restarts.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/cmyk.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/exif-6.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/grey.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/not-interleaved.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/progressive.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/progressive-422-restarts.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/progressive-444.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-311.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-410.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-411.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-440.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-inverse.jpg"),
    include_bytes!("../../../fuzz/corpus/jpeg/sampling-mixed.jpg"),
];

#[test]
fn every_kind_of_colour_and_sampling_is_read_in_every_size() {
    // Gray has no colours to compare.
    let reference = decode(WHOLE[0]).unwrap();
    for (index, bytes) in WHOLE.iter().enumerate() {
        let whole = decode(bytes).unwrap();
        assert_eq!(whole.dimensions(), (37, 29));
        let is_gray = whole.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]);
        assert!(is_gray || difference(&whole, &reference) < 16.0, "{index}");
        assert!(difference(&decode_own(bytes, 8).unwrap(), &whole) < 8.0, "{index}");
        for (side, size) in [(4, (19, 15)), (2, (10, 8)), (1, (5, 4))] {
            assert_eq!(decode_own(bytes, side).unwrap().dimensions(), size, "{index}");
        }
        let cut = without_end_marker(bytes);
        assert!(difference(&decode(cut).unwrap(), &whole) < 8.0, "{index}");
        assert!(decode(&cut[..cut.len() - 8]).is_err(), "{index}");
    }
}

#[test]
fn a_smaller_picture_is_the_mean_of_the_whole() {
    for bytes in [sample_jpeg(96, 64), sample_jpeg(64, 8)] {
        let whole = decode(&bytes).unwrap();
        for (side, factor) in [(4, 2), (2, 4), (1, 8)] {
            let [width, height] = [whole.width(), whole.height()];
            let pixels = whole.as_raw().clone();
            let mean = crate::picture::shrink::in_place(pixels, [width, height], 3, factor);
            let small = decode_own(&bytes, side).unwrap();
            let difference = difference(&small, &mean.unwrap());
            assert!(difference < 12.0, "{side}: {difference}");
        }
    }
}

#[test]
fn a_picture_that_is_too_large_comes_smaller() {
    for bytes in [sample_jpeg(96, 64), progressive_jpeg()] {
        for pixels in [400, 100] {
            let rgb = decode_within(&bytes, &Limits { pixels, ..SMALL }).unwrap();
            assert!(u64::from(rgb.width() * rgb.height()) <= pixels);
        }
        let needs = Plan::new(&bytes, &SMALL).unwrap().need_bytes();
        let limits = Limits { bytes: needs / 2, ..SMALL };
        assert!(Plan::new(&bytes, &limits).unwrap().need_bytes() <= needs / 2);
        assert!(Plan::new(&bytes, &Limits { bytes: 10, ..SMALL }).is_err());
    }
}

#[test]
fn small_pictures_of_every_size_are_read() {
    for size in 1..=40 {
        for (width, height) in [(size, 1), (1, size), (size, size), (33, size)] {
            let bytes = sample_jpeg(width, height);
            assert_eq!(decode(&bytes).unwrap().dimensions(), (width, height));
            assert_eq!(decode(without_end_marker(&bytes)).unwrap().dimensions(), (width, height));
        }
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
fn only_the_end_marker_may_lack() {
    for bytes in [sample_jpeg(96, 64), progressive_jpeg()] {
        let whole = decode(&bytes).unwrap();
        for length in [bytes.len() - 1, bytes.len() - 2] {
            assert!(difference(&decode(&bytes[..length]).unwrap(), &whole) < 4.0);
        }
        for length in 0..bytes.len() - 3 {
            assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn zeros_behind_the_data_are_no_picture() {
    for jpeg in [sample_jpeg(96, 64), progressive_jpeg()] {
        let whole = without_end_marker(&jpeg);
        for zeros in [1, 3, 1000, 100_000] {
            let filled = [whole, &vec![0; zeros]].concat();
            assert!(
                difference(&decode(&filled).unwrap(), &decode(&jpeg).unwrap()) < 4.0,
                "{zeros}"
            );
            for part in [2, 3, 10] {
                let cut = &whole[..whole.len() - whole.len() / part];
                // Up to the end of the file, or to another picture.
                for behind in [&[][..], &jpeg] {
                    let filled = [cut, &vec![0; zeros], behind].concat();
                    assert!(decode(&filled).is_err(), "1/{part}, {zeros}");
                }
            }
        }
    }
}

#[test]
fn refuses_compressed_data_that_ends_early_before_an_end_marker() {
    for bytes in [sample_jpeg(96, 64), progressive_jpeg()] {
        let scan = markers::layout(&bytes).unwrap().scan_start;
        for side in [8, 4, 1] {
            for kept in [20, 50, (bytes.len() - scan) / 2 - 7] {
                let cut = [&bytes[..scan + kept], &[0xFF, 0xD9]].concat();
                assert!(decode(&cut).is_err(), "{kept} bytes of the scan");
                assert!(decode_own(&cut, side).is_err(), "{kept} bytes of the scan");
            }
        }
    }
}

#[test]
fn a_picture_of_one_scan_has_all_components_in_it() {
    let bytes = include_bytes!("../../../fuzz/corpus/jpeg/not-interleaved.jpg");
    let starts = |at: &usize| bytes[*at..].starts_with(&[0xFF, markers::SOS]);
    let second = (0..bytes.len()).filter(starts).nth(1).expect("there are more");
    for kept in [second - 40, second, second + 5, second + 30] {
        let cut = [&bytes[..kept], &[0xFF, markers::EOI]].concat();
        assert!(decode(&cut).is_err(), "{kept} bytes");
    }
}

#[test]
fn a_second_header_of_a_frame_is_refused() {
    let bytes = sample_jpeg(48, 32);
    let start = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    let frame = &bytes[start..start + 19];
    let doubled = [&bytes[..start], frame, &bytes[start..]].concat();
    assert_eq!(decode(&doubled).unwrap_err().to_string(), Damage::Data.to_string());
}

#[test]
fn what_the_common_decoder_refuses_is_planned_anew() {
    // That nobody can read it is found out before there is memory for the other decoder.
    let bytes = sample_jpeg(96, 64);
    let scan = markers::layout(&bytes).unwrap().scan_start;
    let cut = [&bytes[..scan + 100], &[0xFF, markers::EOI]].concat();
    let plan = Plan::new(&cut, &SMALL).unwrap();
    assert_eq!(plan.need_bytes(), 3 * 96 * 64);
    assert_eq!(plan.decode(&mut Vec::new()).unwrap_err().to_string(), Damage::Cut.to_string());
    let own = plan.with_own_decoder().unwrap();
    assert_eq!(own.need_bytes(), 3 * 96 * 64 + 2 * 3 * 96 * 64);
    let limits = Limits { bytes: 3 * 96 * 64, ..SMALL };
    let smaller = Plan::new(&bytes, &limits).unwrap().with_own_decoder().unwrap();
    assert_eq!(smaller.reduction(), 2);
    assert_eq!(smaller.decode(&mut Vec::new()).unwrap(), Some((48, 32)));
}

#[test]
fn a_copy_with_huffman_tables_counts() {
    let bytes = sample_jpeg(96, 64);
    let stripped = without_huffman_tables(&bytes);
    let need = |bytes: &[u8]| Plan::new(bytes, &SMALL).unwrap().need_bytes();
    let tables = tables::huffman_tables().len();
    assert_eq!(need(&stripped), need(&bytes) + (stripped.len() + tables - 2) as u64);
}

#[test]
fn advice_is_about_what_takes_the_memory() {
    let limits = Limits { bytes: 10, ..SMALL };
    let error = Plan::new(&progressive_jpeg(), &limits).unwrap_err().to_string();
    assert!(error.contains("without the progressive option"), "{error}");
    let error = Plan::new(&sample_jpeg(48, 32), &limits).unwrap_err().to_string();
    assert!(error.ends_with("scale it down"), "{error}");
}

#[test]
fn survives_damage() {
    let mut random = random::numbers(1);
    for bytes in [sample_jpeg(48, 32), progressive_jpeg()] {
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() as usize % damaged.len();
                damaged[at] = random() as u8;
            }
            let limits = Limits { pixels: 1_000_000, bytes: 10_000_000, ..SMALL };
            if let Ok(rgb) = decode_within(&damaged, &limits) {
                assert!(u64::from(rgb.width()) * u64::from(rgb.height()) <= limits.pixels);
            }
        }
    }
}

/// The picture with another size in its header, and another start-of-frame marker.
fn with_header(bytes: &[u8], code: u8, [width, height]: [u16; 2]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(5).position(|window| window == [0xFF, 0xC0, 0, 17, 8]).unwrap();
    bytes[at + 1] = code;
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn refuses_a_header_that_claims_too_many_pixels() {
    let bytes = with_header(&sample_jpeg(48, 32), 0xC0, [16_383, 16_383]);
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("16383x16383") && error.contains("256 megapixels"), "{error}");
}

#[test]
fn a_large_picture_without_its_data_is_cut_off() {
    let bytes = with_header(&sample_jpeg(48, 32), 0xC0, [8000, 8000]);
    for limits in [SMALL, Limits::PHOTO, Limits::FRAME] {
        assert!(decode_within(&bytes, &limits).unwrap_err().to_string().contains("cut off"));
    }
}

#[test]
fn kinds_that_are_not_read_are_called_so() {
    let bytes = sample_jpeg(48, 32);
    for (code, kind) in [(0xC9, "arithmetic-coded"), (0xC3, "lossless")] {
        let error = decode(&with_header(&bytes, code, [48, 32])).unwrap_err().to_string();
        assert!(error.contains(kind) && !error.contains("broken"), "{error}");
    }
}

#[test]
fn scans_that_say_the_same_again_and_again_are_refused() {
    let bytes = progressive_jpeg();
    let scan = markers::layout(&bytes).unwrap().scan_start;
    let second = scan + bytes[scan + 2..].windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let first = &bytes[scan..second + 2];
    for count in [40, 200] {
        let many = [&bytes[..scan], &first.repeat(count), &bytes[scan..]].concat();
        assert_eq!(decode(&many).unwrap_err().to_string(), Damage::Work.to_string());
    }
}

#[test]
fn the_orientation_is_read() {
    let turned = with_orientation(&sample_jpeg(48, 32), 6);
    assert_eq!(Plan::new(&turned, &SMALL).unwrap().orientation(), Orientation::Rotate90);
    assert!(difference(&decode(&turned).unwrap(), &decode(&sample_jpeg(48, 32)).unwrap()) < 1.0);
}
