//! Runs quantized (int8) ONNX models of pictures on small ARM and x86 cores.
//!
//! A model takes one picture: uint8, [1, height, width, 3], raw RGB. Everything else that it needs
//! (scaling, layout) is in its graph, and its outputs are float32. Quantized layers are those with
//! `QuantizeLinear` and `DequantizeLinear` around them, as onnxruntime's static quantization writes them.
//!
//! ```no_run
//! use celebcam_engine::{Model, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::load(&std::fs::read("model.onnx")?, &Settings::new(1))?;
//! let (height, width) = model.input_size();
//! let rgb = vec![0; (height * width * 3) as usize];
//! let outputs = model.run(&rgb)?;
//! println!("{}: {:?}", model.output_names()[0], outputs[0]);
//! # Ok(())
//! # }
//! ```
//!
//! Quantized layers are taken out of the file and computed by this crate, on int8 codes: that is its own
//! reader, its own graph, its own kernels. What is not quantized, or not known here, stays an ONNX graph,
//! which [tract](https://docs.rs/tract-onnx) loads and runs. A model that is quantized from the picture
//! to the outputs never gets to tract, which then only parses the file.
//!
//! # Loading
//!
//! [`Model::load`] takes the bytes of a file. [`OnnxFile::parse`] and [`Model::build`] are the two halves
//! of it, for those who want to read the metadata of the file first. A file that comes from anywhere is
//! taken for hostile: what it asks for is counted before it is done, and refused beyond the [`limits`]. An
//! [`Error`] says what is wrong in a sentence that can be shown to people.
//!
//! # Running
//!
//! A [`Model`] can be shared between threads. [`Model::run_into`] allocates nothing after the first run.
//! [`Settings`] choose the kernels, how many threads compute one picture, and hold a flag that ends a run
//! early. On every processor the results are the same to the bit, but for layers that tract runs.
//!
//! # Searching
//!
//! [`Similarity`] keeps many embeddings as int8 codes and finds those most alike to one.

mod arena;
mod buffer;
mod error;
mod graph;
mod isa;
mod kernels;
pub mod limits;
mod lower;
mod model;
mod network;
mod onnx;
mod ops;
mod pool;
mod random;
#[cfg(test)]
mod reference;
mod settings;
mod similarity;
mod text;
mod tract;

pub use error::{Error, LayerError, Limit, ModelError, Result, RunError, TractError};
pub use isa::Isa;
pub use model::{Model, OnnxFile};
pub use network::LayerTime;
pub use settings::Settings;
pub use similarity::{Match, Similarity};
pub use text::{SENTENCE_LENGTH, shortened};

/// Single kernels and made-up models, for the benches, the tests and the fuzzer of this repository. No part
/// of the interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::buffer::CACHE_LINE_BYTES;
    pub use crate::graph::{Clamp, Convolution, Quantization, Window};
    pub use crate::kernels::lines::Lines;
    pub use crate::kernels::pack::DEPTH_BLOCK;
    pub use crate::kernels::requant::{CHANNEL_BLOCK, Epilogue};
    pub use crate::kernels::{DwconvInput, Kernels, Vadd};
    pub use crate::onnx::example;
    pub use crate::random::Random;
}
