//! Wires the stages: source, recognition, presence, sink. One frame at a time, the newest.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::cadence::{Cadence, Work};
use crate::config;
use crate::error::{Error, Result};
use crate::event::{Event, EventKind, Guess, whole_pixels};
use crate::follow::Small;
use crate::frame::Frame;
use crate::observe::Observe;
use crate::service::{StopFlag, Supervisor};
use crate::sink::EventSink;
use crate::source::{FrameSource, Received};
use crate::timing::Timing;
use crate::track::{Change, Rules, Tracker};

/// How long to wait for a frame before signals and absences are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Times of the stages of one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// Detection, alignment and recognition of everybody in a frame.
    pub observe: Timing,
    /// Following faces through a frame without looking for them.
    pub follow: Timing,
    /// Deciding who came and went, and writing it out.
    pub report: Timing,
    /// From the arrival of a frame to the end of the work on it.
    pub latency: Timing,
}

/// How a run goes about its work.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When somebody has come and gone.
    pub rules: Rules,
    /// Frames a second to hold by looking for faces in some frames only; `None` to look in all.
    pub rate: Option<f32>,
    /// Name of the recognition model in events.
    pub model: String,
}

/// The stages of a run.
pub struct Pipeline<'a> {
    source: &'a mut dyn FrameSource,
    observer: &'a dyn Observe,
    sink: &'a mut dyn EventSink,
    supervisor: Supervisor,
    tracker: Tracker,
    cadence: Option<Cadence>,
    /// The last frame, by which faces are followed through the next.
    last: Option<Small>,
    model: String,
    times: StageTimes,
}

/// What a sink had to say when it took an event.
enum Reader {
    Listens,
    Gone,
}

impl<'a> Pipeline<'a> {
    /// Joins the stages.
    pub fn new(
        source: &'a mut dyn FrameSource,
        observer: &'a dyn Observe,
        sink: &'a mut dyn EventSink,
        plan: Plan,
    ) -> Self {
        Self {
            source,
            observer,
            sink,
            supervisor: Supervisor::nobody(),
            tracker: Tracker::new(plan.rules),
            cadence: plan.rate.map(Cadence::new),
            last: None,
            model: plan.model,
            times: StageTimes::default(),
        }
    }

    /// Tells `supervisor` that work goes on.
    #[must_use]
    pub fn supervised(self, supervisor: Supervisor) -> Self {
        Self { supervisor, ..self }
    }

    /// Works on frames until the source ends, `stop` is set, or nobody reads the events any more.
    /// Everybody who is there then is reported as gone.
    ///
    /// # Errors
    /// Those of the source, of recognition, and [`Error::Output`] of the sink.
    pub fn run(&mut self, stop: &StopFlag) -> Result<StageTimes> {
        self.supervisor.ready();
        let doing = if self.source.is_looking() { "looking for" } else { "watching" };
        self.supervisor.status(&format!("{doing} {}", self.source.name()));
        let worked = self.work(stop);
        self.supervisor.stopping();
        let changes = self.tracker.finish();
        let reported = self.report(changes, None);
        let told = self.sink.finish(Instant::now() + config::LAST_EVENTS_WITHIN);
        let told = heard(told);
        self.log_summary();
        worked.and(reported).and(told).map(|_| self.times)
    }

