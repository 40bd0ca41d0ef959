//! The pictures in folders, and what else is there.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::kind;
use super::reader::unreadable;
use super::{Error, Unreadable};

/// Extensions of files that are meant to be pictures, whatever is in them.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"];

/// A picture file, and the part of its path below the folder in which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// Path to open.
    pub path: PathBuf,
    /// Path below the folder that was named; the file name if the file itself was named.
    pub relative: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The pictures, in order.
    pub files: Vec<PictureFile>,
    /// What else the folders hold.
    pub left_out: LeftOut,
    /// Folders below those named that cannot be read.
    pub unreadable: Vec<Error>,
}

/// What folders hold beside pictures that are read: how many of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pictures: BTreeMap<&'static str, usize>,
    others: usize,
}

impl LeftOut {
    /// Whether there are pictures of other kinds.
    pub(super) fn has_pictures(&self) -> bool {
        !self.pictures.is_empty()
    }

    /// Logs it in one line if there is anything.
    pub fn tell(&self) {
        if self.has_pictures() {
            log::warn!("left out: {self}; {}", kind::ADVICE);
        } else if self.others > 0 {
            log::info!("left out: {self}");
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = |count: usize| if count == 1 { "file" } else { "files" };
        let mut parts: Vec<String> = self
            .pictures
            .iter()
            .map(|(kind, &count)| format!("{count} {kind} {}", files(count)))
            .collect();
        if self.others > 0 {
            parts.push(format!("{} other {}", self.others, files(self.others)));
        }
        formatter.write_str(&parts.join(", "))
    }
}

/// The pictures that `paths` name: files as they are, and in folders everything that is a picture by
/// its content or its name, in the order of the names, with the folders below. Hidden files are
/// passed over.
///
/// # Errors
///
/// When a path is missing or a folder holds no picture.
pub fn find(paths: &[PathBuf]) -> Result<Found, Error> {
    let mut found = Found::default();
    for path in paths {
        let metadata = path.metadata().map_err(|error| unreadable(path, error))?;
        if !metadata.is_dir() {
            let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            found.files.push(PictureFile { path: path.clone(), relative });
            continue;
        }
        let mut inside = Found::default();
        inside.walk(path, Path::new(""))?;
        if inside.files.is_empty() {
            let unreadable = inside.unreadable.into_iter().next().map(Box::new);
            let reason = Unreadable::NoPictures { left_out: inside.left_out, unreadable };
            return Err(Error { path: path.clone(), reason });
        }
        found.take(inside);
    }
    Ok(found)
}

impl Found {
    /// Logs what was left out and what cannot be read.
    pub fn tell(&self) {
        self.left_out.tell();
        self.unreadable.iter().for_each(|error| log::error!("{error}"));
    }

    /// Adds what was found elsewhere.
    pub fn take(&mut self, other: Self) {
        self.files.extend(other.files);
        self.unreadable.extend(other.unreadable);
        self.left_out.others += other.left_out.others;
        for (kind, count) in other.left_out.pictures {
            *self.left_out.pictures.entry(kind).or_default() += count;
        }
    }

    fn walk(&mut self, folder: &Path, relative: &Path) -> Result<(), Error> {
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        let mut names: Vec<_> = entries
            .map(|entry| Ok(entry?.file_name()))
            .collect::<std::io::Result<_>>()
            .map_err(|error| unreadable(folder, error))?;
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let relative = relative.join(&name);
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // A link to a folder is not followed: it could lead back here.
            if path.is_dir() && !path.is_symlink() {
                if let Err(error) = self.walk(&path, &relative) {
                    self.unreadable.push(error);
                }
            } else if path.is_file() {
                self.sort(PictureFile { path, relative });
            }
        }
        Ok(())
    }

    fn sort(&mut self, file: PictureFile) {
        let head = head(&file.path).unwrap_or_default();
        if kind::of(&head).is_some() {
            self.files.push(file);
        } else if let Some(kind) = kind::foreign(&head) {
            *self.left_out.pictures.entry(kind).or_default() += 1;
        } else if has_picture_extension(&file.path) {
            self.files.push(file);
        } else {
            self.left_out.others += 1;
        }
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(kind::HEAD_BYTES);
    File::open(path)?.take(kind::HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
        EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(found: &Found) -> Vec<&str> {
        found.files.iter().map(|file| file.relative.to_str().unwrap()).collect()
    }

    #[test]
    fn folders_are_read_in_order_and_by_content() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join("b")).expect("folder");
        let files: [(&str, &[u8]); 10] = [
            ("c.JPG", b"x"),
            ("a.jfif", b"x"),
            ("b/z.webp", b"x"),
            ("d", b"\xff\xd8\xff\xe0"),
            ("e.HEIC", b"\0\0\0\x18ftypheic"),
            ("f.jpg", b"\0\0\0\x18ftypheic"),
            ("g.heic", b"\xff\xd8\xff\xe1"),
            ("h.gif", b"GIF89a"),
            ("notes.txt", b"words"),
            (".hidden.jpg", b"x"),
        ];
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).expect("file");
        }
        let found = find(&[folder.path().to_owned()]).expect("pictures");
        assert_eq!(names(&found), ["a.jfif", "b/z.webp", "c.JPG", "d", "g.heic"]);
        assert_eq!(found.left_out.to_string(), "1 GIF file, 2 HEIC files, 1 other file");
    }

    #[test]
    fn a_folder_without_pictures_is_an_error_that_says_what_is_there() {
        let folder = tempfile::tempdir().expect("folder");
        let reason = || find(&[folder.path().to_owned()]).expect_err("nothing there").to_string();
        assert!(reason().contains("holds no pictures"), "{}", reason());
        std::fs::write(folder.path().join("notes.txt"), b"words").expect("file");
        assert!(reason().ends_with("but 1 other file"), "{}", reason());
        std::fs::write(folder.path().join("e.HEIC"), b"\0\0\0\x18ftypheic").expect("file");
        assert!(reason().contains("1 HEIC file") && reason().contains("heif-convert"));
    }

    #[test]
    fn one_folder_that_cannot_be_read_does_not_stop_the_others() {
        let folder = tempfile::tempdir().expect("folder");
        let closed = folder.path().join("a");
        std::fs::create_dir(&closed).expect("folder");
        std::fs::write(folder.path().join("b.jpg"), b"x").expect("file");
        let mode = |mode| std::fs::set_permissions(&closed, PermissionsExt::from_mode(mode));
        mode(0).expect("permissions");
        let found = find(&[folder.path().to_owned()]).expect("pictures");
        let may_read_all = std::fs::read_dir(&closed).is_ok();
        mode(0o700).expect("permissions");
        assert_eq!(names(&found), ["b.jpg"]);
        assert_eq!(found.unreadable.len(), usize::from(!may_read_all));
    }
}
