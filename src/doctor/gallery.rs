//! The people that were added, whether they are for this model and whether they can be changed.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::{Checkup, Finding, space};
use crate::error::Error;
use crate::exit::Exit;
use crate::gallery::store;
use crate::recognize::Recognizer;
use crate::shown::count;
use crate::stages::open_gallery;
use crate::system::process::quoted;

pub fn check(checkup: &Checkup<'_>) -> Finding {
    judge(checkup.setup().gallery.as_deref(), checkup.models().recognizer.as_ref().ok())
}

fn judge(path: Option<&Path>, recognizer: Option<&Recognizer>) -> Finding {
    let Some(path) = path else {
        return Finding::ok("none: HOME is not set, and --gallery names no file");
    };
    let people = match recognizer {
        Some(recognizer) => {
            open_gallery(Some(path), recognizer).map_err(Error::from).map(|gallery| {
                let gallery = gallery?.shared().get();
                let rule = recognizer.rule(&gallery);
                Some((gallery.people().len(), format!("; {rule}")))
            })
        }
        None => store::read(path).map_err(Error::from).map(|gallery| {
            let people = gallery.map_or(0, |gallery| gallery.people().len());
            Some((people, " for some model".to_owned()))
        }),
    };
    let place = path.display();
    match people {
        Ok(None) => Finding::ok("none: nobody can be added to this model"),
        Ok(Some((0, _))) => changeable(path, format!("nobody was added yet ({place})")),
        Ok(Some((number, words))) => {
            let people = count(number, "person", "people");
            changeable(path, format!("{people} added ({place}){words}"))
        }
        Err(error) => Finding::failure(error.to_string(), mend(path), Exit::of(&error)),
    }
}

/// A file system that cannot be written to is told with the space that is left.
fn changeable(path: &Path, found: String) -> Finding {
    let folder = space::existing(path.parent().unwrap_or(path));
    match access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
        Err(Errno::ACCESS) => Finding::warning(
            format!("{found}; this user cannot change it"),
            format!(
                "Add people as somebody who may write to {}: sudo celebcam enroll NAME photos/ \
                 --gallery {}",
                folder.display(),
                quoted(path)
            ),
        ),
        _ => Finding::ok(found),
    }
}

fn mend(path: &Path) -> String {
    let file = quoted(path);
    if access(path, Access::READ_OK) == Err(Errno::ACCESS) {
        return format!("Look as somebody who may read it: sudo celebcam doctor --gallery {file}");
    }
    format!(
        "Name another with --gallery, or put this one aside and add its people again: \
         mv {file} {file}.aside"
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_gallery_that_is_not_there_is_fine_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/gallery");
        assert_eq!(judge(Some(&path), None).status(), Status::Ok);
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(&path, "no gallery").unwrap();
        let broken = judge(Some(&path), None);
        assert_eq!(
            (broken.status(), broken.exit()),
            (Status::Failure, Some(Exit::BadConfiguration))
        );
        assert!(broken.advice().is_some_and(|advice| advice.contains("mv ")), "{broken:?}");
    }
}
