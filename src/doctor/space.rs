//! Room for what a run writes: the gallery and snapshots.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use rustix::io::Errno;

use super::system::amount;
use super::{Checkup, Finding};
use crate::exit::Exit;
use crate::settings::Snapshots;
use crate::sink;
use crate::system::process::quoted;

/// Free bytes below which a gallery may not find the room to be written anew.
const GALLERY_NEEDS_BYTES: u64 = 50_000_000;

pub fn check(checkup: &Checkup<'_>) -> Finding {
    judge(checkup.setup().gallery.as_deref(), checkup.setup().snapshots.as_ref())
}

/// The room in the folders of the gallery and of snapshots.
fn judge(gallery: Option<&Path>, snapshots: Option<&Snapshots>) -> Finding {
    let mut parts = Vec::new();
    if let Some(path) = gallery {
        let folder = path.parent().unwrap_or(path);
        parts.push(room("the gallery", folder, GALLERY_NEEDS_BYTES));
    }
    if let Some(Snapshots { folder, limit_bytes }) = snapshots {
        let taken = sink::snapshot_bytes(folder).unwrap_or(0);
        parts.push(room("snapshots", folder, limit_bytes.saturating_sub(taken)));
        parts.extend(not_writable(folder));
    }
    if parts.is_empty() {
        return Finding::skipped("nothing is written");
    }
    Finding::joined(parts)
}

/// The nearest folder at `path` or above that is there.
pub fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or(Path::new("."));
    there.to_owned()
}

fn room(what: &str, folder: &Path, needed_bytes: u64) -> Finding {
    match statvfs(existing(folder)) {
        Ok(disk) => {
            let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            let is_read_only = disk.f_flag.contains(StatVfsMountFlags::RDONLY);
            judge_room(what, folder, free_bytes, needed_bytes, is_read_only)
        }
        Err(error) => Finding::ok(format!("not told for {what}: {error}")),
    }
}

/// The highest folder on the file system of `folder`.
fn mount_point(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let device = |folder: &Path| folder.metadata().map(|it| it.dev()).ok();
    let own = device(&folder);
    let highest = folder.ancestors().take_while(|above| device(above) == own).last();
    highest.unwrap_or(&folder).to_owned()
}

fn judge_room(
    what: &str,
    folder: &Path,
    free_bytes: u64,
    needed_bytes: u64,
    is_read_only: bool,
) -> Finding {
    let place = folder.display();
    if is_read_only {
        let found = format!("{what} cannot be written, {place} is on a read-only file system");
        let mount = quoted(mount_point(&existing(folder)));
        return Finding::warning(
            found,
            format!("Name another place, or make it writable: sudo mount -o remount,rw {mount}"),
        );
    }
    let found = format!("{} free for {what} in {place}", amount(free_bytes));
    if free_bytes >= needed_bytes {
        return Finding::ok(found);
    }
    let wanted = amount(needed_bytes);
    Finding::warning(
        format!("{found}, {wanted} wanted"),
        "Make room; this shows what takes it: sudo du -xh --max-depth=2 / | sort -h | tail",
    )
}

/// A run does not start with a folder for snapshots that is none, or of others. Of a read-only file
/// system [`room`] tells.
fn not_writable(folder: &Path) -> Option<Finding> {
    let there = existing(folder);
    let is_folder = !folder.exists() || folder.is_dir();
    let may_write = access(&there, Access::WRITE_OK | Access::EXEC_OK);
    if is_folder && matches!(may_write, Ok(()) | Err(Errno::ROFS)) {
        return None;
    }
    let found = format!("snapshots cannot be written to {}", folder.display());
    let advice = if is_folder {
        format!("Give this user the folder: sudo install -d -m 700 -o \"$USER\" {}", quoted(folder))
    } else {
        "That is no folder; name another with --snapshot.".to_owned()
    };
    Some(Finding::failure(found, advice, Exit::Failure))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn little_room_and_read_only_disks_are_warned_of() {
        let folder = Path::new("/no/such/folder");
        let fine = judge_room("the gallery", folder, 2_000_000_000, 50_000_000, false);
        assert_eq!(fine, Finding::ok("2.0 GB free for the gallery in /no/such/folder"));
        let full = judge_room("snapshots", folder, 20_000_000, 100_000_000, false);
        assert_eq!(full.status(), Status::Warning);
        assert!(full.found().starts_with("20 MB free for snapshots"), "{full:?}");
        assert!(full.found().ends_with("100 MB wanted"), "{full:?}");
        let read_only = judge_room("snapshots", folder, 2_000_000_000, 1, true);
        assert_eq!(read_only.status(), Status::Warning);
        assert!(read_only.advice().is_some_and(|advice| advice.ends_with("remount,rw /")));
        let joined = Finding::joined(vec![read_only, judge_room("snapshots", folder, 1, 1, true)]);
        let advice = joined.advice().unwrap_or_default();
        assert_eq!(advice.matches("Name another place").count(), 1, "{advice}");
    }

    #[test]
    fn snapshots_that_are_there_count_as_room() {
        let folder = tempfile::tempdir().unwrap();
        let gallery = folder.path().join("below/gallery");
        let check = |folder: &Path, limit_bytes| {
            judge(Some(&gallery), Some(&Snapshots { folder: folder.to_owned(), limit_bytes }))
        };
        let snapshot = folder.path().join("2026-11-24T10-15-30.123Z_3_tom-hanks.jpg");
        std::fs::write(snapshot, [0; 1000]).unwrap();
        let found = check(folder.path(), 1000);
        assert!(!found.found().contains("wanted"), "{found:?}");
        let too_much = check(folder.path(), u64::MAX);
        assert!(too_much.status() == Status::Warning && too_much.found().contains("wanted"));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let no_folder = check(&file, 1);
        assert_eq!((no_folder.status(), no_folder.exit()), (Status::Failure, Some(Exit::Failure)));
    }

    #[test]
    fn the_nearest_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(existing(Path::new("no/such")), Path::new("."));
    }
}
