//! What is recognised.

use super::*;

const STEP: f32 = 0.02;
const PICTURE: f32 = 1.0 / 127.0;

/// One step of the output and a little.
const NEAR: f32 = STEP * 1.01;

fn conv(model: &mut Model) -> String {
    let picture = model.picture();
    model.conv(&picture, [4, 3, 3, 3], 1, [1, 1, 1, 1])
}

#[test]
fn convolution() {
    for (stride, pads) in [(1, [1, 1, 1, 1]), (2, [0, 0, 1, 1]), (1, [0, 0, 0, 0])] {
        let mut model = Model::new();
        let picture = model.picture();
        let conv = model.conv(&picture, [4, 3, 3, 3], stride, pads);
        let output = model.quantized(&conv, STEP, 5);
        let expected = ["QuantizePicture", "Convolution", "Dequantize", "PositionsToPlanes"];
        assert_whole(&model.finish(&[&output]), NEAR, &expected);
    }
}

#[test]
fn depthwise_convolution() {
    let mut model = Model::new();
    let picture = model.picture();
    let conv = model.conv(&picture, [3, 1, 3, 3], 2, [1, 1, 1, 1]);
    let output = model.quantized(&conv, STEP, 0);
    let expected = ["QuantizePicture", "Depthwise", "Dequantize", "PositionsToPlanes"];
    assert_whole(&model.finish(&[&output]), NEAR, &expected);
}

#[test]
fn convolution_with_float_bias_and_one_weight_scale() {
    let mut model = Model::new();
    let picture = model.picture();
    let codes: Vec<i8> = (0..24).map(|at| (at * 11 % 200 - 100) as i8).collect();
    let codes = model.codes(&[8, 3, 1, 1], &codes);
    let (scale, zero) = (model.scalar(0.01), model.codes(&[], &[0]));
    let weights = model.node("DequantizeLinear", &[&codes, &scale, &zero], &[]);
    let bias = model.random_floats(&[8]);
    let conv = model.node("Conv", &[&picture, &weights, &bias], &[]);
    let output = model.quantized(&conv, STEP, 0);
    assert_eq!(whole(&model.finish(&[&output]), NEAR)[1], "Convolution");
}

#[test]
fn activations_behind_a_convolution() {
    for activation in ["Relu", "Clip", "PRelu", "LeakyRelu"] {
        let mut model = Model::new();
        let conv = conv(&mut model);
        let constants = match activation {
            "Clip" => vec![model.scalar(-0.3), model.scalar(0.4)],
            "PRelu" => vec![model.floats(&[4, 1, 1], &[0.1, -0.2, 0.3, 1.5])],
            _ => vec![],
        };
        let mut inputs = vec![conv.as_str()];
        inputs.extend(constants.iter().map(String::as_str));
        let attributes = [("alpha", Attribute::Float(0.2))];
        let attributes = if activation == "LeakyRelu" { &attributes[..] } else { &[] };
        let active = model.node(activation, &inputs, attributes);
        let output = model.quantized(&active, STEP, -20);
        let expected = ["QuantizePicture", "Convolution", "Dequantize", "PositionsToPlanes"];
        assert_whole(&model.finish(&[&output]), NEAR, &expected);
    }
}

