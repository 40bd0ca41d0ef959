use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

use image::RgbImage;

use super::*;
use crate::event::{Event, whole_pixels};
use crate::observe::ObserveTimes;
use crate::source::{self, Counters};
use crate::types::face::{BoundingBox, Face, Landmarks, Point};
use crate::types::identity::{Candidate, Features, Identity, Judge, Label, Reason};
use crate::types::observation::{Observation, Quality};
use crate::types::scene::Scene;

/// A clock that stands still but for those who sleep by it.
struct MadeUp {
    start: Instant,
    passed: Cell<Duration>,
}

/// The time of day at which a made-up clock starts.
const WALL: SystemTime = SystemTime::UNIX_EPOCH;

impl MadeUp {
    fn new() -> Self {
        Self { start: Instant::now(), passed: Cell::default() }
    }
}

impl Clock for MadeUp {
    fn now(&self) -> Instant {
        self.start + self.passed.get()
    }

    fn wall(&self) -> SystemTime {
        WALL + self.passed.get()
    }

    fn sleep(&self, time: Duration) {
        self.passed.set(self.passed.get() + time);
    }
}

/// Gives what it was told to, then the end.
struct ScriptSource {
    script: VecDeque<source::Result<Received>>,
    is_lost: bool,
}

impl ScriptSource {
    fn new(script: Vec<source::Result<Received>>) -> Self {
        Self { script: script.into(), is_lost: false }
    }
}

impl FrameSource for ScriptSource {
    fn next(&mut self, _timeout: Duration) -> source::Result<Received> {
        let received = self.script.pop_front().unwrap_or(Ok(Received::End));
        match &received {
            Ok(Received::Lost(_)) => self.is_lost = true,
            Ok(Received::Restored) => self.is_lost = false,
            _ => {}
        }
        received
    }

    fn name(&self) -> &str {
        "script"
    }

