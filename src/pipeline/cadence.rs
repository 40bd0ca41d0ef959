//! How often to look at frames: often enough for whoever is there or comes, and no more than the board
//! can do.

use std::time::{Duration, Instant};

use crate::defaults;

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Find and recognize faces.
    Full,
    /// Only follow the faces that were found before.
    Light,
}

/// Times a second that something is done at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Looking for faces; also the rate of frames while nobody is there.
    pub look: f32,
    /// Taking frames while somebody is there.
    pub follow: f32,
}

impl Rates {
    /// With `follow` frames a second while somebody is there.
    pub fn new(follow: f32) -> Self {
        Self { look: defaults::LOOK_RATE.min(follow), follow }
    }
}

/// Share of the newest cost in the mean.
const NEWEST_SHARE: f64 = 0.2;

/// Delay that is made up for; a longer one is given up.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Part of an interval by which a frame may come early.
const EARLY: f64 = 0.5;

/// Chooses when to take a frame and how much to work on it.
#[derive(Debug)]
pub struct Cadence {
    /// Seconds between two frames while somebody is there, and between two looks.
    follow_s: f64,
    look_s: f64,
    /// Mean seconds of the work of each kind; `None` before the first.
    full_s: Option<f64>,
    light_s: Option<f64>,
    /// Faces are looked for in no more than one frame of this many.
    every: u32,
    /// Frames since they were looked for.
    since: u32,
    /// When the next frame is to be taken.
    due: Option<Instant>,
    last_look: Option<Instant>,
}

impl Cadence {
    /// Keeps to these rates.
    pub fn new(rates: Rates) -> Self {
        Self {
            follow_s: 1.0 / f64::from(rates.follow),
            look_s: 1.0 / f64::from(rates.look),
            full_s: None,
            light_s: None,
            every: 1,
            since: 0,
            due: None,
            last_look: None,
        }
    }

    /// Time from `now` to the next frame to take.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// A frame is taken at the time `now`. Time that a look has cost is made up for by the frames
    /// after it.
    pub fn took_frame(&mut self, now: Instant, is_somebody_there: bool) {
        let interval_s = if is_somebody_there { self.follow_s } else { self.look_s };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let due = self.due.map_or(now, |due| due.max(earliest));
        self.due = Some(due + Duration::from_secs_f64(interval_s));
    }

    /// The work of a frame at the time `now`.
    pub fn next_work(&mut self, now: Instant, is_somebody_there: bool) -> Work {
        self.since += 1;
        let is_time = self.last_look.is_none_or(|last| {
            now.duration_since(last).as_secs_f64() >= self.look_s - EARLY * self.follow_s
        });
        if is_somebody_there && (self.since < self.every || !is_time) {
            return Work::Light;
        }
        self.since = 0;
        self.last_look = Some(now);
        Work::Full
    }

    /// Takes what the work of a frame has cost.
    pub fn took(&mut self, work: Work, cost: Duration) {
        let mean = match work {
            Work::Full => &mut self.full_s,
            Work::Light => &mut self.light_s,
        };
        let cost = cost.as_secs_f64();
        *mean = Some(mean.map_or(cost, |mean| mean + NEWEST_SHARE * (cost - mean)));
        let every = self.needed();
        if every != self.every {
            log::debug!("looking for faces in one frame of {every} at most");
            self.every = every;
        }
    }

