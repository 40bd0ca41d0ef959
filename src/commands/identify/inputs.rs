//! The photos that are asked for: by name, in a list, and on standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::picture::{self, Found, Picture, PictureFile, Reader};

/// Stands for standard input in the place of a name.
const STDIN: &str = "-";

/// Its name in messages.
const STDIN_NAME: &str = "standard input";

/// The name of its annotated copy.
const STDIN_COPY: &str = "standard-input.jpg";

/// Bytes of the longest list.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Photos of the longest list: each takes some memory until all are done.
const MOST_PHOTOS: usize = 1_000_000;

/// The photos that are named by `inputs`, in their order, and then those of the list in `files_from`.
///
/// # Errors
///
/// [`Error::Input`] for what is named and is missing, and for a list that cannot be read. What a list
/// names is looked for when its turn comes.
pub fn photos(inputs: &[PathBuf], files_from: Option<&Path>) -> Result<Found> {
    let named = inputs.iter().map(PathBuf::as_path).chain(files_from);
    if named.filter(|path| path.as_os_str() == STDIN).count() > 1 {
        return Err(wrong(STDIN_NAME, "is named twice and can be read once".to_owned()));
    }
    let mut photos = Found::default();
    for input in inputs {
        if input.as_os_str() == STDIN {
            photos.files.push(PictureFile { path: STDIN.into(), relative: STDIN_COPY.into() });
        } else {
            photos.take(picture::find(std::slice::from_ref(input))?);
        }
    }
    if let Some(list) = files_from {
        let before = photos.files.len();
        add_list(&mut photos, &read_list(list)?, MOST_PHOTOS)
            .map_err(|reason| wrong(&list_name(list), reason))?;
        if photos.files.len() == before && photos.unreadable.is_empty() {
            return Err(wrong(&list_name(list), "names no photos".to_owned()));
        }
    }
    Ok(photos)
}

/// Adds what `list` names, as long as that is no more than `most` photos.
fn add_list(photos: &mut Found, list: &[u8], most: usize) -> Result<(), String> {
    let before = photos.files.len() + photos.unreadable.len();
    for name in names(list) {
        add_name(photos, name);
        if photos.files.len() + photos.unreadable.len() - before > most {
            return Err(format!("names more than {most} photos"));
        }
    }
    Ok(())
}

fn add_name(photos: &mut Found, name: &[u8]) {
    let path = Path::new(OsStr::from_bytes(name));
    if path.is_dir() {
        match picture::find(&[path.to_owned()]) {
            Ok(found) => photos.take(found),
            Err(error) => photos.unreadable.push(error),
        }
        return;
    }
    let relative = path.file_name().map_or_else(|| path.to_owned(), PathBuf::from);
    // In a list it is a name like any other.
    let path = if name == STDIN.as_bytes() { Path::new("./-") } else { path };
    photos.files.push(PictureFile { path: path.to_owned(), relative });
}

/// Reads a photo of [`photos`].
///
/// # Errors
///
/// Those of [`Reader::read`].
pub fn read<'a>(reader: &'a Reader, file: &PictureFile) -> Result<Picture<'a>> {
    if file.path.as_os_str() == STDIN {
        return Ok(reader.read_stream(io::stdin().lock(), STDIN_NAME)?);
    }
    Ok(reader.read(&file.path)?)
}

fn list_name(list: &Path) -> String {
    if list.as_os_str() == STDIN { STDIN_NAME.to_owned() } else { list.display().to_string() }
}

fn read_list(list: &Path) -> Result<Vec<u8>> {
    let cannot = |error: io::Error| wrong(&list_name(list), format!("cannot be read: {error}"));
    let stream: Box<dyn Read> = if list.as_os_str() == STDIN {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(list).map_err(cannot)?)
    };
    let mut bytes = Vec::new();
    stream.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_LIST_BYTES {
        let reason = format!("is a list of more than {} MiB", MAX_LIST_BYTES >> 20);
        return Err(wrong(&list_name(list), reason));
    }
    Ok(bytes)
}

/// The names of a list: each with a zero behind it where there is one, otherwise one a line.
fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_zeroed = list.contains(&0);
    let end = if is_zeroed { 0 } else { b'\n' };
    let lines = list.split(move |&byte| byte == end);
    let without_return = move |line| {
        if is_zeroed { line } else { <[u8]>::strip_suffix(line, b"\r").unwrap_or(line) }
    };
    lines.map(without_return).filter(|name| !name.is_empty())
}

fn wrong(name: &str, reason: String) -> Error {
    Error::Input { path: PathBuf::from(name), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(list: &[u8]) -> Vec<&[u8]> {
        names(list).collect()
    }

    #[test]
    fn a_list_has_a_name_a_line_or_before_each_zero() {
        assert_eq!(
            split(b"a.jpg\nb c.jpg\r\n\n\xff.jpg"),
            [&b"a.jpg"[..], b"b c.jpg", b"\xff.jpg"]
        );
        assert_eq!(split(b"a\n.jpg\0b.jpg\r\0"), [&b"a\n.jpg"[..], b"b.jpg\r"]);
        assert!(split(b"").is_empty() && split(b"\n\r\n").is_empty());
    }

    #[test]
    fn what_a_list_names_is_looked_for_later_but_for_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        std::fs::create_dir(folder.path().join("full")).unwrap();
        std::fs::write(folder.path().join("full/a.jpg"), "x").unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let list = [path("gone.jpg"), path("full"), path("empty"), "-".to_owned()].join("\n");
        let mut photos = Found::default();
        add_list(&mut photos, list.as_bytes(), 4).unwrap();
        let paths: Vec<String> =
            photos.files.iter().map(|file| file.path.display().to_string()).collect();
        assert_eq!(paths, [path("gone.jpg"), path("full/a.jpg"), "./-".to_owned()]);
        assert_eq!(photos.unreadable.len(), 1);
        let error = add_list(&mut Found::default(), list.as_bytes(), 3).unwrap_err();
        assert_eq!(error, "names more than 3 photos");
    }
}
