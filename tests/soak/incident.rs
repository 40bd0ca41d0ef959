//! What goes wrong, and what of it is told.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::cast::{self, Stage};
use crate::common::Random;
use crate::common::device::{Device, NEW};
use crate::director::{Director, PATIENCE, Told};
use crate::vitals::Vitals;

/// A program of the camera that ends before it was up for that long is waited for longer and longer.
const STEADY: Duration = Duration::from_secs(11);

/// A camera that stalls for less is not lost, and nobody is gone.
const SHORT_STALL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(600));

/// Something that happens while people are there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// All is well.
    Nothing,
    /// Everybody shows another picture.
    HeadTurns,
    /// The camera stalls for a moment.
    ShortStall,
    /// The camera stalls until it is given up.
    LongStall,
    /// The program of the camera ends, or is killed.
    ProgramEnds,
    /// The run is to read its gallery again.
    Hangup,
    /// Somebody is added to the gallery, or removed from it.
    GalleryChanges,
    /// Nobody reads events for a moment.
    ReaderStalls,
}

/// What comes in each round.
const ROUND: [Incident; 7] = [
    Incident::Nothing,
    Incident::HeadTurns,
    Incident::ShortStall,
    Incident::ProgramEnds,
    Incident::Hangup,
    Incident::GalleryChanges,
    Incident::ReaderStalls,
];

/// Rounds of which one has a stall until the camera is given up.
const LONG_STALL_ROUNDS: u32 = 4;

/// Incidents in an order of chance: when all have come, they come again.
pub struct Deck {
    left: Vec<Incident>,
    rounds: u32,
    with_long_stalls: bool,
    random: Random,
    had: BTreeMap<Incident, u32>,
}

impl Deck {
    /// With a long stall now and then, or without.
    pub fn new(random: Random, with_long_stalls: bool) -> Self {
        Self { left: Vec::new(), rounds: 0, with_long_stalls, random, had: BTreeMap::new() }
    }

    /// The next incident that may come now.
    fn draw(&mut self, may_come: impl Fn(Incident) -> bool) -> Incident {
        if self.left.is_empty() {
            self.left.extend(ROUND);
            self.rounds += 1;
            let is_long = self.with_long_stalls && self.rounds.is_multiple_of(LONG_STALL_ROUNDS);
            self.left.extend(is_long.then_some(Incident::LongStall));
        }
        let fit: Vec<usize> =
            (0..self.left.len()).filter(|&place| may_come(self.left[place])).collect();
        let incident = match fit[..] {
            [] => Incident::Nothing,
            _ => self.left.swap_remove(*self.random.one_of(&fit)),
        };
        *self.had.entry(incident).or_default() += 1;
        incident
    }

    /// Says how often each incident came.
    pub fn print(&self) {
        eprintln!("incidents: {:?}", self.had);
    }
}

impl Director<'_> {
    /// What happens next, when the stage has become `stage`.
    pub fn next_incident(&mut self, stage: Stage) -> Incident {
        let is_steady = self.opened.elapsed() > STEADY;
        let is_new_about = self.is_new_about(stage);
        self.deck.draw(|incident| match incident {
            Incident::ProgramEnds => is_steady,
            Incident::GalleryChanges => !is_new_about,
            _ => true,
        })
    }

    /// Lets it happen, and checks what is told of it.
    pub fn happens(&mut self, incident: Incident) {
        match incident {
            Incident::Nothing | Incident::ReaderStalls => {}
            Incident::HeadTurns => {
                let mut stage = self.stage;
                stage.take = (stage.take + 1) % cast::TAKES;
                self.show(stage);
            }
            Incident::ShortStall => {
                self.camera.stall(true);
                let time = self.random.time(SHORT_STALL.0..SHORT_STALL.1);
                self.nothing_for(time);
                self.camera.stall(false);
            }
            Incident::LongStall => self.stalls_for_long(),
            Incident::ProgramEnds => self.program_ends(),
            Incident::Hangup => self.gallery_is_read(|director| {
                director.run.signal(Signal::HUP);
            }),
            Incident::GalleryChanges => self.gallery_changes(),
        }
    }

    fn stalls_for_long(&mut self) {
        let there = self.known(self.stage);
        self.camera.stall(true);
        self.expect(there.iter().cloned().map(Told::End).collect());
        self.expect(vec![Told::Lost]);
        self.camera.stall(false);
        self.expect(vec![Told::Restored]);
        self.opened = Instant::now();
        self.expect(there.into_iter().map(Told::Start).collect());
    }

    /// Whoever is there stays, as the camera is back before they count as gone, or goes meanwhile.
    fn program_ends(&mut self) {
        let vitals = Vitals::of(self.run.pid());
        let program = vitals.children.iter().find(|child| self.camera.is(&child.command));
        let Some(pid) = program.and_then(|child| Pid::from_raw(child.pid.cast_signed())) else {
            self.fail("the camera has no program");
        };
        let way = self.random.below(3);
        self.note(&format!("the program of the camera ends in way {way}"));
        let told = match way {
            0 => kill_process(pid, Signal::USR1),
            1 => kill_process(pid, Signal::USR2),
            _ => kill_process_group(pid, Signal::KILL),
        };
        if told.is_err() {
            self.fail("the program of the camera has ended by itself");
        }
        self.expect(vec![Told::Lost]);
        let mut wanted = vec![Told::Restored];
        if self.random.share() < 0.3 {
            wanted.extend(self.show(Stage::default()));
        }
        self.expect(wanted);
        self.opened = Instant::now();
    }

    /// Does something after which the run reads its gallery again, and waits for that.
    fn gallery_is_read(&mut self, cause: impl FnOnce(&mut Self)) {
        let before = self.run.said(|said| said.galleries.0);
        cause(self);
        let people = usize::from(self.is_new_added);
        let is_read = self.run.says(PATIENCE, |said| said.galleries.0 > before);
        if !is_read || self.run.said(|said| said.galleries.1) != people {
            self.fail("the gallery is not read again");
        }
    }

    fn gallery_changes(&mut self) {
        self.gallery_is_read(|director| {
            let mut command = match director.is_new_added {
                true => director.device.celebcam(&["people", "remove", NEW]),
                false => teach(director.device),
            };
            let output = command.output().expect("celebcam runs");
            if !output.status.success() {
                director.fail(&String::from_utf8_lossy(&output.stderr));
            }
            director.is_new_added = !director.is_new_added;
        });
    }
}

/// Adds the person of the film whom the model does not know to the gallery.
pub fn teach(device: &Device) -> Command {
    let mut command = device.celebcam(&["enroll", NEW]);
    command.arg(device.folder.path().join("lessons")).stdout(Stdio::null());
    command
}
