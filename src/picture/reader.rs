//! Reads pictures within a memory that threads share.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use image::RgbImage;

use super::budget::{Budget, Permit};
use super::jpeg::markers::{Outcome, Walk};
use super::kind::{self, HEAD_BYTES, PictureKind};
use super::{
    Decoded, Error, Limits, MOST_METADATA_BYTES, Unreadable, guarded, jpeg, large, png, too_large,
    whole,
};
use crate::shown::masked;

/// Bytes of the largest file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 20;

/// Bytes of the longest stream that holds a picture; all of it is kept while the picture is decoded.
const MAX_STREAM_BYTES: u64 = 64 << 20;

/// Bytes of the largest JPEG picture, without what lies behind it in its file.
const MAX_JPEG_BYTES: u64 = 80 << 20;

/// Bytes of a JPEG file or of a stream that are read at once.
const READ_BYTES: u64 = 1 << 20;

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

/// What the next attempt to decode a picture needs.
#[derive(Clone, Copy)]
struct Need {
    bytes: u64,
    /// The decoder of this project, for a JPEG that the other one refuses.
    is_own: bool,
}

/// A picture that is to be read from a file, or from all of its bytes that are `kept` in memory.
struct Input<'a, S> {
    kind: PictureKind,
    source: S,
    length: u64,
    kept: &'a [u8],
}

impl Reader {
    /// With these limits for each picture; all together take the memory of one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, budget: OnceLock::new(), keeps: Mutex::default() }
    }

    pub(super) fn budget(&self) -> &Budget {
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
    /// When the file is missing, is not a picture, is cut off, or is too large.
    pub fn read(&self, path: &Path) -> Result<Picture<'_>, Error> {
        let metadata = path.metadata().map_err(|error| unreadable(path, error))?;
        let wrong = |reason| Error { path: path.to_owned(), reason };
        if !metadata.is_file() {
            return Err(wrong(Unreadable::NotAFile));
        }
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        self.decode_from(BufReader::new(file), &[], self.budget().permit()).map_err(wrong)
    }

    /// Reads a picture as [`read`](Self::read) does from a stream that is called `name`, one at a time.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); a stream may have 64 MiB.
    pub fn read_stream(&self, mut stream: impl Read, name: &str) -> Result<Picture<'_>, Error> {
        let wrong = |reason| Error { path: PathBuf::from(name), reason };
        let _keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut permit = self.budget().permit();
        let mut bytes = Vec::new();
        loop {
            permit.wait_for(bytes.len() as u64 + READ_BYTES);
            bytes.reserve_exact(READ_BYTES as usize);
            let read = stream.by_ref().take(READ_BYTES).read_to_end(&mut bytes);
            if read.map_err(|error| unreadable(Path::new(name), error))? == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_STREAM_BYTES {
                return Err(wrong(Unreadable::TooLong(MAX_STREAM_BYTES)));
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
    pub fn decode(&self, bytes: &[u8]) -> Result<Picture<'_>, Unreadable> {
        let _keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner);
        self.decode_from(Cursor::new(bytes), bytes, self.budget().permit())
    }

    /// From a file, or from all of its bytes that are `kept` in memory.
    fn decode_from<'a>(
        &'a self,
        source: impl BufRead + Seek,
        kept: &[u8],
        permit: Permit<'a>,
    ) -> Result<Picture<'a>, Unreadable> {
        guarded(|| self.decode_unguarded(source, kept, permit))
    }

    /// The header says how much memory a picture takes, and is read with the rest. When that memory is
    /// not there, everything is given back, and read anew once it is.
    fn decode_unguarded<'a>(
        &'a self,
        mut source: impl BufRead + Seek,
        kept: &[u8],
        mut permit: Permit<'a>,
    ) -> Result<Picture<'a>, Unreadable> {
        let length = source.seek(io::SeekFrom::End(0)).map_err(Unreadable::System)?;
        source.rewind().map_err(Unreadable::System)?;
        let kind = kind(&mut source)?;
        if kind != PictureKind::Jpeg && length > MAX_FILE_BYTES {
            return Err(Unreadable::TooLong(MAX_FILE_BYTES));
        }
        let kept_bytes = kept.len() as u64;
        let first = match kind {
            PictureKind::Jpeg if kept.is_empty() => length.min(MAX_JPEG_BYTES),
            PictureKind::Jpeg | PictureKind::Bmp => kept_bytes,
            PictureKind::Png | PictureKind::WebP => kept_bytes + MOST_METADATA_BYTES,
        };
        let mut input = Input { kind, source, length, kept };
        let mut need = Need { bytes: first, is_own: false };
        loop {
            permit.wait_for(need.bytes);
            if let Some(decoded) = self.attempt(&mut input, &mut permit, &mut need)? {
                let reduction = decoded.reduction;
                let rgb = decoded.upright()?;
                permit.resize(rgb.as_raw().len() as u64);
                return Ok(Picture { rgb, reduction, _permit: permit });
            }
            permit.resize(kept_bytes);
        }
    }

    /// Decodes a picture, or says in `need` what that takes beyond what is there.
    fn attempt(
        &self,
        input: &mut Input<'_, impl BufRead + Seek>,
        permit: &mut Permit<'_>,
        need: &mut Need,
    ) -> Result<Option<Decoded>, Unreadable> {
        let Input { kind, source, length, kept } = input;
        source.rewind().map_err(Unreadable::System)?;
        let kept_bytes = kept.len() as u64;
        let limits = self.limits_beside(kept_bytes);
        let mut is_there = |need_bytes: u64| {
            need.bytes = kept_bytes + need_bytes;
            permit.resize(need.bytes)
        };
        match kind {
            PictureKind::Jpeg if kept.is_empty() => {
                let bytes = read_jpeg(source, *length, &limits)?;
                self.attempt_jpeg(&bytes, permit, need)
            }
            PictureKind::Jpeg => self.attempt_jpeg(kept, permit, need),
            PictureKind::Png => {
                let plan = png::Plan::new(source, &limits)?;
                is_there(plan.need_bytes()).then(|| plan.decode()).transpose()
            }
            PictureKind::WebP => {
                let plan = whole::Plan::webp(source, *length, &limits)?;
                is_there(plan.need_bytes()).then(|| plan.decode()).transpose()
            }
            PictureKind::Bmp => {
                let plan = whole::Plan::bmp(source, &limits)?;
                is_there(plan.need_bytes()).then(|| plan.decode()).transpose()
            }
        }
    }

    /// As [`attempt`](Self::attempt), a JPEG from memory.
    fn attempt_jpeg(
        &self,
        bytes: &[u8],
        permit: &mut Permit<'_>,
        need: &mut Need,
    ) -> Result<Option<Decoded>, Unreadable> {
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

fn kind(source: &mut impl Read) -> Result<PictureKind, Unreadable> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    source.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(Unreadable::System)?;
    match (kind::of(&head), kind::foreign(&head)) {
        (Some(kind), _) => Ok(kind),
        (None, _) if head.is_empty() => Err(Unreadable::Empty),
        (None, Some(foreign)) => Err(Unreadable::Foreign(foreign)),
        (None, None) => Err(Unreadable::NotAPicture),
    }
}

