//! Everything that a program has started, also what left its process group: this process takes the
//! place of parents that have ended, so that nothing gets out of its sight.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group,
    set_child_subreaper, waitid,
};

/// Variable by which a process is known to belong to a program.
pub const MARK: &str = "CELEBCAM_GROUP";

/// Longest time for the system to end processes that are killed.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Longest time to wait for another thread that ends a program, when all have to end.
const KILLED_WITHIN: Duration = Duration::from_millis(200);

/// Time between two looks for processes that have lost their parent and ended by themselves.
const REAP_EVERY: Duration = Duration::from_secs(60);

/// A program that this process has started and not reaped.
#[derive(Debug, Clone)]
pub struct Leader {
    pid: Pid,
    mark: String,
    /// When it started, in the system's ticks.
    started: u64,
}

/// Programs that run. Whoever holds it knows that every other child is one that lost its parent.
static RUNNING: Mutex<Vec<Leader>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Leader>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mark that no other program of this process has.
fn new_mark() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Starts the program of `command` with a mark of its own.
///
/// # Errors
/// What the system says.
pub fn start(command: &mut Command) -> io::Result<(Child, Leader)> {
    static ADOPT: Once = Once::new();
    ADOPT.call_once(|| {
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            log::debug!("processes that leave their group cannot be kept: {error}");
        }
        // Without a thread to give they are reaped when the next program ends.
        let _ = std::thread::Builder::new().name("kin".to_owned()).spawn(|| {
            loop {
                std::thread::sleep(REAP_EVERY);
                reap(&running());
            }
        });
    });
    let mark = new_mark();
    let mut running = running();
    let child = command.env(MARK, &mark).spawn()?;
    let pid = Pid::from_child(&child);
    let started = Stat::of(pid).map_or(0, |stat| stat.started);
    let leader = Leader { pid, mark, started };
    running.push(leader.clone());
    Ok((child, leader))
}

/// Kills what is left of a program that has been reaped.
pub fn end(leader: &Leader) {
    let mut running = running();
    running.retain(|other| other.mark != leader.mark);
    let until = Instant::now() + ENDED_WITHIN;
    // The children of what was killed become children of this process in their turn.
    while kill_orphans(leader, &running) > 0 {
        if Instant::now() >= until {
            log::debug!("processes of group {} do not end", leader.mark);
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills every program that runs, and what it has started. Waits a moment for who else is at it.
pub fn kill_all() {
    let until = Instant::now() + KILLED_WITHIN;
    let mut running = loop {
        match RUNNING.try_lock() {
            Ok(running) => break running,
            Err(TryLockError::Poisoned(running)) => break running.into_inner(),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    for leader in std::mem::take(&mut *running) {
        let _ = kill_process_group(leader.pid, Signal::KILL);
        kill_orphans(&leader, &running);
    }
}

/// Kills and reaps the children of this process that belong to `leader`; gives how many are left.
fn kill_orphans(leader: &Leader, running: &[Leader]) -> usize {
    let mut left = 0;
    for (pid, stat) in orphans(running) {
        if pid == leader.pid || stat.has_ended || !belongs(pid, &stat, leader, running) {
            continue;
        }
        // Nobody else reaps it, so the number is still its own.
        match kill_process(pid, Signal::KILL) {
            Ok(()) => left += 1,
            Err(error) => log::debug!("cannot kill process {}: {error}", pid.as_raw_nonzero()),
        }
    }
    reap(running);
    left
}

/// Reaps the children of this process that have lost their parent and ended.
fn reap(running: &[Leader]) {
    for (pid, _) in orphans(running).filter(|(_, stat)| stat.has_ended) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Err(error) = waitid(WaitId::Pid(pid), options) {
            log::debug!("cannot reap process {}: {error}", pid.as_raw_nonzero());
        }
    }
}

/// Whether a child that lost its parent is of `leader`: as its mark says or, where that was wiped away,
/// if it could be.
fn belongs(pid: Pid, stat: &Stat, leader: &Leader, running: &[Leader]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    let environment = environment.unwrap_or_default();
    let mark = environment.split(|byte| *byte == 0).find_map(|variable| {
        std::str::from_utf8(variable).ok()?.strip_prefix(MARK)?.strip_prefix('=')
    });
    match mark {
        Some(mark) if mark == leader.mark => true,
        Some(mark) if running.iter().any(|other| other.mark == mark) => false,
        _ => stat.started >= leader.started,
    }
}

/// The children of this process that another one has started.
fn orphans(running: &[Leader]) -> impl Iterator<Item = (Pid, Stat)> {
    let own = getpid().as_raw_nonzero().get();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    entries
        .filter_map(number)
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .filter(move |(_, stat)| stat.parent == own)
        .filter(|(pid, _)| running.iter().all(|leader| leader.pid != *pid))
}

/// What the system says of a process.
struct Stat {
    has_ended: bool,
    parent: i32,
    started: u64,
}

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// The name of the program, in parentheses, may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { has_ended, parent, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_system_is_read_whatever_the_program_is_called() {
        let line = "12 (a) Z 1 (b) S 7 12 12 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.has_ended, stat.parent, stat.started), (false, 7, 98765));
        assert!(Stat::parse("12 (a) Z").is_none());
        assert!(Stat::of(getpid()).is_some_and(|own| own.started > 0 && !own.has_ended));
    }
}
