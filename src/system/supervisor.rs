//! The service manager that started the process, and how it is told how things are.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::shown;

/// Signs of life in each time the service manager waits for one.
const SIGNS_PER_DEADLINE: u32 = 4;

/// Tells a message to the service manager.
type Tell = Box<dyn Fn(&[NotifyState<'_>])>;

/// Who supervises the process: systemd, or nobody.
pub struct Supervisor {
    tell: Tell,
    /// Time between two signs of life, where they are wanted.
    interval: Option<Duration>,
    last_sign: Option<Instant>,
    status: String,
}

impl Supervisor {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub fn of_system() -> Self {
        let tell = |state: &[NotifyState<'_>]| {
            if let Err(error) = sd_notify::notify(state) {
                log::debug!("cannot reach the service manager: {error}");
            }
        };
        Self::new(Box::new(tell), sd_notify::watchdog_enabled())
    }

    /// Nobody.
    pub fn nobody() -> Self {
        Self::new(Box::new(|_| {}), None)
    }

    fn new(tell: Tell, deadline: Option<Duration>) -> Self {
        let interval = deadline.map(|deadline| deadline / SIGNS_PER_DEADLINE);
        Self { tell, interval, last_sign: None, status: String::new() }
    }

    /// The process does what it is for.
    pub fn ready(&mut self) {
        (self.tell)(&[NotifyState::Ready]);
    }

    /// The process ends.
    pub fn stopping(&mut self) {
        (self.tell)(&[NotifyState::Stopping]);
    }

    /// What the process does, for people who ask the service manager. Its messages end with their line.
    pub fn status(&mut self, status: &str) {
        let status = &*shown::line(status);
        if self.status != status {
            status.clone_into(&mut self.status);
            (self.tell)(&[NotifyState::Status(status)]);
        }
    }

    /// The process has got on with its work at the time `now`. When this is not said for long, the
    /// service manager starts it anew.
    pub fn alive(&mut self, now: Instant) {
        let Some(interval) = self.interval else { return };
        if self.last_sign.is_none_or(|last| now.duration_since(last) >= interval) {
            self.last_sign = Some(now);
            (self.tell)(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// A supervisor that waits `deadline` for a sign of life, and what it was told.
    pub(crate) fn supervisor(deadline: Duration) -> (Supervisor, Rc<RefCell<Vec<String>>>) {
        let told = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&told);
        let tell = move |states: &[NotifyState<'_>]| {
            log.borrow_mut().extend(states.iter().map(ToString::to_string));
        };
        (Supervisor::new(Box::new(tell), Some(deadline)), told)
    }

    #[test]
    fn signs_of_life_are_given_in_time_and_not_at_every_frame() {
        let (mut supervisor, told) = supervisor(Duration::from_secs(20));
        let start = Instant::now();
        for tenth in 0..200 {
            supervisor.alive(start + Duration::from_millis(100 * tenth));
        }
        assert_eq!(*told.borrow(), ["WATCHDOG=1"; 4]);
    }

    #[test]
    fn a_status_is_told_once() {
        let (mut supervisor, told) = supervisor(Duration::from_secs(20));
        for status in ["watching", "watching", "looking for the camera\nMAINPID=1", "watching"] {
            supervisor.status(status);
        }
        let expected =
            ["STATUS=watching", "STATUS=looking for the camera\\nMAINPID=1", "STATUS=watching"];
        assert_eq!(*told.borrow(), expected);
    }
}
