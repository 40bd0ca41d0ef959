//! Sinks that break, that nobody reads, and that want to see who is there.

use super::*;

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
