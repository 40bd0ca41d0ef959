//! `celebcam doctor` from outside.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::device::fill;
use common::runs::{Film, PERSON, REPORT_WITHIN, STOP_WITHIN, ends_within, signal};
use common::{assert_fails, celebcam, data, files, frame_of, json_lines};
use image::{RgbImage, imageops};
use rustix::process::Signal;
use serde_json::Value;

const CHECKS: [&str; 13] = [
    "settings",
    "models",
    "gallery",
    "processor",
    "inference",
    "cameras",
    "permission",
    "frame",
    "space",
    "memory",
    "temperature",
    "clock",
    "summary",
];

/// A number that no camera has.
const NO_CAMERA: &str = "99999";

fn doctor(arguments: &[&str]) -> Command {
    let mut command = celebcam();
    command.args(["doctor", "--format", "json"]).args(arguments);
    command
}

/// Runs to the end and expects `code`, a line for each check in order, and advice for what is not well
/// alone.
fn lines_of(command: &mut Command, code: i32) -> Vec<Value> {
    let Output { status, stdout, stderr } = command.output().expect("celebcam runs");
    let message = String::from_utf8_lossy(&stderr);
    let lines = json_lines(&stdout);
    assert_eq!(status.code(), Some(code), "{message}{lines:#?}");
    assert!(!message.contains("panicked"), "{message}");
    let checks: Vec<&str> = lines.iter().filter_map(|line| line["check"].as_str()).collect();
    assert_eq!(checks, CHECKS);
    let (summary, checks) = lines.split_last().expect("there are lines");
    for line in checks {
        let status = line["status"].as_str().expect("there is a status");
        let is_well = matches!(status, "ok" | "skipped");
        assert!(is_well || matches!(status, "warning" | "failure"), "{line}");
        assert_eq!(line["advice"].is_null(), is_well, "{line}");
        assert_eq!(line["exit_code"].is_null(), status != "failure", "{line}");
        assert!(line["found"].as_str().is_some_and(|found| !found.is_empty()), "{line}");
        assert_eq!(line["schema"], 1);
    }
    assert_eq!(summary["exit_code"], code);
    lines
}

/// The line of a check.
fn line<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    lines.iter().find(|line| line["check"] == check).expect("every check has a line")
}

/// What a check has found and what to do, after its status was compared.
fn told(lines: &[Value], check: &str, status: &str) -> String {
    let line = line(lines, check);
    assert_eq!(line["status"], status, "{line}");
    format!("{} {}", line["found"], line["advice"])
}

/// A film of a grey wall.
fn wall() -> Film {
    Film::of(&[RgbImage::from_pixel(160, 120, image::Rgb([120; 3]))])
}

#[test]
fn a_source_that_works_is_ready_to_run() {
    let lines = lines_of(&mut doctor(&["--command", &wall().live()]), 0);
    for check in ["settings", "models", "gallery", "cameras", "permission"] {
        told(&lines, check, "ok");
    }
    assert!(told(&lines, "models", "ok").contains("18 people"));
    assert!(told(&lines, "gallery", "ok").contains("nobody was added"));
    assert!(told(&lines, "cameras", "ok").contains("none needed"));
    let inference = line(&lines, "inference")["found"].as_str().expect("it is text");
    assert!(inference.contains("a picture of the source with 0 faces"), "{inference}");
    let frame = told(&lines, "frame", "ok");
    for words in ["160x120", " a second", "brightness 120 of 255"] {
        assert!(frame.contains(words), "{frame}");
    }
    let processor = line(&lines, "processor")["found"].as_str().expect("it is text");
    assert!(processor.contains(" core"), "{processor}");
}

