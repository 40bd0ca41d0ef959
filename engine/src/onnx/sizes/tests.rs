//! Sizes as ONNX defines them, and the graphs that are refused.

use tract_onnx::pb::ModelProto;

use super::*;
use crate::onnx::example::{Attribute, Model, SIZE};

/// What is said of a model whose graph is made by `build`, which gives the name of its output.
fn refused(build: impl FnOnce(&mut Model) -> String) -> String {
    let proto = finished(build);
    Sizes::of(proto.graph.as_ref().unwrap()).expect_err("it is refused").to_string()
}

fn finished(build: impl FnOnce(&mut Model) -> String) -> ModelProto {
    let mut model = Model::default();
    let output = build(&mut model);
    model.finish(&[&output])
}

/// Size of the output of such a model.
fn output(build: impl FnOnce(&mut Model) -> String) -> Vec<usize> {
    let proto = finished(build);
    let graph = proto.graph.as_ref().unwrap();
    let sizes = Sizes::of(graph).unwrap();
    sizes.get(&graph.output[0].name).unwrap().to_vec()
}

fn ints<'a>(name: &'a str, values: &[i64]) -> (&'a str, Attribute) {
    (name, Attribute::Integers(values.to_vec()))
}

/// A convolution of the picture with 3 x 3 weights.
fn conv(model: &mut Model, attributes: &[(&str, Attribute)]) -> String {
    let picture = model.picture();
    let weights = model.weights(&[4, 3, 3, 3], 0);
    model.node("Conv", &[&picture, &weights], attributes)
}

#[test]
fn windows_slide_as_onnx_says() {
    let [height, width] = SIZE;
    assert_eq!(output(|model| conv(model, &[])), [1, 4, height - 2, width - 2]);
    let padded = |pads: [i64; 4]| output(|model| conv(model, &[ints("pads", &pads)]));
    assert_eq!(padded([1, 1, 1, 1]), [1, 4, height, width]);
    assert_eq!(padded([0, 2, 1, 0]), [1, 4, height - 1, width]);
    let spread = [ints("strides", &[2, 3]), ints("dilations", &[2, 1]), ints("pads", &[1; 4])];
    assert_eq!(output(|model| conv(model, &spread)), [1, 4, 2, 2]);
    let pool = |ceil| {
        output(|model| {
            let picture = model.picture();
            let attributes = [
                ints("kernel_shape", &[2, 2]),
                ints("strides", &[2, 2]),
                ("ceil_mode", Attribute::Integer(ceil)),
            ];
            model.node("MaxPool", &[&picture], &attributes)
        })
    };
    assert_eq!((pool(0), pool(1)), (vec![1, 3, 3, 2], vec![1, 3, 3, 3]));
}

#[test]
fn slices_and_products_of_stacks() {
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        output(|model| {
            let lists = [starts, ends, axes, steps].map(|list| model.integers(list));
            let [starts, ends, axes, steps] = &lists;
            model.node("Slice", &["image", starts, ends, axes, steps], &[])
        })
    };
    let [height, width] = SIZE;
    assert_eq!(slice(&[1], &[i64::MAX], &[1], &[1]), [1, height - 1, width, 3]);
    assert_eq!(slice(&[i64::MIN, -2], &[2, -1], &[-3, 3], &[2, 1]), [1, 1, width, 1]);
    let stacks = output(|model| {
        let left = model.random_floats(&[2, 1, 4, 5]);
        let right = model.random_floats(&[3, 5, 6]);
        model.node("MatMul", &[&left, &right], &[])
    });
    assert_eq!(stacks, [2, 3, 4, 6]);
    let message = refused(|model| {
        let lists = [&[0], &[4], &[1], &[-1]].map(|list| model.integers(list));
        let [starts, ends, axes, steps] = &lists;
        model.node("Slice", &["image", starts, ends, axes, steps], &[])
    });
    assert!(message.contains("out of range"), "{message}");
    let message = refused(|model| {
        let lists = [&[3], &[2], &[1], &[1]].map(|list| model.integers(list));
        let [starts, ends, axes, steps] = &lists;
        model.node("Slice", &["image", starts, ends, axes, steps], &[])
    });
    assert!(message.contains("empty"), "{message}");
}

