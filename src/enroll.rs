//! Adding a person: which pictures of the face are good, whether they show one person, and whether
//! that person is known already.

use std::cmp::Reverse;
use std::fmt;

use crate::config;
use crate::observe::Observation;
use crate::recognize::{Candidate, Features, Reason, Recognizer};

pub mod guide;

use crate::gallery::Gallery;

/// Why a picture does not help to add a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Flaw {
    /// There is no face.
    NoFace,
    /// There are several faces, this wide in pixels.
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
                write!(formatter, "{faces} faces ({shown}{rest} pixels wide)")
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

/// The features of the one face in a picture, or of the largest.
///
/// # Errors
///
/// The [`Flaw`] of a picture that cannot be used.
pub fn only_face(observations: Vec<Observation>, largest: bool) -> Result<Observation, Flaw> {
    if observations.len() > 1 && !largest {
        let width = |seen: &Observation| seen.face.bounds.width.round() as u32;
        return Err(Flaw::SeveralFaces(observations.iter().map(width).collect()));
    }
    let observation = observations.into_iter().next().ok_or(Flaw::NoFace)?;
    match (&observation.features, &observation.identity.name) {
        (None, Err(reason)) => Err(Flaw::Poor(*reason)),
        _ => Ok(observation),
    }
}

/// What stays of some pictures of one person.
#[derive(Debug, Default, PartialEq)]
pub struct Sifted {
    /// Numbers of the pictures that show the person, each anew.
    pub taken: Vec<usize>,
    /// Pictures that are as good as copies: number, and number of the one that was taken.
    pub copies: Vec<(usize, usize)>,
    /// Pictures that show somebody else: number, and cosine to the mean of those that were taken.
    pub others: Vec<(usize, f32)>,
}

/// Takes out copies, and faces unlike the rest: as long as one is less alike the mean of the others
/// than [`config::SAME_PERSON_COSINE`], the least alike.
pub fn sift(faces: &[Features]) -> Sifted {
    let mut sifted = Sifted::default();
    for (number, face) in faces.iter().enumerate() {
        let copied = sifted.taken.iter().find(|&&taken| {
            cosine(&faces[taken].embedding, &face.embedding) > config::SAME_PICTURE_COSINE
        });
        match copied {
            Some(&taken) => sifted.copies.push((number, taken)),
            None => sifted.taken.push(number),
        }
    }
    while sifted.taken.len() > 1 {
        let likeness = |at: usize| {
            let number = sifted.taken[at];
            let others = sifted.taken.iter().filter(|&&other| other != number);
            let others: Vec<_> = others.map(|&other| faces[other].clone()).collect();
            cosine(&mean(&others).embedding, &faces[number].embedding)
        };
        let least = (0..sifted.taken.len()).map(|at| (at, likeness(at)));
        let Some((at, cosine)) = least.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { break };
        if cosine >= config::SAME_PERSON_COSINE {
            break;
        }
        sifted.others.push((sifted.taken.remove(at), cosine));
    }
    sifted
}

/// The mean of some faces of a person, each weighing the same; its embedding has length 1.
pub fn mean(faces: &[Features]) -> Features {
    let average = |part: fn(&Features) -> &[f32]| -> Vec<f32> {
        let mut sums = vec![0.0; faces.first().map_or(0, |face| part(face).len())];
        for face in faces {
            for (sum, value) in sums.iter_mut().zip(part(face)) {
                *sum += value / faces.len() as f32;
            }
        }
        sums
    };
    let logits = average(|face| &face.logits);
    let mut embedding = average(|face| &face.embedding);
    let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        embedding.iter_mut().for_each(|value| *value /= norm);
    }
    Features { logits, embedding }
}

/// Somebody known whose face this is as well, other than the person with the id `except`.
pub fn known_as(
    recognizer: &Recognizer,
    gallery: &Gallery,
    face: &Features,
    except: &str,
) -> Option<Candidate> {
    let identity = recognizer.identify_in(gallery, face);
    let threshold = recognizer.rule(gallery).threshold;
    let mut others = identity.top.into_iter().filter(|candidate| candidate.label.id != except);
    others.next().filter(|candidate| candidate.confidence >= threshold)
}

/// Cosine of two vectors of length 1.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(embedding: [f32; 3]) -> Features {
        mean(&[Features { logits: vec![embedding[0]], embedding: embedding.to_vec() }])
    }

    #[test]
    fn copies_count_once() {
        let faces = [face([1.0, 0.0, 0.0]), face([1.0, 0.5, 0.0]), face([1.0, 0.01, 0.0])];
        let sifted = sift(&faces);
        assert_eq!((sifted.taken, sifted.copies), (vec![0, 1], vec![(2, 0)]));
    }

    #[test]
    fn a_stranger_among_the_pictures_is_found() {
        let faces = [
            face([1.0, 0.3, 0.0]),
            face([-0.1, 0.0, 1.0]),
            face([1.0, -0.3, 0.0]),
            face([1.0, 0.0, 0.3]),
        ];
        let sifted = sift(&faces);
        assert_eq!(sifted.taken, [0, 2, 3]);
        assert_eq!(sifted.others.len(), 1);
        assert_eq!(sifted.others[0].0, 1);
        assert_eq!(sift(&faces[..2]).others.len(), 1);
        assert_eq!(sift(&faces[..1]).taken, [0]);
        assert_eq!(sift(&[]), Sifted::default());
    }

    #[test]
    fn the_mean_has_length_one() {
        let mean = mean(&[face([1.0, 0.0, 0.0]), face([0.0, 1.0, 0.0])]);
        assert!((cosine(&mean.embedding, &mean.embedding) - 1.0).abs() < 1e-6);
        assert_eq!(mean.logits, [0.5]);
    }
}
