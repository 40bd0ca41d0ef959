//! Whether anything moves before the camera: in an empty room nobody has to be looked for.

use std::time::{Duration, Instant};

use crate::defaults;
use crate::pipeline::follow::Small;

/// Least change of a part of the picture that is motion, in steps of 255 of luma.
const LEAST_CHANGE: f32 = 2.5;

/// How many times the noise of the sensor, which is the usual change of a part at rest, is motion.
const TIMES_NOISE: f32 = 9.0;

/// Largest change that is taken for noise, as a camera that shakes is none.
const LARGEST_NOISE: f32 = 3.0;

/// Share of the newest frame in what a still picture is remembered as.
const NEWEST_SHARE: f32 = 0.05;

/// Compares pictures with what they have been like.
#[derive(Debug, Default)]
pub struct Motion {
    /// Mean luma of each part of the picture at rest.
    rest: Vec<f32>,
    /// Median change of the parts, as a mean over time.
    noise: f32,
    last_motion: Option<Instant>,
    last_look: Option<Instant>,
}

impl Motion {
    /// Whether the picture of the time `now` need not be looked at: nothing has moved for
    /// [`defaults::REST_AFTER`], and somebody has looked within [`defaults::LONGEST_REST`].
    pub fn is_still(&mut self, small: &Small, now: Instant) -> bool {
        if self.has_moved(small.parts()) {
            self.last_motion = Some(now);
        }
        let within = |last: Option<Instant>, time: Duration| {
            last.is_some_and(|last| now.duration_since(last) < time)
        };
        !within(self.last_motion, defaults::REST_AFTER)
            && within(self.last_look, defaults::LONGEST_REST)
    }

    /// Somebody has looked for faces at the time `now`.
    pub fn looked(&mut self, now: Instant) {
        self.last_look = Some(now);
    }

    fn has_moved(&mut self, parts: Vec<f32>) -> bool {
        if parts.len() != self.rest.len() {
            self.rest = parts;
            return true;
        }
        // What all parts have in common is the light, or the camera's way of dealing with it.
        let mut changes: Vec<f32> =
            parts.iter().zip(&self.rest).map(|(part, rest)| part - rest).collect();
        let light = median(&mut changes.clone());
        changes.iter_mut().for_each(|change| *change = (*change - light).abs());
        let largest = changes.iter().copied().fold(0.0, f32::max);
        let has_moved = largest > LEAST_CHANGE.max(TIMES_NOISE * self.noise);
        let noise = median(&mut changes).min(LARGEST_NOISE);
        self.noise += NEWEST_SHARE * (noise - self.noise);
        if has_moved {
            self.rest = parts;
            return true;
        }
        for (rest, part) in self.rest.iter_mut().zip(parts) {
            *rest += NEWEST_SHARE * (part - *rest);
        }
        false
    }
}

/// The middle one of the values, 0 of none.
fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::random;

    /// A room with a camera of that much noise, five pictures a second.
    struct Room {
        motion: Motion,
        noise: f32,
        random: Box<dyn FnMut() -> u64>,
        start: Instant,
        frames: u32,
        looks: u32,
    }

    impl Room {
        fn new(noise: f32) -> Self {
            let (motion, start) = (Motion::default(), Instant::now());
            let random = Box::new(random::numbers(1));
            Self { motion, noise, random, start, frames: 0, looks: 0 }
        }

        /// Shows a picture; whether it was looked at.
        fn shows(&mut self, luma: impl Fn(f32, f32) -> f32) -> bool {
            let picture = RgbImage::from_fn(320, 240, |x, y| {
                let sum: f32 = (0..4).map(|_| self.random()).sum();
                let value = luma(x as f32, y as f32) + sum * self.noise;
                Rgb([value.clamp(0.0, 255.0) as u8; 3])
            });
            let now = self.start + Duration::from_millis(200) * self.frames;
            self.frames += 1;
            let looked = !self.motion.is_still(&Small::new(&picture), now);
            if looked {
                self.motion.looked(now);
                self.looks += 1;
            }
            looked
        }

        /// From -1 to 1.
        fn random(&mut self) -> f32 {
            ((self.random)() >> 29) as f32 / (1 << 23) as f32 - 1.0
        }

        fn rests(&mut self, frames: u32) {
            (0..frames).for_each(|_| {
                self.shows(wall);
            });
        }
    }

    fn wall(x: f32, y: f32) -> f32 {
        100.0 + 30.0 * (x / 40.0).sin() + 20.0 * (y / 25.0).cos()
    }

    /// The wall with a head of this radius before it.
    fn head(at: f32, radius: f32) -> impl Fn(f32, f32) -> f32 {
        move |x, y| if (x - at).hypot(y - 120.0) < radius { 170.0 } else { wall(x, y) }
    }

    #[test]
    fn an_empty_room_is_looked_at_every_ten_seconds_whatever_the_noise() {
        for noise in [0.0, 2.0, 6.0, 12.0] {
            let mut room = Room::new(noise);
            room.rests(100);
            room.looks = 0;
            room.rests(300);
            assert!((5..=7).contains(&room.looks), "noise {noise}: {}", room.looks);
        }
    }

    #[test]
    fn somebody_who_comes_is_looked_at_at_once_also_far_away_and_slowly() {
        for (radius, speed) in [(40.0, 8.0), (14.0, 8.0), (8.0, 4.0), (14.0, 0.5)] {
            let mut room = Room::new(4.0);
            room.rests(60);
            room.looks = 0;
            let mut at = -radius;
            let frames = (2.0 * radius / speed) as u32 + 5;
            for _ in 0..frames {
                at += speed;
                room.shows(head(at, radius));
            }
            assert!(room.looks > 0, "radius {radius}, {speed} pixels a frame");
        }
    }

    #[test]
    fn looking_goes_on_for_a_while_after_somebody_has_stopped() {
        let mut room = Room::new(2.0);
        room.rests(60);
        assert!(room.shows(head(160.0, 40.0)));
        let looks = (0..30).filter(|_| room.shows(head(160.0, 40.0))).count();
        assert!((8..=12).contains(&looks), "{looks}");
    }

    #[test]
    fn light_that_changes_slowly_or_everywhere_is_no_motion() {
        let mut room = Room::new(2.0);
        room.rests(60);
        room.looks = 0;
        for frame in 0..40 {
            let sun = frame as f32 * 0.02;
            room.shows(|x, y| wall(x, y) * (1.0 + 0.002 * frame as f32) + sun * x / 320.0);
        }
        assert!(room.looks <= 1, "{}", room.looks);
    }

    #[test]
    fn a_lamp_that_is_switched_on_is_looked_at_and_then_is_the_room() {
        let mut room = Room::new(2.0);
        room.rests(60);
        let lit = |x: f32, y: f32| wall(x, y) + 60.0 * (1.0 - x / 320.0);
        assert!(room.shows(lit));
        let looks = (0..100).filter(|_| room.shows(lit)).count();
        assert!(looks <= 13, "{looks}");
    }
}
