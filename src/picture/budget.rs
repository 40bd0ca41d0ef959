//! Memory that threads which decode pictures share.

#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of memory that all threads have together.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
    #[cfg(test)]
    most: AtomicU64,
}

/// Bytes that somebody has; dropping it gives them back.
#[derive(Debug)]
pub struct Permit<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// Of `total` bytes.
    pub fn new(total: u64) -> Self {
        Self {
            total,
            free: Mutex::new(total),
            freed: Condvar::new(),
            #[cfg(test)]
            most: AtomicU64::new(0),
        }
    }

    /// A permit for nothing yet. Who asks it for more than there is at all gets all.
    pub fn permit(&self) -> Permit<'_> {
        Permit { budget: self, bytes: 0 }
    }

    /// The bytes that all threads have together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The most that all had at once.
    #[cfg(test)]
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Makes it `bytes` and waits for them. Of those who keep something while they wait, there must be
    /// one at a time: two could wait for each other for ever.
    pub fn wait_for(&mut self, bytes: u64) {
        let bytes = bytes.min(self.budget.total);
        let mut free = self.budget.lock();
        while *free + self.bytes < bytes {
            free = self.budget.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        self.set(free, bytes);
    }

    /// Makes it `bytes` without waiting; `false` when there are not so many.
    pub fn resize(&mut self, bytes: u64) -> bool {
        let bytes = bytes.min(self.budget.total);
        let free = self.budget.lock();
        let is_there = *free + self.bytes >= bytes;
        if is_there {
            self.set(free, bytes);
        }
        is_there
    }

    fn set(&mut self, mut free: MutexGuard<'_, u64>, bytes: u64) {
        *free = *free + self.bytes - bytes;
        self.bytes = bytes;
        #[cfg(test)]
        self.budget.most.fetch_max(self.budget.total - *free, Ordering::Relaxed);
        self.budget.freed.notify_all();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.budget.lock() += self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget, bytes: u64) -> Permit<'_> {
        let mut permit = budget.permit();
        permit.wait_for(bytes);
        permit
    }

    #[test]
    fn together_they_never_have_more_than_there_is() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [30, 60, 90, 1000] {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = taken(budget, bytes);
                        let now = held.fetch_add(permit.bytes, Ordering::SeqCst) + permit.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        held.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100 && budget.most() == 100);
        assert_eq!(*budget.lock(), 100);
    }

    #[test]
    fn a_permit_changes_without_waiting() {
        let budget = Budget::new(100);
        let mut first = taken(&budget, 40);
        let mut second = taken(&budget, 40);
        assert!(!second.resize(80));
        assert!(second.resize(60));
        assert!(first.resize(10) && second.resize(90));
        drop((first, second));
        assert_eq!(*budget.lock(), 100);
    }

    #[test]
    fn one_may_keep_what_it_has_while_it_waits() {
        let budget = Budget::new(100);
        let (mut kept, other) = (taken(&budget, 40), taken(&budget, 60));
        std::thread::scope(|scope| {
            scope.spawn(|| kept.wait_for(90));
            drop(other);
        });
        assert_eq!((kept.bytes, *budget.lock()), (90, 10));
    }
}
