//! Everybody in one picture: detection, alignment, quality and recognition of each face.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use image::RgbImage;

use crate::align::Aligner;
use crate::detect::{Detector, Wanted};
use crate::gallery::live::SharedGallery;
use crate::models::Result;
use crate::quality::{self, QualityLimits};
use crate::recognize::Recognizer;
use crate::system::timing::Timing;
use crate::types::identity::{Identity, Judge};
use crate::types::observation::Observation;

/// How long the stages took so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObserveTimes {
    /// Finding the faces of a picture.
    pub detect: Timing,
    /// Aligning one face.
    pub align: Timing,
    /// Recognizing one face.
    pub recognize: Timing,
}

/// Says who is in a picture.
pub trait Observe {
    /// The faces in a picture, each of whose pixels stands for `reduction` of its source's, each way;
    /// largest first, in pixels of `rgb`.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when a model fails.
    fn observe(&self, rgb: &RgbImage, reduction: u32) -> Result<Vec<Observation>>;

    /// Who says whose face it is, also by several pictures.
    fn judge(&self) -> &dyn Judge;

    /// How long the stages took so far.
    fn times(&self) -> ObserveTimes;
}

/// [`Observe`] with a detector, an aligner and a recognizer.
#[derive(Debug)]
pub struct Observer {
    detector: Detector,
    aligner: Aligner,
    recognizer: Recognizer,
    limits: QualityLimits,
    wanted: Wanted,
    times: Mutex<ObserveTimes>,
}

impl Observer {
    /// Joins the three; a face beyond the `limits` is not recognized.
    pub fn new(
        detector: Detector,
        aligner: Aligner,
        recognizer: Recognizer,
        limits: QualityLimits,
    ) -> Self {
        let (wanted, times) = Default::default();
        Self { detector, aligner, recognizer, limits, wanted, times }
    }

    /// Recognizes the people of a gallery as well.
    pub fn with_gallery(mut self, gallery: Arc<SharedGallery>) -> Self {
        self.recognizer = self.recognizer.with_gallery(gallery);
        self
    }

    /// Looks at no faces but those that are `wanted`.
    #[must_use]
    pub fn with_wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// The recognizer.
    pub fn recognizer(&self) -> &Recognizer {
        &self.recognizer
    }
}

impl Observe for Observer {
    fn observe(&self, rgb: &RgbImage, reduction: u32) -> Result<Vec<Observation>> {
        let mut times = ObserveTimes::default();
        let wanted = self.wanted.reduced(reduction);
        let faces = timed(&mut times.detect, || self.detector.detect_wanted(rgb, &wanted))?;
        let observations = faces
            .into_iter()
            .map(|face| {
                let crop = timed(&mut times.align, || self.aligner.align(rgb, &face))?;
                let quality = quality::measure(&crop, Some(&face));
                if let Some(flaw) = self.limits.flaw(&quality) {
                    let identity = Identity::refused(flaw);
                    return Ok(Observation { face, quality, features: None, identity });
                }
                let features = timed(&mut times.recognize, || self.recognizer.features(&crop))?;
                let identity = self.recognizer.identify(&features);
                Ok(Observation { face, quality, features: Some(features), identity })
            })
            .collect();
        let mut all = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        all.detect += times.detect;
        all.align += times.align;
        all.recognize += times.recognize;
        observations
    }

    fn judge(&self) -> &dyn Judge {
        &self.recognizer
    }

    fn times(&self) -> ObserveTimes {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed<T>(timing: &mut Timing, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    timing.add(started.elapsed());
    result
}