#[test]
fn sizes_that_exceed_a_word_or_the_memory_are_refused() {
    for size in [1 << 21, 1 << 32, 1 << 60, (1 << 60) + 3, i64::MAX] {
        for at in 0..4 {
            let mut pads = [1; 4];
            pads[at] = size;
            let message = refused(|model| conv(model, &[ints("pads", &pads)]));
            assert!(message.contains("too large"), "{size}: {message}");
        }
        for name in ["strides", "dilations"] {
            let message = refused(|model| conv(model, &[ints(name, &[1, size])]));
            assert!(message.contains("too large"), "{size}: {message}");
        }
        let message = refused(|model| {
            let picture = model.picture();
            let pads = model.integers(&[0, 0, 0, 0, 0, size, 0, 0]);
            let zero = model.scalar(0.0);
            let padded = model.node("Pad", &[&picture, &pads, &zero], &[]);
            let square = model.integers(&[1, -1, 1, 1]);
            let column = model.node("Reshape", &[&padded, &square], &[]);
            let row = model.integers(&[1, 1, 1, -1]);
            let row = model.node("Reshape", &[&padded, &row], &[]);
            model.node("Add", &[&column, &row], &[])
        });
        assert!(message.contains("too large"), "{size}: {message}");
        let message = refused(|model| {
            let picture = model.picture();
            let target = model.integers(&[size, size, -1]);
            model.node("Reshape", &[&picture, &target], &[])
        });
        assert!(message.contains("do not fit"), "{size}: {message}");
        let message = refused(|model| {
            let picture = model.picture();
            let attributes = [ints("kernel_shape", &[size, size]), ints("pads", &[size; 4])];
            model.node("AveragePool", &[&picture], &attributes)
        });
        assert!(message.contains("too large"), "{size}: {message}");
    }
}

#[test]
fn a_constant_has_the_values_that_it_says() {
    for dims in [vec![5], vec![-1], vec![1 << 40, 1 << 40], vec![i64::MIN], vec![1; 9]] {
        let message = refused(|model| {
            let picture = model.picture();
            let scale = model.floats(&[4], &[1.0; 4]);
            model.graph.initializer.last_mut().unwrap().dims = dims.clone();
            model.node("Mul", &[&picture, &scale], &[])
        });
        assert!(message.starts_with("its constant constant"), "{dims:?}: {message}");
    }
    let message = refused(|model| {
        let scale = model.floats(&[1], &[1.0]);
        let tensor = model.graph.initializer.last_mut().unwrap();
        tensor.data_location = Some(DataLocation::External as i32);
        model.node("Mul", &["image", &scale], &[])
    });
    assert!(message.contains("in another file"), "{message}");
}

#[test]
fn operators_that_make_much_of_little_are_not_known() {
    for op in [
        "ConstantOfShape",
        "Expand",
        "Tile",
        "Resize",
        "Upsample",
        "Range",
        "OneHot",
        "Loop",
        "If",
        "Scan",
        "EyeLike",
        "RandomNormal",
        "Einsum",
        "NonZero",
        "CumSum",
        "DFT",
        "STFT",
    ] {
        let message = refused(|model| model.node(op, &["image"], &[]));
        assert!(message.ends_with("celebcam does not know this operator"), "{message}");
    }
    let message = refused(|model| {
        let name = model.node("Relu", &["image"], &[]);
        model.graph.node.last_mut().unwrap().domain = "com.example".to_owned();
        name
    });
    assert!(message.contains("operator set"), "{message}");
    let message = refused(|model| model.node("Cast", &["image"], &[("to", Attribute::Integer(8))]));
    assert!(message.contains("out of range"), "{message}");
}

