//! `celebcam enroll`: adds a person to the gallery.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{count, load_observer, required_gallery_path, say};
use crate::cli::{DecisionArgs, EnrollArgs};
use crate::detect::Search;
use crate::engine::Settings;
use crate::enroll::{cosine, known_as, mean};
use crate::error::{Error, Result};
use crate::gallery::store::{self, ModelKey};
use crate::gallery::{Gallery, Person, names};
use crate::observe::Observer;
use crate::recognize::{Features, Recognizer};
use crate::{config, service};

mod camera;
mod photos;

/// Adds a person by the mean of what the model makes of some pictures, and says so.
///
/// # Errors
///
/// Missing inputs, pictures that cannot be used, a name or a face that somebody has already, a bad
/// model or gallery, or a gallery that cannot be written.
pub fn execute(args: &EnrollArgs) -> anyhow::Result<ExitCode> {
    if Path::new(&args.name).is_file() {
        return Err(Error::Refused(format!(
            "{} is a file; the name of the person comes first, then the photos",
            args.name
        ))
        .into());
    }
    names::check(&args.name).map_err(Error::Refused)?;
    let path = required_gallery_path(&args.gallery)?;
    let search = if args.from_camera { Search::Whole } else { Search::Thorough };
    let decision = DecisionArgs::default();
    let observer = load_observer(&args.models, &decision, search, &Settings::new(1)?)?;
    let key = observer.recognizer().model_key()?;
    // Said before the work; asked again when the gallery is changed.
    addressee(args, observer.recognizer(), &store::load(&path, &key)?)?;
    let Some((faces, source)) = collect(args, &observer)? else {
        say("stopped; nobody was added");
        return Ok(ExitCode::SUCCESS);
    };
    let (total, gallery) = record(args, observer.recognizer(), &key, &path, &faces)?;
    let pictures = match source {
        Source::Photos => count(faces.len(), "photo", "photos"),
        Source::Camera => count(faces.len(), "frame", "frames"),
    };
    let place = format!(
        "(gallery: {}, {})",
        count(gallery.people().len(), "person", "people"),
        path.display()
    );
    if args.add {
        println!("{pictures} added to {}, who has {total} now {place}", args.name);
    } else {
        println!("{} added from {pictures} {place}", args.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where faces come from.
enum Source {
    Photos,
    Camera,
}

/// The faces of the person; `None` when it was stopped by a signal.
fn collect(args: &EnrollArgs, observer: &Observer) -> Result<Option<(Vec<Features>, Source)>> {
    if args.from_camera {
        let stop =
            service::stop_on_signal(service::Hangup::Stop, service::StatusRequest::default())?;
        return Ok(camera::faces(args, observer, &stop)?.map(|faces| (faces, Source::Camera)));
    }
    Ok(Some((photos::faces(args, observer)?, Source::Photos)))
}

/// The person of the gallery to whom pictures are added; `None` for a new one.
fn addressee(
    args: &EnrollArgs,
    recognizer: &Recognizer,
    gallery: &Gallery,
) -> Result<Option<usize>> {
    let name = &args.name;
    let id = names::id(name);
    if let Some(own) = recognizer.labels().iter().find(|own| own.name == *name || own.id == id) {
        return Err(Error::Refused(format!(
            "{} is one of the model's own people, who cannot be changed; choose another name",
            own.name
        )));
    }
    match (gallery.find(name), args.add) {
        (Some(person), false) => Err(Error::Refused(format!(
            "{name} is in the gallery already, from {}; --add adds these to them, and `celebcam \
             people remove` makes room for a new start",
            count(gallery.people()[person].pictures as usize, "picture", "pictures")
        ))),
        (None, true) => {
            Err(Error::Refused(format!("{name} is not in the gallery; leave out --add")))
        }
        (person, _) => Ok(person),
    }
}

/// Writes the person into the gallery, and gives the number of pictures that they have then.
fn record(
    args: &EnrollArgs,
    recognizer: &Recognizer,
    key: &ModelKey,
    path: &Path,
    faces: &[Features],
) -> Result<(u32, Gallery)> {
    let face = mean(faces);
    let pictures = u32::try_from(faces.len()).unwrap_or(u32::MAX);
    store::update(
        path,
        |path| store::load(path, key),
        |gallery| {
            let addressee = addressee(args, recognizer, gallery)?;
            if !args.force {
                check_face(recognizer, gallery, addressee, &face)?;
            }
            let Some(person) = addressee else {
                let person = Person {
                    name: args.name.as_str().into(),
                    pictures,
                    added_unix_s: unix_seconds(SystemTime::now()),
                };
                gallery.add(person, &face.embedding)?;
                return Ok(pictures);
            };
            gallery.add_pictures(person, &face.embedding, pictures);
            Ok(gallery.people()[person].pictures)
        },
    )
}

/// Checks that the face is nobody else's, and of somebody who was added before, theirs.
fn check_face(
    recognizer: &Recognizer,
    gallery: &Gallery,
    addressee: Option<usize>,
    face: &Features,
) -> Result<()> {
    let own_id = addressee.map_or_else(String::new, |person| gallery.label(person).id);
    if let Some(other) = known_as(recognizer, gallery, face, &own_id) {
        return Err(Error::Refused(format!(
            "this face looks like {} already ({:.0} %); --force adds it all the same",
            other.label.name,
            other.confidence * 100.0
        )));
    }
    let Some(person) = addressee else { return Ok(()) };
    if cosine(&gallery.embedding(person), &face.embedding) < config::SAME_PERSON_COSINE {
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
