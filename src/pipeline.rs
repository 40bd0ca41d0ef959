//! Joins the stages of a run: source, work on each frame, events, sink. One frame at a time, the
//! newest.

use std::time::{Duration, Instant};

use crate::defaults;
use crate::event::EventKind;
use crate::models;
use crate::observe::Observe;
use crate::shown;
use crate::sink::{self, EventSink};
use crate::source::{self, FrameSource, Received};
use crate::system::service::StatusRequest;
use crate::system::stop::StopFlag;
use crate::system::supervisor::Supervisor;
use crate::track::{Change, VisitRules};
use crate::types::frame::Frame;
use cadence::Rates;
use changes::Moment;
use film::FilmTime;
use look::{LiveSchedule, Look, Schedule};
use status::Tally;

pub mod cadence;
mod changes;
mod clock;
mod film;
mod follow;
mod look;
mod motion;
mod status;

pub use clock::{Clock, SystemClock};
pub use status::StageTimes;

/// How long to wait for a frame before signals and absences are looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

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
    pub rules: VisitRules,
    /// Which frames to look at, and whose time counts.
    pub pace: Pace,
    /// Name of the recognition model in events.
    pub model: String,
}

/// Why a run ends before its source does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source gives no more pictures.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A look at a frame failed.
    #[error(transparent)]
    Look(#[from] models::Error),
    /// A sink can tell no more events.
    #[error(transparent)]
    Sink(#[from] sink::Error),
}

/// Result with the pipeline's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether anybody still listens to the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Listens,
    Gone,
}

/// The stages of a run.
pub struct Pipeline<'a> {
    source: &'a mut dyn FrameSource,
    sink: &'a mut dyn EventSink,
    clock: &'a dyn Clock,
    supervisor: Supervisor,
    asked: StatusRequest,
    look: Look<'a>,
    model: String,
    started: Instant,
    tally: Tally,
}

