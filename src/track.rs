//! Faces over time: who has come, who has gone. Pure; the time is passed in.
//!
//! A track is one face followed from frame to frame, a visit one person from coming to going. A
//! visit may take several tracks, as when the face is lost behind somebody for a moment.

mod association;
mod evidence;
mod visits;

use std::time::{Duration, Instant};

use crate::types::face::{BoundingBox, Point};
use crate::types::identity::{Candidate, Identity, Judge, Label, Reason};
use crate::types::observation::Observation;
use crate::types::scene::{Presence, Scene};
use association::Pair;
use evidence::Evidence;
use visits::{Visit, Visits};

/// Over how many of the last frames a person must be recognized to be there.
pub const WINDOW_FRAMES: u32 = 5;

/// Longest time for which a face is expected to go on as it moved.
const MOTION_LASTS: Duration = Duration::from_millis(600);

/// Share of the newest movement in a track's velocity.
const VELOCITY_SHARE: f32 = 0.6;

/// When somebody counts as come and gone.
#[derive(Debug, Clone, Copy)]
pub struct VisitRules {
    /// Frames out of the last [`WINDOW_FRAMES`] in which a person must be recognized.
    pub confirm_frames: u32,
    /// How long a person must not be seen to be gone.
    pub absence: Duration,
    /// Whether strangers come and go as well.
    pub with_strangers: bool,
}

/// A person as a track shows them in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Who it is, or why it is a stranger.
    pub name: std::result::Result<Label, Reason>,
    /// Estimated probability that it is the most similar person.
    pub confidence: f32,
    /// Difference of similarity to the second candidate.
    pub margin: f32,
    /// The best candidates, best first.
    pub top: Vec<Candidate>,
    /// Where the face is, in pixels of the source.
    pub bounds: BoundingBox,
    /// Number of the frame.
    pub frame: u64,
}

impl Sighting {
    /// Who it is; `None` for a stranger.
    pub fn label(&self) -> Option<&Label> {
        self.name.as_ref().ok()
    }

    /// The person's identifier; `None` for a stranger.
    fn id(&self) -> Option<&str> {
        self.label().map(|label| label.id.as_str())
    }
}

/// A person came or went.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Came: the number of the visit and the sighting that settled it.
    Start(u64, Sighting),
    /// Is somebody else than was said: the number of the visit, the name before, which a stranger
    /// did not have, and the sighting.
    Update(u64, Option<Label>, Sighting),
    /// Went: the number of the visit and the last sighting.
    End(u64, Sighting),
}

/// One face from frame to frame.
#[derive(Debug)]
struct Track {
    bounds: BoundingBox,
    /// Pixels a second.
    velocity: Point,
    last_seen: Instant,
    frames: u32,
    /// Pictures good enough to be recognized since the track had a name, or was begun.
    nameless: u32,
    evidence: Evidence,
    visit: Option<u64>,
}

impl Track {
    fn new(bounds: BoundingBox, now: Instant) -> Self {
        let velocity = Point { x: 0.0, y: 0.0 };
        let evidence = Evidence::default();
        Self { bounds, velocity, last_seen: now, frames: 0, nameless: 0, evidence, visit: None }
    }

    /// Where the face should be by now.
    fn expected(&self, now: Instant) -> BoundingBox {
        let time = now.saturating_duration_since(self.last_seen).min(MOTION_LASTS).as_secs_f32();
        let Point { x, y } = self.velocity;
        BoundingBox { x: self.bounds.x + x * time, y: self.bounds.y + y * time, ..self.bounds }
    }

    fn move_to(&mut self, now: Instant, bounds: BoundingBox) {
        let time = now.saturating_duration_since(self.last_seen).as_secs_f32();
        // After a gap the way between says nothing of the movement now.
        if time > 0.0 && time <= MOTION_LASTS.as_secs_f32() {
            let (from, to) = (self.bounds.centre(), bounds.centre());
            let blend = |old: f32, way: f32| old + VELOCITY_SHARE * (way / time - old);
            self.velocity = Point {
                x: blend(self.velocity.x, to.x - from.x),
                y: blend(self.velocity.y, to.y - from.y),
            };
        } else if time > 0.0 {
            self.velocity = Point { x: 0.0, y: 0.0 };
        }
        self.bounds = bounds;
        self.last_seen = now;
    }

