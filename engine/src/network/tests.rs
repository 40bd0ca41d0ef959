//! Networks on every instruction set against the oracles of their graphs.

use super::*;
use crate::graph::{Clamp, Convolution, Node, Op, Padding, Quantization, Shape, Tensor, Window};
use crate::isa::Isa;
use crate::random::Random;
use crate::reference;

/// These kernels, on so many threads.
fn settings(isa: Isa, threads: usize) -> Settings {
    Settings::new(threads).with_isa(isa.name()).expect("it is available")
}

/// Builds a graph node by node; each node works on the last value unless told otherwise.
struct Builder {
    graph: Graph,
    random: Random,
    last: usize,
}

impl Builder {
    fn new(seed: u64, height: usize, width: usize) -> Self {
        let shape = Shape { height, width, channels: 3 };
        let graph = Graph {
            tensors: vec![Tensor { shape, elements: Elements::Pixels }],
            inputs: vec![0],
            ..Graph::default()
        };
        let mut builder = Self { graph, random: Random(seed), last: 0 };
        let tables = Box::new([0, 1, 2].map(|channel| {
            std::array::from_fn(|value| (value as i32 - 128 + channel).clamp(-128, 127) as i8)
        }));
        builder.codes(Op::QuantizePicture(tables), shape);
        builder
    }

    fn shape(&self) -> Shape {
        self.graph.tensors[self.last].shape
    }

    fn push(&mut self, op: Op, inputs: Vec<usize>, tensor: Tensor) -> usize {
        let name = format!("node {}", self.graph.nodes.len());
        self.graph.tensors.push(tensor);
        self.last = self.graph.tensors.len() - 1;
        self.graph.nodes.push(Node { name, op, inputs, output: self.last });
        self.last
    }

    fn codes(&mut self, op: Op, shape: Shape) -> usize {
        let quantization = Quantization {
            scale: 0.01 + self.random.below(100) as f32 / 3000.0,
            zero_point: (self.random.below(256) as i32 - 128) as i8,
        };
        let tensor = Tensor { shape, elements: Elements::Codes(quantization) };
        self.push(op, vec![self.last], tensor)
    }

    fn convolution(&mut self, channels: usize, size: usize, stride: usize, depthwise: bool) {
        let input = self.shape();
        let channels = if depthwise { input.channels } else { channels };
        let per_channel = size * size * if depthwise { 1 } else { input.channels };
        let [before, after] = [(size - 1) / 2, size / 2];
        let padding = Padding { top: before, left: before, bottom: after, right: after };
        let window = Window { size: [size, size], stride: [stride, stride], padding };
        let [height, width] = window.output_size(input).expect("it fits");
        let slope = (self.random.below(2) == 0)
            .then(|| (0..channels).map(|_| self.random.below(100) as f32 / 150.0).collect());
        let step = 0.02 / (per_channel as f32).sqrt();
        let convolution = Convolution {
            window,
            weights: self.random.weights(channels * per_channel),
            weight_scales: (0..channels)
                .map(|_| step * (1 + self.random.below(9)) as f32 / 9.0)
                .collect(),
            bias: (0..channels).map(|_| self.random.below(2000) as i32 - 1000).collect(),
            slope,
            clamp: if self.random.below(2) == 0 {
                Clamp::NONE
            } else {
                Clamp { min: -90, max: 115 }
            },
        };
        let op = if depthwise { Op::Depthwise(convolution) } else { Op::Convolution(convolution) };
        self.codes(op, Shape { height, width, channels });
    }

    fn residual(&mut self) {
        let start = self.last;
        let channels = self.shape().channels;
        self.convolution(channels + 7, 1, 1, false);
        self.convolution(0, 3, 1, true);
        self.convolution(channels, 1, 1, false);
        let shape = self.shape();
        let end = self.last;
        self.codes(Op::Add(Clamp { min: -128, max: 120 }), shape);
        self.graph.nodes.last_mut().expect("just added").inputs = vec![start, end];
    }

