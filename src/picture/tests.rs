use std::fs::File;
use std::io::{Cursor, Write};

use celebcam_engine::internals::Random;
use image::{DynamicImage, ImageFormat};

use super::jpeg::samples::{progressive_jpeg, sample_jpeg, with_orientation};
use super::reader::MAX_FILE_BYTES;
use super::*;

/// A palette of four bytes, which is no multiple of three.
const ODD_PALETTE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x03\0\0\0\x28\xcb\
    \x34\xbb\0\0\0\x04PLTE\x01\x02\x03\x04\x17\xc5\xba\x7c\0\0\0\x0aIDATx\x9cc`\0\0\0\x02\0\x01H\xaf\xa4q\
    \0\0\0\0IEND\xaeB`\x82";

fn photos() -> Reader {
    Reader::new(Limits::PHOTO)
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, (x ^ y) as u8]))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("it can be encoded");
    bytes.into_inner()
}

/// The same pixels as an interlaced PNG, made of uncompressed rows.
fn interlaced(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(::png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("it can be encoded");
    writer.write_image_data(picture.as_raw()).expect("it can be encoded");
    writer.finish().expect("it can be encoded");
    // The encoder knows no interlacing: the header is changed, and the rows are those of the passes.
    let mut rows = Vec::new();
    for [x0, y0, dx, dy] in super::png::PASSES {
        if x0 >= picture.width() {
            continue;
        }
        for y in (y0..picture.height()).step_by(dy as usize) {
            rows.push(0);
            for x in (x0..picture.width()).step_by(dx as usize) {
                rows.extend_from_slice(&picture.get_pixel(x, y).0);
            }
        }
    }
    let mut header = bytes[16..29].to_vec();
    header[12] = 1;
    let mut file = bytes[..8].to_vec();
    for (name, body) in [(b"IHDR", header), (b"IDAT", stored(&rows)), (b"IEND", Vec::new())] {
        let start = file.len() + 4;
        file.extend_from_slice(&(body.len() as u32).to_be_bytes());
        file.extend_from_slice(name);
        file.extend_from_slice(&body);
        let sum = crc(&file[start..]);
        file.extend_from_slice(&sum.to_be_bytes());
    }
    file
}

/// A zlib stream that compresses nothing.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = bytes.chunks(60_000).collect();
    for (index, block) in blocks.iter().enumerate() {
        stream.push(u8::from(index + 1 == blocks.len()));
        stream.extend_from_slice(&(block.len() as u16).to_le_bytes());
        stream.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        stream.extend_from_slice(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in bytes {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}

#[test]
fn every_kind_comes_out_as_the_image_crate_has_it() {
    let rgb = DynamicImage::ImageRgb8(picture(61, 33));
    let kinds = [
        encoded(&rgb, ImageFormat::Jpeg),
        progressive_jpeg(),
        encoded(&rgb, ImageFormat::Png),
        encoded(&rgb.to_rgba8().into(), ImageFormat::Png),
        encoded(&rgb.to_luma8().into(), ImageFormat::Png),
        encoded(&rgb.to_luma_alpha16().into(), ImageFormat::Png),
        encoded(&rgb.to_rgb16().into(), ImageFormat::Png),
        encoded(&rgb.to_rgba16().into(), ImageFormat::Png),
        encoded(&rgb, ImageFormat::WebP),
        encoded(&rgb.to_rgba8().into(), ImageFormat::WebP),
        encoded(&rgb, ImageFormat::Bmp),
        encoded(&rgb.to_rgba8().into(), ImageFormat::Bmp),
        encoded(&rgb.to_luma8().into(), ImageFormat::Bmp),
    ];
    for (index, bytes) in kinds.iter().enumerate() {
        let expected = image::load_from_memory(bytes).expect("it can be read").into_rgb8();
        let reader = photos();
        let read = reader.decode(bytes).expect("it can be read");
        assert!(read.rgb == expected && read.reduction == 1, "kind {index}");
    }
    let bytes = interlaced(&picture(61, 33));
    assert_eq!(photos().decode(&bytes).expect("it can be read").rgb, picture(61, 33));
}

#[test]
fn large_pictures_come_smaller() {
    let reader = Reader::new(Limits { pixels: 600, bytes: 10_000_000, ..Limits::PHOTO });
    let rgb = DynamicImage::ImageRgb8(picture(61, 33));
    let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp];
    let mut kinds: Vec<_> = formats.iter().map(|&format| encoded(&rgb, format)).collect();
    kinds.push(interlaced(&picture(61, 33)));
    for bytes in kinds {
        let read = reader.decode(&bytes).expect("it can be read");
        assert_eq!((read.rgb.dimensions(), read.reduction), ((31, 17), 2));
    }
}

#[test]
fn pictures_are_upright() {
    let reader = photos();
    for (orientation, size) in [(1, (48, 32)), (3, (48, 32)), (6, (32, 48)), (8, (32, 48))] {
        let bytes = with_orientation(&sample_jpeg(48, 32), orientation);
        let read = reader.decode(&bytes).expect("it can be read");
        assert_eq!(read.rgb.dimensions(), size);
        let mut frame = Vec::new();
        assert_eq!(decode_frame(&bytes, &mut frame).unwrap(), (size, 1));
        assert_eq!(&frame, read.rgb.as_raw());
    }
}

#[test]
fn a_decoder_that_panics_is_an_error() {
    let error = photos().decode(ODD_PALETTE).unwrap_err().to_string();
    assert!(error.starts_with("is broken"), "{error}");
    assert!(photos().decode(&sample_jpeg(8, 8)).is_ok());
}

#[test]
fn what_is_no_picture_is_called_so() {
    let cases: [(&[u8], &str); 4] = [
        (b"hello, this is text", "is not a JPEG"),
        (b"", "is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"GIF89a\x01\0\x01\0", "GIF"),
    ];
    for (bytes, words) in cases {
        let error = photos().decode(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_film_behind_a_photo_is_not_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("photo.jpg");
    let mut file = File::create(&path).expect("file");
    file.write_all(&sample_jpeg(48, 32)).expect("file");
    file.write_all(b"ftypmp42 \xff\xda\0\x02 and so on").expect("file");
    // It would be too large as a whole.
    file.set_len(MAX_FILE_BYTES * 2).expect("file");
    assert_eq!(photos().read(&path).expect("it can be read").rgb.dimensions(), (48, 32));
}

#[test]
fn a_row_that_is_too_long_is_refused() {
    let mut bytes = encoded(&DynamicImage::ImageRgb8(picture(8, 1)), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&64_000_000u32.to_be_bytes());
    let sum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = photos().decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("64000000x1") && error.contains("65535"), "{error}");
}

#[test]
fn a_webp_frame_that_is_larger_than_its_picture_is_refused() {
    let mut bytes = include_bytes!("../../fuzz/corpus/picture/exif-6.webp").to_vec();
    let start = bytes.windows(3).position(|code| code == [0x9D, 0x01, 0x2A]).expect("a frame");
    bytes[start + 3..start + 7].fill(0x3F);
    let error = photos().decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("larger than the picture"), "{error}");
}

#[test]
fn threads_share_the_memory() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("photo.jpg");
    let bytes = sample_jpeg(60, 60);
    std::fs::write(&path, &bytes).expect("file");
    let need = bytes.len() as u64 + 3 * 60 * 60;
    let reader = Reader::new(Limits { pixels: 10_000, bytes: need * 3 / 2, ..Limits::PHOTO });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let read = reader.read(&path).expect("it can be read");
                    assert_eq!(read.rgb.dimensions(), (60, 60));
                }
            });
        }
    });
    let most = reader.budget().most();
    assert!((need..=need * 3 / 2).contains(&most), "{most} of {need} bytes");
}

