//! Which part of the source may know which dependency.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every place in `src` whose code, comments left out, holds `word`, but for those in files whose
/// path starts with one of `allowed`.
fn uses(word: &str, allowed: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources are there");
    let mut places = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("below src").display().to_string();
        if allowed.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("the source can be read");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(word) {
                places.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    places
}

#[test]
fn only_the_engine_knows_tract() {
    assert_eq!(uses("tract_onnx", &["engine.rs", "engine/lower", "engine/ops/"]), [""; 0]);
    assert!(!uses("tract_onnx", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn only_the_camera_knows_nokhwa() {
    assert_eq!(uses("nokhwa", &["source/camera.rs"]), [""; 0]);
    assert!(!uses("nokhwa", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn only_the_door_knows_decoders() {
    let tests = ["picture_tests.rs", "picture/jpeg_tests.rs"];
    for decoder in ["zune_jpeg", "use png::", "WebPDecoder", "BmpDecoder", "ImageReader"] {
        let inside =
            [&["picture/jpeg.rs", "picture/png.rs", "picture/whole.rs"][..], &tests].concat();
        assert_eq!(uses(decoder, &inside), [""; 0]);
    }
    assert!(!uses("zune_jpeg", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn unsafe_code_stays_in_the_kernels() {
    assert_eq!(uses("unsafe ", &["engine/int8/"]), [""; 0]);
}
