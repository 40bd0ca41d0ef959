//! A place for one item between a thread that produces and one that consumes.
//!
//! Either the newest item replaces the one that waits (live pictures: late is worthless), or the
//! producer waits until its item was taken (recordings: every frame counts).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What happens to an item that waits when another one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is dropped.
    Newest,
    /// The producer waits.
    Every,
}

/// What [`Handover::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// An item and its number, counted from 0 over everything that was given.
    Item(u64, T),
    /// Nothing came in time.
    Nothing,
    /// The producer has ended, for this reason.
    Ended(String),
}

#[derive(Debug)]
struct State<T> {
    generation: u64,
    item: Option<(u64, T)>,
    /// The consumer has asked for an item and has not got one yet.
    awaited: bool,
    given: u64,
    dropped: u64,
    broken: u64,
    ended: Option<String>,
}

#[derive(Debug)]
struct Shared<T> {
    keep: Keep,
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The consumer's end.
#[derive(Debug)]
pub struct Handover<T> {
    shared: Arc<Shared<T>>,
}

/// The producer's end. Dropping it ends the stream.
#[derive(Debug)]
pub struct Giver<T> {
    shared: Arc<Shared<T>>,
    generation: u64,
}

impl<T> Handover<T> {
    /// An empty place.
    pub fn new(keep: Keep) -> Self {
        let state = State {
            generation: 0,
            item: None,
            awaited: false,
            given: 0,
            dropped: 0,
            broken: 0,
            ended: None,
        };
        Self {
            shared: Arc::new(Shared { keep, state: Mutex::new(state), changed: Condvar::new() }),
        }
    }

    /// An end for a new producer. What an earlier one gives from now on is refused.
    pub fn giver(&self) -> Giver<T> {
        self.refuse_producer();
        let generation = self.shared.lock().generation;
        Giver { shared: Arc::clone(&self.shared), generation }
    }

    /// Refuses what the present producer gives from now on and forgets what it gave.
    pub fn refuse_producer(&self) {
        let mut state = self.shared.lock();
        state.generation += 1;
        state.dropped += u64::from(state.item.take().is_some());
        state.ended = None;
        self.shared.changed.notify_all();
    }

    /// Waits for an item, `timeout` at most. Items come before the end.
    pub fn take(&self, timeout: Duration) -> Taken<T> {
        let until = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            if let Some((number, item)) = state.item.take() {
                state.awaited = false;
                self.shared.changed.notify_all();
                return Taken::Item(number, item);
            }
            state.awaited = true;
            if let Some(reason) = &state.ended {
                return Taken::Ended(reason.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How many items were replaced or forgotten before they were taken.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// How many items the producers noted as broken.
    pub fn broken(&self) -> u64 {
        self.shared.lock().broken
    }
}

impl<T> Drop for Handover<T> {
    fn drop(&mut self) {
        self.refuse_producer();
    }
}

impl<T> Giver<T> {
    /// Gives an item; `false` when nobody wants any more of this producer.
    pub fn give(&self, item: T) -> bool {
        let mut state = self.shared.lock();
        while self.shared.keep == Keep::Every
            && state.item.is_some()
            && state.generation == self.generation
        {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.generation != self.generation {
            return false;
        }
        let number = state.given;
        state.given += 1;
        let replaced = state.item.replace((number, item));
        state.dropped += u64::from(replaced.is_some());
        self.shared.changed.notify_all();
        true
    }

    /// Gives what `make` makes if the consumer waits for an item, otherwise counts it as dropped;
    /// `false` when nobody wants any more of this producer.
    pub fn give_if_awaited(&self, make: impl FnOnce() -> T) -> bool {
        let mut state = self.shared.lock();
        if state.generation == self.generation && !(state.awaited && state.item.is_none()) {
            state.given += 1;
            state.dropped += 1;
            return true;
        }
        drop(state);
        self.give(make())
    }

    /// Whether what this producer gives is still taken.
    pub fn is_wanted(&self) -> bool {
        self.shared.lock().generation == self.generation
    }

    /// Notes `count` items that were too broken to be given; they have numbers too.
    pub fn note_broken(&self, count: u64) {
        let mut state = self.shared.lock();
        state.broken += count;
        state.given += count;
    }

    /// Ends the stream, for `reason`.
    pub fn end(self, reason: String) {
        self.set_end(reason);
    }

    fn set_end(&self, reason: String) {
        let mut state = self.shared.lock();
        if state.generation == self.generation && state.ended.is_none() {
            state.ended = Some(reason);
            self.shared.changed.notify_all();
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.set_end("its thread ended".to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn the_newest_replaces_the_one_that_waits() {
        let handover = Handover::new(Keep::Newest);
        let giver = handover.giver();
        assert_eq!(handover.take(Duration::ZERO), Taken::Nothing);
        for item in ["a", "b", "c"] {
            assert!(giver.give(item));
        }
        assert_eq!(handover.take(LONG), Taken::Item(2, "c"));
        assert_eq!(handover.dropped(), 2);
        giver.end("over".into());
        assert_eq!(handover.take(LONG), Taken::Ended("over".into()));
        assert_eq!(handover.take(LONG), Taken::Ended("over".into()));
    }

    #[test]
    fn every_item_arrives_in_order_when_the_producer_waits() {
        let handover = Handover::new(Keep::Every);
        let giver = handover.giver();
        let producer = std::thread::spawn(move || {
            (0..100).for_each(|item| assert!(giver.give(item)));
        });
        for item in 0..100 {
            assert_eq!(handover.take(LONG), Taken::Item(item, item));
        }
        producer.join().unwrap();
        assert_eq!(handover.take(LONG), Taken::Ended("its thread ended".into()));
        assert_eq!(handover.dropped(), 0);
    }

    #[test]
    fn an_earlier_producer_is_refused_and_does_not_end_the_next() {
        let handover = Handover::new(Keep::Newest);
        let old = handover.giver();
        assert!(old.give(1));
        let new = handover.giver();
        assert!(!old.is_wanted() && new.is_wanted());
        assert!(!old.give(2));
        old.end("late".into());
        assert_eq!(handover.take(Duration::ZERO), Taken::Nothing);
        assert!(new.give(3));
        assert_eq!(handover.take(LONG), Taken::Item(1, 3));
    }

    #[test]
    fn an_item_that_nobody_waits_for_is_not_made() {
        let handover = Handover::new(Keep::Newest);
        let giver = handover.giver();
        assert!(giver.give_if_awaited(|| unreachable!("nobody has asked yet")));
        assert_eq!(handover.take(Duration::ZERO), Taken::Nothing);
        assert!(giver.give_if_awaited(|| "b"));
        assert!(giver.give_if_awaited(|| unreachable!("there is one already")));
        assert_eq!(handover.take(LONG), Taken::Item(1, "b"));
        assert!(giver.give_if_awaited(|| unreachable!("it was given")));
        assert_eq!(handover.dropped(), 3);
        handover.refuse_producer();
        assert!(!giver.give_if_awaited(|| "e"));
    }

    #[test]
    fn a_producer_is_refused_when_the_consumer_is_gone() {
        let handover = Handover::new(Keep::Newest);
        let giver = handover.giver();
        drop(handover);
        assert!(!giver.give(1));
    }

    #[test]
    fn a_waiting_producer_wakes_when_it_is_refused() {
        let handover = Handover::new(Keep::Every);
        let giver = handover.giver();
        assert!(giver.give(1));
        let producer = std::thread::spawn(move || giver.give(2));
        handover.refuse_producer();
        assert!(!producer.join().unwrap());
    }
}