#[test]
fn people_get_plain_lines_with_advice_and_a_sum() {
    let output = celebcam()
        .args(["doctor", "--command", "no-such-program -o -"])
        .output()
        .expect("celebcam runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("it is text");
    assert!(!text.contains('\x1b'), "{text}");
    for (check, line) in CHECKS[..12].iter().zip(text.lines().filter(|line| !line.starts_with(' ')))
    {
        assert_eq!(line.split_whitespace().nth(1), Some(*check), "{text}");
    }
    assert!(text.contains("\nfailure  permission   there is no program no-such-program"), "{text}");
    assert!(text.contains("-> For a CSI camera"), "{text}");
    assert!(text.contains("\nskipped  frame"), "{text}");
    assert!(
        text.trim_end().ends_with('.') && text.contains("Not ready to run: 1 failure (permission)")
    );
}

#[test]
fn a_source_that_gives_nothing_fails_in_time() {
    for (command, words) in
        [("true", "ended with"), ("sleep 600", "gave no picture for 10 seconds")]
    {
        let started = Instant::now();
        let lines = lines_of(&mut doctor(&["--command", command]), 1);
        let frame = told(&lines, "frame", "failure");
        assert!(frame.contains(words) && frame.contains("celebcam -v doctor --command"), "{frame}");
        assert!(told(&lines, "permission", "ok").contains("can be started"));
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn black_and_broken_pictures_are_warned_of() {
    let film = Film::of(&[RgbImage::new(64, 48)]);
    let lines = lines_of(&mut doctor(&["--command", &film.live()]), 0);
    assert!(told(&lines, "frame", "warning").contains("cap off the lens"));
    let film = wall();
    let mut stream = std::fs::read(&film.mjpeg).expect("the film can be read");
    let whole = stream.clone();
    let middle = stream.len() / 2;
    stream.truncate(middle);
    stream.extend(&whole);
    std::fs::write(&film.mjpeg, stream).expect("the film can be written");
    let lines = lines_of(&mut doctor(&["--command", &film.live()]), 0);
    assert!(told(&lines, "frame", "warning").contains("corrupt"));
}

#[test]
fn models_that_cannot_be_used_fail_and_everything_else_is_looked_at() {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), "no model").expect("the file can be written");
    let film = wall();
    let path = file.path().to_string_lossy();
    let lines = lines_of(
        &mut doctor(&["--model", &path, "--detector", "/no/such.onnx", "--command", &film.live()]),
        78,
    );
    let models = told(&lines, "models", "failure");
    assert!(models.contains("not an ONNX file") && models.contains("/no/such.onnx"), "{models}");
    told(&lines, "inference", "skipped");
    assert_eq!(line(&lines, "frame")["exit_code"], Value::Null);
}

#[test]
fn a_gallery_that_cannot_be_used_fails() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("people");
    fill(&path, &["Ann", "Bob"]);
    let gallery = path.to_string_lossy();
    let pictures = wall();
    let pictures = pictures.pictures.to_string_lossy();
    let lines = lines_of(&mut doctor(&["--gallery", &gallery, "--pictures", &pictures]), 78);
    let told = told(&lines, "gallery", "failure");
    assert!(told.contains("made with the model another") && told.contains("mv "), "{told}");
}

#[test]
fn without_the_camera_the_exit_code_says_so() {
    let lines = lines_of(&mut doctor(&["--camera", NO_CAMERA]), 69);
    assert!(told(&lines, "cameras", "failure").contains("there is no /dev/video99999"));
    told(&lines, "permission", "skipped");
    told(&lines, "frame", "skipped");
    assert!(told(&lines, "summary", "failure").contains("Not ready to run: 1 failure (cameras)"));
    let inference = line(&lines, "inference")["found"].as_str().expect("it is text");
    assert!(inference.contains("a made-up picture"), "{inference}");
}

#[test]
fn pictures_are_a_source_too() {
    let film = wall();
    let lines = lines_of(&mut doctor(&["--pictures", &film.pictures.to_string_lossy()]), 0);
    assert!(told(&lines, "frame", "ok").contains("160x120"));
    let lines = lines_of(&mut doctor(&["--pictures", "/no/such/folder"]), 66);
    assert!(told(&lines, "frame", "failure").contains("/no/such/folder"));
}

