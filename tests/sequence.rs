//! Films with known truth: people who move, turn, blur, leave, return and cross, with strangers
//! among them. The pipeline has to give every visit one start and one end, and nobody a wrong name.

mod common;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use celebcam::align::Aligner;
use celebcam::defaults;
use celebcam::detect::{Detector, Search};
use celebcam::event::{Event, EventKind};
use celebcam::models;
use celebcam::observe::Observer;
use celebcam::pipeline::{Pace, Pipeline, Plan, SystemClock};
use celebcam::quality::QualityLimits;
use celebcam::recognize::Recognizer;
use celebcam::sink::{self, EventSink};
use celebcam::source::{Counters, FrameSource, Received, Result};
use celebcam::system::stop::StopFlag;
use celebcam::track::VisitRules;
use celebcam::types::frame::Frame;
use common::{data, emulator, files};
use image::{RgbImage, imageops};

/// Frames a second.
const FRAME_RATE: f32 = 5.0;

/// Frames after somebody has come in which they have to be named.
const START_WITHIN: usize = 5;

/// Frames between visits: longer than the absence, and shorter.
const LONG_GAP: usize = 15;
const SHORT_GAP: usize = 6;

/// Sets of people: two who are known and a stranger.
const CASTS: [[&str; 3]; 6] = [
    ["test/Jennifer Aniston", "test/Tom Hanks", "unknown/Jessica Alba"],
    ["test/Barack Obama", "test/Kate Winslet", "unknown/Daniel Radcliffe"],
    ["test/Miley Cyrus", "test/Drew Barrymore", "unknown/lookalike"],
    ["test/Hugh Jackman", "test/Robert Downey Jr", "unknown/Jennifer Lopez"],
    ["test/Halle Berry", "test/Keanu Reeves", "unknown/Lindsay Lohan"],
    ["test/Keira Knightley", "test/Hugh Laurie", "unknown/lookalike"],
];

/// A person of the data set, whose pictures follow each other in an order that a seed gives.
struct Actor {
    name: String,
    pictures: Vec<PathBuf>,
    next: usize,
}

impl Actor {
    fn new(folder: &str, seed: usize) -> Option<Self> {
        let pictures = files(&data(&format!("celeb24/{folder}"))?, usize::MAX);
        let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
        Some(Self { name, next: seed * 7, pictures })
    }

    /// The next picture, `side` pixels on each side.
    fn face(&mut self, side: u32) -> RgbImage {
        let path = &self.pictures[self.next % self.pictures.len()];
        self.next += 1;
        let crop = image::open(path).expect("the crop can be read").into_rgb8();
        imageops::resize(&crop, side, side, imageops::FilterType::CatmullRom)
    }
}

/// One face in one frame: whose, where its centre is, how large it is and how blurred.
struct Shot {
    actor: usize,
    x: i64,
    side: u32,
    blur: f32,
}

fn shot(actor: usize, x: i64) -> Shot {
    Shot { actor, x, side: 170, blur: 0.0 }
}

/// A known person's time in the picture, in frames.
struct Visit {
    actor: usize,
    first: usize,
    last: usize,
}

/// A film's frames, each with the faces from back to front, and who of the known is there when.
#[derive(Default)]
struct Script {
    frames: Vec<Vec<Shot>>,
    visits: Vec<Visit>,
}

impl Script {
    fn empty(&mut self, frames: usize) {
        self.frames.extend((0..frames).map(|_| Vec::new()));
    }

