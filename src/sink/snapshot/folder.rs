//! The folder of snapshots: their names, and room for the next one.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};

use crate::system::files::{self, create_folder, is_leftover};

/// `2026-11-24T10:15:30.123Z` with a digit in the place of each zero.
const TIME_PATTERN: &[u8] = b"0000-00-00T00-00-00.000Z";

/// End of the names of files that earlier versions left unfinished.
const UNFINISHED: &str = ".part";

/// Longest part of a person's identifier that is taken into a name: names of files have 255 bytes at
/// most, and on some file systems half of that.
const ID_LIMIT_BYTES: usize = 80;

/// Time between two pictures where the clock stands before the last one: the coarsest step of a file
/// system.
const STEP: Duration = Duration::from_secs(2);

/// The name of the snapshot of the person `id` at the RFC 3339 time `ts`. Of the identifier, letters and
/// digits of all scripts stay, and everything else becomes a hyphen.
pub(super) fn file_name(ts: &str, track: u64, id: &str) -> String {
    let plain = |character: char| {
        let stays = character.is_alphanumeric() || matches!(character, '-' | '.');
        if stays { character } else { '-' }
    };
    let mut plain: String = id.chars().map(plain).collect();
    plain.truncate(plain.floor_char_boundary(ID_LIMIT_BYTES));
    if !plain.contains(char::is_alphanumeric) {
        // Nothing is left that says who.
        let digest = Sha256::digest(id);
        plain = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    }
    format!("{}_{track}_{plain}.jpg", ts.replace(':', "-"))
}

/// Whether [`file_name`] gives such names.
fn is_snapshot(name: &str) -> bool {
    let matches = |(byte, pattern): (u8, &u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    let Some((time, rest)) = name.split_once('_') else { return false };
    let Some((track, id)) = rest.split_once('_') else { return false };
    time.len() == TIME_PATTERN.len()
        && time.bytes().zip(TIME_PATTERN).all(matches)
        && track.parse::<u64>().is_ok()
        && id.strip_suffix(".jpg").is_some_and(|id| !id.is_empty())
}

/// A folder in which snapshots take a bounded number of bytes at any moment. Other files in it
/// neither count nor are touched.
#[derive(Debug)]
pub(super) struct SnapshotFolder {
    path: PathBuf,
    limit_bytes: u64,
}

impl SnapshotFolder {
    /// Makes the folder if it is missing, removes what a run that was cut off left unfinished, and makes
    /// the snapshots in it fit. A disk that is full or cannot be written to now may be well later, and is
    /// no error.
    ///
    /// # Errors
    /// What the system says where it has to be put right by somebody: no folder, or no rights to it.
    pub(super) fn open(path: &Path, limit_bytes: u64) -> io::Result<Self> {
        let folder = Self { path: path.to_owned(), limit_bytes };
        match folder.prepare() {
            Err(error) if is_for_good(&error) => return Err(error),
            Err(error) => log::warn!(
                "--snapshot: cannot write to {}: {error}; the run goes on and tries again with each \
                 picture",
                path.display()
            ),
            Ok(()) => {}
        }
        Ok(folder)
    }

    fn prepare(&self) -> io::Result<()> {
        create_folder(&self.path)?;
        access(&self.path, Access::WRITE_OK | Access::EXEC_OK)?;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(is_unfinished) {
                remove(&self.path.join(name))?;
            }
        }
        self.make_room(0).map(drop)
    }

    /// Writes the snapshot `name`, whole or not at all. A picture that alone is over the limit is
    /// an error.
    pub(super) fn write(&self, name: &str, jpeg: &[u8]) -> io::Result<()> {
        let size = jpeg.len() as u64;
        if size > self.limit_bytes {
            let limit = self.limit_bytes;
            return Err(io::Error::other(format!(
                "its {size} bytes are over the limit of {limit}, --snapshot-limit"
            )));
        }
        let folder = files::Folder::open(&self.path)?;
        let newest = self.make_room(size)?;
        // A clock that stands before the last picture must not make this one the oldest.
        let behind = newest.filter(|newest| *newest >= SystemTime::now());
        folder.write(name, jpeg, behind.map(after))
    }

    /// Removes the oldest snapshots until `size` more bytes fit. Gives when the newest was written.
    fn make_room(&self, size: u64) -> io::Result<Option<SystemTime>> {
        let mut snapshots = list(&self.path)?;
        snapshots.sort();
        let newest = snapshots.last().map(|snapshot| snapshot.written);
        let mut taken: u64 = snapshots.iter().map(|snapshot| snapshot.bytes).sum();
        for snapshot in snapshots {
            if taken.saturating_add(size) <= self.limit_bytes {
                break;
            }
            remove(&self.path.join(snapshot.name))?;
            taken -= snapshot.bytes;
        }
        Ok(newest)
    }
}

