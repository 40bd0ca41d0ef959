//! The time of a run.

use std::time::{Duration, Instant, SystemTime};

/// Tells the time and lets it pass.
pub trait Clock {
    /// The time for durations.
    fn now(&self) -> Instant;

    /// The time of day.
    fn wall(&self) -> SystemTime;

    /// Returns when `time` has passed.
    fn sleep(&self, time: Duration);
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
