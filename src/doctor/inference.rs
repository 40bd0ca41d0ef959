//! The models at work.

use std::time::{Duration, Instant};

use super::{Checkup, Finding, Models};
use crate::align::Aligner;
use crate::defaults;
use crate::detect::{Detector, Wanted};
use crate::error::Result;
use crate::exit::Exit;
use crate::picture;
use crate::recognize::Recognizer;
use crate::shown::count;
use crate::system::timing::Timing;
use crate::types::face::{CROP_SIZE_PX, FaceCrop};
use crate::types::frame::Frame;

/// How often each model runs, and for how long at most.
const RUNS: u64 = 9;
const TIME: Duration = Duration::from_millis(500);

/// Size of a picture where the source has none.
const PICTURE_PX: (u32, u32) = (640, 480);

/// What the models take for a picture of the source, or for a made-up one.
pub fn check(checkup: &Checkup<'_>) -> Finding {
    let Models { detector, aligner, recognizer, .. } = checkup.models();
    let (picture, wanted) = (checkup.picture(), &checkup.setup().observer.wanted);
    let (Ok(detector), Ok(aligner), Ok(recognizer)) = (detector, aligner, recognizer) else {
        return Finding::skipped("there are no models to run");
    };
    match measure(detector, aligner, recognizer, picture, wanted) {
        Ok(measured) => {
            let speed = speed(&measured, checkup.processor().0.threads());
            Finding::joined([speed].into_iter().chain(unwanted(&measured)).collect())
        }
        Err(error) => Finding::failure(
            error.to_string(),
            "Take the built-in models: they run where celebcam does. `celebcam config` shows who \
             named others.",
            Exit::of(&error),
        ),
    }
}

struct Measured {
    look_ms: f64,
    face_ms: f64,
    /// Faces in the picture of the source that are wanted.
    faces: Option<usize>,
    /// Faces that are there as well.
    left_out: usize,
}

fn measure(
    detector: &Detector,
    aligner: &Aligner,
    recognizer: &Recognizer,
    picture: Option<&Frame>,
    wanted: &Wanted,
) -> Result<Measured> {
    let made_up = || picture::made_up(PICTURE_PX.0, PICTURE_PX.1);
    let rgb = picture.map_or_else(made_up, |frame| frame.rgb.clone());
    let here = wanted.reduced(picture.map_or(1, |frame| frame.reduction));
    let mut faces = 0;
    let look_ms = median_ms(|| {
        faces = detector.detect_wanted(&rgb, &here)?.len();
        Ok(())
    })?;
    let are_all_wanted = *wanted == Wanted::default();
    let all = if are_all_wanted { faces } else { detector.detect(&rgb)?.len() };
    let crop = FaceCrop::from_warped(picture::made_up(CROP_SIZE_PX, CROP_SIZE_PX));
    let (width, height) = aligner.model().input_size();
    let square = picture::made_up(width, height);
    let face_ms = median_ms(|| {
        aligner.model().run(&square)?;
        recognizer.features(&crop)?;
        Ok(())
    })?;
    Ok(Measured {
        look_ms,
        face_ms,
        faces: picture.map(|_| faces),
        left_out: all.saturating_sub(faces),
    })
}

fn median_ms(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    // The first run takes its memory.
    work()?;
    let mut timing = Timing::default();
    let until = Instant::now() + TIME;
    while timing.count() == 0 || (timing.count() < RUNS && Instant::now() < until) {
        let started = Instant::now();
        work()?;
        timing.add(started.elapsed());
    }
    Ok(timing.quantile_ms(0.5))
}

/// What the settings keep a run from seeing in the picture.
fn unwanted(measured: &Measured) -> Option<Finding> {
    let found = match measured.left_out {
        0 => return None,
        1 => "1 more face is left out by ignore or min-face".to_owned(),
        many => format!("{many} more faces are left out by ignore or min-face"),
    };
    Some(match measured.faces {
        Some(0) => Finding::warning(
            found,
            "If these are the people to be named: `celebcam config` shows the areas and the width.",
        ),
        _ => Finding::ok(found),
    })
}

fn speed(measured: &Measured, threads: usize) -> Finding {
    let Measured { look_ms, face_ms, faces, .. } = measured;
    let rate = 1e3 / (look_ms + face_ms).max(1e-3);
    let faces = faces.map_or_else(
        || "a made-up picture".to_owned(),
        |faces| format!("a picture of the source with {}", count(faces, "face", "faces")),
    );
    let found = format!(
        "{look_ms:.1} ms to look for faces and {face_ms:.1} ms for each, on {faces}: up to {} \
         frames a second",
        if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
    );
    if rate >= f64::from(defaults::LOOK_RATE) {
        return Finding::ok(found);
    }
    let advice = format!(
        "A run looks {} times a second where it can. See with `top` what else is at work{}",
        defaults::LOOK_RATE,
        more_cores(threads)
    );
    Finding::warning(found, advice)
}

/// More advice for a machine with more cores than `threads`.
fn more_cores(threads: usize) -> String {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        cores if cores > threads => {
            format!(", and use more cores: celebcam run --threads {cores}")
        }
        _ => ".".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_machine_that_is_too_slow_for_the_looks_of_a_run_is_warned_of() {
        let measured = |look_ms| Measured { look_ms, face_ms: 20.0, faces: Some(1), left_out: 0 };
        let fine = speed(&measured(30.0), 1);
        assert_eq!(fine.status(), Status::Ok);
        assert!(fine.found().ends_with("with 1 face: up to 20 frames a second"), "{fine:?}");
        let slow = speed(&measured(600.0), 64);
        assert_eq!(slow.status(), Status::Warning);
        assert!(slow.advice().is_some_and(|advice| advice.ends_with("at work.")), "{slow:?}");
        assert!(slow.found().ends_with("up to 1.6 frames a second"), "{slow:?}");
    }

    #[test]
    fn areas_that_hide_everybody_are_warned_of() {
        let seen = |faces, left_out| {
            let measured = Measured { look_ms: 1.0, face_ms: 1.0, faces, left_out };
            unwanted(&measured).map(|finding| (finding.status(), finding.found().to_owned()))
        };
        assert_eq!(seen(Some(1), 0), None);
        let words = |text: &str| text.to_owned();
        let ok = words("1 more face is left out by ignore or min-face");
        assert_eq!(seen(Some(1), 1), Some((Status::Ok, ok)));
        let all = words("2 more faces are left out by ignore or min-face");
        assert_eq!(seen(Some(0), 2), Some((Status::Warning, all)));
    }
}
