//! Wires the stages: source, recognition, presence, sink. One frame at a time, the newest.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::defaults;
use crate::error::{Error, Result};
use crate::event::{Event, EventKind, Guess, whole_pixels};
use crate::models;
use crate::observe::Observe;
use crate::pipeline::cadence::{Cadence, Rates, Work};
use crate::pipeline::film::FilmClock;
use crate::pipeline::follow::Small;
use crate::pipeline::motion::Motion;
use crate::shown;
use crate::sink::EventSink;
use crate::source::{FrameSource, Received};
use crate::system::process;
use crate::system::service::StatusRequest;
use crate::system::stop::StopFlag;
use crate::system::supervisor::Supervisor;
use crate::system::timing::Timing;
use crate::track::{Change, Rules, Tracker};
use crate::types::frame::Frame;
use crate::types::observation::Observation;

pub mod cadence;
pub mod film;
pub mod follow;
pub mod motion;

/// How long to wait for a frame before signals and absences are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

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

/// Which frames to look at, and whose time counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Those of a live source, so often, by the time of this machine.
    Live(Rates),
    /// Every one of pictures. Who comes and goes is settled by their numbers, at so many a second.
    Pictures(f32),
    /// Every one of a film of so many frames a second, whose time events carry.
    Film(f32),
}

/// How a run goes about its work.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When somebody has come and gone.
    pub rules: Rules,
    /// Which frames to look at, and whose time counts.
    pub pace: Pace,
    /// Name of the recognition model in events.
    pub model: String,
}

/// The stages of a run.
pub struct Pipeline<'a> {
    source: &'a mut dyn FrameSource,
    observer: &'a dyn Observe,
    sink: &'a mut dyn EventSink,
    supervisor: Supervisor,
    status: StatusRequest,
    started: Instant,
    seen: Seen,
    tracker: Tracker,
    live: Option<Live>,
    clock: Option<FilmClock>,
    /// When the film began, where events carry its time.
    film_started: Option<SystemTime>,
    model: String,
    times: StageTimes,
}

/// Faces so far, each counted in every frame in which it was looked at.
#[derive(Debug, Default)]
struct Seen {
    faces: u64,
    recognized: u64,
}

/// What is needed to leave out work on frames that nobody would miss.
struct Live {
    cadence: Cadence,
    motion: Motion,
    /// The last frame, by which faces are followed through the next.
    last: Option<Small>,
}

