//! `celebcam identify` and `celebcam crop` from outside: photos, folders, and everything that is
//! not a good photo.

mod common;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use common::{assert_fails, celebcam, data, emulator, files, frame_of, json_lines, sample_photo};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

const PERSON: &str = "Jennifer Aniston";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file can be written");
    path
}

fn jpeg(picture: &RgbImage, exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).expect("JPEG has EXIF");
    }
    encoder.encode_image(picture).expect("the picture can be encoded");
    bytes
}

/// An aligned face of a known person.
fn known_crop() -> Option<PathBuf> {
    Some(files(&data(&format!("celeb24/val/{PERSON}"))?, 1).remove(0))
}

/// A picture with one known face, so small that the search for faces takes a single look at it.
fn portrait() -> Option<RgbImage> {
    let crop = image::open(known_crop()?).expect("the crop can be read").into_rgb8();
    let mut portrait = RgbImage::from_pixel(160, 160, image::Rgb([120; 3]));
    image::imageops::replace(&mut portrait, &crop, 24, 24);
    Some(portrait)
}

/// Identifies with JSON output and expects success.
fn identify(arguments: &[&str], path: &Path) -> Vec<Value> {
    let output = celebcam()
        .args(["identify", "--format", "json"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(&output.stdout)
}

#[test]
fn the_six_people_of_the_sample_are_found_and_nobody_gets_a_wrong_name() {
    let Some(photo) = sample_photo() else { return };
    let out = folder();
    let faces = identify(&["--annotate", &out.path().to_string_lossy()], &photo);
    assert_eq!(faces.len(), 6, "{faces:#?}");
    let names: Vec<&str> = faces.iter().filter_map(|face| face["name"].as_str()).collect();
    assert_eq!(names, [PERSON], "{faces:#?}");
    let annotated = image::open(out.path().join("six-people.jpg")).expect("it was written");
    let original = image::open(&photo).expect("the photo can be read");
    assert_eq!((annotated.width(), annotated.height()), (original.width(), original.height()));
}

#[test]
fn a_photo_gives_one_line_with_every_field() {
    let Some(crop) = known_crop() else { return };
    let folder = folder();
    let path = write(&folder, "portrait.jpg", &jpeg(&frame_of(&crop), None));
    let faces = identify(&["--top-k", "5"], &path);
    assert_eq!(faces.len(), 1, "{faces:#?}");
    let face = &faces[0];
    assert_eq!(face["schema"], 1);
    assert_eq!(face["name"], PERSON);
    assert_eq!(face["id"], "jennifer-aniston");
    assert_eq!(face["reason"], Value::Null);
    assert_eq!(face["top"].as_array().map(Vec::len), Some(5));
    assert_eq!(face["box"].as_array().map(Vec::len), Some(4));
    assert_eq!(face["model"].as_str().map(str::len), Some(16));
    let confidence = face["confidence"].as_f64().expect("a number");
    assert!(confidence > 0.5 && confidence <= 1.0);
}

#[test]
fn text_names_the_person_and_the_place() {
    let Some(portrait) = portrait() else { return };
    let folder = folder();
    let path = write(&folder, "portrait.jpg", &jpeg(&portrait, None));
    let text = celebcam().arg("identify").arg(&path).output().expect("celebcam runs");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains(&format!("portrait.jpg: {PERSON} ")) && text.contains(" %, box "),
        "{text}"
    );
}

#[test]
fn a_threshold_nobody_reaches_leaves_everybody_unknown() {
    let Some(crop) = known_crop() else { return };
    let faces = identify(&["--crops", "--threshold", "1"], &crop);
    assert_eq!(faces[0]["name"], Value::Null);
    assert_eq!(faces[0]["reason"], "below_threshold");
}

#[test]
fn a_rate_of_false_accepts_chooses_the_threshold() {
    let Some(strangers) = data("celeb24/unknown/lookalike") else { return };
    let named = |rate: &str| {
        let folder = folder();
        for path in files(&strangers, 120) {
            fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("copies");
        }
        let found = identify(&["--crops", "--max-false-accepts", rate], folder.path());
        found.iter().filter(|face| !face["name"].is_null()).count()
    };
    let counts = ["0.001", "0.1"].map(named);
    assert!(counts[0] <= 1 && counts[0] <= counts[1], "{counts:?}");
    let Some(crop) = known_crop() else { return };
    let run = |arguments: &[&str], code, words: &[&str]| {
        assert_fails(celebcam().arg("identify").args(arguments).arg(&crop), code, words);
    };
    run(
        &["--max-false-accepts", "1e-12"],
        78,
        &["--max-false-accepts", "for 18 people", "go from"],
    );
    run(&["--max-false-accepts", "2"], 2, &["a number from 0 to 1"]);
    run(&["--max-false-accepts", "0.1", "--threshold", "0.5"], 2, &["cannot be used with"]);
}

#[test]
fn a_face_that_shows_too_little_is_not_guessed_at() {
    let Some(crop) = known_crop() else { return };
    let crop = image::open(crop).expect("the crop can be read").into_rgb8();
    let folder = folder();
    let small = image::imageops::thumbnail(&crop, 18, 18);
    let mut tiny = RgbImage::from_pixel(160, 160, image::Rgb([120; 3]));
    image::imageops::replace(&mut tiny, &small, 70, 70);
    tiny.save(folder.path().join("tiny.png")).expect("the picture can be written");
    let blurred = image::imageops::fast_blur(&crop, 4.0);
    blurred.save(folder.path().join("blurred.png")).expect("the picture can be written");
    let dark = RgbImage::from_fn(112, 112, |x, y| crop.get_pixel(x, y).0.map(|v| v / 16).into());
    dark.save(folder.path().join("dark.png")).expect("the picture can be written");
    for (arguments, name, reason) in [
        (&[][..], "tiny.png", "too_small"),
        (&["--crops"], "blurred.png", "blurred"),
        (&["--crops"], "dark.png", "too_dark"),
    ] {
        let path = folder.path().join(name);
        let faces = identify(arguments, &path);
        assert_eq!(faces.len(), 1, "{name}");
        assert_eq!(faces[0]["reason"], reason, "{name}: {}", faces[0]);
        assert!(faces[0]["name"].is_null(), "{name}");
        let looked_at = identify(&[arguments, &["--any-quality"]].concat(), &path);
        assert_ne!(looked_at[0]["reason"], reason, "{name}");
    }
}

#[test]
fn every_format_names_the_same_person() {
    let Some(portrait) = portrait() else { return };
    let folder = folder();
    for name in ["p.png", "p.webp", "p.bmp"] {
        portrait.save(folder.path().join(name)).expect("the picture can be written");
    }
    let deep = DynamicImage::ImageRgb8(portrait.clone()).into_rgb16();
    deep.save(folder.path().join("16-bit.png")).expect("the picture can be written");
    let transparent = DynamicImage::ImageRgb8(portrait).into_rgba8();
    transparent.save(folder.path().join("alpha.png")).expect("the picture can be written");
    let faces = identify(&[], folder.path());
    assert_eq!(faces.len(), 5, "{faces:#?}");
    assert!(faces.iter().all(|face| face["name"] == PERSON), "{faces:#?}");
}

#[test]
fn pictures_are_turned_upright_as_their_exif_data_says() {
    let Some(portrait) = portrait() else { return };
    // "Rotate by 90 degrees clockwise to see it upright": a TIFF header with one entry.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let turned = image::imageops::rotate270(&portrait);
    let folder = folder();
    let path = write(&folder, "turned.jpg", &jpeg(&turned, Some(exif)));
    let faces = identify(&[], &path);
    assert_eq!(faces.len(), 1, "{faces:#?}");
    assert_eq!(faces[0]["name"], PERSON);
}

#[test]
fn aligned_crops_are_taken_as_they_are() {
    let Some(crops) = data(&format!("celeb24/val/{PERSON}")) else { return };
    let folder = folder();
    for crop in files(&crops, 20) {
        let name = crop.file_name().expect("a file has a name");
        fs::copy(&crop, folder.path().join(name)).expect("the crop can be copied");
    }
    let faces = identify(&["--crops"], folder.path());
    let right = faces.iter().filter(|face| face["top"][0]["name"] == PERSON).count();
    assert!(faces.len() == 20 && right >= 19, "{right} of {}", faces.len());
    assert!(faces.iter().all(|face| face["box"] == Value::Null));
}

#[test]
fn crops_of_photos_are_written_and_recognized() {
    let Some(portrait) = portrait() else { return };
    let (input, out) = (folder(), folder());
    fs::create_dir(input.path().join("someone")).expect("a folder can be made");
    portrait.save(input.path().join("someone/a.png")).expect("the picture can be written");
    let status = celebcam().arg("crop").arg(input.path()).arg("--out").arg(out.path()).status();
    assert_eq!(status.expect("celebcam runs").code(), Some(0));
    let crop = out.path().join("someone/a.png.png");
    assert_eq!(image::image_dimensions(&crop).expect("it was written"), (112, 112));
    assert_eq!(identify(&["--crops"], &crop)[0]["name"], PERSON);
}

#[test]
fn a_photo_is_not_an_aligned_crop() {
    let folder = folder();
    let path = write(&folder, "photo.jpg", &jpeg(&RgbImage::new(64, 48), None));
    let words = ["photo.jpg", "64x48", "112x112"];
    assert_fails(celebcam().args(["identify", "--crops"]).arg(path), 66, &words);
}

#[test]
fn pictures_without_a_face_are_said_to_have_none() {
    let folder = folder();
    let cases = [
        ("even.png", RgbImage::from_pixel(640, 480, image::Rgb([90, 120, 60]))),
        ("dot.png", RgbImage::new(1, 1)),
        ("line.png", RgbImage::new(1, 3000)),
    ];
    for (name, picture) in &cases {
        picture.save(folder.path().join(name)).expect("the picture can be written");
    }
    let output = celebcam().arg("identify").arg(folder.path()).output().expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches(": no face found").count(), cases.len(), "{text}");
    assert!(identify(&[], &folder.path().join("dot.png")).is_empty());
}

