//! How a run is doing: times of its stages, faces, and the lines that tell them.

use std::time::Duration;

use crate::observe::ObserveTimes;
use crate::source::Counters;
use crate::system::process;
use crate::system::timing::Timing;
use crate::types::observation::Observation;

/// Times of the stages of one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// Detection, alignment and recognition of everybody in a frame.
    pub observe: Timing,
    /// Following faces through a frame without looking for them.
    pub follow: Timing,
    /// Seeing that nothing moves and nobody is there.
    pub rest: Timing,
    /// Deciding who came and went, and writing it out.
    pub report: Timing,
    /// From the arrival of a frame to the end of the work on it.
    pub latency: Timing,
}

/// What a run has done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Times of the stages.
    pub times: StageTimes,
    /// Faces, each counted in every frame in which it was looked at.
    faces: u64,
    /// Those of them that got a name.
    recognized: u64,
}

impl Tally {
    /// Takes a look that has cost so much and shown these faces.
    pub fn looked(&mut self, cost: Duration, observations: &[Observation]) {
        self.times.observe.add(cost);
        self.faces += observations.len() as u64;
        let is_recognized = |seen: &&Observation| seen.identity.name.is_ok();
        self.recognized += observations.iter().filter(is_recognized).count() as u64;
    }

    /// How a run of the age `up` is doing, in one line.
    pub fn line(&self, up: Duration, counters: &Counters, observe: &ObserveTimes) -> String {
        let mut line = format!(
            "up {}, {} frames, {} dropped, {} corrupt, {} faces, {} recognized, reopened {} times",
            uptime(up),
            counters.delivered,
            counters.dropped,
            counters.corrupt,
            self.faces,
            self.recognized,
            counters.reopened
        );
        line += "; p50/p95 ms:";
        for (stage, timing) in self.stages(counters, observe) {
            let (half, most) = (timing.quantile_ms(0.5), timing.quantile_ms(0.95));
            line += &format!(" {stage} {half:.1}/{most:.1}");
        }
        if let Some(bytes) = process::memory_bytes("VmRSS") {
            line += &format!("; memory {:.1} MB", bytes as f64 / 1e6);
        }
        line
    }

    /// Logs how the run was, at its end.
    pub fn log_summary(&self, up: Duration, counters: &Counters, observe: &ObserveTimes) {
        log::info!("{}", self.line(up, counters, observe));
        for (stage, timing) in self.stages(counters, observe) {
            if timing.count() > 0 {
                log::info!("{stage}: {timing}");
            }
        }
    }

    fn stages(&self, counters: &Counters, observe: &ObserveTimes) -> [(&'static str, Timing); 8] {
        [
            ("decode", counters.decode),
            ("detect", observe.detect),
            ("align", observe.align),
            ("recognize", observe.recognize),
            ("follow", self.times.follow),
            ("rest", self.times.rest),
            ("report", self.times.report),
            ("latency", self.times.latency),
        ]
    }
}

/// `3 d 04:05:06`
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let [days, hours, minutes] = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60];
    format!("{days} d {hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_age_counts_and_times() {
        let mut tally = Tally { faces: 5, recognized: 4, ..Tally::default() };
        tally.times.follow.add(Duration::from_millis(2));
        let counters =
            Counters { delivered: 9, dropped: 2, corrupt: 1, reopened: 3, ..Counters::default() };
        let up = Duration::from_secs(3 * 86_400 + 4 * 3600 + 5 * 60 + 6);
        let line = tally.line(up, &counters, &ObserveTimes::default());
        let expected = "up 3 d 04:05:06, 9 frames, 2 dropped, 1 corrupt, 5 faces, 4 recognized, \
                        reopened 3 times; p50/p95 ms: decode 0.0/0.0 detect 0.0/0.0 \
                        align 0.0/0.0 recognize 0.0/0.0 follow 2.0/2.0 rest 0.0/0.0 \
                        report 0.0/0.0 latency 0.0/0.0; memory ";
        assert!(line.starts_with(expected), "{line}");
    }
}
