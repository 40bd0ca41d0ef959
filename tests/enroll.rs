//! People added on the device, from outside: `celebcam enroll` and `celebcam people`, and what
//! `identify` makes of them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use celebcam::gallery::store;
use celebcam::gallery::{Gallery, Person};
use common::{assert_fails, beyond_emulation, celebcam, data, files, frame_of, json_lines};
use image::RgbImage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Somebody whom the model does not know, and somebody whom it does.
const NEW: &str = "Daniel Radcliffe";
const OWN: &str = "Jennifer Aniston";

/// A gallery in a folder of its own, and photos.
struct Device {
    folder: TempDir,
}

impl Device {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    fn gallery(&self) -> PathBuf {
        self.folder.path().join("gallery/people")
    }

    fn celebcam(&self, arguments: &[&str]) -> Command {
        let mut command = celebcam();
        command.env("CELEBCAM_GALLERY", self.gallery()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], paths: &[PathBuf]) -> Output {
        self.celebcam(arguments).args(paths).output().expect("celebcam runs")
    }

    /// Runs and expects success; gives standard output and standard error.
    fn succeeds(&self, arguments: &[&str], paths: &[PathBuf]) -> (String, String) {
        let output = self.run(arguments, paths);
        let [out, log] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        assert_eq!(output.status.code(), Some(0), "{log}");
        (out.into_owned(), log.into_owned())
    }

    /// Names of the people that were added.
    fn people(&self) -> Vec<String> {
        let (out, _) = self.succeeds(&["people", "--format", "json"], &[]);
        let name = |line: Value| line["name"].as_str().expect("a name").to_owned();
        json_lines(out.as_bytes()).into_iter().map(name).collect()
    }

    /// Writes a photo in which each crop is a face, side by side, so small that the search for faces
    /// takes a single look at it.
    fn photo(&self, name: &str, crops: &[&Path]) -> PathBuf {
        let mut photo =
            RgbImage::from_pixel(160 * crops.len().max(1) as u32, 160, image::Rgb([120; 3]));
        for (place, crop) in crops.iter().enumerate() {
            let crop = image::open(crop).expect("the crop can be read").into_rgb8();
            image::imageops::replace(&mut photo, &crop, 24 + 160 * place as i64, 24);
        }
        let path = self.folder.path().join(name);
        photo.save(&path).expect("the photo can be written");
        path
    }

    /// A photo for each of some aligned faces of a person.
    fn photos(&self, crops: &[PathBuf]) -> Vec<PathBuf> {
        let photo = |crop: &PathBuf| {
            let person = crop.parent().and_then(Path::file_name).expect("a folder");
            let file = crop.file_stem().expect("a name");
            let name = format!("{}-{}.png", person.display(), file.display());
            self.photo(&name, &[crop.as_path()])
        };
        crops.iter().map(photo).collect()
    }
}

/// Aligned faces of [`NEW`] and of [`OWN`].
fn crops(count: usize) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let new = files(&data(&format!("celeb24/unknown/{NEW}"))?, count);
    let own = files(&data(&format!("celeb24/val/{OWN}"))?, count);
    Some((new, own))
}

#[test]
fn a_person_is_added_named_renamed_and_removed() {
    let Some((new, _)) = crops(8) else { return };
    let device = Device::new();
    let photos = device.photos(&new);
    assert!(device.people().is_empty());
    let (out, _) = device.succeeds(&["enroll", NEW], &photos[..4]);
    assert!(out.contains(&format!("{NEW} added from 4 photos (gallery: 1 person")), "{out}");
    assert_eq!(device.people(), [NEW]);

    let identify = ["identify", "--crops", "--format", "json"];
    let (out, _) = device.succeeds(&identify, &new[4..]);
    for face in json_lines(out.as_bytes()) {
        assert_eq!((&face["name"], &face["id"]), (&NEW.into(), &"daniel-radcliffe".into()));
    }
    let again = device.run(&["enroll", NEW], &photos[4..5]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("in the gallery already, from 4"));
    let (out, _) = device.succeeds(&["enroll", NEW, "--add"], &photos[4..6]);
    assert!(out.contains("2 photos added to Daniel Radcliffe, who has 6 now"), "{out}");

    device.succeeds(&["people", "rename", NEW, "Harry"], &[]);
    assert_eq!(device.people(), ["Harry"]);
    let (out, _) = device.succeeds(&identify, &new[7..]);
    assert_eq!(json_lines(out.as_bytes())[0]["name"], "Harry");
    let (out, _) = device.succeeds(&["people"], &[]);
    assert!(out.starts_with("Harry ") && out.contains("6 pictures"), "{out}");

    device.succeeds(&["people", "remove", "harry"], &[]);
    assert!(device.people().is_empty());
    let (out, _) = device.succeeds(&identify, &new[7..]);
    assert_eq!(json_lines(out.as_bytes())[0]["name"], Value::Null);
}

