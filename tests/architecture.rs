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
    assert_eq!(
        uses("tract_onnx", &["engine.rs", "engine/lower", "engine/onnx", "engine/ops/"]),
        [""; 0]
    );
    assert!(!uses("tract_onnx", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn only_the_camera_knows_nokhwa() {
    assert_eq!(uses("nokhwa", &["source/camera.rs"]), [""; 0]);
    assert!(!uses("nokhwa", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn unsafe_code_stays_in_the_kernels_and_the_heap() {
    assert_eq!(uses("unsafe ", &["engine/int8/", "heap.rs"]), [""; 0]);
}

/// [`uses`] without those in unit tests.
fn uses_at_work(word: &str, allowed: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let in_test = |place: &String| {
        let mut parts = place.splitn(3, ':');
        let (name, line) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let text = fs::read_to_string(root.join(name)).expect("the source can be read");
        let tests = text.lines().position(|line| line == "mod tests {").unwrap_or(usize::MAX);
        name.ends_with("tests.rs") || line.parse().is_ok_and(|line: usize| line > tests)
    };
    uses(word, allowed).into_iter().filter(|place| !in_test(place)).collect()
}

#[test]
fn lines_for_people_are_written_in_one_way() {
    assert_eq!(uses_at_work("print!(", &[]), [""; 0]);
    assert_eq!(uses_at_work("println!", &[]), [""; 0]);
}

#[test]
fn programs_are_started_in_one_place() {
    assert_eq!(uses_at_work(".spawn()", &["process"]), [""; 0]);
    assert!(!uses(".spawn()", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn files_are_made_in_one_place() {
    for word in ["fs::write(", "File::create(", "create_dir", "OpenOptions"] {
        assert_eq!(
            uses_at_work(word, &["bounded.rs", "files.rs", "gallery/store/replace.rs"]),
            [""; 0]
        );
    }
    assert!(!uses_at_work("OpenOptions", &[]).is_empty(), "the search finds what is there");
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