#[test]
fn a_graph_that_does_not_hold_together_is_refused() {
    let message = refused(|model| model.node("Relu", &["nothing"], &[]));
    assert!(message.contains("not there"), "{message}");
    let message = refused(|model| {
        let first = model.node("Relu", &["image"], &[]);
        model.graph.node.last_mut().unwrap().output[0] = "image".to_owned();
        first
    });
    assert!(message.contains("two of its values"), "{message}");
    let message = refused(|_| "nowhere".to_owned());
    assert_eq!(message, "its output nowhere is not computed");
    let message = refused(|model| {
        let mut last = "image".to_owned();
        for _ in 0..=NODES {
            last = model.node("Relu", &[&last], &[]);
        }
        last
    });
    assert!(message.contains("more than 4000 nodes"), "{message}");
    let long = refused(|model| model.node(&"x".repeat(100_000), &["image"], &[]));
    assert!(long.len() < 300, "{}", long.len());
}

#[test]
fn work_is_counted() {
    let message = refused(|model| {
        model.graph.input[0] = crate::onnx::example::picture(2000, 2000);
        let picture = model.picture();
        let weights = model.weights(&[3, 3, 20, 20], 0);
        model.node("Conv", &[&picture, &weights], &[])
    });
    assert_eq!(message, "a run takes more than 4 billion operations, which is the limit");
}

#[test]
fn what_tract_would_hold_is_counted() {
    let check = |build: &dyn Fn(&mut Model) -> String| {
        let proto = finished(build);
        let graph = proto.graph.as_ref().unwrap();
        Sizes::of(graph).unwrap().check_rest(graph, 0)
    };
    assert_eq!(check(&|model| conv(model, &[])), Ok(()));
    let many = check(&|model| {
        model.graph.input[0] = crate::onnx::example::picture(2000, 2000);
        (0..12).fold("image".to_owned(), |last, _| model.node("Relu", &[&last], &[]))
    });
    assert!(many.expect_err("too much").to_string().contains("128 MB"));
    let windows = check(&|model| {
        model.graph.input[0] = crate::onnx::example::picture(1000, 1000);
        let picture = model.picture();
        let weights = model.weights(&[1, 3, 20, 20], 0);
        model.node("Conv", &[&picture, &weights], &[])
    });
    assert!(windows.expect_err("too much").to_string().contains("128 MB"));
    let folded = check(&|model| {
        let square = model.floats(&[500, 500], &vec![1.0; 250_000]);
        let square = model.node("MatMul", &[&square, &square], &[]);
        let sum = [("keepdims", Attribute::Integer(0))];
        let sum = model.node("ReduceSum", &[&square], &sum);
        model.node("Add", &["image", &sum], &[])
    });
    assert!(folded.expect_err("too much").to_string().contains("from constants"));
}

#[test]
fn names_that_stand_for_regions_are_not_for_files() {
    for name in ["celebcam/value2", "celebcam/region0", "celebcam/"] {
        let message = refused(|model| {
            let picture = model.picture();
            model.graph.initializer[0].name = name.to_owned();
            picture
        });
        assert!(message.contains(name) && message.contains("celebcam's own"), "{message}");
        let message = refused(|model| {
            let picture = model.picture();
            model.graph.node[0].name = name.to_owned();
            picture
        });
        assert!(message.contains("celebcam's own"), "{message}");
    }
    let message = refused(|model| {
        let picture = model.picture();
        model.graph.node[1].name = "n".repeat(1001);
        picture
    });
    assert!(message.contains("too long") && message.len() < 200, "{message}");
}

#[test]
fn lists_longer_than_a_node_can_use_are_not_read() {
    let many = vec![0_i64; 100_000];
    let message = refused(|model| model.node("Unsqueeze", &["image"], &[ints("axes", &many)]));
    assert!(message.contains("out of range"), "{message}");
    let message = refused(|model| model.node("Squeeze", &["image"], &[ints("axes", &many)]));
    assert!(message.contains("out of range"), "{message}");
    for op in ["Unsqueeze", "Reshape", "Pad"] {
        let message = refused(|model| {
            let list = model.codes(&[many.len()], &vec![0; many.len()]);
            model.node(op, &["image", &list], &[])
        });
        let is_said = message.contains("out of range") || message.contains("no size that is fixed");
        assert!(is_said, "{op}: {message}");
    }
}
