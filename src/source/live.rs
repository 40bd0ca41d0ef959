//! A source that is alive: it can stall, break and come back.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::handover::{Giver, Handover, Keep, Taken};
use super::raw::RawFrame;
use super::spare::Spare;
use super::{Counters, Error, Failure, FrameSource, Loss, Received, Result};
use crate::system::throttle::Throttle;
use crate::types::frame::Frame;

/// A link that lasted this long was a good one: the next break is waited out from the start.
const STEADY: Duration = Duration::from_secs(10);

/// How a link came to its end.
#[derive(Debug)]
pub struct Ending {
    /// What happened.
    pub loss: Loss,
    /// The stream was complete.
    pub complete: bool,
}

/// An open connection; dropping it closes it.
pub trait Link {
    /// Finds out how it ended, of which its thread knows `loss`.
    fn ending(&mut self, loss: Loss) -> Ending;
}

/// Something that a link can be opened to, again and again.
pub trait Feed {
    /// The open connection.
    type Link: Link;

    /// Opens a link whose frames go to `giver`; those converted there use `spare`. Must not block.
    fn connect(&mut self, giver: Giver<RawFrame>, spare: &Spare) -> Result<Self::Link>;

    /// Name for people.
    fn name(&self) -> &str;

    /// Whether a driver has not returned from a call for an earlier link.
    fn is_stuck(&self) -> bool {
        false
    }

    /// The error for a feed that never gave a frame.
    fn failure(&self, failure: Failure) -> Error;

    /// How to deal with it.
    fn manner(&self) -> Manner;
}

/// How a live source deals with its feed.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Longest time to the first frame of a link, `None` for ever.
    pub opening_deadline: Option<Duration>,
    /// Longest time from one frame to the next, `None` for ever.
    pub frame_deadline: Option<Duration>,
    /// Whether to open a link again that has ended, and how soon.
    pub reopen: Option<Backoff>,
    /// Whether to wait for a feed that has never given a frame, too.
    pub patient: bool,
    /// Which frames to keep.
    pub keep: Keep,
}

/// The link, or when to open it again.
enum Connection<L> {
    Open { link: L, since: Instant },
    Closed { retry_at: Instant },
}

/// Watches over the link of a [`Feed`], decodes its frames and opens it again when it breaks.
pub struct LiveSource<F: Feed> {
    feed: F,
    manner: Manner,
    handover: Handover<RawFrame>,
    spare: Spare,
    connection: Connection<F::Link>,
    /// Whether the link has given a frame.
    opened: bool,
    /// Time that was spent waiting since the last frame; work on frames is no stall.
    waited: Duration,
    /// Whether any link has given a frame.
    worked: bool,
    lost: bool,
    /// The first frame after a loss: that the source is back is said before.
    waiting: Option<Frame>,
    counters: Counters,
    /// Pictures that broke off within the stream, as far as they were told.
    told_broken: u64,
    logs: Logs,
}

/// What is told of a source that breaks or gives broken frames again and again.
#[derive(Debug, Default)]
struct Logs {
    losses: Throttle,
    corrupt: Throttle,
    /// The last loss was told, so its end is too.
    is_loss_told: bool,
}

impl Logs {
    fn lost(&mut self, text: &str) {
        self.is_loss_told = self.losses.warn(text);
    }

    fn restored(&self, text: &str) {
        let level = if self.is_loss_told { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "{text}");
    }
}

impl<F: Feed> LiveSource<F> {
    /// Opens the first link.
    ///
    /// # Errors
    /// When the feed cannot be connected and is not to be waited for.
    pub fn open(mut feed: F) -> Result<Self> {
        let manner = feed.manner();
        let handover = Handover::new(manner.keep);
        let spare = Spare::default();
        let now = Instant::now();
        let connection = match feed.connect(handover.giver(), &spare) {
            Ok(link) => Connection::Open { link, since: now },
            Err(_) if manner.patient => Connection::Closed { retry_at: now },
            Err(error) => return Err(error),
        };
        Ok(Self {
            feed,
            manner,
            handover,
            spare,
            connection,
            opened: false,
            waited: Duration::ZERO,
            worked: false,
            lost: false,
            waiting: None,
            counters: Counters::default(),
            told_broken: 0,
            logs: Logs::default(),
        })
    }

    fn reopen(&mut self) -> Result<Received> {
        match self.feed.connect(self.handover.giver(), &self.spare) {
            Ok(link) => {
                self.connection = Connection::Open { link, since: Instant::now() };
                self.opened = false;
                self.waited = Duration::ZERO;
                self.counters.reopened += 1;
                Ok(Received::Nothing)
            }
            Err(error) => self.broke(error.into()),
        }
    }

