//! Being a process among others: signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// Longest time from the first signal to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// Exit code when the process is ended before it could stop by itself.
const FORCED_EXIT_CODE: i32 = 1;

/// Whether the process was asked to stop.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The flag that SIGINT, SIGTERM and SIGHUP set. A second signal ends the process at once, and so
/// does the time when it takes too long.
///
/// # Errors
/// [`Error::Source`] when the signals cannot be caught.
pub fn stop_on_signal() -> Result<StopFlag> {
    let stop = StopFlag::default();
    let flag = stop.clone();
    let count = AtomicU32::new(0);
    ctrlc::set_handler(move || {
        if count.fetch_add(1, Ordering::Relaxed) > 0 {
            log::warn!("second signal, ending at once");
            std::process::exit(FORCED_EXIT_CODE);
        }
        log::info!("stopping");
        flag.set();
        std::thread::spawn(|| {
            std::thread::sleep(STOP_WITHIN);
            log::warn!("still not stopped, ending now");
            std::process::exit(FORCED_EXIT_CODE);
        });
    })
    .map_err(|error| Error::Source(format!("cannot catch signals: {error}")))?;
    Ok(stop)
}
