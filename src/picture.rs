//! Pictures out of files and streams: one door behind which all decoders stand.
//!
//! What a picture is, its content says. A decoder that panics is caught, and what comes out is
//! complete, upright, and of a size that is known before it is decoded: a larger picture is made
//! smaller on the way. So pixels, memory and time are bounded.

mod budget;
mod find;
pub mod jpeg;
mod kind;
mod large;
mod png;
mod riff;
mod shrink;
mod turn;
mod whole;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;

use crate::error::{Error, Result};
use crate::shown::masked;
use budget::{Budget, Permit};
pub use find::{Found, LeftOut, PictureFile, find};
use jpeg::markers::{Step, Walk};
use kind::{HEAD_BYTES, Kind};

/// Pixels of the largest picture that is read, if it is no JPEG: 64 megapixels as cameras count.
const MOST_PIXELS: u64 = 65_000_000;

/// Bytes of the largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Bytes of the longest stream that holds a picture; all of it is kept while the picture is decoded.
const MAX_STREAM_BYTES: u64 = 64 << 20;

/// Bytes of the largest JPEG picture, without what lies behind it in its file.
const MAX_JPEG_BYTES: u64 = 80 << 20;

/// Bytes of a JPEG file that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// What a picture may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most pixels that come out; a larger picture is made smaller.
    pub pixels: u64,
    /// Most memory that decoding takes, in bytes.
    pub bytes: u64,
}

impl Limits {
    /// For photos: with 24 megapixels a face of a fiftieth of the picture is large enough.
    pub const PHOTO: Self = Self { pixels: 25_200_000, bytes: 230_000_000 };
    /// For frames of a stream: 4K.
    pub const FRAME: Self = Self { pixels: 9_000_000, bytes: 80_000_000 };
}

/// A picture that was read, upright.
#[derive(Debug)]
pub struct Picture<'a> {
    /// Its pixels.
    pub rgb: RgbImage,
    /// How many pixels of the file each pixel stands for, each way: 1, or more for a large picture.
    pub reduction: u32,
    /// The memory is its own as long as it lives.
    _permit: Permit<'a>,
}

/// Reads pictures; threads that share it share its memory.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    budget: Budget,
}

impl Reader {
    /// With these limits for each picture; all together take the memory of one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, budget: Budget::new(limits.bytes) }
    }

    /// Reads a JPEG, PNG, WebP or BMP file and turns it upright as its EXIF data says.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the file is missing, is not a picture, is cut off, or is too large.
    pub fn read(&self, path: &Path) -> Result<Picture<'_>> {
        let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
        let wrong = |reason: String| Error::Input { path: path.to_owned(), reason };
        if !metadata.is_file() {
            return Err(wrong("is not a file".to_owned()));
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        self.decode_from(BufReader::new(file)).map_err(wrong)
    }

    /// Reads a picture as [`read`](Self::read) does from a stream that is called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); a stream may have 64 MiB.
    pub fn read_stream(&self, stream: impl Read, name: &str) -> Result<Picture<'_>> {
        let wrong = |reason: String| Error::Input { path: PathBuf::from(name), reason };
        let mut bytes = Vec::new();
        let read = stream.take(MAX_STREAM_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(Path::new(name), &error))?;
        if bytes.len() as u64 > MAX_STREAM_BYTES {
            return Err(wrong(format!("is larger than {} MiB", MAX_STREAM_BYTES >> 20)));
        }
        self.decode(&bytes).map_err(wrong)
    }

    /// Reads a JPEG, PNG, WebP or BMP picture from memory.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to be put after its name.
    pub fn decode(&self, bytes: &[u8]) -> Result<Picture<'_>, String> {
        self.decode_from(Cursor::new(bytes))
    }

    fn decode_from(&self, source: impl BufRead + Seek) -> Result<Picture<'_>, String> {
        guarded(|| self.decode_unguarded(source))
    }

    fn decode_unguarded(&self, mut source: impl BufRead + Seek) -> Result<Picture<'_>, String> {
        let limits = &self.limits;
        let length = source.seek(io::SeekFrom::End(0)).map_err(cannot_read)?;
        source.rewind().map_err(cannot_read)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        source.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(cannot_read)?;
        source.rewind().map_err(cannot_read)?;
        let kind = match (kind::of(&head), kind::foreign(&head)) {
            (Some(kind), _) => kind,
            (None, _) if head.is_empty() => return Err("is empty".to_owned()),
            (None, Some(foreign)) => {
                return Err(format!(
                    "is a picture of a kind that is not read ({foreign}); {}",
                    kind::ADVICE
                ));
            }
            (None, None) => return Err("is not a JPEG, PNG, WebP or BMP picture".to_owned()),
        };
        if kind != Kind::Jpeg && length > MAX_FILE_BYTES {
            return Err(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20));
        }
        let mut rgb = Vec::new();
        match kind {
            Kind::Jpeg => self.decode_jpeg(&mut source, length),
            Kind::Png => {
                let plan = png::Plan::new(source, limits)?;
                let (orientation, reduction) = (plan.orientation(), plan.reduction());
                let permit = self.budget.take(plan.need_bytes());
                let size = plan.decode(&mut rgb)?;
                finish(rgb, size, orientation, reduction, permit)
            }
            Kind::WebP => {
                let plan = whole::Plan::webp(source, length, limits)?;
                self.finish_whole(plan)
            }
            Kind::Bmp => {
                let plan = whole::Plan::bmp(source, limits)?;
                self.finish_whole(plan)
            }
        }
    }

    fn finish_whole<D: image::ImageDecoder>(
        &self,
        plan: whole::Plan<D>,
    ) -> Result<Picture<'_>, String> {
        let (orientation, reduction) = (plan.orientation(), plan.reduction());
        let permit = self.budget.take(plan.need_bytes());
        let rgb = plan.decode()?;
        let size = rgb.dimensions();
        finish(rgb.into_raw(), size, orientation, reduction, permit)
    }

    /// How much memory a JPEG takes, its header says, which is read with the rest. When that memory
    /// is not there, everything is given back and read anew when it is.
    fn decode_jpeg(
        &self,
        source: &mut (impl Read + Seek),
        length: u64,
    ) -> Result<Picture<'_>, String> {
        let mut need_bytes = length.min(MAX_JPEG_BYTES);
        loop {
            let mut permit = self.budget.take(need_bytes);
            source.rewind().map_err(cannot_read)?;
            let bytes = read_jpeg(source, length)?;
            let left = self.limits.bytes.saturating_sub(bytes.len() as u64);
            let plan = jpeg::Plan::new(&bytes, &Limits { bytes: left, ..self.limits })?;
            need_bytes = bytes.len() as u64 + plan.need_bytes();
            if permit.resize(need_bytes) {
                let mut rgb = large::empty(plan.rgb_bytes());
                let size = plan.decode(&mut rgb)?;
                let (orientation, reduction) = (plan.orientation(), plan.reduction());
                drop(bytes);
                return finish(rgb, size, orientation, reduction, permit);
            }
        }
    }
}

