//! Signals: Ctrl-C of somebody at a terminal, and those that a service gets.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::stop::StopFlag;
use super::{Error, Result, process};

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

/// The flag that Ctrl-C, SIGTERM and, as `hangup` says, SIGHUP set. A second signal to stop ends
/// the process at once with the code `forced`, and so does the time when it takes too long. SIGUSR1
/// asks `status`. To be called once.
///
/// # Errors
/// [`Error::Signals`] when the signals cannot be caught.
pub fn stop_on_signal(hangup: Hangup, status: StatusRequest, forced: u8) -> Result<StopFlag> {
    let asked = Asked { forced, ..Asked::default() };
    let flag = asked.flag.clone();
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGUSR1]).map_err(Error::Signals)?;
    let at_terminal = asked.clone();
    ctrlc::set_handler(move || at_terminal.to_stop())
        .map_err(|error| Error::Signals(cause(error)))?;
    let at_start = terminals();
    std::thread::spawn(move || {
        for signal in &mut signals {
            match &hangup {
                _ if signal == SIGUSR1 => status.ask(),
                Hangup::Reload(reload) if signal == SIGHUP && terminals() == at_start => reload(),
                _ => asked.to_stop(),
            }
        }
    });
    Ok(flag)
}

/// What the system said, where it did.
fn cause(error: ctrlc::Error) -> io::Error {
    match error {
        ctrlc::Error::System(error) => error,
        other => io::Error::other(other),
    }
}

/// Which of the standard streams are terminals; one that hung up is none any more.
fn terminals() -> [bool; 3] {
    [
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    ]
}

/// Whether and when the process was asked to stop, in whichever way; clones share it.
#[derive(Debug, Clone, Default)]
struct Asked {
    flag: StopFlag,
    first: Arc<Mutex<Option<Instant>>>,
    /// Exit code where the process is ended before it could stop by itself.
    forced: u8,
}

impl Asked {
    /// Sets the flag, or ends the process when it was asked to stop before.
    fn to_stop(&self) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match *first {
            None => *first = Some(Instant::now()),
            Some(first) if first.elapsed() < ONE_SIGNAL => return,
            Some(_) => {
                log::warn!("second signal, ending at once");
                end_now(self.forced);
            }
        }
        log::info!("stopping");
        self.flag.set();
        let forced = self.forced;
        std::thread::spawn(move || {
            std::thread::sleep(STOP_WITHIN);
            log::warn!("still not stopped, ending now");
            end_now(forced);
        });
    }
}

/// Ends the process with all that it has started.
fn end_now(code: u8) -> ! {
    process::kill_all();
    std::process::exit(i32::from(code))
}
