//! Picture files: finding them, reading them upright, with bounded memory.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::{Error, Result};
use crate::shown::masked;

/// Pixels of the largest picture that is read: 64 megapixels.
pub const MAX_PIXELS: u64 = 64_000_000;

/// Bytes of the largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Memory that decoding one picture may take: 16 bits a channel at [`MAX_PIXELS`], and room.
const MAX_DECODE_BYTES: u64 = MAX_PIXELS * 8;

const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// A picture file, and the part of its path below the folder in which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// Path to open.
    pub path: PathBuf,
    /// Path below the folder that was named; the file name if the file itself was named.
    pub relative: PathBuf,
}

/// The pictures that `paths` name: files as they are, and in folders everything that ends like a
/// picture, in the order of the names, with the folders below. Hidden files are left out.
///
/// # Errors
///
/// [`Error::Input`] when a path is missing or a folder holds no picture.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PictureFile>> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
        if !metadata.is_dir() {
            let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            found.push(PictureFile { path: path.clone(), relative });
            continue;
        }
        let before = found.len();
        walk(path, Path::new(""), &mut found)?;
        if found.len() == before {
            let reason = format!("holds no pictures ({})", EXTENSIONS.join(", "));
            return Err(Error::Input { path: path.clone(), reason });
        }
    }
    Ok(found)
}

/// A picture to measure with: any takes a model the same time, this one uses all values.
pub fn made_up(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7 + y) as u8, (x + y * 5) as u8, (x * 3 + y * 3) as u8])
    })
}

fn walk(folder: &Path, relative: &Path, found: &mut Vec<PictureFile>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()
        .map_err(|error| unreadable(folder, &error))?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let relative = relative.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder is not followed: it could lead back here.
        if path.is_dir() && !path.is_symlink() {
            walk(&path, &relative, found)?;
        } else if path.is_file() && has_picture_extension(&path) {
            found.push(PictureFile { path, relative });
        }
    }
    Ok(())
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
        EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// Reads a JPEG, PNG, WebP or BMP file and turns it upright as its EXIF data says.
///
/// # Errors
///
/// [`Error::Input`] when the file is missing, is not a picture, is cut off, or has more than
/// [`MAX_PIXELS`].
pub fn read(path: &Path) -> Result<RgbImage> {
    let wrong = |reason: String| Error::Input { path: path.to_owned(), reason };
    let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(wrong("is not a file".to_owned()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(wrong(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    decode(&bytes).map_err(wrong)
}

/// Reads a picture as [`read`] does from a stream that is called `name`.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_stream(stream: impl Read, name: &str) -> Result<RgbImage> {
    let wrong = |reason: String| Error::Input { path: PathBuf::from(name), reason };
    let mut bytes = Vec::new();
    let read = stream.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(Path::new(name), &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    decode(&bytes).map_err(wrong)
}

fn decode(bytes: &[u8]) -> std::result::Result<RgbImage, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    let broken = |error: image::ImageError| format!("is broken: {error}");
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let format = reader.format();
    let Some(format) = format.filter(|format| {
        use ImageFormat::{Bmp, Jpeg, Png, WebP};
        matches!(format, Jpeg | Png | WebP | Bmp)
    }) else {
        return Err("is not a JPEG, PNG, WebP or BMP picture".to_owned());
    };
    if format == ImageFormat::Jpeg && is_cut_off_jpeg(bytes) {
        return Err("is cut off: its end is missing".to_owned());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "has {width}x{height} pixels, more than {} megapixels; scale it down",
            MAX_PIXELS / 1_000_000
        ));
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// Encodes a picture as JPEG of a quality from 1 to 100.
///
/// # Errors
///
/// For a picture without pixels and one that is too large for JPEG.
pub fn encode_jpeg(rgb: &RgbImage, quality: u8) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(rgb)
        .map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Whether no end-of-image marker follows the last start of a scan. Within a scan these two bytes
/// cannot stand as picture data, and thumbnails stand before it.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]);
    scan.is_none_or(|scan| !bytes[scan..].windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// What to do about an address in the place of a file.
fn address_advice(path: &str) -> Option<String> {
    let (scheme, rest) = path.split_once("://")?;
    Some(if scheme.eq_ignore_ascii_case("file") {
        format!("is an address; name the file itself: {rest}")
    } else {
        "is an address, and pictures are read from files; fetch it first: curl -fsSL ADDRESS | \
         celebcam identify -"
            .to_owned()
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let name = path.to_string_lossy();
    if let Some(reason) = address_advice(&name) {
        return Error::Input { path: PathBuf::from(masked(&name)), reason };
    }
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Error::Input { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg() -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 90]));
        encode_jpeg(&picture, 75).expect("encodes")
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_an_error() {
        let whole = jpeg();
        assert_eq!(decode(&whole).expect("whole").dimensions(), (40, 30));
        for length in 0..whole.len() - 1 {
            assert!(decode(&whole[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn text_is_not_a_picture() {
        assert!(decode(b"hello, this is text").is_err());
    }

    #[test]
    fn folders_are_read_in_order_without_hidden_and_other_files() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join("b")).expect("folder");
        for name in ["c.JPG", "a.png", "b/z.webp", "notes.txt", ".hidden.jpg"] {
            std::fs::write(folder.path().join(name), b"x").expect("file");
        }
        let found = find(&[folder.path().to_owned()]).expect("pictures");
        let relative: Vec<_> = found.iter().map(|file| file.relative.to_str().unwrap()).collect();
        assert_eq!(relative, ["a.png", "b/z.webp", "c.JPG"]);
    }

    #[test]
    fn an_address_is_no_file_and_keeps_its_secrets() {
        let error = |path: &str| find(&[PathBuf::from(path)]).expect_err("no file").to_string();
        let web = error("https://ann:1234@example.org/a.jpg");
        assert!(
            web.starts_with("https://***@example.org/a.jpg: ") && web.contains("curl"),
            "{web}"
        );
        assert!(error("file:///a.jpg").ends_with("name the file itself: /a.jpg"));
    }

    #[test]
    fn a_stream_holds_a_picture_as_a_file_does() {
        let whole = jpeg();
        assert_eq!(read_stream(&whole[..], "x").expect("a picture").dimensions(), (40, 30));
        assert_eq!(read_stream(&[][..], "x").expect_err("nothing").to_string(), "x: is empty");
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let error = find(&[folder.path().to_owned()]).expect_err("nothing there");
        assert!(error.to_string().contains("holds no pictures"), "{error}");
    }
}
