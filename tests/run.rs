//! `celebcam run` and `celebcam cameras` from outside.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::runs::{
    Events, Film, NEVER_ABSENT, PERSON, REPORT_WITHIN, STOP_WITHIN, ends_within, signal,
    told_until_stopped, watching,
};
use common::{assert_fails, beyond_emulation, celebcam, data, json_lines, skipped};
use rustix::process::Signal;
use serde_json::Value;

/// Exactly one start and one end, both of the person in the film.
fn assert_came_and_went(stdout: &[u8]) {
    let events = json_lines(stdout);
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["start", "end"], "{events:#?}");
    for event in &events {
        assert_eq!(event["schema"], 1);
        assert_eq!(event["name"], PERSON);
        assert_eq!(event["track"], 1);
        assert!(event["confidence"].as_f64().is_some_and(|value| value > 0.5 && value <= 1.0));
        assert!(event["camera"].is_string() && event["model"].is_string());
        assert_eq!(event["box"].as_array().map(Vec::len), Some(4));
    }
}

/// A signal ends the run in time, and whoever was there is said to have gone.
fn assert_ends_the_visit(mut child: Child, events: Events, which: Signal) {
    signal(&child, which);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    assert_came_and_went(&events.read_all());
}

fn run_json(arguments: &[&str], stdin: Option<&Path>) -> std::process::Output {
    let mut command = celebcam();
    command.args(["run", "--format", "json"]).args(NEVER_ABSENT).args(arguments);
    if let Some(path) = stdin {
        command.stdin(fs::File::open(path).expect("the film can be read"));
    }
    command.output().expect("celebcam runs")
}

#[test]
fn a_folder_of_pictures_gives_one_start_and_one_end() {
    let Some(film) = Film::of_person(12) else { return };
    let output = run_json(&["--pictures", &film.pictures.to_string_lossy()], None);
    assert_eq!(output.status.code(), Some(0));
    assert_came_and_went(&output.stdout);
}

#[test]
fn text_names_the_person_and_the_confidence() {
    let Some(film) = Film::of_person(4) else { return };
    let mut command = celebcam();
    command.arg("run").args(NEVER_ABSENT).arg("--pictures").arg(&film.pictures);
    let output = command.output().expect("celebcam runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("Jennifer Aniston is here (") && lines[0].ends_with(" %)"), "{text}");
    assert!(lines[1].ends_with("Jennifer Aniston is gone"), "{text}");
}

#[test]
fn a_recording_on_standard_input_gives_the_same() {
    let Some(film) = Film::of_person(4) else { return };
    let output = run_json(&["--stdin", "--recording"], Some(&film.mjpeg));
    assert_eq!(output.status.code(), Some(0));
    assert_came_and_went(&output.stdout);
}

#[test]
fn a_recording_from_a_program_gives_the_same() {
    let Some(film) = Film::of_person(4) else { return };
    let command = format!("cat '{}'", film.mjpeg.display());
    let output = run_json(&["--command", &command, "--recording"], None);
    assert_eq!(output.status.code(), Some(0));
    assert_came_and_went(&output.stdout);
}

#[test]
fn a_live_program_gives_the_same_until_a_signal_comes() {
    let why = "a frame may take longer than a run has to end";
    if beyond_emulation("a signal while frames come", why) {
        return;
    }
    let Some(film) = Film::of_person(12) else { return };
    for which in [Signal::TERM, Signal::INT] {
        let mut child = watching(&["--command", &film.live()], Stdio::null());
        let mut events = Events::of(&mut child);
        events.read_one();
        assert_ends_the_visit(child, events, which);
    }
}

#[test]
fn a_live_program_that_falls_silent_gives_the_same() {
    let Some(film) = Film::of_person(1) else { return };
    let mut child = watching(&["--command", &film.live()], Stdio::null());
    let mut events = Events::of(&mut child);
    events.read_one();
    fs::write(film.over(), "").expect("a file can be written");
    events.read_one();
    assert_ends_the_visit(child, events, Signal::TERM);
}

#[test]
fn whoever_is_there_when_a_signal_comes_is_said_to_go() {
    let Some(film) = Film::of_person(1) else { return };
    let pictures = film.pictures.to_string_lossy();
    let one_now = ["--pictures", &*pictures, "--fps", "0.01", "--confirm", "1"];
    let mut child = watching(&[&NEVER_ABSENT[..], &one_now].concat(), Stdio::null());
    let mut events = Events::of(&mut child);
    events.read_one();
    assert_ends_the_visit(child, events, Signal::TERM);
}

#[test]
fn strangers_and_empty_rooms_give_no_events() {
    let output = run_json(&["--pictures", &Film::of_nobody().pictures.to_string_lossy()], None);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    let Some(stranger) = data("strangers/Tony_Blair") else { return };
    let output = run_json(&["--pictures", &stranger.to_string_lossy()], None);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn unreadable_pictures_are_reported_and_skipped() {
    let film = Film::of_nobody();
    fs::write(film.pictures.join("000a.jpg"), "no picture").expect("a file can be written");
    let output = run_json(&["--pictures", &film.pictures.to_string_lossy()], None);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("000a.jpg"));
}

#[test]
fn a_source_that_gives_nothing_does_not_delay_the_end() {
    for which in [Signal::TERM, Signal::INT] {
        let mut child = watching(&["--command", "sleep 600"], Stdio::null());
        signal(&child, which);
        assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    }
    let mut child = watching(&["--stdin"], Stdio::piped());
    let silent = child.stdin.take();
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    drop(silent);
}

#[test]
fn a_signal_that_comes_to_the_process_and_to_its_group_is_one() {
    let mut child = watching(&["--command", "sleep 600"], Stdio::null());
    signal(&child, Signal::TERM);
    signal(&child, Signal::INT);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
}

#[test]
fn the_exit_code_is_the_same_when_nobody_reads_what_is_said() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let status = celebcam().args(["run", "--pictures", "/no/such/folder"]).stderr(writer).status();
    assert_eq!(status.expect("celebcam runs").code(), Some(66));
}

