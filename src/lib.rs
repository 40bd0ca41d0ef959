//! celebcam says which celebrity, or which person of your own choosing, stands in front of a
//! camera: offline, on boards of the size of a Raspberry Pi.
//!
//! Pictures flow one way, and between two stages stands one type:
//!
//! ```text
//! source -> Frame -> detect -> Face -> align -> FaceCrop -> recognize -> Identity -> track -> Event, Scene -> sink
//! ```
//!
//! A stage knows the type it takes and the type it gives, never another stage. [`observe`] joins
//! the stages that work on one picture, [`pipeline`] those that work on a stream of them.

// The flow in its order, which the empty lines keep, and then what serves it.

pub mod types;

pub mod source;

pub mod detect;

pub mod align;

pub mod quality;

pub mod gallery;
pub mod recognize;

pub mod observe;

pub mod track;

pub mod event;

pub mod sink;

pub mod pipeline;

pub mod annotate;
pub mod cli;
pub mod commands;
pub mod defaults;
pub mod doctor;
pub mod enroll;
pub mod error;
pub mod exit;
pub mod models;
pub mod picture;
pub mod settings;
pub mod shown;
pub mod stages;
pub mod system;