#[test]
fn broken_pictures_are_reported_and_nothing_is_named() {
    let folder = folder();
    let whole = jpeg(&RgbImage::new(320, 240), None);
    let cases = [
        ("cut.jpg", whole[..whole.len() / 2].to_vec(), "cut off"),
        ("empty.jpg", Vec::new(), "is empty"),
        ("text.jpg", b"these are words".to_vec(), "is not a JPEG, PNG, WebP or BMP picture"),
        ("header.png", b"\x89PNG\r\n\x1a\n".to_vec(), "is broken"),
    ];
    for (name, bytes, words) in &cases {
        let path = write(&folder, name, bytes);
        assert_fails(celebcam().arg("identify").arg(path), 66, &[name, words]);
    }
}

#[test]
fn pictures_are_known_by_their_content_and_the_rest_of_a_folder_is_counted() {
    let folder = folder();
    let whole = jpeg(&RgbImage::new(64, 48), None);
    write(&folder, "saved.jfif", &whole);
    write(&folder, "no-ending", &whole);
    write(&folder, "notes.txt", b"words");
    write(&folder, "phone.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let output = celebcam().arg("identify").arg(folder.path()).output().expect("celebcam runs");
    let (text, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(text.matches(": no face found").count(), 2, "{text}");
    assert!(log.contains("left out: 1 HEIC file, 1 other file"), "{log}");
    assert!(log.contains("convert such pictures to JPEG"), "{log}");
    let heic = folder.path().join("phone.HEIC");
    assert_fails(celebcam().arg("identify").arg(heic), 66, &["HEIC", "convert"]);
}

#[test]
fn a_decoder_that_panics_does_not_stop_the_others() {
    let folder = folder();
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/picture");
    fs::copy(odd.join("palette-of-four-bytes.png"), folder.path().join("b.png")).expect("a copy");
    let whole = jpeg(&RgbImage::new(64, 48), None);
    write(&folder, "a.jpg", &whole);
    write(&folder, "c.jpg", &whole);
    for command in [&["identify"][..], &["crop", "--out", "/dev/null/none"], &["run", "--pictures"]]
    {
        let output = celebcam().args(command).arg(folder.path()).output().expect("celebcam runs");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("b.png: is broken"), "{log}");
        assert!(!log.contains("fault of celebcam"), "{log}");
        let code = if command[0] == "run" { 0 } else { 66 };
        assert_eq!(output.status.code(), Some(code), "{command:?}: {log}");
    }
}

#[test]
fn a_photo_with_a_film_behind_it_and_one_without_end_marker_are_read() {
    let folder = folder();
    let whole = jpeg(&RgbImage::new(64, 48), None);
    let film = [whole.as_slice(), b"....ftypmp42 \xff\xda\0\x08 and so on"].concat();
    for (name, bytes) in [("film.jpg", film.as_slice()), ("end.jpg", &whole[..whole.len() - 2])] {
        assert!(identify(&[], &write(&folder, name, bytes)).is_empty());
    }
    let cut = [&whole[..whole.len() - 60], b"\xff\xd9"].concat();
    let path = write(&folder, "cut.jpg", &cut);
    assert_fails(celebcam().arg("identify").arg(path), 66, &["cut.jpg", "cut off"]);
}

#[test]
fn unreadable_files_do_not_stop_the_others() {
    let folder = folder();
    write(&folder, "a.jpg", b"");
    write(&folder, "b.jpg", &jpeg(&RgbImage::new(64, 48), None));
    write(&folder, "c.jpg", b"words");
    let output = celebcam().arg("identify").arg(folder.path()).output().expect("celebcam runs");
    let (text, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(66));
    assert!(text.contains("b.jpg: no face found"), "{text}");
    assert!(
        log.contains("a.jpg") && log.contains("c.jpg") && log.contains("2 unreadable"),
        "{log}"
    );
}

#[test]
fn a_picture_of_108_megapixels_is_refused_by_its_header() {
    let folder = folder();
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(1, 1).write_to(&mut bytes, ImageFormat::Bmp).expect("it can be encoded");
    let mut bytes = bytes.into_inner();
    // Width and height in the header of a bitmap; the pixels are not there.
    bytes[18..22].copy_from_slice(&12_000_u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&9_000_u32.to_le_bytes());
    let path = write(&folder, "huge.bmp", &bytes);
    let mut command = celebcam();
    assert_fails(command.arg("identify").arg(path), 66, &["12000x9000", "64 megapixels"]);
}

#[test]
fn a_cmyk_jpeg_is_read() {
    const CMYK: &str = "ffd8ffee000e41646f626500640000000000ffdb004300100b0c0e0c0a100e0d0e1211101318281a181\
        616183123251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc000140\
        800100010044311004d11005911004b1100ffc400160001010100000000000000000000000000000605ffc40014100100000\
        000000000000000000000000000ffda000e0443004d0059004b00003f00ac69aed7a000000fffd9";
    let digits: Vec<u8> = CMYK.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hexadecimal"))
        .collect();
    let folder = folder();
    let path = write(&folder, "cmyk.jpg", &bytes);
    assert!(identify(&[], &path).is_empty());
}

/// Identifies what is given on standard input.
fn identify_stdin(arguments: &[&str], stdin: &Path) -> std::process::Output {
    let mut command = celebcam();
    command.args(["identify", "--format", "json"]).args(arguments);
    command.stdin(fs::File::open(stdin).expect("the file can be read"));
    command.output().expect("celebcam runs")
}

#[test]
fn a_photo_and_a_list_of_photos_are_read_from_standard_input() {
    let Some(portrait) = portrait() else { return };
    let folder = folder();
    let path = write(&folder, "a portrait.jpg", &jpeg(&portrait, None));
    let out = folder.path().join("out");
    let output = identify_stdin(&["-", "--annotate", &out.to_string_lossy()], &path);
    assert_eq!(output.status.code(), Some(0));
    let faces = json_lines(&output.stdout);
    assert_eq!((&faces[0]["name"], &faces[0]["file"]), (&PERSON.into(), &"-".into()));
    assert!(out.join("standard-input.jpg").exists());

    let nobody = write(&folder, "nobody.jpg", &jpeg(&RgbImage::new(64, 48), None));
    let names = [&path, &nobody].map(|path| path.to_string_lossy().into_owned());
    for list in [names.join("\n") + "\n", names.join("\0") + "\0", names.join("\r\n")] {
        let list = write(&folder, "list", list.as_bytes());
        let output = identify_stdin(&["--files-from", "-"], &list);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(json_lines(&output.stdout)[0]["name"], PERSON);
        let summary = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(summary.contains("pictures: 2 (1 without a face"), "{summary}");
        let of_file = identify(&["--files-from"], &list);
        assert_eq!(of_file.len(), 1);
    }
    let list = write(&folder, "list", format!("{}\n/no/such.jpg\n", names[0]).as_bytes());
    let output = identify_stdin(&["--files-from", "-"], &list);
    assert_eq!(output.status.code(), Some(66));
    assert_eq!(json_lines(&output.stdout).len(), 1, "the others are looked at");
}

#[test]
fn standard_input_and_lists_that_are_no_use_are_said() {
    let folder = folder();
    let empty = write(&folder, "empty", b"");
    for (arguments, words) in [
        (&["-"][..], "standard input: is empty"),
        (&["-", "-"], "named twice"),
        (&["-", "--files-from", "-"], "named twice"),
        (&["--files-from", "-"], "standard input: names no photos"),
        (&["--files-from", "/no/such"], "/no/such: cannot be read"),
    ] {
        let output = identify_stdin(arguments, &empty);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{arguments:?}: {message}");
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
    for command in
        [["identify", "https://ann:secret@example.org/a.jpg"], ["crop", "http://x/a.jpg"]]
    {
        let mut run = celebcam();
        run.args(command)
            .args((command[0] == "crop").then_some(["--out", "x"]).into_iter().flatten());
        let output = run.output().expect("celebcam runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{message}");
        assert!(message.contains("curl -fsSL ADDRESS | celebcam identify -"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn photos_are_turned_and_faces_left_out_as_asked() {
    let Some(portrait) = portrait() else { return };
    let folder = folder();
    let turned = image::imageops::rotate180(&portrait);
    let path = write(&folder, "turned.jpg", &jpeg(&turned, None));
    assert_eq!(identify(&["--rotate", "180"], &path)[0]["name"], PERSON);
    assert_ne!(identify(&[], &path).first().map(|face| face["name"].clone()), Some(PERSON.into()));
    let path = write(&folder, "portrait.jpg", &jpeg(&portrait, None));
    assert_eq!(identify(&["--ignore", "0,0,1,0.1"], &path).len(), 1);
    assert!(identify(&["--ignore", "0.2,0.2,0.6,0.6"], &path).is_empty());
    assert!(identify(&["--min-face", "150"], &path).is_empty());
    if emulator().is_some() {
        // Large pictures take long there, and what follows is the same on every processor.
        return;
    }
    // Of a picture that is looked at in part of its size as well.
    let (width, height) = (8 * portrait.width(), 8 * portrait.height());
    let large =
        image::imageops::resize(&portrait, width, height, image::imageops::FilterType::Nearest);
    let padded = RgbImage::from_fn(6000, 5000, |x, y| {
        if x < width && y < height { *large.get_pixel(x, y) } else { image::Rgb([120; 3]) }
    });
    let path = write(&folder, "large.jpg", &jpeg(&padded, None));
    let faces = identify(&[], &path);
    let across = faces[0]["box"][2].as_f64().expect("a face has a width");
    let just = format!("{}", across as u32 - 10);
    assert_eq!(identify(&["--min-face", &just], &path).len(), 1, "{across}");
    let more = format!("{}", across as u32 + 10);
    assert!(identify(&["--min-face", &more], &path).is_empty(), "{across}");
}

#[test]
fn missing_inputs_and_empty_folders_are_errors() {
    let folder = folder();
    let mut command = celebcam();
    assert_fails(command.arg("identify").arg(folder.path()), 66, &["holds no pictures"]);
    assert_fails(
        celebcam().args(["identify", "/no/such.jpg"]),
        66,
        &["/no/such.jpg", "no such file"],
    );
    assert_fails(celebcam().args(["crop", "/no/such.jpg", "--out", "x"]), 66, &["no such file"]);
    assert_fails(celebcam().args(["identify"]), 2, &["PHOTO|DIR"]);
    assert_fails(celebcam().args(["identify", "x.jpg", "--threshold", "2"]), 2, &["0 to 1"]);
}

#[test]
fn an_annotated_picture_that_cannot_be_written_is_an_error() {
    let folder = folder();
    let path = write(&folder, "p.jpg", &jpeg(&RgbImage::new(64, 48), None));
    let blocked = write(&folder, "file", b"");
    let mut command = celebcam();
    command.arg("identify").arg(&path).arg("--annotate").arg(&blocked);
    assert_fails(&mut command, 1, &["cannot write"]);
}

#[test]
fn copies_are_written_however_much_is_said() {
    let folder = folder();
    let path = write(&folder, "p.jpg", &jpeg(&RgbImage::new(64, 48), None));
    for word in ["--quiet", "-v", "-vv"] {
        let out = folder.path().join(word);
        let mut command = celebcam();
        command.args([word, "identify"]).arg(&path).arg("--annotate").arg(&out);
        assert!(command.status().expect("celebcam runs").success());
        assert!(out.join("p.jpg").is_file(), "{word}");
    }
}

#[test]
fn a_copy_replaces_no_photo_and_no_other_copy() {
    let folder = folder();
    let picture = jpeg(&RgbImage::new(64, 48), None);
    for sub in ["a", "b"] {
        fs::create_dir(folder.path().join(sub)).expect("a folder can be made");
        write(&folder, &format!("{sub}/x.jpg"), &picture);
    }
    let run = |arguments: &[&str], words: &str| {
        assert_fails(celebcam().current_dir(folder.path()).args(arguments), 2, &[words]);
    };
    for out in ["a", "b/../a", "./a/"] {
        run(&["identify", "a", "--annotate", out], "would be replaced");
    }
    run(&["identify", "a", "b", "--annotate", "out"], "would both be out/x.jpg");
    run(&["crop", "a", "b", "--out", "out"], "would both be out/x.jpg.png");
    assert!(!folder.path().join("out").exists());
    assert_eq!(fs::read(folder.path().join("a/x.jpg")).expect("it is there"), picture);
}

#[test]
fn names_of_files_do_not_steer_the_terminal() {
    let folder = folder();
    let picture = jpeg(&RgbImage::new(64, 48), None);
    for name in ["\u{1b}]0;x\u{7}.jpg", "a\nb.jpg", "\u{202e}gpj.jpg"] {
        write(&folder, name, &picture);
    }
    write(&folder, "\u{9b}2J.jpg", b"no picture");
    let output = celebcam().arg("identify").arg(folder.path()).output().expect("celebcam runs");
    assert_eq!(output.status.code(), Some(66));
    let text = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!(text.lines().count(), 3, "{text}");
    let log = String::from_utf8(output.stderr).expect("it is text");
    assert_eq!(log.lines().count(), 2, "{log}");
    let steers = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
    assert!(!(text + &log).contains(steers));
}
