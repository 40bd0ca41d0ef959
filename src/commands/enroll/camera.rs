//! Faces from a camera, with words on how to move.

use std::time::{Duration, Instant};

use super::Taken;
use crate::commands::say;
use crate::enroll::guide::{Guide, Hold};
use crate::enroll::same_person_cosine;
use crate::error::{Error, Result};
use crate::observe::{Observe, Observer};
use crate::settings::EnrollCamera;
use crate::source::Received;
use crate::system::stop::StopFlag;

/// How long to wait for a frame before signals are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

/// The face in good frames; `None` when `stop` was set.
pub fn faces(
    from: &EnrollCamera,
    observer: &Observer,
    stop: &StopFlag,
) -> Result<Option<Vec<Taken>>> {
    let EnrollCamera { source, turn, frames, timeout } = from;
    let (frames, mut source) = (*frames, source.open(*turn)?);
    let same = same_person_cosine(observer.recognizer());
    let mut guide = Guide::new(frames, same, Instant::now());
    let until = Instant::now() + *timeout;
    let mut speaker = Speaker::default();
    speaker.say_prompt(guide.prompt(Instant::now()));
    while !guide.is_done() {
        if stop.is_set() {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Err(too_few(&guide, frames, &format!("in {:.0} s", timeout.as_secs_f32())));
        }
        match source.next(PATIENCE)? {
            Received::Frame(frame) => {
                let observations = observer.observe(&frame.rgb, frame.reduction)?;
                let now = Instant::now();
                match guide.offer(now, observations) {
                    Ok(()) => speaker.count(guide.taken().len(), frames),
                    Err(Hold::Pose) => speaker.say(guide.prompt(now)),
                    Err(hold) => speaker.say(hold.advice()),
                }
                if !guide.is_done() {
                    speaker.say_prompt(guide.prompt(now));
                }
            }
            Received::Lost(reason) => speaker.say(&format!("camera lost: {reason}")),
            Received::Nothing | Received::Restored => {}
            Received::End => {
                let name = source.name().to_owned();
                return Err(too_few(&guide, frames, &format!("when {name} ended")));
            }
        }
    }
    let taken = guide.taken().iter().enumerate();
    let take = |(at, shot)| Taken { shot: Clone::clone(shot), place: format!("frame {}", at + 1) };
    Ok(Some(taken.map(take).collect()))
}

fn too_few(guide: &Guide, frames: usize, when: &str) -> Error {
    let why = guide.commonest_hold().map_or_else(String::new, |why| format!(" (mostly: {why})"));
    Error::Refused(format!(
        "there were only {} of {frames} good frames {when}{why}; nobody was added",
        guide.taken().len()
    ))
}

/// What was said last, so that nothing is said again and again.
#[derive(Default)]
struct Speaker {
    words: String,
    prompt: String,
}

impl Speaker {
    fn say(&mut self, words: &str) {
        if self.words != words {
            say(words);
            words.clone_into(&mut self.words);
        }
    }

    fn say_prompt(&mut self, prompt: &str) {
        if self.prompt != prompt {
            prompt.clone_into(&mut self.prompt);
            self.say(prompt);
        }
    }

    fn count(&mut self, taken: usize, wanted: usize) {
        self.say(&format!("{taken} of {wanted}"));
    }
}
