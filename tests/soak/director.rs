//! Sends people onto the stage and off it, lets things go wrong, and compares what is told with the
//! truth, event by event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::camera::Camera;
use crate::cast::{ACTORS, Actor, Stage};
use crate::common::Random;
use crate::common::device::Device;
use crate::health::Health;
use crate::incident::{Deck, Incident};
use crate::run::{Run, Status};

/// How long somebody must not be seen to have gone. Longer than a camera needs to come back.
pub const ABSENCE: Duration = Duration::from_secs(3);

/// Time after which nothing is left of somebody who was on the stage.
const FORGOTTEN: Duration = Duration::from_secs(4);

/// Time for which nothing changes, at least and at most.
const DWELL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(700));

/// Longest time for anything that has to be told, on a slow machine that has other work.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at the run's health and at what it says of itself.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Lines of the story that are told when something is wrong.
const KEPT_LINES: usize = 40;

/// Something that a run tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Somebody came.
    Start(String),
    /// Somebody went.
    End(String),
    /// The camera is away.
    Lost,
    /// The camera is back.
    Restored,
    /// What never happens.
    Other(String),
}

impl Told {
    fn read(event: &Value) -> Self {
        let name = || event["name"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("start") => Self::Start(name()),
            Some("end") => Self::End(name()),
            Some("camera_lost") => Self::Lost,
            Some("camera_restored") => Self::Restored,
            _ => Self::Other(event.to_string()),
        }
    }
}

/// The one who knows what happens.
pub struct Director<'a> {
    pub(crate) run: Run,
    pub(crate) camera: Camera,
    pub(crate) device: &'a Device,
    pub(crate) random: Random,
    pub(crate) deck: Deck,
    pub(crate) stage: Stage,
    /// When somebody left either half of the stage.
    left_at: [Instant; 2],
    /// When the program of the camera was started.
    pub(crate) opened: Instant,
    pub(crate) is_new_added: bool,
    /// Everybody who was told to be there, with the numbers of the visits.
    visits: BTreeMap<String, u64>,
    pub(crate) events: Vec<Value>,
    health: Health,
    started: Instant,
    looked: Instant,
    asked: u64,
    answered: Instant,
    story: VecDeque<String>,
}

impl<'a> Director<'a> {
    /// The stage is empty, and everybody is in the gallery.
    pub fn new(run: Run, camera: Camera, device: &'a Device, random: Random, deck: Deck) -> Self {
        let now = Instant::now();
        let health = Health::new(run.pid());
        Self {
            run,
            camera,
            device,
            random,
            deck,
            stage: Stage::default(),
            left_at: [now - FORGOTTEN; 2],
            opened: now,
            is_new_added: true,
            visits: BTreeMap::new(),
            events: Vec::new(),
            health,
            started: now,
            looked: now,
            asked: 0,
            answered: now,
            story: VecDeque::new(),
        }
    }

    /// Directs until so many frames have gone through the pipeline or the time is over, and stops
    /// the run. Two people come first, so that a run soon has all that it ever holds. Gives all
    /// events.
    pub fn direct(mut self, frames: u64, within: Duration) -> Vec<Value> {
        self.change(Stage { halves: [Some(0); 2], take: 0 });
        while self.status().frames < frames && self.started.elapsed() < within {
            let stage = self.next_stage();
            let incident = self.next_incident(stage);
            self.note(&format!("next: {incident:?}"));
            if incident == Incident::ReaderStalls {
                self.change_unread(stage);
            } else {
                self.change(stage);
                self.dwell();
                self.happens(incident);
            }
            self.dwell();
            self.settle();
        }
        self.finish()
    }

    /// Who of those on a stage have a name.
    pub(crate) fn known(&self, stage: Stage) -> Vec<String> {
        let halves = ACTORS.iter().zip(stage.halves);
        let actors = halves.filter_map(|(half, place)| place.map(|place| &half[place]));
        let known = actors.filter(|actor| actor.is_known(self.is_new_added));
        known.map(|actor| actor.name.to_owned()).collect()
    }