    /// A gate for each channel, from the mean of all positions.
    fn squeeze_and_excite(&mut self) {
        let start = self.last;
        let shape = self.shape();
        self.codes(Op::GlobalAveragePool(Clamp::NONE), Shape { height: 1, width: 1, ..shape });
        self.convolution(5, 1, 1, false);
        self.convolution(shape.channels, 1, 1, false);
        let table = std::array::from_fn(|code| (code as u8 as i8).max(-60));
        self.codes(Op::Table(Box::new(table)), self.shape());
        let gate = self.last;
        self.codes(Op::Multiply(Clamp::NONE), shape);
        self.graph.nodes.last_mut().expect("just added").inputs = vec![start, gate];
    }

    /// A maximum and more channels, which keep the quantization.
    fn shrink(&mut self) {
        let window = Window { size: [2, 2], stride: [2, 2], padding: Padding::default() };
        let elements = self.graph.tensors[self.last].elements;
        let channels = self.shape().channels;
        let [height, width] = window.output_size(self.shape()).expect("it fits");
        let shape = Shape { height, width, channels };
        self.push(Op::MaxPool(window), vec![self.last], Tensor { shape, elements });
        let shape = Shape { channels: channels + 9, ..shape };
        self.push(Op::PadChannels, vec![self.last], Tensor { shape, elements });
    }

    fn floats(&mut self, op: Op, inputs: Vec<usize>, shape: Shape) -> usize {
        self.push(op, inputs, Tensor { shape, elements: Elements::Floats })
    }

    /// Two outputs: all values, and some sums of the normalised ones.
    fn finish(mut self) -> Graph {
        let shape = self.shape();
        let floats = self.floats(Op::Dequantize, vec![self.last], shape);
        let weights = (0..4 * shape.channels).map(|at| at as f32 / 100.0 - 0.3).collect();
        let dense = Op::Dense { weights, bias: vec![0.5, 0.0, -1.0, 2.0] };
        let sums = self.floats(dense, vec![floats], Shape { channels: 4, ..shape });
        let normalised = self.floats(Op::Normalise { epsilon: 1e-6 }, vec![sums], self.shape());
        let planes = self.floats(Op::PositionsToPlanes, vec![floats], shape);
        let all = Shape { height: 1, width: 1, channels: shape.positions() * 4 + shape.values() };
        let both = self.floats(Op::Concatenate, vec![normalised, planes], all);
        self.graph.outputs = vec![floats, both];
        self.graph
    }
}

fn networks() -> Vec<Graph> {
    let mut graphs = Vec::new();
    for seed in 0..12 {
        let mut builder = Builder::new(seed, 13 + seed as usize, 9 + 2 * seed as usize);
        let size = [3, 5, 1][seed as usize % 3];
        builder.convolution(8 + 5 * seed as usize, size, 2, false);
        builder.convolution(0, [3, 5, 7][seed as usize % 3], 1 + seed as usize % 2, true);
        builder.residual();
        builder.squeeze_and_excite();
        builder.residual();
        builder.shrink();
        builder.convolution(0, 3, 2, true);
        builder.convolution(70, 1, 1, false);
        if seed % 2 == 0 {
            let shape = Shape { height: 1, width: 1, ..builder.shape() };
            builder.codes(Op::GlobalAveragePool(Clamp::NONE), shape);
            builder.convolution(33, 1, 1, false);
        }
        graphs.push(builder.finish());
    }
    graphs
}

fn picture(graph: &Graph, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    (0..graph.tensors[0].shape.values()).map(|_| random.below(256) as u8).collect()
}

fn assert_alike(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(found[0], expected[0], "{what}: codes");
    let far =
        found[1].iter().zip(&expected[1]).any(|(a, b)| (a - b).abs() > 1e-5 * b.abs().max(1.0));
    assert!(found[1].len() == expected[1].len() && !far, "{what}: floats");
}

#[test]
fn a_network_computes_what_its_graph_says() {
    for (at, graph) in networks().iter().enumerate() {
        let pixels = picture(graph, 77);
        let expected = reference::run(graph, &[Input::Pixels(&pixels)]);
        assert!(expected[0].iter().any(|&value| value != expected[0][0]), "something to compare");
        for isa in Isa::available() {
            for threads in [1, 3] {
                let network = Network::new(graph, &settings(isa, threads)).expect("it compiles");
                let mut outputs = vec![Vec::new(); 2];
                // Twice: nothing of the first picture may be left.
                network.run(&[Input::Pixels(&picture(graph, 5))], &mut outputs).expect("it runs");
                network.run(&[Input::Pixels(&pixels)], &mut outputs).expect("it runs");
                assert_alike(&outputs, &expected, &format!("graph {at}, {isa}, {threads} threads"));
            }
        }
    }
}

