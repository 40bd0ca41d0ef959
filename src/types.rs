//! What travels between the stages: frames, faces, identities, observations.

pub mod decimals;
pub mod embedding;
pub mod face;
pub mod frame;
pub mod identity;
pub mod observation;
