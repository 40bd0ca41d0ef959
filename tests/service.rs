//! `celebcam run` under a service manager, and `celebcam config`.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::runs::{Events, Film, REPORT_WITHIN, STOP_WITHIN, ends_within, signal};
use common::{assert_fails, beyond_emulation, celebcam};
use rustix::process::Signal;

/// Time in which the service manager wants a sign of life.
const DEADLINE: Duration = Duration::from_secs(2);

/// A service manager: the other end of the socket that the process is told of.
struct Manager {
    _folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    /// Starts `celebcam run` with these arguments.
    fn start(arguments: &[&str]) -> (Self, Child) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be made");
        let child = celebcam()
            .arg("run")
            .args(arguments)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", DEADLINE.as_micros().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("celebcam starts");
        (Self { _folder: folder, socket }, child)
    }

    /// The next message; `None` when none comes in `time`.
    fn hears(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).expect("a time can be set");
        let mut message = [0; 512];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).trim_end().to_owned())
    }
}

#[test]
fn it_is_ready_and_alive_while_frames_come_and_says_when_it_stops() {
    if beyond_emulation("signs of life", "a frame takes longer than there is time to stop") {
        return;
    }
    let film = Film::of_nobody();
    let pictures = film.pictures.to_string_lossy();
    let (manager, mut child) = Manager::start(&["--pictures", &pictures, "--repeat", "--fps", "9"]);
    assert_eq!(manager.hears(REPORT_WITHIN).as_deref(), Some("READY=1"));
    let status = manager.hears(DEADLINE).expect("a status follows");
    assert!(status.starts_with("STATUS=watching "), "{status}");
    for _ in 0..3 {
        assert_eq!(manager.hears(REPORT_WITHIN).as_deref(), Some("WATCHDOG=1"));
    }
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    let last = std::iter::from_fn(|| manager.hears(Duration::from_millis(1))).last();
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

#[test]
fn without_frames_there_is_no_sign_of_life() {
    let (manager, mut child) = Manager::start(&["--command", "sleep 600"]);
    assert_eq!(manager.hears(REPORT_WITHIN).as_deref(), Some("READY=1"));
    assert!(manager.hears(DEADLINE).is_some_and(|status| status.starts_with("STATUS=")));
    assert_eq!(manager.hears(DEADLINE), None);
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
}

#[test]
fn settings_are_shown_with_their_origin_and_can_be_read_again() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("celebcam.toml");
    std::fs::write(&file, "camera = \"C920\"\nabsence = 4\n").expect("the file can be written");
    let show = |file: &std::path::Path| {
        let mut command = celebcam();
        command.arg("--config").arg(file).args(["config", "--confirm", "3"]);
        let output = command.env("CELEBCAM_FPS", "2").output().expect("celebcam runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    };
    let shown = show(&file);
    for words in ["camera = \"C920\"", "confirm = 3", "# format = \"text\"", "CELEBCAM_FPS"] {
        assert!(shown.contains(words), "{shown}");
    }
    let again = folder.path().join("again.toml");
    std::fs::write(&again, &shown).expect("the file can be written");
    let path = |shown: &str, file: &std::path::Path| shown.replace(&*file.to_string_lossy(), "");
    let spaces = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(spaces(path(&show(&again), &again)), spaces(path(&shown, &file)));
}

#[test]
fn settings_that_are_not_known_are_errors_that_name_the_nearest() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("celebcam.toml");
    std::fs::write(&file, "absense = 4\n").expect("the file can be written");
    let mut command = celebcam();
    command.arg("--config").arg(&file).args(["run", "--stdin"]);
    assert_fails(&mut command, 78, &["no setting absense", "did you mean absence?"]);
    let mut command = celebcam();
    command.args(["run", "--stdin"]).env("CELEBCAM_FORMAT", "xml");
    assert_fails(&mut command, 78, &["CELEBCAM_FORMAT", "text or json"]);
}

#[test]
fn a_status_line_is_logged_when_asked_and_the_run_goes_on() {
    let film = Film::of_nobody();
    let live = film.live();
    let mut child = celebcam()
        .args(["run", "--command", &live])
        .stderr(Stdio::piped())
        .spawn()
        .expect("celebcam starts");
    let log = BufReader::new(child.stderr.take().expect("standard error is piped"));
    let mut lines = log.lines().map(|line| line.expect("standard error can be read"));
    lines.find(|line| line.contains("watching")).expect("it watches");
    signal(&child, Signal::USR1);
    let line = lines.find(|line| line.contains("; p50/p95 ms: decode ")).expect("it answers");
    for words in
        ["up 0 d 00:0", " frames, ", " dropped, ", " faces, ", "reopened 0 times", "memory "]
    {
        assert!(line.contains(words), "{line}");
    }
    assert!(child.try_wait().expect("the process is ours").is_none());
    let drained = std::thread::spawn(move || lines.count());
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
    assert!(drained.join().is_ok_and(|count| count > 0));
}

#[test]
fn the_journal_gets_priorities_and_no_times() {
    let log = tempfile::NamedTempFile::new().expect("a file can be made");
    let metadata = log.as_file().metadata().expect("the file is there");
    let status = celebcam()
        .args(["run", "--pictures", "/no/such/folder"])
        .env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))
        .stderr(log.reopen().expect("the file can be opened"))
        .status()
        .expect("celebcam runs");
    assert_eq!(status.code(), Some(66));
    let text = std::fs::read_to_string(log.path()).expect("the file can be read");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("<3>/no/such")), "{text}");
    assert!(text.lines().all(|line| line.starts_with('<')), "{text}");
}

