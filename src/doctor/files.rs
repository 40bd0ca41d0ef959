//! What is read before anything is looked at: settings, models, and the people that were added.

use std::path::Path;
use std::time::Instant;

use celebcam_engine::Settings;
use rustix::fs::{Access, access};

use super::{Finding, quoted, space};
use crate::align::Aligner;
use crate::cli::{GalleryArgs, ModelFiles, RunArgs};
use crate::commands::{
    gallery_path, load_aligner, load_detector, load_recognizer, open_gallery, rule_in_words, run,
};
use crate::detect::{Detector, Search};
use crate::error::{Error, Result};
use crate::gallery::store;
use crate::recognize::Recognizer;
use crate::settings::{self, Origin, Setting};
use crate::shown::count;

/// Who has said how many of the settings, and whether a run takes them. `named` is the settings file
/// of the command line.
pub fn settings(args: &RunArgs, named: Option<&Path>, settings: &[Setting]) -> Finding {
    let file = settings::file_path(named, &|name| std::env::var_os(name));
    let said = who_said(file.as_deref(), settings);
    let unknown = settings::unknown_variables(std::env::vars_os().map(|(name, _)| name));
    match run::check(args) {
        Ok(_) if unknown.is_empty() => Finding::ok(said),
        Ok(_) => Finding::warning(
            format!("{said}; {}", unknown.join("; ")),
            "Rename these variables of the environment, or unset them.",
        ),
        Err(error) => Finding::failure(
            error.to_string(),
            "Put that right where it is said: `celebcam config` shows who has said what.",
            error.exit_code(),
        ),
    }
}

fn who_said(file: Option<&Path>, settings: &[Setting]) -> String {
    let said = |wanted: fn(&Origin) -> bool| {
        settings.iter().filter(|setting| wanted(&setting.origin)).count()
    };
    let mut text = match file {
        Some(path) => {
            let in_file = said(|origin| matches!(origin, Origin::File(_)));
            format!("{} of {}", count(in_file, "setting", "settings"), path.display())
        }
        None => match settings::withheld() {
            Some(path) => format!("{} is not for this user to read", path.display()),
            None => "no settings file".to_owned(),
        },
    };
    for (number, whose) in [
        (said(|origin| matches!(origin, Origin::Environment(_))), "the environment"),
        (said(|origin| *origin == Origin::Flag), "the command line"),
    ] {
        if number > 0 {
            text += &format!(", {number} of {whose}");
        }
    }
    text
}

/// The networks, or why there is none.
pub struct Models {
    /// The detector.
    pub detector: Result<Detector>,
    /// The aligner.
    pub aligner: Result<Aligner>,
    /// The recognizer.
    pub recognizer: Result<Recognizer>,
    load_ms: f64,
}

impl Models {
    /// Loads them as a run does.
    pub fn load(args: &RunArgs, engine: &Settings) -> Self {
        let started = Instant::now();
        let detector = load_detector(args.models.detector.as_deref(), Search::Whole, engine);
        let aligner = load_aligner(engine);
        let recognizer = load_recognizer(&args.models, &args.decision, engine);
        Self { detector, aligner, recognizer, load_ms: started.elapsed().as_secs_f64() * 1e3 }
    }

    /// What they are.
    pub fn finding(&self, files: &ModelFiles) -> Finding {
        let (detector, recognizer) = match (&self.detector, &self.recognizer) {
            (Ok(detector), Ok(recognizer)) => (detector, recognizer),
            (detector, recognizer) => {
                let parts = [
                    (recognizer.as_ref().err(), files.model.as_deref()),
                    (detector.as_ref().err(), files.detector.as_deref()),
                ];
                let failure = |(error, path): (Option<&Error>, _)| Some(unusable(error?, path));
                return Finding::joined(parts.into_iter().filter_map(failure).collect());
            }
        };
        let model = recognizer.model();
        Finding::ok(format!(
            "{}, the model is {}, {}; the detector is {}; loaded in {:.0} ms",
            count(recognizer.labels().len(), "person", "people"),
            model.origin(),
            model.fingerprint(),
            detector.model().origin(),
            self.load_ms
        ))
    }
}

fn unusable(error: &Error, path: Option<&Path>) -> Finding {
    let advice = match (error, path) {
        (Error::Model(_), Some(path)) => format!(
            "Name another model, or none for the built-in one; `celebcam config` shows who named \
             {}.",
            path.display()
        ),
        (Error::Rate(_), _) => {
            "Take a larger share, or none for the model's own threshold; `celebcam model` shows \
             the model's figures."
                .to_owned()
        }
        _ => "Install celebcam again: this one is damaged.".to_owned(),
    };
    Finding::failure(error.to_string(), advice, error.exit_code())
}

/// The people that were added, whether they are for this model and whether they can be changed.
pub fn gallery(args: &GalleryArgs, recognizer: Option<&Recognizer>) -> Finding {
    let Some(path) = gallery_path(args) else {
        return Finding::ok("none: HOME is not set, and --gallery names no file");
    };
    let people = match recognizer {
        Some(recognizer) => open_gallery(args, recognizer).map(|gallery| {
            let gallery = gallery?.shared().get();
            let rule = rule_in_words(&recognizer.rule(&gallery));
            Some((gallery.people().len(), format!("; {rule}")))
        }),
        None => store::read(&path).map_err(Error::from).map(|gallery| {
            let people = gallery.map_or(0, |gallery| gallery.people().len());
            Some((people, " for some model".to_owned()))
        }),
    };
    let place = path.display();
    match people {
        Ok(None) => Finding::ok("none: nobody can be added to this model"),
        Ok(Some((0, _))) => changeable(&path, format!("nobody was added yet ({place})")),
        Ok(Some((number, words))) => {
            let people = count(number, "person", "people");
            changeable(&path, format!("{people} added ({place}){words}"))
        }
        Err(error) => Finding::failure(error.to_string(), mend(&path), error.exit_code()),
    }
}

/// A file system that cannot be written to is told with the space that is left.
fn changeable(path: &Path, found: String) -> Finding {
    let folder = space::existing(path.parent().unwrap_or(path));
    match access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
        Err(rustix::io::Errno::ACCESS) => Finding::warning(
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
    if access(path, Access::READ_OK) == Err(rustix::io::Errno::ACCESS) {
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
    fn settings_are_counted_by_who_said_them() {
        let setting = |origin| Setting {
            key: "fps".to_owned(),
            help: String::new(),
            kind: settings::Kind::Number,
            values: Vec::new(),
            origin,
        };
        assert_eq!(who_said(None, &[setting(Origin::Default)]), "no settings file");
        let path = Path::new("/etc/c.toml");
        let said = [
            Origin::File(path.to_owned()),
            Origin::Flag,
            Origin::Default,
            Origin::Environment("CELEBCAM_FPS".to_owned()),
            Origin::Flag,
        ];
        let text = "1 setting of /etc/c.toml, 1 of the environment, 2 of the command line";
        assert_eq!(who_said(Some(path), &said.map(setting)), text);
    }

    #[test]
    fn a_gallery_that_is_not_there_is_fine_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/gallery");
        let args = GalleryArgs { gallery: Some(path.clone()) };
        assert_eq!(gallery(&args, None).status(), Status::Ok);
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(&path, "no gallery").unwrap();
        let broken = gallery(&args, None);
        assert_eq!((broken.status(), broken.exit_code()), (Status::Failure, Some(78)));
        assert!(broken.advice().is_some_and(|advice| advice.contains("mv ")), "{broken:?}");
    }
}
