//! Being a process among others: signals, the service manager, and the journal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::error::{Error, Result};
use crate::system::process;
use crate::system::stop::StopFlag;

/// Longest time from the first signal to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// Signals that come within this time are one: some programs, `timeout` among them, send theirs to the
/// process and to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(200);

/// What a hangup (SIGHUP) means. The hangup of the terminal that the process writes to asks it to
/// stop in any case.
pub enum Hangup {
    /// To stop.
    Stop,
    /// To read settings and data again, which is done by this.
    Reload(Box<dyn Fn() + Send>),
}

/// Whether somebody asked how the process is.
#[derive(Debug, Clone, Default)]
pub struct StatusRequest(Arc<AtomicBool>);

impl StatusRequest {
    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked since the last call.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// The flag that SIGINT, SIGTERM and, as `hangup` says, SIGHUP set. A second signal to stop ends
/// the process at once with the code `forced`, and so does the time when it takes too long. SIGUSR1
/// asks `status`.
///
/// # Errors
/// [`Error::Source`] when the signals cannot be caught.
pub fn stop_on_signal(hangup: Hangup, status: StatusRequest, forced: u8) -> Result<StopFlag> {
    let stop = StopFlag::default();
    let flag = stop.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])
        .map_err(|error| Error::Source(format!("cannot catch signals: {error}")))?;
    let at_start = terminals();
    std::thread::spawn(move || {
        let mut first_asked = None;
        for signal in &mut signals {
            match &hangup {
                _ if signal == SIGUSR1 => status.ask(),
                Hangup::Reload(reload) if signal == SIGHUP && terminals() == at_start => reload(),
                _ => ask_to_stop(&flag, &mut first_asked, forced),
            }
        }
    });
    Ok(stop)
}

/// Which of the standard streams are terminals; one that hung up is none any more.
fn terminals() -> [bool; 3] {
    [
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    ]
}

/// Sets the flag, or ends the process when it was asked to stop before, which `first_asked` remembers.
fn ask_to_stop(flag: &StopFlag, first_asked: &mut Option<Instant>, forced: u8) {
    match first_asked {
        None => *first_asked = Some(Instant::now()),
        Some(first) if first.elapsed() < ONE_SIGNAL => return,
        Some(_) => {
            log::warn!("second signal, ending at once");
            end_now(forced);
        }
    }
    log::info!("stopping");
    flag.set();
    std::thread::spawn(move || {
        std::thread::sleep(STOP_WITHIN);
        log::warn!("still not stopped, ending now");
        end_now(forced);
    });
}

/// Ends the process with all that it has started.
fn end_now(code: u8) -> ! {
    process::kill_all();
    std::process::exit(i32::from(code))
}
