//! The gallery's file from outside: writers that are killed, and a run that takes up what changes.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use celebcam::gallery::store;
use common::device::{Device, NEW, OWN, crops, fill, fill_for, film};
use common::{Random, beyond_emulation, celebcam, files, json_lines};
use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tract_onnx::pb::ModelProto;

#[test]
fn killed_at_any_moment_the_old_gallery_is_left_or_the_new() {
    if beyond_emulation("killing many writers", "each takes seconds to start") {
        return;
    }
    let device = Device::new();
    let names: Vec<String> = (0..1500).map(|number| format!("Person {number}")).collect();
    fill(&device.gallery(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let first = || {
        let gallery = store::read(&device.gallery()).expect("it is whole").expect("it is there");
        assert_eq!(gallery.people().len(), names.len());
        gallery.people()[0].name.to_string()
    };
    let rename = |to: &str| device.celebcam(&["people", "rename", &first(), to]);
    let started = Instant::now();
    assert!(rename("Zero").output().expect("celebcam runs").status.success());
    let whole = started.elapsed();
    let (mut old, mut new) = (0, 0);
    let mut random = Random::new(1);
    for round in 0..60 {
        let (before, after) = (first(), format!("Round {round}"));
        let mut child = rename(&after).stdout(Stdio::null()).spawn().expect("celebcam starts");
        // The file is written towards the end.
        std::thread::sleep(whole.mul_f64(0.4 + 0.8 * random.share()));
        child.kill().expect("the process is ours");
        child.wait().expect("the process is ours");
        match first() {
            name if name == before => old += 1,
            name if name == after => new += 1,
            name => panic!("{name} was never written"),
        }
    }
    println!("killed {old} times before the new gallery was there, {new} times after");
    assert!(old > 0 && new > 0, "{old} {new}");
    assert!(rename("Last").output().expect("celebcam runs").status.success());
    let folder = device.gallery().parent().expect("a folder").to_owned();
    assert_eq!(files(&folder, 10).len(), 2, "the gallery and its lock, and nothing half-written");
}

/// Longest time until a run knows somebody new.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(2);

/// A run over pictures, and what it says on standard error.
struct Run {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Receiver<String>,
}

impl Run {
    fn start(device: &Device, arguments: &[&str], pictures: &Path) -> Self {
        let mut child = device
            .celebcam(&["run", "--format", "json", "--fps", "10", "--confirm", "1"])
            .args(arguments)
            .arg("--pictures")
            .arg(pictures)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("celebcam starts");
        let messages = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            messages.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let run = Self { child, stdout, log };
        run.says("watching", Duration::from_secs(60));
        run
    }

    /// Waits for a line with these words.
    fn says(&self, words: &str, within: Duration) -> String {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("no {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Waits for the next event.
    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("standard output can be read");
        serde_json::from_str(&line).expect("the line is JSON")
    }
}

#[test]
fn a_run_takes_up_a_changed_gallery_without_losing_a_frame() {
    let why = "frames take longer than a person may to be known";
    if beyond_emulation("a gallery that changes while frames come", why) {
        return;
    }
    let Some((new, _)) = crops(10) else { return };
    let device = Device::new();
    let film = film(&device, &new[5..]);
    let photos = device.photos(&new[..5]);
    let mut run = Run::start(&device, &["--repeat"], &film);
    device.succeeds(&["enroll", NEW], &photos);
    let enrolled = Instant::now();
    let event = run.event();
    assert_eq!((&event["event"], &event["name"]), (&"start".into(), &NEW.into()));
    assert!(enrolled.elapsed() < TAKEN_UP_WITHIN, "{:?}", enrolled.elapsed());

    run.signal(Signal::HUP);
    run.says("gallery read again, people: 1", TAKEN_UP_WITHIN);
    fs::write(device.gallery(), "broken").expect("a file can be written");
    run.says("the people known so far stay known", TAKEN_UP_WITHIN);
    fs::remove_file(device.gallery()).expect("the file is there");
    run.says("people: 0", TAKEN_UP_WITHIN);
    let event = run.event();
    assert_eq!((&event["event"], &event["name"]), (&"end".into(), &NEW.into()));

    run.signal(Signal::TERM);
    let summary = run.says("frames,", Duration::from_secs(10));
    assert!(summary.contains(" 0 dropped, 0 corrupt"), "{summary}");
    assert_eq!(run.child.wait().expect("the process is ours").code(), Some(0));
}

/// Writes a copy of the built-in model that knows how alike strangers are: among 18 people nearly any
/// likeness makes a name, among thousands none does. Gives its path and its fingerprint.
fn model_with_impostors(device: &Device) -> (PathBuf, String) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/celebrities.onnx");
    let bytes = fs::read(shipped).expect("the model can be read");
    let mut model = ModelProto::decode(&bytes[..]).expect("the model is ONNX");
    let entries = &mut model.metadata_props;
    let entry = entries.iter_mut().find(|entry| entry.key == "celebcam.decision");
    let entry = entry.expect("the key is there");
    let mut decision: Value = serde_json::from_str(&entry.value).expect("it is JSON");
    let point = |(false_matches, similarity): (f64, f64)| serde_json::json!({ "false_matches": false_matches, "similarity": similarity });
    let curve = [(1e-12, 1.0), (1e-6, 0.95), (2e-5, 0.1), (0.1, 0.0)];
    decision["impostors"] = curve.map(point).to_vec().into();
    for (key, value) in [("false_accepts", 0.001), ("slope", 10.0), ("intercept", -2.0)] {
        decision[key] = value.into();
    }
    entry.value = decision.to_string();
    let path = device.folder.path().join("impostors.onnx");
    fs::write(&path, model.encode_to_vec()).expect("a file can be written");
    let output = celebcam().args(["model", "--format", "json"]).arg(&path).output();
    let shown = json_lines(&output.expect("celebcam runs").stdout);
    (path, shown[0]["fingerprint"].as_str().expect("a fingerprint").to_owned())
}

#[test]
fn the_threshold_follows_the_people_also_in_a_run() {
    if beyond_emulation("a threshold that follows the people", "frames take too long") {
        return;
    }
    let Some((_, own)) = crops(5) else { return };
    let device = Device::new();
    let (model, fingerprint) = model_with_impostors(&device);
    let model = model.to_string_lossy();
    let rule = |people: usize| {
        let names: Vec<String> = (0..people).map(|number| format!("Person {number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        fill_for(&fingerprint, &device.gallery(), &names);
        let (out, log) = device.succeeds(&["people", "--format", "json", "--model", &model], &[]);
        let rule = json_lines(out.as_bytes())[0]["rule"].clone();
        assert_eq!(rule["people"], people + 18);
        assert!(log.contains(&format!("among {} people", people + 18)), "{log}");
        assert!(log.contains("0.10 % of strangers' faces get a name"), "{log}");
        rule["similarity"].as_f64().expect("a number")
    };
    let among_few = rule(1);
    let film = film(&device, &own);
    let mut run = Run::start(&device, &["--repeat", "--model", &model], &film);
    let event = run.event();
    assert_eq!((&event["event"], &event["name"]), (&"start".into(), &OWN.into()));
    let among_many = rule(1500);
    assert!(among_few < 0.2 && among_many > 0.9, "{among_few} {among_many}");
    run.says("people: 1500", TAKEN_UP_WITHIN);
    let event = run.event();
    assert_eq!((&event["event"], &event["name"]), (&"end".into(), &OWN.into()));
    run.signal(Signal::TERM);
    assert_eq!(run.child.wait().expect("the process is ours").code(), Some(0));
}

#[test]
fn every_frame_is_worked_on_while_the_gallery_changes() {
    if beyond_emulation("a gallery that changes with every frame", "frames take too long") {
        return;
    }
    let Some((new, _)) = crops(30) else { return };
    let device = Device::new();
    let film = film(&device, &new);
    let mut run = Run::start(&device, &[], &film);
    for name in ["Ann", "Bob", "Cid"] {
        device.succeeds(&["enroll", name, "--force"], &device.photos(&new[..2]));
        run.signal(Signal::HUP);
    }
    run.says("30 frames, 0 dropped, 0 corrupt", Duration::from_secs(60));
    assert_eq!(run.child.wait().expect("the process is ours").code(), Some(0));
}

#[test]
fn a_change_that_cannot_be_told_is_no_fault() {
    let device = Device::new();
    fill(&device.gallery(), &["Ann"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("the system has one");
    let mut rename = device.celebcam(&["people", "rename", "Ann", "Bob"]);
    let output = rename.stdout(full).output().expect("celebcam runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("cannot write standard output") && !log.contains("fault"), "{log}");
    assert_eq!(log.matches("No space left").count(), 1, "{log}");
    assert_eq!(device.people(), ["Bob"]);
}

#[test]
fn the_search_is_measured() {
    let mut command = celebcam();
    command.args(["bench", "--gallery", "1000", "--runs", "5", "--format", "json"]);
    let output = command.output().expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let line = &json_lines(&output.stdout)[0];
    assert_eq!((&line["gallery_people"], &line["runs"]), (&1000.into(), &5.into()));
    let [median, p95] = ["median_us", "p95_us"].map(|key| line[key].as_f64().expect("a number"));
    assert!(0.0 < median && median <= p95, "{line}");
    assert!(line["kernel"].as_str().is_some_and(|name| name.starts_with("qs8_dot_")), "{line}");
}
