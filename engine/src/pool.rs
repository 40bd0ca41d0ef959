//! Threads that wait for the parts of a job and share them.

#![allow(unsafe_code, reason = "a job that lives as long as it runs")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How often a thread looks for what it waits for before it lets others run: long enough for the
/// pause between two layers.
const SPINS: usize = 2_000;

/// How often a worker lets others run before it goes to sleep.
const YIELDS: usize = 50;

/// The job: called with the number of the thread and of the part.
type Job<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// A fixed number of threads, the caller's among them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

struct Shared {
    /// Counts the jobs; a change starts the workers.
    generation: AtomicUsize,
    current: Mutex<Current>,
    next_part: AtomicUsize,
    busy_workers: AtomicUsize,
    stop: AtomicBool,
    wake: Condvar,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Current {
    job: Option<JobPointer>,
    parts: usize,
}

#[derive(Clone, Copy)]
struct JobPointer(*const Job<'static>);

// SAFETY: the job is `Sync`, and `Pool::run` does not return while a worker may use it.
unsafe impl Send for JobPointer {}

impl Pool {
    /// Starts `threads` - 1 workers.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            generation: AtomicUsize::new(0),
            current: Mutex::new(Current { job: None, parts: 0 }),
            next_part: AtomicUsize::new(0),
            busy_workers: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            wake: Condvar::new(),
            panicked: Mutex::new(None),
        });
        let mut pool = Self { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for thread in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let name = format!("int8-{thread}");
            let work = move || shared.work(thread);
            pool.workers.push(std::thread::Builder::new().name(name).spawn(work)?);
        }
        Ok(pool)
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job` once for every part below `parts`, on all threads, and returns when all are
    /// done. A panic of the job comes out here.
    pub fn run(&self, parts: usize, job: &Job<'_>) {
        if self.workers.is_empty() || parts <= 1 {
            (0..parts).for_each(|part| job(0, part));
            return;
        }
        let _turn = lock(&self.turn);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; this function waits for all workers before it
        // returns or unwinds, so the job outlives every use.
        let pointer: *const Job<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(job)) };
        {
            let mut current = lock(&shared.current);
            *current = Current { job: Some(JobPointer(pointer)), parts };
            shared.next_part.store(0, Ordering::Relaxed);
            shared.busy_workers.store(self.workers.len(), Ordering::Relaxed);
            shared.generation.fetch_add(1, Ordering::Release);
        }
        shared.wake.notify_all();
        shared.take_parts(0, parts, job);
        let mut spins = 0;
        while shared.busy_workers.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        if let Some(panic) = lock(&shared.panicked).take() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let _current = lock(&self.shared.current);
            self.shared.stop.store(true, Ordering::Relaxed);
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches every panic of a job.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn work(&self, thread: usize) {
        let mut seen = 0;
        loop {
            let current = self.wait_for_change(seen);
            seen += 1;
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Some(job) = current.job {
                // SAFETY: `Pool::run` keeps the job alive until `busy_workers` is 0 again.
                let job = unsafe { &*job.0 };
                self.take_parts(thread, current.parts, job);
            }
            self.busy_workers.fetch_sub(1, Ordering::Release);
        }
    }

    fn wait_for_change(&self, seen: usize) -> Current {
        for spins in 0..SPINS + YIELDS {
            if self.generation.load(Ordering::Acquire) != seen {
                return *lock(&self.current);
            }
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let mut current = lock(&self.current);
        while self.generation.load(Ordering::Acquire) == seen {
            current = self.wake.wait(current).unwrap_or_else(PoisonError::into_inner);
        }
        *current
    }

    fn take_parts(&self, thread: usize, parts: usize, job: &Job<'_>) {
        let all = AssertUnwindSafe(|| {
            loop {
                let part = self.next_part.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return;
                }
                job(thread, part);
            }
        });
        if let Err(panic) = catch_unwind(all) {
            lock(&self.panicked).get_or_insert(panic);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once() {
        for threads in 1..4 {
            let pool = Pool::new(threads).expect("threads can be had");
            assert_eq!(pool.threads(), threads);
            for parts in [0, 1, 2, 3, 100] {
                let counts: Vec<_> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                pool.run(parts, &|thread, part| {
                    assert!(thread < threads);
                    counts[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn a_panic_of_a_part_comes_out_and_the_pool_lives_on() {
        let pool = Pool::new(2).expect("threads can be had");
        let failed = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, &|_, part| assert!(part != 5, "part five"));
        }));
        assert!(failed.is_err());
        let done = AtomicUsize::new(0);
        pool.run(8, &|_, _| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.load(Ordering::Relaxed), 8);
    }
}
