//! What tests of `celebcam run` share: a film of a person, and a run while it goes on.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use image::RgbImage;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{celebcam, data, files, frame_of};

/// Who is in the film.
pub const PERSON: &str = "Jennifer Aniston";

/// Longest time to the end after a signal.
pub const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Longest time for models to load and a person to be reported, on a slow machine.
pub const REPORT_WITHIN: Duration = Duration::from_secs(120);

/// For runs in which every picture shows the person: longer than an emulated board takes for a
/// picture, so that one in which they are not recognized is no absence.
pub const NEVER_ABSENT: [&str; 2] = ["--absence", "60"];

/// Frames as JPEG files in a folder, and one after another in one file.
pub struct Film {
    folder: TempDir,
    /// The folder.
    pub pictures: PathBuf,
    /// The file.
    pub mjpeg: PathBuf,
}

impl Film {
    /// Of these frames.
    pub fn of(frames: &[RgbImage]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let pictures = folder.path().join("pictures");
        fs::create_dir(&pictures).expect("a folder can be made");
        let mut stream = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            let path = pictures.join(format!("{index:03}.jpg"));
            frame.save(&path).expect("the picture can be written");
            stream.extend(fs::read(&path).expect("the picture can be read"));
        }
        let mjpeg = folder.path().join("film.mjpeg");
        fs::write(&mjpeg, stream).expect("the film can be written");
        Self { folder, pictures, mjpeg }
    }

    /// Of that many pictures of [`PERSON`], where the data set is there.
    pub fn of_person(count: usize) -> Option<Self> {
        let crops = data(&format!("celeb24/val/{PERSON}"))?;
        let crops = files(&crops, count);
        let frames: Vec<RgbImage> = crops.iter().map(|crop| frame_of(crop)).collect();
        Some(Self::of(&frames))
    }

    /// Of `count` visits of [`PERSON`], each a picture with them and one without.
    pub fn of_visits(count: usize) -> Option<Self> {
        let crops = files(&data(&format!("celeb24/val/{PERSON}"))?, 1);
        let frame = frame_of(crops.first().expect("there are pictures of the person"));
        let empty = RgbImage::from_pixel(frame.width(), frame.height(), image::Rgb([120; 3]));
        let visits: Vec<RgbImage> = [frame, empty].into_iter().cycle().take(2 * count).collect();
        Some(Self::of(&visits))
    }

    /// Of two empty rooms.
    pub fn of_nobody() -> Self {
        Self::of(&[RgbImage::new(64, 48), RgbImage::from_pixel(64, 48, image::Rgb([200; 3]))])
    }

    /// A program that plays the film for ever, or until there is a file at [`over`](Self::over),
    /// from which on it is silent.
    pub fn live(&self) -> String {
        let script = self.folder.path().join("camera.sh");
        let text = format!(
            "while [ ! -e '{}' ]; do cat '{}'; sleep 0.05; done\nexec sleep 600\n",
            self.over().display(),
            self.mjpeg.display(),
        );
        fs::write(&script, text).expect("the script can be written");
        format!("sh '{}'", script.display())
    }

    /// See [`live`](Self::live).
    pub fn over(&self) -> PathBuf {
        self.folder.path().join("over")
    }
}

/// Sends a signal to a process.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the process is there");
}

/// Waits for the end of `child` and kills it when that takes too long.
pub fn ends_within(child: &mut Child, time: Duration) -> ExitStatus {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("the process is ours") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("the process is there");
    child.wait().expect("the process is ours");
    panic!("celebcam did not end within {time:?}");
}

/// Starts a run that says on standard error when it watches, and waits for that.
pub fn watching(arguments: &[&str], stdin: Stdio) -> Child {
    let mut child = celebcam()
        .args(["-v", "run", "--format", "json"])
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("celebcam starts");
    let mut messages = BufReader::new(child.stderr.take().expect("standard error is piped"));
    let mut message = String::new();
    while !message.contains("watching") {
        message.clear();
        let read = messages.read_line(&mut message).expect("standard error can be read");
        assert!(read > 0, "celebcam ended before it watched");
    }
    std::thread::spawn(move || std::io::copy(&mut messages, &mut std::io::sink()));
    child
}

/// What `command` prints and logs when it is stopped `pause` after its first `events` lines.
pub fn told_until_stopped(
    command: &mut Command,
    events: usize,
    pause: Duration,
) -> (String, String) {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("celebcam starts");
    let mut told = Events::of(&mut child);
    (0..events).for_each(|_| told.read_one());
    std::thread::sleep(pause);
    signal(&child, Signal::TERM);
    assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0), "{command:?}");
    let told = String::from_utf8(told.read_all()).expect("it is text");
    let log = std::io::read_to_string(child.stderr.take().expect("standard error is piped"));
    (told, log.expect("standard error can be read"))
}

/// The events of a run while it goes on.
pub struct Events {
    stdout: BufReader<ChildStdout>,
    read: Vec<u8>,
}

impl Events {
    /// The events of `child`, whose standard output is piped.
    pub fn of(child: &mut Child) -> Self {
        let stdout = child.stdout.take().expect("standard output is piped");
        Self { stdout: BufReader::new(stdout), read: Vec::new() }
    }

    /// Waits for the next event.
    pub fn read_one(&mut self) {
        let since = Instant::now();
        self.stdout.read_until(b'\n', &mut self.read).expect("standard output can be read");
        assert!(since.elapsed() < REPORT_WITHIN);
    }

    /// All events up to the end.
    pub fn read_all(mut self) -> Vec<u8> {
        self.stdout.read_to_end(&mut self.read).expect("standard output can be read");
        self.read
    }
}
