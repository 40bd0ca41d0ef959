//! From a graph to steps: checks every node, packs the weights, joins a depthwise convolution with
//! the pointwise one behind it, and plans the memory.

use std::ops::Range;

use super::NamedStep;
use super::budget::{self, Cost};
use super::memory::{Place, plan, too_large};
use super::step::{
    Average, DENSE_BLOCK, Dense, Depthwise, Multiply, Product, SCRATCH_SLACK_BYTES, Source, Step,
    Work,
};
use crate::int8::buffer::Buffer;
use crate::int8::graph::{
    Clamp, Convolution, Elements, Graph, Node, Op, Quantization, Shape, Tensor, TensorId, Window,
};
use crate::int8::kernels::{Dwconv, Kernels, MOST_WINDOW_ROWS, Sum};
use crate::int8::lines::Lines;
use crate::int8::pack::{DEPTH_BLOCK, product};
use crate::int8::requant::{Epilogue, fit_32_bits};

/// Inputs of a band: they stay in the first-level cache while all weights pass by.
const BAND_BYTES: usize = 24 * 1024;
/// The same where the weights themselves do not stay in the second-level cache.
const HEAVY_BAND_BYTES: usize = 56 * 1024;
const HEAVY_WEIGHTS: usize = 400 * 1024;

/// What compiling gives.
pub struct Compiled {
    pub places: Vec<Place>,
    pub steps: Vec<NamedStep>,
    pub arena_bytes: usize,
    pub scratch_bytes: usize,
    pub cost: Cost,
}

/// Compiles `graph`. What it will take is counted before anything large is made.
pub fn compile(graph: &Graph, kernels: &Kernels, threads: usize) -> Result<Compiled, String> {
    let mut compiler = Compiler {
        graph,
        kernels,
        threads,
        readers: count_readers(graph)?,
        places: Vec::new(),
        scratch_bytes: 0,
    };
    compiler.places = compiler.places()?;
    let cost = budget::cost(graph, &compiler.places, kernels)?;
    let mut steps = Vec::new();
    let mut joined = None;
    for node in &graph.nodes {
        if compiler.joins_next(node) {
            joined = Some(node);
            continue;
        }
        let ahead = joined.take_if(|ahead| node.inputs.first() == Some(&ahead.output));
        let step = compiler
            .step(node, ahead)
            .map_err(|reason| format!("layer {}: {reason}", node.name))?;
        steps.push(step);
    }
    let lives = lives(graph, &steps);
    let arena_bytes = plan(&mut compiler.places, &lives).ok_or_else(too_large)?;
    let scratch_bytes = compiler.scratch_bytes;
    let scratches_bytes = product(&[scratch_bytes, threads.max(1)]).ok_or_else(too_large)?;
    let cost = Cost { arena_bytes: arena_bytes.saturating_add(scratches_bytes), ..cost };
    cost.check()?;
    Ok(Compiled { places: compiler.places, steps, arena_bytes, scratch_bytes, cost })
}

/// How many nodes read each tensor; outputs of the graph count as read twice.
fn count_readers(graph: &Graph) -> Result<Vec<usize>, String> {
    let mut readers = vec![0; graph.tensors.len()];
    let mut made = vec![false; graph.tensors.len()];
    let wrong = || "the nodes of the graph are not in order".to_owned();
    for &input in &graph.inputs {
        *made.get_mut(input).ok_or_else(wrong)? = true;
    }
    for node in &graph.nodes {
        for &input in &node.inputs {
            if !made.get(input).copied().unwrap_or(false) {
                return Err(wrong());
            }
            readers[input] += 1;
        }
        let made = made.get_mut(node.output).ok_or_else(wrong)?;
        if node.inputs.is_empty() || std::mem::replace(made, true) {
            return Err(wrong());
        }
    }
    for &output in &graph.outputs {
        if !made.get(output).copied().unwrap_or(false) {
            return Err(wrong());
        }
        expect_floats(graph.tensors[output])?;
        readers[output] += 2;
    }
    Ok(readers)
}

