//! How alike the pictures of a person are, and how sure a name will be that follows from them.

use super::{Shot, mean};
use crate::types::embedding::unit_cosine;

/// Spread of the cosines of a person's pictures to their mean that is taken for granted, and the
/// number of pictures that it weighs as much as: the cosines of a few pictures alone do not tell
/// their spread. Found on half of the people of LFW and CFP.
const SPREAD: f32 = 0.11;
const SPREAD_WEIGHS: f32 = 4.0;

/// A picture that is so much less alike than the others are on average is worth a look.
const WORTH_A_LOOK: f32 = 0.3;

/// Faces that are turned less far show themselves from the front: all but 1 % of the frontal pictures
/// of CFP, and a quarter of its profiles.
const FRONTAL_TURN: f32 = 0.4;

/// How well pictures of one person fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Cosine of each picture to the mean of the others, or to that of pictures added before.
    pub cosines: Vec<f32>,
    /// Cosine to expect of another picture to the mean of all of these.
    expected: f32,
    spread: f32,
}

impl Fit {
    /// Of these pictures, compared with one another, or with the mean embedding `known` of pictures that were
    /// added before. `None` where there is nothing to compare with.
    pub fn new(shots: &[Shot], known: Option<&[f32]>) -> Option<Self> {
        let embedding = |at: usize| &shots[at].features.embedding[..];
        let to_others = |at: usize| match known {
            Some(known) => unit_cosine(known, embedding(at)),
            None => {
                let others = shots.iter().enumerate().filter(|&(other, _)| other != at);
                let mean = mean(others.map(|(_, shot)| &shot.features));
                unit_cosine(&mean.embedding, embedding(at))
            }
        };
        if shots.is_empty() || (known.is_none() && shots.len() == 1) {
            return None;
        }
        let cosines: Vec<f32> = (0..shots.len()).map(to_others).collect();
        let average = cosines.iter().sum::<f32>() / cosines.len() as f32;
        let expected = if known.is_some() { average } else { of_all(average, shots.len()) };
        let squares: f32 = cosines.iter().map(|cosine| (cosine - average).powi(2)).sum();
        let weights = SPREAD_WEIGHS + cosines.len() as f32 - 1.0;
        let spread = ((squares + SPREAD_WEIGHS * SPREAD.powi(2)) / weights).sqrt();
        Some(Self { cosines, expected, spread })
    }

    /// The mean of the cosines.
    pub fn average(&self) -> f32 {
        self.cosines.iter().sum::<f32>() / self.cosines.len() as f32
    }

    /// The picture that fits least, where it is worth a look: it would not be named itself, as that
    /// takes the cosine `named_from`, or is far less alike than the others are.
    pub fn misfit(&self, named_from: f32) -> Option<usize> {
        let (least, &cosine) =
            self.cosines.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let others = self.cosines.len().saturating_sub(1).max(1) as f32;
        let average_of_others = (self.cosines.iter().sum::<f32>() - cosine) / others;
        let apart = self.cosines.len() > 2 && average_of_others - cosine > WORTH_A_LOOK;
        (cosine < named_from || apart).then_some(least)
    }

    /// Share of further pictures of the person, taken as these were, that reach a cosine: their
    /// cosines are spread about what is to be expected after the logistic distribution, which is
    /// near the normal one and has heavier tails.
    pub fn share_from(&self, cosine: f32) -> f32 {
        // The scale at which the logistic distribution is nearest to the normal one (Bowling 2009).
        1.0 / (1.0 + (1.702 * (cosine - self.expected) / self.spread).exp())
    }
}

/// The cosine of a picture to the mean of `pictures` others, when that to the mean of one fewer is
/// `average`: pictures whose cosine to one another is `r` have `r sqrt(k) / sqrt(1 + (k - 1) r)` to
/// the mean of `k`.
fn of_all(average: f32, pictures: usize) -> f32 {
    let few = pictures.saturating_sub(1).max(1) as f32;
    let square = average.max(0.0).powi(2);
    // Solves average^2 (1 + (few - 1) r) = few r^2 for r.
    let half = square * (few - 1.0) / (2.0 * few);
    let alike = half + (half * half + square / few).sqrt();
    let all = pictures as f32;
    alike * all.sqrt() / (1.0 + (all - 1.0) * alike).sqrt()
}

/// Whether all of the faces are seen from the front; `None` where nobody knows.
pub fn all_frontal(shots: &[Shot]) -> Option<bool> {
    let turns: Option<Vec<f32>> = shots.iter().map(|shot| shot.turn).collect();
    turns.map(|turns| turns.iter().all(|turn| turn.abs() < FRONTAL_TURN))
}

#[cfg(test)]
mod tests {
    use super::super::tests::face;
    use super::*;

    fn shots(embeddings: &[[f32; 3]]) -> Vec<Shot> {
        let shot = |&embedding| Shot { features: face(embedding), turn: Some(0.1) };
        embeddings.iter().map(shot).collect()
    }

    #[test]
    fn pictures_that_are_alike_promise_a_sure_name() {
        let alike = shots(&[[1.0, 0.3, 0.0], [1.0, -0.3, 0.0], [1.0, 0.0, 0.3]]);
        let apart = shots(&[[1.0, 1.5, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, 1.5]]);
        let [alike, apart] = [alike, apart].map(|shots| Fit::new(&shots, None).expect("several"));
        assert!(alike.average() > 0.9 && apart.average() < 0.4, "{alike:?} {apart:?}");
        assert!(alike.share_from(0.5) > 0.98 && apart.share_from(0.5) < 0.6, "{apart:?}");
        assert!(alike.share_from(0.6) < alike.share_from(0.4));
        assert_eq!(Fit::new(&shots(&[[1.0, 0.0, 0.0]]), None), None);
        let known = face([0.0, 1.0, 0.0]).embedding;
        let added = Fit::new(&shots(&[[1.0, 1.0, 0.0]]), Some(&known)).expect("one is known");
        assert!((added.average() - 0.5_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn more_pictures_make_a_better_mean() {
        // Pictures with a cosine of 0.5 to one another.
        let to_mean = |pictures: f32| 0.5 * pictures.sqrt() / (0.5 + 0.5 * pictures).sqrt();
        for pictures in [2, 3, 5, 50] {
            let few = to_mean((pictures - 1) as f32);
            let all = of_all(few, pictures);
            assert!((all - to_mean(pictures as f32)).abs() < 1e-5, "{pictures}: {all}");
        }
        assert_eq!(of_all(-0.1, 3), 0.0);
    }

    #[test]
    fn a_picture_that_fits_least_is_told_when_it_is_worth_a_look() {
        let fit = |cosines: &[f32]| Fit { cosines: cosines.to_vec(), expected: 0.7, spread: 0.1 };
        assert_eq!(fit(&[0.7, 0.6, 0.8]).misfit(0.4), None);
        assert_eq!(fit(&[0.7, 0.38, 0.8]).misfit(0.4), Some(1));
        assert_eq!(fit(&[0.9, 0.9, 0.5]).misfit(0.4), Some(2));
        assert_eq!(fit(&[0.3]).misfit(0.4), Some(0));
    }

    #[test]
    fn a_turned_head_is_not_seen_from_the_front() {
        let mut shots = shots(&[[1.0, 0.0, 0.0]; 2]);
        assert_eq!(all_frontal(&shots), Some(true));
        shots[1].turn = Some(-0.6);
        assert_eq!(all_frontal(&shots), Some(false));
        shots[0].turn = None;
        assert_eq!(all_frontal(&shots), None);
    }
}
