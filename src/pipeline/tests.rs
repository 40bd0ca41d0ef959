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

mod sinks;
mod time;

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
