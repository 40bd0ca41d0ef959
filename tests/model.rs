//! Model files from outside: what `celebcam model` shows, and files that are not good models.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{assert_fails, celebcam, json_lines};
use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::{ModelProto, NodeProto, type_proto};

const RECOGNIZER: &str = "models/celebrities.onnx";
const DETECTOR: &str = "models/detector.onnx";

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> ModelProto {
    let bytes = fs::read(shipped(name)).expect("the model can be read");
    ModelProto::decode(&bytes[..]).expect("the model is ONNX")
}

/// A folder with `model.onnx` in it.
fn model(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("model.onnx");
    fs::write(&path, bytes).expect("a file can be written");
    (folder, path)
}

fn set(proto: &mut ModelProto, key: &str, value: &str) {
    let entry = proto.metadata_props.iter_mut().find(|entry| entry.key == key);
    entry.expect("the key is there").value = value.to_owned();
}

/// Expects that `model` and `identify --model` refuse the file with exit code 78 and these words.
fn assert_refused(bytes: &[u8], words: &[&str]) {
    let (_folder, path) = model(bytes);
    let words = [&["model.onnx"], words].concat();
    assert_fails(celebcam().arg("model").arg(&path), 78, &words);
    let picture = path.with_file_name("p.png");
    image::RgbImage::new(8, 8).save(&picture).expect("the picture can be written");
    assert_fails(celebcam().arg("identify").arg(&picture).arg("--model").arg(&path), 78, &words);
}

#[test]
fn the_built_in_models_say_what_they_are() {
    let output = celebcam().arg("model").output().expect("celebcam runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is to be said");
    for words in ["18: Barack Obama", "Jennifer Aniston", "threshold", "licence", "detector"] {
        assert!(text.contains(words), "no {words:?} in: {text}");
    }
    let output = celebcam().args(["model", "--format", "json"]).output().expect("celebcam runs");
    let models = json_lines(&output.stdout);
    assert_eq!(models[0]["labels"].as_array().map(Vec::len), Some(18));
    assert_eq!(models[1]["kind"], "detector");
}

