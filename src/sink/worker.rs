//! A thread behind a bounded queue, so that whoever gives it work never waits.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a worker that is to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What is in a queue.
#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<(Instant, T)>,
    refused: u64,
    closed: Option<Instant>,
}

/// Items that wait, oldest first. Those that have waited too long, and those for which there is no
/// room, are dropped and counted.
#[derive(Debug)]
pub(super) struct Queue<T> {
    room: usize,
    max_wait: Duration,
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

impl<T> Queue<T> {
    /// For `room` items, none of which waits longer than `max_wait`.
    pub(super) fn new(room: usize, max_wait: Duration) -> Self {
        let waiting = Waiting { items: VecDeque::new(), refused: 0, closed: None };
        Self { room, max_wait, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Adds an item that came `now`; never waits.
    pub(super) fn put(&self, now: Instant, item: T) {
        let mut waiting = self.lock();
        self.forget_old(&mut waiting, now);
        if waiting.items.len() < self.room {
            waiting.items.push_back((now, item));
        } else {
            waiting.refused += 1;
        }
        self.changed.notify_all();
    }

    /// The oldest item that has not waited too long.
    pub(super) fn take(&self, now: Instant) -> Option<T> {
        let mut waiting = self.lock();
        self.forget_old(&mut waiting, now);
        waiting.items.pop_front().map(|(_, item)| item)
    }

    /// How many items were dropped since the last call.
    pub(super) fn take_dropped(&self, now: Instant) -> u64 {
        let mut waiting = self.lock();
        self.forget_old(&mut waiting, now);
        std::mem::take(&mut waiting.refused)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Waits for an item; `false` when there is none and none will come.
    pub(super) fn wait(&self) -> bool {
        let mut waiting = self.lock();
        while waiting.items.is_empty() && waiting.closed.is_none() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        !waiting.items.is_empty()
    }

    /// Waits for an item, `timeout` at most.
    pub(super) fn wait_for(&self, timeout: Duration) {
        let waiting = self.lock();
        let nothing = |waiting: &mut Waiting<T>| waiting.items.is_empty();
        drop(self.changed.wait_timeout_while(waiting, timeout, nothing));
    }

    /// Until when what waits has to be done with; `None` while more items may come.
    pub(super) fn closed(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Says that no more items come and that it is over at `until`.
    pub(super) fn close(&self, until: Instant) {
        self.lock().closed = Some(until);
        self.changed.notify_all();
    }

    fn forget_old(&self, waiting: &mut Waiting<T>, now: Instant) {
        let too_old =
            |(came, _): &(Instant, T)| now.saturating_duration_since(*came) > self.max_wait;
        while waiting.items.front().is_some_and(too_old) {
            waiting.items.pop_front();
            waiting.refused += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that works on what is put into its queue.
#[derive(Debug)]
pub(super) struct Worker<T, R> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<R>>,
}

impl<T: Send + 'static, R: Send + 'static> Worker<T, R> {
    /// Starts a thread that runs `body` until that returns, which it does when the queue is closed.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(
        name: &str,
        queue: Queue<T>,
        body: impl FnOnce(&Queue<T>) -> R + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(queue);
        let its_queue = Arc::clone(&queue);
        let thread =
            thread::Builder::new().name(name.to_string()).spawn(move || body(&its_queue))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Gives the thread an item that came now; never waits.
    pub(super) fn put(&self, item: T) {
        self.queue.put(Instant::now(), item);
    }

    /// What the thread returned, once, if it has ended.
    pub(super) fn outcome(&mut self) -> Option<R> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        let name = thread.thread().name().unwrap_or_default().to_owned();
        let outcome = thread.join();
        if outcome.is_err() {
            log::error!(
                "the thread {name} has failed, which is a fault of celebcam, please report it: `-v` \
                 shows why"
            );
        }
        outcome.ok()
    }

    /// Says that no more items come and that the thread has to be done with them `until` then.
    pub(super) fn close(&self, until: Instant) {
        self.queue.close(until);
    }

    /// Closes the queue and waits for the end of the thread, `until` at most; a thread that takes
    /// longer is left behind.
    pub(super) fn finish(&mut self, until: Instant) -> Finished<R> {
        self.finish_by(until, until)
    }

    /// [`finish`](Self::finish) for a thread that needs until `patience` to stop what it has not
    /// done `until` then.
    pub(super) fn finish_by(&mut self, until: Instant, patience: Instant) -> Finished<R> {
        self.queue.close(until);
        loop {
            if self.thread.is_none() {
                return Finished::Before;
            }
            if let Some(outcome) = self.outcome() {
                return Finished::Now(outcome);
            }
            if Instant::now() >= patience {
                return Finished::Not;
            }
            thread::sleep(POLL);
        }
    }
}

/// How far a [`Worker`] came.
#[derive(Debug)]
pub(super) enum Finished<R> {
    /// It has ended, with this outcome.
    Now(R),
    /// Its outcome was taken already, or it panicked.
    Before,
    /// It is still at work.
    Not,
}

impl<T, R> Drop for Worker<T, R> {
    fn drop(&mut self) {
        self.queue.close(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thread_that_panics_has_no_outcome() {
        let mut worker: Worker<(), ()> =
            Worker::start("bad", Queue::new(1, SECOND), |_| panic!("a fault")).unwrap();
        assert!(matches!(worker.finish(Instant::now() + 60 * SECOND), Finished::Before));
    }

    #[test]
    fn items_come_in_order_and_those_without_room_are_counted() {
        let queue = Queue::new(2, SECOND);
        let now = Instant::now();
        for item in ["a", "b", "c"] {
            queue.put(now, item);
        }
        assert_eq!(queue.take_dropped(now), 1);
        assert_eq!(
            [queue.take(now), queue.take(now), queue.take(now)],
            [Some("a"), Some("b"), None]
        );
        assert_eq!(queue.take_dropped(now), 0);
    }

    #[test]
    fn nothing_older_than_the_longest_wait_is_given_out() {
        let queue = Queue::new(9, SECOND);
        let start = Instant::now();
        queue.put(start, "old");
        queue.put(start + SECOND / 2, "young");
        assert_eq!(queue.take(start + SECOND + SECOND / 4), Some("young"));
        queue.put(start + SECOND, "late");
        assert_eq!(queue.take(start + 2 * SECOND), Some("late"), "a second is not too old");
        queue.put(start + 2 * SECOND, "last");
        assert_eq!(queue.take(start + 4 * SECOND), None);
        assert_eq!(queue.take_dropped(start + 4 * SECOND), 2);
    }

    #[test]
    fn old_items_make_room_for_new_ones() {
        let queue = Queue::new(1, SECOND);
        let start = Instant::now();
        queue.put(start, "old");
        queue.put(start + 2 * SECOND, "new");
        assert_eq!(queue.take(start + 2 * SECOND), Some("new"));
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = Queue::new(2, SECOND);
        let now = Instant::now();
        queue.put(now, 1);
        queue.close(now);
        assert!(queue.wait());
        assert_eq!(queue.take(now), Some(1));
        assert!(!queue.wait());
    }

    #[test]
    fn a_worker_finishes_what_waits_and_one_that_hangs_is_left_behind() {
        let body = |queue: &Queue<u32>| {
            let mut sum = 0;
            while queue.wait() {
                sum += queue.take(Instant::now()).unwrap_or(0);
            }
            sum
        };
        let mut worker = Worker::start("adds", Queue::new(9, 60 * SECOND), body).unwrap();
        (1..=4).for_each(|item| worker.put(item));
        assert!(matches!(worker.finish(Instant::now() + 60 * SECOND), Finished::Now(10)));
        assert!(matches!(worker.finish(Instant::now()), Finished::Before));
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let hangs = move |_: &Queue<u32>| {
            let _ = held.recv();
        };
        let mut worker = Worker::start("hangs", Queue::new(9, SECOND), hangs).unwrap();
        assert!(matches!(worker.finish(Instant::now()), Finished::Not));
        drop(hold);
    }
}
