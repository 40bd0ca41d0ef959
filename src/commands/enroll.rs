//! `celebcam enroll`: adds a person to the gallery.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{print, say};
use crate::detect::Search;
use crate::enroll::fit::Fit;
use crate::enroll::{Shot, known, mean, same_person_cosine};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::gallery::store::{self, ModelKey};
use crate::gallery::{Gallery, Person, names};
use crate::models;
use crate::observe::Observer;
use crate::recognize::Recognizer;
use crate::settings::{EnrollConfig, EnrollFrom};
use crate::shown::count;
use crate::system::service::{self, Hangup, StatusRequest};
use crate::types::embedding::unit_cosine;
use crate::types::identity::{Candidate, Features, Label};

mod camera;
mod photos;
mod report;

/// Adds a person by the mean of what the model makes of some pictures, and says so and what to
/// expect of it.
///
/// # Errors
///
/// Missing inputs, pictures that cannot be used, a name or a face that somebody has already, a bad
/// model or gallery, or a gallery that cannot be written.
pub fn execute(config: &EnrollConfig) -> anyhow::Result<Exit> {
    if Path::new(&config.name).is_file() {
        return Err(Error::Refused(format!(
            "{} is a file; the name of the person comes first, then the photos",
            config.name
        ))
        .into());
    }
    let name = &super::people::cleaned(&config.name)?;
    let path = config.gallery.as_path();
    let (search, one, many) = match config.from {
        EnrollFrom::Photos(_) => (Search::Thorough, "photo", "photos"),
        EnrollFrom::Camera(_) => (Search::Whole, "frame", "frames"),
    };
    let observer = config.observer.load(search, &models::settings(1)?)?;
    let recognizer = observer.recognizer();
    let key = recognizer.model_key()?;
    // Checked before the work, and again when the gallery is changed.
    let gallery = store::load(path, &key)?;
    let known = addressee(name, config.add, recognizer, &gallery)?;
    let known = known.map(|person| gallery.embedding(person));
    let Some(taken) = collect(config, &observer, known.as_deref())? else {
        say("stopped; nobody was added");
        return Ok(Exit::Done);
    };
    let added = record(config, name, recognizer, &key, path, &taken)?;
    let pictures = count(taken.len(), one, many);
    let people = count(added.gallery.people().len(), "person", "people");
    let place = format!("(gallery: {people}, {})", path.display());
    if config.add {
        let Added { name, pictures: all, .. } = &added;
        print(format_args!("{pictures} added to {name}, who has {all} now {place}"))?;
    } else {
        print(format_args!("{} added from {pictures} {place}", added.name))?;
    }
    report::print_all(&added, !config.add, &taken, recognizer)?;
    Ok(Exit::Done)
}

/// A face that is taken.
struct Taken {
    shot: Shot,
    /// The photo's path, or the number of the frame.
    place: String,
}

fn features(taken: &[Taken]) -> impl Iterator<Item = &Features> {
    taken.iter().map(|taken| &taken.shot.features)
}

/// The faces of the person, who may be `known` by a mean embedding; `None` when it was stopped by a
/// signal.
fn collect(
    config: &EnrollConfig,
    observer: &Observer,
    known: Option<&[f32]>,
) -> Result<Option<Vec<Taken>>> {
    match &config.from {
        EnrollFrom::Photos(from) => photos::faces(config, from, observer, known).map(Some),
        EnrollFrom::Camera(from) => {
            let (hangup, status) = (Hangup::Stop, StatusRequest::default());
            let stop = service::stop_on_signal(hangup, status, Exit::FORCED.code())?;
            camera::faces(from, observer, &stop)
        }
    }
}

