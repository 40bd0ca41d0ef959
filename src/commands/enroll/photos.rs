//! Faces from photos of one person.

use crate::cli::EnrollArgs;
use crate::commands::{count, progress_bar};
use crate::enroll::{Flaw, only_face, sift};
use crate::error::{Error, Result};
use crate::observe::{Observe, Observer};
use crate::picture::{self, PictureFile};
use crate::recognize::Features;

/// Fewest photos from which somebody is recognized well; fewer are taken with a warning.
const ENOUGH: usize = 3;

/// The features of the face in each photo; copies count once. Photos that cannot be used are named,
/// and refuse all, unless they are to be left out.
pub fn faces(args: &EnrollArgs, observer: &Observer) -> Result<Vec<Features>> {
    let files = picture::find(&args.inputs)?;
    let mut rejects = Rejects::default();
    let mut faces = Vec::new();
    let mut shown = Vec::new();
    let bar = progress_bar(files.len());
    for file in &files {
        match look(file, observer, args.largest)? {
            Ok(features) => {
                faces.push(features);
                shown.push(file);
            }
            Err(reject) => bar.suspend(|| rejects.add(file, reject)),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let sifted = sift(&faces);
    for &(copy, taken) in &sifted.copies {
        let (copy, taken) = (shown[copy].path.display(), shown[taken].path.display());
        log::warn!("{copy} is the same picture as {taken}, or nearly; counted once");
    }
    let mut taken: Vec<usize> = sifted.taken;
    for (other, cosine) in sifted.others {
        if args.force {
            taken.push(other);
        } else {
            rejects.add(shown[other], Reject::Flaw(Flaw::OtherPerson(cosine)));
        }
    }
    rejects.judge(args.skip, files.len())?;
    if taken.is_empty() {
        return Err(Error::Refused("none of the photos can be used; nobody was added".to_owned()));
    }
    if taken.len() < ENOUGH {
        log::warn!("{} is little to go by; 5 are better", count(taken.len(), "photo", "photos"));
    }
    Ok(taken.into_iter().map(|number| faces[number].clone()).collect())
}

/// Why a photo is not taken.
enum Reject {
    Flaw(Flaw),
    Unreadable(Error),
}

/// The features of the one face in a photo.
fn look(
    file: &PictureFile,
    observer: &Observer,
    largest: bool,
) -> Result<std::result::Result<Features, Reject>> {
    let rgb = match picture::read(&file.path) {
        Ok(rgb) => rgb,
        Err(error) => return Ok(Err(Reject::Unreadable(error))),
    };
    let seen = only_face(observer.observe(&rgb)?, largest);
    Ok(seen.and_then(|observation| observation.features.ok_or(Flaw::NoFace)).map_err(Reject::Flaw))
}

/// Photos that are not taken.
#[derive(Default)]
struct Rejects {
    count: usize,
    several_faces: bool,
    unreadable: Option<Error>,
}

impl Rejects {
    fn add(&mut self, file: &PictureFile, reject: Reject) {
        self.count += 1;
        match reject {
            Reject::Flaw(flaw) => {
                log::error!("{}: {flaw}", file.path.display());
                self.several_faces |= matches!(flaw, Flaw::SeveralFaces(_));
            }
            Reject::Unreadable(error) => {
                log::error!("{error}");
                self.unreadable = Some(error);
            }
        }
    }

    fn judge(self, skip: bool, photos: usize) -> Result<()> {
        if skip || self.count == 0 {
            return Ok(());
        }
        if let Some(Error::Input { path, reason }) = self.unreadable {
            let reason = format!("{reason}; nobody was added, --skip leaves such photos out");
            return Err(Error::Input { path, reason });
        }
        let largest = if self.several_faces { ", --largest takes the largest face" } else { "" };
        Err(Error::Refused(format!(
            "{} of {} cannot be used, so nobody was added; --skip leaves such photos out{largest}",
            self.count,
            count(photos, "photo", "photos")
        )))
    }
}
