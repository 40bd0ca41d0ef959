//! A file is replaced in one step: at every moment there is the old content or the new, also when
//! the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::beside;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
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

/// Read and written by the owner alone: the file says what people look like.
const PRIVATE: u32 = 0o600;

/// Waits until nobody else changes the file at `path`, and keeps others from it until the result is
/// dropped. Makes the folder.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    fs::create_dir_all(folder(path))?;
    let (lock, _) = beside(path);
    let mut options = OpenOptions::new();
    let lock = options.read(true).write(true).create(true).mode(PRIVATE).open(lock)?;
    lock.lock()?;
    Ok(lock)
}

/// Replaces the file at `path` by what `write` writes; the caller holds its [`lock`]. Each step is
/// told to `about_to` before it is done.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    mut about_to: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    remove_leftovers(path);
    let (_, start) = beside(path);
    let new = path.with_file_name(format!("{start}{}", std::process::id()));
    let result = (|| {
        about_to(Step::Create)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&new)?;
        take_over_rights(path, &file);
        about_to(Step::Write)?;
        write(&mut file)?;
        about_to(Step::Sync)?;
        file.sync_all()?;
        about_to(Step::Rename)?;
        fs::rename(&new, path)?;
        about_to(Step::SyncFolder)?;
        File::open(folder(path))?.sync_all()?;
        about_to(Step::Done)
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

/// Gives the new file the rights of the one that it replaces, and an administrator's to the owner of
/// the folder, so that a service can go on reading it.
fn take_over_rights(path: &Path, new: &File) {
    let old = path.metadata();
    if let Ok(old) = &old {
        let _ = new.set_permissions(old.permissions());
    }
    if let Ok(owned) = old.or_else(|_| folder(path).metadata()) {
        let _ = std::os::unix::fs::fchown(new, Some(owned.uid()), Some(owned.gid()));
    }
}
