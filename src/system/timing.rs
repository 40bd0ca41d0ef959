//! Durations of something that happens again and again.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Parts of each doubling of the duration that are counted apart: quantiles are right within 9 %.
const PARTS: usize = 8;

/// Doublings from a microsecond on; longer durations count as the longest of these, two minutes.
const DOUBLINGS: usize = 27;

/// Count, sum, maximum and distribution of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    count: u64,
    total: Duration,
    longest: Duration,
    histogram: [u32; PARTS * DOUBLINGS],
}

impl Default for Timing {
    fn default() -> Self {
        let histogram = [0; PARTS * DOUBLINGS];
        Self { count: 0, total: Duration::ZERO, longest: Duration::ZERO, histogram }
    }
}

impl Timing {
    /// Adds one duration.
    pub fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.total += duration;
        self.longest = self.longest.max(duration);
        let count = &mut self.histogram[place(duration)];
        *count = count.saturating_add(1);
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

    /// The duration in milliseconds that the share `quantile` (0 to 1) of them does not exceed, 0
    /// when nothing was added.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let wanted = (quantile * self.count as f64).ceil().max(1.0);
        let mut seen = 0.0;
        for (place, &count) in self.histogram.iter().enumerate() {
            seen += f64::from(count);
            if seen >= wanted {
                return middle_ms(place).min(self.longest_ms());
            }
        }
        self.longest_ms()
    }
}

/// The place of a duration in the histogram.
fn place(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubling = micros.ilog2() as usize;
    if doubling >= DOUBLINGS {
        return PARTS * DOUBLINGS - 1;
    }
    let part = (micros << PARTS.ilog2() >> doubling) as usize - PARTS;
    doubling * PARTS + part
}

/// The middle of what is counted at a place.
fn middle_ms(place: usize) -> f64 {
    let start = (1_u64 << (place / PARTS)) as f64;
    start * (1.0 + ((place % PARTS) as f64 + 0.5) / PARTS as f64) / 1e3
}

impl AddAssign for Timing {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
        for (count, more) in self.histogram.iter_mut().zip(other.histogram) {
            *count = count.saturating_add(more);
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} times, p50 {:.1} ms, p95 {:.1} ms, longest {:.1} ms",
            self.count,
            self.quantile_ms(0.5),
            self.quantile_ms(0.95),
            self.longest_ms()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_longest_of_what_was_added_and_joined() {
        let mut timing = Timing::default();
        assert_eq!(timing.mean_ms(), 0.0);
        timing.add(Duration::from_millis(10));
        timing.add(Duration::from_millis(30));
        assert_eq!((timing.count(), timing.mean_ms(), timing.longest_ms()), (2, 20.0, 30.0));
        let mut both = timing;
        both += timing;
        assert_eq!((both.count(), both.mean_ms()), (4, 20.0));
        assert_eq!(both.quantile_ms(0.9), timing.quantile_ms(0.9));
        assert!(both.to_string().ends_with("longest 30.0 ms"), "{both}");
    }

    #[test]
    fn quantiles_are_near_those_of_all_durations() {
        let mut timing = Timing::default();
        assert_eq!(timing.quantile_ms(0.5), 0.0);
        (1..=10_000).for_each(|micros| timing.add(Duration::from_micros(micros)));
        for (quantile, right) in [(0.0, 0.001), (0.01, 0.1), (0.5, 5.0), (0.95, 9.5), (1.0, 10.0)] {
            let found = timing.quantile_ms(quantile);
            assert!((found / right - 1.0).abs() < 0.09, "{quantile}: {found} for {right}");
        }
    }

    #[test]
    fn very_short_and_very_long_durations_are_counted() {
        let mut timing = Timing::default();
        timing.add(Duration::ZERO);
        timing.add(Duration::from_secs(1_000_000));
        assert_eq!(timing.quantile_ms(0.1), 0.0010625_f64.min(timing.longest_ms()));
        assert!(timing.quantile_ms(1.0) > 100_000.0);
    }
}