    /// Person 0 walks through the picture, is blurred for a moment, leaves for less and then for
    /// more than the absence, and comes nearer on the second visit.
    fn walk(&mut self) {
        let first = self.frames.len();
        for step in 0..14 {
            let blur = if (6..9).contains(&step) { 3.5 } else { 0.0 };
            self.frames.push(vec![Shot { blur, ..shot(0, 100 + 32 * step) }]);
        }
        self.empty(SHORT_GAP);
        self.frames.extend((0..8).map(|step| vec![shot(0, 520 - 40 * step)]));
        self.visits.push(Visit { actor: 0, first, last: self.frames.len() - 1 });
        self.empty(LONG_GAP);
        let first = self.frames.len();
        for step in 0..10 {
            self.frames.push(vec![Shot { side: 120 + 12 * step as u32, ..shot(0, 320) }]);
        }
        self.visits.push(Visit { actor: 0, first, last: self.frames.len() - 1 });
        self.empty(LONG_GAP);
    }

    /// Actors `left` and `right` change sides; in the middle the one hides the other.
    fn cross(&mut self, left: usize, right: usize) {
        let first = self.frames.len();
        for step in 0..18 {
            self.frames.push(vec![shot(left, 110 + 24 * step), shot(right, 530 - 24 * step)]);
        }
        let last = self.frames.len() - 1;
        let known = [left, right].into_iter().filter(|&actor| actor < 2);
        self.visits.extend(known.map(|actor| Visit { actor, first, last }));
        self.empty(LONG_GAP);
    }

    /// The stranger, alone, near the camera and for long.
    fn stranger(&mut self) {
        self.frames
            .extend((0..12).map(|step| vec![Shot { side: 220, ..shot(2, 200 + 20 * step) }]));
        self.empty(LONG_GAP);
    }

    /// All of it, or where a frame takes seconds only the walk.
    fn of_everything(emulated: bool) -> Self {
        let mut script = Self::default();
        script.walk();
        if emulated {
            return script;
        }
        script.cross(0, 1);
        script.stranger();
        script.cross(1, 2);
        script
    }
}

/// Draws one frame after the other when it is asked for it.
struct FilmSource<'a> {
    script: VecDeque<&'a Vec<Shot>>,
    cast: Vec<Actor>,
    sequence: u64,
}