impl Live {
    fn new(rates: Rates) -> Self {
        Self { cadence: Cadence::new(rates), motion: Motion::default(), last: None }
    }
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
        let (live, clock) = match plan.pace {
            Pace::Live(rates) => (Some(Live::new(rates)), None),
            Pace::Pictures(rate) | Pace::Film(rate) => (None, Some(FilmClock::new(rate))),
        };
        let film_started = matches!(plan.pace, Pace::Film(_)).then(SystemTime::now);
        Self {
            source,
            observer,
            sink,
            supervisor: Supervisor::nobody(),
            status: StatusRequest::default(),
            started: Instant::now(),
            seen: Seen::default(),
            tracker: Tracker::new(plan.rules),
            live,
            clock,
            film_started,
            model: plan.model,
            times: StageTimes::default(),
        }
    }

    /// Tells `supervisor` that work goes on.
    #[must_use]
    pub fn supervised(self, supervisor: Supervisor) -> Self {
        Self { supervisor, ..self }
    }

    /// Logs a line on how things are whenever `status` is asked.
    #[must_use]
    pub fn answering(self, status: StatusRequest) -> Self {
        Self { status, ..self }
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
        let told = self.sink.finish(Instant::now() + defaults::LAST_EVENTS_WITHIN);
        let told = heard(told);
        self.log_summary();
        worked.and(reported).and(told).map(|_| self.times)
    }

    fn work(&mut self, stop: &StopFlag) -> Result<Reader> {
        while !stop.is_set() {
            self.wait_until_due();
            let received = self.source.next(PATIENCE)?;
            self.tell_supervisor(&received);
            if self.status.take() {
                log::info!("{}", self.status_line());
            }
            let reader = match received {
                Received::Frame(frame) => {
                    let worked = self.frame(&frame);
                    self.source.done_with(frame);
                    match worked {
                        // The signal to stop has cut the look at the frame short.
                        Err(Error::Model(models::Error::Stopped)) => break,
                        worked => worked?,
                    }
                }
                // Between the frames of a film no time passes.
                Received::Nothing if self.clock.is_some() => Reader::Listens,
                Received::Nothing => {
                    let changes = self.tracker.pass(Instant::now());
                    self.report(changes, None)?
                }
                Received::Lost(_) => {
                    self.forget_room();
                    self.emit(EventKind::CameraLost)?
                }
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

    /// Of the frames that come before the next is due, the source keeps the newest.
    fn wait_until_due(&self) {
        if let Some(live) = &self.live {
            let wait = live.cadence.wait(Instant::now());
            std::thread::sleep(wait.min(PATIENCE));
        }
    }

    /// What a source shows when it is back is looked at, even if it is what it showed before.
    fn forget_room(&mut self) {
        if let Some(live) = &mut self.live {
            live.motion = Motion::default();
            live.last = None;
        }
    }

    /// A frame is progress, and so is the search for a source that is lost; waiting for the frame of
    /// an open source is none.
    fn tell_supervisor(&mut self, received: &Received) {
        match received {
            Received::Lost(reason) => {
                let name = self.source.name();
                self.supervisor.status(&format!("looking for {name}: {reason}"));
            }
            Received::Restored => self.say_watching(),
            // A camera may have been opened, and so got its name, after the start.
            Received::Frame(_) if self.times.latency.count() == 0 => self.say_watching(),
            Received::Frame(_) | Received::Nothing | Received::End => {}
        }
        if matches!(received, Received::Frame(_)) || self.source.is_looking() {
            self.supervisor.alive(Instant::now());
        }
    }

    fn say_watching(&mut self) {
        self.supervisor.status(&format!("watching {}", self.source.name()));
    }

    fn frame(&mut self, frame: &Frame) -> Result<Reader> {
        let changes = match self.live.take() {
            Some(mut live) => {
                let is_old = frame.captured_at.elapsed() > defaults::LARGEST_FRAME_AGE;
                let changes =
                    if is_old { Ok(None) } else { self.live_frame(frame, &mut live).map(Some) };
                self.live = Some(live);
                let Some(changes) = changes? else { return Ok(Reader::Listens) };
                changes
            }
            None => self.look(frame)?,
        };
        let reporting = Instant::now();
        let reader = self.report(changes, Some(frame))?;
        self.times.report.add(reporting.elapsed());
        self.times.latency.add(frame.captured_at.elapsed());
        Ok(reader)
    }

    fn live_frame(&mut self, frame: &Frame, live: &mut Live) -> Result<Vec<Change>> {
        let started = Instant::now();
        let small = Small::new(&frame.rgb);
        let is_still = live.motion.is_still(&small, frame.captured_at);
        let last = live.last.replace(small);
        let is_somebody_there = self.tracker.is_somebody_there();
        live.cadence.took_frame(started, is_somebody_there);
        if is_still && !is_somebody_there {
            self.times.rest.add(started.elapsed());
            return Ok(self.tracker.pass(frame.captured_at));
        }
        let work = live.cadence.next_work(started, is_somebody_there);
        let changes = match work {
            Work::Full => {
                live.motion.looked(frame.captured_at);
                self.look(frame)?
            }
            Work::Light => self.follow(frame, last.as_ref(), live.last.as_ref()),
        };
        live.cadence.took(work, started.elapsed());
        Ok(changes)
    }

    fn look(&mut self, frame: &Frame) -> Result<Vec<Change>> {
        let started = Instant::now();
        let observations = self.observer.observe(&frame.rgb, frame.reduction)?;
        self.times.observe.add(started.elapsed());
        self.seen.faces += observations.len() as u64;
        let is_recognized = |seen: &&Observation| seen.identity.name.is_ok();
        self.seen.recognized += observations.iter().filter(is_recognized).count() as u64;
        let judge = self.observer.judge();
        let clock = self.clock.as_mut();
        let now = clock.map_or(frame.captured_at, |clock| clock.show(frame.sequence));
        Ok(self.tracker.frame(now, frame.sequence, frame.reduction, observations, judge))
    }

    fn follow(&mut self, frame: &Frame, last: Option<&Small>, now: Option<&Small>) -> Vec<Change> {
        let started = Instant::now();
        let find = |bounds: &_| last.zip(now).and_then(|(last, now)| last.find_in(now, bounds));
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
                name: sighting.label().map(|label| label.name.clone()),
                id: sighting.label().map(|label| label.id.clone()),
                confidence: sighting.label().and(Some(sighting.confidence)),
                margin: Some(sighting.margin),
                reason: sighting.name.as_ref().err().copied(),
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
        let film = self.film_started.zip(self.clock.as_ref().map(FilmClock::now));
        let now = film.and_then(|(started, time)| started.checked_add(time));
        Event {
            camera: Some(shown::masked(self.source.name())),
            film_time: film.map(|(_, time)| time),
            ..Event::new(kind, now.unwrap_or_else(SystemTime::now))
        }
    }

    fn log_summary(&self) {
        log::info!("{}", self.status_line());
        for (stage, timing) in self.stages().iter().filter(|(_, timing)| timing.count() > 0) {
            log::info!("{stage}: {timing}");
        }
    }

    fn stages(&self) -> [(&'static str, Timing); 8] {
        let observe = self.observer.times();
        [
            ("decode", self.source.counters().decode),
            ("detect", observe.detect),
            ("align", observe.align),
            ("recognize", observe.recognize),
            ("follow", self.times.follow),
            ("rest", self.times.rest),
            ("report", self.times.report),
            ("latency", self.times.latency),
        ]
    }

    /// How things are, in one line.
    fn status_line(&self) -> String {
        let counters = self.source.counters();
        let mut line = format!(
            "up {}, {} frames, {} dropped, {} corrupt, {} faces, {} recognized, reopened {} times",
            uptime(self.started.elapsed()),
            counters.delivered,
            counters.dropped,
            counters.corrupt,
            self.seen.faces,
            self.seen.recognized,
            counters.reopened
        );
        line += "; p50/p95 ms:";
        for (stage, timing) in self.stages() {
            let (half, most) = (timing.quantile_ms(0.5), timing.quantile_ms(0.95));
            line += &format!(" {stage} {half:.1}/{most:.1}");
        }
        if let Some(bytes) = process::memory_bytes("VmRSS") {
            line += &format!("; memory {:.1} MB", bytes as f64 / 1e6);
        }
        line
    }
}

/// `3 d 04:05:06`
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let [days, hours, minutes] = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60];
    format!("{days} d {hours:02}:{minutes:02}:{:02}", seconds % 60)
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
mod tests;
