//! Who is there at one moment.

use std::time::Instant;

use super::face::BoundingBox;
use super::identity::{Label, Reason};

/// Everybody who has come and not gone, as of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene<'a> {
    /// The time of the frame.
    pub now: Instant,
    /// Who is there, in the order in which they came.
    pub visits: Vec<Presence<'a>>,
}

/// Somebody who is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Presence<'a> {
    /// Number of the visit, that of its events.
    pub visit: u64,
    /// Who it is, or why it is a stranger.
    pub name: Result<&'a Label, Reason>,
    /// Estimated probability that it is the most similar person, 0 to 1.
    pub confidence: f32,
    /// When the visit began, on the clock of [`Scene::now`].
    pub since: Instant,
    /// Where the face is, in pixels of the frame; `None` where this frame does not show it.
    pub bounds: Option<BoundingBox>,
}
