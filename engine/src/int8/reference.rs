//! What a graph computes, in loops short enough to check by eye: the oracle of the executor.

use super::graph::{
    Clamp, Convolution, Elements, Graph, Node, Op, Quantization, Shape, Tensor, TensorId, Window,
};
use super::network::Input;

/// Values of a tensor, channels last.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    Pixels(Vec<u8>),
    Codes(Vec<i8>),
    Floats(Vec<f32>),
}

impl Values {
    fn codes(&self) -> &[i8] {
        let Self::Codes(codes) = self else { panic!("these are no codes") };
        codes
    }

    fn floats(&self) -> &[f32] {
        let Self::Floats(floats) = self else { panic!("these are no floats") };
        floats
    }
}

/// Computes the outputs of `graph`. Panics where the graph does not hold together.
pub fn run(graph: &Graph, inputs: &[Input<'_>]) -> Vec<Vec<f32>> {
    let mut values: Vec<Option<Values>> = vec![None; graph.tensors.len()];
    assert_eq!(inputs.len(), graph.inputs.len());
    for (&id, input) in graph.inputs.iter().zip(inputs) {
        values[id] = Some(match *input {
            Input::Pixels(pixels) => Values::Pixels(pixels.to_vec()),
            Input::Floats(floats) => Values::Floats(floats.to_vec()),
        });
    }
    for node in &graph.nodes {
        let result = compute(graph, node, &values);
        let (length, kind) = match &result {
            Values::Pixels(_) => panic!("a result is never pixels"),
            Values::Codes(codes) => {
                (codes.len(), matches!(graph.tensors[node.output].elements, Elements::Codes(_)))
            }
            Values::Floats(floats) => {
                (floats.len(), graph.tensors[node.output].elements == Elements::Floats)
            }
        };
        assert!(kind, "{}: kind of the result", node.name);
        assert_eq!(length, graph.tensors[node.output].shape.values(), "{}", node.name);
        values[node.output] = Some(result);
    }
    let output = |&id: &TensorId| values[id].as_ref().expect("it is computed").floats().to_vec();
    graph.outputs.iter().map(output).collect()
}

fn quantization(tensor: &Tensor) -> Quantization {
    match tensor.elements {
        Elements::Codes(quantization) => quantization,
        other => panic!("{other:?} have no quantization"),
    }
}

/// The nearest code, halves to even.
fn round(steps: f32, zero_point: i8, clamp: Clamp) -> i8 {
    let code = steps.round_ties_even() + f32::from(zero_point);
    code.clamp(f32::from(clamp.min), f32::from(clamp.max)) as i8
}

fn compute(graph: &Graph, node: &Node, values: &[Option<Values>]) -> Values {
    let value = |index: usize| values[node.inputs[index]].as_ref().expect("it is computed");
    let input = &graph.tensors[node.inputs[0]];
    let output = &graph.tensors[node.output];
    let pair = || (&graph.tensors[node.inputs[1]], value(1).codes());
    match &node.op {
        Op::QuantizePicture(tables) => {
            let Values::Pixels(pixels) = value(0) else { panic!("these are no pixels") };
            let code = |(at, &pixel): (usize, &u8)| tables[at % 3][usize::from(pixel)];
            Values::Codes(pixels.iter().enumerate().map(code).collect())
        }
        Op::Quantize => {
            let Quantization { scale, zero_point } = quantization(output);
            let code = |&x: &f32| round(x / scale, zero_point, Clamp::NONE);
            Values::Codes(value(0).floats().iter().map(code).collect())
        }
        Op::Dequantize => {
            let Quantization { scale, zero_point } = quantization(input);
            let float = |&x: &i8| (i32::from(x) - i32::from(zero_point)) as f32 * scale;
            Values::Floats(value(0).codes().iter().map(float).collect())
        }
        Op::Convolution(convolution) => {
            Values::Codes(convolve(convolution, false, (input, value(0).codes()), output))
        }
        Op::Depthwise(convolution) => {
            Values::Codes(convolve(convolution, true, (input, value(0).codes()), output))
        }
        Op::Add(clamp) => Values::Codes(add(*clamp, (input, value(0).codes()), pair(), output)),
        Op::Multiply(clamp) => {
            Values::Codes(multiply(*clamp, (input, value(0).codes()), pair(), output))
        }
        Op::MaxPool(window) => {
            Values::Codes(max_pool(window, (input, value(0).codes()), output.shape))
        }
        Op::GlobalAveragePool(clamp) => {
            Values::Codes(average(*clamp, (input, value(0).codes()), output))
        }
        Op::PadChannels => {
            let zero = quantization(input).zero_point;
            let padded = value(0).codes().chunks(input.shape.channels).flat_map(|position| {
                (0..output.shape.channels).map(|channel| *position.get(channel).unwrap_or(&zero))
            });
            Values::Codes(padded.collect())
        }
        Op::Table(table) => {
            Values::Codes(value(0).codes().iter().map(|&x| table[usize::from(x as u8)]).collect())
        }
        Op::Dense { weights, bias } => Values::Floats(dense(weights, bias, value(0).floats())),
        Op::Normalise { epsilon } => {
            let floats = value(0).floats();
            let norm = floats.iter().map(|x| x * x).sum::<f32>().sqrt() + epsilon;
            Values::Floats(floats.iter().map(|x| x / norm).collect())
        }
        Op::Concatenate => Values::Floats(
            (0..node.inputs.len()).flat_map(|index| value(index).floats().to_vec()).collect(),
        ),
        Op::PlanesToPositions => {
            Values::Floats(transposed(value(0).floats(), input.shape.positions()))
        }
        Op::PositionsToPlanes => {
            Values::Floats(transposed(value(0).floats(), input.shape.channels))
        }
    }
}

/// `[column][row]` of `[row][column]`.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect()
}

