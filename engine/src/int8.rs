//! Our own int8 arithmetic: what the network computes, packed weights, kernels for each
//! instruction set, and the executor.
//!
//! ```text
//! graph -> network (steps, packed weights, memory plan) -> kernels of the chosen isa
//! ```
//!
//! Nothing here knows of a file format or of another inference library. All `unsafe` code of the
//! program is here.

#![allow(unsafe_code, reason = "vector instructions and shared memory of the kernels")]

pub mod buffer;
pub mod graph;
pub mod isa;
pub mod kernels;
pub mod lines;
pub mod network;
pub mod pack;
pub mod peak;
pub mod pool;
#[cfg(test)]
pub mod reference;
pub mod requant;