    fn is_looking(&self) -> bool {
        self.is_lost
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// Sees a person with the id "a" in pictures 1 pixel wide, a stranger in those 2 pixels wide, nobody in
/// those of 3, and of those of 4 a person with the id "b".
struct ByWidth;

impl Observe for ByWidth {
    fn observe(&self, rgb: &RgbImage, _reduction: u32) -> models::Result<Vec<Observation>> {
        Ok(match rgb.width() {
            1 => vec![observation(0.95)],
            2 => vec![observation(0.2)],
            3 => vec![],
            4 => vec![Observation { features: Some(features(1.95)), ..observation(0.95) }],
            _ => {
                let needed = (3, 1);
                return Err(models::Error::Size { needed, given: rgb.dimensions() });
            }
        })
    }

    fn judge(&self) -> &dyn Judge {
        &Always
    }

    fn times(&self) -> ObserveTimes {
        ObserveTimes::default()
    }
}

/// Everybody is the person "a", or with a first logit above 1 the person "b", whose confidence is
/// what the logit has behind the point.
struct Always;

impl Judge for Always {
    fn judge(&self, features: &Features) -> Identity {
        let (confidence, label) = match features.logits[0] {
            ann @ ..1.0 => (ann, label("Ann Example", "a")),
            bob => (bob - 1.0, label("Bob Example", "b")),
        };
        let name = if confidence > 0.9 { Ok(label.clone()) } else { Err(Reason::BelowThreshold) };
        let top = vec![Candidate { label, similarity: 0.6, confidence }];
        Identity { name, top, margin: 0.4 }
    }

    fn keep_confidence(&self) -> f32 {
        0.5
    }
}

fn label(name: &str, id: &str) -> Label {
    Label { name: name.into(), id: id.into(), url: String::new() }
}

fn features(logit: f32) -> Features {
    Features { logits: vec![logit], embedding: Vec::new() }
}

fn observation(confidence: f32) -> Observation {
    let point = Point { x: 1.0, y: 1.0 };
    let landmarks = Landmarks::at(point);
    let bounds = BoundingBox { x: 1.2, y: 2.0, width: 30.0, height: 40.0 };
    let features = features(confidence);
    Observation {
        face: Face { bounds, landmarks, turn: 0.0, detection_confidence: 0.9 },
        quality: Quality::GOOD,
        identity: Always.judge(&features),
        features: Some(features),
    }
}

/// Keeps events; its reader goes away after `room` of them.
struct Kept {
    events: Vec<Event>,
    room: usize,
    finished: u32,
}

impl Kept {
    fn of(room: usize) -> Self {
        Self { events: Vec::new(), room, finished: 0 }
    }
}

impl EventSink for Kept {
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> sink::Result<()> {
        let is_seen = matches!(event.event, EventKind::Start | EventKind::Update);
        assert_eq!(frame.is_some(), is_seen, "only a start and an update are seen");
        if let Some(frame) = frame {
            assert_eq!(event.frame, Some(frame.sequence));
        }
        if self.events.len() == self.room {
            return Err(sink::Error::ReaderGone);
        }
        self.events.push(event.clone());
        Ok(())
    }

    fn show(&mut self, _frame: &Frame, _scene: &Scene<'_>) -> sink::Result<()> {
        panic!("it does not want scenes")
    }

    fn finish(&mut self, _until: Instant) -> sink::Result<()> {
        self.finished += 1;
        Ok(())
    }
}

/// Frames that were taken when the clock started.
fn frames(clock: &MadeUp, widths: &[u32]) -> Vec<source::Result<Received>> {
    let frame = |(sequence, &width): (usize, &u32)| {
        Ok(Received::Frame(Frame {
            sequence: sequence as u64,
            captured_at: clock.start,
            rgb: RgbImage::new(width, 1),
            reduction: 1,
        }))
    };
    widths.iter().enumerate().map(frame).collect()
}

fn plan(model: &str) -> Plan {
    let absence = Duration::from_secs(2);
    let rules = VisitRules { confirm_frames: 2, absence, with_strangers: false };
    Plan { rules, pace: Pace::Pictures(25.0), model: model.into() }
}

/// What comes of a script by `clock`, and the events, of which a reader takes so many.
fn run(
    clock: &MadeUp,
    script: Vec<source::Result<Received>>,
    room: usize,
) -> (Result<StageTimes>, Vec<Event>) {
    run_as(plan("print"), &ByWidth, clock, script, room)
}

fn run_as(
    plan: Plan,
    observer: &dyn Observe,
    clock: &MadeUp,
    script: Vec<source::Result<Received>>,
    room: usize,
) -> (Result<StageTimes>, Vec<Event>) {
    let (mut source, mut sink) = (ScriptSource::new(script), Kept::of(room));
    let mut pipeline = Pipeline::new(&mut source, observer, &mut sink, clock, plan);
    let result = pipeline.run(&StopFlag::default());
    assert_eq!(sink.finished, 1);
    (result, sink.events)
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.event).collect()
}

#[test]
fn a_person_gives_one_start_and_one_end_with_everything_known() {
    let clock = MadeUp::new();
    let (result, events) = run(&clock, frames(&clock, &[3, 1, 1, 1, 3]), 10);
    let times = result.unwrap();
    assert_eq!(times.observe.count(), 5);
    assert_eq!(times.latency.count(), 5);
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
    let start = &events[0];
    assert_eq!(start.name.as_deref(), Some("Ann Example"));
    assert_eq!(start.id.as_deref(), Some("a"));
    assert_eq!(start.track, Some(1));
    assert_eq!(start.frame, Some(2));
    assert_eq!(start.confidence, Some(0.95));
    assert_eq!(start.margin, Some(0.4));
    assert_eq!(start.bounds, Some([1, 2, 30, 40]));
    assert_eq!(start.camera.as_deref(), Some("script"));
    assert_eq!(start.model.as_deref(), Some("print"));
    assert_eq!(start.top.as_ref().map(Vec::len), Some(1));
    assert_eq!(start.latency_ms, Some(0.0));
    assert_eq!(events[1].frame, Some(3));
    assert_eq!(events[1].latency_ms, None);
}

#[test]
fn somebody_who_is_called_by_another_name_is_updated() {
    let clock = MadeUp::new();
    let script = frames(&clock, &[[1; 3].as_slice(), &[4; 30]].concat());
    let (result, events) = run(&clock, script, 10);
    assert!(result.is_ok());
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::Update, EventKind::End]);
    let ids: Vec<_> = events.iter().map(|event| event.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "b"]);
    assert!(events.iter().all(|event| event.track == Some(1)));
}

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

#[test]
fn strangers_give_no_events() {
    let clock = MadeUp::new();
    let (result, events) = run(&clock, frames(&clock, &[2, 2, 2, 2]), 10);
    assert!(result.is_ok());
    assert!(events.is_empty());
}

#[test]
fn strangers_come_and_go_without_a_name_where_that_is_wanted() {
    let (clock, plan) = (MadeUp::new(), plan("print"));
    let plan = Plan { rules: VisitRules { with_strangers: true, ..plan.rules }, ..plan };
    let (result, events) = run_as(plan, &ByWidth, &clock, frames(&clock, &[2; 9]), 9);
    assert!(result.is_ok());
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
    for event in &events {
        assert_eq!((&event.name, &event.id, event.confidence), (&None, &None, None));
        assert_eq!((event.track, event.reason), (Some(1), Some(Reason::BelowThreshold)));
        assert!(event.bounds.is_some() && event.top.is_some());
    }
}