/// Settings of a run that is started by hand.
const BY_HAND: [&str; 4] = ["stdin", "pictures", "recording", "repeat"];

#[test]
fn the_packaged_settings_name_every_setting_with_its_default() {
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/celebcam.toml");
    let packaged = std::fs::read_to_string(packaged).expect("the file can be read");
    let named: Vec<&str> =
        packaged.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_assignment).collect();
    let mut command = celebcam();
    let output = command.arg("config").env_remove("CELEBCAM_GALLERY").output();
    let shown = String::from_utf8(output.expect("celebcam runs").stdout).expect("it is text");
    let mut settings = 0;
    for line in shown.lines().filter_map(|line| line.strip_prefix("# ")) {
        let (assignment, origin) = line.split_once(" #").expect("each line has an origin");
        let key = assignment.split(' ').next().expect("each line has a key");
        if BY_HAND.contains(&key) {
            continue;
        }
        settings += 1;
        let same = |named: &&&str| named.split(' ').next() == Some(key);
        let named = named.iter().find(same).unwrap_or_else(|| panic!("{key} is not packaged"));
        if origin.trim() == "default" {
            assert_eq!(named.trim(), assignment.trim());
        }
        let alone = tempfile::NamedTempFile::new().expect("a file can be made");
        let with = match key {
            "width" => "height = 480",
            "height" => "width = 640",
            "on-event-timeout" => "on-event = \"true\"",
            "snapshot-limit" => "snapshot = \"x\"",
            _ => "",
        };
        let named = if key == "on-event" { "on-event = \"true\"" } else { named };
        std::fs::write(alone.path(), format!("{named}\n{with}\n")).expect("it can be written");
        let mut command = celebcam();
        let output = command.arg("--config").arg(alone.path()).arg("config").output();
        let output = output.expect("celebcam runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{key}: {message}");
    }
    assert!(settings > 15 && settings == named.len(), "{settings} of {}", named.len());
}

#[test]
fn the_unit_of_several_cameras_is_that_of_one_with_settings_of_its_own() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let read = |name| std::fs::read_to_string(packaging.join(name)).expect("it can be read");
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (one, each) = (lines(read("celebcam.service")), lines(read("celebcam@.service")));
    let without = |from: &[String], other: &[String]| -> Vec<String> {
        from.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    let own = without(&each, &one);
    let [made, description, start, user] = &own[..] else {
        panic!("run tools/repo/template-unit.sh: {own:?}")
    };
    assert!(made.starts_with("# Made of") && description.ends_with(" (%i)"), "{own:?}");
    assert_eq!(start, "ExecStart=/usr/bin/celebcam --config /etc/celebcam/%i.toml run");
    // The gallery belongs to the user, whose name the unit of one camera takes from its own.
    assert_eq!(user, "User=celebcam");
    let missing = without(&one, &each);
    assert_eq!(missing.len(), 2, "run tools/repo/template-unit.sh: {missing:?}");
}

/// Kilobytes of a process that it shares with no other.
fn private_kilobytes(child: &Child) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).ok()?;
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    private.map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[test]
fn a_second_camera_takes_fifteen_megabytes_at_most() {
    if beyond_emulation("memory of two runs", "the memory is that of the emulator") {
        return;
    }
    let Some(film) = Film::of_person(4) else { return };
    let live = film.live();
    let [mut first, mut second] = [(); 2].map(|()| {
        let mut child = celebcam()
            .args(["run", "--format", "json", "--command", &live])
            .stdout(Stdio::piped())
            .spawn()
            .expect("celebcam starts");
        // Everything is in use once somebody is named.
        Events::of(&mut child).read_one();
        child
    });
    let kilobytes = private_kilobytes(&second).expect("the system says what memory is used");
    // Less than a megabyte would be the memory of something else.
    assert!((1_000..=15_000).contains(&kilobytes), "{kilobytes}");
    for child in [&mut first, &mut second] {
        signal(child, Signal::TERM);
        ends_within(child, STOP_WITHIN);
    }
}

fn is_assignment(line: &&str) -> bool {
    let key = line.split_once(" = ").map(|(key, _)| key);
    key.is_some_and(|key| key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'))
}
