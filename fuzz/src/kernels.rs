//! Random shapes, weights, zero points and bounds: every kernel of this processor has to give the
//! bytes of the scalar reference.

#![no_main]

use arbitrary::Arbitrary;
use celebcam_engine::Isa;
use celebcam_engine::internals::{
    CACHE_LINE_BYTES, CHANNEL_BLOCK, Clamp, Convolution, DEPTH_BLOCK, DwconvInput, Epilogue,
    Kernels, Lines, Quantization, Random, Vadd, Window,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Case {
    operation: Operation,
    seed: u64,
    /// Makes extreme values likely.
    extreme: bool,
    zero_points: [i8; 3],
    /// Whether results are bounded, and by what.
    bounded: bool,
    clamp: [i8; 2],
    /// Whether the zero point of the output is that of a rectifier.
    rectified: bool,
    step: u16,
    slope: Option<i8>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Gemm { rows: u8, depth: u16, columns: u8 },
    Dwconv { size: [u8; 2], stride: u8, left: u8, right: u8, width: u8, channels: u8 },
    Vadd { length: u16 },
    Lut { length: u16 },
    Lines { length: u16, slope: u8, shifts: [i8; 3] },
    Dot { rows: u8, lines: u8 },
}

fuzz_target!(|case: Case| check(&case));

fn check(case: &Case) {
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    let expected = run(case, reference);
    for isa in Isa::available() {
        let kernels = Kernels::of(isa).expect("it is available");
        assert!(run(case, kernels) == expected, "{isa}: {case:?}");
    }
}

/// Codes of a case, extreme ones if it says so.
struct Codes<'a>(Random, &'a Case);

impl<'a> Codes<'a> {
    fn new(case: &'a Case, stream: u64) -> Self {
        Self(Random(case.seed ^ stream), case)
    }

    fn take(&mut self, count: usize) -> Vec<i8> {
        let extreme = |code: i8| match (self.1.extreme, code & 3) {
            (true, 0) => i8::MIN,
            (true, 1) => i8::MAX,
            _ => code,
        };
        self.0.codes(count).into_iter().map(extreme).collect()
    }
}

fn convolution(case: &Case, channels: usize, per_channel: usize) -> Convolution {
    let mut codes = Codes::new(case, 0);
    let weights = codes.take(channels * per_channel);
    let step = f32::from(case.step.max(1)) * 1e-6;
    Convolution {
        window: Window::POINT,
        weights: weights.into_iter().map(|weight| weight.max(-127)).collect(),
        weight_scales: codes
            .take(channels)
            .iter()
            .map(|&c| step * (f32::from(c) + 129.0))
            .collect(),
        bias: codes.take(channels).iter().map(|&code| i32::from(code) * 50).collect(),
        slope: case.slope.map(|slope| {
            codes.take(channels).iter().map(|&c| f32::from(c ^ slope) / 90.0).collect()
        }),
        clamp: clamp(case),
    }
}

fn clamp(case: &Case) -> Clamp {
    let [a, b] = case.clamp;
    if case.bounded { Clamp { min: a.min(b), max: a.max(b) } } else { Clamp::NONE }
}

fn epilogue(case: &Case, convolution: &Convolution, kernels: &Kernels) -> Option<Epilogue> {
    let [input, mut output] =
        [0, 1].map(|at| Quantization { scale: 0.02, zero_point: case.zero_points[at] });
    if case.rectified {
        output.zero_point = i8::MIN;
    }
    Epilogue::new(convolution, input, output, kernels.encoding()).ok()
}

/// The codes that come out, of inner products their bytes; empty when the case is refused.
fn run(case: &Case, kernels: &Kernels) -> Vec<i8> {
    match case.operation {
        Operation::Gemm { rows, depth, columns } => {
            let size =
                [usize::from(rows % 32), usize::from(depth % 600) + 1, usize::from(columns) + 1];
            gemm(case, kernels, size).unwrap_or_default()
        }
        Operation::Dwconv { .. } => dwconv(case, kernels).unwrap_or_default(),
        Operation::Vadd { length } => vadd(case, kernels, usize::from(length % 2000)),
        Operation::Lut { length } => lut(case, kernels, usize::from(length % 2000)),
        Operation::Lines { length, slope, shifts } => {
            lines(case, kernels, usize::from(length % 700) * 3, slope, shifts).unwrap_or_default()
        }
        Operation::Dot { rows, lines } => {
            dot(case, kernels, usize::from(rows), usize::from(lines % 10) * CACHE_LINE_BYTES)
        }
    }
}

