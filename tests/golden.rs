//! The built-in models give the same names and confidences on every processor.
//!
//! `tests/golden.json` holds what they gave when they were made; `CELEBCAM_UPDATE_GOLDEN=1 cargo
//! test --test golden` writes it anew.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{celebcam, data, files, json_lines, sample_photo};
use serde_json::{Value, json};

/// Largest difference of a similarity or confidence between processors. Networks give the same bits
/// everywhere; what is left is the rounding of a record in decimal digits.
const SHARE_TOLERANCE: f64 = 1e-5;

/// Largest difference of a box between processors, in pixels.
const BOX_TOLERANCE_PX: f64 = 0.0;

/// What each picture's faces were called, by the picture's path.
type Faces = BTreeMap<String, Vec<Value>>;

fn identify(arguments: &[&str], root: &Path, paths: &[PathBuf]) -> Faces {
    let output = celebcam()
        .args(["identify", "--format", "json", "--top-k", "1"])
        .args(arguments)
        .args(paths)
        .output()
        .expect("celebcam runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut faces = Faces::new();
    for face in json_lines(&output.stdout) {
        let path = PathBuf::from(face["file"].as_str().expect("a path"));
        let key = path.strip_prefix(root).expect("below the root").display().to_string();
        faces.entry(key).or_default().push(json!({
            "name": face["name"],
            "nearest": face["top"][0]["name"],
            "similarity": face["top"][0]["similarity"],
            "confidence": face["confidence"],
            "box": face["box"],
        }));
    }
    faces
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder can be read")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Two validation pictures of each person, two of each stranger, and the photo of six people.
fn observed() -> Option<Faces> {
    let photo = sample_photo()?;
    let root = data("celeb24")?;
    let mut crops = Vec::new();
    for part in ["val", "unknown"] {
        for name in names(&root.join(part)) {
            crops.extend(files(&root.join(part).join(name), 2));
        }
    }
    let mut observed = identify(&["--crops"], &root, &crops);
    observed.extend(identify(&[], photo.parent()?, std::slice::from_ref(&photo)));
    Some(observed)
}

fn near(ours: &Value, theirs: &Value, tolerance: f64) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| near(ours, theirs, tolerance))
        }
        _ => match (ours.as_f64(), theirs.as_f64()) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= tolerance,
            _ => ours == theirs,
        },
    }
}

#[test]
fn names_and_confidences_are_those_recorded() {
    let Some(observed) = observed() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.json");
    if std::env::var_os("CELEBCAM_UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&observed).expect("it is JSON");
        fs::write(&path, text + "\n").expect("the record can be written");
        return;
    }
    let text = fs::read_to_string(&path).expect("the record can be read");
    let recorded: Faces = serde_json::from_str(&text).expect("it is JSON");
    assert!(recorded.len() >= 40, "the record is complete");
    assert_eq!(
        observed.keys().collect::<Vec<_>>(),
        recorded.keys().collect::<Vec<_>>(),
        "the pictures are those of the record"
    );
    let mut largest = 0.0f64;
    for (key, ours) in &observed {
        let theirs = &recorded[key];
        assert_eq!(ours.len(), theirs.len(), "{key}: number of faces");
        for (ours, theirs) in ours.iter().zip(theirs) {
            for field in ["name", "nearest"] {
                assert_eq!(ours[field], theirs[field], "{key}: {field}");
            }
            for (field, tolerance) in [
                ("similarity", SHARE_TOLERANCE),
                ("confidence", SHARE_TOLERANCE),
                ("box", BOX_TOLERANCE_PX),
            ] {
                let (ours, theirs) = (&ours[field], &theirs[field]);
                assert!(near(ours, theirs, tolerance), "{key}: {field} {ours}, not {theirs}");
                if let (Some(ours), Some(theirs)) = (ours.as_f64(), theirs.as_f64()) {
                    largest = largest.max((ours - theirs).abs());
                }
            }
        }
    }
    println!("largest difference of a similarity or confidence: {largest:.4}");
}
