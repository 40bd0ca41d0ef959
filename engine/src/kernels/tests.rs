//! One set of tests for the kernels of every instruction set: each equals the scalar reference.

use super::*;
use std::io::Write;

use crate::graph::{Clamp, Convolution, Quantization, Window};
use crate::random::Random;

/// A convolution over `per_channel` taps with random bias, scales, slopes and bounds.
fn convolution(random: &mut Random, weights: Vec<i8>, channels: usize) -> Convolution {
    let per_channel = (weights.len() / channels.max(1)).max(1) as f32;
    let clamp = [random.code(), random.code()];
    let scales = |random: &mut Random| {
        // Results of more than 16 bits have a path of their own in some kernels.
        let gain = if random.below(4) == 0 { 500.0 } else { 1.0 };
        let step = gain / (40.0 * per_channel.sqrt());
        (0..channels).map(|_| step * (1 + random.below(100)) as f32 / 50.0).collect::<Vec<_>>()
    };
    Convolution {
        window: Window::POINT,
        weights,
        weight_scales: scales(random),
        bias: (0..channels).map(|_| random.below(4001) as i32 - 2000).collect(),
        slope: (random.below(2) == 0)
            .then(|| (0..channels).map(|_| random.below(200) as f32 / 100.0 - 0.5).collect()),
        clamp: if random.below(2) == 0 {
            Clamp::NONE
        } else {
            Clamp { min: clamp[0].min(clamp[1]), max: clamp[0].max(clamp[1]) }
        },
    }
}

/// Of an input and an output. The zero point of the output is often that of a rectifier, which some
/// kernels treat apart.
fn quantizations(random: &mut Random) -> [Quantization; 2] {
    let zero_point = if random.below(2) == 0 { -128 } else { random.code() };
    [
        Quantization { scale: 0.02, zero_point: random.code() },
        Quantization { scale: 0.03, zero_point },
    ]
}

/// The kernels that are compared with the scalar ones.
fn others() -> impl Iterator<Item = &'static Kernels> {
    tested().into_iter().filter(|&isa| isa != Isa::Scalar).filter_map(Kernels::of)
}

fn tested() -> Vec<Isa> {
    Isa::available().filter(|&isa| Kernels::of(isa).is_some()).collect()
}

/// Instruction sets that have to be tested, by name, with commas between.
const EXPECTED: &str = "CELEBCAM_EXPECT_ISA";

