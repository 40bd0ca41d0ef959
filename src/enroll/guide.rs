//! Adding a person from a camera: which pose comes next, and which frames are taken. Pure; the time
//! is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Flaw, Shot, mean, only_face};
use crate::defaults;
use crate::types::embedding::unit_cosine;
use crate::types::observation::Observation;

/// Turns of a head that looks straight at the camera lie within this, see
/// [`Face::turn`](crate::types::face::Face::turn).
const STRAIGHT: f32 = 0.2;

/// How long a pose is waited for before any will do.
const POSE_PATIENCE: Duration = Duration::from_secs(15);

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pose {
    Straight,
    Left,
    Right,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Hold {
    /// The picture cannot be used.
    Flaw(Flaw),
    /// The head is not in the pose that was asked for.
    Pose,
    /// It looks like a frame that was taken.
    Alike,
}

impl Hold {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Flaw(Flaw::NoFace) => "no face in view",
            Self::Flaw(Flaw::SeveralFaces(_)) => {
                "more than one face in view: only the person to add may be seen"
            }
            Self::Flaw(Flaw::Poor(reason)) => {
                use crate::types::identity::Reason::{Blurred, Profile, TooDark, TooSmall};
                match reason {
                    TooSmall => "too far away: come closer",
                    TooDark => "too dark: more light is needed",
                    Blurred => "blurred: hold still for a moment",
                    Profile => "turned too far",
                    _ => "the face is not clear",
                }
            }
            Self::Flaw(Flaw::OtherPerson(_)) => "this is another person than before",
            Self::Pose => "the head was not turned as asked",
            Self::Alike => "good; now move a little",
        }
    }
}

/// Collects frames of a person.
#[derive(Debug)]
pub struct Guide {
    frames: usize,
    /// Cosine that frames of one person have at least.
    same: f32,
    taken: Vec<Shot>,
    holds: BTreeMap<&'static str, usize>,
    /// Since when the pose is waited for.
    waiting: Instant,
}

impl Guide {
    /// Wants so many frames, from `now` on, of a person whose frames have at least the cosine `same`.
    pub fn new(frames: usize, same: f32, now: Instant) -> Self {
        Self { frames, same, taken: Vec::new(), holds: BTreeMap::new(), waiting: now }
    }

    /// What was taken so far.
    pub fn taken(&self) -> &[Shot] {
        &self.taken
    }

    /// Whether there are enough.
    pub fn is_done(&self) -> bool {
        self.taken.len() >= self.frames
    }

