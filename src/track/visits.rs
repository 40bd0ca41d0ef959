//! Who has come and who has gone: one visit a person at a time, however many tracks show them, and one
//! for each track of a stranger.

use std::time::{Duration, Instant};

use super::{Change, Sighting};

/// Somebody who has come and not gone.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) last: Sighting,
    last_seen: Instant,
}

/// The people who are there.
#[derive(Debug)]
pub(super) struct Visits {
    absence: Duration,
    open: Vec<Visit>,
    count: u64,
}

impl Visits {
    /// Nobody is there; somebody who is not seen for `absence` has gone.
    pub(super) fn new(absence: Duration) -> Self {
        Self { absence, open: Vec::new(), count: 0 }
    }

    /// Who is there, in the order in which they came.
    pub(super) fn open(&self) -> &[Visit] {
        &self.open
    }

    /// Takes who is seen in a frame at the time `now`, each with the visit of their track so far.
    /// Gives the visits of the sightings, and what has changed. Who is seen has not gone, however
    /// long ago the frame before was.
    pub(super) fn frame(
        &mut self,
        now: Instant,
        sightings: Vec<(Option<u64>, Sighting)>,
    ) -> (Vec<u64>, Vec<Change>) {
        let mut changes = Vec::new();
        let ids = sightings.iter().filter_map(|(_, seen)| seen.id());
        let seen: Vec<String> = ids.map(str::to_owned).collect();
        let numbers: Vec<u64> = sightings
            .into_iter()
            .map(|(visit, sighting)| self.see(now, visit, sighting, &seen, &mut changes))
            .collect();
        let mut gone = self.remove(|visit, absence| {
            !numbers.contains(&visit.number)
                && now.saturating_duration_since(visit.last_seen) >= absence
        });
        gone.append(&mut changes);
        (numbers, gone)
    }

    /// Keeps the visits `numbers` going, which were followed without a look at the faces.
    pub(super) fn keep(&mut self, now: Instant, numbers: &[u64]) {
        for visit in self.open.iter_mut().filter(|visit| numbers.contains(&visit.number)) {
            visit.last_seen = now;
        }
    }

    /// Lets time pass up to `now`.
    pub(super) fn pass(&mut self, now: Instant) -> Vec<Change> {
        self.remove(|visit, absence| now.saturating_duration_since(visit.last_seen) >= absence)
    }

    /// Everybody goes.
    pub(super) fn finish(&mut self) -> Vec<Change> {
        self.remove(|_, _| true)
    }

    fn see(
        &mut self,
        now: Instant,
        visit: Option<u64>,
        sighting: Sighting,
        seen: &[String],
        changes: &mut Vec<Change>,
    ) -> u64 {
        let of_track = |open: &Visit| Some(open.number) == visit;
        let same_person = |open: &Visit| match sighting.id() {
            Some(id) => open.last.id() == Some(id),
            None => of_track(open) && open.last.id().is_none(),
        };
        // A track that has lost its name begins a visit of a stranger; the visit under the name ends
        // when its person is absent for too long.
        let renamed = |open: &Visit| {
            let is_seen = |id: &str| seen.iter().any(|seen| seen == id);
            of_track(open) && sighting.name.is_ok() && !open.last.id().is_some_and(is_seen)
        };
        let at = self.open.iter().position(same_person);
        match at.or_else(|| self.open.iter().position(renamed)) {
            Some(index) => {
                let open = &mut self.open[index];
                if open.last.id() != sighting.id() {
                    let before = open.last.label().cloned();
                    changes.push(Change::Update(open.number, before, sighting.clone()));
                }
                open.last = sighting;
                open.last_seen = now;
                open.number
            }
            None => {
                self.count += 1;
                changes.push(Change::Start(self.count, sighting.clone()));
                let (number, since, last_seen) = (self.count, now, now);
                self.open.push(Visit { number, since, last: sighting, last_seen });
                self.count
            }
        }
    }