/// The picture with bytes between two segments, which the common decoder does not pass over.
fn with_stray_bytes(picture: &[u8]) -> Vec<u8> {
    let second = 4 + usize::from(u16::from_be_bytes([picture[4], picture[5]]));
    [&picture[..second], &[0; 8], &picture[second..]].concat()
}

#[test]
fn what_the_common_decoder_refuses_is_read_by_the_own_one_with_memory_for_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("photo.jpg");
    let bytes = with_stray_bytes(&sample_jpeg(60, 60));
    std::fs::write(&path, &bytes).expect("file");
    let reader = photos();
    let plain = bytes.len() as u64 + 3 * 60 * 60;
    let read = reader.decode(&bytes).expect("it can be read").rgb;
    assert!(read.dimensions() == (60, 60) && reader.budget().most() > plain);
    assert!(photos().read(&path).expect("it can be read").rgb == read);
    let mut frame = Vec::new();
    assert_eq!(decode_frame(&bytes, &mut frame).unwrap(), ((60, 60), 1));
    assert_eq!(&frame, read.as_raw());
    let reader = Reader::new(Limits { bytes: plain, ..Limits::PHOTO });
    assert_eq!(reader.read(&path).expect("it can be read").reduction, 2);
}

#[test]
fn turning_is_planned_with_the_picture() {
    let rgb = DynamicImage::ImageRgb8(picture(61, 33));
    let mut kinds: Vec<Vec<u8>> =
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp]
            .iter()
            .map(|&format| encoded(&rgb, format))
            .collect();
    kinds.push(with_orientation(&kinds[0], 6));
    for (index, bytes) in kinds.iter().enumerate() {
        let upright = photos().decode(bytes).expect("it can be read").rgb;
        let most = |turn: Turn| {
            let reader = Reader::new(Limits { turn, ..Limits::PHOTO });
            let turned = reader.decode(bytes).expect("it can be read").rgb;
            assert!(turned == turn.apply(upright.clone(), &mut Vec::new()), "kind {index}");
            reader.budget().most()
        };
        let [none, quarter, half] = [0, 90, 180].map(|degrees| most(Turn::new(degrees, false)));
        let rgb_bytes = upright.as_raw().len() as i64;
        // What EXIF data turned one way is turned once, not twice. WebP takes more to be decoded.
        let more = [rgb_bytes, rgb_bytes, 0, rgb_bytes, -rgb_bytes][index];
        assert_eq!((quarter as i64 - none as i64, half), (more, none), "kind {index}");
    }
}

