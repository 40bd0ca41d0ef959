//! What several pictures of one face say together about who it is.

use std::collections::VecDeque;

use super::WINDOW_FRAMES;
use crate::types::embedding::cosine;
use crate::types::identity::{Features, Identity, Judge, Label, Reason};

/// The weight of all pictures before is at most that of so many good ones, so that a mean follows a
/// face that changes.
const MEMORY: f32 = 6.0;

/// Pictures from which on a mean stands for a person.
const MATURE_PICTURES: u32 = 3;

/// The mean of a face's features, and the name that has grown out of it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    mean: Option<Features>,
    weight: f32,
    pictures: u32,
    /// The most similar person of each of the last frames; `None` where the confidence was too low to
    /// keep a name.
    votes: VecDeque<Option<String>>,
    identity: Option<Identity>,
    name: Option<Label>,
}

impl Evidence {
    /// Takes a picture that counts `weight`, and judges anew: a name is gained when the mean is sure
    /// of it and `confirm` of the last frames agree, kept as long as the mean stays above the lower
    /// threshold, and changed when the mean is sure of another.
    pub(super) fn add(
        &mut self,
        features: &Features,
        weight: f32,
        judge: &dyn Judge,
        confirm: u32,
    ) {
        self.pictures += 1;
        self.average(features, weight);
        let single = judge.judge(features);
        let voted = single.best().filter(|best| best.confidence >= judge.keep_confidence());
        self.vote(voted.map(|best| best.label.id.clone()));
        let Some(mean) = &self.mean else { return };
        let identity = judge.judge(mean);
        self.name = self.decide(&identity, judge.keep_confidence(), confirm);
        self.identity = Some(identity);
    }

    /// Takes a frame in which the face was too poor to be looked at.
    pub(super) fn skip(&mut self, identity: Identity) {
        self.vote(None);
        if self.identity.is_none() || self.mean.is_none() {
            self.identity = Some(identity);
        }
    }

    /// Who it is.
    pub(super) fn name(&self) -> Option<&Label> {
        self.name.as_ref()
    }

    /// The last judgement of the mean.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Why there is no name.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.identity.as_ref()?.name.as_ref().err().copied()
    }

    /// Whether enough was seen for a face that is unlike to be another person's.
    pub(super) fn is_mature(&self) -> bool {
        self.pictures >= MATURE_PICTURES
    }

    /// The cosine of `features` to the mean; `None` where either has no embedding.
    pub(super) fn cosine(&self, features: &Features) -> Option<f32> {
        cosine(&self.mean.as_ref()?.embedding, &features.embedding)
    }

    fn decide(&self, identity: &Identity, keep_confidence: f32, confirm: u32) -> Option<Label> {
        let sure = identity.name.as_ref().ok().filter(|label| self.votes_for(&label.id) >= confirm);
        let kept = || {
            let best = identity.best()?;
            let name = self.name.as_ref()?;
            (best.label.id == name.id && best.confidence >= keep_confidence).then(|| name.clone())
        };
        sure.cloned().or_else(kept)
    }

    fn votes_for(&self, id: &str) -> u32 {
        self.votes.iter().flatten().filter(|voted| *voted == id).count() as u32
    }

    fn vote(&mut self, voted: Option<String>) {
        if self.votes.len() == WINDOW_FRAMES as usize {
            self.votes.pop_front();
        }
        self.votes.push_back(voted);
    }

    fn average(&mut self, features: &Features, weight: f32) {
        self.weight = self.weight.min(MEMORY) + weight;
        let Some(mean) = &mut self.mean else {
            self.mean = Some(features.clone());
            return;
        };
        let share = weight / self.weight;
        let pull = |mean: &mut [f32], values: &[f32]| {
            for (mean, value) in mean.iter_mut().zip(values) {
                *mean += share * (value - *mean);
            }
        };
        pull(&mut mean.logits, &features.logits);
        pull(&mut mean.embedding, &features.embedding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::tests::{ByLogits, features};

    /// Adds pictures with these similarities to Ann and Bob, all of the same quality.
    fn after(pictures: &[[f32; 2]]) -> Evidence {
        let mut evidence = Evidence::default();
        for similarities in pictures {
            evidence.add(&features(*similarities), 1.0, &ByLogits, 2);
        }
        evidence
    }

    fn id(evidence: &Evidence) -> Option<&str> {
        evidence.name().map(|label| label.id.as_str())
    }

    #[test]
    fn a_name_needs_several_frames() {
        assert_eq!(id(&after(&[[0.9, 0.0]])), None);
        assert_eq!(id(&after(&[[0.9, 0.0]; 2])), Some("ann"));
        assert_eq!(id(&after(&[[0.6, 0.0]; 9])), None);
    }

    #[test]
    fn a_name_is_kept_between_the_thresholds_and_lost_below() {
        let mut pictures = vec![[0.9, 0.0]; 3];
        pictures.extend([[0.6, 0.0]; 30]);
        assert_eq!(id(&after(&pictures)), Some("ann"));
        pictures.extend([[0.1, 0.0]; 30]);
        assert_eq!(id(&after(&pictures)), None);
    }

    #[test]
    fn one_bad_frame_changes_nothing_and_many_change_the_name() {
        let mut pictures = vec![[0.9, 0.0]; 8];
        pictures.push([0.0, 0.95]);
        assert_eq!(id(&after(&pictures)), Some("ann"));
        pictures.extend([[0.0, 0.95]; 30]);
        assert_eq!(id(&after(&pictures)), Some("bob"));
    }

    #[test]
    fn better_pictures_count_more() {
        let mut evidence = Evidence::default();
        for (similarities, weight) in [([0.9, 0.0], 1.0), ([0.0, 0.9], 0.01), ([0.9, 0.0], 1.0)] {
            evidence.add(&features(similarities), weight, &ByLogits, 2);
        }
        assert_eq!(id(&evidence), Some("ann"));
    }

    #[test]
    fn frames_that_show_too_little_keep_the_name() {
        let mut evidence = after(&[[0.9, 0.0]; 2]);
        for _ in 0..9 {
            evidence.skip(Identity::refused(Reason::Blurred));
        }
        assert_eq!(id(&evidence), Some("ann"));
        let mut unseen = Evidence::default();
        unseen.skip(Identity::refused(Reason::Blurred));
        assert_eq!(unseen.reason(), Some(Reason::Blurred));
    }

    #[test]
    fn likeness_is_the_cosine_to_the_mean() {
        let evidence = after(&[[1.0, 0.0], [1.0, 0.0]]);
        let cosine = evidence.cosine(&features([0.0, 1.0])).expect("embeddings");
        assert!(cosine.abs() < 1e-6, "{cosine}");
        let none = Features { logits: vec![1.0, 0.0], embedding: Vec::new() };
        assert_eq!(evidence.cosine(&none), None);
    }
}
