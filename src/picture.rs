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
mod whole;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;

use crate::error::{Error, Result};
use crate::heap;
use crate::shown::masked;
use crate::turn::{Turn, swaps_sides, turned};
use budget::{Budget, Permit};
pub use find::{Found, LeftOut, PictureFile, find};
use jpeg::markers::{Step, Walk};
use kind::{HEAD_BYTES, Kind};

/// Pixels of the largest picture that is read, if it is no JPEG: 64 megapixels as cameras count.
const MOST_PIXELS: u64 = 65_000_000;

/// Pixels of the largest frame of a stream: to look through more takes seconds.
const MOST_FRAME_PIXELS: u64 = 64_000_000;

/// Bytes of the largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Bytes of the longest stream that holds a picture; all of it is kept while the picture is decoded.
const MAX_STREAM_BYTES: u64 = 64 << 20;

/// Bytes of the largest JPEG picture, without what lies behind it in its file.
const MAX_JPEG_BYTES: u64 = 80 << 20;

/// Bytes of a JPEG file or of a stream that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// Most bytes of what stands before the pixels of a PNG or WebP picture and is kept.
const MOST_METADATA_BYTES: u64 = 8 << 20;

/// Where the address space is limited, what is left for everything but pictures: stacks, networks, and
/// copies that are written.
const BESIDE_BYTES: u64 = 40_000_000;

/// What a picture may take, and how it comes out.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most pixels that come out; a larger picture is made smaller.
    pub pixels: u64,
    /// Most memory that decoding and turning take, in bytes.
    pub bytes: u64,
    /// How it is turned once it is upright.
    pub turn: Turn,
}

impl Limits {
    /// For photos: with 24 megapixels a face of a fiftieth of the picture is large enough.
    pub const PHOTO: Self = Self { pixels: 25_200_000, bytes: 230_000_000, turn: Turn::NONE };
    /// For frames of a stream: 4K. Two more pictures of a stream wait beside the one that is decoded.
    pub const FRAME: Self = Self { pixels: 9_000_000, bytes: 72_000_000, turn: Turn::NONE };

    /// The same where `bytes` less are there.
    fn beside(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    /// The same where the address space is limited and the process has `had` bytes for this already.
    fn within_address_space(self, had: u64) -> Self {
        let Some(left) = heap::left_bytes() else { return self };
        Self { bytes: self.bytes.min((left + had).saturating_sub(BESIDE_BYTES)), ..self }
    }
}

/// A picture that was read, upright and turned.
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
    /// Made with the first picture: then the networks have their part of a limited address space.
    budget: OnceLock<Budget>,
    /// Held by whoever waits for memory with a picture in memory.
    keeps: Mutex<()>,
}

/// Pixels as a decoder gives them, and what is still to be done to them.
struct Decoded {
    rgb: Vec<u8>,
    size: (u32, u32),
    orientation: Orientation,
    reduction: u32,
}

/// What the next attempt to decode a picture needs.
#[derive(Clone, Copy)]
struct Need {
    bytes: u64,
    /// The decoder of this project, for a JPEG that the other one refuses.
    is_own: bool,
}

