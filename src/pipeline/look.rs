//! The work on one frame: whom it shows, or where they have moved, or that nothing has changed.

use std::time::{Duration, Instant};

use super::cadence::{Cadence, Rates, Work};
use super::clock::Clock;
use super::film::FilmTime;
use super::follow::Small;
use super::motion::Motion;
use super::status::Tally;
use crate::defaults;
use crate::models::Result;
use crate::observe::{Observe, ObserveTimes};
use crate::track::{Change, Tracker, VisitRules};
use crate::types::frame::Frame;
use crate::types::scene::Scene;

/// Which frames are looked at, and whose time counts.
#[derive(Debug)]
pub(super) enum Schedule {
    /// Those of a live source that somebody would miss, each at the time when it was taken.
    Live(LiveSchedule),
    /// Every one of a film, each at its own time.
    Film(FilmTime),
}

/// What is needed to leave out work of a live source.
#[derive(Debug)]
pub(super) struct LiveSchedule {
    cadence: Cadence,
    motion: Motion,
    /// The present frame and the one before, from which to which faces are followed.
    present: Option<Small>,
    before: Option<Small>,
}

impl LiveSchedule {
    /// At these rates.
    pub fn new(rates: Rates) -> Self {
        let (cadence, motion) = (Cadence::new(rates), Motion::default());
        Self { cadence, motion, present: None, before: None }
    }

    /// Takes a frame, the work on which starts `now`. Which work that is; `None` where nothing moves
    /// and nobody is there.
    fn take(&mut self, frame: &Frame, now: Instant, is_somebody_there: bool) -> Option<Work> {
        let small = Small::new(&frame.rgb);
        let is_still = self.motion.is_still(&small, frame.captured_at);
        self.before = self.present.replace(small);
        self.cadence.took_frame(now, is_somebody_there);
        if is_still && !is_somebody_there {
            return None;
        }
        let work = self.cadence.next_work(now, is_somebody_there);
        if work == Work::Full {
            self.motion.looked(frame.captured_at);
        }
        Some(work)
    }
}

/// Works on frames, one after the other.
pub(super) struct Look<'a> {
    observer: &'a dyn Observe,
    clock: &'a dyn Clock,
    tracker: Tracker,
    schedule: Schedule,
}

impl<'a> Look<'a> {
    /// Nobody is there.
    pub fn new(
        observer: &'a dyn Observe,
        clock: &'a dyn Clock,
        rules: VisitRules,
        schedule: Schedule,
    ) -> Self {
        Self { observer, clock, tracker: Tracker::new(rules), schedule }
    }

    /// How long the stages of looking took so far.
    pub fn times(&self) -> ObserveTimes {
        self.observer.times()
    }

    /// The time of the film; `None` of a live source.
    pub fn film(&self) -> Option<&FilmTime> {
        match &self.schedule {
            Schedule::Film(film) => Some(film),
            Schedule::Live(_) => None,
        }
    }

    /// Time until the next frame is to be taken.
    pub fn wait(&self) -> Duration {
        match &self.schedule {
            Schedule::Live(live) => live.cadence.wait(self.clock.now()),
            Schedule::Film(_) => Duration::ZERO,
        }
    }

    /// Works on a frame and says who has come or gone; `None` for a live frame that is out of date.
    ///
    /// # Errors
    /// Those of the observer.
    pub fn frame(&mut self, frame: &Frame, tally: &mut Tally) -> Result<Option<Vec<Change>>> {
        let Schedule::Live(live) = &mut self.schedule else {
            return self.look(frame, tally).map(Some);
        };
        let started = self.clock.now();
        if started.saturating_duration_since(frame.captured_at) > defaults::LARGEST_FRAME_AGE {
            return Ok(None);
        }
        let work = live.take(frame, started, self.tracker.is_somebody_there());
        let changes = match work {
            Some(Work::Full) => self.look(frame, tally)?,
            Some(Work::Light) => self.follow(frame, tally),
            None => {
                tally.times.rest.add(self.clock.now().saturating_duration_since(started));
                self.tracker.pass(frame.captured_at)
            }
        };
        if let (Some(work), Schedule::Live(live)) = (work, &mut self.schedule) {
            live.cadence.took(work, self.clock.now().saturating_duration_since(started));
        }
        Ok(Some(changes))
    }

    fn look(&mut self, frame: &Frame, tally: &mut Tally) -> Result<Vec<Change>> {
        let started = self.clock.now();
        let observations = self.observer.observe(&frame.rgb, frame.reduction)?;
        tally.looked(self.clock.now().saturating_duration_since(started), &observations);
        let now = match &mut self.schedule {
            Schedule::Live(_) => frame.captured_at,
            Schedule::Film(film) => film.show(frame.sequence),
        };
        let judge = self.observer.judge();
        Ok(self.tracker.frame(now, frame.sequence, frame.reduction, observations, judge))
    }

    fn follow(&mut self, frame: &Frame, tally: &mut Tally) -> Vec<Change> {
        let started = self.clock.now();
        let smalls = match &self.schedule {
            Schedule::Live(live) => live.before.as_ref().zip(live.present.as_ref()),
            Schedule::Film(_) => None,
        };
        let find = |bounds: &_| smalls.and_then(|(before, now)| before.find_in(now, bounds));
        let changes = self.tracker.follow(frame.captured_at, find);
        tally.times.follow.add(self.clock.now().saturating_duration_since(started));
        changes
    }

    /// Who is there as of a frame that was worked on.
    pub fn scene(&self, frame: &Frame) -> Scene<'_> {
        self.tracker.scene(self.film().map_or(frame.captured_at, FilmTime::now))
    }

    /// Lets time pass without a frame. Between the frames of a film none does.
    pub fn pass(&mut self) -> Vec<Change> {
        match self.schedule {
            Schedule::Live(_) => self.tracker.pass(self.clock.now()),
            Schedule::Film(_) => Vec::new(),
        }
    }

    /// What a source shows when it is back is looked at, even if it is what it showed before.
    pub fn forget_room(&mut self) {
        if let Schedule::Live(live) = &mut self.schedule {
            live.motion = Motion::default();
            live.present = None;
        }
    }

    /// Everybody goes.
    pub fn finish(&mut self) -> Vec<Change> {
        self.tracker.finish()
    }
}
