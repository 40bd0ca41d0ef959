//! People over time: who has come, who has gone. Pure; the time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::face::BoundingBox;
use crate::observe::Observation;
use crate::recognize::{Candidate, Label};

/// Over how many of the last frames a person must be recognized to be there.
pub const WINDOW_FRAMES: u32 = 5;

/// When somebody counts as come and gone.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Frames out of the last [`WINDOW_FRAMES`] in which a person must be recognized.
    pub confirm_frames: u32,
    /// How long a person must not be seen to be gone.
    pub absence: Duration,
}

/// A named face in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Who it is.
    pub label: Label,
    /// Estimated probability that the name is right.
    pub confidence: f32,
    /// Difference of similarity to the second candidate.
    pub margin: f32,
    /// The best candidates, best first.
    pub top: Vec<Candidate>,
    /// Where the face is.
    pub bounds: BoundingBox,
    /// Number of the frame.
    pub frame: u64,
}

impl Sighting {
    /// The sighting that `observation` in frame number `frame` is; `None` for a stranger.
    pub fn of(observation: Observation, frame: u64) -> Option<Self> {
        let Observation { face, identity, .. } = observation;
        let confidence = identity.confidence();
        Some(Self {
            label: identity.name.ok()?,
            confidence,
            margin: identity.margin,
            top: identity.top,
            bounds: face.bounds,
            frame,
        })
    }
}

/// A person came or went.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Came: the number of the stay and the sighting that settled it.
    Start(u64, Sighting),
    /// Went: the number of the stay and the last sighting.
    End(u64, Sighting),
}

#[derive(Debug)]
struct Person {
    /// One bit a frame, the newest lowest: recognized in it or not.
    history: u32,
    last_seen: Instant,
    last: Sighting,
    /// Number of the stay; `None` before it is confirmed.
    stay: Option<u64>,
}

impl Person {
    fn is_in_last_frame(&self) -> bool {
        self.history & 1 == 1
    }

    fn is_absent(&self, now: Instant, absence: Duration) -> bool {
        now.saturating_duration_since(self.last_seen) >= absence
    }
}

/// Who is there.
#[derive(Debug)]
pub struct Presence {
    rules: Rules,
    people: BTreeMap<String, Person>,
    stays: u64,
}

impl Presence {
    /// Nobody is there.
    pub fn new(rules: Rules) -> Self {
        Self { rules, people: BTreeMap::new(), stays: 0 }
    }

    /// Takes what one frame shows at the time `now`. Who is seen in it has not gone, however long
    /// ago the frame before was.
    pub fn frame(&mut self, now: Instant, sightings: Vec<Sighting>) -> Vec<Change> {
        for person in self.people.values_mut() {
            person.history = (person.history << 1) & ((1 << WINDOW_FRAMES) - 1);
        }
        for sighting in sightings {
            self.see(now, sighting);
        }
        let absence = self.rules.absence;
        let mut changes =
            self.remove(|person| !person.is_in_last_frame() && person.is_absent(now, absence));
        for person in self.people.values_mut().filter(|person| person.stay.is_none()) {
            if person.history.count_ones() >= self.rules.confirm_frames {
                self.stays += 1;
                person.stay = Some(self.stays);
                changes.push(Change::Start(self.stays, person.last.clone()));
            }
        }
        self.people.retain(|_, person| person.stay.is_some() || person.history != 0);
        changes
    }

    /// Lets time pass up to `now` without a frame.
    pub fn pass(&mut self, now: Instant) -> Vec<Change> {
        let absence = self.rules.absence;
        self.remove(|person| person.is_absent(now, absence))
    }

    /// Everybody goes.
    pub fn finish(&mut self) -> Vec<Change> {
        self.remove(|_| true)
    }

    fn see(&mut self, now: Instant, sighting: Sighting) {
        let person = self.people.entry(sighting.label.id.clone()).or_insert_with(|| Person {
            history: 0,
            last_seen: now,
            last: sighting.clone(),
            stay: None,
        });
        let twice_in_frame = person.is_in_last_frame();
        person.history |= 1;
        person.last_seen = now;
        if !twice_in_frame || sighting.confidence > person.last.confidence {
            person.last = sighting;
        }
    }