#[test]
fn photos_that_do_not_show_one_face_are_refused_with_the_reason() {
    let Some((new, own)) = crops(3) else { return };
    let device = Device::new();
    let good = device.photos(&new);
    let two = device.photo("two.png", &[&new[0], &own[0]]);
    let nobody = device.photo("nobody.png", &[]);
    let broken = device.folder.path().join("broken.jpg");
    fs::write(&broken, "words").expect("a file can be written");

    let refuse = |photo: &Path, code, words: &[&str]| {
        let mut command = device.celebcam(&["enroll", NEW]);
        assert_fails(command.args(&good).arg(photo), code, words);
        assert!(device.people().is_empty());
    };
    refuse(&two, 1, &["two.png: 2 faces (", "pixels wide", "--largest", "1 of 4 photos"]);
    refuse(&nobody, 1, &["nobody.png: no face found", "--skip"]);
    refuse(&broken, 66, &["broken.jpg", "--skip"]);
    refuse(&device.photos(&own)[0], 1, &["another person than the others"]);

    let (out, log) = device.succeeds(&["enroll", NEW, "--skip"], &[&good[..], &[nobody]].concat());
    assert!(out.contains("added from 3 photos") && log.contains("no face found"), "{out}{log}");
}

#[test]
fn the_same_photo_counts_once() {
    let Some((new, _)) = crops(2) else { return };
    let device = Device::new();
    let photos = device.photos(&new);
    let smaller = device.folder.path().join("smaller.jpg");
    let picture = image::open(&photos[0]).expect("the photo can be read").into_rgb8();
    picture.save(&smaller).expect("a photo can be written");
    let copies = [photos[0].clone(), photos[1].clone(), photos[0].clone(), smaller];
    let (out, log) = device.succeeds(&["enroll", NEW], &copies);
    assert!(out.contains("added from 2 photos"), "{out}");
    assert_eq!(log.matches("counted once").count(), 2, "{log}");
}

#[test]
fn a_face_that_is_known_already_is_pointed_out() {
    let Some((new, own)) = crops(3) else { return };
    let device = Device::new();
    let (new, own) = (device.photos(&new), device.photos(&own));
    let mut command = device.celebcam(&["enroll", "Rachel"]);
    assert_fails(command.args(&own), 1, &[&format!("looks like {OWN} already ("), "--force"]);
    device.succeeds(&["enroll", NEW], &new);
    let mut command = device.celebcam(&["enroll", "Harry"]);
    assert_fails(command.args(&new), 1, &[&format!("looks like {NEW} already ("), "--force"]);
    let mut command = device.celebcam(&["enroll", NEW, "--add"]);
    assert_fails(command.args(&own), 1, &["looks like"]);
    assert_eq!(device.people(), [NEW]);
    device.succeeds(&["enroll", "Rachel", "--force"], &own);
    assert_eq!(device.people(), [NEW, "Rachel"]);
}

