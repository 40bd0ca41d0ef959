//! Whom of those already known a person looks like, by the rule by which faces are named.

use super::mean_and_length;
use crate::gallery::Gallery;
use crate::recognize::Recognizer;
use crate::types::identity::{Candidate, Features};

/// The people known already, most alike first, with their mean similarity to the pictures of the person. Not
/// with that to the mean of the pictures: thresholds are for single pictures, and means are more alike than
/// those, also means of different people.
pub fn by_similarity<'a>(
    recognizer: &Recognizer,
    gallery: &Gallery,
    faces: impl IntoIterator<Item = &'a Features>,
) -> Vec<Candidate> {
    let (mean, length) = mean_and_length(faces);
    let rule = recognizer.rule(gallery);
    let offset = recognizer.decision().enrolled.map_or(0.0, |enrolled| enrolled.offset);
    let is_own =
        |candidate: &Candidate| recognizer.labels().iter().any(|own| own.id == candidate.label.id);
    let mut candidates = recognizer.identify_in(gallery, &mean).top;
    for candidate in &mut candidates {
        // The mean's logits are the average already, and its embedding has length 1.
        if !is_own(candidate) {
            candidate.similarity = offset + length * (candidate.similarity - offset);
            candidate.confidence = rule.confidence(candidate.similarity);
        }
    }
    candidates.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    candidates
}