    fn decoded(&mut self, number: u64, raw: RawFrame) -> Received {
        let captured_at = raw.captured_at;
        let (rgb, took) = raw.decode(&self.spare);
        let (rgb, reduction) = match rgb {
            Ok(decoded) => decoded,
            Err(flaw) => {
                self.counters.corrupt += 1;
                let name = self.feed.name();
                self.logs.corrupt.warn(&format!("{name}: frame {number} left out: {flaw}"));
                return Received::Nothing;
            }
        };
        self.counters.decode.add(took);
        self.counters.delivered += 1;
        self.opened = true;
        self.waited = Duration::ZERO;
        let worked_before = std::mem::replace(&mut self.worked, true);
        let frame = Frame { sequence: number, captured_at, rgb, reduction };
        if std::mem::take(&mut self.lost) {
            let state = if worked_before { "is back" } else { "is there" };
            self.logs.restored(&format!("{} {state}", self.feed.name()));
            self.waiting = Some(frame);
            return Received::Restored;
        }
        Received::Frame(frame)
    }

    /// Tells of pictures that broke off within the stream.
    fn tell_broken(&mut self) {
        let broken = self.handover.broken();
        let text = match broken - self.told_broken {
            0 => return,
            1 => "a picture broke off and was left out".to_string(),
            count => format!("{count} pictures broke off and were left out"),
        };
        if self.logs.corrupt.warn(&format!("{}: {text}", self.feed.name())) {
            self.told_broken = broken;
        }
    }

    fn ended(&mut self, loss: Loss) -> Result<Received> {
        let ending = match &mut self.connection {
            Connection::Open { link, .. } => link.ending(loss),
            Connection::Closed { .. } => Ending { loss, complete: false },
        };
        let final_and_fine = self.manner.reopen.is_none() && ending.complete && self.worked;
        if final_and_fine {
            return Ok(Received::End);
        }
        self.broke(ending.loss)
    }

    fn broke(&mut self, loss: Loss) -> Result<Received> {
        self.handover.refuse_producer();
        let now = Instant::now();
        let steady =
            matches!(&self.connection, Connection::Open { since, .. } if now - *since >= STEADY);
        let goes_on = self.worked || self.manner.patient;
        let Some(backoff) = self.manner.reopen.as_mut().filter(|_| goes_on) else {
            let corrupt = self.counters().corrupt;
            return Err(self.feed.failure(Failure { loss, corrupt }));
        };
        if steady {
            backoff.reset();
        }
        let wait = backoff.wait();
        self.connection = Connection::Closed { retry_at: Instant::now() + wait };
        if std::mem::replace(&mut self.lost, true) {
            log::debug!("{}: {loss}; next try in {wait:?}", self.feed.name());
            return Ok(Received::Nothing);
        }
        let text = if self.worked {
            format!("{}: {loss}; trying again until it is back", self.feed.name())
        } else {
            format!("{}; trying again until it is there", self.feed.failure(loss.clone().into()))
        };
        self.logs.lost(&text);
        Ok(Received::Lost(loss.to_string()))
    }

    fn nothing_came(&mut self, since: Instant) -> Result<Received> {
        self.waited += since.elapsed();
        let deadline =
            if self.opened { self.manner.frame_deadline } else { self.manner.opening_deadline };
        match deadline {
            Some(deadline) if self.waited >= deadline => self.broke(Loss::Silence(deadline)),
            _ => Ok(Received::Nothing),
        }
    }
}

impl<F: Feed> FrameSource for LiveSource<F> {
    fn next(&mut self, timeout: Duration) -> Result<Received> {
        if let Some(frame) = self.waiting.take() {
            return Ok(Received::Frame(frame));
        }
        if let Connection::Closed { retry_at } = self.connection {
            let left = retry_at.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(timeout));
            if left > timeout {
                return Ok(Received::Nothing);
            }
            return self.reopen();
        }
        let since = Instant::now();
        let taken = self.handover.take(timeout);
        self.tell_broken();
        match taken {
            Taken::Item(number, raw) => match self.decoded(number, raw) {
                Received::Nothing => self.nothing_came(since),
                received => Ok(received),
            },
            Taken::Nothing => self.nothing_came(since),
            Taken::Ended(loss) => self.ended(loss),
        }
    }

    fn done_with(&mut self, frame: Frame) {
        self.spare.keep(frame.rgb);
    }

    fn name(&self) -> &str {
        self.feed.name()
    }

    fn is_looking(&self) -> bool {
        self.lost && !self.feed.is_stuck()
    }

    fn counters(&self) -> Counters {
        Counters {
            dropped: self.handover.dropped(),
            corrupt: self.counters.corrupt + self.handover.broken(),
            ..self.counters
        }
    }
}

#[cfg(test)]
mod tests;
