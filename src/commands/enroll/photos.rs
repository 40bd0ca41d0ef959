//! Faces from photos of one person.

use super::Taken;
use crate::commands::progress_bar;
use crate::enroll::sift::{Sifted, Torn, sift};
use crate::enroll::{Flaw, Shot, faces as usable_faces, same_person_cosine, widths_px};
use crate::error::{Error, Result};
use crate::observe::{Observe, Observer};
use crate::picture::{self, Limits, PictureFile, Reader};
use crate::settings::{EnrollConfig, EnrollPhotos};
use crate::shown::count;

/// Fewest photos from which somebody is recognized well; fewer are taken with a warning.
const ENOUGH: usize = 3;

/// Photos of each person that are named when there are two.
const NAMED_OF_EACH: usize = 3;

/// The person's face in each photo: where there are several, the one that fits the other photos, or
/// the mean embedding of those that are `known`. Copies count once. Photos that cannot be used are
/// left out and named; when they are most of the photos, nobody is added unless that is asked for.
pub fn faces(
    config: &EnrollConfig,
    from: &EnrollPhotos,
    observer: &Observer,
    known: Option<&[f32]>,
) -> Result<Vec<Taken>> {
    let found = picture::find(&from.inputs)?;
    found.left_out.tell();
    let files = found.files;
    let mut rejects = Rejects::default();
    found.unreadable.into_iter().for_each(|error| rejects.add_folder(&error));
    let mut photos = look_at(from, &files, observer, &mut rejects)?;
    if from.largest {
        photos.iter_mut().for_each(|photo| photo.faces.truncate(1));
    }
    let faces: Vec<Vec<Shot>> = photos.iter_mut().map(|p| std::mem::take(&mut p.faces)).collect();
    let sifted = match sift(&faces, known, same_person_cosine(observer.recognizer())) {
        Ok(sifted) => sifted,
        Err(_) if config.force => whoever_is_alone(&faces),
        Err(torn) => return Err(two_people(&config.name, &photos, &torn)),
    };
    let path = |photo: usize| photos[photo].file.path.display();
    for &(copy, taken) in &sifted.copies {
        log::warn!(
            "{} is the same picture as {}, or nearly; counted once",
            path(copy),
            path(taken)
        );
    }
    let mut taken = sifted.taken;
    for (other, cosine) in sifted.others {
        if config.force {
            taken.push((other, 0));
        } else {
            rejects.add(photos[other].file, Reject::Flaw(Flaw::OtherPerson(cosine)));
        }
    }
    for photo in sifted.unclear {
        let widths_px = photos[photo].widths_px.clone();
        rejects.add(photos[photo].file, Reject::Flaw(Flaw::SeveralFaces(widths_px)));
    }
    rejects.judge(from, taken.len())?;
    if taken.len() < ENOUGH && !config.add {
        log::warn!("{} is little to go by; 5 are better", count(taken.len(), "photo", "photos"));
    }
    let take = |(photo, face): (usize, usize)| Taken {
        shot: faces[photo][face].clone(),
        place: path(photo).to_string(),
    };
    Ok(taken.into_iter().map(take).collect())
}

/// A photo with faces.
struct Photo<'a> {
    file: &'a PictureFile,
    /// Those that can be recognized, largest first.
    faces: Vec<Shot>,
    /// Widths of all of them.
    widths_px: Vec<u32>,
}

