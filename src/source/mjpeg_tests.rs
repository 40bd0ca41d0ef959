use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use super::*;

/// A picture with detail, as a baseline JPEG file.
pub fn sample_jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut random = random_numbers(u64::from(width * height));
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 4) as u8, 100 + (random() % 32) as u8])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&picture)
        .expect("a small picture can be encoded");
    bytes
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

/// Reproducible random numbers (xorshift).
pub fn random_numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    }
}

fn pictures(splitter: &mut Splitter) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| splitter.next_picture()).collect()
}

fn with_thumbnail(picture: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let length = (thumbnail.len() + 2) as u16;
    let segment = [&[0xFF, 0xE1], &length.to_be_bytes()[..], thumbnail].concat();
    [&picture[..2], &segment, &picture[2..]].concat()
}

#[test]
fn pictures_come_out_whole_however_the_stream_is_cut() {
    let sent = [
        sample_jpeg(64, 48),
        with_thumbnail(&sample_jpeg(32, 32), &sample_jpeg(16, 16)),
        without_huffman_tables(&sample_jpeg(48, 16)),
    ];
    let stream = sent.concat();
    for size in [1, 2, 3, 7, 100, 4096, stream.len()] {
        let mut splitter = Splitter::default();
        let mut received = Vec::new();
        for bytes in stream.chunks(size) {
            splitter.push(bytes);
            received.extend(pictures(&mut splitter));
        }
        assert_eq!(received, sent, "chunks of {size} bytes");
        assert_eq!(splitter.take_broken(), 0);
    }
}

#[test]
fn restart_markers_stuffed_and_fill_bytes_do_not_end_a_picture() {
    let scan = [0xFF, 0x00, 1, 0xFF, 0xD3, 2, 0xFF, 0xFF, 0x00, 0xFF, 0xFF];
    let header = [0xFF, SOI, 0xFF, 0xFF, SOS, 0, 3, 9];
    let picture = [&header[..], &scan, &[0xFF, EOI]].concat();
    let layout = layout(&picture).unwrap();
    assert_eq!(layout.end, picture.len());
    assert_eq!(layout.scan_start, 3);
    assert!(!layout.has_huffman_tables);
}

#[test]
fn finds_the_next_picture_after_garbage_and_after_a_truncated_one() {
    let good = sample_jpeg(40, 40);
    let parts: [&[u8]; 8] = [
        b"\xff\xd8 not a picture \xff",
        &good,
        &[0; 1000],
        &good[..good.len() / 2],
        &good,
        &good[..100],
        &good,
        b"\xff\xd8\xff",
    ];
    let mut splitter = Splitter::default();
    splitter.push(&parts.concat());
    let received = pictures(&mut splitter);
    assert_eq!(received, [good.clone(), good.clone(), good]);
    assert!(splitter.take_broken() >= 2);
}

#[test]
fn random_bytes_are_survived_in_bounded_memory() {
    let mut random = random_numbers(3);
    let mut splitter = Splitter::default();
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..1024)
            .map(|_| match random() % 8 {
                0 => 0xFF,
                1 => [SOI, EOI, SOS, DHT, 0x00, 0xD0, 0x01, 0x02][random() as usize % 8],
                _ => random() as u8,
            })
            .collect();
        splitter.push(&bytes);
        pictures(&mut splitter);
        assert!(splitter.buffer.len() <= PICTURE_LIMIT_BYTES + 2048);
    }
    let good = sample_jpeg(40, 40);
    splitter.push(&[0; 1 << 17]);
    pictures(&mut splitter);
    splitter.push(&[good.as_slice(), &good].concat());
    assert_eq!(pictures(&mut splitter).last(), Some(&good));
}

#[test]
fn a_picture_without_end_is_given_up() {
    let mut splitter = Splitter::default();
    splitter.push(&[0xFF, SOI, 0xFF, SOS, 0, 2]);
    let zeros = vec![0; 1 << 20];
    for _ in 0..17 {
        splitter.push(&zeros);
        assert_eq!(splitter.next_picture(), None);
    }
    assert_eq!(splitter.take_broken(), 1);
    assert!(splitter.buffer.len() - splitter.start < 4);
}

#[test]
fn an_end_before_any_scan_is_no_picture() {
    assert_eq!(layout(&[0xFF, SOI, 0xFF, EOI]), None);
    assert_eq!(layout(&[0xFF, SOI, 0xFF, DHT, 0, 1, 0, 0]), None);
    assert_eq!(layout(b""), None);
    assert_eq!(layout(b"GIF89a"), None);
}
