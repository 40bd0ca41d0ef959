//! Cameras in the network, and what is no camera at all. A script stands in for ffmpeg.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::runs::{Film, told_until_stopped};
use common::{assert_fails, celebcam, json_lines};
use serde_json::Value;

/// A folder with a program called ffmpeg, which writes its arguments to `arguments` there and then
/// does what `script` says.
fn stand_in_reader(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("ffmpeg");
    let text =
        format!("#!/bin/sh\necho \"$*\" >> '{}/arguments'\n{script}\n", folder.path().display());
    fs::write(&program, text).expect("the script can be written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("the script can be made a program");
    folder
}

/// The folders of programs with `first` before all others.
fn path_with(first: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(first.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("folders make a path")
}

#[test]
fn a_camera_in_the_network_is_read_by_ffmpeg_and_again_after_it_was_lost() {
    let film = Film::of_nobody();
    // The first time it gives one film, then it plays for ever.
    let folder = stand_in_reader(&format!(
        "[ $(wc -l < \"${{0%/*}}/arguments\") -gt 1 ] || exec cat '{}'\nexec {}",
        film.mjpeg.display(),
        film.live()
    ));
    let address = "rtsp://ann:secret@10.0.0.5/stream1";
    let mut command = celebcam();
    command.args(["-v", "run", "--format", "json", "--camera", address]);
    command.env("PATH", path_with(folder.path()));
    let (told, log) = told_until_stopped(&mut command, 2, Duration::ZERO);
    let events = json_lines(told.as_bytes());
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["camera_lost", "camera_restored"]);
    let shown = told + &log;
    assert!(shown.contains("rtsp://***@10.0.0.5/stream1"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    let arguments = fs::read_to_string(folder.path().join("arguments")).expect("it was started");
    assert!(arguments.contains(&format!("-rtsp_transport tcp -i {address} ")), "{arguments}");
}

#[test]
fn without_ffmpeg_a_camera_in_the_network_says_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut command = celebcam();
    command.args(["run", "--camera", "http://10.0.0.5/video"]).env("PATH", folder.path());
    assert_fails(&mut command, 78, &["ffmpeg, which is not installed: sudo apt install ffmpeg"]);
}

#[test]
fn what_ffmpeg_says_is_told_without_the_password() {
    let folder = stand_in_reader("echo \"$*: Connection refused\" >&2; exit 1");
    let output = celebcam()
        .args([
            "-v",
            "enroll",
            "Ann",
            "--from-camera",
            "--camera",
            "http://ann:secret@cam/x?pwd=secret",
        ])
        .env("PATH", path_with(folder.path()))
        .output()
        .expect("celebcam runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{message}");
    assert!(message.contains("http://***@cam/x?pwd=***: ffmpeg ended with"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn what_can_never_be_a_camera_is_wrong_usage() {
    for (camera, words) in [
        ("ftp://10.0.0.5/x", "--command"),
        ("rtsp:/10.0.0.5/x", "rtsp://"),
        ("10.0.0.5:554", "rtsp://10.0.0.5:554"),
        ("", "a camera is needed"),
        ("-7", "such a number"),
        ("Cargo.toml", "--recording"),
        ("src/", "--pictures"),
        ("no/such/path", "starts with /"),
    ] {
        let camera = format!("--camera={camera}");
        assert_fails(celebcam().args(["run", &camera]), 2, &[words]);
    }
    assert_fails(celebcam().args(["run"]).env("CELEBCAM_CAMERA", "ftp://x"), 78, &["--command"]);
    for blanks in ["--camera=rtsp://ann:my S3cret@h/x", "--camera=rtsp://ann:S3cret word@h/x"] {
        let output = celebcam().args(["run", blanks]).output().expect("celebcam runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("rtsp://***@h/x") && !message.contains("S3cret"), "{message}");
    }
}
