//! An answer of the network: a box and the six points of BlazeFace, and the face that it stands for.

use crate::types::face::{BoundingBox, Face, Landmarks, Point};

/// Points of an answer.
pub const POINTS: usize = 6;

/// A face as the network sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Where it is.
    pub bounds: BoundingBox,
    /// Centres of the right and the left eye, tip of the nose, centre of the mouth, tragion of the right
    /// and the left ear. Right and left are the subject's own.
    pub points: [Point; POINTS],
    /// How sure the network is that this is a face, 0 to 1.
    pub confidence: f32,
}

impl Answer {
    /// Turn of the line from the right eye to the left, in radians.
    pub fn tilt(&self) -> f32 {
        let [right_eye, left_eye, ..] = self.points;
        (left_eye.y - right_eye.y).atan2(left_eye.x - right_eye.x)
    }

    /// The face.
    pub fn face(&self) -> Face {
        let [right_eye, left_eye, nose, mouth, right_ear, left_ear] = self.points;
        Face {
            bounds: self.bounds,
            landmarks: Landmarks { right_eye, left_eye, mouth },
            turn: turn(nose, right_ear, left_ear),
            detection_confidence: self.confidence,
        }
    }
}

/// [`Face::turn`]: the difference of the distances from the nose to either ear, as a share of their
/// sum.
fn turn(nose: Point, right_ear: Point, left_ear: Point) -> f32 {
    let right = nose.distance(right_ear);
    let left = nose.distance(left_ear);
    if right + left > 0.0 { (right - left) / (right + left) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_turns_towards_the_ear_that_is_nearer_to_the_nose() {
        let at = |x| Point { x, y: 60.0 };
        let turned = |nose_x| turn(at(nose_x), at(10.0), at(90.0));
        assert_eq!(turned(50.0), 0.0);
        assert!(turned(15.0) < -0.5 && turned(85.0) > 0.5);
        assert_eq!(turned(90.0), 1.0);
        assert_eq!(turn(at(10.0), at(10.0), at(10.0)), 1.0, "points in one place show no face");
    }

    #[test]
    fn eyes_mouth_and_turn_come_from_the_points() {
        let at = |x: f32, y: f32| Point { x, y };
        let [right_eye, left_eye, mouth] = [at(30.0, 40.0), at(70.0, 42.0), at(50.0, 80.0)];
        let points = [right_eye, left_eye, at(85.0, 60.0), mouth, at(10.0, 60.0), at(90.0, 60.0)];
        let bounds = BoundingBox { x: 0.0, y: 0.0, width: 100.0, height: 100.0 };
        let face = Answer { bounds, points, confidence: 0.9 }.face();
        assert_eq!(face.landmarks, Landmarks { right_eye, left_eye, mouth });
        assert_eq!((face.bounds, face.detection_confidence), (bounds, 0.9));
        assert_eq!(face.turn, 70.0 / 80.0);
    }
}
