//! Why a picture cannot be read.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use image::ColorType;

use super::find::LeftOut;
use super::jpeg::Damage;
use super::kind;

/// A picture, or a folder of pictures, that is missing or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Error {
    /// The file or folder, or what stands for it.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub reason: Unreadable,
}

/// What is wrong with a picture, to be put after its name.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing of that name.
    #[error("no such file or folder")]
    Missing,
    /// Its rights forbid it.
    #[error("may not be read (permission denied)")]
    Forbidden,
    /// Something else that the system says.
    #[error("cannot be read: {0}")]
    System(#[source] io::Error),
    /// An address in the place of a file; of one that names a file, what follows `file://`.
    #[error("{}", address(.0.as_deref()))]
    Address(Option<String>),
    /// A device, a pipe, or a folder where a file is needed.
    #[error("is not a file")]
    NotAFile,
    /// A file of no bytes.
    #[error("is empty")]
    Empty,
    /// A kind of picture that is not read.
    #[error("is a picture of a kind that is not read ({0}); {advice}", advice = kind::ADVICE)]
    Foreign(&'static str),
    /// No kind of picture that is known.
    #[error("is not a JPEG, PNG, WebP or BMP picture")]
    NotAPicture,
    /// A folder without pictures.
    #[error("{}", no_pictures(.left_out, .unreadable.as_deref()))]
    NoPictures {
        /// What it holds.
        left_out: LeftOut,
        /// The first folder below it that cannot be read.
        #[source]
        unreadable: Option<Box<Error>>,
    },
    /// More bytes than are read.
    #[error("is larger than {} MiB", .0 >> 20)]
    TooLong(u64),
    /// More pixels than are read.
    #[error("has {width}x{height} pixels, more than {} megapixels; scale it down", most / 1_000_000)]
    TooManyPixels {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Most pixels.
        most: u64,
    },
    /// A side that is longer than any is read.
    #[error("has {width}x{height} pixels; no side may be longer than {longest}")]
    TooWide {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Most pixels of a side.
        longest: u32,
    },
    /// Decoding takes more memory than there may be.
    #[error("takes more than {} MB of memory to decode; {advice}", most_bytes / 1_000_000)]
    TooMuchMemory {
        /// Most memory.
        most_bytes: u64,
        /// What makes it take less.
        advice: &'static str,
    },
    /// A JPEG that is cut off, broken or odd.
    #[error(transparent)]
    Jpeg(#[from] Damage),
    /// Rows or parts of the file are missing.
    #[error("is cut off: {0} missing")]
    Cut(&'static str),
    /// It contradicts itself.
    #[error("is broken: {0}")]
    Broken(&'static str),
    /// Its decoder gives pixels of a form that no such picture has.
    #[error("is broken: its pixels are {0:?}")]
    PixelForm(ColorType),
    /// Its decoder refuses it.
    #[error("is broken: {0}")]
    Decoder(#[source] Box<dyn StdError + Send + Sync>),
}

impl Unreadable {
    /// What the decoder of a picture says.
    pub(super) fn decoder(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Decoder(Box::new(error))
    }
}

fn address(file: Option<&str>) -> String {
    match file {
        Some(file) => format!("is an address; name the file itself: {file}"),
        None => {
            "is an address, and pictures are read from files; fetch it first: curl -fsSL ADDRESS \
                 | celebcam identify -"
                .to_owned()
        }
    }
}

fn no_pictures(left_out: &LeftOut, unreadable: Option<&Error>) -> String {
    let mut text = "holds no pictures (JPEG, PNG, WebP, BMP)".to_owned();
    // Writing to a string cannot fail.
    if *left_out != LeftOut::default() {
        let _ = write!(text, ", but {left_out}");
    }
    if left_out.has_pictures() {
        let _ = write!(text, "; {}", kind::ADVICE);
    }
    if let Some(error) = unreadable {
        let _ = write!(text, "; {error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let denied = io::Error::from(io::ErrorKind::InvalidData);
        for (reason, text) in [
            (Unreadable::Missing, "no such file or folder"),
            (Unreadable::Forbidden, "may not be read (permission denied)"),
            (Unreadable::System(denied), "cannot be read: invalid data"),
            (
                Unreadable::Address(Some("/a.jpg".to_owned())),
                "is an address; name the file itself: /a.jpg",
            ),
            (
                Unreadable::Address(None),
                "is an address, and pictures are read from files; fetch it first: curl -fsSL ADDRESS \
                 | celebcam identify -",
            ),
            (Unreadable::TooLong(64 << 20), "is larger than 64 MiB"),
            (
                Unreadable::TooManyPixels { width: 10_000, height: 9_000, most: 64_000_000 },
                "has 10000x9000 pixels, more than 64 megapixels; scale it down",
            ),
            (
                Unreadable::TooWide { width: 70_000, height: 1, longest: 65_535 },
                "has 70000x1 pixels; no side may be longer than 65535",
            ),
            (
                Unreadable::TooMuchMemory { most_bytes: 230_000_000, advice: "scale it down" },
                "takes more than 230 MB of memory to decode; scale it down",
            ),
            (Unreadable::Jpeg(Damage::Cut), "is cut off: data is missing"),
            (Unreadable::Cut("rows are"), "is cut off: rows are missing"),
            (Unreadable::PixelForm(ColorType::L8), "is broken: its pixels are L8"),
        ] {
            assert_eq!(reason.to_string(), text);
        }
        let error = Error { path: "a.jpg".into(), reason: Unreadable::Empty };
        assert_eq!(error.to_string(), "a.jpg: is empty");
    }
}
