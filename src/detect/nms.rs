//! One face out of many answers for it.

use std::ops::Range;

use super::answer::Answer;
use crate::types::face::{BoundingBox, Point};

/// Ratios of the widths of two answers for one face.
const ALIKE: Range<f32> = 0.5..2.0;

/// Share of a face's area that lies in another's, above which it may be a part of it. Of two faces one
/// before the other less is shared, or the one behind would not be seen as a face.
const PART: f32 = 0.5;

/// Merges faces that overlap: each surest one becomes the mean of all those left whose
/// intersection over union with it is above `iou_threshold`, weighted by confidence, and keeps
/// its own confidence (the blending of Bazarevsky et al. 2019, "BlazeFace"). Surest first.
pub fn blend(mut faces: Vec<Answer>, iou_threshold: f32) -> Vec<Answer> {
    faces.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut blended = Vec::new();
    while let Some(&best) = faces.first() {
        let (group, rest): (Vec<_>, Vec<_>) = faces
            .into_iter()
            .enumerate()
            .partition(|(at, face)| *at == 0 || face.bounds.iou(&best.bounds) > iou_threshold);
        let group: Vec<Answer> = group.into_iter().map(|(_, face)| face).collect();
        blended.push(Answer { confidence: best.confidence, ..mean(&group) });
        faces = rest.into_iter().map(|(_, face)| face).collect();
    }
    blended
}

/// The items without those for whose face there is a surer one of about the same size; surest first.
/// A part of a face may be surer than the whole, so both stay. `face` gives the answer of an item.
pub fn suppress_alike<T: Copy>(
    mut all: Vec<T>,
    iou_threshold: f32,
    face: impl Fn(&T) -> &Answer,
) -> Vec<T> {
    let confidence = |item: &T| face(item).confidence;
    all.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)));
    let mut kept: Vec<T> = Vec::new();
    for item in all {
        let is_alike = |other: &T| {
            let ratio = face(other).bounds.width / face(&item).bounds.width;
            ALIKE.contains(&ratio) && is_same(face(&item), face(other), iou_threshold)
        };
        if !kept.iter().any(is_alike) {
            kept.push(item);
        }
    }
    kept
}

/// The faces without those that are a surer one already, or lie in a larger and surer one; surest
/// first.
pub fn suppress_parts(mut faces: Vec<Answer>, iou_threshold: f32) -> Vec<Answer> {
    faces.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<Answer> = Vec::new();
    for face in faces {
        let is_known =
            |other: &Answer| is_same(&face, other, iou_threshold) || is_part(&face, other);
        if !kept.iter().any(is_known) {
            kept.push(face);
        }
    }
    kept
}

fn is_part(face: &Answer, of: &Answer) -> bool {
    face.bounds.area() < of.bounds.area()
        && face.bounds.intersection(&of.bounds) > PART * face.bounds.area()
}

/// Whether the boxes' intersection over union is above `iou_threshold`, or the centre of one lies
/// in the middle of the other.
fn is_same(a: &Answer, b: &Answer, iou_threshold: f32) -> bool {
    a.bounds.iou(&b.bounds) > iou_threshold || shares_middle(&a.bounds, &b.bounds)
}

fn shares_middle(a: &BoundingBox, b: &BoundingBox) -> bool {
    let dx = (a.x + a.width / 2.0) - (b.x + b.width / 2.0);
    let dy = (a.y + a.height / 2.0) - (b.y + b.height / 2.0);
    let reach = a.width.max(b.width) / 4.0;
    dx.hypot(dy) < reach
}

fn mean(answers: &[Answer]) -> Answer {
    let total: f32 = answers.iter().map(|answer| answer.confidence).sum();
    let value = |pick: &dyn Fn(&Answer) -> f32| {
        answers.iter().map(|answer| pick(answer) * answer.confidence).sum::<f32>() / total
    };
    let point = |index: usize| Point {
        x: value(&|answer| answer.points[index].x),
        y: value(&|answer| answer.points[index].y),
    };
    Answer {
        bounds: BoundingBox {
            x: value(&|answer| answer.bounds.x),
            y: value(&|answer| answer.bounds.y),
            width: value(&|answer| answer.bounds.width),
            height: value(&|answer| answer.bounds.height),
        },
        points: std::array::from_fn(point),
        confidence: total / answers.len() as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::answer::POINTS;

    fn face(x: f32, side: f32, confidence: f32) -> Answer {
        let at = Point { x, y: 10.0 };
        Answer {
            bounds: BoundingBox { x, y: 0.0, width: side, height: side },
            points: [at; POINTS],
            confidence,
        }
    }

    #[test]
    fn neighbours_blend_by_confidence_and_keep_the_best() {
        let blended = blend(vec![face(4.0, 100.0, 0.5), face(0.0, 100.0, 1.0)], 0.3);
        let [one] = blended[..] else { panic!("one face") };
        assert!((one.bounds.x - 4.0 / 3.0).abs() < 1e-5);
        assert!((one.points[3].x - 4.0 / 3.0).abs() < 1e-5);
        assert_eq!(one.confidence, 1.0);
    }

    #[test]
    fn faces_apart_stay_and_come_surest_first() {
        let faces = vec![face(0.0, 50.0, 0.6), face(200.0, 50.0, 0.9), face(400.0, 50.0, 0.7)];
        for merged in [
            blend(faces.clone(), 0.3),
            suppress_alike(faces.clone(), 0.3, |face| face),
            suppress_parts(faces, 0.3),
        ] {
            let confidences: Vec<_> = merged.iter().map(|face| face.confidence).collect();
            assert_eq!(confidences, [0.9, 0.7, 0.6]);
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(blend(Vec::new(), 0.3).is_empty());
        assert!(suppress_alike(Vec::<Answer>::new(), 0.3, |face| face).is_empty());
        assert!(suppress_parts(Vec::new(), 0.3).is_empty());
    }

    fn moved(face: Answer, x: f32, y: f32) -> Answer {
        Answer { bounds: BoundingBox { x, y, ..face.bounds }, ..face }
    }

    #[test]
    fn a_part_of_a_face_is_not_another_face() {
        let whole = face(0.0, 100.0, 0.8);
        let middle = moved(face(0.0, 40.0, 0.6), 35.0, 35.0);
        let eye = moved(face(0.0, 30.0, 0.7), 65.0, 10.0);
        let forehead = moved(face(0.0, 40.0, 0.7), 30.0, -12.0);
        assert_eq!(suppress_parts(vec![middle, eye, whole, forehead], 0.3), vec![whole]);
    }

    #[test]
    fn a_small_face_before_or_beside_a_large_one_stays() {
        let large = face(0.0, 100.0, 0.9);
        let before = moved(face(0.0, 40.0, 0.8), 30.0, 80.0);
        let beside = moved(face(0.0, 40.0, 0.8), 85.0, 10.0);
        let surer = moved(face(0.0, 30.0, 0.95), 65.0, 10.0);
        assert_eq!(suppress_parts(vec![large, before], 0.3).len(), 2);
        assert_eq!(suppress_parts(vec![large, beside], 0.3).len(), 2);
        assert_eq!(suppress_parts(vec![large, surer], 0.3).len(), 2);
    }

    #[test]
    fn an_answer_for_a_part_does_not_hide_the_whole() {
        let whole = face(0.0, 100.0, 0.6);
        let again = face(3.0, 90.0, 0.7);
        let part = moved(face(0.0, 40.0, 0.9), 35.0, 35.0);
        let seen = suppress_alike(vec![whole, again, part], 0.3, |face| face);
        assert_eq!(seen, vec![part, again]);
    }
}
