//! Whose time counts, and what becomes of frames that are late or too many.

use super::*;

/// What a run says of these frames that came 1.5 seconds ago, and how many it looked at.
fn run_late(widths: &[u32], pace: Pace) -> (Vec<Event>, u64) {
    let clock = MadeUp::new();
    clock.sleep(Duration::from_millis(1500));
    let plan = Plan { pace, ..plan("print") };
    let (times, events) = run_as(plan, &ByWidth, &clock, frames(&clock, widths), 99);
    (events, times.unwrap().observe.count())
}

#[test]
fn a_live_frame_out_of_date_says_nothing() {
    let pace = Pace::Live(Rates { look: 1000.0, follow: 1000.0 });
    let (events, looks) = run_late(&[1, 1, 1], pace);
    assert_eq!((events.len(), looks), (0, 0));
}

#[test]
fn visits_and_times_of_a_film_are_those_of_its_frames() {
    // At 10 frames a second: half a second of somebody, 1.5 or 2.5 of nobody, and somebody again.
    let film = |gap: usize| [vec![1; 5], vec![3; gap], vec![1; 5]].concat();
    for pace in [Pace::Film(10.0), Pace::Pictures(10.0)] {
        let (events, looks) = run_late(&film(15), pace);
        assert_eq!((kinds(&events), looks), (vec![EventKind::Start, EventKind::End], 25));
        let (events, _) = run_late(&film(25), pace);
        assert_eq!(events.len(), 4);
    }
    let (events, _) = run_late(&film(25), Pace::Film(10.0));
    let times: Vec<_> = events.iter().map(|event| event.film_time.unwrap().as_millis()).collect();
    assert_eq!(times, [100, 2400, 3100, 3400]);
    let ts = |event: &Event| event.ts.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(events.iter().map(ts).collect::<Vec<_>>(), [1600, 3900, 4600, 4900]);
    let (events, _) = run_late(&film(25), Pace::Pictures(10.0));
    assert_eq!(events[0].film_time, None);
    assert_eq!(events.iter().map(ts).collect::<Vec<_>>(), [1500; 4]);
}

#[test]
fn between_the_frames_of_a_film_no_time_passes() {
    let clock = MadeUp::new();
    let mut script = frames(&clock, &[1, 1]);
    script.push(Ok(Received::Nothing));
    let rules = VisitRules { confirm_frames: 1, absence: Duration::ZERO, with_strangers: false };
    let plan = Plan { rules, pace: Pace::Film(10.0), ..plan("print") };
    let (result, events) = run_as(plan, &ByWidth, &clock, script, 9);
    assert!(result.is_ok());
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
}

/// Whatever another sees, each look takes a time.
struct Slow<'a>(&'a MadeUp, Duration);

impl Observe for Slow<'_> {
    fn observe(&self, rgb: &RgbImage, reduction: u32) -> models::Result<Vec<Observation>> {
        self.0.sleep(self.1);
        ByWidth.observe(rgb, reduction)
    }

    fn judge(&self) -> &dyn Judge {
        &Always
    }

    fn times(&self) -> ObserveTimes {
        ObserveTimes::default()
    }
}

#[test]
fn a_rate_that_cannot_be_held_leaves_frames_to_be_followed() {
    let (clock, look) = (MadeUp::new(), Duration::from_millis(20));
    let plan = Plan { pace: Pace::Live(Rates { look: 200.0, follow: 200.0 }), ..plan("") };
    let script = frames(&clock, &[1; 40]);
    let (times, _) = run_as(plan, &Slow(&clock, look), &clock, script, 9);
    let times = times.expect("the run ends well");
    // One look in four takes as long as four frames at this rate.
    assert_eq!((times.observe.count(), times.follow.count()), (10, 30));
}

#[test]
fn frames_are_taken_and_told_by_the_clock() {
    let (clock, look) = (MadeUp::new(), Duration::from_millis(10));
    let plan = Plan { pace: Pace::Live(Rates { look: 20.0, follow: 20.0 }), ..plan("") };
    let mut script = frames(&clock, &[1; 9]);
    for (received, number) in script.iter_mut().zip(0..) {
        if let Ok(Received::Frame(frame)) = received {
            frame.captured_at += Duration::from_millis(50) * number;
        }
    }
    let (times, events) = run_as(plan, &Slow(&clock, look), &clock, script, 9);
    assert_eq!(times.expect("the run ends well").latency.longest_ms(), 10.0);
    assert_eq!(events[0].latency_ms, Some(10.0));
    assert_eq!(events[0].ts, "1970-01-01T00:00:00.060Z", "the second frame, and the look at it");
    assert_eq!(clock.passed.get(), Duration::from_millis(450), "nine frames at 20 a second");
}