impl FrameSource for FilmSource<'_> {
    fn next(&mut self, _timeout: Duration) -> Result<Received> {
        let Some(shots) = self.script.pop_front() else { return Ok(Received::End) };
        let mut rgb = RgbImage::from_fn(640, 480, |x, y| {
            image::Rgb([(90 + x / 16) as u8, (100 + y / 16) as u8, 110])
        });
        for shot in shots {
            let mut face = self.cast[shot.actor].face(shot.side);
            if shot.blur > 0.0 {
                face = imageops::fast_blur(&face, shot.blur * shot.side as f32 / 112.0);
            }
            let half = i64::from(shot.side / 2);
            imageops::replace(&mut rgb, &face, shot.x - half, 240 - half);
        }
        let sequence = self.sequence;
        self.sequence += 1;
        let captured_at = Instant::now();
        Ok(Received::Frame(Frame { sequence, captured_at, rgb, reduction: 1 }))
    }

    fn name(&self) -> &str {
        "film"
    }

    fn is_looking(&self) -> bool {
        false
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

#[derive(Default)]
struct Kept(Vec<Event>);

impl EventSink for Kept {
    fn emit(&mut self, event: &Event, _frame: Option<&Frame>) -> sink::Result<()> {
        self.0.push(event.clone());
        Ok(())
    }

    fn finish(&mut self, _until: Instant) -> sink::Result<()> {
        Ok(())
    }
}

fn observer() -> Observer {
    let settings = models::settings(1).expect("the kernels are there");
    let detector = models::detector(None, &settings).expect("the detector loads");
    let detector = Detector::new(detector).expect("it is a detector").with_search(Search::Whole);
    let recognizer = models::recognizer(None, &settings).expect("the recognizer loads");
    let recognizer = Recognizer::new(recognizer, 3).expect("it is a recognizer");
    let aligner = models::aligner(&settings).expect("the aligner loads");
    let aligner = Aligner::new(aligner).expect("it is an aligner");
    Observer::new(detector, aligner, recognizer, QualityLimits::DEFAULT)
}

fn events(script: &Script, cast: Vec<Actor>, observer: &Observer) -> Vec<Event> {
    let script = script.frames.iter().collect();
    let mut source = FilmSource { script, cast, sequence: 0 };
    let mut sink = Kept::default();
    let absence = Duration::from_secs_f32(defaults::ABSENCE_S);
    let confirm_frames = defaults::CONFIRM_FRAMES;
    let rules = VisitRules { confirm_frames, absence, with_strangers: false };
    let plan = Plan { rules, pace: Pace::Film(FRAME_RATE), model: String::new() };
    Pipeline::new(&mut source, observer, &mut sink, &SystemClock, plan)
        .run(&StopFlag::default())
        .expect("the film runs");
    sink.0
}

/// Compares events with the truth: each visit has one start, in time, and one end, in the order of
/// the film; nothing else is said. Returns how many frames each start took.
fn check(title: &str, script: &Script, names: &[String], events: &[Event]) -> Vec<usize> {
    let said: Vec<_> = events.iter().map(|event| (event.event, event.name.clone())).collect();
    let mut delays = Vec::new();
    for (actor, name) in names.iter().enumerate().take(2) {
        let visits: Vec<_> = script.visits.iter().filter(|visit| visit.actor == actor).collect();
        let own: Vec<_> = events.iter().filter(|event| event.name.as_ref() == Some(name)).collect();
        assert_eq!(own.len(), 2 * visits.len(), "{title}: {name} in {said:?}");
        for (pair, visit) in own.chunks(2).zip(visits) {
            assert_eq!(pair[0].event, EventKind::Start, "{title}: {said:?}");
            assert_eq!(pair[1].event, EventKind::End, "{title}: {said:?}");
            assert_eq!(pair[0].track, pair[1].track, "{title}");
            let frame = pair[0].frame.expect("a start has a frame") as usize;
            assert!((visit.first..=visit.last).contains(&frame), "{title}: start in {frame}");
            delays.push(frame - visit.first + 1);
        }
    }
    let known = |event: &&Event| event.name.as_ref().is_some_and(|name| names[..2].contains(name));
    let wrong: Vec<_> = events.iter().filter(|event| !known(event)).collect();
    assert!(wrong.is_empty(), "{title}: {wrong:?}");
    delays
}

#[test]
fn every_visit_has_one_start_and_one_end_and_nobody_a_wrong_name() {
    let observer = observer();
    let emulated = emulator().is_some();
    let casts = if emulated { &CASTS[..1] } else { &CASTS[..] };
    let script = Script::of_everything(emulated);
    let play = |seed: usize, folders: &[&str; 3]| {
        let cast: Option<Vec<Actor>> =
            folders.iter().map(|folder| Actor::new(folder, seed)).collect();
        let cast = cast?;
        let names: Vec<String> = cast.iter().map(|actor| actor.name.clone()).collect();
        let events = events(&script, cast, &observer);
        Some(check(&names.join(", "), &script, &names, &events))
    };
    let films: Option<Vec<Vec<usize>>> = std::thread::scope(|scope| {
        let plays: Vec<_> = casts
            .iter()
            .enumerate()
            .map(|(seed, folders)| scope.spawn(move || play(seed, folders)))
            .collect();
        plays.into_iter().map(|film| film.join().expect("the film is as it should be")).collect()
    });
    let Some(films) = films else { return };
    let mut delays = films.concat();
    delays.sort_unstable();
    let in_time = delays.iter().filter(|&&delay| delay <= START_WITHIN).count();
    println!(
        "{} films of {} frames: {} visits, started after {} frames in the middle, {} at most, \
         {in_time} within {START_WITHIN}",
        films.len(),
        script.frames.len(),
        delays.len(),
        delays[delays.len() / 2],
        delays[delays.len() - 1],
    );
    assert!(10 * in_time >= 9 * delays.len(), "{delays:?}");
}
