//! What stays with tract, and what lies around it.

use super::*;

fn rest_ops(lowered: &Lowered) -> Vec<&str> {
    let graph = lowered.rest.as_ref().and_then(|rest| rest.graph.as_ref()).unwrap();
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

/// A model of one convolution whose weights are made by `weights`.
fn with_weights(weights: fn(&mut Model) -> String, attributes: &[(&str, Attribute)]) -> ModelProto {
    let mut model = Model::default();
    let picture = model.picture();
    let weights = weights(&mut model);
    let conv = model.node("Conv", &[&picture, &weights], attributes);
    let output = model.quantized(&conv, STEP, 0);
    model.finish(&[&output])
}

#[test]
fn weights_that_are_not_symmetric_stay() {
    let weights: [fn(&mut Model) -> String; 2] = [
        |model| {
            let codes = model.codes(&[1, 3, 1, 1], &[-128, 5, 100]);
            let (scale, zero) = (model.floats(&[1], &[0.01]), model.codes(&[1], &[0]));
            model.node("DequantizeLinear", &[&codes, &scale, &zero], &[])
        },
        |model| {
            let codes = model.codes(&[1, 3, 1, 1], &[-12, 5, 100]);
            let (scale, zero) = (model.floats(&[1], &[0.01]), model.codes(&[1], &[1]));
            model.node("DequantizeLinear", &[&codes, &scale, &zero], &[])
        },
    ];
    for weights in weights {
        let lowered = lower_and_compare(&with_weights(weights, &[]), STEP * 1.01);
        assert!(lowered.regions.is_empty());
        assert!(rest_ops(&lowered).contains(&"Conv"));
    }
}

#[test]
fn dilated_and_grouped_convolutions_stay() {
    let dilated = [("dilations", Attribute::Integers(vec![2, 2]))];
    let proto = with_weights(|model| model.weights(&[4, 3, 2, 2], 0), &dilated);
    assert!(lower_and_compare(&proto, STEP * 1.01).regions.is_empty());
    let grouped = [("group", Attribute::Integer(3))];
    let proto = with_weights(|model| model.weights(&[6, 1, 2, 2], 0), &grouped);
    assert!(lower_and_compare(&proto, STEP * 1.01).regions.is_empty());
}

#[test]
fn an_unknown_operation_at_the_end_stays() {
    let mut model = Model::default();
    let picture = model.picture();
    let conv = model.conv(&picture, [4, 3, 3, 3], 1, [1, 1, 1, 1]);
    let codes = model.quantized(&conv, STEP, 0);
    let output = model.node("Tanh", &[&codes], &[]);
    let lowered = lower_and_compare(&model.finish(&[&output]), STEP);
    assert_eq!(rest_ops(&lowered), ["Int8Region", "Tanh"]);
    assert_eq!(lowered.regions[0].outputs[0].dims, [1, 4, SIZE[0], SIZE[1]]);
    let rest = lowered.rest.unwrap().graph.unwrap();
    assert!(rest.initializer.is_empty(), "what is lowered needs no weights in tract");
}

#[test]
fn a_convolution_with_an_unknown_operation_behind_it_stays() {
    let mut model = Model::default();
    let picture = model.picture();
    let first = model.conv(&picture, [4, 3, 3, 3], 1, [1, 1, 1, 1]);
    let first = model.quantized(&first, PICTURE, 0);
    let second = model.conv(&first, [4, 4, 1, 1], 1, [0; 4]);
    let active = model.node("Tanh", &[&second], &[]);
    let codes = model.quantized(&active, PICTURE, 0);
    let sum = model.node("Add", &[&first, &codes], &[]);
    let sum = model.quantized(&sum, PICTURE, 0);
    let third = model.conv(&sum, [2, 4, 1, 1], 1, [0; 4]);
    let output = model.quantized(&third, STEP, 0);
    let lowered = lower_and_compare(&model.finish(&[&output]), 3.0 * STEP);
    let expected = ["Int8Region", "DequantizeLinear", "DequantizeLinear", "Conv", "Tanh"];
    let mut found = rest_ops(&lowered);
    assert_eq!(found.pop(), Some("Int8Region"));
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(ops(&lowered.regions[0])[..2], ["QuantizePicture", "Convolution"]);
    assert_eq!(
        ops(&lowered.regions[1]),
        [
            "Quantize",
            "PlanesToPositions",
            "Quantize",
            "Add",
            "Convolution",
            "Dequantize",
            "PositionsToPlanes"
        ]
    );
    assert_eq!(lowered.regions[1].inputs.len(), 2);
}

#[test]
fn a_region_that_would_only_quantize_stays() {
    let mut model = Model::default();
    let picture = model.picture();
    let active = model.node("Tanh", &[&picture], &[]);
    let codes = model.quantized(&active, PICTURE, 0);
    let output = model.node("Tanh", &[&codes], &[]);
    let lowered = lower_and_compare(&model.finish(&[&output]), PICTURE);
    assert!(lowered.regions.is_empty());
    assert_eq!(rest_ops(&lowered).len(), 10);
}

#[test]
fn an_unknown_beginning_stays() {
    let mut model = Model::default();
    let floats = model.node("Cast", &["image"], &[("to", Attribute::Integer(1))]);
    let perm = [("perm", Attribute::Integers(vec![0, 3, 1, 2]))];
    let planes = model.node("Transpose", &[&floats], &perm);
    let scale = model.scalar(1.0 / 128.0);
    let scaled = model.node("Mul", &[&planes, &scale], &[]);
    let active = model.node("Tanh", &[&scaled], &[]);
    let codes = model.quantized(&active, PICTURE, -100);
    let conv = model.conv(&codes, [4, 3, 3, 3], 1, [1, 1, 1, 1]);
    let output = model.quantized(&conv, STEP, 0);
    let lowered = lower_and_compare(&model.finish(&[&output]), 2.0 * STEP);
    assert_eq!(rest_ops(&lowered), ["Cast", "Transpose", "Mul", "Tanh", "Int8Region"]);
    let expected =
        ["PlanesToPositions", "Quantize", "Convolution", "Dequantize", "PositionsToPlanes"];
    assert_eq!(ops(&lowered.regions[0]), expected);
}

#[test]
fn what_is_not_understood_is_left_alone() {
    let mut model = Model::default();
    let picture = model.picture();
    let conv = model.conv(&picture, [4, 3, 3, 3], 1, [1, 1, 1, 1]);
    let output = model.quantized(&conv, STEP, 0);
    let proto = model.finish(&[&output]);
    let untouched = |proto: &ModelProto| {
        let lowered = lowered(proto);
        lowered.regions.is_empty() && lowered.rest.as_ref() == Some(proto)
    };
    assert!(!untouched(&proto));
    let mut old = proto.clone();
    old.opset_import[0].version = 12;
    assert!(untouched(&old));
    let mut unordered = proto.clone();
    unordered.graph.as_mut().unwrap().node.reverse();
    assert!(untouched(&unordered));
    assert!(lower(&ModelProto::default(), &Sizes::default()).is_err());
}

/// What is said of the model that `build` makes out of a convolution of the picture with many channels.
fn too_heavy(build: impl FnOnce(&mut Model, &str)) -> String {
    let mut model = Model::default();
    let picture = model.picture();
    let conv = model.conv(&picture, [20_000, 3, 1, 1], 1, [0; 4]);
    build(&mut model, &conv);
    let output = model.quantized(&conv, STEP, 0);
    let proto = model.finish(&[&output]);
    let sizes = Sizes::of(proto.graph.as_ref().unwrap()).unwrap();
    match lower(&proto, &sizes) {
        Ok(_) => "it is lowered".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn copies_of_weights_are_counted() {
    const LIMIT: &str = "its weights take more than 64 MB while they are read, which is the limit";
    let add = |model: &mut Model, conv: &str, times: usize| {
        let number = model.scalar(0.5);
        (0..times).fold(conv.to_owned(), |last, _| model.node("Add", &[&last, &number], &[]));
    };
    assert_eq!(too_heavy(|model, conv| add(model, conv, 10)), "it is lowered");
    assert_eq!(too_heavy(|model, conv| add(model, conv, 300)), LIMIT);
    let quantized = too_heavy(|model, conv| {
        for _ in 0..300 {
            model.quantized(conv, STEP, 1);
        }
    });
    assert_eq!(quantized, LIMIT);
    let shared = too_heavy(|model, _| {
        let weights = model.floats(&[700_000, 3, 1, 1], &vec![0.5; 2_100_000]);
        let picture = model.picture();
        for _ in 0..12 {
            model.node("Conv", &[&picture, &weights], &[]);
        }
    });
    assert_eq!(shared, LIMIT);
    // Other names of a value share what it has.
    let named = too_heavy(|model, conv| {
        let slope = [("alpha", Attribute::Float(0.1))];
        let leaky = model.node("LeakyRelu", &[conv], &slope);
        (0..3000).fold(leaky, |last, _| model.node("Identity", &[&last], &[]));
    });
    assert_eq!(named, "it is lowered");
}
