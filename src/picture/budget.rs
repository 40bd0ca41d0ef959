//! Memory that threads which decode pictures share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many bytes for everybody together.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
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
        Self { total, free: Mutex::new(total), freed: Condvar::new() }
    }

    /// Waits until so many bytes are free; who asks for more than there are at all gets all. Must not
    /// be called by somebody who holds a permit.
    pub fn take(&self, bytes: u64) -> Permit<'_> {
        let bytes = bytes.min(self.total);
        let mut free = self.lock();
        while *free < bytes {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Permit { budget: self, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Makes it `bytes` without waiting; `false` when there are not so many.
    pub fn resize(&mut self, bytes: u64) -> bool {
        let bytes = bytes.min(self.budget.total);
        let mut free = self.budget.lock();
        let available = *free + self.bytes;
        if available < bytes {
            return false;
        }
        *free = available - bytes;
        self.bytes = bytes;
        self.budget.freed.notify_all();
        true
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
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn together_they_never_have_more_than_there_is() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [30, 60, 90, 1000] {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = budget.take(bytes);
                        let now = held.fetch_add(permit.bytes, Ordering::SeqCst) + permit.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        held.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100);
        assert_eq!(*budget.lock(), 100);
    }

    #[test]
    fn a_permit_changes_without_waiting() {
        let budget = Budget::new(100);
        let mut first = budget.take(40);
        let mut second = budget.take(40);
        assert!(!second.resize(80));
        assert!(second.resize(60));
        assert!(first.resize(10) && second.resize(90));
        drop((first, second));
        assert_eq!(*budget.lock(), 100);
    }
}
