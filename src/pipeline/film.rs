//! The time of pictures that have one of their own: the number of a frame over its rate, however long
//! the work on it takes.

use std::time::{Duration, Instant, SystemTime};

/// The time of a film.
#[derive(Debug)]
pub struct FilmTime {
    started: Instant,
    /// The time of day of the start, where events carry the time of the film.
    started_wall: Option<SystemTime>,
    rate: f64,
    now: Duration,
}

impl FilmTime {
    /// A film of `rate` frames a second, which is above 0, that starts at the time `started`. With the
    /// time of day of that, events carry the time of the film.
    pub fn new(rate: f32, started: Instant, started_wall: Option<SystemTime>) -> Self {
        Self { started, started_wall, rate: f64::from(rate), now: Duration::ZERO }
    }

    /// Goes to the frame of this number, counted from 0. Gives its time.
    pub fn show(&mut self, frame: u64) -> Instant {
        let time = Duration::try_from_secs_f64(frame as f64 / self.rate);
        self.now = time.unwrap_or(self.now);
        self.now()
    }

    /// The time of the present frame.
    pub fn now(&self) -> Instant {
        self.started.checked_add(self.now).unwrap_or(self.started)
    }

    /// What events carry, if they do: the time from the start of the film to the present frame, and
    /// its time of day.
    pub fn of_events(&self) -> Option<(Duration, SystemTime)> {
        let started = self.started_wall?;
        Some((self.now, started.checked_add(self.now).unwrap_or(started)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_frame_is_its_time() {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let mut film = FilmTime::new(10.0, start, Some(wall));
        assert_eq!(film.show(0), start);
        let time = Duration::from_millis(2500);
        assert_eq!((film.show(25), film.now()), (start + time, start + time));
        assert_eq!(film.of_events(), Some((time, wall + time)));
        assert_eq!(film.show(12) - start, Duration::from_millis(1200));
        FilmTime::new(0.01, start, Some(wall)).show(u64::MAX);
        assert_eq!(FilmTime::new(10.0, start, None).of_events(), None);
    }
}