#[test]
fn the_larger_model_asks_for_more_similarity() {
    let rule = |arguments: &[&str]| {
        let output = celebcam().args(["model", "--format", "json"]).args(arguments).output();
        let model = json_lines(&output.expect("celebcam runs").stdout)[0].clone();
        let ids: std::collections::HashSet<_> = model["labels"]
            .as_array()
            .expect("there are labels")
            .iter()
            .map(|label| label["id"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(model["rule"]["people"], ids.len());
        let promised = model["rule"]["false_accepts"].as_f64().expect("it is known");
        assert!((promised / 0.001 - 1.0).abs() < 0.01, "{promised}");
        (ids.len(), model["rule"]["similarity"].as_f64().expect("a number"))
    };
    let larger = shipped("models/celebrities135.onnx");
    let (few, of_few) = rule(&[]);
    let (many, of_many) = rule(&[larger.to_str().expect("a plain path")]);
    assert_eq!((few, many), (18, 135));
    assert!(of_many > of_few + 0.03, "{of_few} {of_many}");
}

#[test]
fn a_copy_of_the_built_in_model_gives_the_same() {
    let file = celebcam().args(["model", "--format", "json"]).arg(shipped(RECOGNIZER)).output();
    let built_in = celebcam().args(["model", "--format", "json"]).output();
    let file = json_lines(&file.expect("celebcam runs").stdout);
    let built_in = json_lines(&built_in.expect("celebcam runs").stdout);
    assert_eq!(file[0]["fingerprint"], built_in[0]["fingerprint"]);
}

#[test]
fn files_that_are_not_models_are_refused() {
    let whole = fs::read(shipped(RECOGNIZER)).expect("the model can be read");
    assert_refused(b"", &["is empty"]);
    assert_refused(b"these are words, not a model", &["not an ONNX file"]);
    assert_refused(&whole[..whole.len() / 2], &["not an ONNX file, or it is cut off"]);
    assert_refused(&whole[..100], &["not an ONNX file, or it is cut off"]);
    assert_fails(
        celebcam().args(["model", "/no/such.onnx"]),
        78,
        &["/no/such.onnx", "cannot be read"],
    );
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let pipe = folder.path().join("pipe");
    let picture = folder.path().join("p.png");
    image::RgbImage::new(8, 8).save(&picture).expect("the picture can be written");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    for (path, what) in
        [(&*pipe, "a pipe"), (Path::new("/dev/zero"), "a device"), (folder.path(), "a folder")]
    {
        let words = ["cannot be read", what, "not a file"];
        assert_fails(celebcam().arg("model").arg(path), 78, &words);
        for flag in ["--model", "--detector"] {
            let mut command = celebcam();
            assert_fails(command.arg("identify").arg(&picture).arg(flag).arg(path), 78, &words);
        }
    }
    let large = folder.path().join("large.onnx");
    let file = fs::File::create(&large).expect("a file can be made");
    file.set_len(300_000_000).expect("it can be sparse");
    assert_fails(celebcam().arg("model").arg(&large), 78, &["more than 256 MB"]);
}

/// The recognizer, after a change to the first of its nodes that has this type.
fn with_node(kind: &str, change: impl FnOnce(&mut NodeProto)) -> Vec<u8> {
    let mut proto = read(RECOGNIZER);
    let mut nodes = proto.graph.as_mut().expect("a graph").node.iter_mut();
    change(nodes.find(|node| node.op_type == kind).expect("a node of this type"));
    proto.encode_to_vec()
}

fn set_integers(node: &mut NodeProto, name: &str, values: &[i64]) {
    let attribute = node.attribute.iter_mut().find(|attribute| attribute.name == name);
    attribute.expect("the attribute is there").ints = values.to_vec();
}

#[test]
fn sizes_beyond_all_measure_are_refused() {
    for size in [1, 1 << 20, 1 << 40, 1 << 60, (1 << 60) + 1, i64::MAX] {
        let bytes = with_node("Conv", |node| set_integers(node, "pads", &[1, size, 1, 1]));
        if size > 1 {
            assert_refused(&bytes, &["(Conv)"]);
        }
        let bytes = with_node("Conv", |node| set_integers(node, "dilations", &[size, 1]));
        if size > 1 {
            assert_refused(&bytes, &["(Conv)"]);
        }
    }
    let bytes = with_node("Conv", |node| set_integers(node, "pads", &[3, 3, 3, 3]));
    assert_refused(&bytes, &["do not fit together"]);
}

#[test]
fn operators_that_no_model_has_are_refused() {
    let bytes = with_node("Sub", |node| node.op_type = "ConstantOfShape".to_owned());
    assert_refused(&bytes, &["ConstantOfShape", "does not know this operator"]);
}

#[test]
fn metadata_and_labels_have_limits() {
    let mut proto = read(RECOGNIZER);
    set(&mut proto, "celebcam.source", &"x".repeat(1_000_001));
    assert_refused(&proto.encode_to_vec(), &["metadata has more than 1 MB"]);
    let mut proto = read(RECOGNIZER);
    set(&mut proto, "celebcam.labels", r#"[{"name":"A","id":"a\u0000"}]"#);
    assert_refused(&proto.encode_to_vec(), &["control characters"]);
}

#[test]
fn a_model_without_metadata_is_refused() {
    let mut proto = read(RECOGNIZER);
    proto.metadata_props.clear();
    assert_refused(&proto.encode_to_vec(), &["no celebcam metadata", "trainer"]);
}

#[test]
fn a_model_of_another_schema_is_refused() {
    let mut proto = read(RECOGNIZER);
    set(&mut proto, "celebcam.schema", "7");
    assert_refused(&proto.encode_to_vec(), &["schema 7"]);
}

#[test]
fn a_model_of_something_else_is_refused() {
    let mut proto = read(RECOGNIZER);
    let input = &mut proto.graph.as_mut().expect("a graph").input[0];
    let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut()).expect("a type");
    let type_proto::Value::TensorType(tensor) = kind;
    tensor.elem_type = 1;
    assert_refused(&proto.encode_to_vec(), &["uint8 [1, height, width, 3]"]);
}

#[test]
fn labels_that_do_not_match_the_outputs_are_refused() {
    let mut proto = read(RECOGNIZER);
    set(&mut proto, "celebcam.labels", r#"[{"name":"A","id":"a"},{"name":"B","id":"b"}]"#);
    assert_refused(&proto.encode_to_vec(), &["names 2 people and has 18 outputs"]);
    set(&mut proto, "celebcam.labels", "{}");
    assert_refused(&proto.encode_to_vec(), &["celebcam.labels is broken"]);
}

#[test]
fn a_graph_that_does_not_hold_together_is_refused() {
    let mut proto = read(RECOGNIZER);
    let graph = proto.graph.as_mut().expect("a graph");
    graph.initializer.truncate(graph.initializer.len() / 2);
    assert_refused(&proto.encode_to_vec(), &["model.onnx"]);
}

#[test]
fn models_in_each_others_place_are_refused() {
    let picture = tempfile::tempdir().expect("a folder can be made");
    let picture = picture.path().join("p.png");
    fs::create_dir_all(picture.parent().expect("a parent")).expect("a folder can be made");
    image::RgbImage::new(8, 8).save(&picture).expect("the picture can be written");
    let mut command = celebcam();
    command.arg("identify").arg(&picture).arg("--model").arg(shipped(DETECTOR));
    assert_fails(&mut command, 78, &["its kind is detector", "recognizer is needed"]);
    let mut command = celebcam();
    command.arg("identify").arg(&picture).arg("--detector").arg(shipped(RECOGNIZER));
    assert_fails(&mut command, 78, &["its kind is recognizer", "detector is needed"]);
}

#[test]
fn nobody_can_be_added_to_a_model_without_embeddings() {
    let mut proto = read(RECOGNIZER);
    let graph = proto.graph.as_mut().expect("there is a graph");
    graph.output.retain(|output| output.name != "embedding");
    let (folder, path) = model(&proto.encode_to_vec());
    let words = ["model.onnx", "nobody can be added to it", "default preset"];
    let mut command = celebcam();
    assert_fails(command.args(["enroll", "Ann", "x.jpg", "--model"]).arg(&path), 78, &words);
    let picture = folder.path().join("p.png");
    image::RgbImage::new(112, 112).save(&picture).expect("the picture can be written");
    let mut command = celebcam();
    command.args(["identify", "--crops", "--any-quality"]).arg(picture).arg("--model").arg(path);
    assert_eq!(command.status().expect("celebcam runs").code(), Some(0), "it needs no gallery");
}

/// `identify` of a folder of small pictures with this much address space, in MB.
fn identify_within(limit_mb: u64) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for name in ["a.png", "b.png", "c.png", "d.png"] {
        let path = folder.path().join(name);
        image::RgbImage::new(64, 64).save(path).expect("the picture can be written");
    }
    let binary = celebcam();
    let mut command = Command::new("prlimit");
    command.arg(format!("--as={}", limit_mb * 1_000_000)).arg(binary.get_program());
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["identify", "--threads", "4"]).arg(folder.path());
    let output = command.output().expect("prlimit runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_limit_of_the_address_space_is_kept_or_said() {
    if common::beyond_emulation("limits of the address space", "an emulator needs more") {
        return;
    }
    let (code, message) = identify_within(40);
    assert_eq!(code, Some(78), "{message}");
    assert!(message.contains("limited to 40 MB"), "{message}");
    for limit_mb in [100, 150, 170, 190, 200, 220, 300] {
        let (code, message) = identify_within(limit_mb);
        assert_eq!(code, Some(0), "{limit_mb} MB: {message}");
    }
}