    fn work(&mut self, stop: &StopFlag) -> Result<Reader> {
        while !stop.is_set() {
            let received = self.source.next(PATIENCE)?;
            self.tell_supervisor(&received);
            let reader = match received {
                Received::Frame(frame) => self.frame(&frame)?,
                Received::Nothing => {
                    let changes = self.tracker.pass(Instant::now());
                    self.report(changes, None)?
                }
                Received::Lost(_) => self.emit(EventKind::CameraLost)?,
                Received::Restored => self.emit(EventKind::CameraRestored)?,
                Received::End => break,
            };
            if let Reader::Gone = reader {
                return Ok(Reader::Gone);
            }
            if let Reader::Gone = heard(self.sink.check())? {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::Listens)
    }

    /// A frame is progress, and so is the search for a source that is lost; waiting for the frame of
    /// an open source is none.
    fn tell_supervisor(&mut self, received: &Received) {
        match received {
            Received::Lost(reason) => {
                let name = self.source.name();
                self.supervisor.status(&format!("looking for {name}: {reason}"));
            }
            Received::Restored => {
                self.supervisor.status(&format!("watching {}", self.source.name()));
            }
            Received::Frame(_) | Received::Nothing | Received::End => {}
        }
        if matches!(received, Received::Frame(_)) || self.source.is_looking() {
            self.supervisor.alive(Instant::now());
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<Reader> {
        if frame.captured_at.elapsed() > config::LARGEST_FRAME_AGE {
            return Ok(Reader::Listens);
        }
        let started = Instant::now();
        let work = self.cadence.as_mut().map_or(Work::Full, Cadence::next_work);
        let changes = match work {
            Work::Full => self.look(frame)?,
            Work::Light => self.follow(frame),
        };
        if let Some(cadence) = &mut self.cadence {
            // Only a rate that has to be held needs the last frame.
            self.last = Some(Small::new(&frame.rgb));
            cadence.took(work, started.elapsed());
        }
        let reporting = Instant::now();
        let reader = self.report(changes, Some(frame))?;
        self.times.report.add(reporting.elapsed());
        self.times.latency.add(frame.captured_at.elapsed());
        Ok(reader)
    }

    fn look(&mut self, frame: &Frame) -> Result<Vec<Change>> {
        let started = Instant::now();
        let observations = self.observer.observe(&frame.rgb)?;
        self.times.observe.add(started.elapsed());
        let judge = self.observer.judge();
        Ok(self.tracker.frame(frame.captured_at, frame.sequence, observations, judge))
    }

    fn follow(&mut self, frame: &Frame) -> Vec<Change> {
        let started = Instant::now();
        let (last, now) = (self.last.as_ref(), Small::new(&frame.rgb));
        let find = |bounds: &_| last.and_then(|last| last.find_in(&now, bounds));
        let changes = self.tracker.follow(frame.captured_at, find);
        self.times.follow.add(started.elapsed());
        changes
    }

    fn report(&mut self, changes: Vec<Change>, frame: Option<&Frame>) -> Result<Reader> {
        let mut reader = Reader::Listens;
        for change in changes {
            let (kind, visit, sighting) = match change {
                Change::Start(visit, sighting) => (EventKind::Start, visit, sighting),
                Change::Update(visit, _, sighting) => (EventKind::Update, visit, sighting),
                Change::End(visit, sighting) => (EventKind::End, visit, sighting),
            };
            let frame = frame.filter(|_| kind != EventKind::End);
            let latency = frame.map(|frame| frame.captured_at.elapsed());
            let event = Event {
                track: Some(visit),
                name: Some(sighting.label.name),
                id: Some(sighting.label.id),
                confidence: Some(sighting.confidence),
                margin: Some(sighting.margin),
                top: Some(sighting.top.iter().map(Guess::from).collect()),
                bounds: Some(whole_pixels(&sighting.bounds)),
                frame: Some(sighting.frame),
                latency_ms: latency.map(|latency| (latency.as_secs_f64() * 1e4).round() / 10.0),
                model: Some(self.model.clone()),
                ..self.event(kind)
            };
            if let Reader::Gone = heard(self.sink.emit(&event, frame))? {
                reader = Reader::Gone;
            }
        }
        Ok(reader)
    }

    fn emit(&mut self, kind: EventKind) -> Result<Reader> {
        let event = self.event(kind);
        heard(self.sink.emit(&event, None))
    }

    fn event(&self, kind: EventKind) -> Event {
        Event {
            camera: Some(self.source.name().to_string()),
            ..Event::new(kind, SystemTime::now())
        }
    }

    fn log_summary(&self) {
        let counters = self.source.counters();
        log::info!(
            "{} frames, {} dropped, {} corrupt, reopened {} times",
            counters.delivered,
            counters.dropped,
            counters.corrupt,
            counters.reopened
        );
        let observe = self.observer.times();
        let stages = [
            ("decode", counters.decode),
            ("detect", observe.detect),
            ("align", observe.align),
            ("recognize", observe.recognize),
            ("follow", self.times.follow),
            ("report", self.times.report),
            ("latency", self.times.latency),
        ];
        for (stage, timing) in stages {
            log::info!("{stage}: {timing}");
        }
    }
}

/// What an answer of the sink means for the run.
fn heard(answer: io::Result<()>) -> Result<Reader> {
    match answer {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            log::info!("nobody reads the events any more");
            Ok(Reader::Gone)
        }
        Err(source) => Err(Error::Output { path: PathBuf::from("standard output"), source }),
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
