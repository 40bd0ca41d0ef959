//! Changes model files by chance: sizes, attributes, weights, operators, connections, metadata and
//! single bytes. Most changes leave a file that can be parsed.

#![allow(dead_code, reason = "each program uses a part of it")]

use prost::Message;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, type_proto,
};
use tract_onnx::pb::{tensor_shape_proto::dimension::Value, type_proto::Tensor};

use celebcam_engine::internals::example::{self, Attribute, Model};

/// Numbers by chance: one below the given end, which is at least 1.
pub type Chance<'a> = dyn FnMut(usize) -> usize + 'a;

const SHIPPED: [&[u8]; 3] = [
    include_bytes!("../../models/aligner.onnx"),
    include_bytes!("../../models/celebrities.onnx"),
    include_bytes!("../../models/detector.onnx"),
];

/// Sizes at and beyond the edges of tiles, words and limits.
const NUMBERS: [i64; 40] = [
    -1,
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    33,
    63,
    64,
    65,
    112,
    127,
    128,
    255,
    257,
    1000,
    4096,
    65_536,
    1 << 20,
    (1 << 20) + 1,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 59,
    1 << 60,
    (1 << 60) + 3,
    i64::MAX / 2 + 2,
    i64::MAX,
    i64::MIN,
];

const FLOATS: [f32; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-45,
    1e-38,
    1e38,
    -1e38,
    0.02,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

const OPERATORS: [&str; 27] = [
    "Identity",
    "LeakyRelu",
    "QuantizeLinear",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Relu",
    "PRelu",
    "Sigmoid",
    "Tanh",
    "Conv",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Gemm",
    "MatMul",
    "ReduceMean",
    "ReduceL2",
    "Flatten",
    "Reshape",
    "Concat",
    "Transpose",
    "Softmax",
    "ConstantOfShape",
    "Tile",
    "Resize",
];

/// A model file with some changes.
pub fn changed(chance: &mut Chance<'_>) -> Vec<u8> {
    let mut model = match chance(5) {
        0 | 1 => small(chance),
        at => ModelProto::decode(SHIPPED[at - 2]).expect("a shipped model is ONNX"),
    };
    for _ in 0..=chance(3) {
        change(&mut model, chance);
    }
    let mut bytes = model.encode_to_vec();
    if chance(8) == 0 {
        for _ in 0..=chance(4) {
            let at = chance(bytes.len());
            bytes[at] = chance(256) as u8;
        }
    }
    if chance(32) == 0 {
        bytes.truncate(chance(bytes.len()));
    }
    bytes
}

/// A recognizer of one person, of a few layers.
fn small(chance: &mut Chance<'_>) -> ModelProto {
    let mut model = Model::default();
    let sizes = [1, 6, 17, 64, 200];
    let [height, width] = [sizes[chance(5)], sizes[chance(5)]];
    model.graph.input[0] = example::picture(height, width);
    let step = 1.0 / 127.0;
    let mut last = model.picture();
    let mut channels = 3;
    for layer in 0..=chance(3) {
        let outputs = [1, 4, 16, 40][chance(4)];
        let size = [1, 2, 3, 5][chance(4)];
        let pads = [chance(3), chance(3), chance(3), chance(3)].map(|pad| pad as i64);
        let stride = 1 + chance(3) as i64;
        let dims = if layer % 2 == 0 {
            let dims = [outputs, channels, size, size];
            channels = outputs;
            dims
        } else {
            [channels, 1, size, size]
        };
        let conv = model.conv(&last, dims, stride, pads);
        last = model.quantized(&conv, step, [0, -128, 5][chance(3)]);
        if chance(4) == 0 {
            last = model.node(OPERATORS[7 + chance(4)], &[&last], &[]);
        }
        if chance(4) == 0 {
            let window = [1 + chance(4) as i64, 1 + chance(4) as i64];
            let attributes = [("kernel_shape", Attribute::Integers(window.to_vec()))];
            last = model.node("MaxPool", &[&last], &attributes);
        }
    }
    let mean = model.node("GlobalAveragePool", &[&last], &[]);
    let mean = model.quantized(&mean, step, 0);
    let list = model.node("Flatten", &[&mean], &[]);
    let weights = model.random_floats(&[channels, 1]);
    let logits = model.node("Gemm", &[&list, &weights], &[]);
    if let Some(node) = model.graph.node.last_mut() {
        node.output[0] = "logits".to_owned();
    }
    debug_assert!(!logits.is_empty());
    let mut proto = model.finish(&["logits"]);
    let decision = r#"{"score":"cosine","slope":10,"intercept":-5,"threshold":0.5,"margin":0.1,"calibration":"none"}"#;
    for (key, value) in [
        ("schema", "1"),
        ("kind", "recognizer"),
        ("labels", r#"[{"name":"A","id":"a"}]"#),
        ("decision", decision),
    ] {
        let (key, value) = (format!("celebcam.{key}"), value.to_owned());
        proto.metadata_props.push(StringStringEntryProto { key, value });
    }
    proto
}

fn one_of<'a, T>(things: &'a mut [T], chance: &mut Chance<'_>) -> Option<&'a mut T> {
    if things.is_empty() { None } else { Some(&mut things[chance(things.len())]) }
}

fn change(model: &mut ModelProto, chance: &mut Chance<'_>) {
    let kind = chance(14);
    if kind == 0 {
        return change_metadata(model, chance);
    }
    let Some(graph) = &mut model.graph else { return };
    match kind {
        1 | 2 => {
            if let Some(tensor) = one_of(&mut graph.initializer, chance) {
                change_tensor(tensor, chance);
            }
        }
        3 => {
            let infos = [&mut graph.input, &mut graph.output, &mut graph.value_info];
            let Some(info) = one_of(infos[chance(3)], chance) else { return };
            let kind = info.r#type.as_mut().and_then(|kind| kind.value.as_mut());
            if let Some(type_proto::Value::TensorType(Tensor { shape: Some(shape), .. })) = kind
                && let Some(dim) = one_of(&mut shape.dim, chance)
            {
                dim.value = Some(Value::DimValue(NUMBERS[chance(NUMBERS.len())]));
            }
        }
        4 => {
            let at = chance(graph.node.len().max(1));
            if at < graph.node.len() {
                let node = graph.node.remove(at);
                if chance(2) == 0 {
                    let to = chance(graph.node.len() + 1);
                    graph.node.insert(to, node);
                }
            }
        }
        5 => {
            // One value in the place of another.
            let names: Vec<String> =
                graph.node.iter().flat_map(|node| node.output.clone()).collect();
            if let Some(node) = one_of(&mut graph.node, chance)
                && let Some(input) = one_of(&mut node.input, chance)
                && !names.is_empty()
            {
                input.clone_from(&names[chance(names.len())]);
            }
        }
        6 => {
            if let Some(node) = one_of(&mut graph.node, chance) {
                node.op_type = OPERATORS[chance(OPERATORS.len())].to_owned();
            }
        }
        7 if chance(4) == 0 => {
            if let Some(set) = one_of(&mut model.opset_import, chance) {
                set.version = 1 + chance(25) as i64;
            }
        }
        8 => multiply(graph, chance),
        9 => {
            let names = [
                &mut graph.initializer.iter_mut().map(|it| &mut it.name).collect::<Vec<_>>(),
                &mut graph.node.iter_mut().map(|it| &mut it.name).collect::<Vec<_>>(),
            ];
            let [constants, nodes] = names;
            if let Some(name) = one_of(if chance(2) == 0 { constants } else { nodes }, chance) {
                **name = match chance(3) {
                    0 => format!("celebcam/value{}", chance(10)),
                    1 => format!("celebcam/region{}", chance(2)),
                    _ => "n".repeat(1 << chance(21)),
                };
            }
        }
        _ => {
            // A node that has attributes; most have none.
            let with = |node: &&mut NodeProto| !node.attribute.is_empty();
            let mut nodes: Vec<_> = graph.node.iter_mut().filter(with).collect();
            if let Some(node) = one_of(&mut nodes, chance) {
                change_attribute(node, chance);
            }
        }
    }
}

/// Much of one thing: a node in a chain of copies or beside copies of itself, a weight of several
/// nodes, a long list.
fn multiply(graph: &mut GraphProto, chance: &mut Chance<'_>) {
    const COUNTS: [usize; 4] = [3, 100, 1000, 3900];
    if graph.node.is_empty() {
        return;
    }
    let at = chance(graph.node.len());
    let count = COUNTS[chance(COUNTS.len())];
    match chance(4) {
        0 => {
            // Behind itself, the last of them in its place.
            let Some(result) = graph.node[at].output.first().cloned() else { return };
            if graph.node[at].input.is_empty() {
                return;
            }
            let mut copies = vec![graph.node[at].clone(); count];
            for (index, copy) in copies.iter_mut().enumerate() {
                copy.name = format!("{}_{index}", copy.name);
                if index > 0 {
                    copy.input[0] = format!("{result}_{}", index - 1);
                }
                if index + 1 < count {
                    copy.output[0] = format!("{result}_{index}");
                }
            }
            graph.node.splice(at..=at, copies);
        }
        1 => {
            let mut copies = vec![graph.node[at].clone(); count];
            for (index, copy) in copies.iter_mut().enumerate() {
                copy.name = format!("{}_{index}", copy.name);
                for output in &mut copy.output {
                    *output = format!("{output}_{index}");
                }
            }
            graph.node.splice(at..at, copies);
        }
        2 => {
            let from = chance(graph.node.len());
            if let (Some(weight), Some(input)) =
                (graph.node[from].input.get(1).cloned(), graph.node[at].input.get_mut(1))
            {
                *input = weight;
            }
        }
        _ => {
            let length = 1 << chance(23);
            if let Some(attribute) = one_of(&mut graph.node[at].attribute, chance) {
                attribute.ints = vec![NUMBERS[chance(NUMBERS.len())]; length];
            } else if let Some(tensor) = one_of(&mut graph.initializer, chance) {
                tensor.dims = vec![length as i64];
                tensor.raw_data = vec![0; length];
                tensor.data_type = [2, 3][chance(2)];
            }
        }
    }
}

fn change_attribute(node: &mut NodeProto, chance: &mut Chance<'_>) {
    let Some(attribute) = one_of(&mut node.attribute, chance) else { return };
    let number = NUMBERS[chance(NUMBERS.len())];
    match chance(8) {
        0 => attribute.ints.push(number),
        1 => drop(attribute.ints.pop()),
        2 => {
            attribute.name = ["pads", "strides", "dilations", "axis", "perm"][chance(5)].to_owned()
        }
        3 => attribute.f = FLOATS[chance(FLOATS.len())],
        4 => attribute.r#type = chance(14) as i32,
        _ => {
            attribute.i = number;
            if let Some(value) = one_of(&mut attribute.ints, chance) {
                *value = number;
            }
        }
    }
}

fn change_tensor(tensor: &mut TensorProto, chance: &mut Chance<'_>) {
    match chance(7) {
        0 => {
            if let Some(size) = one_of(&mut tensor.dims, chance) {
                *size = NUMBERS[chance(NUMBERS.len())];
            }
        }
        1 => tensor.dims.push(1 + chance(2) as i64),
        2 => tensor.data_type = chance(18) as i32,
        3 => tensor.raw_data.truncate(chance(tensor.raw_data.len() + 1)),
        4 => {
            let floats = tensor.raw_data.len() / 4;
            if floats > 0 {
                let at = 4 * chance(floats);
                let value = FLOATS[chance(FLOATS.len())];
                tensor.raw_data[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            if let Some(value) = one_of(&mut tensor.float_data, chance) {
                *value = FLOATS[chance(FLOATS.len())];
            }
        }
        _ => {
            let byte = [0, 1, 127, 128, 129, 255][chance(6)];
            if let Some(value) = one_of(&mut tensor.raw_data, chance) {
                *value = byte;
            }
            if let Some(value) = one_of(&mut tensor.int32_data, chance) {
                *value = [i32::MIN, -129, -128, 0, 127, i32::MAX][chance(6)];
            }
        }
    }
}

fn change_metadata(model: &mut ModelProto, chance: &mut Chance<'_>) {
    let Some(entry) = one_of(&mut model.metadata_props, chance) else { return };
    let text: Vec<char> = entry.value.chars().collect();
    let at = chance(text.len() + 1);
    let with = |middle: &str, rest: usize| {
        let end = text[rest.min(text.len())..].iter();
        text[..at].iter().copied().chain(middle.chars()).chain(end.copied()).collect::<String>()
    };
    entry.value = match chance(6) {
        0 => String::new(),
        1 => with("", text.len()),
        2 => with("\0", at),
        3 => with("9999999999", at + 1),
        4 => with("-1e999", at + 1),
        _ => with("[[{\"", at),
    };
}
