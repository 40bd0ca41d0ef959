//! What `celebcam run` does with events: commands, snapshots, and readers that stall.

mod common;

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use common::runs::{
    Events, Film, NEVER_ABSENT, PERSON, REPORT_WITHIN, STOP_WITHIN, ends_within, signal,
    told_until_stopped, watching,
};
use common::{assert_fails, beyond_emulation, celebcam, json_lines};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::Value;

/// Every picture of the person is a visit and the next one its end.
const EVERY_PICTURE: [&str; 4] = ["--confirm", "1", "--absence", "0"];

/// Longest time for a line to get from one process to another.
const UNDERWAY: Duration = Duration::from_secs(1);

fn run_json(film: &Film) -> Command {
    let mut command = celebcam();
    command.args(["run", "--format", "json", "--pictures"]).arg(&film.pictures);
    command
}

/// The snapshots in a folder, oldest first, and the bytes they take.
fn snapshots(folder: &Path) -> (Vec<String>, u64) {
    let entries = fs::read_dir(folder).expect("the folder can be read").flatten();
    let snapshots = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "jpg"));
    let (mut names, mut taken) = (Vec::new(), 0);
    for entry in snapshots {
        names.push(entry.file_name().to_string_lossy().into_owned());
        taken += entry.metadata().expect("the file is there").len();
    }
    names.sort();
    (names, taken)
}

#[test]
fn a_command_gets_the_events_that_are_printed() {
    let Some(film) = Film::of_person(4) else { return };
    let told = tempfile::tempdir().expect("a folder can be made");
    let hook =
        format!("sh -c 'cat > \"$0/$CELEBCAM_EVENT $CELEBCAM_NAME\"' {}", told.path().display());
    let output = run_json(&film).args(NEVER_ABSENT).args(["--on-event", &hook]).output();
    let output = output.expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8_lossy(&output.stdout);
    let read = |kind: &str| {
        let name = format!("{kind} {PERSON}");
        fs::read_to_string(told.path().join(name)).expect("the command was run")
    };
    assert_eq!(printed, read("start") + &read("end"));
    assert_eq!(json_lines(&output.stdout).len(), 2);
}

#[test]
fn commands_that_hang_delay_neither_events_nor_the_end() {
    let Some(film) = Film::of_person(1) else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let pids = folder.path().join("pids");
    let hook = format!("sh -c 'echo $$ >> {}; exec sleep 600'", pids.display());
    let pictures = film.pictures.to_string_lossy();
    let one_now = ["--pictures", &*pictures, "--fps", "0.01", "--confirm", "1"];
    let arguments = [&NEVER_ABSENT[..], &one_now, &["--on-event", &hook]].concat();
    let mut child = watching(&arguments, Stdio::null());
    let mut events = Events::of(&mut child);
    events.read_one();
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    assert_eq!(json_lines(&events.read_all()).len(), 2);
    let pids = fs::read_to_string(&pids).expect("the command was run");
    assert_eq!(pids.lines().count(), 2, "one for each event");
    for pid in pids.lines() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{pid} is alive: {state}");
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    if beyond_emulation("what a command leaves behind", "it adopts no processes") {
        return;
    }
    let Some(film) = Film::of_person(4) else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let script = r#"setsid sh -c "echo \$\$ >> $0/pids; exec sleep 600" >/dev/null 2>&1 &
        while ! [ -e $0/pids ]; do sleep 0.01; done"#;
    let hook = format!("sh -c '{script}' {}", folder.path().display());
    let output = run_json(&film).args(NEVER_ABSENT).args(["--on-event", &hook]).output();
    assert_eq!(output.expect("celebcam runs").status.code(), Some(0));
    let pids = fs::read_to_string(folder.path().join("pids")).expect("the command was run");
    assert!(!pids.is_empty(), "a process was left behind");
    for pid in pids.lines() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{pid} is alive: {state}");
    }
}

#[test]
fn a_command_that_hangs_costs_no_line_and_no_false_alarm() {
    let Some(film) = Film::of_person(1) else { return };
    let pictures = film.pictures.to_string_lossy();
    let mut command = celebcam();
    command
        .args(["run", "--confirm", "1", "--fps", "0.01", "--on-event"])
        .args([
            "sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done'",
            "--pictures",
            &*pictures,
        ])
        .args(NEVER_ABSENT);
    let (told, log) = told_until_stopped(&mut command, 1, Duration::ZERO);
    assert!(told.contains("is here") && told.contains("is gone"), "{told}");
    assert!(!log.contains("are lost"), "{log}");
}

