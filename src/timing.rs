//! Durations of something that happens again and again.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Count, sum and maximum of durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    count: u64,
    total: Duration,
    longest: Duration,
}

impl Timing {
    /// Adds one duration.
    pub fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.total += duration;
        self.longest = self.longest.max(duration);
    }

    /// How many durations were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean in milliseconds, 0 when nothing was added.
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.total.as_secs_f64() * 1e3 / self.count as f64
    }

    /// Longest in milliseconds.
    pub fn longest_ms(&self) -> f64 {
        self.longest.as_secs_f64() * 1e3
    }
}

impl AddAssign for Timing {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} times, mean {:.1} ms, longest {:.1} ms",
            self.count,
            self.mean_ms(),
            self.longest_ms()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_longest() {
        let mut timing = Timing::default();
        assert_eq!(timing.mean_ms(), 0.0);
        timing.add(Duration::from_millis(10));
        timing.add(Duration::from_millis(30));
        assert_eq!(timing.to_string(), "2 times, mean 20.0 ms, longest 30.0 ms");
        let mut both = timing;
        both += timing;
        assert_eq!(both.to_string(), "4 times, mean 20.0 ms, longest 30.0 ms");
    }
}
