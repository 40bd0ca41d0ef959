//! Who plays, and the folder of frames in which they do.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};

use crate::common::device::NEW;
use crate::common::{data, files};

/// Pictures of each person: one after the other they turn the head.
pub const TAKES: usize = 2;

/// Places that a face goes through, again and again.
const STEPS: usize = 4;

/// Pixels from one place to the next.
const STEP_PX: i64 = 8;

/// Side of a face in pixels.
const SIDE_PX: u32 = 150;

/// Pictures of [`NEW`] from which they are added; none of them is in the film.
const LESSONS: Range<usize> = 2..12;

/// A person of the film.
#[derive(Debug)]
pub struct Actor {
    /// As events have it.
    pub name: &'static str,
    part: &'static str,
    /// Which of their pictures are in the film; each alone is enough to say who it is.
    takes: [usize; TAKES],
}

impl Actor {
    /// Whether they have a name for a run with these people added.
    pub fn is_known(&self, is_new_added: bool) -> bool {
        self.part == "val" || self.is_new() && is_new_added
    }

    /// Whether they can be added.
    pub fn is_new(&self) -> bool {
        self.name == NEW
    }

    fn crops(&self, which: impl Iterator<Item = usize>) -> Option<Vec<PathBuf>> {
        let all = files(&data(&format!("celeb24/{}/{}", self.part, self.name))?, usize::MAX);
        Some(which.map(|place| all[place].clone()).collect())
    }

    fn faces(&self) -> Option<Vec<RgbImage>> {
        let face = |crop: &PathBuf| {
            let crop = image::open(crop).expect("the crop can be read").into_rgb8();
            imageops::resize(&crop, SIDE_PX, SIDE_PX, imageops::FilterType::CatmullRom)
        };
        Some(self.crops(self.takes.into_iter())?.iter().map(face).collect())
    }
}

const fn known(name: &'static str, takes: [usize; TAKES]) -> Actor {
    Actor { name, part: "val", takes }
}

const fn unknown(name: &'static str) -> Actor {
    Actor { name, part: "unknown", takes: [0, 1] }
}

/// Who may be in either half of the picture.
pub const ACTORS: [[Actor; 5]; 2] = [
    [
        known("Jennifer Aniston", [0, 3]),
        known("Tom Hanks", [0, 2]),
        known("Keanu Reeves", [0, 1]),
        unknown(NEW),
        unknown("Jessica Alba"),
    ],
    [
        known("Barack Obama", [0, 1]),
        known("Halle Berry", [0, 2]),
        known("Hugh Laurie", [0, 1]),
        unknown("Jennifer Lopez"),
        unknown("Lindsay Lohan"),
    ],
];

/// Pictures to add [`NEW`] from.
pub fn lessons() -> Option<Vec<PathBuf>> {
    ACTORS.iter().flatten().find(|actor| actor.is_new())?.crops(LESSONS)
}

/// Who is in the picture, by their numbers in each half, and in which of their pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stage {
    /// For each half of the picture.
    pub halves: [Option<usize>; 2],
    /// See [`TAKES`].
    pub take: usize,
}

impl Stage {
    /// Number of the first of its frames.
    fn first(&self) -> usize {
        let [left, right] = self.halves.map(|actor| actor.map_or(0, |actor| actor + 1));
        ((left * (ACTORS[1].len() + 1) + right) * TAKES + self.take) * STEPS
    }

    fn all() -> impl Iterator<Item = Self> {
        let places = |half: usize| std::iter::once(None).chain((0..ACTORS[half].len()).map(Some));
        places(0).flat_map(move |left| {
            places(1).flat_map(move |right| {
                (0..TAKES).map(move |take| Self { halves: [left, right], take })
            })
        })
    }
}

/// JPEG frames of every stage.
pub struct Film {
    frames: Vec<Vec<u8>>,
    /// Of other sizes.
    others: Vec<Vec<u8>>,
}

impl Film {
    /// Draws the film into `folder` and reads it; `None` without the data set.
    pub fn shoot(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder can be made");
        let mut faces = Vec::new();
        for half in &ACTORS {
            faces.push(half.iter().map(Actor::faces).collect::<Option<Vec<_>>>()?);
        }
        for stage in Stage::all() {
            for step in 0..STEPS {
                let frame = draw(stage, step, &faces);
                let number = stage.first() + step;
                frame.save(folder.join(format!("{number:04}.jpg"))).expect("it can be written");
            }
        }
        let frames = read_all(folder);
        let folder = folder.join("others");
        fs::create_dir_all(&folder).expect("a folder can be made");
        for (width, height) in [(320, 240), (960, 720)] {
            let path = folder.join(format!("{width}x{height}.jpg"));
            room(width, height).save(path).expect("it can be written");
        }
        Some(Self { frames, others: read_all(&folder) })
    }

    /// The frame of a stage when it has been shown for so many steps.
    pub fn frame(&self, stage: Stage, step: usize) -> &[u8] {
        &self.frames[stage.first() + step % STEPS]
    }

    /// Frames of an empty room, in other sizes.
    pub fn others(&self) -> &[Vec<u8>] {
        &self.others
    }
}

fn read_all(folder: &Path) -> Vec<Vec<u8>> {
    let files = files(folder, usize::MAX);
    let files = files.iter().filter(|file| file.is_file());
    files.map(|file| fs::read(file).expect("the frame can be read")).collect()
}

fn room(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(90 + x / 16) as u8, (100 + y / 16) as u8, 110])
    })
}

fn draw(stage: Stage, step: usize, faces: &[Vec<Vec<RgbImage>>]) -> RgbImage {
    let mut frame = room(640, 480);
    for (half, actor) in stage.halves.iter().enumerate() {
        let Some(actor) = actor else { continue };
        let moved = STEP_PX * step.min(STEPS - step) as i64;
        let x = [75, 400][half] + moved;
        imageops::replace(&mut frame, &faces[half][*actor][stage.take], x, 160);
    }
    frame
}