/// What the system says that the processor can do; empty where it does not say.
fn system_features() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key| text.lines().find_map(|line| line.strip_prefix(key)?.split_once(':'));
    let key = if cfg!(target_arch = "x86_64") { "flags" } else { "Features" };
    of(key)
        .map_or_else(Vec::new, |(_, words)| words.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn every_instruction_set_of_this_processor_is_tested() {
    let tested = tested();
    let by_system: [(Isa, &str, &str); 4] = [
        (Isa::Neon, "aarch64", "asimd"),
        (Isa::NeonDotprod, "aarch64", "asimddp"),
        (Isa::Avx2, "x86_64", "avx2"),
        (Isa::Avx512Vnni, "x86_64", "avx512_vnni"),
    ];
    let features = system_features();
    for (isa, architecture, feature) in by_system {
        let has =
            architecture == std::env::consts::ARCH && features.iter().any(|word| word == feature);
        assert!(
            !has || tested.contains(&isa),
            "the system says {feature}, and {isa} is not tested"
        );
    }
    let expected = std::env::var(EXPECTED).unwrap_or_default();
    for name in expected.split(',').filter(|name| !name.is_empty()) {
        let found = tested.iter().any(|isa| isa.name() == name);
        assert!(found, "{EXPECTED} asks for {name}; tested are {tested:?}");
    }
    let missing: Vec<_> = Isa::ALL.iter().filter(|isa| !tested.contains(isa)).collect();
    // Past the test runner, which would keep it.
    let said = format!("kernels tested: {tested:?}; not on this processor: {missing:?}\n");
    std::io::stderr().write_all(said.as_bytes()).expect("standard error is open");
}

fn encode(kernels: &Kernels, codes: &[i8]) -> Vec<u8> {
    codes.iter().map(|&code| kernels.encoding.encode(code)).collect()
}

/// Rows of codes as a kernel's gemm reads them.
fn gemm_rows(kernels: &Kernels, codes: &[i8]) -> Vec<u8> {
    if kernels.reads_words() {
        codes.iter().flat_map(|&code| (kernels.encoding.value(code) as i16).to_le_bytes()).collect()
    } else {
        encode(kernels, codes)
    }
}

fn run_gemm(
    kernels: &Kernels,
    convolution: &Convolution,
    quantizations: [Quantization; 2],
    rows: usize,
    codes: &[i8],
) -> Vec<i8> {
    let columns = convolution.bias.len();
    let depth = convolution.weights.len() / columns;
    let epilogue =
        Epilogue::new(convolution, quantizations[0], quantizations[1], kernels.encoding).unwrap();
    let gemm = kernels.pack_gemm(&convolution.weights, depth, epilogue);
    let input = gemm_rows(kernels, codes);
    let stride = input.len() / rows.max(1);
    let padded = columns.next_multiple_of(CHANNEL_BLOCK);
    let mut output = vec![0; rows * padded];
    kernels.gemm(&gemm, rows, &input, stride, &mut output, padded);
    (0..rows * columns)
        .map(|at| kernels.encoding.decode(output[at / columns * padded + at % columns]))
        .collect()
}

fn check_gemm(
    random: &mut Random,
    rows: usize,
    depth: usize,
    columns: usize,
    fill: Option<[i8; 2]>,
) {
    let weights = match fill {
        Some([_, weight]) => vec![weight; columns * depth],
        None => random.weights(columns * depth),
    };
    let convolution = convolution(random, weights, columns);
    let padded = depth.next_multiple_of(DEPTH_BLOCK);
    let codes = match fill {
        Some([code, _]) => vec![code; rows * padded],
        None => random.codes(rows * padded),
    };
    let quantizations = quantizations(random);
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    let expected = run_gemm(reference, &convolution, quantizations, rows, &codes);
    for kernels in others() {
        let found = run_gemm(kernels, &convolution, quantizations, rows, &codes);
        assert!(found == expected, "{}: {rows} x {depth} x {columns}, {fill:?}", kernels.gemm.name);
    }
}

#[test]
fn gemm_equals_the_reference() {
    let mut random = Random(1);
    for rows in [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 25] {
        for [depth, columns] in [
            [1, 1],
            [15, 16],
            [16, 17],
            [17, 33],
            [27, 48],
            [32, 64],
            [64, 65],
            [100, 80],
            [512, 16],
        ] {
            check_gemm(&mut random, rows, depth, columns, None);
        }
    }
    for _ in 0..200 {
        let [rows, depth, columns] =
            [1 + random.below(20), 1 + random.below(200), 1 + random.below(140)];
        check_gemm(&mut random, rows, depth, columns, None);
    }
}

#[test]
fn gemm_is_exact_at_the_extremes() {
    let mut random = Random(2);
    for code in [-128, -127, 127] {
        for weight in [-127, 127] {
            for [depth, columns] in [[16, 16], [64, 20], [1024, 64]] {
                check_gemm(&mut random, 7, depth, columns, Some([code, weight]));
            }
        }
    }
}

/// Shape of a row of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
struct RowSize {
    size: [usize; 2],
    stride: usize,
    left: usize,
    width: usize,
    output_width: usize,
    channels: usize,
}

fn run_dwconv(
    kernels: &Kernels,
    convolution: &Convolution,
    quantizations: [Quantization; 2],
    shape: RowSize,
    codes: &[i8],
) -> Vec<i8> {
    let epilogue =
        Epilogue::new(convolution, quantizations[0], quantizations[1], kernels.encoding).unwrap();
    let dwconv = kernels.pack_dwconv(&convolution.weights, shape.size, epilogue);
    let padded = shape.channels.next_multiple_of(CHANNEL_BLOCK);
    let input = encode(kernels, codes);
    let rows: Vec<&[u8]> = input.chunks(shape.width * padded).collect();
    let mut output = vec![0; shape.output_width * padded];
    let input = DwconvInput {
        rows: &rows,
        stride: shape.stride,
        left: shape.left,
        zero_point: kernels.encoding.encode(quantizations[0].zero_point),
    };
    kernels.dwconv(&dwconv, &input, &mut output, shape.output_width);
    (0..shape.output_width * shape.channels)
        .map(|at| output[at / shape.channels * padded + at % shape.channels])
        .map(|byte| kernels.encoding.decode(byte))
        .collect()
}

fn check_dwconv(random: &mut Random, shape: RowSize, fill: Option<[i8; 2]>) {
    let weights = shape.channels * shape.size[0] * shape.size[1];
    let inputs = shape.size[0] * shape.width * shape.channels.next_multiple_of(CHANNEL_BLOCK);
    let (weights, codes) = match fill {
        Some([code, weight]) => (vec![weight; weights], vec![code; inputs]),
        None => (random.weights(weights), random.codes(inputs)),
    };
    let convolution = convolution(random, weights, shape.channels);
    let quantizations = quantizations(random);
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    let expected = run_dwconv(reference, &convolution, quantizations, shape, &codes);
    for kernels in others() {
        let found = run_dwconv(kernels, &convolution, quantizations, shape, &codes);
        assert!(found == expected, "{}: {shape:?}, {fill:?}", kernels.dwconv.name);
    }
}

#[test]
fn dwconv_equals_the_reference() {
    let mut random = Random(3);
    for size in [[3, 3], [5, 5], [7, 7], [1, 1], [2, 3_usize]] {
        for stride in [1, 2] {
            for left in 0..size[1].div_ceil(2) {
                for width in [1_usize, 2, 3, 4, 5, 7, 8, 14, 15] {
                    for right in 0..=left {
                        let Some(space) = (width + left + right).checked_sub(size[1]) else {
                            continue;
                        };
                        let output_width = space / stride + 1;
                        for channels in [1, 16, 17, 48, 144] {
                            let shape =
                                RowSize { size, stride, left, width, output_width, channels };
                            check_dwconv(&mut random, shape, None);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn dwconv_is_exact_at_the_extremes() {
    let mut random = Random(4);
    for code in [-128, -127, 127] {
        for weight in [-127, 127] {
            for size in [[3, 3], [5, 5], [7, 7]] {
                let shape =
                    RowSize { size, stride: 1, left: 1, width: 9, output_width: 5, channels: 33 };
                check_dwconv(&mut random, shape, Some([code, weight]));
            }
        }
    }
}

#[test]
fn vadd_equals_the_reference() {
    let mut random = Random(5);
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    for length in [0, 1, 15, 16, 17, 63, 64, 65, 1000, 65_536] {
        let (a, b) = if length == 65_536 {
            (
                (0..length).map(|at| (at / 256) as u8 as i8).collect(),
                (0..length).map(|at| at as u8 as i8).collect(),
            )
        } else {
            (random.codes(length), random.codes(length))
        };
        let zeros: [i8; 3] = [random.code(), random.code(), random.code()];
        let scales = [0.1 + random.below(100) as f32 / 70.0, 0.1 + random.below(100) as f32 / 70.0];
        let run = |kernels: &Kernels| {
            let value = |code| kernels.encoding.value(code);
            let vadd = Vadd {
                zero_a: value(zeros[0]),
                zero_b: value(zeros[1]),
                scale_a: scales[0],
                scale_b: scales[1],
                zero_point: value(zeros[2]),
                min: value(-120),
                max: value(100),
            };
            let mut output = vec![0; length];
            kernels.vadd(&encode(kernels, &a), &encode(kernels, &b), &mut output, &vadd);
            output.into_iter().map(|byte| kernels.encoding.decode(byte)).collect::<Vec<_>>()
        };
        let expected = run(reference);
        for kernels in others() {
            assert!(run(kernels) == expected, "{}: {length}", kernels.vadd.name);
        }
    }
}

#[test]
fn lut_equals_the_reference() {
    let mut random = Random(6);
    let table: [u8; 256] = std::array::from_fn(|_| random.code() as u8);
    for length in [0, 1, 15, 16, 17, 63, 64, 65, 256, 1000] {
        let input: Vec<u8> = if length == 256 {
            (0..=255).collect()
        } else {
            (0..length).map(|_| random.code() as u8).collect()
        };
        let expected: Vec<u8> = input.iter().map(|&byte| table[usize::from(byte)]).collect();
        for kernels in others() {
            let mut output = vec![0; length];
            kernels.lut(&input, &mut output, &table);
            assert!(output == expected, "{}: {length}", kernels.lut.name);
        }
    }
}

#[test]
fn lines_equal_the_reference() {
    let tables = [0, 1, 2].map(|channel| {
        std::array::from_fn(|byte| (byte as i32 * 7 / 8 - 100 - channel).clamp(-128, 127) as u8)
    });
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    let lines = Lines::fit(&tables, |byte| i32::from(byte as i8), [-128, 127]).expect("lines");
    let mut random = Random(7);
    for length in [0, 3, 45, 48, 51, 96, 3 * 224] {
        let pixels: Vec<u8> = (0..length).map(|_| random.code() as u8).collect();
        let run = |kernels: &Kernels| {
            let mut codes = vec![0; length];
            kernels.lines(&pixels, &mut codes, &lines);
            codes
        };
        let expected = run(reference);
        for kernels in others() {
            assert!(run(kernels) == expected, "{}: {length}", kernels.lines.name);
        }
    }
}

fn check_dot(codes: &[i8], query: &[i8], rows: usize) {
    let bytes: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
    let expected: Vec<i32> = (0..rows)
        .map(|row| {
            let codes = &codes[row * query.len()..][..query.len()];
            codes.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
        })
        .collect();
    let reference = Kernels::of(Isa::Scalar).expect("it is everywhere");
    for kernels in others().chain([reference]) {
        let mut found = vec![i32::MIN; rows];
        kernels.dot(&bytes, query, &mut found);
        assert!(found == expected, "{}: {rows} rows of {}", kernels.dot.name, query.len());
    }
}

#[test]
fn dot_equals_the_sum_of_products() {
    let mut random = Random(8);
    for rows in [0, 1, 3, 4, 5, 7, 8, 9, 100] {
        for length in [0, 64, 128, 192, 256, 512] {
            check_dot(&random.codes(rows * length), &random.codes(length), rows);
        }
    }
}

#[test]
fn dot_is_exact_at_the_extremes() {
    for code in [-128, -127, 127] {
        for factor in [-128, -127, 127] {
            for length in [64, 256, LONGEST_DOT] {
                check_dot(&vec![code; 5 * length], &vec![factor; length], 5);
            }
        }
    }
}

/// Whether the entry refuses before a kernel runs.
fn is_refused(entry: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(entry)).is_err()
}

/// Sizes whose products with small ones wrap to small ones.
const LARGE: [usize; 6] =
    [1 << 59, 1 << 60, (1 << 60) + 1, usize::MAX / 16 + 2, usize::MAX / 2 + 2, usize::MAX];

#[test]
fn entries_refuse_what_lies_outside_of_their_slices() {
    let mut random = Random(9);
    for isa in Isa::available() {
        let kernels = Kernels::of(isa).expect("it is available");
        let [input, output] = quantizations(&mut random);
        let weights = random.weights(16 * 16);
        let convolution = convolution(&mut random, weights, 16);
        let epilogue = || Epilogue::new(&convolution, input, output, kernels.encoding).unwrap();
        let gemm = kernels.pack_gemm(&convolution.weights, 16, epilogue());
        let rows = gemm_rows(kernels, &[3; 32]);
        let stride = rows.len() / 2;
        let run = |rows_to_do, input_stride, output_stride| {
            let mut output = [0; 32];
            is_refused(|| {
                kernels.gemm(&gemm, rows_to_do, &rows, input_stride, &mut output, output_stride)
            })
        };
        assert!(!run(2, stride, 16), "{isa}: it fits");
        assert!(run(3, stride, 16) && run(2, stride + 1, 16) && run(2, stride, 17), "{isa}");
        assert!(run(2, stride, 15), "{isa}: rows of the output overlap");
        for large in LARGE {
            assert!(run(large, stride, 16) && run(2, large, 16) && run(2, stride, large), "{isa}");
            assert!(run(large, 0, 16) && run(large, large, large), "{isa}: {large}");
        }
        let weights = random.weights(16 * 9);
        let convolution = self::convolution(&mut random, weights, 16);
        let epilogue = Epilogue::new(&convolution, input, output, kernels.encoding).unwrap();
        let dwconv = kernels.pack_dwconv(&convolution.weights, [3, 3], epilogue);
        let row: &[u8] = &[7; 16 * 4];
        let run = |stride, left, output_width, rows: &[&[u8]]| {
            let mut output = [0; 16 * 4];
            let input = DwconvInput { rows, stride, left, zero_point: 0 };
            is_refused(|| kernels.dwconv(&dwconv, &input, &mut output, output_width))
        };
        assert!(!run(1, 1, 4, &[row; 3]), "{isa}: it fits");
        assert!(!run(1, 1, 0, &[row; 3]), "{isa}: nothing to do");
        assert!(run(1, 1, 5, &[row; 3]) && run(0, 1, 4, &[row; 3]), "{isa}");
        assert!(run(1, 1, 4, &[row; 2]) && run(1, 1, 4, &[row, row, &row[1..]]), "{isa}");
        for large in LARGE {
            assert!(run(1, 1, large, &[row; 3]), "{isa}: {large}");
            // Windows so far apart or to the left see nothing but padding, or are refused.
            run(large, 1, 4, &[row; 3]);
            run(1, large, 4, &[row; 3]);
        }
        let mut products = [0; 2];
        assert!(is_refused(|| kernels.dot(&[0; 64], &[1; 64], &mut products)), "{isa}");
        assert!(
            is_refused(|| kernels.vadd(&[0; 3], &[0; 4], &mut [0; 4], &plain_sum(kernels))),
            "{isa}"
        );
    }
}

fn plain_sum(kernels: &Kernels) -> Vadd {
    let [zero, min, max] = [0, i8::MIN, i8::MAX].map(|code| kernels.encoding.value(code));
    Vadd { zero_a: zero, zero_b: zero, scale_a: 1.0, scale_b: 1.0, zero_point: zero, min, max }
}

#[test]
fn an_epilogue_of_other_channels_is_refused() {
    let mut random = Random(10);
    let weights = random.weights(32 * 16);
    let convolution = convolution(&mut random, weights, 32);
    let [input, output] = quantizations(&mut random);
    let kernels = Kernels::of(Isa::Scalar).expect("it is everywhere");
    let changes: [fn(&mut Epilogue); 4] = [
        |epilogue| epilogue.bias.truncate(16),
        |epilogue| epilogue.scale.truncate(16),
        |epilogue| epilogue.negative_scale = vec![1.0; 16],
        |epilogue| epilogue.float_bias = vec![0; 16],
    ];
    for change in changes {
        let mut epilogue =
            Epilogue::new(&convolution, input, output, kernels.encoding).expect("it fits");
        change(&mut epilogue);
        assert!(is_refused(|| drop(kernels.pack_gemm(&convolution.weights, 16, epilogue))));
    }
}
