//! Loads the stages that work on one picture: their models, their limits, and the gallery.

use std::path::{Path, PathBuf};

use celebcam_engine::Settings;

use crate::align::Aligner;
use crate::defaults;
use crate::detect::{Detector, Search, Wanted};
use crate::gallery::{self, live::GalleryFile};
use crate::models;
use crate::observe::Observer;
use crate::quality::QualityLimits;
use crate::recognize::{Demand, Recognizer, UnknownRate};

/// Why a stage cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The model cannot keep the rate of false accepts that is asked for.
    #[error(transparent)]
    Rate(#[from] UnknownRate),
    /// The gallery cannot be used.
    #[error(transparent)]
    Gallery(#[from] gallery::Error),
}

/// Result with this room's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which recognizer to load.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognizerSpec {
    /// Its file; the model built in if `None`.
    pub model: Option<PathBuf>,
    /// What its threshold has to keep.
    pub demand: Demand,
    /// Candidates that it keeps of each face.
    pub top_k: usize,
}

impl Default for RecognizerSpec {
    fn default() -> Self {
        Self { model: None, demand: Demand::Model, top_k: defaults::TOP_K }
    }
}

impl RecognizerSpec {
    /// Loads it.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is no recognizer, [`Error::Rate`] for a demand that it cannot keep.
    pub fn load(&self, settings: &Settings) -> Result<Recognizer> {
        let model = models::recognizer(self.model.as_deref(), settings)?;
        Ok(Recognizer::new(model, self.top_k)?.with_demand(self.demand)?)
    }
}

/// Which observer to load.
#[derive(Debug, Clone, PartialEq)]
pub struct ObserverSpec {
    /// The detector's file; the model built in if `None`.
    pub detector: Option<PathBuf>,
    /// The recognizer.
    pub recognizer: RecognizerSpec,
    /// Quality from which on a face is recognized.
    pub limits: QualityLimits,
    /// Faces that are looked at.
    pub wanted: Wanted,
}

impl Default for ObserverSpec {
    fn default() -> Self {
        Self {
            detector: None,
            recognizer: RecognizerSpec::default(),
            limits: QualityLimits::DEFAULT,
            wanted: Wanted::default(),
        }
    }
}

impl ObserverSpec {
    /// Loads it.
    ///
    /// # Errors
    /// Those of [`load_detector`], [`RecognizerSpec::load`] and [`load_aligner`].
    pub fn load(&self, search: Search, settings: &Settings) -> Result<Observer> {
        let detector = load_detector(self.detector.as_deref(), search, settings)?;
        let recognizer = self.recognizer.load(settings)?;
        let observer = Observer::new(detector, load_aligner(settings)?, recognizer, self.limits);
        Ok(observer.with_wanted(self.wanted.clone()))
    }
}

/// Loads the detector in the file at `path`, or the one built in.
///
/// # Errors
/// [`Error::Model`] for a file that is no detector.
pub fn load_detector(path: Option<&Path>, search: Search, settings: &Settings) -> Result<Detector> {
    Ok(Detector::new(models::detector(path, settings)?)?.with_search(search))
}

/// Loads the aligner, which is built in.
///
/// # Errors
/// [`Error::Model`] for settings that it does not run with.
pub fn load_aligner(settings: &Settings) -> Result<Aligner> {
    Ok(Aligner::new(models::aligner(settings)?)?)
}

/// Opens the gallery in the file at `path` for this recognizer; `None` where there is no place for one,
/// or nobody can be added to the model and nobody was.
///
/// # Errors
/// [`Error::Gallery`] for a file that cannot be used or is another model's.
pub fn open_gallery(path: Option<&Path>, recognizer: &Recognizer) -> Result<Option<GalleryFile>> {
    let Some(path) = path else { return Ok(None) };
    let key = match recognizer.model_key() {
        Ok(key) => key,
        Err(_) if !path.exists() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(GalleryFile::open(path.to_owned(), key)?))
}
