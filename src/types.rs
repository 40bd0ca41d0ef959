//! What travels between the stages: frames, faces, identities, observations.

pub mod decimals;
pub mod face;
pub mod frame;
pub mod identity;
pub mod observation;
