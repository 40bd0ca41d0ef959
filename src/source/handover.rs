//! A place for one item between a thread that produces and one that consumes.
//!
//! Either the newest item replaces the one that waits (live pictures: late is worthless), or the
//! producer waits until its item was taken (recordings: every frame counts).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Loss;

/// What happens to an item that waits when another one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is dropped.
    Newest,
    /// The producer waits.
    Every,
}

/// What [`Handover::take`] found.
#[derive(Debug)]
pub enum Taken<T> {
    /// An item and its number, counted from 0 over everything that was given.
    Item(u64, T),
    /// Nothing came in time.
    Nothing,
    /// The producer has ended.
    Ended(Loss),
}

/// What both ends share.
#[derive(Debug)]
struct Held<T> {
    /// Counts the producers: what an earlier one gives is refused.
    generation: u64,
    item: Option<(u64, T)>,
    /// The consumer has asked for an item and has not got one yet.
    awaited: bool,
    given: u64,
    dropped: u64,
    broken: u64,
    ended: Option<Loss>,
}

#[derive(Debug)]
struct Slot<T> {
    keep: Keep,
    held: Mutex<Held<T>>,
    changed: Condvar,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The consumer's end.
#[derive(Debug)]
pub struct Handover<T> {
    slot: Arc<Slot<T>>,
}

/// The producer's end. Dropping it ends the stream.
#[derive(Debug)]
pub struct Giver<T> {
    slot: Arc<Slot<T>>,
    generation: u64,
}

impl<T> Handover<T> {
    /// An empty place.
    pub fn new(keep: Keep) -> Self {
        let held = Held {
            generation: 0,
            item: None,
            awaited: false,
            given: 0,
            dropped: 0,
            broken: 0,
            ended: None,
        };
        Self { slot: Arc::new(Slot { keep, held: Mutex::new(held), changed: Condvar::new() }) }
    }

    /// An end for a new producer. What an earlier one gives from now on is refused.
    pub fn giver(&self) -> Giver<T> {
        self.refuse_producer();
        let generation = self.slot.lock().generation;
        Giver { slot: Arc::clone(&self.slot), generation }
    }

    /// Refuses what the present producer gives from now on and forgets what it gave.
    pub fn refuse_producer(&self) {
        let mut held = self.slot.lock();
        held.generation += 1;
        held.dropped += u64::from(held.item.take().is_some());
        held.ended = None;
        self.slot.changed.notify_all();
    }

    /// Waits for an item, `timeout` at most. Items come before the end.
    pub fn take(&self, timeout: Duration) -> Taken<T> {
        let until = Instant::now() + timeout;
        let mut held = self.slot.lock();
        loop {
            if let Some((number, item)) = held.item.take() {
                held.awaited = false;
                self.slot.changed.notify_all();
                return Taken::Item(number, item);
            }
            held.awaited = true;
            if let Some(loss) = &held.ended {
                return Taken::Ended(loss.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            held = self
                .slot
                .changed
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How many items were replaced or forgotten before they were taken.
    pub fn dropped(&self) -> u64 {
        self.slot.lock().dropped
    }

    /// How many items the producers noted as broken.
    pub fn broken(&self) -> u64 {
        self.slot.lock().broken
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
        let mut held = self.slot.lock();
        while self.slot.keep == Keep::Every
            && held.item.is_some()
            && held.generation == self.generation
        {
            held = self.slot.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        if held.generation != self.generation {
            return false;
        }
        let number = held.given;
        held.given += 1;
        let replaced = held.item.replace((number, item));
        held.dropped += u64::from(replaced.is_some());
        self.slot.changed.notify_all();
        true
    }

    /// Gives what `make` makes if the consumer waits for an item, otherwise counts it as dropped;
    /// `false` when nobody wants any more of this producer.
    pub fn give_if_awaited(&self, make: impl FnOnce() -> T) -> bool {
        let mut held = self.slot.lock();
        if held.generation == self.generation && !(held.awaited && held.item.is_none()) {
            held.given += 1;
            held.dropped += 1;
            return true;
        }
        drop(held);
        self.give(make())
    }

    /// Whether what this producer gives is still taken.
    pub fn is_wanted(&self) -> bool {
        self.slot.lock().generation == self.generation
    }

    /// Notes `count` items that were too broken to be given; they have numbers too.
    pub fn note_broken(&self, count: u64) {
        let mut held = self.slot.lock();
        held.broken += count;
        held.given += count;
    }

    /// Ends the stream.
    pub fn end(self, loss: Loss) {
        self.set_end(loss);
    }

    fn set_end(&self, loss: Loss) {
        let mut held = self.slot.lock();
        if held.generation == self.generation && held.ended.is_none() {
            held.ended = Some(loss);
            self.slot.changed.notify_all();
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.set_end(Loss::Thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// The number and the item that are taken, or how the producer ended; `None` where nothing came.
    fn take<T>(handover: &Handover<T>, timeout: Duration) -> Option<Result<(u64, T), String>> {
        match handover.take(timeout) {
            Taken::Item(number, item) => Some(Ok((number, item))),
            Taken::Nothing => None,
            Taken::Ended(loss) => Some(Err(loss.to_string())),
        }
    }

    fn ended<T>(how: &str) -> Option<Result<(u64, T), String>> {
        Some(Err(how.to_owned()))
    }

    #[test]
    fn the_newest_replaces_the_one_that_waits() {
        let handover = Handover::new(Keep::Newest);
        let giver = handover.giver();
        assert_eq!(take(&handover, Duration::ZERO), None);
        for item in ["a", "b", "c"] {
            assert!(giver.give(item));
        }
        assert_eq!(take(&handover, LONG), Some(Ok((2, "c"))));
        assert_eq!(handover.dropped(), 2);
        giver.end(Loss::StreamEnd);
        assert_eq!(take(&handover, LONG), ended("the stream ended"));
        assert_eq!(take(&handover, LONG), ended("the stream ended"));
    }

    #[test]
    fn every_item_arrives_in_order_when_the_producer_waits() {
        let handover = Handover::new(Keep::Every);
        let giver = handover.giver();
        let producer = std::thread::spawn(move || {
            (0..100).for_each(|item| assert!(giver.give(item)));
        });
        for item in 0..100 {
            assert_eq!(take(&handover, LONG), Some(Ok((item, item))));
        }
        producer.join().unwrap();
        assert_eq!(take(&handover, LONG), ended("its thread ended"));
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
        old.end(Loss::Closed);
        assert_eq!(take(&handover, Duration::ZERO), None);
        assert!(new.give(3));
        assert_eq!(take(&handover, LONG), Some(Ok((1, 3))));
    }

    #[test]
    fn an_item_that_nobody_waits_for_is_not_made() {
        let handover = Handover::new(Keep::Newest);
        let giver = handover.giver();
        assert!(giver.give_if_awaited(|| unreachable!("nobody has asked yet")));
        assert_eq!(take(&handover, Duration::ZERO), None);
        assert!(giver.give_if_awaited(|| "b"));
        assert!(giver.give_if_awaited(|| unreachable!("there is one already")));
        assert_eq!(take(&handover, LONG), Some(Ok((1, "b"))));
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
