//! What travels between the stages: frames, faces, identities, observations, scenes.

pub mod decimals;
pub mod embedding;
pub mod face;
pub mod frame;
pub mod identity;
pub mod observation;
pub mod scene;
