//! Each pattern in a small model, computed by tract as it is and lowered; and the models that are
//! built in.

use prost::Message;
use tract_onnx::prelude::*;

use super::*;
use crate::Settings;
use crate::int8::graph::Op;
use crate::int8::isa::Isa;
use crate::int8::network::Input;
use crate::int8::reference;
use crate::onnx::example::{Attribute, Model, SIZE};
use crate::ops::region;

mod patterns;
mod regions;

/// Names of the operations of a region.
fn ops(region: &Region) -> Vec<String> {
    let name = |op: &Op| format!("{op:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
    region.graph.nodes.iter().map(|node| name(&node.op)).collect()
}

fn count(region: &Region, wanted: &str) -> usize {
    ops(region).iter().filter(|op| *op == wanted).count()
}

fn pixels() -> Vec<u8> {
    (0..SIZE[0] * SIZE[1] * 3).map(|at| (at * at * 37 + at * 11) as u8).collect()
}

fn run_tract(model: InferenceModel) -> Vec<Vec<f32>> {
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let image = Tensor::from_shape(&[1, SIZE[0], SIZE[1], 3], &pixels()).unwrap();
    let outputs = plan.run(tvec!(image.into_tvalue())).unwrap();
    let values = |output: &TValue| {
        output.to_plain_array_view::<f32>().unwrap().iter().copied().collect::<Vec<_>>()
    };
    outputs.iter().map(values).collect()
}

/// The model, lowered as it is when it is loaded; one whose sizes are not known, without them.
fn lowered(proto: &ModelProto) -> Lowered {
    let sizes = proto.graph.as_ref().and_then(|graph| Sizes::of(graph).ok());
    lower(proto, &sizes.unwrap_or_default()).unwrap()
}

/// Lowers the model and checks that it still gives what tract makes of all of it, but for
/// `tolerance`.
fn lower_and_compare(proto: &ModelProto, tolerance: f32) -> Lowered {
    let expected = run_tract(tract_onnx::onnx().model_for_proto_model(proto).unwrap());
    let lowered = lowered(proto);
    let found = match &lowered.rest {
        None => reference::run(&lowered.regions[0].graph, &[Input::Pixels(&pixels())]),
        Some(rest) => {
            let settings =
                Settings { isa: Isa::Scalar, ..Settings::new(1, None).expect("there are kernels") };
            run_tract(region::model(rest, &lowered.regions, &settings).unwrap())
        }
    };
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().any(|&value| value != expected[0]), "a constant shows nothing");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
        }
    }
    lowered
}

/// The operations of a model that becomes one region.
fn whole(proto: &ModelProto, tolerance: f32) -> Vec<String> {
    let lowered = lower_and_compare(proto, tolerance);
    assert!(lowered.rest.is_none(), "{:?}", lowered.rest.unwrap().graph.unwrap().node);
    ops(&lowered.regions[0])
}

/// Checks that a model becomes one region of no others than these operations.
fn assert_whole(proto: &ModelProto, tolerance: f32, expected: &[&str]) {
    assert_eq!(whole(proto, tolerance), expected);
}

#[test]
fn the_recognizer_becomes_one_region() {
    let bytes: &[u8] = include_bytes!("../../../models/celebrities.onnx");
    let lowered = lowered(&ModelProto::decode(bytes).unwrap());
    assert!(lowered.rest.is_none());
    let [region] = &lowered.regions[..] else { panic!("more than one region") };
    let names: Vec<_> = region.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["logits", "embedding"]);
    assert_eq!(count(region, "Convolution"), 33);
    assert_eq!(count(region, "Depthwise"), 17);
    assert_eq!(count(region, "Add"), 12);
    assert_eq!(ops(region).last().unwrap(), "Dense");
    assert_eq!(region.graph.nodes.len(), 33 + 17 + 12 + 4);
}

#[test]
fn the_detector_becomes_one_region() {
    let bytes: &[u8] = include_bytes!("../../../models/detector.onnx");
    let lowered = lowered(&ModelProto::decode(bytes).unwrap());
    assert!(lowered.rest.is_none());
    let [region] = &lowered.regions[..] else { panic!("more than one region") };
    let names: Vec<_> = region.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["boxes", "scores"]);
    assert_eq!(region.outputs[0].dims, [1, 896, 16]);
    assert_eq!(count(region, "Convolution"), 33);
    assert_eq!(count(region, "Depthwise"), 32);
    assert_eq!(count(region, "Add"), 31);
    assert_eq!(count(region, "MaxPool"), 3);
    assert_eq!(count(region, "PadChannels"), 2);
    assert_eq!(count(region, "Dense"), 4);
    assert_eq!(count(region, "Concatenate"), 2);
    let depthwise = |at: usize| matches!(region.graph.nodes[at].op, Op::Depthwise(_));
    let followed = |at: usize| region.graph.nodes[at + 1].inputs == [region.graph.nodes[at].output];
    let nodes = 0..region.graph.nodes.len() - 1;
    assert!(nodes.filter(|&at| depthwise(at)).all(followed), "no value waits without need");
}