/// The JPEG at the start of a file. What lies behind it, such as a film, is not read.
fn read_jpeg(source: &mut impl Read, length: u64, limits: &Limits) -> Result<Vec<u8>, Unreadable> {
    let most = MAX_JPEG_BYTES.min(limits.bytes);
    let mut bytes = large::empty(length.min(most + READ_BYTES) as usize);
    let mut walk = Walk::lenient();
    loop {
        let read =
            source.by_ref().take(READ_BYTES).read_to_end(&mut bytes).map_err(Unreadable::System)?;
        if read == 0 || !matches!(walk.go(&bytes), Outcome::Incomplete) {
            return Ok(bytes);
        }
        if bytes.len() as u64 > MAX_JPEG_BYTES {
            return Err(Unreadable::TooLong(MAX_JPEG_BYTES));
        }
        if bytes.len() as u64 > most {
            return Err(too_large(limits));
        }
    }
}

/// Whether an address stands in the place of a file, and what follows `file://`.
fn address(path: &str) -> Option<Unreadable> {
    let (scheme, rest) = path.split_once("://")?;
    let names_file = scheme.eq_ignore_ascii_case("file");
    Some(Unreadable::Address(names_file.then(|| rest.to_owned())))
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let name = path.to_string_lossy();
    if let Some(reason) = address(&name) {
        return Error { path: PathBuf::from(masked(&name)), reason };
    }
    let reason = match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        io::ErrorKind::PermissionDenied => Unreadable::Forbidden,
        _ => Unreadable::System(error),
    };
    Error { path: path.to_owned(), reason }
}
