//! Files that this process makes: pictures of people and what is known of them. They belong to their owner
//! alone, are there whole or not at all, and never go through a link that somebody else may have put in
//! the way.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Rights of files and folders that are made: the owner's.
pub const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Start and end of the name of a file that is being written.
const UNFINISHED: (&str, &str) = (".celebcam-", ".part");

/// What is the same for all names of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Of the file at `path` and, where that is a link, of the link.
    pub fn all_at(path: &Path) -> impl Iterator<Item = Self> {
        let of = |file: std::fs::Metadata| Self { device: file.dev(), inode: file.ino() };
        [path.metadata(), path.symlink_metadata()].into_iter().flatten().map(of)
    }
}

/// Makes the folder at `path` and those above it that are missing.
///
/// # Errors
/// What the system says.
pub fn create_folder(path: &Path) -> io::Result<()> {
    // A relative path of one part has the empty path above it.
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// A name for a file that is being written, which nobody can guess.
pub fn unfinished_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    let (start, end) = UNFINISHED;
    format!("{start}{}-{random:016x}{end}", std::process::id())
}

/// Whether `name` is that of a file which a process began to write and does not finish any more.
pub fn is_leftover(name: &str) -> bool {
    let (start, end) = UNFINISHED;
    let number = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
    let process = number.and_then(|number| number.split_once('-')?.0.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

/// A folder that is held open: whatever becomes of its path, files go there.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
}

impl Folder {
    /// Opens the folder at `path`, which is made if it is missing. It may be a link: whoever named it
    /// chose that.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        create_folder(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { handle: open(path, flags, Mode::empty())? })
    }

    /// The folder `relative` below it, which is made if it is missing.
    ///
    /// # Errors
    /// What the system says, [`NotADirectory`](ErrorKind::NotADirectory) where a link is in the way, and
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a path that leads out.
    pub fn below(self, relative: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = self;
        for part in relative.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::CurDir => continue,
                _ => return Err(ErrorKind::InvalidInput.into()),
            };
            match mkdirat(&folder.handle, name, Mode::from_raw_mode(FOLDER_MODE)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = Self { handle: openat(&folder.handle, name, flags, Mode::empty())? };
        }
        Ok(folder)
    }

    /// Writes the file `name` whole, or leaves what is there, also when the power goes. A link of that
    /// name is replaced, not followed. The file was changed last at the time `modified`, or now.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(
        &self,
        name: impl AsRef<OsStr>,
        bytes: &[u8],
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        let unfinished = unfinished_name();
        let written = self.write_new(&unfinished, bytes, modified).and_then(|()| {
            Ok(renameat(&self.handle, unfinished.as_str(), &self.handle, name.as_ref())?)
        });
        if written.is_err() {
            // It may not be there, and the error that came before is the one to report.
            let _ = unlinkat(&self.handle, unfinished.as_str(), AtFlags::empty());
        }
        written
    }

    fn write_new(&self, name: &str, bytes: &[u8], modified: Option<SystemTime>) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let mut file = File::from(openat(&self.handle, name, flags, mode)?);
        file.write_all(bytes)?;
        if let Some(time) = modified {
            file.set_modified(time)?;
        }
        // Otherwise the name may outlive a power cut and the bytes not.
        file.sync_data()
    }

    /// The file `name` in it, and what a link of that name leads to.
    pub fn file_ids(&self, name: impl AsRef<OsStr>) -> impl Iterator<Item = FileId> {
        [AtFlags::empty(), AtFlags::SYMLINK_NOFOLLOW]
            .map(|flags| statat(&self.handle, name.as_ref(), flags))
            .into_iter()
            .flatten()
            // The width of these differs between systems.
            .map(|file| FileId { device: file.st_dev as _, inode: file.st_ino as _ })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_belongs_to_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let below = Folder::open(&path).unwrap().below(Path::new("b/c")).unwrap();
        below.write("x.jpg", b"face", None).unwrap();
        for made in ["", "b", "b/c"] {
            assert_eq!(mode(&path.join(made)), 0o700, "{made}");
        }
        assert_eq!(mode(&path.join("b/c/x.jpg")), 0o600);
        assert_eq!(fs::read_dir(path.join("b/c")).unwrap().count(), 1);
    }

    #[test]
    fn links_are_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, out) = (folder.path().join("victim"), folder.path().join("out"));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir(folder.path().join("elsewhere")).unwrap();
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, out.join("x.jpg")).unwrap();
        fs::hard_link(&victim, out.join("y.jpg")).unwrap();
        symlink(folder.path().join("elsewhere"), out.join("sub")).unwrap();
        let open = || Folder::open(&out).unwrap();
        open().write("x.jpg", b"face", None).unwrap();
        open().write("y.jpg", b"face", None).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(!out.join("x.jpg").is_symlink());
        for bad in ["sub", "sub/more", "x.jpg", "..", "a/../../b", "/tmp"] {
            assert!(open().below(Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(fs::read_dir(folder.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_get_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("x.jpg")).unwrap();
        assert!(Folder::open(folder.path()).unwrap().write("x.jpg", b"face", None).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_of_unfinished_files_differ_and_are_known_when_their_process_is_gone() {
        let name = unfinished_name();
        assert_ne!(name, unfinished_name());
        assert!(!is_leftover(&name), "this process is alive");
        assert!(
            is_leftover(".celebcam-4194305-0123456789abcdef.part"),
            "beyond the largest number"
        );
        for other in ["holiday.part", ".celebcam-x-1.part", ".celebcam-1.part", "x.jpg"] {
            assert!(!is_leftover(other), "{other}");
        }
    }
}
