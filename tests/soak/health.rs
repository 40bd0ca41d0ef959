//! How the process of the run is: its memory, its descriptors, its threads and its children.

use std::time::{Duration, Instant};

use crate::vitals::{Vitals, resident_bytes};

/// Frames after which the memory may not grow any more.
const FIRST_FRAMES: u64 = 1000;

/// How much it may grow all the same.
const GROWTH_LIMIT_BYTES: u64 = 2_000_000;

/// Time between two lines about it.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What was seen of a process.
#[derive(Debug)]
pub struct Health {
    pid: u32,
    frames: u64,
    resident_bytes: u64,
    /// The most in the first frames, and since then.
    first_bytes: u64,
    later_bytes: u64,
    rest: Option<Vitals>,
    said: Instant,
}

impl Health {
    /// Of the process `pid`.
    pub fn new(pid: u32) -> Self {
        Self {
            pid,
            frames: 0,
            resident_bytes: 0,
            first_bytes: 0,
            later_bytes: 0,
            rest: None,
            said: Instant::now(),
        }
    }

    /// Looks at the memory after so many frames; what is wrong, if it has grown. What the start takes
    /// is no measure.
    pub fn look(&mut self, frames: u64) -> Result<(), String> {
        self.frames = frames;
        self.resident_bytes = resident_bytes(self.pid).ok_or("celebcam has ended")?;
        if frames == 0 {
            return Ok(());
        }
        if frames < FIRST_FRAMES {
            self.first_bytes = self.first_bytes.max(self.resident_bytes);
            return Ok(());
        }
        self.later_bytes = self.later_bytes.max(self.resident_bytes);
        if self.later_bytes > self.first_bytes + GROWTH_LIMIT_BYTES {
            return Err(format!("resident memory has grown: {self:?}"));
        }
        Ok(())
    }

    /// Whether it has the descriptors and threads that it had at its first rest, no child but the
    /// camera, and none that it has not reaped.
    pub fn is_at_rest(&mut self, is_camera: impl Fn(&str) -> bool) -> Result<(), String> {
        let now = Vitals::of(self.pid);
        if let Some(zombie) = now.children.iter().find(|child| child.is_zombie) {
            return Err(format!("a child is not reaped: {zombie:?}"));
        }
        let [child] = &now.children[..] else {
            return Err(format!("children: {:?}", now.children));
        };
        if !is_camera(&child.command) {
            return Err(format!("the only child is {child:?}"));
        }
        let rest = self.rest.get_or_insert_with(|| now.clone());
        if now.descriptors.len() != rest.descriptors.len() || now.threads != rest.threads {
            return Err(format!("{now:#?}\nis more or less than at the first rest: {rest:#?}"));
        }
        Ok(())
    }

    /// How things are.
    pub fn line(&self) -> String {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let [now, first, later] =
            [self.resident_bytes, self.first_bytes, self.later_bytes].map(megabytes);
        let counts = |vitals: &Vitals| (vitals.descriptors.len(), vitals.threads.len());
        let (descriptors, threads) = self.rest.as_ref().map(counts).unwrap_or_default();
        if self.frames < FIRST_FRAMES {
            return format!(
                "{} frames, {now} (memory is not judged before {FIRST_FRAMES} frames), \
                 {descriptors} descriptors, {threads} threads",
                self.frames
            );
        }
        format!(
            "{} frames, {now} (at most {first} in the first {FIRST_FRAMES} frames and {later} \
             since), {descriptors} descriptors, {threads} threads",
            self.frames
        )
    }

    /// The line, if it is time for one.
    pub fn line_if_due(&mut self) -> Option<String> {
        if self.said.elapsed() < SAY_EVERY {
            return None;
        }
        self.said = Instant::now();
        Some(self.line())
    }
}
