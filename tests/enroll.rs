//! People added on the device, from outside: `celebcam enroll` and `celebcam people`, and what
//! `identify` makes of them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::device::{Device, NEW, OWN, crops, fill, film};
use common::{assert_fails, beyond_emulation, celebcam, data, files, json_lines};
use serde_json::Value;

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
fn a_folder_gives_the_person_who_is_in_most_photos_and_names_what_is_left_out() {
    let Some((new, own)) = crops(4) else { return };
    let device = Device::new();
    let folder = device.folder.path().join("photos");
    fs::create_dir(&folder).expect("a folder can be made");
    device.photo("photos/two.png", &[&own[1], &new[3]]);
    device.photo("photos/nobody.png", &[]);
    device.photo("photos/other.png", &[&own[0]]);
    for (number, crop) in new[..3].iter().enumerate() {
        device.photo(&format!("photos/{number}.png"), &[crop.as_path()]);
    }
    let broken = folder.join("broken.jpg");
    fs::write(&broken, "words").expect("a file can be written");
    let (out, log) = device.succeeds(&["enroll", NEW], std::slice::from_ref(&folder));
    assert!(out.contains("added from 4 photos"), "{out}{log}");
    for words in ["nobody.png: no face found", "other.png: shows another person", "broken.jpg"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(log.contains("3 photos left out") && !log.contains("two.png"), "{log}");

    // What to expect.
    for words in ["likeness of 4 pictures to the others: 0.", "nearest of the others", "of further"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    // A photo that is named has to be a photo, and one alone has to show one face.
    let mut command = device.celebcam(&["enroll", "Harry"]);
    assert_fails(command.arg(folder.join("0.png")).arg(&broken), 66, &["broken.jpg", "--skip"]);
    let mut command = device.celebcam(&["enroll", "Harry"]);
    let words = ["two.png: 2 faces (", "pixels wide", "--largest"];
    assert_fails(command.arg(folder.join("two.png")), 1, &words);
    assert_eq!(device.people(), [NEW]);
}

#[test]
fn photos_of_two_people_are_refused() {
    let Some((new, own)) = crops(4) else { return };
    let device = Device::new();
    let photos = [device.photos(&new), device.photos(&own)].concat();
    let mut command = device.celebcam(&["enroll", NEW]);
    let words = ["the photos show different people", "Aniston", "Radcliffe", "nobody was added"];
    assert_fails(command.args(&photos), 1, &words);
    assert!(device.people().is_empty());
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
        ("\u{ff2a}enni\u{200b}fer Aniston", "one of the model's own people"),
        ("\u{200b}\u{3164}", "must not be empty"),
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
        (&["rename", "Serena Williams", "ROGER\u{a0}Federer\u{ad}"], "so does Roger Federer"),
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
    let identify = ["identify", "--format", "json"];
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
