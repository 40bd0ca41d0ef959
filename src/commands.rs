//! The subcommands, one file each.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use celebcam_engine::Settings;
use indicatif::{ProgressBar, ProgressStyle};

use crate::align::Aligner;
use crate::cli::{DecisionArgs, GalleryArgs, ModelFiles};
use crate::detect::{Detector, Search};
use crate::error::{Error, Result};
use crate::gallery::live::GalleryFile;
use crate::gallery::place;
use crate::models;
use crate::observe::Observer;
use crate::recognize::{Demand, Recognizer, Rule};
use crate::shown::{self, count};

pub mod bench;
pub mod cameras;
pub mod config;
pub mod crop;
pub mod enroll;
pub mod identify;
pub mod model;
mod outputs;
pub mod people;
pub mod run;

/// Says a line to whoever sits at the terminal, if anybody does.
fn say(line: impl Display) {
    let _ = shown::write_line(&mut std::io::stderr(), line);
}

/// Prints a line on standard output.
fn print(line: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let printed = shown::write_line(&mut out, line).and_then(|()| out.flush());
    printed.map_err(|source| Error::Output { path: PathBuf::from("standard output"), source })
}

/// Exit code when an input was missing or unreadable (`EX_NOINPUT`).
const EXIT_NO_INPUT: u8 = 66;

pub(crate) fn load_recognizer(
    files: &ModelFiles,
    decision: &DecisionArgs,
    settings: &Settings,
) -> Result<Recognizer> {
    let model = models::recognizer(files.model.as_deref(), settings)?;
    let recognizer = Recognizer::new(model, decision.top_k())?;
    let demand = match (decision.rule.threshold, decision.rule.max_false_accepts) {
        (Some(confidence), _) => Demand::Confidence(confidence),
        (None, Some(share)) => Demand::FalseAccepts(share),
        (None, None) => Demand::Model,
    };
    Ok(recognizer.with_demand(demand)?)
}

pub(crate) fn load_detector(
    path: Option<&Path>,
    search: Search,
    settings: &Settings,
) -> Result<Detector> {
    Ok(Detector::new(models::detector(path, settings)?)?.with_search(search))
}

pub(crate) fn load_aligner(settings: &Settings) -> Result<Aligner> {
    Ok(Aligner::new(models::aligner(settings)?)?)
}

fn load_observer(
    files: &ModelFiles,
    decision: &DecisionArgs,
    search: Search,
    settings: &Settings,
) -> Result<Observer> {
    let detector = load_detector(files.detector.as_deref(), search, settings)?;
    let recognizer = load_recognizer(files, decision, settings)?;
    Ok(Observer::new(detector, load_aligner(settings)?, recognizer, decision.limits()))
}

/// The gallery's file.
pub(crate) fn gallery_path(args: &GalleryArgs) -> Option<PathBuf> {
    args.gallery.clone().or_else(|| place::default_path(|name| std::env::var_os(name)))
}

/// As [`gallery_path`], where there has to be one.
fn required_gallery_path(args: &GalleryArgs) -> Result<PathBuf> {
    gallery_path(args).ok_or_else(|| {
        let message = "there is no folder for the gallery: HOME is not set; name a file with \
                       --gallery";
        Error::Config(message.to_owned())
    })
}

/// The gallery for this recognizer; `None` where there is no place for one, or nobody can be added
/// to the model and nobody was.
pub(crate) fn open_gallery(
    args: &GalleryArgs,
    recognizer: &Recognizer,
) -> Result<Option<GalleryFile>> {
    let Some(path) = gallery_path(args) else { return Ok(None) };
    let key = match recognizer.model_key() {
        Ok(key) => key,
        Err(_) if !path.exists() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(GalleryFile::open(path, key)?))
}

/// From when on a face is named, and what that promises.
pub(crate) fn rule_in_words(rule: &Rule) -> String {
    let mut words = format!(
        "among {}: named from confidence {:.3} (similarity {:.3}) and a lead of {:.3} on",
        count(rule.people, "person", "people"),
        rule.threshold,
        rule.similarity,
        rule.margin
    );
    if let Some(share) = rule.false_accepts {
        words += &format!("; {:.2} % of strangers' faces get a name", share * 100.0);
    }
    words
}

/// A bar on standard error while `count` pictures are worked on; nothing is drawn for a single
/// picture or when standard error is not a terminal.
fn progress_bar(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} pictures, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
