//! A camera that is a program: the run starts it, and it passes on the frames that come through a
//! FIFO, by the clock and now and then damaged.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cast::{Film, Stage};
use crate::common::Random;
use crate::damage::{self, Damage};

/// Time for which a face stays in one place.
const STEP_TIME: Duration = Duration::from_millis(100);

/// Ends when it is told to, well (SIGUSR1) or not (SIGUSR2).
const PROGRAM: &str = "\
trap 'kill $!; exit 0' USR1
trap 'kill $!; echo out of film >&2; exit 3' USR2
cat \"$0.frames\" &
wait
";

#[derive(Default)]
struct State {
    stage: Stage,
    stalled: bool,
    written: u64,
    damaged: BTreeMap<Damage, u64>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the camera sees, and how well.
pub struct Camera {
    shared: Arc<Shared>,
    program: PathBuf,
}

impl Camera {
    /// Takes that many frames a second of an empty stage.
    pub fn start(folder: &Path, film: Film, rate: f64, random: Random) -> Self {
        let program = folder.join("camera.sh");
        fs::write(&program, PROGRAM).expect("the script can be written");
        let frames = folder.join("camera.sh.frames");
        let made = Command::new("mkfifo").arg(&frames).status().expect("mkfifo is there");
        assert!(made.success(), "a FIFO can be made");
        // Open on both ends, it has a reader between two programs, too.
        let fifo = OpenOptions::new().read(true).write(true).open(frames);
        let fifo = fifo.expect("the FIFO can be opened");
        let shared = Arc::<Shared>::default();
        let work = Projector { film, fifo, shared: Arc::clone(&shared), random };
        // It is left behind at the end, when nobody takes its frames any more.
        std::thread::spawn(move || work.project(Duration::from_secs_f64(1.0 / rate)));
        Self { shared, program }
    }

    /// The command line for the run.
    pub fn command(&self) -> String {
        format!("sh '{}'", self.program.display())
    }

    /// Whether a process of this command line is the camera.
    pub fn is(&self, command: &str) -> bool {
        command.contains(&*self.program.to_string_lossy())
    }

    /// What it sees from now on.
    pub fn show(&self, stage: Stage) {
        self.shared.lock().stage = stage;
    }

    /// Stops in the middle of a frame, or goes on.
    pub fn stall(&self, stalled: bool) {
        self.shared.lock().stalled = stalled;
        self.shared.changed.notify_all();
    }

    /// Says how many frames it took, and how many of them were damaged how.
    pub fn print(&self) {
        let state = self.shared.lock();
        eprintln!("{} frames of the camera, damaged: {:?}", state.written, state.damaged);
    }
}

/// The camera's thread.
struct Projector {
    film: Film,
    fifo: File,
    shared: Arc<Shared>,
    random: Random,
}

impl Projector {
    fn project(mut self, interval: Duration) -> io::Result<()> {
        let started = Instant::now();
        let mut due = started;
        loop {
            let bytes = self.next_frame(started.elapsed());
            let (start, rest) = bytes.split_at(self.random.below(bytes.len().max(1)));
            self.fifo.write_all(start)?;
            self.wait_while_stalled();
            self.fifo.write_all(rest)?;
            // A program that was away gets no old frames.
            due = (due + interval).max(Instant::now() - interval);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn next_frame(&mut self, time: Duration) -> Vec<u8> {
        let damage = damage::next(&mut self.random);
        let stage = {
            let mut state = self.shared.lock();
            state.written += 1;
            if let Some(damage) = damage {
                *state.damaged.entry(damage).or_default() += 1;
            }
            state.stage
        };
        let step = time.as_millis() / STEP_TIME.as_millis();
        let frame = self.film.frame(stage, step as usize);
        match damage {
            Some(damage) => damage.done_to(frame, self.film.others(), &mut self.random),
            None => frame.to_vec(),
        }
    }

    fn wait_while_stalled(&self) {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_while(state, |state| state.stalled);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