    fn take(&mut self, observation: Observation, judge: &dyn Judge, confirm: u32) {
        let Observation { quality, features, identity, .. } = observation;
        self.frames += 1;
        match features {
            Some(features) => {
                self.evidence.add(&features, quality.weight(), judge, confirm);
                self.nameless = if self.evidence.name().is_some() { 0 } else { self.nameless + 1 };
            }
            None => self.evidence.skip(identity),
        }
        if self.frames == WINDOW_FRAMES {
            self.log_if_unknown("so far");
        }
    }

    /// Who is seen, once that is settled. Who has no name after [`WINDOW_FRAMES`] pictures good enough
    /// for one is a stranger. Each pixel of the frame stands for `reduction` of the source's, each way.
    fn sighting(&self, frame: u64, reduction: u32) -> Option<Sighting> {
        let name = match self.evidence.name() {
            Some(label) => Ok(label.clone()),
            None if self.nameless >= WINDOW_FRAMES => {
                Err(self.evidence.reason().unwrap_or(Reason::BelowThreshold))
            }
            None => return None,
        };
        let Identity { top, margin, .. } = self.evidence.identity()?;
        Some(Sighting {
            name,
            confidence: top.first()?.confidence,
            margin: *margin,
            top: top.clone(),
            bounds: self.bounds.scaled(reduction as f32),
            frame,
        })
    }

    /// Estimated probability that it is the most similar person.
    fn confidence(&self) -> f32 {
        self.evidence.identity().map_or(0.0, Identity::confidence)
    }

    fn log_if_unknown(&self, when: &str) {
        if let Some(reason) = self.evidence.reason() {
            let nearest = self.evidence.identity().and_then(Identity::best);
            let nearest = nearest.map_or_else(String::new, |best| {
                format!(", nearest {} {:.0} %", best.label.name, best.confidence * 100.0)
            });
            let reason = reason.name();
            log::debug!("unknown face, frames {when}: {}, {reason}{nearest}", self.frames);
        }
    }
}

/// Follows faces and says who comes and goes.
#[derive(Debug)]
pub struct Tracker {
    rules: VisitRules,
    tracks: Vec<Track>,
    last_frame: Option<Instant>,
    visits: Visits,
}

impl Tracker {
    /// Nobody is there.
    pub fn new(rules: VisitRules) -> Self {
        let visits = Visits::new(rules.absence);
        Self { rules, tracks: Vec::new(), last_frame: None, visits }
    }

    /// Whether anybody is followed, known or not.
    pub fn is_somebody_there(&self) -> bool {
        !self.tracks.is_empty()
    }

