use std::cell::Cell;
use std::collections::VecDeque;

use image::RgbImage;

use super::*;
use crate::observe::ObserveTimes;
use crate::source::Counters;
use crate::types::face::{BoundingBox, Face, Landmarks, Point};
use crate::types::identity::{Candidate, Features, Identity, Judge, Label, Reason};
use crate::types::observation::Observation;
use crate::types::observation::Quality;

/// Gives what it was told to, then the end.
struct ScriptSource {
    script: VecDeque<Result<Received>>,
    is_lost: bool,
}

impl ScriptSource {
    fn new(script: Vec<Result<Received>>) -> Self {
        Self { script: script.into(), is_lost: false }
    }
}

impl FrameSource for ScriptSource {
    fn next(&mut self, _timeout: Duration) -> Result<Received> {
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

/// Sees a person with the id "a" in pictures 1 pixel wide, a stranger in those 2 pixels wide.
struct ByWidth;

impl Observe for ByWidth {
    fn observe(&self, rgb: &RgbImage, _reduction: u32) -> Result<Vec<Observation>> {
        Ok(match rgb.width() {
            1 => vec![observation(0.95)],
            2 => vec![observation(0.2)],
            3 => vec![],
            _ => return Err(Error::Inference("too wide".into())),
        })
    }

    fn judge(&self) -> &dyn Judge {
        &Always
    }

    fn times(&self) -> ObserveTimes {
        ObserveTimes::default()
    }
}

/// Everybody is the same person, with the confidence in the first logit.
struct Always;

impl Judge for Always {
    fn judge(&self, features: &Features) -> Identity {
        let confidence = features.logits[0];
        let name = if confidence > 0.9 { Ok(label()) } else { Err(Reason::BelowThreshold) };
        let top = vec![Candidate { label: label(), similarity: 0.6, confidence }];
        Identity { name, top, margin: 0.4 }
    }

    fn keep_confidence(&self) -> f32 {
        0.5
    }
}

fn label() -> Label {
    Label { name: "Ann Example".into(), id: "a".into(), url: String::new() }
}

fn observation(confidence: f32) -> Observation {
    let point = Point { x: 1.0, y: 1.0 };
    let landmarks = Landmarks::at(point);
    let bounds = BoundingBox { x: 1.2, y: 2.0, width: 30.0, height: 40.0 };
    let features = Features { logits: vec![confidence], embedding: Vec::new() };
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

impl EventSink for Kept {
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> io::Result<()> {
        assert_eq!(frame.is_some(), event.event == EventKind::Start, "only a start is seen");
        if let Some(frame) = frame {
            assert_eq!(event.frame, Some(frame.sequence));
        }
        if self.events.len() == self.room {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.events.push(event.clone());
        Ok(())
    }

    fn finish(&mut self, _until: Instant) -> io::Result<()> {
        self.finished += 1;
        Ok(())
    }
}

fn frames(widths: &[u32]) -> Vec<Result<Received>> {
    let frame = |(sequence, &width): (usize, &u32)| {
        Ok(Received::Frame(Frame {
            sequence: sequence as u64,
            captured_at: Instant::now(),
            rgb: RgbImage::new(width, 1),
            reduction: 1,
        }))
    };
    widths.iter().enumerate().map(frame).collect()
}

fn plan(model: &str) -> Plan {
    let absence = Duration::from_secs(2);
    let rules = Rules { confirm_frames: 2, absence, with_strangers: false };
    Plan { rules, pace: Pace::Pictures(25.0), model: model.into() }
}

fn run(
    script: Vec<Result<Received>>,
    room: usize,
    stop: &StopFlag,
) -> (Result<StageTimes>, Vec<Event>) {
    let mut source = ScriptSource::new(script);
    let mut sink = Kept { events: Vec::new(), room, finished: 0 };
    let result = Pipeline::new(&mut source, &ByWidth, &mut sink, plan("print")).run(stop);
    assert_eq!(sink.finished, 1);
    (result, sink.events)
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.event).collect()
}

#[test]
fn a_person_gives_one_start_and_one_end_with_everything_known() {
    let (result, events) = run(frames(&[3, 1, 1, 1, 3]), 10, &StopFlag::default());
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
    assert!(start.latency_ms.is_some());
    assert_eq!(events[1].frame, Some(3));
    assert_eq!(events[1].latency_ms, None);
}

/// What a run says of these frames that came 1.5 seconds ago, and how many it looked at.
fn run_late(widths: &[u32], pace: Pace) -> (Vec<Event>, u64) {
    let mut script = frames(widths);
    for received in &mut script {
        if let Ok(Received::Frame(frame)) = received {
            frame.captured_at -= Duration::from_millis(1500);
        }
    }
    let mut source = ScriptSource::new(script);
    let mut sink = Kept { events: Vec::new(), room: 99, finished: 0 };
    let plan = Plan { pace, ..plan("print") };
    let times = Pipeline::new(&mut source, &ByWidth, &mut sink, plan).run(&StopFlag::default());
    (sink.events, times.unwrap().observe.count())
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
    let ts: Vec<jiff::Timestamp> = events.iter().map(|event| event.ts.parse().unwrap()).collect();
    let since = |at: usize| ts[at].as_millisecond() - ts[0].as_millisecond();
    assert_eq!([since(1), since(2), since(3)], [2300, 3000, 3300]);
    let (events, _) = run_late(&film(25), Pace::Pictures(10.0));
    assert_eq!(events[0].film_time, None);
}

#[test]
fn between_the_frames_of_a_film_no_time_passes() {
    let mut script = frames(&[1, 1]);
    script.push(Ok(Received::Nothing));
    let mut source = ScriptSource::new(script);
    let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
    let absence = Duration::ZERO;
    let rules = Rules { confirm_frames: 1, absence, with_strangers: false };
    let plan = Plan { rules, pace: Pace::Film(10.0), ..plan("print") };
    Pipeline::new(&mut source, &ByWidth, &mut sink, plan).run(&StopFlag::default()).unwrap();
    assert_eq!(kinds(&sink.events), [EventKind::Start, EventKind::End]);
}

#[test]
fn a_rate_that_cannot_be_held_leaves_frames_to_be_followed() {
    struct Slow;
    impl Observe for Slow {
        fn observe(&self, rgb: &RgbImage, reduction: u32) -> Result<Vec<Observation>> {
            std::thread::sleep(Duration::from_millis(20));
            ByWidth.observe(rgb, reduction)
        }

        fn judge(&self) -> &dyn Judge {
            &Always
        }

        fn times(&self) -> ObserveTimes {
            ObserveTimes::default()
        }
    }
    let mut source = ScriptSource::new(frames(&[1; 40]));
    let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
    let plan = Plan { pace: Pace::Live(Rates { look: 200.0, follow: 200.0 }), ..plan("") };
    let times = Pipeline::new(&mut source, &Slow, &mut sink, plan).run(&StopFlag::default());
    let times = times.expect("the run ends well");
    assert_eq!(times.observe.count() + times.follow.count(), 40);
    assert!(times.observe.count() <= 20, "{}", times.observe.count());
}

#[test]
fn strangers_give_no_events() {
    let (result, events) = run(frames(&[2, 2, 2, 2]), 10, &StopFlag::default());
    assert!(result.is_ok());
    assert!(events.is_empty());
}

#[test]
fn strangers_come_and_go_without_a_name_where_that_is_wanted() {
    let mut source = ScriptSource::new(frames(&[2; 9]));
    let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
    let plan = plan("print");
    let plan = Plan { rules: Rules { with_strangers: true, ..plan.rules }, ..plan };
    Pipeline::new(&mut source, &ByWidth, &mut sink, plan).run(&StopFlag::default()).unwrap();
    assert_eq!(kinds(&sink.events), [EventKind::Start, EventKind::End]);
    for event in &sink.events {
        assert_eq!((&event.name, &event.id, event.confidence), (&None, &None, None));
        assert_eq!((event.track, event.reason), (Some(1), Some(Reason::BelowThreshold)));
        assert!(event.bounds.is_some() && event.top.is_some());
    }
}

#[test]
fn a_lost_camera_is_reported() {
    let mut script = vec![Ok(Received::Lost("unplugged".into())), Ok(Received::Nothing)];
    script.push(Ok(Received::Restored));
    script.extend(frames(&[3]));
    let (result, events) = run(script, 10, &StopFlag::default());
    assert!(result.is_ok());
    assert_eq!(kinds(&events), [EventKind::CameraLost, EventKind::CameraRestored]);
    assert_eq!(events[0].camera.as_deref(), Some("script"));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_an_error() {
    for room in [0, 1] {
        let (result, events) = run(frames(&[1, 1, 1]), room, &StopFlag::default());
        assert!(result.is_ok());
        assert_eq!(events.len(), room);
    }
}

#[test]
fn a_sink_that_breaks_between_events_ends_the_run() {
    struct Breaks(io::ErrorKind);
    impl EventSink for Breaks {
        fn emit(&mut self, _event: &Event, _frame: Option<&Frame>) -> io::Result<()> {
            Ok(())
        }

        fn check(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }

        fn finish(&mut self, _until: Instant) -> io::Result<()> {
            Ok(())
        }
    }
    let run = |kind| {
        let mut source = ScriptSource::new(frames(&[3; 9]));
        let mut sink = Breaks(kind);
        let mut pipeline = Pipeline::new(&mut source, &ByWidth, &mut sink, plan(""));
        let result = pipeline.run(&StopFlag::default());
        (result, source.script.len())
    };
    assert!(matches!(run(io::ErrorKind::BrokenPipe), (Ok(_), 8)));
    assert!(matches!(run(io::ErrorKind::StorageFull), (Err(Error::Output { .. }), 8)));
}

#[test]
fn errors_end_the_run_after_everybody_was_reported_gone() {
    let mut script = frames(&[1, 1]);
    script.push(Err(Error::Source("no more".into())));
    let (result, events) = run(script, 10, &StopFlag::default());
    assert_eq!(result.unwrap_err().to_string(), "no more");
    assert_eq!(kinds(&events), [EventKind::Start, EventKind::End]);
    let (result, _) = run(frames(&[9]), 10, &StopFlag::default());
    assert!(matches!(result, Err(Error::Inference(_))));
}

/// Sees somebody, and is told to stop at its third look, which it may cut short.
struct StopsAtThird {
    stop: StopFlag,
    seen: Cell<u32>,
    cuts_short: bool,
}

impl Observe for StopsAtThird {
    fn observe(&self, _rgb: &RgbImage, _reduction: u32) -> Result<Vec<Observation>> {
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() == 3 {
            self.stop.set();
            if self.cuts_short {
                return Err(Error::Stopped);
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
        let mut source = ScriptSource::new(frames(&[1; 9]));
        let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
        let mut pipeline = Pipeline::new(&mut source, &observer, &mut sink, plan(""));
        assert!(pipeline.run(&stop).is_ok());
        assert_eq!(observer.seen.get(), 3);
        assert_eq!(kinds(&sink.events), [EventKind::Start, EventKind::End]);
    }
}

#[test]
fn the_supervisor_hears_of_frames_and_of_the_search_for_a_source_and_not_of_waiting() {
    let (supervisor, told) = crate::system::supervisor::tests::supervisor(Duration::ZERO);
    let mut script = vec![Ok(Received::Nothing)];
    script.extend(frames(&[3]));
    script.extend([Ok(Received::Nothing), Ok(Received::Lost("unplugged".into()))]);
    script.extend([Ok(Received::Nothing), Ok(Received::Restored), Ok(Received::Nothing)]);
    let mut source = ScriptSource::new(script);
    let mut sink = Kept { events: Vec::new(), room: 10, finished: 0 };
    Pipeline::new(&mut source, &ByWidth, &mut sink, plan("print"))
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
        fn observe(&self, _rgb: &RgbImage, _reduction: u32) -> Result<Vec<Observation>> {
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
    let looks_of = |script: Vec<Result<Received>>| {
        let looks = Looks(Cell::new(0));
        let mut source = ScriptSource::new(script);
        let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
        let pace = Pace::Live(Rates { look: 1000.0, follow: 1000.0 });
        let plan = Plan { pace, ..plan("print") };
        Pipeline::new(&mut source, &looks, &mut sink, plan).run(&StopFlag::default()).unwrap();
        looks.0.get()
    };
    let start = Instant::now();
    let frame = |second| {
        let rgb = RgbImage::new(16, 16);
        let captured_at = start + Duration::from_secs(second);
        Ok(Received::Frame(Frame { sequence: second, captured_at, rgb, reduction: 1 }))
    };
    assert_eq!(looks_of(vec![frame(0), frame(3), frame(4)]), 1);
    let lost = Ok(Received::Lost("unplugged".into()));
    assert_eq!(looks_of(vec![frame(0), frame(3), lost, Ok(Received::Restored), frame(4)]), 2);
}

#[test]
fn boxes_are_in_pixels_of_the_source_whatever_frame_comes_last() {
    let mut script = frames(&[1, 1, 3, 3]);
    for received in &mut script[..2] {
        if let Ok(Received::Frame(frame)) = received {
            frame.reduction = 4;
        }
    }
    let mut source = ScriptSource::new(script);
    let mut sink = Kept { events: Vec::new(), room: 9, finished: 0 };
    Pipeline::new(&mut source, &ByWidth, &mut sink, plan("print"))
        .run(&StopFlag::default())
        .unwrap();
    let boxes: Vec<_> = sink.events.iter().map(|event| event.bounds).collect();
    assert_eq!(kinds(&sink.events), [EventKind::Start, EventKind::End]);
    let expected = whole_pixels(&observation(0.95).face.bounds.scaled(4.0));
    assert_eq!(boxes, [Some(expected); 2]);
}