#[test]
fn names_that_are_wrong_or_taken_are_refused() {
    let device = Device::new();
    let none = ["no-photo.jpg"];
    for (name, words) in [
        ("", "must not be empty"),
        ("a\nb", "control characters"),
        (OWN, "one of the model's own people"),
        ("jennifer  aniston", "one of the model's own people"),
    ] {
        assert_fails(device.celebcam(&["enroll", name]).args(none), 1, &[words]);
    }
    let photo = device.photo("photo.png", &[]);
    assert_fails(device.celebcam(&["enroll"]).arg(&photo).arg("x.jpg"), 1, &["comes first"]);
    assert_fails(&mut device.celebcam(&["enroll", "Ann", "--add", "x.jpg"]), 1, &["leave out"]);
    assert_fails(&mut device.celebcam(&["enroll", "Ann", "/no/such.jpg"]), 66, &["no such file"]);
    assert_fails(&mut device.celebcam(&["enroll", "Ann"]), 2, &["PHOTO|DIR"]);
    assert_fails(&mut device.celebcam(&["people", "remove", "Ann"]), 1, &["nobody has been added"]);
    fill(&device.gallery(), &["Roger Federer", "Serena Williams"]);
    for (arguments, words) in [
        (&["remove", "Roger Federr"][..], "did you mean Roger Federer?"),
        (&["remove", "Roger Federer", "Nobody"], "nobody called Nobody is in the gallery"),
        (&["remove", OWN], "the model's own people, who cannot be changed"),
        (&["rename", OWN, "Rachel"], "the model's own people, who cannot be changed"),
        (&["rename", "Roger Federer", OWN], "choose another name"),
        (&["rename", "Roger Federer", "Serena Williams"], "in the gallery already"),
    ] {
        assert_fails(device.celebcam(&["people"]).args(arguments), 1, &[words]);
    }
    assert_eq!(device.people(), ["Roger Federer", "Serena Williams"]);
}

#[test]
fn a_gallery_that_cannot_be_used_is_refused_and_stays_as_it_is() {
    let Some((new, _)) = crops(1) else { return };
    let device = Device::new();
    // Of another model.
    fill(&device.gallery(), &["Ann"]);
    let before = fs::read(device.gallery()).expect("it was written");
    let words = ["was made with the model another", "--gallery"];
    assert_fails(device.celebcam(&["identify", "--crops"]).args(&new), 78, &words);
    assert_fails(device.celebcam(&["enroll", "Bob"]).args(device.photos(&new)), 78, &words);
    assert_eq!(device.people(), ["Ann"]);
    // Damaged.
    let half = &before[..before.len() / 2];
    fs::write(device.gallery(), half).expect("a file can be written");
    for arguments in [&["people"][..], &["people", "remove", "Ann"], &["enroll", "Bob", "x.jpg"]] {
        assert_fails(&mut device.celebcam(arguments), 78, &["is damaged", "enroll again"]);
    }
    assert_eq!(fs::read(device.gallery()).expect("it is there"), half);
}

/// Writes people with made-up faces, of a model that does not exist, into a gallery.
fn fill(path: &Path, names: &[&str]) {
    let empty = |_: &Path| Ok(Gallery::new("another", 256, names.len()));
    store::update(path, empty, |gallery| {
        for (number, name) in names.iter().enumerate() {
            let person = Person { name: (*name).into(), pictures: 5, added_unix_s: 1_800_000_000 };
            let element = |at: usize| ((at * (number + 7)) % 101) as f32 - 50.0;
            gallery.add(person, &(0..256).map(element).collect::<Vec<_>>())?;
        }
        Ok(())
    })
    .expect("the gallery can be written");
}

