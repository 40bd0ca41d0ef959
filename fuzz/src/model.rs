//! Changed model files through load and one run.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Unstructured;
use celebcam::align::Aligner;
use celebcam::detect::Detector;
use celebcam::models::{self, Model};
use celebcam::recognize::Recognizer;
use celebcam_engine::Settings;
use image::RgbImage;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mutation.rs"]
mod mutation;

static SETTINGS: LazyLock<Settings> =
    LazyLock::new(|| models::settings(1).expect("the best kernels can be had"));

// A panic that is caught where it may arise is no fault. One that comes out of here still is.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    let mut left = Unstructured::new(data);
    let bytes = mutation::changed(&mut |end| left.int_in_range(0..=end - 1).unwrap_or(0));
    let Ok(model) = Model::load(&bytes, "fuzzed", &SETTINGS) else { return };
    let (height, width) = model.input_size();
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 99]));
    let _ = model.run(&picture);
    match model.property("kind") {
        Some("detector") => drop(Detector::new(model)),
        Some("aligner") => drop(Aligner::new(model)),
        _ => drop(Recognizer::new(model, 1)),
    }
});
