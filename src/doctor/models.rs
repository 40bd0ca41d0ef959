//! The networks, or why there is none.

use std::path::Path;
use std::time::Instant;

use celebcam_engine::Settings;

use super::{Checkup, Finding};
use crate::align::Aligner;
use crate::detect::{Detector, Search};
use crate::exit::Exit;
use crate::recognize::Recognizer;
use crate::shown::count;
use crate::stages::{Error, ObserverSpec, Result, load_aligner, load_detector};

pub fn check(checkup: &Checkup<'_>) -> Finding {
    checkup.models().finding(&checkup.setup().observer)
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
    pub fn load(spec: &ObserverSpec, engine: &Settings) -> Self {
        let started = Instant::now();
        let detector = load_detector(spec.detector.as_deref(), Search::Whole, engine);
        let aligner = load_aligner(engine);
        let recognizer = spec.recognizer.load(engine);
        Self { detector, aligner, recognizer, load_ms: started.elapsed().as_secs_f64() * 1e3 }
    }

    fn finding(&self, spec: &ObserverSpec) -> Finding {
        let (detector, recognizer) = match (&self.detector, &self.recognizer) {
            (Ok(detector), Ok(recognizer)) => (detector, recognizer),
            (detector, recognizer) => {
                let parts = [
                    (recognizer.as_ref().err(), spec.recognizer.model.as_deref()),
                    (detector.as_ref().err(), spec.detector.as_deref()),
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
        (Error::Model { .. }, Some(path)) => format!(
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
    Finding::failure(error.to_string(), advice, Exit::of_stages(error))
}