#[test]
fn snapshots_show_who_came_and_stay_within_their_limit() {
    let Some(film) = Film::of_visits(3) else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let saved = folder.path().join("new/snapshots");
    let run = |limit: &str| {
        let mut command = run_json(&film);
        command.args(EVERY_PICTURE).arg("--snapshot").arg(&saved);
        let output = command.args(["--snapshot-limit", limit]).output().expect("celebcam runs");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(json_lines(&output.stdout).len(), 6);
    };
    run("100M");
    let (names, taken) = snapshots(&saved);
    assert_eq!(names.len(), 3, "{names:?}");
    for (name, track) in names.iter().zip(1..) {
        assert!(name.ends_with(&format!("Z_{track}_jennifer-aniston.jpg")), "{name}");
        let picture = image::open(saved.join(name)).expect("it is a picture").into_rgb8();
        assert_eq!(picture.dimensions(), (640, 480));
        let mode = saved.join(name).metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    fs::write(saved.join("notes.txt"), vec![0; 100_000]).expect("a file can be written");
    let limit = taken * 2 / 3 + 100;
    run(&limit.to_string());
    let (newer, taken) = snapshots(&saved);
    assert!(taken <= limit && !newer.is_empty(), "{taken} of {limit}: {newer:?}");
    assert!(newer.iter().all(|name| !names.contains(name)), "the oldest go first");
    assert!(saved.join("notes.txt").exists());
}

/// A run whose standard output takes nothing until the `PipeReader` is read to the end of `usize`
/// bytes of filling.
fn stalled(film: &Film) -> (Child, PipeReader, usize) {
    let (reader, mut writer) = io::pipe().expect("a pipe can be made");
    rustix::io::ioctl_fionbio(&writer, true).expect("the pipe can be set");
    let mut filling = 0;
    while let Ok(written) = writer.write(&[b'.'; 4096]) {
        filling += written;
    }
    rustix::io::ioctl_fionbio(&writer, false).expect("the pipe can be set");
    let mut command = run_json(film);
    command.args(EVERY_PICTURE).args(["--repeat", "--fps", "10"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("celebcam starts");
    (child, reader, filling)
}

/// Waits until the run says that it drops events.
fn events_are_dropped(child: &mut Child) {
    let mut log = BufReader::new(child.stderr.take().expect("standard error is piped"));
    let mut line = String::new();
    while !line.contains("not read in time") {
        line.clear();
        assert!(log.read_line(&mut line).expect("the log can be read") > 0, "the run has ended");
    }
    std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
}

#[test]
fn a_reader_that_stalls_is_told_nothing_old() {
    let Some(film) = Film::of_visits(1) else { return };
    let (mut child, mut reader, filling) = stalled(&film);
    events_are_dropped(&mut child);
    reader.read_exact(&mut vec![0; filling]).expect("the filling can be read");
    let mut kinds = Vec::new();
    let mut lines = BufReader::new(reader);
    for _ in 0..4 {
        let mut line = String::new();
        lines.read_line(&mut line).expect("events can be read");
        let event: Value = serde_json::from_str(&line).expect("each line is JSON");
        let ts: Timestamp = event["ts"].as_str().and_then(|ts| ts.parse().ok()).expect("a time");
        let age = SystemTime::now().duration_since(ts.into()).unwrap_or_default();
        assert!(age < Duration::from_secs(1) + UNDERWAY, "{age:?} old: {event}");
        kinds.push(event["event"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(kinds[0], "status");
    assert!(kinds[1..].iter().all(|kind| kind == "start" || kind == "end"), "{kinds:?}");
    drop(lines);
    assert_eq!(ends_within(&mut child, REPORT_WITHIN).code(), Some(0));
}

#[test]
fn a_reader_that_never_reads_does_not_delay_the_end() {
    let why = "a frame may take longer than a run has to end";
    if beyond_emulation("a signal while frames come", why) {
        return;
    }
    let Some(film) = Film::of_visits(1) else { return };
    let (mut child, _reader, _) = stalled(&film);
    events_are_dropped(&mut child);
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = [
        (vec!["--on-event", "open 'quote"], 78, "cannot split the command"),
        (vec!["--on-event", "no-such-program -x"], 78, "on PATH"),
        (vec!["--on-event", "/dev"], 78, "is not a file"),
        (vec!["--snapshot", "/dev/null/below"], 1, "cannot write /dev/null/below"),
        (vec!["--snapshot", "x", "--snapshot-limit", "0"], 2, "--snapshot-limit"),
        (vec!["--snapshot-limit", "1M"], 78, "only with snapshot"),
        (vec!["--on-event-timeout", "5"], 78, "only with on-event"),
        (vec!["--on-event", "true", "--on-event-timeout", "0"], 2, "--on-event-timeout"),
    ];
    for (arguments, code, words) in refused {
        assert_fails(celebcam().arg("run").args(arguments), code, &[words]);
    }
}