    /// Removes those for whom `is_gone` holds; who was never confirmed goes silently.
    fn remove(&mut self, is_gone: impl Fn(&Person) -> bool) -> Vec<Change> {
        let gone = self.people.extract_if(.., |_, person| is_gone(person));
        let mut changes: Vec<Change> =
            gone.filter_map(|(_, person)| Some(Change::End(person.stay?, person.last))).collect();
        changes.sort_by_key(|change| match change {
            Change::Start(stay, _) | Change::End(stay, _) => *stay,
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(id: &str, confidence: f32) -> Sighting {
        let label = Label { name: id.to_uppercase(), id: id.to_string(), url: String::new() };
        Sighting {
            label,
            confidence,
            margin: 0.3,
            top: Vec::new(),
            bounds: BoundingBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
            frame: 0,
        }
    }

    fn texts(changes: &[Change]) -> Vec<String> {
        let text = |change: &Change| match change {
            Change::Start(stay, sighting) => format!("+{} {stay}", sighting.label.id),
            Change::End(stay, sighting) => format!("-{} {stay}", sighting.label.id),
        };
        changes.iter().map(text).collect()
    }

    /// Runs frames 100 ms apart, each a list of ids; an end of everything comes last.
    fn run(confirm_frames: u32, frames: &[&str]) -> Vec<String> {
        let rules = Rules { confirm_frames, absence: Duration::from_secs(2) };
        let mut presence = Presence::new(rules);
        let start = Instant::now();
        let mut seen = Vec::new();
        for (number, ids) in frames.iter().enumerate() {
            let now = start + Duration::from_millis(100) * number as u32;
            let sightings = ids.split_whitespace().map(|id| sighting(id, 0.9)).collect();
            for text in texts(&presence.frame(now, sightings)) {
                seen.push(format!("{number}: {text}"));
            }
        }
        seen.extend(texts(&presence.finish()).into_iter().map(|text| format!("end: {text}")));
        seen
    }

    #[test]
    fn one_start_and_one_end_however_many_frames() {
        assert_eq!(run(2, &["ann"; 50]), ["1: +ann 1", "end: -ann 1"]);
    }

    #[test]
    fn a_single_frame_is_not_enough() {
        assert!(run(2, &["", "ann", "", "", "", ""]).is_empty());
        assert!(run(2, &["ann", "", "", "", "", "ann", "", "", "", "", "ann"]).is_empty());
        assert_eq!(run(1, &["ann"]), ["0: +ann 1", "end: -ann 1"]);
    }

    #[test]
    fn gaps_within_the_window_are_allowed() {
        assert_eq!(run(2, &["ann", "", "", "", "ann"]), ["4: +ann 1", "end: -ann 1"]);
        assert!(run(3, &["ann", "", "ann", "", "", "ann"]).is_empty());
    }

    #[test]
    fn a_short_absence_is_no_end_and_a_long_one_is() {
        let mut frames = vec!["ann"; 3];
        frames.extend(vec![""; 18]);
        frames.push("ann");
        assert_eq!(run(2, &frames), ["1: +ann 1", "end: -ann 1"]);
        let mut frames = vec!["ann"; 3];
        frames.extend(vec![""; 25]);
        frames.extend(vec!["ann"; 3]);
        assert_eq!(run(2, &frames), ["1: +ann 1", "22: -ann 1", "29: +ann 2", "end: -ann 2"]);
    }

    #[test]
    fn people_come_and_go_apart() {
        let mut frames = vec!["ann bob"; 3];
        frames.extend(vec!["bob"; 25]);
        let expected = ["1: +ann 1", "1: +bob 2", "22: -ann 1", "end: -bob 2"];
        assert_eq!(run(2, &frames), expected);
    }

    #[test]
    fn time_passes_without_frames() {
        let rules = Rules { confirm_frames: 1, absence: Duration::from_secs(2) };
        let mut presence = Presence::new(rules);
        let now = Instant::now();
        presence.frame(now, vec![sighting("ann", 0.5)]);
        assert!(presence.pass(now + Duration::from_millis(1999)).is_empty());
        assert_eq!(texts(&presence.pass(now + Duration::from_secs(2))), ["-ann 1"]);
        assert!(presence.finish().is_empty());
    }

    #[test]
    fn frames_further_apart_than_the_absence_are_no_end() {
        let rules = Rules { confirm_frames: 2, absence: Duration::from_secs(2) };
        let mut presence = Presence::new(rules);
        let start = Instant::now();
        let mut changes = Vec::new();
        for number in 0..4 {
            let now = start + Duration::from_secs(3) * number;
            changes.extend(presence.frame(now, vec![sighting("ann", 0.9)]));
        }
        assert_eq!(texts(&changes), ["+ann 1"]);
    }

    #[test]
    fn without_patience_the_first_frame_without_a_person_is_the_end() {
        let rules = Rules { confirm_frames: 1, absence: Duration::ZERO };
        let mut presence = Presence::new(rules);
        let now = Instant::now();
        assert_eq!(texts(&presence.frame(now, vec![sighting("ann", 0.9)])), ["+ann 1"]);
        assert!(presence.frame(now, vec![sighting("ann", 0.9)]).is_empty());
        assert_eq!(texts(&presence.frame(now, Vec::new())), ["-ann 1"]);
    }

    #[test]
    fn the_better_of_two_faces_with_one_name_counts_once() {
        let rules = Rules { confirm_frames: 2, absence: Duration::from_secs(2) };
        let mut presence = Presence::new(rules);
        let now = Instant::now();
        let twice = vec![sighting("ann", 0.9), sighting("ann", 0.4)];
        assert!(presence.frame(now, twice.clone()).is_empty());
        let changes = presence.frame(now, twice);
        assert!(matches!(&changes[..], [Change::Start(1, best)] if best.confidence == 0.9));
    }
}
