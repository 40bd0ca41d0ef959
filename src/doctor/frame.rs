//! A picture of the source: whether one comes, how soon, how many a second, and what it is like.

use std::time::{Duration, Instant};

use image::RgbImage;

use super::{Checkup, Finding, Status, System, holder, upright};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::picture::luma::luma;
use crate::quality::QualityLimits;
use crate::shown::count;
use crate::source::{Device, FrameSource, Received, SourceSpec, Time};
use crate::system::process::quoted;
use crate::system::stop::StopFlag;
use crate::types::frame::Frame;

/// How long to wait for a frame before signals are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Frames a second below which whoever walks past may be missed.
const SLOW: f64 = 2.0;

/// Largest share of frames that may be corrupt: 1 in 20.
const CORRUPT_ONE_IN: u64 = 20;

/// How long to look.
struct Times {
    /// Longest time to the first picture; sources have deadlines of their own before that.
    first_within: Duration,
    /// For which pictures are counted, and for which where hardly any come.
    measure: Duration,
    measure_slow: Duration,
}

const TIMES: Times = Times {
    first_within: Duration::from_secs(20),
    measure: Duration::from_secs(1),
    measure_slow: Duration::from_secs(3),
};

pub fn check(checkup: &Checkup<'_>) -> Finding {
    let upright = match (&checkup.models().detector, checkup.picture()) {
        (Ok(detector), Some(picture)) => {
            upright::look(detector, &picture.rgb, checkup.setup().turn)
        }
        _ => None,
    };
    Finding::joined([Some(checkup.frame().0.clone()), upright].into_iter().flatten().collect())
}

/// What comes from the source, and the last picture.
pub fn look(checkup: &Checkup<'_>) -> (Finding, Option<Frame>) {
    let (source, device) = (checkup.setup().source.as_ref(), checkup.device());
    if source.selector().is_some() && device.is_none() {
        return (Finding::skipped("there is no camera to look at"), None);
    }
    if checkup.permission().status() >= Status::Warning {
        return (Finding::skipped("not looked at, see permission"), None);
    }
    let times = match source.time() {
        Time::Live => TIMES,
        Time::Film | Time::Pictures => {
            Times { measure: Duration::ZERO, measure_slow: Duration::ZERO, ..TIMES }
        }
    };
    let opened = Instant::now();
    let opening = source.open(checkup.setup().turn).map_err(Error::from);
    match opening.and_then(|mut source| take(source.as_mut(), opened, &times, &checkup.stop)) {
        Ok(Some(sample)) => (judge(&sample), Some(sample.frame)),
        Ok(None) => (Finding::skipped("the look was broken off"), None),
        Err(error) => {
            let advice = advice(source, device, &checkup.system);
            (Finding::failure(error.to_string(), advice, Exit::of(&error)), None)
        }
    }
}

/// What a source gave.
struct Sample {
    frame: Frame,
    first_ms: f64,
    /// Frames a second, where they were counted.
    rate: Option<f64>,
    arrived: u64,
    corrupt: u64,
    /// Why it broke while it was looked at.
    broke: Option<String>,
}

/// Takes pictures, from the moment `opened` on; `None` when `stop` was set.
fn take(
    source: &mut dyn FrameSource,
    opened: Instant,
    times: &Times,
    stop: &StopFlag,
) -> Result<Option<Sample>> {
    let Some(frame) = first(source, opened, times, stop)? else { return Ok(None) };
    let first = Instant::now();
    let arrived = |source: &dyn FrameSource| {
        let counters = source.counters();
        counters.delivered + counters.dropped
    };
    let before = arrived(source);
    let mut sample = Sample {
        frame,
        first_ms: (first - opened).as_secs_f64() * 1e3,
        rate: None,
        arrived: before,
        corrupt: 0,
        broke: None,
    };
    loop {
        let time = first.elapsed();
        let few = arrived(source) < before + 2;
        if stop.is_set() || time >= if few { times.measure_slow } else { times.measure } {
            break;
        }
        match source.next(PATIENCE) {
            Ok(Received::Frame(frame)) => sample.frame = frame,
            Ok(Received::Nothing | Received::Restored) => {}
            Ok(Received::End) => break,
            Ok(Received::Lost(reason)) => {
                sample.broke = Some(reason);
                break;
            }
            Err(error) => {
                sample.broke = Some(error.to_string());
                break;
            }
        }
    }
    sample.arrived = arrived(source);
    sample.corrupt = source.counters().corrupt;
    if !times.measure.is_zero() {
        let seconds = first.elapsed().as_secs_f64().max(1e-3);
        sample.rate = Some((sample.arrived - before) as f64 / seconds);
    }
    Ok(Some(sample))
}