fn gemm(case: &Case, kernels: &Kernels, [rows, depth, columns]: [usize; 3]) -> Option<Vec<i8>> {
    let convolution = convolution(case, columns, depth);
    let gemm =
        kernels.pack_gemm(&convolution.weights, depth, epilogue(case, &convolution, kernels)?);
    let padded = depth.next_multiple_of(DEPTH_BLOCK);
    let codes = Codes::new(case, 1).take(rows * padded);
    let encoding = kernels.encoding();
    let (input, stride): (Vec<u8>, usize) = if kernels.reads_words() {
        let words = codes.iter().flat_map(|&code| (encoding.value(code) as i16).to_le_bytes());
        (words.collect(), padded * 2)
    } else {
        (codes.iter().map(|&code| encoding.encode(code)).collect(), padded)
    };
    let width = columns.next_multiple_of(CHANNEL_BLOCK);
    let mut output = vec![0; rows * width];
    kernels.gemm(&gemm, rows, &input, stride, &mut output, width);
    let columns_only = output.chunks(width).flat_map(|row| &row[..columns]);
    Some(columns_only.map(|&byte| encoding.decode(byte)).collect())
}

fn dwconv(case: &Case, kernels: &Kernels) -> Option<Vec<i8>> {
    let Operation::Dwconv { size, stride, left, right, width, channels } = case.operation else {
        return None;
    };
    let size = size.map(|length| usize::from(length % 7) + 1);
    let [left, right] = [left, right].map(|padding| usize::from(padding) % size[1]);
    let [width, channels] = [usize::from(width % 40) + 1, usize::from(channels) + 1];
    let stride = usize::from(stride % 3) + 1;
    let output_width = (width + left + right).checked_sub(size[1])? / stride + 1;
    let convolution = convolution(case, channels, size[0] * size[1]);
    let epilogue = epilogue(case, &convolution, kernels)?;
    let dwconv = kernels.pack_dwconv(&convolution.weights, size, epilogue);
    let encoding = kernels.encoding();
    let padded = channels.next_multiple_of(CHANNEL_BLOCK);
    let codes = Codes::new(case, 2).take(size[0] * width * padded);
    let bytes: Vec<u8> = codes.iter().map(|&code| encoding.encode(code)).collect();
    let rows: Vec<&[u8]> = bytes.chunks(width * padded).collect();
    let input =
        DwconvInput { rows: &rows, stride, left, zero_point: encoding.encode(case.zero_points[0]) };
    let mut output = vec![0; output_width * padded];
    kernels.dwconv(&dwconv, &input, &mut output, output_width);
    let channels_only = output.chunks(padded).flat_map(|position| &position[..channels]);
    Some(channels_only.map(|&byte| encoding.decode(byte)).collect())
}

fn vadd(case: &Case, kernels: &Kernels, length: usize) -> Vec<i8> {
    let encoding = kernels.encoding();
    let [zero_a, zero_b, zero_point] = case.zero_points.map(|code| encoding.value(code));
    let vadd = Vadd {
        zero_a,
        zero_b,
        scale_a: f32::from(case.step) * 1e-4,
        scale_b: f32::from(case.slope.unwrap_or(1)).abs() * 0.02,
        zero_point,
        min: encoding.value(clamp(case).min),
        max: encoding.value(clamp(case).max),
    };
    let encode = |stream| -> Vec<u8> {
        Codes::new(case, stream).take(length).iter().map(|&code| encoding.encode(code)).collect()
    };
    let mut output = vec![0; length];
    kernels.vadd(&encode(0), &encode(3), &mut output, &vadd);
    output.into_iter().map(|byte| encoding.decode(byte)).collect()
}

fn lut(case: &Case, kernels: &Kernels, length: usize) -> Vec<i8> {
    let table: [u8; 256] = std::array::from_fn(|at| (at as u64 ^ case.seed >> (at % 56)) as u8);
    let bytes: Vec<u8> =
        Codes::new(case, 0).take(length).into_iter().map(|code| code as u8).collect();
    let mut output = vec![0; length];
    kernels.lut(&bytes, &mut output, &table);
    output.into_iter().map(|byte| byte as i8).collect()
}

fn lines(
    case: &Case,
    kernels: &Kernels,
    length: usize,
    slope: u8,
    shifts: [i8; 3],
) -> Option<Vec<i8>> {
    let encoding = kernels.encoding();
    let tables = shifts.map(|shift| {
        std::array::from_fn(|byte| {
            let code = (byte as f32 * f32::from(slope) / 64.0).round() + f32::from(shift);
            encoding.encode(code.clamp(-128.0, 127.0) as i8)
        })
    });
    let bounds = [encoding.value(i8::MIN), encoding.value(i8::MAX)];
    let lines = Lines::fit(&tables, |byte| encoding.read(byte), bounds)?;
    let pixels: Vec<u8> =
        Codes::new(case, 0).take(length).into_iter().map(|code| code as u8).collect();
    let mut codes = vec![0; length];
    kernels.lines(&pixels, &mut codes, &lines);
    Some(codes.into_iter().map(|byte| encoding.decode(byte)).collect())
}

fn dot(case: &Case, kernels: &Kernels, rows: usize, length: usize) -> Vec<i8> {
    let codes: Vec<u8> =
        Codes::new(case, 0).take(rows * length).into_iter().map(|code| code as u8).collect();
    let mut products = vec![0; rows];
    kernels.dot(&codes, &Codes::new(case, 4).take(length), &mut products);
    products.into_iter().flat_map(i32::to_le_bytes).map(|byte| byte as i8).collect()
}