impl<'a> Pipeline<'a> {
    /// Joins the stages.
    pub fn new(
        source: &'a mut dyn FrameSource,
        observer: &'a dyn Observe,
        sink: &'a mut dyn EventSink,
        clock: &'a dyn Clock,
        plan: Plan,
    ) -> Self {
        let started = clock.now();
        let schedule = match plan.pace {
            Pace::Live(rates) => Schedule::Live(LiveSchedule::new(rates)),
            Pace::Pictures(rate) => Schedule::Film(FilmTime::new(rate, started, None)),
            Pace::Film(rate) => Schedule::Film(FilmTime::new(rate, started, Some(clock.wall()))),
        };
        Self {
            source,
            sink,
            clock,
            supervisor: Supervisor::nobody(),
            asked: StatusRequest::default(),
            look: Look::new(observer, clock, plan.rules, schedule),
            model: plan.model,
            started,
            tally: Tally::default(),
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
        Self { asked: status, ..self }
    }

    /// Works on frames until the source ends, `stop` is set, or nobody reads standard output any
    /// more. Everybody who is there then is reported as gone. Gives the times of the stages.
    ///
    /// # Errors
    /// Those of the source, of looking at a frame, and of a sink.
    pub fn run(&mut self, stop: &StopFlag) -> Result<StageTimes> {
        self.supervisor.ready();
        let doing = if self.source.is_looking() { "looking for" } else { "watching" };
        self.supervisor.status(&format!("{doing} {}", self.source.name()));
        let worked = self.work(stop);
        self.supervisor.stopping();
        let changes = self.look.finish();
        let reported = self.report(changes, None);
        let told = heard(self.sink.finish(self.clock.now() + defaults::LAST_EVENTS_WITHIN));
        self.tally.log_summary(self.age(self.started), &self.source.counters(), &self.look.times());
        worked.and(reported).and(told).map(|_| self.tally.times)
    }

    fn work(&mut self, stop: &StopFlag) -> Result<Audience> {
        while !stop.is_set() {
            self.clock.sleep(self.look.wait().min(PATIENCE));
            let received = self.source.next(PATIENCE)?;
            self.tell_supervisor(&received);
            if self.asked.take() {
                let (counters, observe) = (self.source.counters(), self.look.times());
                log::info!("{}", self.tally.line(self.age(self.started), &counters, &observe));
            }
            let audience = match received {
                Received::Frame(frame) => {
                    let worked = self.frame(&frame);
                    self.source.done_with(frame);
                    match worked {
                        // The signal to stop has cut the look at the frame short.
                        Err(Error::Look(models::Error::Stopped)) => break,
                        worked => worked?,
                    }
                }
                Received::Nothing => {
                    let changes = self.look.pass();
                    self.report(changes, None)?
                }
                Received::Lost(_) => {
                    self.look.forget_room();
                    self.emit(EventKind::CameraLost)?
                }
                Received::Restored => self.emit(EventKind::CameraRestored)?,
                Received::End => break,
            };
            if audience == Audience::Gone || heard(self.sink.check())? == Audience::Gone {
                return Ok(Audience::Gone);
            }
        }
        Ok(Audience::Listens)
    }

    fn frame(&mut self, frame: &Frame) -> Result<Audience> {
        let worked = self.look.frame(frame, &mut self.tally);
        let Some(changes) = worked? else {
            return Ok(Audience::Listens);
        };
        let reporting = self.clock.now();
        let mut audience = self.report(changes, Some(frame))?;
        if self.sink.wants_scenes() {
            audience = audience.and(heard(self.sink.show(frame, &self.look.scene(frame)))?);
        }
        self.tally.times.report.add(self.age(reporting));
        self.tally.times.latency.add(self.age(frame.captured_at));
        Ok(audience)
    }

    fn report(&mut self, changes: Vec<Change>, frame: Option<&Frame>) -> Result<Audience> {
        let mut audience = Audience::Listens;
        for change in changes {
            let frame = frame.filter(|_| changes::is_seen(&change));
            let latency = frame.map(|frame| self.age(frame.captured_at));
            let event = self.moment().event_of(change, latency, &self.model);
            audience = audience.and(heard(self.sink.emit(&event, frame))?);
        }
        Ok(audience)
    }

    fn emit(&mut self, kind: EventKind) -> Result<Audience> {
        heard(self.sink.emit(&self.moment().event(kind), None))
    }

    fn moment(&self) -> Moment {
        let film = self.look.film().and_then(FilmTime::of_events);
        let camera = shown::masked(self.source.name());
        match film {
            Some((time, wall)) => Moment { wall, film_time: Some(time), camera },
            None => Moment { wall: self.clock.wall(), film_time: None, camera },
        }
    }

    /// Time since `then`.
    fn age(&self, then: Instant) -> Duration {
        self.clock.now().saturating_duration_since(then)
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
            Received::Frame(_) if self.tally.times.latency.count() == 0 => self.say_watching(),
            Received::Frame(_) | Received::Nothing | Received::End => {}
        }
        if matches!(received, Received::Frame(_)) || self.source.is_looking() {
            self.supervisor.alive(self.clock.now());
        }
    }

    fn say_watching(&mut self) {
        self.supervisor.status(&format!("watching {}", self.source.name()));
    }
}

impl Audience {
    /// Gone where either is.
    fn and(self, other: Self) -> Self {
        if self == Self::Gone { self } else { other }
    }
}

/// What an answer of the sink means for the run.
fn heard(answer: sink::Result<()>) -> Result<Audience> {
    match answer {
        Ok(()) => Ok(Audience::Listens),
        Err(sink::Error::ReaderGone) => {
            log::info!("nobody reads the events any more");
            Ok(Audience::Gone)
        }
        Err(error) => Err(Error::Sink(error)),
    }
}

#[cfg(test)]
mod tests;
