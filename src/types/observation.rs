//! A face in a picture, how well it can be seen, and who it is.

use super::decimals::{four_decimals, four_decimals_if_any};
use super::face::Face;
use super::identity::{Features, Identity};

/// How well a face can be seen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Distance between the eyes in pixels of the picture; not known of a crop without its picture.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub eye_distance_px: Option<f32>,
    /// How far the head is turned to either side: 0 looks into the camera, 1 is a profile, see
    /// [`Face::turn`]. Not known of a crop without its picture.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub turn: Option<f32>,
    /// Spread of the blur in pixels of the crop: the root of the ratio of the mean squared gradient
    /// to the mean squared Laplacian, which for a blurred edge grows with the width of the blur.
    #[serde(serialize_with = "four_decimals")]
    pub blur_px: f32,
    /// Mean luma of the face, 0 to 255.
    #[serde(serialize_with = "four_decimals")]
    pub brightness: f32,
}

impl Quality {
    /// How much the face counts among other pictures of it, above 0 and up to 1.
    pub fn weight(&self) -> f32 {
        let size = self.eye_distance_px.map_or(1.0, |distance| (distance / 40.0).min(1.0));
        let pose = self.turn.map_or(1.0, |turn| 1.0 - turn.min(0.9));
        let sharpness = (1.0 / self.blur_px.max(1.0)).min(1.0);
        (size * pose * sharpness).max(0.01)
    }

    /// A face of which everything can be seen.
    #[cfg(test)]
    pub(crate) const GOOD: Self =
        Self { eye_distance_px: Some(60.0), turn: Some(0.0), blur_px: 0.8, brightness: 120.0 };
}

/// A face in a picture and who it is.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Where the face is.
    pub face: Face,
    /// How well it can be seen.
    pub quality: Quality,
    /// What the network makes of it; `None` where it was too poor to be looked at.
    pub features: Option<Features>,
    /// Who it is.
    pub identity: Identity,
}