/// From the step that makes a value to the last that reads it.
fn lives(graph: &Graph, steps: &[NamedStep]) -> Vec<Option<Range<usize>>> {
    let mut lives: Vec<Option<Range<usize>>> = vec![None; graph.tensors.len()];
    for &input in &graph.inputs {
        lives[input] = Some(0..0);
    }
    for (at, named) in steps.iter().enumerate() {
        for &input in &named.step.inputs {
            if let Some(life) = &mut lives[input] {
                life.end = at;
            }
        }
        lives[named.step.output] = Some(at..at);
    }
    for &output in &graph.outputs {
        if let Some(life) = &mut lives[output] {
            life.end = steps.len();
        }
    }
    lives
}

struct Compiler<'a> {
    graph: &'a Graph,
    kernels: &'a Kernels,
    threads: usize,
    readers: Vec<usize>,
    places: Vec<Place>,
    scratch_bytes: usize,
}

impl Compiler<'_> {
    /// The codes of a picture that only windows are gathered from lie without padding channels.
    fn places(&self) -> Result<Vec<Place>, String> {
        let mut tight = vec![false; self.graph.tensors.len()];
        for node in &self.graph.nodes {
            let gathers = matches!(&node.op, Op::Convolution(conv) if !is_pointwise(conv));
            for &input in node.inputs.iter().filter(|_| !gathers) {
                tight[input] = false;
            }
            tight[node.output] = matches!(node.op, Op::QuantizePicture(_));
        }
        let tensors = self.graph.tensors.iter().zip(tight);
        tensors.map(|(&tensor, tight)| Place::new(tensor, tight)).collect()
    }

    /// Whether `node` is a depthwise convolution whose result only a pointwise one reads.
    fn joins_next(&self, node: &Node) -> bool {
        matches!(node.op, Op::Depthwise(_))
            && self.readers[node.output] == 1
            && self
                .graph
                .nodes
                .iter()
                .skip_while(|other| !std::ptr::eq(*other, node))
                .nth(1)
                .is_some_and(|next| {
                    next.inputs[0] == node.output
                        && matches!(&next.op, Op::Convolution(conv) if is_pointwise(conv))
                })
    }

    fn tensor(&self, id: TensorId) -> Tensor {
        self.graph.tensors[id]
    }

    fn step(&mut self, node: &Node, ahead: Option<&Node>) -> Result<NamedStep, String> {
        let input = self.tensor(node.inputs[0]);
        let output = self.tensor(node.output);
        let mut inputs = node.inputs.clone();
        let mut macs = 0;
        let mut name = node.name.clone();
        let expected = match &node.op {
            Op::Add(_) | Op::Multiply(_) => 2..=2,
            Op::Concatenate => 1..=usize::MAX,
            _ => 1..=1,
        };
        if !expected.contains(&inputs.len()) {
            return Err("it has another number of inputs than it needs".to_owned());
        }
        let work = match &node.op {
            Op::QuantizePicture(tables) => self.picture_tables(tables, node)?,
            Op::Convolution(convolution) => {
                macs = products(convolution, output.shape);
                if let Some(Node { op: Op::Depthwise(depthwise), name: other, .. }) = ahead {
                    macs += products(depthwise, self.tensor(node.inputs[0]).shape);
                    name = format!("{other} + {name}");
                }
                inputs = ahead.unwrap_or(node).inputs.clone();
                self.product(node, convolution, ahead)?
            }
            Op::Depthwise(convolution) => {
                macs = products(convolution, output.shape);
                Work::Depthwise(self.depthwise(node, convolution)?)
            }
            Op::Add(clamp) => self.add(node, *clamp)?,
            Op::Multiply(clamp) => self.multiply(node, *clamp)?,
            Op::MaxPool(window) => self.max_pool(*window, input, output)?,
            Op::GlobalAveragePool(clamp) => self.average(*clamp, input, output)?,
            Op::PadChannels => self.pad_channels(input, output)?,
            Op::Table(table) => self.table(table, input, output)?,
            Op::Quantize => {
                expect_floats(input)?;
                expect_shape(input.shape == output.shape)?;
                Work::Quantize(codes(output)?)
            }
            Op::Dequantize => {
                expect_floats(output)?;
                expect_shape(input.shape == output.shape)?;
                Work::Dequantize(codes(input)?)
            }
            Op::Dense { weights, bias } => {
                macs = (weights.len() as u64).saturating_mul(output.shape.positions() as u64);
                dense(weights, bias, input, output)?
            }
            Op::Normalise { epsilon } => {
                expect_floats(input)?;
                expect_floats(output)?;
                expect_shape(input.shape == output.shape)?;
                Work::Normalise(*epsilon)
            }
            Op::Concatenate => {
                let mut values = 0;
                for &input in &node.inputs {
                    expect_floats(self.tensor(input))?;
                    values = self.tensor(input).shape.values().saturating_add(values);
                }
                expect_floats(output)?;
                expect_shape(values == output.shape.values())?;
                Work::Concatenate
            }
            Op::PlanesToPositions | Op::PositionsToPlanes => {
                expect_floats(input)?;
                expect_floats(output)?;
                expect_shape(input.shape == output.shape)?;
                if matches!(node.op, Op::PlanesToPositions) {
                    Work::PlanesToPositions
                } else {
                    Work::PositionsToPlanes
                }
            }
        };
        Ok(NamedStep { name, macs, step: Step { inputs, output: node.output, work } })
    }

    fn picture_tables(&self, tables: &[[i8; 256]; 3], node: &Node) -> Result<Work, String> {
        let [input, output] = [self.tensor(node.inputs[0]), self.tensor(node.output)];
        codes(output)?;
        expect_shape(input.elements == Elements::Pixels)?;
        expect_shape(input.shape == output.shape && input.shape.channels == 3)?;
        let encoding = self.kernels.encoding();
        let tables =
            [0, 1, 2].map(|channel: usize| tables[channel].map(|code| encoding.encode(code)));
        let tight = self.places[node.output].stride_bytes == input.shape.channels;
        let bounds = [encoding.value(i8::MIN), encoding.value(i8::MAX)];
        Ok(match Lines::fit(&tables, |byte| encoding.read(byte), bounds) {
            Some(lines) if tight => Work::PictureLines(Box::new(lines)),
            _ => Work::PictureTables(Box::new(tables)),
        })
    }

    fn product(
        &mut self,
        node: &Node,
        convolution: &Convolution,
        ahead: Option<&Node>,
    ) -> Result<Work, String> {
        let input = self.tensor(node.inputs[0]);
        let output = self.tensor(node.output);
        check_convolution(convolution, input.shape, output.shape, input.shape.channels)?;
        check_window(convolution.window)?;
        let convolution = &*fit_32_bits(convolution);
        let quantization = codes(input)?;
        let encoding = self.kernels.encoding();
        let epilogue = Epilogue::new(convolution, quantization, codes(output)?, encoding)?;
        let stride = self.places[node.inputs[0]].stride_bytes;
        let channels = input.shape.channels;
        // Weights of 0 for the channels that only pad each position.
        let spread: Vec<i8> = convolution
            .weights
            .chunks_exact(channels)
            .flat_map(|weights| {
                weights.iter().copied().chain(std::iter::repeat_n(0, stride - channels))
            })
            .collect();
        let depth = product(&[convolution.window.taps(), stride]).ok_or_else(too_large)?;
        let source = match ahead {
            Some(ahead) => {
                let Op::Depthwise(depthwise) = &ahead.op else {
                    return Err("only a depthwise convolution can be joined".to_owned());
                };
                Source::Depthwise(Box::new(self.depthwise(ahead, depthwise)?))
            }
            None if is_pointwise(convolution) => Source::Positions,
            None => {
                let zero = encoding.encode(quantization.zero_point);
                Source::Windows(convolution.window, zero)
            }
        };
        let gemm = self.kernels.pack_gemm(&spread, depth, epilogue);
        let depth = depth.next_multiple_of(DEPTH_BLOCK);
        let bands = self.bands(output.shape, depth, spread.len());
        let rows = output.shape.height.div_ceil(bands);
        let copies = if self.kernels.reads_words() { 3 } else { 1 };
        let bytes = product(&[rows, output.shape.width, depth])
            .and_then(|bytes| product(&[bytes.checked_add(SCRATCH_SLACK_BYTES)?, copies]));
        self.scratch_bytes = self.scratch_bytes.max(bytes.ok_or_else(too_large)?);
        Ok(Work::Product(Product { gemm, source, depth, bands }))
    }

    /// In how many bands an output is computed: each small enough for the cache, and as many as
    /// there are threads, or a multiple.
    fn bands(&self, output: Shape, depth: usize, weights: usize) -> usize {
        let budget = if weights > HEAVY_WEIGHTS { HEAVY_BAND_BYTES } else { BAND_BYTES };
        let rows = (budget / output.width.saturating_mul(depth)).clamp(1, output.height);
        output.height.div_ceil(rows).next_multiple_of(self.threads.max(1)).min(output.height)
    }

    fn depthwise(&self, node: &Node, convolution: &Convolution) -> Result<Depthwise, String> {
        let input = self.tensor(node.inputs[0]);
        let output = self.tensor(node.output);
        check_convolution(convolution, input.shape, output.shape, 1)?;
        expect_shape(input.shape.channels == output.shape.channels)?;
        let window = convolution.window;
        check_window(window)?;
        let convolution = &*fit_32_bits(convolution);
        let encoding = self.kernels.encoding();
        let quantization = codes(input)?;
        let epilogue = Epilogue::new(convolution, quantization, codes(output)?, encoding)?;
        let dwconv: Dwconv = self.kernels.pack_dwconv(&convolution.weights, window.size, epilogue);
        let zero_point = encoding.encode(quantization.zero_point);
        let mut padding = Buffer::zeroed(self.places[node.inputs[0]].row_bytes());
        padding.bytes_mut().fill(zero_point);
        Ok(Depthwise { dwconv, window, zero_point, padding })
    }

    fn add(&self, node: &Node, clamp: Clamp) -> Result<Work, String> {
        let [a, b] = [self.tensor(node.inputs[0]), self.tensor(node.inputs[1])];
        let output = self.tensor(node.output);
        expect_shape(a.shape == b.shape && a.shape == output.shape)?;
        let [a, b, output] = [codes(a)?, codes(b)?, codes(output)?];
        let encoding = self.kernels.encoding();
        let [scale_a, scale_b] = [a.scale / output.scale, b.scale / output.scale];
        let in_range = 255.0 * (scale_a.abs() + scale_b.abs()) < (1 << 30) as f32;
        if !in_range {
            return Err("its sum can exceed 32 bits".to_owned());
        }
        Ok(Work::Add(Sum {
            zero_a: encoding.value(a.zero_point),
            zero_b: encoding.value(b.zero_point),
            scale_a,
            scale_b,
            zero_point: encoding.value(output.zero_point),
            min: encoding.value(clamp.min),
            max: encoding.value(clamp.max),
        }))
    }

    fn multiply(&self, node: &Node, clamp: Clamp) -> Result<Work, String> {
        let [a, b] = [self.tensor(node.inputs[0]), self.tensor(node.inputs[1])];
        let output = self.tensor(node.output);
        expect_shape(a.shape == output.shape && a.shape.channels == b.shape.channels)?;
        expect_shape(b.shape == a.shape || b.shape.positions() == 1)?;
        let [a, b, output] = [codes(a)?, codes(b)?, codes(output)?];
        let encoding = self.kernels.encoding();
        Ok(Work::Multiply(Multiply {
            zero_a: encoding.value(a.zero_point),
            zero_b: encoding.value(b.zero_point),
            scale: a.scale * b.scale / output.scale,
            zero_point: encoding.value(output.zero_point),
            min: encoding.value(clamp.min),
            max: encoding.value(clamp.max),
        }))
    }

    fn max_pool(&self, window: Window, input: Tensor, output: Tensor) -> Result<Work, String> {
        expect_shape(codes(input)? == codes(output)?)?;
        expect_shape(input.shape.channels == output.shape.channels)?;
        expect_shape(
            window.output_size(input.shape) == Some([output.shape.height, output.shape.width]),
        )?;
        Ok(Work::MaxPool(window))
    }

    fn average(&self, clamp: Clamp, input: Tensor, output: Tensor) -> Result<Work, String> {
        let positions = input.shape.positions();
        expect_shape(output.shape == Shape { height: 1, width: 1, ..input.shape })?;
        expect_shape(positions > 0 && positions < 1 << 20)?;
        let [input, output] = [codes(input)?, codes(output)?];
        let encoding = self.kernels.encoding();
        Ok(Work::GlobalAveragePool(Average {
            zero: encoding.value(input.zero_point),
            scale: input.scale / (output.scale * positions as f32),
            zero_point: encoding.value(output.zero_point),
            min: encoding.value(clamp.min),
            max: encoding.value(clamp.max),
        }))
    }

    fn pad_channels(&self, input: Tensor, output: Tensor) -> Result<Work, String> {
        let channels = output.shape.channels;
        expect_shape(Shape { channels, ..input.shape } == output.shape)?;
        expect_shape(input.shape.channels <= channels)?;
        expect_shape(codes(input)? == codes(output)?)?;
        Ok(Work::PadChannels(self.kernels.encoding().encode(codes(output)?.zero_point)))
    }

    fn table(&self, table: &[i8; 256], input: Tensor, output: Tensor) -> Result<Work, String> {
        codes(input)?;
        codes(output)?;
        expect_shape(input.shape == output.shape)?;
        let encoding = self.kernels.encoding();
        let encoded = std::array::from_fn(|byte| {
            let code = encoding.decode(byte as u8);
            encoding.encode(table[usize::from(code as u8)])
        });
        Ok(Work::Table(Box::new(encoded)))
    }
}