#[test]
fn a_network_can_be_run_by_several_threads_at_once() {
    let graph = &networks()[3];
    let network = Network::new(graph, &Settings::new(2)).expect("it compiles");
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let network = &network;
            scope.spawn(move || {
                let pixels = picture(graph, seed);
                let expected = reference::run(graph, &[Input::Pixels(&pixels)]);
                for _ in 0..10 {
                    let mut outputs = vec![Vec::new(); 2];
                    network.run(&[Input::Pixels(&pixels)], &mut outputs).expect("it runs");
                    assert_alike(&outputs, &expected, "at once");
                }
            });
        }
    });
}

#[test]
fn a_run_that_is_stopped_ends_with_an_error() {
    let graph = &networks()[0];
    let stop = Arc::new(AtomicBool::new(false));
    let settings = settings(Isa::Scalar, 1).with_stop(stop.clone());
    let network = Network::new(graph, &settings).expect("it compiles");
    let pixels = picture(graph, 1);
    let mut outputs = vec![Vec::new(); 2];
    network.run(&[Input::Pixels(&pixels)], &mut outputs).expect("it runs");
    let mut steps = 0;
    let stopped = network.run_with(&[Input::Pixels(&pixels)], &mut outputs, |_, run| {
        run();
        steps += 1;
        stop.store(true, Ordering::Relaxed);
    });
    assert!(stopped.is_err() && steps == 1, "{stopped:?} after {steps} steps");
}

#[test]
fn inputs_of_the_wrong_size_are_refused() {
    let graph = &networks()[0];
    let network = Network::new(graph, &settings(Isa::Scalar, 1)).expect("it compiles");
    let mut outputs = vec![Vec::new(); 2];
    assert!(network.run(&[Input::Pixels(&[0; 5])], &mut outputs).is_err());
    assert!(network.run(&[Input::Floats(&[0.0; 351])], &mut outputs).is_err());
    assert!(network.run(&[], &mut outputs).is_err());
    assert!(network.run(&[Input::Pixels(&picture(graph, 1))], &mut []).is_err());
}

#[test]
fn a_graph_that_does_not_fit_together_is_refused() {
    let graph = &networks()[0];
    let refused = |change: &dyn Fn(&mut Graph)| {
        let mut graph = graph.clone();
        change(&mut graph);
        Network::new(&graph, &settings(Isa::Scalar, 1)).err().expect("it is refused").to_string()
    };
    refused(&|graph| graph.nodes.swap(1, 2));
    refused(&|graph| graph.outputs[0] = 1);
    refused(&|graph| graph.nodes[1].inputs.clear());
    refused(&|graph| graph.nodes[1].inputs[0] = 10_000);
    let message = refused(&|graph| match &mut graph.nodes[1].op {
        Op::Convolution(convolution) => convolution.weights[0] = -128,
        _ => unreachable!("the first layer is a convolution"),
    });
    assert_eq!(message, "layer node 1: it has a weight of -128; weights must be symmetric");
    let message = refused(&|graph| match &mut graph.nodes[1].op {
        Op::Convolution(convolution) => convolution.bias.truncate(1),
        _ => unreachable!("the first layer is a convolution"),
    });
    assert!(message.contains("do not fit together"), "{message}");
}

