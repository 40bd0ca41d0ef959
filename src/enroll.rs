//! Adding a person: which pictures of the face are good, whether they show one person, and whether
//! that person is known already.

use std::cmp::Reverse;
use std::fmt;

use crate::defaults;
use crate::recognize::Recognizer;
use crate::types::identity::{Features, Reason};
use crate::types::observation::Observation;

pub mod fit;
pub mod guide;
pub mod known;
pub mod sift;

/// A face of the person, as one picture shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// What the network makes of it.
    pub features: Features,
    /// How far the head is turned sideways, see [`Quality::turn`](crate::types::observation::Quality::turn).
    pub turn: Option<f32>,
}

/// Share of other people's pictures that are at least as alike as pictures of one person have to be.
const OTHERS_AS_ALIKE: f64 = 0.02;

/// Why a picture does not help to add a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Flaw {
    /// There is no face.
    NoFace,
    /// There are several faces, this wide in pixels, and which is the person's is not clear.
    SeveralFaces(Vec<u32>),
    /// The face shows too little.
    Poor(Reason),
    /// The face is another person's than that of the other pictures; the cosine to their mean.
    OtherPerson(f32),
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFace => formatter.write_str("no face found"),
            Self::SeveralFaces(widths_px) => {
                let mut largest = widths_px.clone();
                largest.sort_unstable_by_key(|&width| Reverse(width));
                let shown: Vec<_> = largest.iter().take(3).map(u32::to_string).collect();
                let rest = if largest.len() > shown.len() { ", ..." } else { "" };
                let (faces, shown) = (largest.len(), shown.join(", "));
                write!(
                    formatter,
                    "{faces} faces ({shown}{rest} pixels wide), and it is not clear which is meant"
                )
            }
            Self::Poor(reason) => formatter.write_str(match reason {
                Reason::TooSmall => "the face is too small",
                Reason::Blurred => "the face is too blurred",
                Reason::TooDark => "the face is too dark",
                Reason::Profile => "the face is seen from the side",
                Reason::BelowThreshold | Reason::LowMargin => "the face is not clear",
            }),
            Self::OtherPerson(cosine) => {
                write!(formatter, "shows another person than the others (cosine {cosine:.2})")
            }
        }
    }
}

/// The one face in a picture.
///
/// # Errors
///
/// The [`Flaw`] of a picture that cannot be used.
pub fn only_face(observations: Vec<Observation>) -> Result<Shot, Flaw> {
    if observations.len() > 1 {
        return Err(Flaw::SeveralFaces(widths_px(&observations)));
    }
    faces(observations).map(|mut faces| faces.swap_remove(0))
}

/// The faces in a picture that can be recognized, largest first; at least one.
///
/// # Errors
///
/// The [`Flaw`] of a picture that cannot be used.
pub fn faces(observations: Vec<Observation>) -> Result<Vec<Shot>, Flaw> {
    let largest = observations.first().ok_or(Flaw::NoFace)?;
    let flaw = largest.identity.name.as_ref().err().map_or(Flaw::NoFace, |why| Flaw::Poor(*why));
    let shot = |seen: Observation| {
        let turn = seen.quality.turn;
        Some(Shot { features: seen.features?, turn })
    };
    let faces: Vec<Shot> = observations.into_iter().filter_map(shot).collect();
    if faces.is_empty() { Err(flaw) } else { Ok(faces) }
}

/// Widths of the faces in a picture.
pub fn widths_px(observations: &[Observation]) -> Vec<u32> {
    observations.iter().map(|seen| seen.face.bounds.width.round() as u32).collect()
}

/// Cosine between a picture and the mean of others below which they do not show one person.
pub fn same_person_cosine(recognizer: &Recognizer) -> f32 {
    let decision = recognizer.decision();
    let known = decision.impostors.as_ref().zip(decision.enrolled);
    known.filter(|(impostors, _)| impostors.rates(1).1 >= OTHERS_AS_ALIKE).map_or(
        defaults::SAME_PERSON_COSINE,
        |(impostors, enrolled)| {
            (impostors.similarity_for(OTHERS_AS_ALIKE, 1) - enrolled.offset) / enrolled.scale
        },
    )
}

/// The mean of some faces of a person, each weighing the same; its embedding has length 1.
pub fn mean<'a>(faces: impl IntoIterator<Item = &'a Features>) -> Features {
    mean_and_length(faces).0
}

/// As [`mean`], and the length of the embeddings' mean: 1 where all are equal, less the more they
/// differ.
fn mean_and_length<'a>(faces: impl IntoIterator<Item = &'a Features>) -> (Features, f32) {
    let faces: Vec<_> = faces.into_iter().collect();
    let average = |part: fn(&Features) -> &[f32]| -> Vec<f32> {
        let mut sums = vec![0.0; faces.first().map_or(0, |face| part(face).len())];
        for face in &faces {
            for (sum, value) in sums.iter_mut().zip(part(face)) {
                *sum += value / faces.len() as f32;
            }
        }
        sums
    };
    let logits = average(|face| &face.logits);
    let mut embedding = average(|face| &face.embedding);
    let length = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        embedding.iter_mut().for_each(|value| *value /= length);
    }
    (Features { logits, embedding }, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::embedding::unit_cosine;

    /// A face with this direction and one logit, the first element.
    pub(super) fn face(embedding: [f32; 3]) -> Features {
        mean(&[Features { logits: vec![embedding[0]], embedding: embedding.to_vec() }])
    }

    #[test]
    fn the_mean_has_length_one() {
        let faces = [face([1.0, 0.0, 0.0]), face([0.0, 1.0, 0.0])];
        let (mean, length) = mean_and_length(&faces);
        assert!((unit_cosine(&mean.embedding, &mean.embedding) - 1.0).abs() < 1e-6);
        assert_eq!(mean.logits, [0.5]);
        assert!((length - 0.5_f32.sqrt()).abs() < 1e-6, "{length}");
    }
}