impl Reader {
    /// With these limits for each picture; all together take the memory of one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, budget: OnceLock::new(), keeps: Mutex::default() }
    }

    fn budget(&self) -> &Budget {
        let bytes = || self.limits.within_address_space(0).bytes;
        self.budget.get_or_init(|| Budget::new(bytes()))
    }

    /// The limits beside `bytes` that are kept.
    fn limits_beside(&self, bytes: u64) -> Limits {
        Limits { bytes: self.budget().total(), ..self.limits }.beside(bytes)
    }

    /// Reads a JPEG, PNG, WebP or BMP file and turns it upright as its EXIF data says, and then as the
    /// limits do.
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
        self.decode_from(BufReader::new(file), &[], self.budget().permit()).map_err(wrong)
    }

    /// Reads a picture as [`read`](Self::read) does from a stream that is called `name`, one at a time.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); a stream may have 64 MiB.
    pub fn read_stream(&self, mut stream: impl Read, name: &str) -> Result<Picture<'_>> {
        let wrong = |reason: String| Error::Input { path: PathBuf::from(name), reason };
        let _keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut permit = self.budget().permit();
        let mut bytes = Vec::new();
        loop {
            permit.wait_for(bytes.len() as u64 + READ_BYTES);
            bytes.reserve_exact(READ_BYTES as usize);
            let read = stream.by_ref().take(READ_BYTES).read_to_end(&mut bytes);
            if read.map_err(|error| unreadable(Path::new(name), &error))? == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_STREAM_BYTES {
                return Err(wrong(format!("is larger than {} MiB", MAX_STREAM_BYTES >> 20)));
            }
            let limits = self.limits_beside(0);
            if bytes.len() as u64 > limits.bytes {
                return Err(wrong(too_large(&limits)));
            }
        }
        self.decode_from(Cursor::new(&bytes), &bytes, permit).map_err(wrong)
    }

    /// Reads a JPEG, PNG, WebP or BMP picture from memory, one at a time.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to be put after its name.
    pub fn decode(&self, bytes: &[u8]) -> Result<Picture<'_>, String> {
        let _keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner);
        self.decode_from(Cursor::new(bytes), bytes, self.budget().permit())
    }

    /// From a file, or from all of its bytes that are `kept` in memory.
    fn decode_from<'a>(
        &'a self,
        source: impl BufRead + Seek,
        kept: &[u8],
        permit: Permit<'a>,
    ) -> Result<Picture<'a>, String> {
        guarded(|| self.decode_unguarded(source, kept, permit))
    }

    /// How much memory a picture takes, its header says, which is read with the rest. When that memory
    /// is not there, everything is given back and read anew when it is.
    fn decode_unguarded<'a>(
        &'a self,
        mut source: impl BufRead + Seek,
        kept: &[u8],
        mut permit: Permit<'a>,
    ) -> Result<Picture<'a>, String> {
        let length = source.seek(io::SeekFrom::End(0)).map_err(cannot_read)?;
        source.rewind().map_err(cannot_read)?;
        let kind = kind(&mut source)?;
        if kind != Kind::Jpeg && length > MAX_FILE_BYTES {
            return Err(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20));
        }
        let kept_bytes = kept.len() as u64;
        let first = match kind {
            Kind::Jpeg if kept.is_empty() => length.min(MAX_JPEG_BYTES),
            Kind::Jpeg | Kind::Bmp => kept_bytes,
            Kind::Png | Kind::WebP => kept_bytes + MOST_METADATA_BYTES,
        };
        let mut need = Need { bytes: first, is_own: false };
        loop {
            permit.wait_for(need.bytes);
            source.rewind().map_err(cannot_read)?;
            let decoded = match kind {
                Kind::Jpeg if kept.is_empty() => {
                    let bytes = read_jpeg(&mut source, length, &self.limits_beside(0))?;
                    self.attempt_jpeg(&bytes, &mut permit, &mut need)
                }
                Kind::Jpeg => self.attempt_jpeg(kept, &mut permit, &mut need),
                Kind::Png => {
                    let plan = png::Plan::new(&mut source, &self.limits_beside(kept_bytes))?;
                    need.bytes = kept_bytes + plan.need_bytes();
                    permit.resize(need.bytes).then(|| plan.decode()).transpose()
                }
                Kind::WebP => {
                    let limits = self.limits_beside(kept_bytes);
                    let plan = whole::Plan::webp(&mut source, length, &limits)?;
                    need.bytes = kept_bytes + plan.need_bytes();
                    permit.resize(need.bytes).then(|| plan.decode()).transpose()
                }
                Kind::Bmp => {
                    let plan = whole::Plan::bmp(&mut source, &self.limits_beside(kept_bytes))?;
                    need.bytes = kept_bytes + plan.need_bytes();
                    permit.resize(need.bytes).then(|| plan.decode()).transpose()
                }
            };
            match decoded? {
                Some(decoded) => return decoded.finish(permit),
                None => permit.resize(kept_bytes),
            };
        }
    }

    /// Decodes a JPEG, or says in `need` what that takes beyond what is there.
    fn attempt_jpeg(
        &self,
        bytes: &[u8],
        permit: &mut Permit<'_>,
        need: &mut Need,
    ) -> Result<Option<Decoded>, String> {
        let length = bytes.len() as u64;
        let mut plan = jpeg::Plan::new(bytes, &self.limits_beside(length))?;
        if need.is_own {
            plan = plan.with_own_decoder()?;
        }
        need.bytes = length + plan.need_bytes();
        if !permit.resize(need.bytes) {
            return Ok(None);
        }
        let mut rgb = large::empty(plan.rgb_bytes());
        let (orientation, reduction) = (plan.orientation(), plan.reduction());
        if let Some(size) = plan.decode(&mut rgb)? {
            return Ok(Some(Decoded { rgb, size, orientation, reduction }));
        }
        *need = Need { bytes: length + plan.with_own_decoder()?.need_bytes(), is_own: true };
        Ok(None)
    }
}

