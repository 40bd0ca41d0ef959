//! A file is replaced in one step: at every moment there is the old content or the new, also when
//! the power goes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{NotWritten, beside};
use crate::system::files::{FILE_MODE, create_folder, unfinished_name};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WriteStep {
    /// Making the temporary file.
    Create,
    /// Writing to it.
    Write,
    /// Bringing it to the disk.
    Sync,
    /// Giving it the name of the file.
    Rename,
    /// Bringing the new name to the disk.
    SyncFolder,
    /// Nothing more.
    Done,
}

/// Longest time to wait for another process that changes the file.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Time after which waiting is told.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Time between two looks whether the other process has done.
const POLL: Duration = Duration::from_millis(20);

/// Waits until nobody else changes the file at `path`, `patience` at most, and keeps others from it until
/// the result is dropped. Makes the folder.
pub(super) fn lock(path: &Path, patience: Duration) -> Result<File, NotWritten> {
    create_folder(folder(path))?;
    let (name, _) = beside(path);
    let lock = open_lock(&name)?;
    give_to_owner(path, &lock);
    let since = Instant::now();
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if since.elapsed() >= patience => {
                return Err(NotWritten::Held { lock: name, patience });
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !is_told && since.elapsed() >= TOLD_AFTER {
            log::warn!("waiting for another process that changes {}", path.display());
            is_told = true;
        }
        std::thread::sleep(POLL);
    }
}

/// Opens the file for the lock, which is made if it is missing and never a link or a pipe.
fn open_lock(path: &Path) -> Result<File, NotWritten> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(FILE_MODE);
    let wrong = || NotWritten::LockNotAFile(path.to_owned());
    match options.custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(lock) if lock.metadata()?.is_file() => Ok(lock),
        Ok(_) => Err(wrong()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Err(wrong()),
        Err(source) => Err(NotWritten::Lock { lock: path.to_owned(), source }),
    }
}

/// Replaces the file at `path` by what `write` writes; the caller holds its [`lock`]. Each step is
/// told to `about_to` before it is done.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    mut about_to: impl FnMut(WriteStep) -> io::Result<()>,
) -> io::Result<()> {
    remove_leftovers(path);
    let (_, start) = beside(path);
    let new = path.with_file_name(start + &unfinished_name());
    let result = (|| {
        about_to(WriteStep::Create)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&new)?;
        take_over_rights(path, &file);
        about_to(WriteStep::Write)?;
        write(&mut file)?;
        about_to(WriteStep::Sync)?;
        file.sync_all()?;
        about_to(WriteStep::Rename)?;
        fs::rename(&new, path)?;
        about_to(WriteStep::SyncFolder)?;
        File::open(folder(path))?.sync_all()?;
        about_to(WriteStep::Done)
    })();
    if result.is_err() {
        // It may not be there, and the error that came before is the one to report.
        let _ = fs::remove_file(&new);
    }
    result
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes temporary files of processes that were ended while they wrote.
fn remove_leftovers(path: &Path) {
    let (_, start) = beside(path);
    for entry in fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&start)
            && let Err(error) = fs::remove_file(entry.path())
        {
            log::debug!("cannot remove {}: {error}", entry.path().display());
        }
    }
}

/// Gives the new file the rights of the one that it replaces, and its owner, so that a service can go on
/// reading what an administrator has changed. Where the system does not allow that, the file stays as it
/// was made.
fn take_over_rights(path: &Path, new: &File) {
    if let Ok(old) = path.metadata() {
        let _ = new.set_permissions(old.permissions());
    }
    give_to_owner(path, new);
}

/// Gives a file of an administrator to whom the one at `path`, or its folder, belongs.
fn give_to_owner(path: &Path, file: &File) {
    if let Ok(owned) = path.metadata().or_else(|_| folder(path).metadata()) {
        let _ = std::os::unix::fs::fchown(file, Some(owned.uid()), Some(owned.gid()));
    }
}
