//! What the black-box tests share: the binary under test and pictures from outside the project.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod device;
pub mod runs;

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use image::{RgbImage, imageops};
use serde_json::Value;

/// The binary under test with none of its settings taken from the environment, and nobody in the
/// gallery.
pub fn celebcam() -> Command {
    let binary = assert_cmd::cargo::cargo_bin!("celebcam");
    let mut command = match emulator() {
        Some(emulator) => {
            let mut words = emulator.split_whitespace();
            let mut command = Command::new(program(words.next().expect("an emulator has a name")));
            command.args(words).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CELEBCAM_") && name != "CELEBCAM_ISA" {
            command.env_remove(&variable);
        }
    }
    command.env("CELEBCAM_CONFIG", "/dev/null");
    command.env("CELEBCAM_GALLERY", Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-gallery"));
    command.stdin(Stdio::null());
    command
}

/// Where a program lies, for commands that are given another `PATH`.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file()).unwrap_or_else(|| name.into())
}

/// A whole number from the environment, or `otherwise`.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The emulator and its arguments, from `CELEBCAM_RUNNER`, where the binary is built for another
/// processor.
pub fn emulator() -> Option<String> {
    std::env::var("CELEBCAM_RUNNER").ok().filter(|runner| !runner.trim().is_empty())
}

/// A file or folder of the data set; without it the test is skipped, and fails where CI must
/// have it.
pub fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CELEBCAM_DATA").map_or_else(|| "../shared".into(), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(root).join("data").join(path);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {}; set CELEBCAM_DATA", path.display()));
    None
}

/// The photo of six people that `make demo` fetches; without it the test is skipped as above.
pub fn sample_photo() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/demo/six-people.jpg");
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {}; run `make sample`", path.display()));
    None
}

/// Says that a test is skipped past the capture of the test harness; fails where CI must run it.
pub fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    say(&format!("SKIPPED: {why}"));
}

/// Whether the binary runs on an emulator that is not able to do what `case` needs, which is said
/// past the capture of the test harness.
pub fn beyond_emulation(case: &str, why: &str) -> bool {
    let emulated = emulator().is_some();
    if emulated {
        say(&format!("LEFT OUT UNDER EMULATION: {case}: {why}"));
    }
    emulated
}

fn say(message: &str) {
    writeln!(std::io::stderr(), "{message}").expect("standard error is open");
}

/// The first `count` files of a folder in the order of their names.
pub fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.truncate(count);
    files
}

/// A camera frame in which the aligned face of `crop` fills a good part of the height.
pub fn frame_of(crop: &Path) -> RgbImage {
    let crop = image::open(crop).expect("the crop can be read").into_rgb8();
    let face = imageops::resize(&crop, 280, 280, imageops::FilterType::CatmullRom);
    let mut frame = RgbImage::from_pixel(640, 480, image::Rgb([120, 120, 120]));
    imageops::replace(&mut frame, &face, 180, 100);
    frame
}

/// Each line of standard output as JSON.
pub fn json_lines(stdout: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Runs `command` and expects `code`, nothing on standard output, and every one of `words` on
/// standard error.
pub fn assert_fails(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.output().expect("celebcam runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// Numbers that a seed settles; Knuth's MMIX linear congruential generator.
pub struct Random(u64);

impl Random {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        random.share();
        random
    }

    /// From 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.share() * end as f64) as usize
    }

    /// A time of this range.
    pub fn time(&mut self, range: Range<Duration>) -> Duration {
        range.start + (range.end - range.start).mul_f64(self.share())
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }
}
