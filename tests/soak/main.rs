//! An accelerated soak: people come and go before a camera on which everything goes wrong, and the
//! run has to tell the truth, event by event, and take no more memory, descriptors, threads and
//! children than at its start. `CELEBCAM_SOAK_FRAMES` says how long, `CELEBCAM_SOAK_SEED` how.

mod camera;
mod cast;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod director;
mod health;
mod incident;
mod run;
mod vitals;

use std::fs;
use std::time::Duration;

use camera::Camera;
use cast::Film;
use common::device::Device;
use common::{Random, beyond_emulation, json_lines};
use director::{ABSENCE, Director};
use incident::Deck;
use run::Run;

/// Frames through the pipeline when nobody says how many, and the longest time to take them, on a
/// machine that has other work.
const FRAMES: u64 = 1500;
const FRAMES_WITHIN: Duration = Duration::from_secs(60);

/// Frames from which on there is time for stalls of the camera until it is given up.
const LONG_FRAMES: u64 = 10_000;

/// Frames a second to take, which leave time to look for faces five times a second.
const MAX_FPS: f64 = if cfg!(debug_assertions) { 60.0 } else { 300.0 };

/// How many times as many the camera gives.
const SURPLUS: f64 = 1.5;

/// A number from the environment, if it is there.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn people_come_and_go_while_everything_goes_wrong() {
    if beyond_emulation("an accelerated soak", "it takes hundreds of frames a second") {
        return;
    }
    let wanted = number("CELEBCAM_SOAK_FRAMES");
    let within = if wanted.is_some() { Duration::MAX } else { FRAMES_WITHIN };
    let frames = wanted.unwrap_or(FRAMES);
    let seed = number("CELEBCAM_SOAK_SEED").unwrap_or(1);
    let device = Device::new();
    let folder = device.folder.path();
    let Some(film) = Film::shoot(&folder.join("film")) else { return };
    let Some(lessons) = cast::lessons() else { return };
    let lessons = device.photos(&lessons);
    fs::create_dir(folder.join("lessons")).expect("a folder can be made");
    for photo in lessons {
        let name = photo.file_name().expect("a photo has a name");
        fs::rename(&photo, folder.join("lessons").join(name)).expect("it can be moved");
    }
    assert!(incident::teach(&device).status().expect("celebcam runs").success());
    eprintln!("{frames} frames with the seed {seed}");
    let random = |stream: u64| Random::new(seed.wrapping_mul(3).wrapping_add(stream));
    let camera = Camera::start(folder, film, MAX_FPS * SURPLUS, random(0));
    let told = folder.join("told");
    let mut command = device.celebcam(&["run", "--format", "json"]);
    command.args(["--absence", &ABSENCE.as_secs().to_string()]);
    command.args(["--max-fps", &MAX_FPS.to_string(), "--command", &camera.command()]);
    command.args(["--on-event", &format!("sh -c 'cat >> \"$0\"' '{}'", told.display())]);
    command.arg("--snapshot").arg(folder.join("snapshots")).args(["--snapshot-limit", "500K"]);
    let run = Run::start(&mut command);
    let deck = Deck::new(random(1), frames >= LONG_FRAMES);
    let events = Director::new(run, camera, &device, random(2), deck).direct(frames, within);
    let told = json_lines(&fs::read(told).expect("the command was run"));
    assert!(told.iter().all(|event| events.contains(event)), "commands get what is printed");
    println!("{} events, {} commands", events.len(), told.len());
}
