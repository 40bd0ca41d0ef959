//! Which face of a frame belongs to which track: by place and by likeness.

use crate::types::face::BoundingBox;

/// Cosine below which a good picture does not show the person of a track.
const CONTRADICTION_COSINE: f32 = 0.12;

/// Cosine from which on a face is taken for the one of a track wherever it is.
const LIKENESS_COSINE: f32 = 0.3;

/// Least overlap, or nearness, of a face with the place where a track is expected.
const NEARNESS: f32 = 0.15;

/// How much likeness counts beside nearness, so that it decides where two people cross.
const LIKENESS_WEIGHT: f32 = 2.0;

/// What is known of a track and a face together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    /// How near the face is to where the track is expected, 0 to 1; see [`nearness`].
    pub nearness: f32,
    /// Cosine of the face's embedding to the track's mean; `None` where either has none.
    pub cosine: Option<f32>,
    /// Whether the track has seen enough of its person for an unlike face to be another person's.
    pub is_mature: bool,
}

impl Pair {
    /// How well the two fit; `None` where they cannot belong together.
    fn fit(&self) -> Option<f32> {
        let is_near = self.nearness >= NEARNESS;
        match self.cosine {
            None => is_near.then_some(self.nearness),
            Some(cosine) if self.is_mature && cosine < CONTRADICTION_COSINE => None,
            Some(cosine) => (is_near || cosine >= LIKENESS_COSINE)
                .then_some(self.nearness + LIKENESS_WEIGHT * cosine),
        }
    }
}

/// How near `found` is to `expected`: their intersection over union, or for boxes that a quick
/// movement has parted, a bell over their distance in widths, whichever is more.
pub(super) fn nearness(expected: &BoundingBox, found: &BoundingBox) -> f32 {
    let (x, y) = (found.centre().x - expected.centre().x, found.centre().y - expected.centre().y);
    let width = expected.width.max(found.width).max(1.0);
    let ratio = (found.width / expected.width.max(1.0)).max(expected.width / found.width.max(1.0));
    // A box of quite another size is another face, however near.
    let bell = (-(x.hypot(y) / width).powi(2) * 1.5).exp() / ratio.max(1.0);
    expected.iou(found).max(bell)
}

/// Pairs tracks with faces, the best fits first; each at most once. `pair` tells what is known of
/// track and face by their numbers.
pub(super) fn assign(
    tracks: usize,
    faces: usize,
    pair: impl Fn(usize, usize) -> Pair,
) -> Vec<(usize, usize)> {
    let mut fits: Vec<(f32, usize, usize)> = (0..tracks)
        .flat_map(|track| (0..faces).map(move |face| (track, face)))
        .filter_map(|(track, face)| Some((pair(track, face).fit()?, track, face)))
        .collect();
    fits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut track_taken, mut face_taken) = (vec![false; tracks], vec![false; faces]);
    let mut pairs = Vec::new();
    for (_, track, face) in fits {
        if !track_taken[track] && !face_taken[face] {
            track_taken[track] = true;
            face_taken[face] = true;
            pairs.push((track, face));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(x: f32, y: f32) -> BoundingBox {
        BoundingBox { x, y, width: 100.0, height: 100.0 }
    }

    #[test]
    fn nearness_falls_with_distance_and_difference_in_size() {
        let here = bounds(200.0, 100.0);
        assert_eq!(nearness(&here, &here), 1.0);
        let mut last = 1.0;
        for x in [220.0, 260.0, 300.0, 340.0, 500.0] {
            let now = nearness(&here, &bounds(x, 100.0));
            assert!(now < last, "{x}");
            last = now;
        }
        assert!(nearness(&here, &bounds(290.0, 100.0)) > NEARNESS);
        assert!(last < 0.001);
        let small = BoundingBox { x: 240.0, y: 140.0, width: 20.0, height: 20.0 };
        assert!(nearness(&here, &small) < 0.25);
    }

    #[test]
    fn likeness_decides_between_people_who_cross() {
        // Track 0 is expected where face 1 is and the other way round.
        let pairs = assign(2, 2, |track, face| Pair {
            nearness: if track == face { 0.3 } else { 0.8 },
            cosine: Some(if track == face { 0.6 } else { 0.0 }),
            is_mature: false,
        });
        assert_eq!(pairs.len(), 2);
        assert!(pairs.iter().all(|(track, face)| track == face));
    }

    #[test]
    fn an_unlike_face_in_the_same_place_is_another_person() {
        let pair = |is_mature| Pair { nearness: 0.9, cosine: Some(0.0), is_mature };
        assert!(assign(1, 1, |_, _| pair(true)).is_empty());
        assert_eq!(assign(1, 1, |_, _| pair(false)), [(0, 0)]);
    }

    #[test]
    fn a_like_face_is_found_again_anywhere_and_an_unknown_one_only_near() {
        let far = |cosine| Pair { nearness: 0.0, cosine, is_mature: true };
        assert_eq!(assign(1, 1, |_, _| far(Some(0.5))), [(0, 0)]);
        assert!(assign(1, 1, |_, _| far(Some(0.2))).is_empty());
        assert!(assign(1, 1, |_, _| far(None)).is_empty());
    }

    #[test]
    fn each_face_and_each_track_is_taken_once() {
        let near = |_, _| Pair { nearness: 0.9, cosine: None, is_mature: false };
        assert_eq!(assign(3, 2, near).len(), 2);
        assert_eq!(assign(1, 3, near).len(), 1);
        assert!(assign(0, 3, near).is_empty());
    }
}
