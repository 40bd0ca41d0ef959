//! This process's memory, and other programs: their command lines, and process groups that end as a
//! whole.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{Error, Result};

mod kin;

pub use kin::{MARK, kill_all};

/// How long a program has to end by itself after it was asked to.
pub const GRACE: Duration = Duration::from_millis(500);

/// An amount of memory of this process, by its key in `/proc/self/status` (`VmRSS`, `VmHWM`); `None`
/// where the system does not say.
pub fn memory_bytes(key: &str) -> Option<u64> {
    amount_bytes(&std::fs::read_to_string("/proc/self/status").ok()?, key)
}

/// The amount of memory by its key in the text of a file such as `/proc/meminfo`.
pub fn amount_bytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Splits a command line into the program and its arguments, quoted as in a shell; no shell runs
/// it. There is at least the program.
///
/// # Errors
/// [`Error::CommandLine`] for an empty line and for a quote left open.
pub fn split(line: &str) -> Result<Vec<String>> {
    let argv = shlex::split(line).filter(|argv| !argv.is_empty());
    argv.ok_or_else(|| Error::CommandLine(line.to_owned()))
}

/// Why a program cannot be started, and what to do; to be put after the name of the setting.
#[derive(Debug, thiserror::Error)]
pub enum NotStartable {
    /// Nothing can be found out about the file at its path.
    #[error("cannot use {program}: {source}; no shell runs it, so ~ and $ stand for themselves")]
    Path {
        /// As it was named.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its path leads to something else, such as a folder.
    #[error("{0} is not a file")]
    NotAFile(String),
    /// Nobody may run it.
    #[error("{0} is not executable; try chmod +x")]
    NotExecutable(String),
    /// No folder of `PATH` has it.
    #[error(
        "there is no program {0} on PATH; install it, give its path, or write sh -c '...' for what \
         only a shell knows"
    )]
    NotOnPath(String),
}

