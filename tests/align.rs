//! The aligner on faces whose place is known.

mod common;

use celebcam::align::Aligner;
use celebcam::detect::{Detector, Search};
use celebcam::models;
use celebcam::picture::warp::{SimilarityTransform, warp};
use celebcam::types::face::Point;
use common::{data, emulator, files};

/// Side of a scene, in pixels.
const SCENE_PX: u32 = 480;

/// Most pixels of the crop by which a face is misplaced, on average: the eyes are 35 apart.
const MOST_OFF_PX: f32 = 3.0;

#[test]
fn a_face_comes_to_the_template_however_it_lies() {
    let Some(folder) = data("celeb24/val") else { return };
    let settings = models::settings(1).expect("the kernels are there");
    let detector = models::detector(None, &settings).and_then(Detector::new);
    let detector = detector.expect("built in").with_search(Search::Whole);
    let aligner = models::aligner(&settings).and_then(Aligner::new).expect("built in");
    // Emulated, a look at a scene takes seconds.
    let people = files(&folder, if emulator().is_some() { 3 } else { 18 }).into_iter();
    let crops: Vec<_> = people.flat_map(|person| files(&person, 2)).collect();
    assert!(crops.len() >= 6, "{} has few pictures", folder.display());
    let middle = Point { x: 56.0, y: 72.0 };
    let (mut found, mut off) = (0, 0.0);
    for (index, path) in crops.iter().enumerate() {
        let crop = image::open(path).expect("a picture").to_rgb8();
        let step = index as f32 / crops.len() as f32;
        let place = Point { x: 200.0 + 80.0 * step, y: 250.0 - 40.0 * step };
        let to_scene = SimilarityTransform::about(middle, place, step - 0.5, 0.8 + 1.2 * step);
        let scene = warp(&crop, &to_scene, SCENE_PX, 128);
        let faces = detector.detect(&scene).expect("it runs");
        let Some(face) = faces.first() else { continue };
        let to_crop = aligner.to_crop(&scene, face).expect("it runs").expect("an extent");
        let misplaced = |x, y| {
            let there = to_crop.apply(to_scene.apply(Point { x, y }));
            (there.x - x).hypot(there.y - y)
        };
        found += 1;
        off += (misplaced(38.0, 52.0) + misplaced(74.0, 52.0) + misplaced(56.0, 92.0)) / 3.0;
    }
    assert!(found * 10 > crops.len() * 9, "{found} of {} found", crops.len());
    let off = off / found as f32;
    assert!(off < MOST_OFF_PX, "{off:.2} pixels off");
}