#[test]
fn a_graph_whose_sizes_exceed_every_limit_is_refused() {
    let refused = |change: &dyn Fn(&mut Graph)| {
        let mut graph = networks().swap_remove(0);
        change(&mut graph);
        Isa::available()
            .map(|isa| Network::new(&graph, &settings(isa, 2)).err().expect("it is refused"))
            .collect::<Vec<_>>()
    };
    let large = [1 << 24, 1 << 31, 1 << 40, 1 << 60, (1 << 60) + 3, usize::MAX / 16, usize::MAX];
    for size in large {
        for tensor in [0, 1, 2, 3] {
            refused(&|graph| graph.tensors[tensor].shape.width = size);
            refused(&|graph| graph.tensors[tensor].shape.height = size);
            refused(&|graph| graph.tensors[tensor].shape.channels = size);
        }
        for at in 0..8 {
            let changed = |window: &mut Window| {
                let Window { size: [rows, columns], stride: [down, across], padding } = window;
                let Padding { top, left, bottom, right } = padding;
                *[rows, columns, down, across, top, left, bottom, right][at] = size;
            };
            // With the size of the result that follows from it, where there is one.
            for node in [1, 2] {
                refused(&|graph| {
                    let (input, output) = (graph.nodes[node].inputs[0], graph.nodes[node].output);
                    let (Op::Convolution(convolution) | Op::Depthwise(convolution)) =
                        &mut graph.nodes[node].op
                    else {
                        unreachable!("the first layers are convolutions")
                    };
                    changed(&mut convolution.window);
                    let window = convolution.window;
                    if let Some([height, width]) = window.output_size(graph.tensors[input].shape) {
                        let shape = &mut graph.tensors[output].shape;
                        (shape.height, shape.width) = (height, width);
                    }
                });
            }
        }
    }
    refused(&|graph| graph.tensors[2].shape.height = 0);
}

/// One operation on a picture of this size.
fn single(height: usize, width: usize, op: Op, shape: Shape) -> Graph {
    let mut builder = Builder::new(1, height, width);
    builder.codes(op, shape);
    if let Op::MaxPool(_) = builder.graph.nodes[1].op {
        builder.graph.tensors[2].elements = builder.graph.tensors[1].elements;
    }
    let shape = builder.shape();
    let floats = builder.floats(Op::Dequantize, vec![builder.last], shape);
    builder.graph.outputs = vec![floats];
    builder.graph
}

#[test]
fn each_limit_is_said() {
    let message = |graph: &Graph| {
        Network::new(graph, &settings(Isa::Scalar, 1)).err().expect("it is refused").to_string()
    };
    let pointwise = |channels: usize| {
        Op::Convolution(Convolution {
            window: Window::POINT,
            weights: vec![1; channels * 3],
            weight_scales: vec![0.1; channels],
            bias: vec![0; channels],
            slope: None,
            clamp: Clamp::NONE,
        })
    };
    let shape = |height, width, channels| Shape { height, width, channels };
    let graph = single(2000, 1000, pointwise(64), shape(2000, 1000, 64));
    assert!(message(&graph).contains("values take more than 64 MB"), "{}", message(&graph));
    let graph = single(1, 1, pointwise(4_000_000), shape(1, 1, 4_000_000));
    assert!(message(&graph).contains("weights take more than 96 MB"), "{}", message(&graph));
    let window = Window { size: [600, 600], stride: [1, 1], padding: Padding::default() };
    let graph = single(1000, 1000, Op::MaxPool(window), shape(401, 401, 3));
    assert!(message(&graph).contains("more than 4 billion operations"), "{}", message(&graph));
}

#[test]
fn windows_may_all_start_in_the_padding() {
    for (width, left, right, stride) in [(1, 3, 0, 1), (1, 0, 4, 1), (2, 7, 0, 3), (3, 5, 5, 2)] {
        let padding = Padding { left, right, ..Padding::default() };
        let window = Window { size: [3, 3], stride: [1, stride], padding };
        let [height, columns] =
            window.output_size(Shape { height: 4, width, channels: 3 }).expect("it fits");
        let convolution = Convolution {
            window,
            weights: (0..27 * 5).map(|at| (at % 11) as i8 - 5).collect(),
            weight_scales: vec![0.01; 5],
            bias: vec![3; 5],
            slope: None,
            clamp: Clamp::NONE,
        };
        let shape = Shape { height, width: columns, channels: 5 };
        let graph = single(4, width, Op::Convolution(convolution), shape);
        let pixels = picture(&graph, 3);
        let expected = reference::run(&graph, &[Input::Pixels(&pixels)]);
        for isa in Isa::available() {
            let network = Network::new(&graph, &settings(isa, 1)).expect("it compiles");
            let mut outputs = vec![Vec::new()];
            network.run(&[Input::Pixels(&pixels)], &mut outputs).expect("it runs");
            assert_eq!(outputs, expected, "{isa}: {width} {left} {right} {stride}");
        }
    }
}