/// The time that a picture gets which comes after one of this time.
fn after(newest: SystemTime) -> SystemTime {
    newest.checked_add(STEP).unwrap_or(newest)
}

/// Whether trying again is of no use.
fn is_for_good(error: &io::Error) -> bool {
    use ErrorKind::{
        AlreadyExists, InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied,
    };
    matches!(
        error.kind(),
        AlreadyExists
            | InvalidFilename
            | InvalidInput
            | NotADirectory
            | NotFound
            | PermissionDenied
    )
}

/// Whether `name` is that of a snapshot which is not finished any more.
fn is_unfinished(name: &str) -> bool {
    is_leftover(name) || name.strip_suffix(UNFINISHED).is_some_and(is_snapshot)
}

/// A snapshot in the folder; the older first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stored {
    written: SystemTime,
    name: String,
    /// Its size.
    pub(super) bytes: u64,
}

/// The snapshots in the folder `path`. Whoever else changes the folder may do so.
pub(super) fn list(path: &Path) -> io::Result<Vec<Stored>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !is_snapshot(&name) {
            continue;
        }
        match entry.metadata() {
            Ok(file) if file.is_file() => {
                found.push(Stored { written: file.modified()?, name, bytes: file.len() });
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(second: u32) -> String {
        file_name(&format!("2026-11-24T10:15:{second:02}.123Z"), 3, "tom-hanks")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_say_time_track_and_person_and_are_recognized() {
        assert_eq!(name(30), "2026-11-24T10-15-30.123Z_3_tom-hanks.jpg");
        for id in
            ["tom-hanks", "../../etc", "a_b c/ü\n", "x.jpg", &"long".repeat(99), &"李".repeat(99)]
        {
            let name = file_name("2026-11-24T10:15:30.123Z", 7, id);
            assert!(is_snapshot(&name), "{name}");
            assert!(!name.contains(['/', '\n', ' ', ':']) && name.len() < 160, "{name}");
        }
    }

    #[test]
    fn names_say_who_in_every_script() {
        let named = |id: &str| file_name("2026-11-24T10:15:30.123Z", 1, id)[27..].to_owned();
        for id in ["李娜", "иван-петров", "ρένα", "محمد", "हिन-दी"] {
            assert_eq!(named(id), format!("{id}.jpg"));
        }
        assert_eq!(named("a\u{202e}b\u{301}"), "a-b-.jpg");
        assert_ne!(named("👩"), named("👨"));
        assert!(is_snapshot(&file_name("2026-11-24T10:15:30.123Z", 1, "👩")));
    }

    #[test]
    fn other_names_are_not_recognized() {
        let others = [
            "holiday.jpg",
            "2026-11-24T10-15-30.123Z_3_tom-hanks.png",
            "2026-11-24T10-15-30.123Z_3_.jpg",
            "2026-11-24T10-15-30.123Z_x_tom-hanks.jpg",
            "2026-11-24T10-15-30Z_3_tom-hanks.jpg",
            "2026-11-24T10-15-3ü.12Z_3_tom-hanks.jpg",
            "2026-11-24T10-15-30.123Z.jpg",
            "x2026-11-24T10-15-30.123Z_3_tom-hanks.jpg",
        ];
        for other in others {
            assert!(!is_snapshot(other), "{other}");
        }
    }

    #[test]
    fn the_oldest_make_room_and_the_limit_holds_at_every_moment() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = SnapshotFolder::open(folder.path(), 1000).unwrap();
        for second in 0..10 {
            snapshots.write(&name(second), &[0; 300]).unwrap();
            let taken: u64 = list(folder.path()).unwrap().iter().map(|it| it.bytes).sum();
            assert!(taken <= 1000, "{taken}");
        }
        assert_eq!(names(folder.path()), [name(7), name(8), name(9)]);
        snapshots.write(&name(10), &[0; 1000]).unwrap();
        assert_eq!(names(folder.path()), [name(10)]);
    }

    #[test]
    fn room_is_made_before_the_picture_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = SnapshotFolder::open(folder.path(), 1000).unwrap();
        snapshots.write(&name(1), &[0; 900]).unwrap();
        fs::create_dir(folder.path().join(name(2))).unwrap();
        assert!(snapshots.write(&name(2), &[0; 900]).is_err());
        assert_eq!(names(folder.path()), [name(2)], "the folder");
    }

    #[test]
    fn the_pictures_written_last_are_the_newest_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let later = SystemTime::now() + Duration::from_secs(1_000_000);
        for second in 1..=3 {
            let file = fs::File::create(folder.path().join(name(second))).unwrap();
            file.set_len(300).unwrap();
            file.set_modified(later + Duration::from_secs(second.into())).unwrap();
        }
        let at = |hour| file_name(&format!("1970-01-01T0{hour}:00:00.000Z"), 1, "ann");
        // Each by a run of its own.
        for hour in 0..3 {
            let snapshots = SnapshotFolder::open(folder.path(), 1000).unwrap();
            snapshots.write(&at(hour), &[0; 300]).unwrap();
            assert!(names(folder.path()).contains(&at(hour)));
        }
        assert_eq!(names(folder.path()), [at(0), at(1), at(2)]);
    }

    #[test]
    fn the_last_of_all_times_has_none_behind_it() {
        let newest = SystemTime::UNIX_EPOCH + Duration::from_secs(i64::MAX as u64);
        assert_eq!(after(newest), newest);
        assert_eq!(after(SystemTime::UNIX_EPOCH), SystemTime::UNIX_EPOCH + STEP);
    }

    #[test]
    fn pictures_are_private_and_links_in_their_place_are_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("new/faces"), folder.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        let snapshots = SnapshotFolder::open(&path, 1000).unwrap();
        for planted in [name(1), name(1) + UNFINISHED] {
            symlink(&victim, path.join(planted)).unwrap();
        }
        snapshots.write(&name(1), &[0; 300]).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(name(1)))), (0o700, 0o600));
    }

    #[test]
    fn what_may_heal_is_waited_for() {
        let heals =
            [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::QuotaExceeded];
        assert!(!heals.iter().any(|&kind| is_for_good(&kind.into())));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("below")] {
            assert!(is_for_good(&SnapshotFolder::open(path, 1000).unwrap_err()), "{path:?}");
        }
    }

    #[test]
    fn what_earlier_runs_left_counts_and_other_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let other = ["holiday.jpg", "notes.txt", "notes.part"];
        for file in other {
            fs::write(folder.path().join(file), [0; 5000]).unwrap();
        }
        for second in 1..=4 {
            fs::write(folder.path().join(name(second)), [0; 400]).unwrap();
        }
        fs::write(folder.path().join(name(5) + UNFINISHED), [0; 400]).unwrap();
        let snapshots = SnapshotFolder::open(folder.path(), 1000).unwrap();
        let left = [&name(3), &name(4), other[0], other[2], other[1]];
        assert_eq!(names(folder.path()), left);
        snapshots.write(&name(6), &[0; 400]).unwrap();
        assert_eq!(names(folder.path())[..2], [name(4), name(6)]);
    }

    #[test]
    fn a_picture_over_the_limit_is_not_written_and_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = SnapshotFolder::open(folder.path(), 1000).unwrap();
        snapshots.write(&name(1), &[0; 900]).unwrap();
        let error = snapshots.write(&name(2), &[0; 1001]).unwrap_err();
        assert!(error.to_string().contains("--snapshot-limit"), "{error}");
        assert_eq!(names(folder.path()), [name(1)]);
    }
}
