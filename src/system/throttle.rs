//! Says what happens again and again, but not every time.

use std::time::{Duration, Instant};

/// Shortest time between two messages of one kind, for logs that end on an SD card.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts occurrences and says when it is time for a message about them.
#[derive(Debug, Default)]
pub struct Throttle {
    said: Option<Instant>,
    unsaid: u64,
}

impl Throttle {
    /// Adds `count` occurrences `now`. The sum of all that are unsaid, if it is time for a message.
    pub fn note(&mut self, now: Instant, count: u64) -> Option<u64> {
        self.add(count);
        let too_soon = self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE);
        if self.unsaid == 0 || too_soon {
            return None;
        }
        self.said = Some(now);
        self.rest()
    }

    /// Adds `count` occurrences without a message.
    pub fn add(&mut self, count: u64) -> &mut Self {
        self.unsaid += count;
        self
    }

    /// Warns of what happens now, if it is time for a message, with how often it happened; says whether
    /// it did.
    pub fn warn(&mut self, text: &str) -> bool {
        match self.note(Instant::now(), 1) {
            Some(1) => log::warn!("{text}"),
            Some(count) => log::warn!("{text} ({count} times since the last message)"),
            None => {
                log::debug!("{text}");
                return false;
            }
        }
        true
    }

    /// What is unsaid at the end, if anything.
    pub fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.unsaid)).filter(|&count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_others_together() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!(throttle.note(now, 0), None);
        assert_eq!(throttle.note(now, 1), Some(1));
        assert_eq!(throttle.note(now + PAUSE / 2, 3), None);
        assert_eq!(throttle.note(now + PAUSE / 2, 4), None);
        assert_eq!(throttle.note(now + PAUSE, 0), Some(7));
        assert_eq!(throttle.note(now + 3 * PAUSE, 0), None);
        assert_eq!(throttle.note(now + PAUSE + PAUSE / 2, 2), None);
        assert_eq!(throttle.rest(), Some(2));
        assert_eq!(throttle.rest(), None);
    }
}