#[test]
fn the_program_and_its_children_end_with_the_run() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let pids = folder.path().join("pids");
    let script = folder.path().join("camera.sh");
    let text =
        format!("sleep 600 &\necho $$ $! > '{0}.new'\nmv '{0}.new' '{0}'\nwait\n", pids.display());
    fs::write(&script, text).expect("the script can be written");
    let command = format!("sh '{}'", script.display());
    let mut child = watching(&["--command", &command], Stdio::null());
    while !pids.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    for pid in fs::read_to_string(&pids).expect("the file can be read").split_whitespace() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{pid} is alive: {state}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let Some(film) = Film::of_person(4) else { return };
    let mut child =
        watching(&["--pictures", &film.pictures.to_string_lossy(), "--repeat"], Stdio::null());
    drop(child.stdout.take());
    assert_eq!(ends_within(&mut child, REPORT_WITHIN).code(), Some(0));
}

#[test]
fn a_missing_camera_is_said_with_what_to_do() {
    let enroll = |camera: &str| {
        let mut command = celebcam();
        command.args(["enroll", "Somebody", "--from-camera", "--camera", camera]);
        command
    };
    for camera in ["97", "/dev/video97", "/dev/v4l/by-id/not-there", "no such name"] {
        let words = ["there is no", "97"].iter().take(if camera.contains("97") { 2 } else { 1 });
        let words: Vec<&str> = words.copied().collect();
        assert_fails(&mut enroll(camera), 69, &words);
    }
    assert_fails(&mut enroll("/dev/null"), 69, &["/dev/null is not a camera"]);
}

#[test]
fn a_run_waits_for_a_camera_that_is_missing_and_says_so_once() {
    let mut command = celebcam();
    command.args(["run", "--format", "json", "--camera", "97"]);
    // Time for some more looks for it.
    let (told, log) = told_until_stopped(&mut command, 1, Duration::from_secs(1));
    let events = json_lines(told.as_bytes());
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "camera_lost");
    assert_eq!(log.matches("there is no /dev/video97").count(), 1, "{log}");
}

#[test]
fn without_any_camera_the_ways_in_are_named() {
    if Path::new("/sys/class/video4linux").exists() {
        return skipped("this machine has video devices");
    }
    let advice = ["no camera found", "plug in a USB camera", "rpicam-vid"];
    assert_fails(celebcam().args(["enroll", "Somebody", "--from-camera"]), 69, &advice);
    assert_fails(celebcam().arg("cameras"), 69, &advice);
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let why = "posix_spawn does not report what went wrong in the child";
    if beyond_emulation("a program that is not there", why) {
        return;
    }
    let run = ["run", "--recording", "--command", "no-such-program -x"];
    assert_fails(celebcam().args(run), 1, &["cannot start no-such-program"]);
    assert_waits("no-such-program -x", "cannot start no-such-program");
}

