//! The network's numbers into answers.

use super::answer::{Answer, POINTS};
use crate::types::face::{BoundingBox, Point};

/// Numbers for each anchor: centre, size and the points, x and y each.
pub const VALUES_PER_ANCHOR: usize = 2 * (2 + POINTS);

/// Answers whose confidence is at least `threshold`, in input pixels, in the order of the anchors.
/// All positions in `boxes` are relative to the anchor; `scores` are logits. Answers that are not
/// finite or have no extent are left out.
pub fn decode(boxes: &[f32], scores: &[f32], anchors: &[[f32; 2]], threshold: f32) -> Vec<Answer> {
    boxes
        .chunks_exact(VALUES_PER_ANCHOR)
        .zip(scores)
        .zip(anchors)
        .filter_map(|((values, &score), anchor)| {
            let confidence = sigmoid(score);
            (confidence >= threshold).then(|| answer(values, anchor, confidence)).flatten()
        })
        .collect()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn answer(values: &[f32], anchor: &[f32; 2], confidence: f32) -> Option<Answer> {
    let point = |index: usize| Point {
        x: anchor[0] + values[2 * index],
        y: anchor[1] + values[2 * index + 1],
    };
    let (centre, width, height) = (point(0), values[2], values[3]);
    let usable = values.iter().all(|value| value.is_finite()) && width > 0.0 && height > 0.0;
    usable.then(|| Answer {
        bounds: BoundingBox {
            x: centre.x - width / 2.0,
            y: centre.y - height / 2.0,
            width,
            height,
        },
        points: std::array::from_fn(|index| point(2 + index)),
        confidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_relative_to_the_anchor() {
        let mut values = [0.0; 16];
        values[..4].copy_from_slice(&[2.0, -4.0, 20.0, 30.0]);
        values[10..12].copy_from_slice(&[1.0, 9.0]);
        let answers = decode(&values, &[0.0], &[[100.0, 50.0]], 0.5);
        let [answer] = answers[..] else { panic!("one answer") };
        assert_eq!(answer.bounds, BoundingBox { x: 92.0, y: 31.0, width: 20.0, height: 30.0 });
        assert_eq!(answer.face().landmarks.mouth, Point { x: 101.0, y: 59.0 });
        assert_eq!(answer.confidence, 0.5);
    }

    #[test]
    fn the_unsure_the_flat_and_the_broken_are_left_out() {
        let good = [1.0; 16];
        let mut flat = good;
        flat[2] = 0.0;
        let mut broken = good;
        broken[12] = f32::NAN;
        let boxes = [good, good, flat, broken].concat();
        let scores = [-0.1, 3000.0, 1.0, 1.0];
        let answers = decode(&boxes, &scores, &[[0.0; 2]; 4], 0.5);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].confidence, 1.0);
        assert!(decode(&good, &[f32::NAN], &[[0.0; 2]], 0.0).is_empty());
    }
}
