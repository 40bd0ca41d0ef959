//! The folder of snapshots: their names, and room for the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// `2026-11-24T10:15:30.123Z` with a digit in the place of each zero.
const TIME_PATTERN: &[u8] = b"0000-00-00T00-00-00.000Z";

/// Put behind the name of a file that is being written.
const UNFINISHED: &str = ".part";

/// Longest part of a person's identifier that is taken into a name.
const ID_LIMIT: usize = 80;

/// The name of the snapshot of the person `id` at the RFC 3339 time `ts`; names sort by time. What
/// cannot stand in a name on every file system becomes a hyphen.
pub(super) fn file_name(ts: &str, track: u64, id: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '.') {
            character
        } else {
            '-'
        }
    };
    let id: String = id.chars().take(ID_LIMIT).map(plain).collect();
    format!("{}_{track}_{id}.jpg", ts.replace(':', "-"))
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
pub(super) struct Folder {
    path: PathBuf,
    limit_bytes: u64,
}

impl Folder {
    /// Makes the folder if it is missing, checks that it can be written to, removes what a run
    /// that was cut off left unfinished, and makes the snapshots in it fit.
    pub(super) fn open(path: &Path, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let folder = Self { path: path.to_owned(), limit_bytes };
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            let unfinished = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED));
            if unfinished.is_some_and(is_snapshot) {
                remove(&path.join(name))?;
            }
        }
        let probe = path.join(file_name("0000-00-00T00-00-00.000Z", 0, "probe") + UNFINISHED);
        fs::write(&probe, b"?")?;
        remove(&probe)?;
        folder.make_room(0)?;
        Ok(folder)
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
        self.make_room(size)?;
        let unfinished = self.path.join(format!("{name}{UNFINISHED}"));
        let written = fs::write(&unfinished, jpeg)
            .and_then(|()| fs::rename(&unfinished, self.path.join(name)));
        if written.is_err()
            && let Err(error) = remove(&unfinished)
        {
            log::debug!("cannot remove {}: {error}", unfinished.display());
        }
        written
    }

    /// Removes the oldest snapshots until `size` more bytes fit.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut snapshots = list(&self.path)?;
        snapshots.sort();
        let mut taken: u64 = snapshots.iter().map(|(_, size)| size).sum();
        for (name, its_size) in snapshots {
            if taken.saturating_add(size) <= self.limit_bytes {
                break;
            }
            remove(&self.path.join(name))?;
            taken -= its_size;
        }
        Ok(())
    }
}

/// The snapshots in the folder `path`, with their sizes. Whoever else changes the folder may do so.
pub(super) fn list(path: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !is_snapshot(&name) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => found.push((name, metadata.len())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
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
        for id in ["tom-hanks", "../../etc", "a_b c/ü\n", "x.jpg", &"long".repeat(99)] {
            let name = file_name("2026-11-24T10:15:30.123Z", 7, id);
            assert!(is_snapshot(&name), "{name}");
            assert!(!name.contains(['/', '\n', ' ', ':']) && name.len() < 160, "{name}");
        }
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
        let snapshots = Folder::open(folder.path(), 1000).unwrap();
        for second in 0..10 {
            snapshots.write(&name(second), &[0; 300]).unwrap();
            let taken: u64 = list(folder.path()).unwrap().iter().map(|(_, size)| size).sum();
            assert!(taken <= 1000, "{taken}");
        }
        assert_eq!(names(folder.path()), [name(7), name(8), name(9)]);
        snapshots.write(&name(10), &[0; 1000]).unwrap();
        assert_eq!(names(folder.path()), [name(10)]);
    }

    #[test]
    fn room_is_made_before_the_picture_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Folder::open(folder.path(), 1000).unwrap();
        snapshots.write(&name(1), &[0; 900]).unwrap();
        fs::create_dir(folder.path().join(name(2) + UNFINISHED)).unwrap();
        assert!(snapshots.write(&name(2), &[0; 900]).is_err());
        assert!(!folder.path().join(name(1)).exists());
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
        let snapshots = Folder::open(folder.path(), 1000).unwrap();
        let left = [&name(3), &name(4), other[0], other[2], other[1]];
        assert_eq!(names(folder.path()), left);
        snapshots.write(&name(6), &[0; 400]).unwrap();
        assert_eq!(names(folder.path())[..2], [name(4), name(6)]);
    }

    #[test]
    fn a_picture_over_the_limit_is_not_written_and_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Folder::open(folder.path(), 1000).unwrap();
        snapshots.write(&name(1), &[0; 900]).unwrap();
        let error = snapshots.write(&name(2), &[0; 1001]).unwrap_err();
        assert!(error.to_string().contains("--snapshot-limit"), "{error}");
        assert_eq!(names(folder.path()), [name(1)]);
    }
}