/// Finds the faces of each photo.
fn look_at<'a>(
    from: &EnrollPhotos,
    files: &'a [PictureFile],
    observer: &Observer,
    rejects: &mut Rejects,
) -> Result<Vec<Photo<'a>>> {
    let reader = Reader::new(Limits::PHOTO);
    let mut photos = Vec::new();
    let bar = progress_bar(files.len());
    for file in files {
        match reader.read(&file.path) {
            Err(error) => {
                let is_named = from.inputs.contains(&file.path);
                bar.suspend(|| rejects.add(file, Reject::Unreadable { error, is_named }));
            }
            Ok(picture) => {
                let observations = observer.observe(&picture.rgb, picture.reduction)?;
                let in_file = |width: u32| width * picture.reduction;
                let widths_px = widths_px(&observations).into_iter().map(in_file).collect();
                match usable_faces(observations) {
                    Ok(faces) => photos.push(Photo { file, faces, widths_px }),
                    Err(flaw) => bar.suspend(|| rejects.add(file, Reject::Flaw(flaw))),
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(photos)
}

/// All photos of one face, whoever it is.
fn whoever_is_alone(faces: &[Vec<Shot>]) -> Sifted {
    let (alone, crowds): (Vec<usize>, Vec<usize>) =
        (0..faces.len()).partition(|&photo| faces[photo].len() == 1);
    let taken = alone.into_iter().map(|photo| (photo, 0)).collect();
    Sifted { taken, unclear: crowds, ..Sifted::default() }
}

fn two_people(name: &str, photos: &[Photo<'_>], torn: &Torn) -> Error {
    let named = |numbers: &[usize]| {
        let paths = numbers.iter().take(NAMED_OF_EACH).map(|&photo| &photos[photo].file.path);
        let paths: Vec<_> = paths.map(|path| path.display().to_string()).collect();
        let more = if numbers.len() > NAMED_OF_EACH { ", ..." } else { "" };
        paths.join(", ") + more
    };
    if torn.first == torn.second {
        return Error::Refused(format!(
            "the photos show two people who are both in {}, so who of them is {name} is not clear \
             and nobody was added; add a photo of {name} alone, or --largest takes the largest face",
            named(&torn.first)
        ));
    }
    Error::Refused(format!(
        "the photos show different people, one in {} and another person in {}, so who of them is \
         {name} is not clear and nobody was added; leave out what does not show {name}",
        named(&torn.first),
        named(&torn.second)
    ))
}

/// Why a photo is not taken.
enum Reject {
    Flaw(Flaw),
    Unreadable {
        error: picture::Error,
        /// Named by the user, not found in a folder.
        is_named: bool,
    },
}

/// Photos that are not taken.
#[derive(Default)]
struct Rejects {
    count: usize,
    several_faces: bool,
    /// The last of those that were named and cannot be read.
    unreadable: Option<picture::Error>,
}

impl Rejects {
    /// A folder that cannot be read counts as one photo.
    fn add_folder(&mut self, error: &picture::Error) {
        self.count += 1;
        log::error!("{error}; left out");
    }

    fn add(&mut self, file: &PictureFile, reject: Reject) {
        self.count += 1;
        match reject {
            Reject::Flaw(flaw) => {
                log::error!("{}: {flaw}; left out", file.path.display());
                self.several_faces |= matches!(flaw, Flaw::SeveralFaces(_));
            }
            Reject::Unreadable { error, is_named } => {
                log::error!("{error}; left out");
                self.unreadable = Some(error).filter(|_| is_named).or(self.unreadable.take());
            }
        }
    }

    /// Refuses to add somebody from the `taken` photos when too many others had to be left out.
    fn judge(self, from: &EnrollPhotos, taken: usize) -> Result<()> {
        let largest = if self.several_faces { ", --largest takes the largest face" } else { "" };
        if taken == 0 {
            return Err(Error::Refused(format!(
                "none of the photos can be used; nobody was added{largest}"
            )));
        }
        if from.skip || self.count == 0 {
            return Ok(());
        }
        if let Some(picture::Error { path, reason }) = self.unreadable {
            let reason = format!("{reason}; nobody was added, --skip leaves such photos out");
            return Err(Error::Input { path, reason });
        }
        if self.count > taken {
            return Err(Error::Refused(format!(
                "{} of {} cannot be used, so nobody was added; --skip leaves such photos \
                 out{largest}",
                self.count,
                count(self.count + taken, "photo", "photos")
            )));
        }
        log::warn!("{} left out", count(self.count, "photo", "photos"));
        Ok(())
    }
}