    /// Who is there at the time `now`, that of the last frame.
    pub fn scene(&self, now: Instant) -> Scene<'_> {
        let visits = self.visits.open().iter().map(|visit| Presence {
            visit: visit.number,
            name: visit.last.name.as_ref().map_err(|reason| *reason),
            confidence: visit.last.confidence,
            since: visit.since,
            bounds: self.shown(visit),
        });
        Scene { now, visits: visits.collect() }
    }

    /// Where the last frame shows the person of a visit: in the surest of several tracks. A track may
    /// go on with somebody else, who has taken the place.
    fn shown(&self, visit: &Visit) -> Option<BoundingBox> {
        let tracks = self.tracks.iter().filter(|track| {
            track.visit == Some(visit.number)
                && Some(track.last_seen) == self.last_frame
                && track.evidence.name().map(|label| label.id.as_str()) == visit.last.id()
        });
        let surest = tracks.max_by(|a, b| a.confidence().total_cmp(&b.confidence()))?;
        Some(surest.bounds)
    }

    /// Takes the faces of frame number `frame` at the time `now`; each of its pixels stands for
    /// `reduction` of the source's, each way.
    pub fn frame(
        &mut self,
        now: Instant,
        frame: u64,
        reduction: u32,
        observations: Vec<Observation>,
        judge: &dyn Judge,
    ) -> Vec<Change> {
        self.last_frame = Some(now);
        self.assign(now, observations, judge);
        let mut seen: Vec<(usize, Sighting)> = (0..self.tracks.len())
            .filter(|&index| self.tracks[index].last_seen == now)
            .filter_map(|index| Some((index, self.tracks[index].sighting(frame, reduction)?)))
            .filter(|(_, sighting)| self.rules.with_strangers || sighting.name.is_ok())
            .collect();
        one_of_each(&mut seen);
        let sightings =
            seen.iter().map(|(index, sighting)| (self.tracks[*index].visit, sighting.clone()));
        let (numbers, changes) = self.visits.frame(now, sightings.collect());
        for ((index, _), number) in seen.iter().zip(numbers) {
            self.tracks[*index].visit = Some(number);
        }
        self.forget(now);
        changes
    }

    /// Takes a frame in which nobody looked for faces: `follow` says where a face has moved, if it
    /// can still be seen. Only who was seen in the frame before is followed: where nobody is any
    /// more, the wall behind them would be found again and again.
    pub fn follow(
        &mut self,
        now: Instant,
        mut follow: impl FnMut(&BoundingBox) -> Option<BoundingBox>,
    ) -> Vec<Change> {
        let before = self.last_frame.replace(now);
        let mut kept = Vec::new();
        for track in self.tracks.iter_mut().filter(|track| Some(track.last_seen) == before) {
            if let Some(bounds) = follow(&track.bounds) {
                track.move_to(now, bounds);
                kept.extend(track.visit);
            }
        }
        self.visits.keep(now, &kept);
        self.pass(now)
    }

    /// Lets time pass up to `now` without a frame.
    pub fn pass(&mut self, now: Instant) -> Vec<Change> {
        self.forget(now);
        self.visits.pass(now)
    }

    /// Everybody goes.
    pub fn finish(&mut self) -> Vec<Change> {
        for track in self.tracks.drain(..) {
            track.log_if_unknown("in all");
        }
        self.visits.finish()
    }

    fn assign(&mut self, now: Instant, observations: Vec<Observation>, judge: &dyn Judge) {
        let expected: Vec<BoundingBox> =
            self.tracks.iter().map(|track| track.expected(now)).collect();
        let pairs = association::assign(self.tracks.len(), observations.len(), |track, face| {
            let observation = &observations[face];
            let evidence = &self.tracks[track].evidence;
            Pair {
                nearness: association::nearness(&expected[track], &observation.face.bounds),
                cosine: observation.features.as_ref().and_then(|found| evidence.cosine(found)),
                is_mature: evidence.is_mature(),
            }
        });
        let confirm = self.rules.confirm_frames;
        for (face, observation) in observations.into_iter().enumerate() {
            let bounds = observation.face.bounds;
            let track = pairs.iter().find(|pair| pair.1 == face).map(|pair| pair.0);
            let index = track.unwrap_or_else(|| {
                self.tracks.push(Track::new(bounds, now));
                self.tracks.len() - 1
            });
            self.tracks[index].move_to(now, bounds);
            self.tracks[index].take(observation, judge, confirm);
        }
    }

    /// Ends the tracks that were not seen for as long as a person may be absent.
    fn forget(&mut self, now: Instant) {
        let absence = self.rules.absence;
        let is_lost = |track: &mut Track| {
            let unseen = now.saturating_duration_since(track.last_seen);
            unseen > Duration::ZERO && unseen >= absence
        };
        for track in self.tracks.extract_if(.., is_lost) {
            track.log_if_unknown("in all");
        }
    }
}

/// Leaves the surest of several tracks that show the same person: nobody is in two places.
fn one_of_each(seen: &mut Vec<(usize, Sighting)>) {
    seen.sort_by(|a, b| b.1.confidence.total_cmp(&a.1.confidence));
    let mut taken: Vec<String> = Vec::new();
    seen.retain(|(_, sighting)| {
        let Some(id) = sighting.id() else { return true };
        let is_first = taken.iter().all(|taken| taken != id);
        taken.push(id.to_owned());
        is_first
    });
}

#[cfg(test)]
mod tests;
