//! Small models for the tests of the operations, which compare what tract computes with what is computed once
//! they are lowered; what stays with tract; and the models that are built in.

use prost::Message;

use super::*;
use crate::arena::Input;
use crate::graph::Op;
use crate::isa::Isa;
use crate::network::Network;
use crate::onnx::example::{Attribute, Model, SIZE};
use crate::reference;
use crate::settings::Settings;
use crate::tract::Plan;

mod regions;

/// Distance of two codes of an output.
pub const STEP: f32 = 0.02;

/// One step of the output and a little.
pub const NEAR: f32 = STEP * 1.01;

/// Distance of two codes of the picture.
pub const PICTURE: f32 = 1.0 / 127.0;

/// A convolution of the picture.
pub fn conv(model: &mut Model) -> String {
    let picture = model.picture();
    model.conv(&picture, [4, 3, 3, 3], 1, [1, 1, 1, 1])
}

/// What the oracle makes of a graph that takes a picture; the network has to give the same with all
/// kernels.
fn run_lowered(graph: &Graph) -> Vec<Vec<f32>> {
    let pixels = pixels();
    let inputs = [Input::Pixels(&pixels)];
    let expected = reference::run(graph, &inputs);
    for isa in Isa::available() {
        let settings = Settings::new(2).with_isa(isa.name()).expect("it is available");
        let network = Network::new(graph, &settings).expect("it compiles");
        let mut outputs = vec![Vec::new(); expected.len()];
        network.run(&inputs, &mut outputs).expect("it runs");
        for (found, expected) in outputs.iter().flatten().zip(expected.iter().flatten()) {
            let near = 1e-5 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= near, "{isa}: {found} instead of {expected}");
        }
        let lengths = |values: &[Vec<f32>]| values.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&outputs), lengths(&expected), "{isa}");
    }
    expected
}

/// Names of the operations of a region.
pub fn ops(region: &Region) -> Vec<String> {
    let name = |op: &Op| format!("{op:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
    region.graph.nodes.iter().map(|node| name(&node.op)).collect()
}

pub fn count(region: &Region, wanted: &str) -> usize {
    ops(region).iter().filter(|op| *op == wanted).count()
}

pub fn pixels() -> Vec<u8> {
    (0..SIZE[0] * SIZE[1] * 3).map(|at| (at * at * 37 + at * 11) as u8).collect()
}

/// What tract makes of a model with these regions in it.
pub fn run_tract(proto: &ModelProto, regions: &[Region]) -> Vec<Vec<f32>> {
    let settings = Settings::new(1).with_isa("scalar").expect("it is everywhere");
    let plan = Plan::new(proto, regions, &settings).unwrap();
    let mut outputs = vec![Vec::new(); plan.output_lengths().unwrap().len()];
    plan.run((SIZE[0] as u32, SIZE[1] as u32), &pixels(), &mut outputs).unwrap();
    outputs
}

/// The model, lowered as it is when it is loaded; one whose sizes are not known, without them.
pub fn lowered(proto: &ModelProto) -> Lowered {
    let sizes = proto.graph.as_ref().and_then(|graph| Sizes::of(graph).ok());
    lower(proto, &sizes.unwrap_or_default()).unwrap()
}

/// Lowers the model and checks that it still gives what tract makes of all of it, but for
/// `tolerance`.
pub fn lower_and_compare(proto: &ModelProto, tolerance: f32) -> Lowered {
    let expected = run_tract(proto, &[]);
    let lowered = lowered(proto);
    let found = match &lowered.rest {
        None => run_lowered(&lowered.regions[0].graph),
        Some(rest) => run_tract(rest, &lowered.regions),
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
pub fn whole(proto: &ModelProto, tolerance: f32) -> Vec<String> {
    let lowered = lower_and_compare(proto, tolerance);
    assert!(lowered.rest.is_none(), "{:?}", lowered.rest.unwrap().graph.unwrap().node);
    ops(&lowered.regions[0])
}

/// Checks that a model becomes one region of no others than these operations.
pub fn assert_whole(proto: &ModelProto, tolerance: f32, expected: &[&str]) {
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
