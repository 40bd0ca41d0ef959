//! Single kernels at the shapes of a MobileNet V1 of 224 pixels, for every instruction set that
//! this processor has: `cargo bench --package celebcam-engine`. Throughput is in multiplications.

use celebcam_engine::Isa;
use celebcam_engine::internals::{
    CHANNEL_BLOCK, Clamp, Convolution, DwconvInput, Epilogue, Kernels, Quantization, Random, Window,
};
use divan::{Bencher, counter::ItemsCount};

fn main() {
    divan::main();
}

/// Positions of a band, inputs and outputs of the pointwise layers.
const GEMM_SHAPES: [[usize; 3]; 7] = [
    [168, 32, 32],
    [336, 32, 64],
    [168, 128, 128],
    [84, 256, 256],
    [42, 512, 512],
    [28, 512, 1024],
    [28, 1024, 1024],
];

/// Width, channels and stride of the depthwise layers.
const DWCONV_SHAPES: [[usize; 3]; 7] = [
    [112, 32, 1],
    [112, 64, 2],
    [56, 128, 1],
    [28, 256, 1],
    [14, 512, 1],
    [14, 512, 2],
    [7, 1024, 1],
];

fn cases<const N: usize>(shapes: [[usize; 3]; N]) -> Vec<Case> {
    let kernels = Isa::available().filter_map(Kernels::of);
    kernels.flat_map(|kernels| shapes.map(|shape| Case { kernels, shape })).collect()
}

struct Case {
    kernels: &'static Kernels,
    shape: [usize; 3],
}

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c] = self.shape;
        write!(formatter, "{} {a}x{b}x{c}", self.kernels.isa())
    }
}

fn convolution(weights: usize, channels: usize) -> Convolution {
    Convolution {
        window: Window::POINT,
        weights: Random(1).weights(weights),
        weight_scales: vec![1e-4; channels],
        bias: vec![0; channels],
        slope: None,
        clamp: Clamp::NONE,
    }
}

const QUANTIZATION: Quantization = Quantization { scale: 0.02, zero_point: -128 };

#[divan::bench(args = cases(GEMM_SHAPES))]
fn gemm(bencher: Bencher, case: &Case) {
    let [rows, depth, columns] = case.shape;
    let kernels = case.kernels;
    let convolution = convolution(depth * columns, columns);
    let epilogue =
        Epilogue::new(&convolution, QUANTIZATION, QUANTIZATION, kernels.encoding()).expect("small");
    let gemm = kernels.pack_gemm(&convolution.weights, depth, epilogue);
    let stride = depth * if kernels.reads_words() { 2 } else { 1 };
    let input = vec![3; rows * stride];
    let mut output = vec![0; rows * columns];
    bencher.counter(ItemsCount::new(rows * depth * columns)).bench_local(|| {
        kernels.gemm(&gemm, rows, &input, stride, &mut output, columns);
    });
}

#[divan::bench(args = cases(DWCONV_SHAPES))]
fn dwconv(bencher: Bencher, case: &Case) {
    let [width, channels, stride] = case.shape;
    let kernels = case.kernels;
    let convolution = convolution(channels * 9, channels);
    let epilogue =
        Epilogue::new(&convolution, QUANTIZATION, QUANTIZATION, kernels.encoding()).expect("small");
    let dwconv = kernels.pack_dwconv(&convolution.weights, [3, 3], epilogue);
    assert_eq!(channels % CHANNEL_BLOCK, 0);
    let row = vec![3; width * channels];
    let output_width = width / stride;
    let mut output = vec![0; output_width * channels];
    let input = DwconvInput {
        rows: &[&row, &row, &row],
        stride,
        left: usize::from(stride == 1),
        zero_point: 0,
    };
    bencher.counter(ItemsCount::new(output_width * channels * 9)).bench_local(|| {
        kernels.dwconv(&dwconv, &input, &mut output, output_width);
    });
}