#[test]
fn a_lost_camera_is_reported() {
    let clock = MadeUp::new();
    let mut script = vec![Ok(Received::Lost("unplugged".into())), Ok(Received::Nothing)];
    script.push(Ok(Received::Restored));
    script.extend(frames(&clock, &[3]));
    let (result, events) = run(&clock, script, 10);
    assert!(result.is_ok());
    assert_eq!(kinds(&events), [EventKind::CameraLost, EventKind::CameraRestored]);
    assert_eq!(events[0].camera.as_deref(), Some("script"));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_an_error() {
    let clock = MadeUp::new();
    for room in [0, 1] {
        let (result, events) = run(&clock, frames(&clock, &[1, 1, 1]), room);
        assert!(result.is_ok());
        assert_eq!(events.len(), room);
    }
}

/// Fails between events, as it is told to.
struct Breaks(fn() -> sink::Error);

impl EventSink for Breaks {
    fn emit(&mut self, _event: &Event, _frame: Option<&Frame>) -> sink::Result<()> {
        Ok(())
    }

    fn check(&mut self) -> sink::Result<()> {
        Err(self.0())
    }

    fn finish(&mut self, _until: Instant) -> sink::Result<()> {
        Ok(())
    }
}

/// The outcome of a run whose sink fails, and how many frames it left.
fn run_broken(error: fn() -> sink::Error) -> (Result<StageTimes>, usize) {
    let clock = MadeUp::new();
    let mut source = ScriptSource::new(frames(&clock, &[3; 9]));
    let mut sink = Breaks(error);
    let mut pipeline = Pipeline::new(&mut source, &ByWidth, &mut sink, &clock, plan(""));
    let result = pipeline.run(&StopFlag::default());
    (result, source.script.len())
}

#[test]
fn a_sink_that_breaks_between_events_ends_the_run() {
    assert!(matches!(run_broken(|| sink::Error::ReaderGone), (Ok(_), 8)));
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let (result, left) = run_broken(|| sink::Error::Write {
        sink: "standard output",
        source: io::ErrorKind::StorageFull.into(),
    });
    let expected = format!("cannot write standard output: {}", full());
    assert_eq!((result.unwrap_err().to_string(), left), (expected, 8));
}

#[test]
fn a_broken_pipe_of_another_sink_is_an_error_of_that_sink() {
    let (result, _) = run_broken(|| sink::Error::Write {
        sink: "the broker",
        source: io::ErrorKind::BrokenPipe.into(),
    });
    let told = result.unwrap_err().to_string();
    assert!(told.starts_with("cannot write the broker: "), "{told}");
}

/// Notes what it is given: events by kind, and frames with the numbers of visits and how many of
/// them are in sight.
#[derive(Default)]
struct Notes(Vec<String>);

impl EventSink for Notes {
    fn emit(&mut self, event: &Event, _frame: Option<&Frame>) -> sink::Result<()> {
        self.0.push(event.event.name().to_owned());
        Ok(())
    }

    fn wants_scenes(&self) -> bool {
        true
    }

    fn show(&mut self, frame: &Frame, scene: &Scene<'_>) -> sink::Result<()> {
        let visits: Vec<_> = scene.visits.iter().map(|presence| presence.visit).collect();
        let in_sight = scene.visits.iter().filter(|presence| presence.bounds.is_some()).count();
        self.0.push(format!("frame {}: {visits:?}, {in_sight} in sight", frame.sequence));
        Ok(())
    }

    fn finish(&mut self, _until: Instant) -> sink::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_wants_scenes_gets_each_frame_after_its_events() {
    let clock = MadeUp::new();
    let mut source = ScriptSource::new(frames(&clock, &[3, 1, 1, 3]));
    let mut sink = Notes::default();
    let plan = plan("print");
    let plan =
        Plan { rules: VisitRules { absence: Duration::from_millis(1), ..plan.rules }, ..plan };
    Pipeline::new(&mut source, &ByWidth, &mut sink, &clock, plan)
        .run(&StopFlag::default())
        .unwrap();
    let expected = [
        "frame 0: [], 0 in sight",
        "frame 1: [], 0 in sight",
        "start",
        "frame 2: [1], 1 in sight",
        "end",
        "frame 3: [], 0 in sight",
    ];
    assert_eq!(sink.0, expected);
}

#[test]
fn errors_end_the_run_after_everybody_was_reported_gone() {
    let clock = MadeUp::new();
    let mut script = frames(&clock, &[1, 1]);
    script.push(Err(source::Error::Stuck));
    let (result, events) = run(&clock, script, 10);
    assert!(matches!(result, Err(Error::Source(source::Error::Stuck))));
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
    let (result, _) = run(&clock, frames(&clock, &[9]), 10);
    assert!(matches!(result, Err(Error::Look(models::Error::Size { .. }))));
}

/// Sees somebody, and is told to stop at its third look, which it may cut short.
struct StopsAtThird {
    stop: StopFlag,
    seen: Cell<u32>,
    cuts_short: bool,
}

impl Observe for StopsAtThird {
    fn observe(&self, _rgb: &RgbImage, _reduction: u32) -> models::Result<Vec<Observation>> {
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() == 3 {
            self.stop.set();
            if self.cuts_short {
                return Err(models::Error::Stopped);
            }
        }
        Ok(vec![observation(0.95)])
    }

    fn judge(&self) -> &dyn Judge {
        &Always
    }

    fn times(&self) -> ObserveTimes {
        ObserveTimes::default()
    }
}

#[test]
fn a_set_flag_stops_before_the_next_frame_and_cuts_the_present_short_without_an_error() {
    for cuts_short in [false, true] {
        let stop = StopFlag::default();
        let observer = StopsAtThird { stop: stop.clone(), seen: Cell::new(0), cuts_short };
        let clock = MadeUp::new();
        let mut source = ScriptSource::new(frames(&clock, &[1; 9]));
        let mut sink = Kept::of(9);
        let mut pipeline = Pipeline::new(&mut source, &observer, &mut sink, &clock, plan(""));
        assert!(pipeline.run(&stop).is_ok());
        assert_eq!(observer.seen.get(), 3);
        assert_eq!(kinds(&sink.events), [EventKind::Start, EventKind::End]);
    }
}

#[test]
fn the_supervisor_hears_of_frames_and_of_the_search_for_a_source_and_not_of_waiting() {
    let (supervisor, told) = crate::system::supervisor::tests::supervisor(Duration::ZERO);
    let clock = MadeUp::new();
    let mut script = vec![Ok(Received::Nothing)];
    script.extend(frames(&clock, &[3]));
    script.extend([Ok(Received::Nothing), Ok(Received::Lost("unplugged".into()))]);
    script.extend([Ok(Received::Nothing), Ok(Received::Restored), Ok(Received::Nothing)]);
    let (mut source, mut sink) = (ScriptSource::new(script), Kept::of(10));
    Pipeline::new(&mut source, &ByWidth, &mut sink, &clock, plan("print"))
        .supervised(supervisor)
        .run(&StopFlag::default())
        .unwrap();
    let expected = [
        "READY=1",
        "STATUS=watching script",
        "WATCHDOG=1",
        "STATUS=looking for script: unplugged",
        "WATCHDOG=1",
        "WATCHDOG=1",
        "STATUS=watching script",
        "STOPPING=1",
    ];
    assert_eq!(*told.borrow(), expected);
}

#[test]
fn what_a_camera_shows_when_it_is_back_is_looked_at_even_if_nothing_has_changed() {
    struct Looks(Cell<u32>);
    impl Observe for Looks {
        fn observe(&self, _rgb: &RgbImage, _reduction: u32) -> models::Result<Vec<Observation>> {
            self.0.set(self.0.get() + 1);
            Ok(Vec::new())
        }

        fn judge(&self) -> &dyn Judge {
            &Always
        }

        fn times(&self) -> ObserveTimes {
            ObserveTimes::default()
        }
    }
    let clock = MadeUp::new();
    let looks_of = |script: Vec<source::Result<Received>>| {
        let looks = Looks(Cell::new(0));
        let pace = Pace::Live(Rates { look: 1000.0, follow: 1000.0 });
        let plan = Plan { pace, ..plan("print") };
        run_as(plan, &looks, &clock, script, 9).0.unwrap();
        looks.0.get()
    };
    let frame = |second| {
        let rgb = RgbImage::new(16, 16);
        let captured_at = clock.start + Duration::from_secs(second);
        Ok(Received::Frame(Frame { sequence: second, captured_at, rgb, reduction: 1 }))
    };
    assert_eq!(looks_of(vec![frame(0), frame(3), frame(4)]), 1);
    let lost = Ok(Received::Lost("unplugged".into()));
    assert_eq!(looks_of(vec![frame(0), frame(3), lost, Ok(Received::Restored), frame(4)]), 2);
}

#[test]
fn boxes_are_in_pixels_of_the_source_whatever_frame_comes_last() {
    let clock = MadeUp::new();
    let mut script = frames(&clock, &[1, 1, 3, 3]);
    for received in &mut script[..2] {
        if let Ok(Received::Frame(frame)) = received {
            frame.reduction = 4;
        }
    }
    let (result, events) = run(&clock, script, 9);
    assert!(result.is_ok());
    let boxes: Vec<_> = events.iter().map(|event| event.bounds).collect();
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
    let expected = whole_pixels(&observation(0.95).face.bounds.scaled(4.0));
    assert_eq!(boxes, [Some(expected); 2]);
}
