//! Recordings: their visits and times are those of the film, on every machine.

mod common;

use common::runs::{Film, PERSON};
use common::{assert_fails, celebcam, data, emulator, files, frame_of, json_lines};
use image::RgbImage;
use serde_json::Value;

/// Events of a film of ten frames a second: half a second of the person, `gap` of nobody, and half a
/// second of the person, whose bytes come at once or slowly.
fn visits_of(gap: f64, slowly: bool, arguments: &[&str]) -> Option<Vec<Value>> {
    let crops = files(&data(&format!("celeb24/val/{PERSON}"))?, 1);
    let person = frame_of(&crops[0]);
    let nobody = RgbImage::from_pixel(person.width(), person.height(), image::Rgb([120; 3]));
    let of = |rgb: &RgbImage, seconds: f64| vec![rgb.clone(); (10.0 * seconds) as usize];
    let frames = [of(&person, 0.5), of(&nobody, gap), of(&person, 0.5)].concat();
    let film = Film::of(&frames);
    let read = if slowly {
        format!("sh -c 'for f in {}/*; do cat $f; sleep 0.05; done'", film.pictures.display())
    } else {
        format!("cat '{}'", film.mjpeg.display())
    };
    let output = celebcam()
        .args(["run", "--format", "json", "--recording", "--command", &read])
        .args(arguments)
        .output()
        .expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    Some(json_lines(&output.stdout))
}

/// Milliseconds from the first event to each.
fn times_ms(events: &[Value]) -> Vec<i64> {
    let time = |event: &Value| {
        let ts = event["ts"].as_str().expect("an event has a time");
        ts.parse::<jiff::Timestamp>().expect("it is a time").as_millisecond()
    };
    events.iter().map(|event| time(event) - time(&events[0])).collect()
}

#[test]
fn the_visits_of_a_recording_are_those_of_the_film_however_fast_it_is_read() {
    // How a film is read has nothing to do with the processor, and emulation takes minutes.
    let emulated = emulator().is_some();
    for slowly in if emulated { &[false][..] } else { &[false, true] } {
        let Some(events) = visits_of(2.5, *slowly, &["--fps", "10"]) else { return };
        let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
        assert_eq!(kinds, ["start", "end", "start", "end"]);
        // Named in the second frame with them, gone two seconds after the last.
        assert_eq!(times_ms(&events), [0, 2300, 3000, 3300]);
        if emulated {
            return;
        }
        let Some(events) = visits_of(1.0, *slowly, &["--fps", "10"]) else { return };
        assert_eq!(events.len(), 2);
    }
    let Some(events) = visits_of(2.5, false, &["--fps", "30"]) else { return };
    assert_eq!(events.len(), 2, "less than a second of nobody");
}

#[test]
fn a_film_tells_its_own_time_to_people() {
    let Some(film) = Film::of_person(4) else { return };
    let command = format!("cat '{}'", film.mjpeg.display());
    let output = celebcam()
        .args(["run", "--recording", "--fps", "2", "--command", &command])
        .output()
        .expect("celebcam runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("0:00:00.500  Jennifer Aniston is here"), "{text}");
    assert!(text.ends_with("0:00:01.500  Jennifer Aniston is gone\n"), "{text}");
}

#[test]
fn a_camera_is_no_film() {
    for camera in [&["--camera", "97"][..], &["--camera", "rtsp://10.0.0.5/x"], &[]] {
        let mut command = celebcam();
        command.args(["run", "--recording"]).args(camera);
        assert_fails(&mut command, 78, &["recording is of use only with command or stdin"]);
    }
}