fn check_window(window: Window) -> Result<(), String> {
    if window.size[0] <= MOST_WINDOW_ROWS {
        return Ok(());
    }
    Err(format!("its window has more than {MOST_WINDOW_ROWS} rows"))
}

fn is_pointwise(convolution: &Convolution) -> bool {
    convolution.window == Window::POINT
}

fn products(convolution: &Convolution, output: Shape) -> u64 {
    (convolution.weights.len() as u64).saturating_mul(output.positions() as u64)
}

/// Checks sizes; each output channel has weights for `depth` channels in each tap.
fn check_convolution(
    convolution: &Convolution,
    input: Shape,
    output: Shape,
    depth: usize,
) -> Result<(), String> {
    let channels = output.channels;
    let weights = product(&[channels, convolution.window.taps(), depth]);
    expect_shape(input.values() > 0 && channels > 0)?;
    expect_shape(Some(convolution.weights.len()) == weights)?;
    expect_shape(convolution.bias.len() == channels)?;
    expect_shape(convolution.weight_scales.len() == channels)?;
    expect_shape(convolution.slope.as_ref().is_none_or(|slope| slope.len() == channels))?;
    expect_shape(convolution.window.output_size(input) == Some([output.height, output.width]))?;
    if convolution.weights.contains(&i8::MIN) {
        return Err("it has a weight of -128; weights must be symmetric".to_owned());
    }
    Ok(())
}