#[test]
fn the_settings_of_a_run_count_but_not_its_format() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("celebcam.toml");
    let faces = folder.path().join("faces");
    let settings = format!(
        "camera = {NO_CAMERA}\nformat = \"json\"\non-event = \"no-such-greeter\"\nsnapshot = {faces:?}\n"
    );
    std::fs::write(&file, settings).expect("the file can be written");
    let with_file = |arguments: &[&str]| {
        let mut command = celebcam();
        command.arg("--config").arg(&file).arg("doctor").args(arguments);
        command
    };
    let lines = lines_of(&mut with_file(&["--format", "json"]), 78);
    assert!(told(&lines, "settings", "failure").contains("no-such-greeter"));
    assert!(told(&lines, "cameras", "failure").contains("/dev/video99999"));
    assert!(line(&lines, "space")["found"].as_str().is_some_and(|it| it.contains("snapshots")));
    assert!(!faces.exists(), "nothing is written");
    let text = with_file(&["--on-event", "true"]).output().expect("celebcam runs");
    assert_eq!(text.status.code(), Some(69));
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let said = format!(
        "ok       settings     2 settings of {}, 1 of the environment, 1 of the command line",
        file.display()
    );
    assert!(text.starts_with(&said), "{text}");
    std::fs::write(&file, "camra = 1").expect("the file can be written");
    assert_fails(&mut with_file(&[]), 78, &["did you mean camera?"]);
}

#[test]
fn kernels_that_the_processor_lacks_are_a_failure() {
    let mut command = doctor(&["--camera", NO_CAMERA]);
    let lines = lines_of(command.env("CELEBCAM_ISA", "quantum"), 78);
    assert!(told(&lines, "processor", "failure").contains("unset CELEBCAM_ISA"));
    told(&lines, "models", "ok");
}

#[test]
fn a_signal_ends_the_look_with_everything_it_started() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("pid");
    let program = format!("sh -c 'echo $$ > {}; exec sleep 600'", file.display());
    let mut child =
        doctor(&["--command", &program]).stdout(Stdio::null()).spawn().expect("celebcam starts");
    let until = Instant::now() + REPORT_WITHIN;
    let number = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim_end().to_owned();
        }
        assert!(Instant::now() < until, "no program was started");
        std::thread::sleep(Duration::from_millis(20));
    };
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    assert!(!Path::new("/proc").join(number).exists());
}

#[test]
fn a_camera_that_hangs_upside_down_is_told_with_what_to_do() {
    let Some(crops) = data(&format!("celeb24/val/{PERSON}")) else { return };
    let frame = frame_of(&files(&crops, 1)[0]);
    let film = Film::of(&[imageops::rotate180(&frame)]);
    let pictures = film.pictures.to_string_lossy();
    let lines = lines_of(&mut doctor(&["--pictures", &pictures]), 0);
    assert!(told(&lines, "frame", "warning").contains("celebcam run --rotate 180"));
    let lines = lines_of(&mut doctor(&["--pictures", &pictures, "--rotate", "180"]), 0);
    told(&lines, "frame", "ok");
}

#[test]
fn a_camera_in_the_network_needs_its_reader_and_keeps_its_secrets() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let address = ["--camera", "rtsp://ann:secret@10.0.0.5/stream1"];
    let lines = lines_of(doctor(&address).env("PATH", folder.path()), 78);
    let cameras = told(&lines, "cameras", "ok");
    assert!(cameras.contains("the network camera rtsp://***@10.0.0.5/stream1"), "{cameras}");
    assert!(told(&lines, "permission", "failure").contains("sudo apt install ffmpeg"));
    told(&lines, "frame", "skipped");
    assert!(lines.iter().all(|line| !line.to_string().contains("secret")), "{lines:#?}");
}