fn first(
    source: &mut dyn FrameSource,
    opened: Instant,
    times: &Times,
    stop: &StopFlag,
) -> Result<Option<Frame>> {
    let mut why = String::new();
    while !stop.is_set() {
        match source.next(PATIENCE)? {
            Received::Frame(frame) => return Ok(Some(frame)),
            Received::Lost(reason) => why = format!(": {reason}"),
            Received::End => {
                return Err(Error::NoFrame(format!("{} ended without a picture", source.name())));
            }
            Received::Nothing | Received::Restored => {}
        }
        if opened.elapsed() >= times.first_within {
            let seconds = times.first_within.as_secs();
            let name = source.name();
            return Err(Error::NoFrame(format!("no picture of {name} in {seconds} s{why}")));
        }
    }
    Ok(None)
}

fn judge(sample: &Sample) -> Finding {
    let Frame { rgb, reduction, .. } = &sample.frame;
    let brightness = brightness(rgb);
    let [width, height] = [rgb.width(), rgb.height()].map(|length| length * reduction);
    let mut found = format!("{width}x{height}, the first after {:.0} ms", sample.first_ms);
    if let Some(rate) = sample.rate {
        found += &format!(", {rate:.1} a second");
    }
    found += &format!(", brightness {brightness:.0} of 255");
    let mut parts = vec![Finding::ok(found)];
    if brightness < QualityLimits::DEFAULT.brightness {
        parts.push(Finding::warning(
            "it is black or nearly so",
            "Take the cap off the lens, or make light: in the dark no face is recognized.",
        ));
    }
    if sample.corrupt > 0 {
        parts.push(corrupt(sample));
    }
    if let Some(reason) = &sample.broke {
        parts.push(Finding::warning(
            format!("then it broke: {reason}"),
            "Look at the cable, the power supply and the log of the system: sudo dmesg | tail",
        ));
    } else if sample.rate.is_some_and(|rate| rate < SLOW) {
        parts.push(Finding::warning(
            "that is slow",
            "Make light, as cameras are slow in the dark, or ask for more: celebcam run --fps 15",
        ));
    }
    Finding::joined(parts)
}

fn corrupt(sample: &Sample) -> Finding {
    let all = sample.arrived + sample.corrupt;
    let found = format!("{} of {} corrupt", sample.corrupt, count_frames(all));
    if sample.corrupt * CORRUPT_ONE_IN <= all {
        return Finding::ok(found);
    }
    Finding::warning(found, "Use a shorter cable, another port or a power supply that gives more.")
}

fn count_frames(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "frame", "frames")
}

/// Mean luma, 0 to 255.
fn brightness(rgb: &RgbImage) -> f32 {
    let mut sums = [0_u64; 3];
    for pixel in rgb.pixels() {
        for (sum, value) in sums.iter_mut().zip(pixel.0) {
            *sum += u64::from(value);
        }
    }
    let pixels = (u64::from(rgb.width()) * u64::from(rgb.height())).max(1) as f32;
    luma(sums.map(|sum| sum as f32 / pixels))
}

