//! How often to look for faces on a board that is too slow to do so in every frame.

use std::time::Duration;

use crate::config;

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Find and recognize faces.
    Full,
    /// Only follow the faces that were found before.
    Light,
}

/// Share of the newest cost in the mean.
const NEWEST_SHARE: f64 = 0.2;

/// Chooses the work of each frame so that a frame rate is held.
#[derive(Debug)]
pub struct Cadence {
    /// Seconds a frame may take.
    interval_s: f64,
    /// Mean seconds of the work of each kind; `None` before the first.
    full_s: Option<f64>,
    light_s: Option<f64>,
    /// Faces are looked for in every frame of this many.
    every: u32,
    /// Frames since they were looked for.
    since: u32,
}

impl Cadence {
    /// Holds `rate` frames a second.
    pub fn new(rate: f32) -> Self {
        let interval_s = 1.0 / f64::from(rate);
        Self { interval_s, full_s: None, light_s: None, every: 1, since: 0 }
    }

    /// The work of the next frame.
    pub fn next_work(&mut self) -> Work {
        self.since += 1;
        if self.since >= self.every {
            self.since = 0;
            Work::Full
        } else {
            Work::Light
        }
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
            log::debug!("looking for faces in one frame of {every}");
            self.every = every;
        }
    }

    /// The fewest frames in one of which faces are looked for, with which all together keep the
    /// rate; no more than so many that somebody who comes is seen in time.
    fn needed(&self) -> u32 {
        let (full, light) = (self.full_s.unwrap_or(0.0), self.light_s.unwrap_or(0.0));
        if full <= self.interval_s {
            return 1;
        }
        let spare = self.interval_s - light;
        let wanted = if spare > 0.0 { ((full - light) / spare).ceil() } else { f64::INFINITY };
        // The frames between come at the rate asked for, or as slowly as they can be followed.
        let between = light.max(self.interval_s);
        let room = config::NEWCOMER_WITHIN.as_secs_f64() - full;
        wanted.min(1.0 + (room / between).floor()).max(1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of frames in which faces are looked for and the frame rate, of the last hundred
    /// frames on a board with these costs in milliseconds.
    fn settle(cadence: &mut Cadence, full_ms: u64, light_ms: u64) -> (f64, f64) {
        let (mut full, mut time) = (0, Duration::ZERO);
        for frame in 0..200 {
            let work = cadence.next_work();
            let cost = Duration::from_millis(if work == Work::Full { full_ms } else { light_ms });
            cadence.took(work, cost);
            if frame >= 100 {
                full += u32::from(work == Work::Full);
                time += cost;
            }
        }
        (f64::from(full) / 100.0, 100.0 / time.as_secs_f64())
    }

    #[test]
    fn a_board_that_is_quick_enough_looks_at_every_frame() {
        assert_eq!(settle(&mut Cadence::new(5.0), 150, 5).0, 1.0);
    }

    #[test]
    fn a_slow_board_holds_the_rate_and_looks_as_often_as_it_can() {
        let (share, rate) = settle(&mut Cadence::new(5.0), 400, 10);
        assert!(rate >= 5.0, "{rate}");
        assert!(share > 0.3, "{share}");
    }

    #[test]
    fn the_first_frame_is_looked_at() {
        assert_eq!(Cadence::new(5.0).next_work(), Work::Full);
    }

    #[test]
    fn a_board_that_becomes_quicker_looks_more_often() {
        let mut cadence = Cadence::new(10.0);
        assert!(settle(&mut cadence, 300, 5).0 < 0.5);
        assert_eq!(settle(&mut cadence, 60, 5).0, 1.0);
    }

    #[test]
    fn somebody_who_comes_is_seen_within_a_second_whatever_rate_is_asked_for() {
        for (full_ms, light_ms) in [(300, 30), (500, 100), (700, 10), (2000, 400)] {
            let mut cadence = Cadence::new(25.0);
            let share = settle(&mut cadence, full_ms, light_ms).0;
            let between_ms = (1.0 / share - 1.0) * light_ms.max(40) as f64;
            assert!(share == 1.0 || between_ms + full_ms as f64 <= 1000.0, "{share}");
        }
    }
}