    /// Whether somebody whom a changed gallery would give or take a name is on this stage, or may
    /// have left it only just now.
    pub(crate) fn is_new_about(&self, stage: Stage) -> bool {
        ACTORS.iter().enumerate().any(|(half, actors)| match stage.halves[half] {
            Some(place) => actors[place].is_new(),
            None => {
                let is_empty = self.stage.halves[half].is_none();
                let is_forgotten = is_empty && self.left_at[half].elapsed() > FORGOTTEN;
                actors.iter().any(Actor::is_new) && !is_forgotten
            }
        })
    }

    /// In one half of the stage or in both, who is there goes, and where nobody is, somebody comes.
    /// The stage is seldom empty, as a run takes few frames then.
    fn next_stage(&mut self) -> Stage {
        let mut stage = self.stage;
        let first = self.random.below(2);
        let (is_both, may_be_empty) = (self.random.share() < 0.5, self.random.share() < 0.25);
        self.change_half(&mut stage, first);
        if is_both || !may_be_empty && stage.halves == [None; 2] {
            self.change_half(&mut stage, 1 - first);
        }
        stage
    }

    fn change_half(&mut self, stage: &mut Stage, half: usize) {
        stage.halves[half] = match stage.halves[half] {
            Some(_) => None,
            None if self.left_at[half].elapsed() < FORGOTTEN => None,
            None => Some(self.random.below(ACTORS[half].len())),
        };
    }

    /// What will be told when the stage becomes `stage`.
    fn change_is_told(&self, stage: Stage) -> Vec<Told> {
        let (before, after) = (self.known(self.stage), self.known(stage));
        let gone = before.iter().filter(|name| !after.contains(name)).cloned().map(Told::End);
        let come = after.iter().filter(|name| !before.contains(name)).cloned().map(Told::Start);
        gone.chain(come).collect()
    }

    /// Shows another stage and gives what will be told.
    pub(crate) fn show(&mut self, stage: Stage) -> Vec<Told> {
        let wanted = self.change_is_told(stage);
        for half in 0..2 {
            if stage.halves[half].is_none() && self.stage.halves[half].is_some() {
                self.left_at[half] = Instant::now();
            }
        }
        self.stage = stage;
        self.note(&format!("shown: {:?} in take {}", self.known(stage), stage.take));
        self.camera.show(stage);
        wanted
    }

    fn change(&mut self, stage: Stage) {
        let wanted = self.show(stage);
        self.expect(wanted);
    }

    fn change_unread(&mut self, stage: Stage) {
        let wanted = self.show(stage);
        let pause = self.random.time(DWELL.0..DWELL.1);
        let unread = self.run.unread();
        std::thread::sleep(pause);
        drop(unread);
        self.expect(wanted);
    }

    fn dwell(&mut self) {
        let time = self.random.time(DWELL.0..DWELL.1);
        self.nothing_for(time);
    }

    /// Waits for all of these to be told, in any order, and nothing else.
    pub(crate) fn expect(&mut self, mut wanted: Vec<Told>) {
        while !wanted.is_empty() {
            let Some(told) = self.hear(PATIENCE) else {
                self.fail(&format!("not told: {wanted:?}"));
            };
            match wanted.iter().position(|wanted| *wanted == told) {
                Some(place) => drop(wanted.remove(place)),
                None => self.fail(&format!("told: {told:?}, not {wanted:?}")),
            }
        }
    }

    /// Nothing must be told for that long.
    pub(crate) fn nothing_for(&mut self, time: Duration) {
        if let Some(told) = self.hear(time) {
            self.fail(&format!("told: {told:?}, and nothing had happened"));
        }
    }