fn dense(weights: &[f32], bias: &[f32], input: Tensor, output: Tensor) -> Result<Work, String> {
    expect_floats(input)?;
    expect_floats(output)?;
    let [depth, outputs] = [input.shape.channels, output.shape.channels];
    expect_shape(Shape { channels: outputs, ..input.shape } == output.shape && depth > 0)?;
    expect_shape(Some(weights.len()) == product(&[depth, outputs]))?;
    expect_shape(bias.len() == outputs && outputs > 0)?;
    let blocks = outputs.div_ceil(DENSE_BLOCK);
    let mut packed = Dense {
        weights: vec![[0.0; DENSE_BLOCK]; blocks * depth],
        bias: vec![[0.0; DENSE_BLOCK]; blocks],
    };
    for (output, (weights, &bias)) in weights.chunks_exact(depth).zip(bias).enumerate() {
        let [block, lane] = [output / DENSE_BLOCK, output % DENSE_BLOCK];
        packed.bias[block][lane] = bias;
        for (channel, &weight) in weights.iter().enumerate() {
            packed.weights[block * depth + channel][lane] = weight;
        }
    }
    Ok(Work::Dense(packed))
}

fn codes(tensor: Tensor) -> Result<Quantization, String> {
    match tensor.elements {
        Elements::Codes(quantization) => Ok(quantization),
        _ => Err("it needs codes where there are none".to_owned()),
    }
}

fn expect_floats(tensor: Tensor) -> Result<(), String> {
    match tensor.elements {
        Elements::Floats => Ok(()),
        _ => Err("it needs floats where there are none".to_owned()),
    }
}

fn expect_shape(fits: bool) -> Result<(), String> {
    if fits { Ok(()) } else { Err("its inputs, weights and output do not fit together".to_owned()) }
}