#[test]
fn pictures_that_take_too_much_memory_are_refused_or_come_smaller() {
    let rgb = DynamicImage::ImageRgb8(picture(61, 33));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
        let reader = Reader::new(Limits { pixels: 10_000, bytes: 5000, ..Limits::PHOTO });
        let error = reader.decode(&encoded(&rgb, format)).unwrap_err().to_string();
        assert!(error.contains("of memory to decode"), "{error}");
    }
    // A stream is in memory already, and is not copied.
    let bytes = sample_jpeg(60, 60);
    let need = bytes.len() as u64 + 3 * 60 * 60;
    for (bytes_there, reduction) in [(need, 1), (need - 1, 2)] {
        let reader = Reader::new(Limits { bytes: bytes_there, ..Limits::PHOTO });
        let read = reader.read_stream(bytes.as_slice(), "-").expect("it can be read");
        assert_eq!(read.reduction, reduction);
    }
    let reader = Reader::new(Limits { bytes: 1000, ..Limits::PHOTO });
    let error = reader.read_stream(bytes.as_slice(), "-").unwrap_err().to_string();
    assert!(error.contains("of memory to decode"), "{error}");
}

#[test]
fn a_frame_of_a_stream_has_its_bytes_in_the_limit() {
    let frame = sample_jpeg(60, 60);
    // Room for the pixels would be there but for what lies behind the picture.
    let mut padded = frame.clone();
    padded.resize(Limits::FRAME.bytes as usize - 10_000, 0);
    let mut rgb = Vec::new();
    assert_eq!(decode_frame(&frame, &mut rgb).unwrap(), ((60, 60), 1));
    assert_eq!(decode_frame(&padded, &mut rgb).unwrap(), ((30, 30), 2));
}

#[test]
fn a_frame_of_a_stream_has_no_more_pixels_than_other_pictures() {
    let mut bytes = sample_jpeg(48, 32);
    let at = bytes.windows(5).position(|window| window == [0xFF, 0xC0, 0, 17, 8]).expect("a frame");
    let [high, low] = 9000u16.to_be_bytes();
    bytes[at + 5..at + 9].copy_from_slice(&[high, low, high, low]);
    let error = decode_frame(&bytes, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("more than 64 megapixels"), "{error}");
    assert!(photos().decode(&bytes).unwrap_err().to_string().contains("cut off"));
}

#[test]
fn memory_of_a_larger_frame_is_not_kept_where_there_is_none_for_both() {
    let frame = sample_jpeg(60, 60);
    for (had, is_kept) in [(10_000_000, true), (Limits::FRAME.bytes as usize, false)] {
        let mut rgb = Vec::with_capacity(had);
        decode_frame(&frame, &mut rgb).expect("it can be read");
        assert_eq!(rgb.capacity() >= had, is_kept);
    }
}

/// Panics in decoders of this project, which would pass for damage.
fn own_panics() -> usize {
    use std::sync::Once;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static START: Once = Once::new();
    START.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let file = panic.location().map_or("", |place| place.file());
            let is_own = file.starts_with("src/picture") && !file.ends_with("tests.rs");
            COUNT.fetch_add(usize::from(is_own), Ordering::SeqCst);
            tell(panic);
        }));
    });
    COUNT.load(Ordering::SeqCst)
}

#[test]
fn survives_damage() {
    let rgb = DynamicImage::ImageRgb8(picture(40, 24));
    let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp];
    let reader = Reader::new(Limits { pixels: 100_000, bytes: 20_000_000, ..Limits::PHOTO });
    let before = own_panics();
    let mut random = Random(7);
    for format in formats {
        let bytes = encoded(&rgb, format);
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.bits() % 4 {
                let at = random.bits() as usize % damaged.len();
                damaged[at] = random.bits() as u8;
            }
            if let Ok(read) = reader.decode(&damaged) {
                assert!(u64::from(read.rgb.width()) * u64::from(read.rgb.height()) <= 100_000);
            }
        }
    }
    assert_eq!(own_panics(), before);
}
