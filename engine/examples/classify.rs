//! Says what is on a picture: `cargo run --release --example classify -- MODEL.onnx PICTURE`.
//!
//! The model is a classifier, for example a MobileNet, quantized by onnxruntime's static quantization (QDQ).
//! It takes uint8 [1, height, width, 3], so scaling to its own range of numbers is in its graph.

use std::error::Error;
use std::process::ExitCode;

use celebcam_engine::{Model, Settings};
use image::imageops::FilterType;

fn main() -> ExitCode {
    match classify() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classify: {error}");
            ExitCode::FAILURE
        }
    }
}

fn classify() -> Result<(), Box<dyn Error>> {
    let [model, picture] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: classify MODEL.onnx PICTURE".into());
    };
    let model = Model::load(&std::fs::read(model)?, &Settings::new(1))?;
    let (height, width) = model.input_size();
    let picture = image::open(picture)?.resize_exact(width, height, FilterType::Triangle);
    let outputs = model.run(&picture.to_rgb8())?;
    let mut scores: Vec<_> = outputs[0].iter().enumerate().collect();
    scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (class, score) in scores.iter().take(5) {
        println!("class {class:4}  {score:.3}");
    }
    Ok(())
}