/// The positions under the window at (`y`, `x`) of the output: index in the window and position
/// in the input, where there is one.
fn under(
    window: &Window,
    shape: Shape,
    (y, x): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let [rows, columns] = window.size;
    let (top, left) = (window.padding.top, window.padding.left);
    let (y, x) = (y * window.stride[0], x * window.stride[1]);
    (0..rows * columns).filter_map(move |tap| {
        let row = (y + tap / columns).checked_sub(top).filter(|&row| row < shape.height)?;
        let column =
            (x + tap % columns).checked_sub(left).filter(|&column| column < shape.width)?;
        Some((tap, row * shape.width + column))
    })
}

fn convolve(
    convolution: &Convolution,
    depthwise: bool,
    (input, codes): (&Tensor, &[i8]),
    output: &Tensor,
) -> Vec<i8> {
    let Convolution { window, weights, weight_scales, bias, slope, clamp } = convolution;
    let (from, to) = (quantization(input), quantization(output));
    let inputs = input.shape.channels;
    let taps = window.size[0] * window.size[1];
    assert_eq!(weights.len(), output.shape.channels * taps * if depthwise { 1 } else { inputs });
    let mut results = Vec::with_capacity(output.shape.values());
    for position in 0..output.shape.positions() {
        let at = (position / output.shape.width, position % output.shape.width);
        for channel in 0..output.shape.channels {
            let mut acc = bias[channel];
            for (tap, position) in under(window, input.shape, at) {
                let picture = &codes[position * inputs..][..inputs];
                let product = |code: i8, weight: i8| {
                    (i32::from(code) - i32::from(from.zero_point)) * i32::from(weight)
                };
                let at = channel * taps + tap;
                acc += if depthwise {
                    product(picture[channel], weights[at])
                } else {
                    let weights = &weights[at * inputs..][..inputs];
                    picture.iter().zip(weights).map(|(&code, &weight)| product(code, weight)).sum()
                };
            }
            let mut scale = from.scale * weight_scales[channel] / to.scale;
            if let Some(slope) = slope.as_ref().filter(|_| acc < 0) {
                scale *= slope[channel];
            }
            results.push(round(acc as f32 * scale, to.zero_point, *clamp));
        }
    }
    results
}

fn add(
    clamp: Clamp,
    (left, first): (&Tensor, &[i8]),
    (right, second): (&Tensor, &[i8]),
    output: &Tensor,
) -> Vec<i8> {
    let (left, right, to) = (quantization(left), quantization(right), quantization(output));
    let ratios = (left.scale / to.scale, right.scale / to.scale);
    let steps = |code: i8, from: Quantization, ratio: f32| {
        (i32::from(code) - i32::from(from.zero_point)) as f32 * ratio
    };
    let sum = |(&a, &b): (&i8, &i8)| {
        round(steps(a, left, ratios.0) + steps(b, right, ratios.1), to.zero_point, clamp)
    };
    first.iter().zip(second).map(sum).collect()
}

fn multiply(
    clamp: Clamp,
    (left, first): (&Tensor, &[i8]),
    (right, second): (&Tensor, &[i8]),
    output: &Tensor,
) -> Vec<i8> {
    let (left, right, to) = (quantization(left), quantization(right), quantization(output));
    let scale = left.scale * right.scale / to.scale;
    let product = |(&a, &b): (&i8, &i8)| {
        let product = (i32::from(a) - i32::from(left.zero_point))
            * (i32::from(b) - i32::from(right.zero_point));
        round(product as f32 * scale, to.zero_point, clamp)
    };
    first.iter().zip(second.iter().cycle()).map(product).collect()
}

fn max_pool(window: &Window, (input, codes): (&Tensor, &[i8]), output: Shape) -> Vec<i8> {
    let channels = input.shape.channels;
    let code = |at: usize| {
        let (position, channel) = (at / channels, at % channels);
        let at = (position / output.width, position % output.width);
        let seen = under(window, input.shape, at);
        seen.map(|(_, position)| codes[position * channels + channel]).max().expect("not empty")
    };
    (0..output.values()).map(code).collect()
}

fn average(clamp: Clamp, (input, codes): (&Tensor, &[i8]), output: &Tensor) -> Vec<i8> {
    let (from, to) = (quantization(input), quantization(output));
    let Shape { channels, .. } = input.shape;
    let scale = from.scale / to.scale / input.shape.positions() as f32;
    let mean = |channel: usize| {
        let codes = codes[channel..].iter().step_by(channels);
        let sum: i32 = codes.map(|&code| i32::from(code) - i32::from(from.zero_point)).sum();
        round(sum as f32 * scale, to.zero_point, clamp)
    };
    (0..channels).map(mean).collect()
}

fn dense(weights: &[f32], bias: &[f32], floats: &[f32]) -> Vec<f32> {
    let inputs = weights.len() / bias.len();
    let rows = floats.chunks(inputs).flat_map(|position| {
        weights.chunks(inputs).zip(bias).map(move |(row, bias)| {
            row.iter().zip(position).map(|(weight, x)| weight * x).sum::<f32>() + bias
        })
    });
    rows.collect()
}