impl Decoded {
    /// Turns the picture, for which `permit` has the memory.
    fn finish(self, mut permit: Permit<'_>) -> Result<Picture<'_>, String> {
        let reduction = self.reduction;
        let rgb = self.upright()?;
        permit.resize(rgb.as_raw().len() as u64);
        Ok(Picture { rgb, reduction, _permit: permit })
    }

    fn upright(self) -> Result<RgbImage, String> {
        let needs_memory = swaps_sides(self.orientation);
        let mut memory = large::empty(if needs_memory { self.rgb.len() } else { 0 });
        RgbImage::from_raw(self.size.0, self.size.1, self.rgb)
            .map(|rgb| turned(rgb, self.orientation, &mut memory))
            .ok_or_else(|| "is broken: its size does not fit its data".to_owned())
    }
}

fn kind(source: &mut impl Read) -> Result<Kind, String> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    source.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(cannot_read)?;
    match (kind::of(&head), kind::foreign(&head)) {
        (Some(kind), _) => Ok(kind),
        (None, _) if head.is_empty() => Err("is empty".to_owned()),
        (None, Some(foreign)) => {
            Err(format!("is a picture of a kind that is not read ({foreign}); {}", kind::ADVICE))
        }
        (None, None) => Err("is not a JPEG, PNG, WebP or BMP picture".to_owned()),
    }
}

/// Decodes a JPEG frame of a stream into `rgb`, of which the memory counts, turns it upright as its
/// EXIF data says, and gives its size and how many pixels of the frame each pixel stands for, each way.
///
/// # Errors
///
/// What is wrong with it, to be put after its name.
pub fn decode_frame(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<((u32, u32), u32), String> {
    guarded(|| {
        let limits = Limits::FRAME.beside(bytes.len() as u64);
        let limits = limits.within_address_space(rgb.capacity() as u64);
        let mut plan = jpeg::Plan::new(bytes, &limits)?;
        plan.check_pixels(MOST_FRAME_PIXELS)?;
        let size = loop {
            // Memory of a larger picture is not kept where there is none for both.
            let idle = rgb.capacity().saturating_sub(plan.rgb_bytes()) as u64;
            if idle + plan.need_bytes() > limits.bytes {
                *rgb = Vec::new();
            }
            match plan.decode(rgb)? {
                Some(size) => break size,
                None => plan = plan.with_own_decoder()?,
            }
        };
        let (orientation, reduction) = (plan.orientation(), plan.reduction());
        if orientation == Orientation::NoTransforms {
            return Ok((size, reduction));
        }
        let upright =
            Decoded { rgb: std::mem::take(rgb), size, orientation, reduction }.upright()?;
        let size = upright.dimensions();
        *rgb = upright.into_raw();
        Ok((size, reduction))
    })
}

/// A decoder that panics has met a picture that makes no sense to it.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("is broken: its decoder gave up".to_owned()))
}

/// The JPEG at the start of a file. What lies behind it, such as a film, is not read.
fn read_jpeg(source: &mut impl Read, length: u64, limits: &Limits) -> Result<Vec<u8>, String> {
    let most = MAX_JPEG_BYTES.min(limits.bytes);
    let mut bytes = large::empty(length.min(most + READ_BYTES) as usize);
    let mut walk = Walk::lenient();
    loop {
        let read = source.by_ref().take(READ_BYTES).read_to_end(&mut bytes).map_err(cannot_read)?;
        if read == 0 || !matches!(walk.go(&bytes), Step::Incomplete) {
            return Ok(bytes);
        }
        if bytes.len() as u64 > MAX_JPEG_BYTES {
            return Err(format!("is larger than {} MiB", MAX_JPEG_BYTES >> 20));
        }
        if bytes.len() as u64 > most {
            return Err(too_large(limits));
        }
    }
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
    too_large_so(limits, "scale it down or save it as JPEG")
}

fn too_large_so(limits: &Limits, advice: &str) -> String {
    let most = limits.bytes / 1_000_000;
    format!("takes more than {most} MB of memory to decode; {advice}")
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
    // A quarter of the pixels' bytes is more than most pictures take.
    let mut bytes = large::empty(rgb.as_raw().len() / 4);
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
