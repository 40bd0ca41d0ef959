//! celebcam says which celebrity, or which person of your own choosing, stands in front of a
//! camera: offline, on boards of the size of a Raspberry Pi.
//!
//! Pictures flow one way, and each arrow is one type:
//!
//! ```text
//! source -> Frame -> detect -> Face -> align -> FaceCrop -> recognize -> Identity -> track -> Event -> sink
//! ```
//!
//! A stage knows the type it takes and the type it gives, never another stage. [`observe`] joins
//! the stages that work on one picture, [`pipeline`] those that work on a stream of them.

pub mod source;

pub mod frame;

pub mod detect;

pub mod face;

pub mod align;
pub mod warp;

pub mod quality;

pub mod gallery;
pub mod recognize;

pub mod observe;

pub mod follow;
pub mod track;

pub mod cadence;
pub mod motion;

pub mod event;

pub mod sink;

pub mod pipeline;

pub mod annotate;
pub mod bounded;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod enroll;
pub mod error;
pub mod files;
pub mod film;
pub mod heap;
pub mod models;
pub mod picture;
pub mod process;
pub mod resample;
pub mod service;
pub mod shown;
pub mod stop;
pub mod throttle;
pub mod timing;
pub mod turn;
