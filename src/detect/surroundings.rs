//! The surroundings of a face, turned upright and brought to a good size: a second look at it.

use image::RgbImage;

use super::answer::Answer;
use super::letterbox::GRAY;
use crate::picture::warp::{SimilarityTransform, warp};
use crate::types::face::{BoundingBox, Point};

/// Side of the surroundings, in widths of the face.
const WIDTHS: f32 = 2.5;

/// A face that a second look finds farther from where it was than this, in its widths, is looked at
/// once more: its surroundings were not in the middle of the square.
const SHIFTED: f32 = 0.15;

/// So is one that is larger or smaller by this, as the logarithm of the ratio.
const RESIZED: f32 = 0.3;

/// So is one that is turned by this, in radians.
const TURNED: f32 = 0.3;

/// A square around a face in a picture.
pub struct Surroundings {
    to_square: SimilarityTransform,
    side: u32,
}

impl Surroundings {
    /// Of a face, brought to `side` pixels. `None` for a face of no extent.
    pub fn of(face: &Answer, side: u32) -> Option<Self> {
        let extent = face.bounds.width.max(face.bounds.height);
        let middle = Point { x: side as f32 / 2.0, y: side as f32 / 2.0 };
        let scale = side as f32 / (WIDTHS * extent);
        let to_square =
            SimilarityTransform::about(face.bounds.centre(), middle, -face.tilt(), scale);
        to_square.scale().is_normal().then_some(Self { to_square, side })
    }

    /// The square, gray where it reaches over the edge of the picture `rgb`.
    pub fn square(&self, rgb: &RgbImage) -> RgbImage {
        warp(rgb, &self.to_square, self.side, GRAY)
    }

    /// The face nearest to the middle, of faces that were found in the square; in pixels of the
    /// picture. `None` when there is none within half a width.
    pub fn face_in_middle(&self, faces: Vec<Answer>) -> Option<Answer> {
        let middle = self.side as f32 / 2.0;
        let distance = |face: &Answer| {
            let centre = face.bounds.centre();
            (centre.x - middle).hypot(centre.y - middle)
        };
        faces
            .into_iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .filter(|face| distance(face) < middle / WIDTHS)
            .map(|face| turned_back(&face, &self.to_square.inverse()))
    }
}

/// Whether a second look has found a face about where it was thought to be.
pub fn is_settled(thought: &Answer, found: &Answer) -> bool {
    let (a, b) = (thought.bounds.centre(), found.bounds.centre());
    (a.x - b.x).hypot(a.y - b.y) <= SHIFTED * found.bounds.width
        && (thought.bounds.width / found.bounds.width).ln().abs() <= RESIZED
        && (thought.tilt() - found.tilt()).abs() <= TURNED
}

/// A face out of a turned square; its box stays upright and keeps its size.
fn turned_back(face: &Answer, back: &SimilarityTransform) -> Answer {
    let middle = back.apply(face.bounds.centre());
    let (width, height) = (face.bounds.width * back.scale(), face.bounds.height * back.scale());
    Answer {
        bounds: BoundingBox {
            x: middle.x - width / 2.0,
            y: middle.y - height / 2.0,
            width,
            height,
        },
        points: face.points.map(|point| back.apply(point)),
        confidence: face.confidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, y: f32, width: f32, tilt: f32) -> Answer {
        let at = |dx: f32, dy: f32| Point { x: x + dx * width, y: y + dy * width };
        let eye = |side: f32| at(side * tilt.cos(), side * tilt.sin());
        let bounds = BoundingBox { x: x - width / 2.0, y: y - width / 2.0, width, height: width };
        let [nose, mouth, ear] = [at(0.0, 0.1); 3];
        let points = [eye(-0.2), eye(0.2), nose, mouth, ear, ear];
        Answer { bounds, points, confidence: 0.9 }
    }

    #[test]
    fn the_surroundings_are_upright_and_gray_beyond_the_edge() {
        let rgb = RgbImage::from_pixel(100, 100, image::Rgb([200; 3]));
        let square = Surroundings::of(&face(50.0, 50.0, 80.0, 0.0), 256).expect("an extent");
        let seen = square.square(&rgb);
        assert_eq!(seen.get_pixel(128, 128).0, [200; 3]);
        assert_eq!(seen.get_pixel(10, 10).0, [GRAY; 3]);
        let found = face(128.0, 128.0, 102.4, 0.0);
        for tilt in [-0.8, 0.0, 0.5] {
            let thought = face(300.0, 200.0, 40.0, tilt);
            let square = Surroundings::of(&thought, 256).expect("an extent");
            let back = square.face_in_middle(vec![found]).expect("in the middle");
            assert!((back.bounds.x - thought.bounds.x).abs() < 0.01, "{back:?}");
            assert!((back.bounds.width - 40.0).abs() < 0.01);
            let (ours, theirs) = (back.points[1], thought.points[1]);
            assert!((ours.x - theirs.x).hypot(ours.y - theirs.y) < 0.01, "{ours:?} {theirs:?}");
            assert!(is_settled(&thought, &back));
        }
    }

    #[test]
    fn only_a_face_in_the_middle_is_taken() {
        let square = Surroundings::of(&face(50.0, 50.0, 80.0, 0.0), 256).expect("an extent");
        assert!(square.face_in_middle(vec![face(30.0, 128.0, 60.0, 0.0)]).is_none());
        assert!(square.face_in_middle(Vec::new()).is_none());
        assert!(Surroundings::of(&face(50.0, 50.0, 0.0, 0.0), 256).is_none());
    }

    #[test]
    fn a_face_found_elsewhere_is_not_settled() {
        let thought = face(100.0, 100.0, 50.0, 0.1);
        assert!(is_settled(&thought, &face(103.0, 98.0, 55.0, 0.0)));
        for moved in [
            face(115.0, 100.0, 50.0, 0.1),
            face(100.0, 100.0, 80.0, 0.1),
            face(100.0, 100.0, 30.0, 0.1),
            face(100.0, 100.0, 50.0, 0.6),
        ] {
            assert!(!is_settled(&thought, &moved), "{moved:?}");
        }
    }
}