/// Decodes a JPEG frame of a stream into `rgb`, which is empty, turns it upright as its EXIF data
/// says, and gives its size and how many pixels of the frame each pixel stands for, each way.
///
/// # Errors
///
/// What is wrong with it, to be put after its name.
pub fn decode_frame(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<((u32, u32), u32), String> {
    guarded(|| {
        let plan = jpeg::Plan::new(bytes, &Limits::FRAME)?;
        let size = plan.decode(rgb)?;
        if plan.orientation() == Orientation::NoTransforms {
            return Ok((size, plan.reduction()));
        }
        let upright = turned(std::mem::take(rgb), size, plan.orientation())?;
        let size = upright.dimensions();
        *rgb = upright.into_raw();
        Ok((size, plan.reduction()))
    })
}

/// A decoder that panics has met a picture that makes no sense to it.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("is broken: its decoder gave up".to_owned()))
}

/// The JPEG at the start of a file. What lies behind it, such as a film, is not read.
fn read_jpeg(source: &mut impl Read, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = large::empty(length.min(MAX_JPEG_BYTES + READ_BYTES) as usize);
    let mut walk = Walk::lenient();
    loop {
        let read = source.by_ref().take(READ_BYTES).read_to_end(&mut bytes).map_err(cannot_read)?;
        if read == 0 || !matches!(walk.go(&bytes), Step::Incomplete) {
            return Ok(bytes);
        }
        if bytes.len() as u64 > MAX_JPEG_BYTES {
            return Err(format!("is larger than {} MiB", MAX_JPEG_BYTES >> 20));
        }
    }
}

fn finish<'a>(
    rgb: Vec<u8>,
    size: (u32, u32),
    orientation: Orientation,
    reduction: u32,
    mut permit: Permit<'a>,
) -> Result<Picture<'a>, String> {
    let rgb = turned(rgb, size, orientation)?;
    permit.resize(rgb.as_raw().len() as u64);
    Ok(Picture { rgb, reduction, _permit: permit })
}

fn turned(
    rgb: Vec<u8>,
    (width, height): (u32, u32),
    orientation: Orientation,
) -> Result<RgbImage, String> {
    RgbImage::from_raw(width, height, rgb)
        .map(|rgb| turn::turned(rgb, orientation))
        .ok_or_else(|| "is broken: its size does not fit its data".to_owned())
}

fn check_size(width: u32, height: u32, longest: u32) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(too_many_pixels(width as usize, height as usize, 64_000_000));
    }
    if width == 0 || height == 0 {
        return Err("is broken: it has no pixels".to_owned());
    }
    if width.max(height) > longest {
        return Err(format!("has {width}x{height} pixels; no side may be longer than {longest}"));
    }
    Ok(())
}

fn too_many_pixels(width: usize, height: usize, most: u64) -> String {
    let most = most / 1_000_000;
    format!("has {width}x{height} pixels, more than {most} megapixels; scale it down")
}

fn too_large(limits: &Limits) -> String {
    let most = limits.bytes / 1_000_000;
    format!("takes more than {most} MB of memory to decode; scale it down or save it as JPEG")
}

fn broken(error: impl Display) -> String {
    format!("is broken: {error}")
}

fn cannot_read(error: io::Error) -> String {
    format!("cannot be read: {error}")
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
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(rgb)
        .map_err(io::Error::other)?;
    Ok(bytes)
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

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let name = path.to_string_lossy();
    if let Some(reason) = address_advice(&name) {
        return Error::Input { path: PathBuf::from(masked(&name)), reason };
    }
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Error::Input { path: path.to_owned(), reason }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
