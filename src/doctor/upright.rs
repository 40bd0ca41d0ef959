//! Whether faces stand upright in a picture: a camera may hang upside down.

use image::RgbImage;

use super::Finding;
use crate::detect::Detector;
use crate::error::Result;
use crate::picture::turn::Turn;
use crate::types::face::{Face, Landmarks};

/// Quarter turns of a circle.
const QUARTERS: usize = 4;

/// How many times as sure as of no turn one has to be of another.
const CLEARLY_MORE: f32 = 1.5;

/// Least sum of confidences: a face that is there is found in more than one turned picture.
const LEAST: f32 = 1.2;

/// A warning where the faces of the picture, which had this `turn`, stand upright only when it is turned
/// further.
pub fn look(detector: &Detector, picture: &RgbImage, turn: Turn) -> Option<Finding> {
    match votes(detector, picture) {
        Ok(votes) => needed_quarters(votes).map(|quarters| warning(quarters, turn)),
        // Why the detector fails is told by the check of the models.
        Err(error) => {
            log::debug!("cannot look whether faces stand upright: {error}");
            None
        }
    }
}

/// How sure it is of each number of quarter turns that it brings faces upright. A face that is upside
/// down is often taken for an upright one, so all four pictures are asked.
fn votes(detector: &Detector, picture: &RgbImage) -> Result<[f32; QUARTERS]> {
    let mut votes = [0.0; QUARTERS];
    for turned in 0..QUARTERS {
        let turn = Turn::new(90 * turned as u16, false);
        let faces = detector.detect(&turn.apply(picture.clone(), &mut Vec::new()))?;
        for Face { landmarks, detection_confidence, .. } in faces {
            votes[(turned + quarters_to_upright(&landmarks)) % QUARTERS] += detection_confidence;
        }
    }
    Ok(votes)
}

/// The number of quarter turns, other than none, that clearly brings faces upright.
fn needed_quarters(votes: [f32; QUARTERS]) -> Option<usize> {
    let least = LEAST.max(CLEARLY_MORE * votes[0]);
    (1..QUARTERS).max_by(|&a, &b| votes[a].total_cmp(&votes[b])).filter(|&it| votes[it] >= least)
}

/// Quarter turns clockwise that bring a face upright, to the nearest.
fn quarters_to_upright(landmarks: &Landmarks) -> usize {
    let Landmarks { right_eye, left_eye, mouth, .. } = landmarks;
    let x = mouth.x - (right_eye.x + left_eye.x) / 2.0;
    let y = mouth.y - (right_eye.y + left_eye.y) / 2.0;
    match (x.abs() > y.abs(), x > 0.0, y > 0.0) {
        (false, _, true) => 0,
        (true, true, _) => 1,
        (false, _, false) => 2,
        (true, false, _) => 3,
    }
}

fn warning(quarters: usize, turn: Turn) -> Finding {
    let degrees = 90 * quarters as u16;
    // The picture was mirrored after it was turned, which changes the sense of a turn.
    let further = if turn.is_mirrored() { 360 - degrees } else { degrees };
    let rotate = (turn.degrees() + further) % 360;
    Finding::warning(
        format!("faces stand upright only when it is turned by {degrees} degrees"),
        format!("Turn the camera, or its pictures: celebcam run --rotate {rotate}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::face::Point;

    #[test]
    fn the_way_from_the_eyes_to_the_mouth_is_down() {
        let face = |x: f32, y: f32| {
            let at = |x, y| Point { x, y };
            let eyes = Landmarks::at(at(50.0, 50.0));
            quarters_to_upright(&Landmarks { mouth: at(50.0 + x, 50.0 + y), ..eyes })
        };
        // Of a picture that is turned clockwise, what was to the right is below.
        for (x, y, quarters) in [(3.0, 20.0, 0), (20.0, 3.0, 1), (-3.0, -20.0, 2), (-20.0, 3.0, 3)]
        {
            assert_eq!(face(x, y), quarters, "{x} {y}");
        }
    }

    #[test]
    fn a_turn_is_told_where_it_clearly_helps() {
        assert_eq!(needed_quarters([0.7, 0.1, 2.4, 0.0]), Some(2));
        assert_eq!(needed_quarters([0.0, 0.0, 0.0, 1.6]), Some(3));
        assert_eq!(needed_quarters([2.4, 0.0, 0.7, 0.0]), None);
        assert_eq!(needed_quarters([1.8, 0.0, 2.4, 0.0]), None, "not clearly");
        assert_eq!(needed_quarters([0.0, 0.8, 0.0, 0.0]), None, "a pattern, seen once");
        assert_eq!(needed_quarters([0.0; 4]), None);
    }

    #[test]
    fn the_advice_adds_to_what_is_set() {
        let advice = |quarters, rotate, flip| {
            let warning = warning(quarters, Turn::new(rotate, flip));
            warning.advice().map(|advice| advice.rsplit(' ').next().unwrap_or("").to_owned())
        };
        assert_eq!(advice(2, 0, false).as_deref(), Some("180"));
        assert_eq!(advice(3, 180, false).as_deref(), Some("90"));
        assert_eq!(advice(1, 0, true).as_deref(), Some("270"));
    }
}