#[test]
fn activations_of_codes_are_tables() {
    let spellings: [fn(&mut Model, &str) -> String; 7] = [
        |model, x| model.node("Relu", &[x], &[]),
        |model, x| {
            let gate = model.node("HardSigmoid", &[x], &[]);
            let gate = model.quantized(&gate, 1.0 / 255.0, -128);
            model.node("Mul", &[&gate, x], &[])
        },
        |model, x| {
            let attributes =
                [("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
            let gate = model.node("HardSigmoid", &[x], &attributes);
            model.node("Mul", &[x, &gate], &[])
        },
        |model, x| {
            let (three, six, zero) = (model.scalar(3.0), model.scalar(6.0), model.scalar(0.0));
            let sum = model.node("Add", &[&three, x], &[]);
            let gate = model.node("Clip", &[&sum, &zero, &six], &[]);
            let product = model.node("Mul", &[&gate, x], &[]);
            model.node("Div", &[&product, &six], &[])
        },
        |model, x| model.node("Sigmoid", &[x], &[]),
        |model, x| model.node("LeakyRelu", &[x], &[("alpha", Attribute::Float(0.3))]),
        |model, x| {
            let one = model.scalar(1.0);
            model.node("Sub", &[&one, x], &[])
        },
    ];
    for spelling in spellings {
        let mut model = Model::new();
        let conv = conv(&mut model);
        let codes = model.quantized(&conv, 0.025, 3);
        let active = spelling(&mut model, &codes);
        let output = model.quantized(&active, STEP, -30);
        let expected =
            ["QuantizePicture", "Convolution", "Table", "Dequantize", "PositionsToPlanes"];
        assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
    }
}

#[test]
fn picture_with_channels_last_and_division() {
    let mut model = Model::new();
    let perm = [("perm", Attribute::Integers(vec![0, 3, 1, 2]))];
    let planes = model.node("Transpose", &["image"], &perm);
    let floats = model.node("Cast", &[&planes], &[("to", Attribute::Integer(1))]);
    let (mean, deviation) = (model.scalar(127.5), model.floats(&[3, 1, 1], &[127.5, 130.0, 90.0]));
    let centred = model.node("Sub", &[&floats, &mean], &[]);
    let normalised = model.node("Div", &[&centred, &deviation], &[]);
    let picture = model.quantized(&normalised, PICTURE, -3);
    let conv = model.conv(&picture, [4, 3, 1, 1], 1, [0; 4]);
    let output = model.quantized(&conv, STEP, 0);
    assert_eq!(whole(&model.finish(&[&output]), NEAR)[..2], ["QuantizePicture", "Convolution"]);
}

#[test]
fn unsigned_codes() {
    let mut model = Model::new();
    let conv = conv(&mut model);
    let active = model.node("Relu", &[&conv], &[]);
    let codes = model.quantized_unsigned(&active, PICTURE, 0);
    let second = model.conv(&codes, [5, 4, 1, 1], 1, [0; 4]);
    let output = model.quantized_unsigned(&second, STEP, 100);
    let expected =
        ["QuantizePicture", "Convolution", "Convolution", "Dequantize", "PositionsToPlanes"];
    assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
}

#[test]
fn squeeze_and_excite() {
    for spelling in ["GlobalAveragePool", "ReduceMean"] {
        let mut model = Model::new();
        let conv = conv(&mut model);
        let codes = model.quantized(&conv, 0.03, 0);
        let axes = [("axes", Attribute::Integers(vec![2, 3]))];
        let axes = if spelling == "ReduceMean" { &axes[..] } else { &[] };
        let mean = model.node(spelling, &[&codes], axes);
        let mean = model.quantized(&mean, PICTURE, 0);
        let gate = model.conv(&mean, [4, 4, 1, 1], 1, [0; 4]);
        let gate = model.quantized(&gate, 0.02, 0);
        let gate = model.node("HardSigmoid", &[&gate], &[]);
        let gate = model.quantized(&gate, 0.004, -128);
        let product = model.node("Mul", &[&gate, &codes], &[]);
        let output = model.quantized(&product, STEP, 0);
        let expected = [
            "QuantizePicture",
            "Convolution",
            "GlobalAveragePool",
            "Convolution",
            "Table",
            "Multiply",
            "Dequantize",
            "PositionsToPlanes",
        ];
        assert_whole(&model.finish(&[&output]), 3.0 * NEAR, &expected);
    }
}

#[test]
fn residual_pooling_and_channel_padding() {
    let mut model = Model::new();
    let picture = model.picture();
    let square = |values: Vec<i64>| Attribute::Integers(values);
    let attributes = [("kernel_shape", square(vec![2, 2])), ("strides", square(vec![2, 2]))];
    let pooled = model.node("MaxPool", &[&picture], &attributes);
    let pooled = model.quantized(&pooled, 0.01, 4);
    let pads = model.integers(&[0, 0, 0, 0, 0, 2, 0, 0]);
    let padded = model.node("Pad", &[&pooled, &pads], &[]);
    let padded = model.quantized(&padded, 0.01, 4);
    let conv = model.conv(&picture, [5, 3, 3, 3], 2, [0, 0, 1, 0]);
    let conv = model.quantized(&conv, 0.02, 1);
    let sum = model.node("Add", &[&padded, &conv], &[]);
    let active = model.node("Relu", &[&sum], &[]);
    let output = model.quantized(&active, STEP, -100);
    let expected = [
        "QuantizePicture",
        "MaxPool",
        "Table",
        "PadChannels",
        "Convolution",
        "Add",
        "Dequantize",
        "PositionsToPlanes",
    ];
    assert_whole(&model.finish(&[&output]), 2.0 * NEAR, &expected);
}

#[test]
fn fully_connected_layers() {
    let inputs = 3 * SIZE[0] * SIZE[1];
    for (spelling, across) in [("Gemm", 1), ("Gemm", 0), ("MatMul", 0)] {
        let mut model = Model::new();
        let picture = model.picture();
        let flat = model.node("Flatten", &[&picture], &[]);
        let flat = model.quantized(&flat, PICTURE, 0);
        let dims = if across == 1 { [7, inputs] } else { [inputs, 7] };
        let weights = model.weights(&dims, 1 - across);
        let bias = model.bias(7, PICTURE);
        let layer = if spelling == "Gemm" {
            let attributes = [("transB", Attribute::Integer(across as i64))];
            model.node("Gemm", &[&flat, &weights, &bias], &attributes)
        } else {
            let product = model.node("MatMul", &[&flat, &weights], &[]);
            model.node("Add", &[&product, &bias], &[])
        };
        let output = model.quantized(&layer, 0.1, 0);
        let expected = ["QuantizePicture", "Convolution", "Dequantize"];
        assert_whole(&model.finish(&[&output]), 0.101, &expected);
    }
}

#[test]
fn an_embedding_and_logits() {
    let mut model = Model::new();
    let conv = conv(&mut model);
    let codes = model.quantized(&conv, 0.02, 0);
    let mean = model.node("GlobalAveragePool", &[&codes], &[]);
    let mean = model.quantized(&mean, 0.002, 0);
    let shape = model.integers(&[1, -1]);
    let flat = model.node("Reshape", &[&mean, &shape], &[]);
    let axes = [("axes", Attribute::Integers(vec![1]))];
    let norm = model.node("ReduceL2", &[&flat], &axes);
    let epsilon = model.scalar(1e-12);
    let sum = model.node("Add", &[&norm, &epsilon], &[]);
    let embedding = model.node("Div", &[&flat, &sum], &[]);
    let (weights, bias) = (model.random_floats(&[6, 4]), model.random_floats(&[6]));
    let across = [("transB", Attribute::Integer(1))];
    let logits = model.node("Gemm", &[&embedding, &weights, &bias], &across);
    let expected =
        ["QuantizePicture", "Convolution", "GlobalAveragePool", "Dequantize", "Normalise", "Dense"];
    assert_whole(&model.finish(&[&logits, &embedding]), 0.05, &expected);
}

#[test]
fn heads_of_a_detector() {
    let mut model = Model::new();
    let conv = conv(&mut model);
    let codes = model.quantized(&conv, 0.02, 0);
    let perm = [("perm", Attribute::Integers(vec![0, 2, 3, 1]))];
    let heads = [2, 6].map(|anchors| {
        let weights = model.random_floats(&[anchors * 4, 4, 1, 1]);
        let bias = model.random_floats(&[anchors * 4]);
        let head = model.node("Conv", &[&codes, &weights, &bias], &[]);
        let last = model.node("Transpose", &[&head], &perm);
        let shape = model.integers(&[1, -1, 4]);
        model.node("Reshape", &[&last, &shape], &[])
    });
    let axis = [("axis", Attribute::Integer(1))];
    let boxes = model.node("Concat", &[&heads[0], &heads[1]], &axis);
    let expected =
        ["QuantizePicture", "Convolution", "Dequantize", "Dense", "Dense", "Concatenate"];
    let proto = model.finish(&[&boxes]);
    assert_whole(&proto, 0.1, &expected);
    let lowered = lowered(&proto);
    assert_eq!(lowered.regions[0].outputs[0].dims, [1, 8 * SIZE[0] * SIZE[1], 4]);
}
