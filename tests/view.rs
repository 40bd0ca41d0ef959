//! What a run makes of its pictures: turned, without what is to be ignored, with strangers.

mod common;

use common::runs::{Film, NEVER_ABSENT, PERSON};
use common::{assert_fails, celebcam, data, files, frame_of, json_lines};
use image::{RgbImage, imageops};
use serde_json::Value;

/// The events of a run over pictures.
fn events_of(film: &Film, arguments: &[&str]) -> Vec<Value> {
    let mut command = celebcam();
    command.args(["run", "--format", "json", "--pictures"]).arg(&film.pictures);
    let output = command.args(NEVER_ABSENT).args(arguments).output().expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(&output.stdout)
}

fn assert_came_and_went(events: &[Value], name: &Value) {
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["start", "end"], "{events:#?}");
    assert!(events.iter().all(|event| event["name"] == *name), "{events:#?}");
}

#[test]
fn pictures_of_a_camera_that_is_upside_down_are_turned() {
    let Some(crops) = data(&format!("celeb24/val/{PERSON}")) else { return };
    let frames: Vec<RgbImage> =
        files(&crops, 4).iter().map(|crop| imageops::rotate180(&frame_of(crop))).collect();
    let film = Film::of(&frames);
    let upright = events_of(&film, &["--rotate", "180"]);
    let mirrored = events_of(&film, &["--rotate", "180", "--flip"]);
    for events in [&upright, &mirrored] {
        assert_came_and_went(events, &PERSON.into());
    }
    let side = |events: &[Value], at: usize| events[0]["box"][at].as_f64().expect("a number");
    // A box and its mirror image leave as much to the left as to the right of 640 pixels.
    let sides = side(&upright, 0) + side(&mirrored, 0);
    let width = (side(&upright, 2) + side(&mirrored, 2)) / 2.0;
    assert!((sides + width - 640.0).abs() < 40.0, "{sides} {width}");
    assert!(events_of(&film, &[]).is_empty());
    assert_fails(celebcam().args(["run", "--rotate", "45"]), 2, &["0, 90, 180 or 270"]);
}

#[test]
fn faces_in_an_area_and_small_ones_are_left_out() {
    let Some(film) = Film::of_person(4) else { return };
    // The face is in the middle, some 220 pixels wide.
    for (arguments, is_seen) in [
        (&["--ignore", "0,0,0.3,1", "--ignore", "0.7,0,0.3,1"][..], true),
        (&["--ignore", "0,0,0.1,0.1", "--ignore", "0.3,0.3,0.4,0.4"], false),
        (&["--min-face", "100"], true),
        (&["--min-face", "300"], false),
    ] {
        assert_eq!(!events_of(&film, arguments).is_empty(), is_seen, "{arguments:?}");
    }
    assert_fails(celebcam().args(["run", "--ignore", "1,2"]), 2, &["x,y,width,height"]);
    assert_fails(celebcam().args(["run", "--min-face", "0"]), 2, &["--min-face"]);
}

#[test]
fn strangers_come_and_go_without_a_name_where_that_is_wanted() {
    let Some(stranger) = data("celeb24/unknown/Daniel Radcliffe") else { return };
    let frames: Vec<RgbImage> = files(&stranger, 8).iter().map(|crop| frame_of(crop)).collect();
    let film = Film::of(&frames);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let snapshots = folder.path().to_string_lossy();
    let events = events_of(&film, &["--unknown", "--snapshot", &snapshots]);
    assert_came_and_went(&events, &Value::Null);
    for event in &events {
        assert_eq!((&event["id"], &event["confidence"]), (&Value::Null, &Value::Null));
        assert_eq!(event["track"], 1);
        assert!(event["reason"].is_string() && event["box"].is_array(), "{event}");
    }
    let picture = &files(folder.path(), 9)[..];
    let [picture] = picture else { panic!("{picture:?}") };
    assert!(picture.to_string_lossy().ends_with("_1_unknown.jpg"), "{picture:?}");
    assert!(events_of(&film, &[]).is_empty());
}