/// Numbers that are the same in every run; Knuth's MMIX linear congruential generator.
fn numbers() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(1_u64), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|state| (state >> 40) as f64 / f64::from(1 << 24))
}

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
    for (round, share) in numbers().take(60).enumerate() {
        let (before, after) = (first(), format!("Round {round}"));
        let mut child = rename(&after).stdout(Stdio::null()).spawn().expect("celebcam starts");
        // The file is written towards the end.
        std::thread::sleep(whole.mul_f64(0.4 + 0.8 * share));
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

/// Photos with exactly one face, by person.
fn single_faces(folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut people: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let output = celebcam().args(["identify", "--format", "json"]).arg(folder).output();
    for face in json_lines(&output.expect("celebcam runs").stdout) {
        let file = PathBuf::from(face["file"].as_str().expect("a path"));
        let person = file.parent().and_then(Path::file_name).expect("a folder");
        if face["faces"] == 1 {
            people.entry(person.to_string_lossy().into()).or_default().push(file);
        }
    }
    people
}

#[test]
fn athletes_are_recognized_from_five_photos_each_and_nobody_else_is_lost() {
    if beyond_emulation("recognizing athletes", "it takes many photos") {
        return;
    }
    let Some(photos) = data("photos") else { return };
    let people = single_faces(&photos);
    assert_eq!(people.len(), 5);
    let device = Device::new();
    for (name, photos) in &people {
        device.succeeds(&["enroll", name], &photos[..5]);
    }
    // Also faces from the side, which would not be named otherwise.
    let identify = ["identify", "--any-quality", "--format", "json"];
    let (mut right, mut all) = (0, 0);
    for (name, photos) in &people {
        let (out, _) = device.succeeds(&identify, &photos[5..]);
        for face in json_lines(out.as_bytes()) {
            right += usize::from(face["top"][0]["name"] == **name);
            all += 1;
            assert!(face["name"].is_null() || face["name"] == **name, "{face:#?}");
        }
    }
    assert!(all > 90 && right * 100 >= all * 96, "{right} of {all}");

    let Some(test) = data("celeb24/test") else { return };
    let crops: Vec<PathBuf> = files(&test, 18).iter().flat_map(|own| files(own, 20)).collect();
    let right = |gallery: &str| {
        let arguments = ["identify", "--crops", "--format", "json", "--gallery", gallery];
        let (out, _) = device.succeeds(&arguments, &crops);
        let faces = json_lines(out.as_bytes());
        let is_right = |(face, crop): &(Value, &PathBuf)| {
            let own = crop.parent().and_then(Path::file_name).expect("a folder");
            face["top"][0]["name"] == own.to_string_lossy().as_ref()
        };
        faces.into_iter().zip(&crops).filter(is_right).count()
    };
    let before = right(&device.folder.path().join("nobody").to_string_lossy());
    let after = right(&device.gallery().to_string_lossy());
    assert!(after + crops.len() * 3 / 1000 >= before, "{after} of {before}");
}

/// A film in which a person turns the head, as a folder of frames.
fn film(device: &Device, crops: &[PathBuf]) -> PathBuf {
    let folder = device.folder.path().join("film");
    fs::create_dir(&folder).expect("a folder can be made");
    for (index, crop) in crops.iter().enumerate() {
        let path = folder.join(format!("{index:03}.jpg"));
        frame_of(crop).save(&path).expect("the frame can be written");
    }
    folder
}

#[test]
fn a_camera_adds_a_person_frame_by_frame() {
    let Some((new, own)) = crops(8) else { return };
    let device = Device::new();
    let film = film(&device, &new);
    let from = |name: &str, frames: &str, pictures: &Path| {
        let mut command = device.celebcam(&["enroll", name, "--from-camera", "--frames", frames]);
        command.arg("--pictures").arg(pictures);
        command
    };
    let output = from(NEW, "3", &film).output().expect("celebcam runs");
    let [out, log] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(out.contains(&format!("{NEW} added from 3 frames")), "{out}");
    assert!(log.contains("look straight at the camera") && log.contains("2 of 3"), "{log}");
    let two = device.photo("two.png", &[&new[0], &own[0]]);
    let words =
        ["only 0 of 3 good frames", "when", "more than one face in view", "nobody was added"];
    assert_fails(&mut from("Two", "3", &two), 1, &words);
    let nobody = device.photo("nobody.png", &[]);
    let mut command = from("Nobody", "3", &nobody);
    let words = ["in 1 s", "no face in view"];
    assert_fails(command.args(["--repeat", "--timeout", "1"]), 1, &words);
    assert_eq!(device.people(), [NEW]);
}

/// Longest time until a run knows somebody new.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(2);

/// A run over pictures, and what it says on standard error.
struct Run {
    child: Child,
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
        let run = Self { child, log };
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
        let stdout = self.child.stdout.as_mut().expect("standard output is piped");
        let mut line = Vec::new();
        for byte in stdout.bytes() {
            let byte = byte.expect("standard output can be read");
            if byte == b'\n' {
                break;
            }
            line.push(byte);
        }
        serde_json::from_slice(&line).expect("the line is JSON")
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