    /// The fewest frames in one of which faces are looked for, with which all together keep the
    /// rate; no more than so many that somebody who comes is seen in time.
    fn needed(&self) -> u32 {
        let (full, light) = (self.full_s.unwrap_or(0.0), self.light_s.unwrap_or(0.0));
        if full <= self.follow_s {
            return 1;
        }
        let spare = self.follow_s - light;
        let wanted = if spare > 0.0 { ((full - light) / spare).ceil() } else { f64::INFINITY };
        // The frames between come at the rate asked for, or as slowly as they can be followed.
        let between = light.max(self.follow_s);
        let room = defaults::NEWCOMER_WITHIN.as_secs_f64() - full;
        wanted.min(1.0 + (room / between).floor()).max(1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board, and its time.
    struct Board(Cadence, Instant);

    /// What a board with these costs in milliseconds does in the second half of a minute: the looks
    /// a second, the frames a second, and the share of its time that it works.
    fn settle(
        Board(cadence, clock): &mut Board,
        full_ms: u64,
        light_ms: u64,
        is_there: bool,
    ) -> [f64; 3] {
        let start = *clock;
        let (mut now, half) = (start, Duration::from_secs(30));
        let (mut looks, mut frames, mut busy) = (0, 0, Duration::ZERO);
        while now < start + 2 * half {
            now += cadence.wait(now);
            cadence.took_frame(now, is_there);
            let work = cadence.next_work(now, is_there);
            let cost = Duration::from_millis(if work == Work::Full { full_ms } else { light_ms });
            cadence.took(work, cost);
            now += cost;
            if now >= start + half {
                frames += 1;
                looks += u32::from(work == Work::Full);
                busy += cost;
            }
        }
        *clock = now;
        let seconds = (now - start - half).as_secs_f64();
        [f64::from(looks) / seconds, f64::from(frames) / seconds, busy.as_secs_f64() / seconds]
    }

    fn board(look: f32, follow: f32) -> Board {
        Board(Cadence::new(Rates { look, follow }), Instant::now())
    }

    #[test]
    fn a_quick_board_looks_five_times_a_second_and_follows_fifteen_times() {
        let mut board = Board(Cadence::new(Rates::new(defaults::MAX_FPS)), Instant::now());
        let [looks, frames, _] = settle(&mut board, 20, 1, true);
        assert!(
            (4.5..=5.5).contains(&looks) && (14.0..=15.1).contains(&frames),
            "{looks} {frames}"
        );
        let [looks, frames, busy] = settle(&mut board, 20, 1, false);
        assert!(looks == frames && (4.5..=5.1).contains(&frames), "{looks} {frames}");
        assert!(busy <= 0.11, "{busy}");
    }

    #[test]
    fn a_lower_rate_bounds_the_looks_too() {
        assert_eq!(Rates::new(2.0), Rates { look: 2.0, follow: 2.0 });
        let [looks, frames, _] = settle(&mut board(2.0, 2.0), 20, 1, true);
        assert!((1.8..=2.1).contains(&frames) && looks == frames, "{looks} {frames}");
    }

    #[test]
    fn a_slow_board_holds_the_rate_and_looks_as_often_as_it_can() {
        let [looks, frames, _] = settle(&mut board(5.0, 5.0), 400, 10, true);
        assert!(frames >= 4.9, "{frames}");
        assert!(looks / frames > 0.3, "{looks}");
    }

    #[test]
    fn the_first_frame_is_looked_at_at_once() {
        let Board(mut cadence, _) = board(5.0, 15.0);
        let now = Instant::now();
        assert_eq!(cadence.wait(now), Duration::ZERO);
        assert_eq!(cadence.next_work(now, true), Work::Full);
    }

    #[test]
    fn a_board_that_becomes_quicker_looks_more_often() {
        let mut board = board(10.0, 10.0);
        let [slow, ..] = settle(&mut board, 300, 5, true);
        assert!(slow < 5.0, "{slow}");
        let [quick, ..] = settle(&mut board, 60, 5, true);
        assert!(quick > 9.5, "{quick}");
    }

    #[test]
    fn somebody_who_comes_is_seen_within_a_second_whatever_rate_is_asked_for() {
        for (full_ms, light_ms) in [(300, 30), (500, 100), (700, 10), (2000, 400)] {
            let [looks, frames, _] = settle(&mut board(25.0, 25.0), full_ms, light_ms, true);
            let between_s = 1.0 / looks - full_ms as f64 / 1e3;
            assert!(looks == frames || between_s + full_ms as f64 / 1e3 <= 1.05, "{looks}");
        }
    }
}