    /// The next event, if there is one in time; meanwhile the run's health is looked at. Time for
    /// which the whole machine stands still does not count.
    fn hear(&mut self, mut left: Duration) -> Option<Told> {
        loop {
            self.look();
            let part = left.min(LOOK_EVERY);
            match self.run.event(part) {
                Ok(event) => return Some(self.take(event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.fail("celebcam has ended"),
            }
            left -= part;
            if left.is_zero() {
                return None;
            }
        }
    }

    fn take(&mut self, event: Value) -> Told {
        let told = Told::read(&event);
        self.note(&format!("told: {told:?} {} {}", event["track"], event["confidence"]));
        let track = event["track"].as_u64();
        match &told {
            Told::Start(name) => {
                let before = self.visits.insert(name.clone(), track.unwrap_or_default());
                if before.is_some() {
                    self.fail(&format!("told: {told:?}, who had not gone"));
                }
            }
            Told::End(name) if self.visits.remove(name) != track => {
                self.fail(&format!("told: {told:?} of another visit"));
            }
            _ => {}
        }
        self.events.push(event);
        told
    }

    /// What the run said of itself last.
    pub(crate) fn status(&self) -> Status {
        self.run.said(|said| said.statuses.1)
    }

    /// Asks the run how it is, and looks at its memory.
    fn look(&mut self) {
        if self.looked.elapsed() > LOOK_EVERY {
            self.look_now();
        }
    }

    fn look_now(&mut self) {
        self.looked = Instant::now();
        let (answers, status) = self.run.said(|said| said.statuses);
        if answers == self.asked {
            self.answered = Instant::now();
            self.asked += 1;
            self.run.signal(Signal::USR1);
        } else if self.answered.elapsed() > PATIENCE {
            self.fail("it does not say how it is");
        }
        if let Err(why) = self.health.look(status.frames) {
            self.fail(&why);
        }
        if let Some(line) = self.health.line_if_due() {
            eprintln!("{line}, {}", self.counts());
        }
    }

    fn counts(&self) -> String {
        let Status { dropped, corrupt, reopened, .. } = self.status();
        let starts = self.events.iter().filter(|event| event["event"] == "start").count();
        format!(
            "{dropped} dropped, {corrupt} corrupt, {reopened} reopened, {starts} visits, {} s",
            self.started.elapsed().as_secs()
        )
    }

    /// Waits until the run takes no more of the system than it does at rest.
    fn settle(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.health.is_at_rest(|command| self.camera.is(command)) {
                Ok(()) => return,
                Err(why) if Instant::now() > until => self.fail(&why),
                Err(_) => self.nothing_for(Duration::from_millis(50)),
            }
        }
    }

    /// The run is asked to stop while the camera stalls and somebody is there.
    fn finish(mut self) -> Vec<Value> {
        while self.visits.is_empty() {
            let stage = self.next_stage();
            self.change(stage);
        }
        self.camera.stall(true);
        self.dwell();
        self.look_now();
        let answers = self.run.said(|said| said.statuses.0);
        self.run.signal(Signal::USR1);
        assert!(self.run.says(PATIENCE, |said| said.statuses.0 > answers), "it says how it is");
        eprintln!("{}, {}", self.health.line(), self.counts());
        eprintln!("{}", self.run.said(|said| said.status_line.clone()));
        self.camera.print();
        self.deck.print();
        let lost = self.events.iter().filter(|event| event["event"] == "camera_lost").count();
        assert!(self.status().reopened >= lost as u64, "it opened what it had lost");
        let mut wanted: Vec<Told> = self.visits.into_keys().map(Told::End).collect();
        let last = self.run.stops();
        for event in last.iter().map(Told::read) {
            let place = wanted.iter().position(|wanted| *wanted == event);
            let place = place.unwrap_or_else(|| panic!("told at the end: {event:?}"));
            wanted.remove(place);
        }
        assert!(wanted.is_empty(), "not told at the end: {wanted:?}");
        self.events.extend(last);
        self.events
    }

    /// Adds a line to the story.
    pub(crate) fn note(&mut self, line: &str) {
        if self.story.len() == KEPT_LINES {
            self.story.pop_front();
        }
        let time = self.started.elapsed().as_secs_f64();
        self.story.push_back(format!("{time:9.3} s, frame {}: {line}", self.status().frames));
    }

    /// Something is wrong.
    pub(crate) fn fail(&self, why: &str) -> ! {
        let story = self.story.iter().cloned().collect::<Vec<_>>().join("\n  ");
        let log = self.run.said(|said| said.lines.iter().cloned().collect::<Vec<_>>().join("\n  "));
        panic!(
            "{why}\nThe story so far:\n  {story}\nThe log:\n  {log}\n{}, {}",
            self.health.line(),
            self.counts()
        );
    }
}