/// A path, or another word, as it is written in a command line.
pub fn quoted(word: impl AsRef<Path>) -> String {
    let text = word.as_ref().to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

/// Checks that `program` can be started: as a path if it holds a slash, otherwise on `PATH`.
///
/// # Errors
/// [`NotStartable`], saying why it cannot.
pub fn check_program(program: &str) -> Result<(), NotStartable> {
    let named = program.to_owned();
    if program.contains('/') {
        return match Path::new(program).metadata() {
            Err(source) => Err(NotStartable::Path { program: named, source }),
            Ok(metadata) if !metadata.is_file() => Err(NotStartable::NotAFile(named)),
            Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
                Err(NotStartable::NotExecutable(named))
            }
            Ok(_) => Ok(()),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| {
        folder
            .join(program)
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    });
    if found { Ok(()) } else { Err(NotStartable::NotOnPath(named)) }
}

/// A running program in a process group of its own. Everything that it has started ends with it, also
/// what left the group; only a process of another user is out of reach. When the group is dropped before
/// [`end`](Self::end), it is asked to end and then killed.
#[derive(Debug)]
pub struct Group {
    child: Child,
    kin: kin::Leader,
    reaped: bool,
}

impl Group {
    /// Starts the program. Of the open files it gets those that `command` names and no other.
    ///
    /// # Errors
    /// What the system says.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        // The camera's driver library opens devices so that programs started later inherit them.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let (child, kin) = kin::start(command.process_group(0))?;
        Ok(Self { child, kin, reaped: false })
    }

    /// The program, for its standard streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether the program has ended, without releasing its process id.
    pub fn has_ended(&self) -> bool {
        let Some(pid) = self.pid() else {
            return true;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
    }

    /// Waits for the program to end, without releasing its process id.
    pub fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            if self.has_ended() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Signals every process of the group.
    pub fn signal(&self, signal: Signal) {
        // The process id belongs to the child until it is reaped; after that it must not be used.
        if self.reaped {
            return;
        }
        if let Some(Err(error)) = self.pid().map(|pid| kill_process_group(pid, signal)) {
            log::debug!("cannot signal process group {}: {error}", self.child.id());
        }
    }

    /// Kills what is left of the group and whatever has left it, and waits for the program, which has
    /// ended or does so now.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait();
        self.reaped = true;
        kin::end(&self.kin);
        status
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.signal(Signal::TERM);
        self.ends_within(GRACE);
        if let Err(error) = self.end() {
            log::debug!("cannot reap process {}: {error}", self.child.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_does() {
        assert_eq!(split("a 'b c' \"d\"").unwrap(), ["a", "b c", "d"]);
        for line in ["", "  ", "open 'quote"] {
            let error = split(line).unwrap_err().to_string();
            let expected = format!("cannot split the command `{line}`: empty, or an open quote");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_program_gets_no_file_that_it_was_not_given() {
        let file = tempfile::tempfile().unwrap();
        let leaky = rustix::io::fcntl_dupfd_cloexec(&file, 200).unwrap();
        rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
        let script = format!("test ! -e /proc/$$/fd/{}", leaky.as_raw_fd());
        let mut group = Group::spawn(Command::new("sh").args(["-c", &script])).unwrap();
        assert!(group.ends_within(Duration::from_secs(60)));
        assert!(group.end().unwrap().success());
    }

    fn is_alive(pid: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !(state.is_empty() || state.contains(") Z "))
    }

    /// A program that starts two processes of sessions of their own and one without any environment, and
    /// then does `last`; gives the numbers of the first two and of the third.
    fn with_daemons(folder: &Path, last: &str) -> (Group, Vec<String>, Vec<String>) {
        let script = format!(
            r#"exec >/dev/null 2>&1 </dev/null; cd "$0"
            setsid sh -c 'setsid sleep 600 & echo $$ $! > new; mv new marked; wait' &
            env -i setsid sh -c 'echo $$ > wiped.new; mv wiped.new wiped; sleep 600' &
            while ! [ -e marked -a -e wiped ]; do sleep 0.01; done; {last}"#
        );
        let mut command = Command::new("sh");
        let group = Group::spawn(command.args(["-c", &script]).arg(folder)).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let pids = |name: &str| loop {
            if let Ok(pids) = std::fs::read_to_string(folder.join(name)) {
                return pids.split_whitespace().map(str::to_owned).collect();
            }
            assert!(Instant::now() < until, "no {name}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let (marked, wiped) = (pids("marked"), pids("wiped"));
        (group, marked, wiped)
    }

    #[test]
    fn what_leaves_the_group_ends_with_the_program_and_what_others_started_does_not() {
        let own = rustix::process::getpid();
        if let Err(error) = rustix::process::set_child_subreaper(Some(own)) {
            let emulator = std::env::var_os("CELEBCAM_RUNNER");
            assert!(emulator.is_some(), "this system adopts no processes: {error}");
            return;
        }
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (mut other, others, _) = with_daemons(folders[0].path(), "sleep 600");
        let (mut group, escaped, wiped) = with_daemons(folders[1].path(), "exit 0");
        assert!(group.ends_within(Duration::from_secs(60)));
        assert!(escaped.len() == 2 && escaped.iter().all(|pid| is_alive(pid)), "{escaped:?}");
        assert!(group.end().unwrap().success());
        assert!(!escaped.iter().chain(&wiped).any(|pid| is_alive(pid)), "{escaped:?} {wiped:?}");
        assert!(others.len() == 2 && others.iter().all(|pid| is_alive(pid)), "{others:?}");
        other.end().unwrap();
        assert!(!others.iter().any(|pid| is_alive(pid)), "{others:?}");
    }

    #[test]
    fn programs_that_cannot_be_started_are_told_with_what_to_do() {
        assert!(check_program("sh").is_ok() && check_program("/bin/sh").is_ok());
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let (folder, script) = (folder.path().to_string_lossy(), script.to_string_lossy());
        let not_on_path = "there is no program no-such-program on PATH; install it, give its path, or \
                           write sh -c '...' for what only a shell knows";
        let no_home = "cannot use ~/bin/door: No such file or directory (os error 2); no shell runs \
                       it, so ~ and $ stand for themselves";
        let cases = [
            ("no-such-program", not_on_path.to_owned()),
            ("~/bin/door", no_home.to_owned()),
            (&*folder, format!("{folder} is not a file")),
            (&*script, format!("{script} is not executable; try chmod +x")),
        ];
        for (program, expected) in cases {
            assert_eq!(check_program(program).unwrap_err().to_string(), expected);
        }
    }
}