/// The person of the gallery to whom pictures are added; `None` for a new one.
fn addressee(
    name: &str,
    add: bool,
    recognizer: &Recognizer,
    gallery: &Gallery,
) -> Result<Option<usize>> {
    let is_own = |own: &&Label| names::is_called(&own.name, &own.id, name);
    if let Some(own) = recognizer.labels().iter().find(is_own) {
        return Err(Error::Refused(format!(
            "{} is one of the model's own people, who cannot be changed; choose another name",
            own.name
        )));
    }
    match (gallery.find(name), add) {
        (Some(person), false) => {
            let person = &gallery.people()[person];
            Err(Error::Refused(format!(
                "{} is in the gallery already, from {}; --add adds these to them, and `celebcam \
                 people remove` makes room for a new start",
                person.name,
                count(person.pictures as usize, "picture", "pictures")
            )))
        }
        (None, true) => {
            Err(Error::Refused(format!("{name} is not in the gallery; leave out --add")))
        }
        (person, _) => Ok(person),
    }
}

/// What became of the gallery.
struct Added {
    name: String,
    /// How many the person has.
    pictures: u32,
    /// How alike the pictures are.
    fit: Option<Fit>,
    /// Who else the person looks like most.
    nearest: Option<Candidate>,
    gallery: Gallery,
}

/// Writes the person into the gallery.
fn record(
    config: &EnrollConfig,
    name: &str,
    recognizer: &Recognizer,
    key: &ModelKey,
    path: &Path,
    taken: &[Taken],
) -> Result<Added> {
    let face = mean(features(taken));
    let new = u32::try_from(taken.len()).unwrap_or(u32::MAX);
    let shots: Vec<Shot> = taken.iter().map(|taken| taken.shot.clone()).collect();
    let (mut added, gallery) = store::update::<_, Error>(
        path,
        |path| Ok(store::load(path, key)?),
        |gallery| {
            let addressee = addressee(name, config.add, recognizer, gallery)?;
            let alike = known::by_similarity(recognizer, gallery, features(taken));
            if !config.force {
                check_face(recognizer, gallery, addressee, &face, &alike)?;
            }
            let known = addressee.map(|person| gallery.embedding(person));
            let fit = Fit::new(&shots, known.as_deref());
            let person = match addressee {
                Some(person) => {
                    gallery.add_pictures(person, &face.embedding, new);
                    person
                }
                None => {
                    let added_unix_s = unix_seconds(SystemTime::now());
                    let person = Person { name: name.into(), pictures: new, added_unix_s };
                    gallery.add(person, &face.embedding)?;
                    gallery.people().len() - 1
                }
            };
            let own_id = gallery.label(person).id;
            let Person { name, pictures, .. } = &gallery.people()[person];
            let nearest = alike.into_iter().find(|other| other.label.id != own_id);
            let (name, pictures) = (name.to_string(), *pictures);
            Ok(Added { name, pictures, fit, nearest, gallery: key.empty_gallery() })
        },
    )?;
    added.gallery = gallery;
    Ok(added)
}

/// Checks that the face is nobody else's, and of somebody who was added before, theirs. `alike` are
/// the people known already, most alike first.
fn check_face(
    recognizer: &Recognizer,
    gallery: &Gallery,
    addressee: Option<usize>,
    face: &Features,
    alike: &[Candidate],
) -> Result<()> {
    let own_id = addressee.map_or_else(String::new, |person| gallery.label(person).id);
    let named_from = recognizer.rule(gallery).similarity;
    let best = alike.first().filter(|best| best.label.id != own_id);
    if let Some(other) = best.filter(|best| best.similarity >= named_from) {
        return Err(Error::Refused(format!(
            "this face looks like {} already ({:.0} %); --force adds it all the same",
            other.label.name,
            other.confidence * 100.0
        )));
    }
    let Some(person) = addressee else { return Ok(()) };
    if unit_cosine(&gallery.embedding(person), &face.embedding) < same_person_cosine(recognizer) {
        return Err(Error::Refused(format!(
            "this face does not look like {}; --force adds it all the same",
            gallery.people()[person].name
        )));
    }
    Ok(())
}

fn unix_seconds(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