    /// What the person has to do.
    pub fn prompt(&self, now: Instant) -> &'static str {
        match self.pose(now) {
            Some(Pose::Straight) => "look straight at the camera",
            Some(Pose::Left) => "turn your head a little to your left",
            Some(Pose::Right) => "turn your head a little to your right",
            None => "move your head a little, as you like",
        }
    }

    /// Looks at what a frame shows at the time `now`, and takes it or says why not.
    ///
    /// # Errors
    ///
    /// The reason why the frame was not taken.
    pub fn offer(&mut self, now: Instant, observations: Vec<Observation>) -> Result<(), Hold> {
        let taken = self.judge(now, observations);
        match taken {
            Ok(shot) => {
                self.taken.push(shot);
                self.waiting = now;
                Ok(())
            }
            Err(hold) => {
                *self.holds.entry(hold.advice()).or_default() += 1;
                Err(hold)
            }
        }
    }

    /// What most of the frames lacked that were not taken; `None` where all were.
    pub fn commonest_hold(&self) -> Option<&'static str> {
        self.holds.iter().max_by_key(|(_, count)| **count).map(|(advice, _)| *advice)
    }

    fn judge(&self, now: Instant, observations: Vec<Observation>) -> Result<Shot, Hold> {
        let turn = observations.first().map_or(0.0, |seen| seen.face.turn);
        let shot = only_face(observations).map_err(Hold::Flaw)?;
        let embedding = &shot.features.embedding;
        if !self.taken.is_empty() {
            let mean = mean(self.taken.iter().map(|taken| &taken.features));
            let likeness = unit_cosine(&mean.embedding, embedding);
            if likeness < self.same {
                return Err(Hold::Flaw(Flaw::OtherPerson(likeness)));
            }
        }
        let posed = match self.pose(now) {
            Some(Pose::Straight) => turn.abs() <= STRAIGHT,
            Some(Pose::Left) => turn > STRAIGHT,
            Some(Pose::Right) => turn < -STRAIGHT,
            None => true,
        };
        if !posed {
            return Err(Hold::Pose);
        }
        let alike = |taken: &Shot| {
            unit_cosine(&taken.features.embedding, embedding) > defaults::SAME_PICTURE_COSINE
        };
        if self.taken.iter().any(alike) { Err(Hold::Alike) } else { Ok(shot) }
    }

    /// The pose of the next frame: four of ten straight, three to either side. `None` when it was
    /// waited for too long.
    fn pose(&self, now: Instant) -> Option<Pose> {
        if now.saturating_duration_since(self.waiting) > POSE_PATIENCE {
            return None;
        }
        let side = self.frames * 3 / 10;
        let straight = self.frames - 2 * side;
        Some(match self.taken.len() {
            taken if taken < straight => Pose::Straight,
            taken if taken < straight + side => Pose::Left,
            _ => Pose::Right,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::face::{BoundingBox, Face, Landmarks, Point};
    use crate::types::identity::{Features, Identity, Reason};
    use crate::types::observation::Quality;

    const SAME: f32 = 0.2;

    /// Number of a look that only another person has.
    const STRANGER: usize = 15;

    /// A face turned to its own left by `turn`. Embeddings with different looks are alike, and those
    /// with the same look are equal.
    fn seen(turn: f32, look: usize) -> Observation {
        let landmarks = Landmarks::at(Point { x: 50.0, y: 50.0 });
        let bounds = BoundingBox { x: 0.0, y: 0.0, width: 100.0, height: 100.0 };
        let mut embedding = vec![0.0; STRANGER + 1];
        embedding[look] = 0.5;
        embedding[0] = if look == STRANGER { 0.0 } else { 1.0 };
        let features = mean(&[Features { logits: Vec::new(), embedding }]);
        Observation {
            face: Face { bounds, landmarks, turn, detection_confidence: 1.0 },
            quality: Quality::GOOD,
            features: Some(features),
            identity: Identity::refused(Reason::BelowThreshold),
        }
    }

    #[test]
    fn poses_are_asked_for_in_turn() {
        let now = Instant::now();
        let mut guide = Guide::new(10, SAME, now);
        let mut prompts = Vec::new();
        for frame in 0..10 {
            let prompt = guide.prompt(now);
            prompts.push(prompt.rsplit(' ').next().expect("a word"));
            let (turn, wrong_turn) = match prompts[frame] {
                "camera" => (0.0, 0.5),
                "left" => (0.5, -0.5),
                _ => (-0.5, 0.0),
            };
            assert_eq!(guide.offer(now, vec![seen(wrong_turn, 12)]), Err(Hold::Pose));
            assert_eq!(guide.offer(now, vec![seen(turn, frame + 1)]), Ok(()));
        }
        assert_eq!(prompts[..4], ["camera"; 4]);
        assert_eq!(prompts[4..7], ["left"; 3]);
        assert_eq!(prompts[7..], ["right"; 3]);
        assert!(guide.is_done());
    }

    #[test]
    fn frames_that_do_not_help_are_held_back() {
        let now = Instant::now();
        let mut guide = Guide::new(3, SAME, now);
        assert_eq!(guide.offer(now, Vec::new()), Err(Hold::Flaw(Flaw::NoFace)));
        let two = vec![seen(0.0, 1), seen(0.0, 2)];
        assert_eq!(guide.offer(now, two), Err(Hold::Flaw(Flaw::SeveralFaces(vec![100, 100]))));
        let poor = Observation {
            features: None,
            identity: Identity::refused(Reason::TooDark),
            ..seen(0.0, 1)
        };
        assert_eq!(guide.offer(now, vec![poor]), Err(Hold::Flaw(Flaw::Poor(Reason::TooDark))));
        assert_eq!(guide.offer(now, vec![seen(0.0, 1)]), Ok(()));
        assert_eq!(guide.offer(now, vec![seen(0.0, 1)]), Err(Hold::Alike));
        assert_eq!(guide.offer(now, vec![seen(0.0, 1)]), Err(Hold::Alike));
        let stranger = guide.offer(now, vec![seen(0.0, STRANGER)]);
        assert!(matches!(stranger, Err(Hold::Flaw(Flaw::OtherPerson(_)))));
        assert_eq!(guide.offer(now, vec![seen(0.5, 2)]), Err(Hold::Pose));
        assert_eq!(guide.commonest_hold(), Some("good; now move a little"));
    }

    #[test]
    fn a_pose_that_does_not_come_is_given_up() {
        let now = Instant::now();
        let mut guide = Guide::new(2, SAME, now);
        assert_eq!(guide.offer(now, vec![seen(0.6, 1)]), Err(Hold::Pose));
        let later = now + POSE_PATIENCE + Duration::from_millis(1);
        assert!(guide.prompt(later).contains("as you like"));
        assert_eq!(guide.offer(later, vec![seen(0.6, 1)]), Ok(()));
        assert_eq!(guide.offer(later, vec![seen(0.6, 2)]), Err(Hold::Pose));
    }
}