    fn remove(&mut self, is_gone: impl Fn(&Visit, Duration) -> bool) -> Vec<Change> {
        let absence = self.absence;
        self.open
            .extract_if(.., |visit| is_gone(visit, absence))
            .map(|visit| Change::End(visit.number, visit.last))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::tests::{sighting, texts};

    /// Runs frames 100 ms apart, each a list of names; an end of everything comes last.
    fn run(frames: &[&str]) -> Vec<String> {
        let mut visits = Visits::new(Duration::from_secs(2));
        let start = Instant::now();
        let mut found = Vec::new();
        for (number, names) in frames.iter().enumerate() {
            let now = start + Duration::from_millis(100) * number as u32;
            let seen = names.split_whitespace().map(|id| (None, sighting(id))).collect();
            let changes = visits.frame(now, seen).1;
            found.extend(texts(&changes).into_iter().map(|text| format!("{number}: {text}")));
        }
        found.extend(texts(&visits.finish()).into_iter().map(|text| format!("end: {text}")));
        found
    }

    #[test]
    fn one_start_and_one_end_however_many_frames() {
        assert_eq!(run(&["ann"; 50]), ["0: +ann 1", "end: -ann 1"]);
    }

    #[test]
    fn a_short_absence_is_no_end_and_a_long_one_is() {
        let mut frames = vec!["ann"; 3];
        frames.extend([""; 19]);
        frames.push("ann");
        assert_eq!(run(&frames), ["0: +ann 1", "end: -ann 1"]);
        let mut frames = vec!["ann"; 3];
        frames.extend([""; 25]);
        frames.extend(["ann"; 3]);
        assert_eq!(run(&frames), ["0: +ann 1", "22: -ann 1", "28: +ann 2", "end: -ann 2"]);
    }

    #[test]
    fn people_come_and_go_apart() {
        let mut frames = vec!["ann bob"; 3];
        frames.extend(["bob"; 25]);
        assert_eq!(run(&frames), ["0: +ann 1", "0: +bob 2", "22: -ann 1", "end: -bob 2"]);
    }

    #[test]
    fn a_track_with_another_name_updates_its_visit() {
        let mut visits = Visits::new(Duration::from_secs(2));
        let now = Instant::now();
        let (numbers, _) = visits.frame(now, vec![(None, sighting("ann"))]);
        let (numbers, changes) = visits.frame(now, vec![(Some(numbers[0]), sighting("bob"))]);
        assert_eq!(texts(&changes), ["~ann>bob 1"]);
        assert!(visits.frame(now, vec![(Some(numbers[0]), sighting("bob"))]).1.is_empty());
        assert_eq!(texts(&visits.finish()), ["-bob 1"]);
    }

    #[test]
    fn a_name_that_another_track_still_shows_is_not_taken_from_it() {
        let mut visits = Visits::new(Duration::from_secs(2));
        let now = Instant::now();
        visits.frame(now, vec![(None, sighting("ann"))]);
        let seen = vec![(Some(1), sighting("bob")), (None, sighting("ann"))];
        let (numbers, changes) = visits.frame(now, seen);
        assert_eq!(numbers, [2, 1]);
        assert_eq!(texts(&changes), ["+bob 2"]);
    }

    #[test]
    fn a_stranger_is_known_by_the_track_alone() {
        let mut visits = Visits::new(Duration::from_secs(2));
        let now = Instant::now();
        let (numbers, changes) =
            visits.frame(now, vec![(None, sighting("?")), (None, sighting("?"))]);
        assert_eq!((numbers, texts(&changes)), (vec![1, 2], vec!["+? 1".into(), "+? 2".into()]));
        let seen = vec![(Some(1), sighting("ann")), (Some(2), sighting("?"))];
        assert_eq!(texts(&visits.frame(now, seen).1), ["~?>ann 1"]);
        let seen = vec![(Some(1), sighting("?")), (Some(2), sighting("ann"))];
        let (numbers, changes) = visits.frame(now, seen);
        assert_eq!(numbers, [3, 1], "the name goes on with its visit");
        assert_eq!(texts(&changes), ["+? 3"]);
    }

    #[test]
    fn time_passes_without_frames() {
        let mut visits = Visits::new(Duration::from_secs(2));
        let now = Instant::now();
        visits.frame(now, vec![(None, sighting("ann"))]);
        assert!(visits.pass(now + Duration::from_millis(1999)).is_empty());
        visits.keep(now + Duration::from_secs(1), &[1]);
        assert!(visits.pass(now + Duration::from_millis(2999)).is_empty());
        assert_eq!(texts(&visits.pass(now + Duration::from_secs(3))), ["-ann 1"]);
        assert!(visits.finish().is_empty());
    }

    #[test]
    fn frames_further_apart_than_the_absence_are_no_end() {
        let mut visits = Visits::new(Duration::from_secs(2));
        let start = Instant::now();
        let mut changes = Vec::new();
        for number in 0..4 {
            let now = start + Duration::from_secs(3) * number;
            changes.extend(visits.frame(now, vec![(None, sighting("ann"))]).1);
        }
        assert_eq!(texts(&changes), ["+ann 1"]);
    }
}