/// What to do when no picture comes from `source`, the camera `device`.
fn advice(source: &dyn SourceSpec, device: Option<&Device>, system: &System) -> String {
    let services = if source.may_be_taken() { system.running_services() } else { Vec::new() };
    if !services.is_empty() {
        return format!(
            "The service is using the camera; stop it for the time of the look: sudo systemctl stop \
             {}",
            services.join(" ")
        );
    }
    let Some(Device { node, .. }) = device else { return source.advice() };
    match holder::find(node, system) {
        Some(holder) => {
            format!("The program {} has it open; end it: kill {}", holder.program, holder.process)
        }
        None => format!(
            "Unplug it and plug it in again; whether another program has it, says: sudo fuser -v {}",
            quoted(node)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::tests::system;
    use super::*;
    use crate::source::{self, CommandRequest, Counters};

    /// Hardly any time.
    const SHORT: Times = Times {
        first_within: Duration::from_millis(20),
        measure: Duration::from_millis(5),
        measure_slow: Duration::from_millis(10),
    };

    /// A source that says these things and then nothing.
    struct Script(VecDeque<source::Result<Received>>, Counters);

    impl Script {
        fn of(said: Vec<source::Result<Received>>) -> Self {
            Self(said.into(), Counters::default())
        }
    }

    impl FrameSource for Script {
        fn next(&mut self, _timeout: Duration) -> source::Result<Received> {
            let said = self.0.pop_front().unwrap_or(Ok(Received::Nothing));
            self.1.delivered += u64::from(matches!(said, Ok(Received::Frame(_))));
            said
        }

        fn name(&self) -> &str {
            "the script"
        }

        fn is_looking(&self) -> bool {
            false
        }

        fn counters(&self) -> Counters {
            self.1
        }
    }

    fn frame(value: u8) -> source::Result<Received> {
        let rgb = RgbImage::from_pixel(8, 4, image::Rgb([value; 3]));
        Ok(Received::Frame(Frame { sequence: 0, captured_at: Instant::now(), rgb, reduction: 1 }))
    }

    fn look(mut source: Script) -> Result<Option<Sample>> {
        take(&mut source, Instant::now(), &SHORT, &StopFlag::default())
    }

    #[test]
    fn the_last_picture_counts_and_all_are_counted() {
        let source = Script::of(vec![Ok(Received::Nothing), frame(0), frame(99), frame(100)]);
        let sample = look(source).unwrap().unwrap();
        assert_eq!((sample.arrived, sample.frame.rgb.get_pixel(0, 0).0), (3, [100; 3]));
        assert!(sample.rate.is_some_and(|rate| rate > 0.0));
        let frame = Frame { reduction: 2, ..sample.frame };
        let found = judge(&Sample { frame, rate: Some(30.0), first_ms: 5.0, ..sample });
        let text = "16x8, the first after 5 ms, 30.0 a second, brightness 100 of 255";
        assert_eq!(found, Finding::ok(text));
    }

    #[test]
    fn without_a_picture_the_reason_is_told() {
        let error = |said| look(Script::of(said)).err().map(|error| error.to_string());
        let lost = vec![Ok(Received::Lost("unplugged".to_owned()))];
        assert!(error(lost).is_some_and(|text| text.ends_with("in 0 s: unplugged")));
        assert!(error(vec![Ok(Received::End)]).is_some_and(|text| text.contains("ended without")));
        let stuck = vec![Err(source::Error::Stuck)];
        assert_eq!(error(stuck), Some(source::Error::Stuck.to_string()));
        let stop = StopFlag::default();
        stop.set();
        let mut source = Script::of(vec![frame(1)]);
        assert!(take(&mut source, Instant::now(), &SHORT, &stop).unwrap().is_none());
    }

    #[test]
    fn dark_slow_broken_and_corrupt_pictures_are_warned_of() {
        let lost = Ok(Received::Lost("unplugged".to_owned()));
        let sample = look(Script::of(vec![frame(3), lost])).unwrap().unwrap();
        let broken = judge(&Sample { arrived: 20, corrupt: 10, ..sample });
        assert_eq!(broken.status(), Status::Warning);
        for words in ["black", "10 of 30 frames corrupt", "then it broke: unplugged"] {
            assert!(broken.found().contains(words), "{broken:?}");
        }
        let sample = look(Script::of(vec![frame(120)])).unwrap().unwrap();
        let slow = judge(&Sample { rate: Some(1.0), ..sample });
        assert!(slow.found().ends_with("that is slow"), "{slow:?}");
        let sample = look(Script::of(vec![frame(120)])).unwrap().unwrap();
        let fine = judge(&Sample { rate: Some(30.0), arrived: 30, corrupt: 1, ..sample });
        assert_eq!(fine.status(), Status::Ok);
    }

    #[test]
    fn who_has_the_camera_is_asked_to_let_go_of_it() {
        let line = "rpicam-vid -o -".to_owned();
        let source = CommandRequest { line, recording: false, wait: false };
        let group = "sys/fs/cgroup/system.slice/celebcam.service/cgroup.procs";
        let (_service, with_service) = system(&[(group, "7")]);
        assert!(advice(&source, None, &with_service).ends_with("sudo systemctl stop celebcam"));
        let (_nobody, without) = system(&[]);
        let own = advice(&source, None, &without);
        assert!(own.ends_with("celebcam -v doctor --command 'rpicam-vid -o -'"), "{own}");
    }
}
