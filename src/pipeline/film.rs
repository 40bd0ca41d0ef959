//! The time of pictures that have one of their own: the number of a frame over its rate, however long
//! the work on it takes.

use std::time::{Duration, Instant};

/// The clock of a film.
#[derive(Debug)]
pub struct FilmClock {
    started: Instant,
    rate: f64,
    now: Duration,
}

impl FilmClock {
    /// A film of `rate` frames a second, which is above 0, that starts now.
    pub fn new(rate: f32) -> Self {
        Self { started: Instant::now(), rate: f64::from(rate), now: Duration::ZERO }
    }

    /// Goes to the frame of this number, counted from 0. Gives its time as one of this machine.
    pub fn show(&mut self, frame: u64) -> Instant {
        let time = Duration::try_from_secs_f64(frame as f64 / self.rate);
        self.now = time.unwrap_or(self.now);
        self.started.checked_add(self.now).unwrap_or(self.started)
    }

    /// Time from the start of the film to the present frame.
    pub fn now(&self) -> Duration {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_frame_is_its_time() {
        let mut clock = FilmClock::new(10.0);
        let start = clock.show(0);
        assert_eq!(clock.show(25) - start, Duration::from_millis(2500));
        assert_eq!(clock.now(), Duration::from_millis(2500));
        assert_eq!(clock.show(12) - start, Duration::from_millis(1200));
        FilmClock::new(0.01).show(u64::MAX);
    }
}