/// A run of this program says `words` once and waits for it.
fn assert_waits(program: &str, words: &str) {
    let mut command = celebcam();
    command.args(["run", "--format", "json", "--command", program]);
    // Time for another try.
    let (told, log) = told_until_stopped(&mut command, 1, Duration::from_millis(1500));
    let events = json_lines(told.as_bytes());
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "camera_lost");
    let told = log.lines().filter(|line| line.contains("trying again until it is there"));
    let told: Vec<&str> = told.collect();
    assert!(matches!(&told[..], [line] if line.contains(words)), "{log}");
}

#[test]
fn programs_that_give_no_pictures_are_waited_for_or_errors_of_a_recording() {
    let cases = [
        (
            "sh -c 'echo out of film >&2; exit 3'",
            1,
            "exit status: 3, its last message: out of film",
        ),
        ("true", 1, "ended with exit status: 0"),
        ("head -c 100000 /dev/zero", 1, "it has to write MJPEG"),
        ("open 'quote", 78, "cannot split the command"),
        ("", 78, "cannot split the command"),
    ];
    for (command, code, words) in cases {
        assert_fails(celebcam().args(["run", "--recording", "--command", command]), code, &[words]);
        if code == 1 {
            assert_waits(command, words);
        } else {
            assert_fails(celebcam().args(["run", "--command", command]), code, &[words]);
        }
    }
}

#[test]
fn passwords_of_a_command_are_told_nowhere() {
    let line =
        "sh -c 'echo no access for ann:S3cret >&2; exit 3' -u ann:S3cret rtsp://a:S3cret@h/1";
    for (arguments, code, words) in [
        (vec!["-v", "run", "--recording", "--command", line], 1, "`sh rtsp://***@h/1`"),
        (vec!["-v", "doctor", "--command", line], 1, ""),
        (vec!["config", "--command", line], 0, ""),
        (vec!["run", "--fps", "x", "--command", line], 2, ""),
        (vec!["run", "--command", "open 'quote rtsp://a:S3cret@h/1"], 78, "***@h/1"),
    ] {
        let output = celebcam().args(&arguments).output().expect("celebcam runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(words) && !said.contains("S3cret"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_program_that_works_later_is_waited_for() {
    let film = Film::of_nobody();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let network = folder.path().join("network");
    let command = format!(
        "sh -c '[ -e {} ] || {{ echo no network >&2; exit 1; }}; exec {}'",
        network.display(),
        film.live().replace('\'', "\"")
    );
    let mut child = celebcam()
        .args(["run", "--format", "json", "--command", &command])
        .stdout(Stdio::piped())
        .spawn()
        .expect("celebcam starts");
    let mut events = Events::of(&mut child);
    events.read_one();
    fs::write(network, "").expect("a file can be written");
    events.read_one();
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    let events = json_lines(&events.read_all());
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["camera_lost", "camera_restored"]);
}

#[test]
fn text_has_the_time_of_the_place_and_json_that_of_the_world() {
    let told = |format: &str| {
        let mut command = celebcam();
        command.args(["run", "--camera", "97", "--format", format]).env("TZ", "CET-1");
        told_until_stopped(&mut command, 1, Duration::ZERO).0
    };
    let text = told("text");
    assert!(text.contains("+01:00  /dev/video97 gives no pictures"), "{text}");
    assert!(told("json").contains("Z\",\"event\":\"camera_lost\""));
}

#[test]
fn standard_input_without_pictures_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let garbage = folder.path().join("garbage");
    let bytes: Vec<u8> =
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for content in [&bytes[..], b"", b"\xff\xd8\xff\xe0 not a picture"] {
        fs::write(&garbage, content).expect("a file can be written");
        let stdin = fs::File::open(&garbage).expect("the file can be read");
        let mut command = celebcam();
        assert_fails(
            command.args(["run", "--stdin"]).stdin(stdin),
            1,
            &["standard input", "MJPEG"],
        );
    }
}

#[test]
fn missing_pictures_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut command = celebcam();
    assert_fails(
        command.args(["run", "--pictures"]).arg(folder.path()),
        66,
        &["holds no pictures"],
    );
    assert_fails(celebcam().args(["run", "--pictures", "/no/such"]), 66, &["/no/such"]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert_fails(celebcam().args(["run", "--confirm", "9"]), 78, &["--confirm"]);
    assert_fails(celebcam().args(["run", "--absence", "NaN"]), 78, &["--absence"]);
    assert_fails(celebcam().args(["run", "--fps", "0"]), 2, &["--fps"]);
    assert_fails(celebcam().args(["run", "--stdin", "--command", "x"]), 2, &["--command"]);
    assert_fails(celebcam().args(["run", "--width", "640"]), 78, &["width", "height"]);
    assert_fails(celebcam().args(["run", "--repeat"]), 78, &["only with pictures"]);
}
