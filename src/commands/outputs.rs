//! Pictures that are made of photos: none replaces a photo, and no two get one name.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::picture::PictureFile;
use crate::system::files::{FileId, Folder};

/// A folder for pictures.
#[derive(Debug)]
pub struct Outputs {
    folder: PathBuf,
    inputs: HashSet<FileId>,
    /// What was written, by what it is: on some file systems two names are one.
    written: Mutex<HashMap<FileId, PathBuf>>,
}

impl Outputs {
    /// The pictures that are made of `files` go to `folder`, each to the path below it that `name` gives.
    ///
    /// # Errors
    /// [`Error::Usage`] where a path is that of a photo, or of the pictures of two photos.
    pub fn plan(
        folder: &Path,
        files: &[PictureFile],
        name: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self> {
        let inputs = files.iter().flat_map(|file| FileId::all_at(&file.path)).collect();
        let outputs = Self { folder: folder.to_owned(), inputs, written: Mutex::default() };
        let mut named: HashMap<PathBuf, &PictureFile> = HashMap::with_capacity(files.len());
        for file in files {
            let relative = name(&file.relative);
            outputs.check(&relative, FileId::all_at(&folder.join(&relative)))?;
            match named.get(&relative) {
                Some(other) if !is_same(&other.path, &file.path) => {
                    return Err(Error::Usage(format!(
                        "the pictures of {} and {} would both be {}; work on them one after the \
                         other, with a folder for each",
                        other.path.display(),
                        file.path.display(),
                        folder.join(&relative).display()
                    )));
                }
                _ => drop(named.insert(relative, file)),
            }
        }
        Ok(outputs)
    }

    /// Refuses what would replace a photo, or the picture of another one.
    fn check(&self, relative: &Path, there: impl Iterator<Item = FileId>) -> Result<()> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for identity in there {
            let path = self.folder.join(relative);
            if self.inputs.contains(&identity) {
                return Err(Error::Usage(format!(
                    "{} is one of the photos and would be replaced; name another folder",
                    path.display()
                )));
            }
            if let Some(other) = written.get(&identity).filter(|other| *other != relative) {
                return Err(Error::Usage(format!(
                    "{} and {} are one file here; name another folder",
                    path.display(),
                    self.folder.join(other).display()
                )));
            }
        }
        Ok(())
    }

    /// Writes a picture to the path `relative` below the folder, and gives where it is.
    ///
    /// # Errors
    /// [`Error::Usage`] as for [`plan`](Self::plan), and [`Error::Output`] when it cannot be written.
    pub fn write(&self, relative: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.join(relative);
        let failed = |source| Error::Output { path: path.clone(), source };
        let above = relative.parent().unwrap_or(Path::new(""));
        let folder = Folder::open(&self.folder).and_then(|it| it.below(above)).map_err(failed)?;
        let name = relative.file_name().unwrap_or_default();
        self.check(relative, folder.file_ids(name))?;
        folder.write(name, bytes, None).map_err(failed)?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend(folder.file_ids(name).map(|identity| (identity, relative.to_owned())));
        Ok(path)
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let ones: Vec<FileId> = FileId::all_at(one).collect();
    FileId::all_at(other).any(|identity| ones.contains(&identity))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn files(folder: &Path, names: &[&str]) -> Vec<PictureFile> {
        let file = |name: &&str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !path.exists() {
                fs::write(&path, name).unwrap();
            }
            let relative = path.file_name().unwrap().into();
            PictureFile { path, relative }
        };
        names.iter().map(file).collect()
    }

    fn refusal(folder: &Path, files: &[PictureFile]) -> String {
        let refused = Outputs::plan(folder, files, Path::to_owned).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        refused.to_string()
    }

    #[test]
    fn a_photo_is_not_replaced_whatever_its_folder_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let photos = files(folder.path(), &["p/x.jpg", "p/y.jpg"]);
        symlink(folder.path().join("p"), folder.path().join("link")).unwrap();
        for name in ["p", "p/.", "p/../p", "link"] {
            assert!(refusal(&folder.path().join(name), &photos).contains("would be replaced"));
        }
        for link in ["hard", "soft"] {
            fs::create_dir(folder.path().join(link)).unwrap();
        }
        fs::hard_link(folder.path().join("p/x.jpg"), folder.path().join("hard/x.jpg")).unwrap();
        symlink(folder.path().join("p/y.jpg"), folder.path().join("soft/y.jpg")).unwrap();
        for name in ["hard", "soft"] {
            assert!(refusal(&folder.path().join(name), &photos).contains("would be replaced"));
        }
        let linked = files(folder.path(), &["soft/y.jpg"]);
        assert!(refusal(&folder.path().join("soft"), &linked).contains("would be replaced"));
        assert!(Outputs::plan(&folder.path().join("out"), &photos, Path::to_owned).is_ok());
    }

    #[test]
    fn two_photos_do_not_become_one_file_and_one_named_twice_may() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let two = files(folder.path(), &["a/x.jpg", "b/x.jpg"]);
        assert!(refusal(&out, &two).contains("would both be"));
        let twice = files(folder.path(), &["a/x.jpg", "a/x.jpg"]);
        let outputs = Outputs::plan(&out, &twice, Path::to_owned).unwrap();
        for _ in 0..2 {
            outputs.write(Path::new("x.jpg"), b"face").unwrap();
        }
        assert_eq!(fs::read(out.join("x.jpg")).unwrap(), b"face");
    }

    #[test]
    fn what_is_there_only_when_it_is_written_counts_too() {
        let folder = tempfile::tempdir().unwrap();
        let (out, photos) = (folder.path().join("out"), files(folder.path(), &["p/x.jpg"]));
        let outputs = Outputs::plan(&out, &photos, Path::to_owned).unwrap();
        outputs.write(Path::new("x.jpg"), b"face").unwrap();
        // As where names that differ in case are one.
        fs::hard_link(out.join("x.jpg"), out.join("X.jpg")).unwrap();
        fs::hard_link(&photos[0].path, out.join("y.jpg")).unwrap();
        for name in ["X.jpg", "y.jpg"] {
            assert_eq!(outputs.write(Path::new(name), b"face").unwrap_err().exit_code(), 2);
        }
        symlink(folder.path(), out.join("sub")).unwrap();
        assert_eq!(outputs.write(Path::new("sub/z.jpg"), b"face").unwrap_err().exit_code(), 1);
        assert!(!folder.path().join("z.jpg").exists());
        assert_eq!(fs::read(&photos[0].path).unwrap(), b"p/x.jpg");
    }
}
