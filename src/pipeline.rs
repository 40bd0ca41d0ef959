//! Wires the stages: source, recognition, presence, sink. One frame at a time, the newest.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::config;
use crate::error::{Error, Result};
use crate::event::{Event, EventKind, Guess, whole_pixels};
use crate::frame::Frame;
use crate::observe::{Observation, Observe};
use crate::service::StopFlag;
use crate::sink::EventSink;
use crate::source::{FrameSource, Received};
use crate::timing::Timing;
use crate::track::{Change, Presence, Rules, Sighting};

/// How long to wait for a frame before signals and absences are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Times of the stages of one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// Detection, alignment and recognition of everybody in a frame.
    pub observe: Timing,
    /// Deciding who came and went, and writing it out.
    pub report: Timing,
    /// From the arrival of a frame to the end of the work on it.
    pub latency: Timing,
}

/// The stages of a run.
pub struct Pipeline<'a> {
    source: &'a mut dyn FrameSource,
    observer: &'a dyn Observe,
    sink: &'a mut dyn EventSink,
    presence: Presence,
    model: String,
    times: StageTimes,
}

/// What a sink had to say when it took an event.
enum Reader {
    Listens,
    Gone,
}

impl<'a> Pipeline<'a> {
    /// Joins the stages; `model` names the recognition model in events.
    pub fn new(
        source: &'a mut dyn FrameSource,
        observer: &'a dyn Observe,
        sink: &'a mut dyn EventSink,
        rules: Rules,
        model: String,
    ) -> Self {
        Self {
            source,
            observer,
            sink,
            presence: Presence::new(rules),
            model,
            times: StageTimes::default(),
        }
    }

    /// Works on frames until the source ends, `stop` is set, or nobody reads the events any more.
    /// Everybody who is there then is reported as gone.
    ///
    /// # Errors
    /// Those of the source, of recognition, and [`Error::Output`] of the sink.
    pub fn run(&mut self, stop: &StopFlag) -> Result<StageTimes> {
        let worked = self.work(stop);
        let changes = self.presence.finish();
        let reported = self.report(changes, None);
        let told = self.sink.finish(Instant::now() + config::LAST_EVENTS_WITHIN);
        let told = heard(told);
        self.log_summary();
        worked.and(reported).and(told).map(|_| self.times)
    }

    fn work(&mut self, stop: &StopFlag) -> Result<Reader> {
        while !stop.is_set() {
            let reader = match self.source.next(PATIENCE)? {
                Received::Frame(frame) => self.frame(&frame)?,
                Received::Nothing => {
                    let changes = self.presence.pass(Instant::now());
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

    fn frame(&mut self, frame: &Frame) -> Result<Reader> {
        let started = Instant::now();
        let observations = self.observer.observe(&frame.rgb)?;
        self.times.observe.add(started.elapsed());
        log_strangers(frame, &observations);
        let sightings = observations
            .into_iter()
            .filter_map(|observation| Sighting::of(observation, frame.sequence))
            .collect();
        let reporting = Instant::now();
        let changes = self.presence.frame(reporting, sightings);
        let reader = self.report(changes, Some(frame))?;
        self.times.report.add(reporting.elapsed());
        self.times.latency.add(frame.captured_at.elapsed());
        Ok(reader)
    }

    fn report(&mut self, changes: Vec<Change>, frame: Option<&Frame>) -> Result<Reader> {
        let mut reader = Reader::Listens;
        for change in changes {
            let (kind, stay, sighting) = match change {
                Change::Start(stay, sighting) => (EventKind::Start, stay, sighting),
                Change::End(stay, sighting) => (EventKind::End, stay, sighting),
            };
            let frame = frame.filter(|_| kind != EventKind::End);
            let latency = frame.map(|frame| frame.captured_at.elapsed());
            let event = Event {
                track: Some(stay),
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

fn log_strangers(frame: &Frame, observations: &[Observation]) {
    for observation in observations {
        if let Err(reason) = observation.identity.name {
            log::debug!(
                "frame {}: unknown face at {:?}: {reason:?}, nearest {}",
                frame.sequence,
                whole_pixels(&observation.face.bounds),
                observation.identity.best().map_or("nobody", |best| &best.label.name)
            );
        }
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
