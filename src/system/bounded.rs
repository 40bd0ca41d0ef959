//! Files from outside, which may be of any kind and length.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, makedev};

/// Major and minor number of the null device, which is an empty file.
const NULL_DEVICE: (u32, u32) = (1, 3);

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Something else is in its place, such as a folder.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// It has more than these bytes.
    #[error("it has more than {}, which is the limit", size(*.0))]
    TooLarge(u64),
}

impl Error {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == ErrorKind::NotFound)
    }
}

/// Opens the regular file at `path`, or `/dev/null`, without waiting for whatever a pipe or a device may
/// give.
///
/// # Errors
///
/// [`Error::System`], and [`Error::NotAFile`] for something else.
pub fn open(path: &Path) -> Result<File, Error> {
    // Opening a device can do something already.
    check_kind(&path.metadata()?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // It may be another file by now.
    check_kind(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of the regular file at `path`; none of `/dev/null`.
///
/// # Errors
///
/// Those of [`open`], and [`Error::TooLarge`] when it has more than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(Error::TooLarge(most));
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(length).map_err(|_| Error::TooLarge(most))?;
    bytes.try_reserve_exact(length).map_err(io::Error::from)?;
    read_at_most(&file, most, &mut bytes)?;
    Ok(bytes)
}

/// A file can grow, or hold more than its length says.
fn read_at_most(file: &File, most: u64, bytes: &mut Vec<u8>) -> Result<(), Error> {
    file.take(most.saturating_add(1)).read_to_end(bytes)?;
    if bytes.len() as u64 > most { Err(Error::TooLarge(most)) } else { Ok(()) }
}

fn check_kind(metadata: &Metadata) -> Result<(), Error> {
    let kind = metadata.file_type();
    let is_null = kind.is_char_device() && metadata.rdev() == makedev(NULL_DEVICE.0, NULL_DEVICE.1);
    let what = if kind.is_file() || is_null {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(Error::NotAFile(what))
}

fn size(bytes: u64) -> String {
    match bytes / 1_000_000 {
        0 => format!("{} kB", bytes / 1_000),
        megabytes => format!("{megabytes} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (folder.path(), "a folder"),
            (&*pipe, "a pipe"),
            (&*socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = read(path, 10).unwrap_err();
            assert_eq!(error.to_string(), format!("it is {what}, not a file"));
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 2_000_000]).unwrap();
        assert_eq!(read(&path, 2_000_000).unwrap(), [7; 2_000_000]);
        let error = read(&path, 1_999_999).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 1 MB, which is the limit");
        let error = read(&path, 64_000).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 64 kB, which is the limit");
        assert!(read(Path::new("/dev/null"), 10).unwrap().is_empty());
        let sparse = File::create(folder.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert!(read(&folder.path().join("sparse"), 256_000_000).is_err());
        assert!(!error.is_missing());
        assert!(read(&folder.path().join("gone"), 10).unwrap_err().is_missing());
    }

    #[test]
    fn a_file_that_holds_more_than_its_length_says_is_read() {
        assert!(!read(Path::new("/proc/self/status"), 1_000_000).unwrap().is_empty());
        assert!(read(Path::new("/proc/self/status"), 10).is_err());
    }
}
