//! The home of every default.

use std::time::Duration;

use crate::quality::Limits;

/// Candidates that are kept of each face.
pub const TOP_K: usize = 3;

/// Quality of the JPEG pictures that `--annotate` writes, 1 to 100.
pub const ANNOTATED_JPEG_QUALITY: u8 = 92;

/// Frames out of the last [`WINDOW_FRAMES`](crate::track::WINDOW_FRAMES) in which a person has to
/// be recognized to have come.
pub const CONFIRM_FRAMES: u32 = 2;

/// Seconds for which a person must not be seen to have gone.
pub const ABSENCE_S: f32 = 2.0;

/// Longest time without a frame before a camera counts as lost.
pub const CAMERA_FRAME_DEADLINE: Duration = Duration::from_secs(5);

/// From where on a face shows enough to be recognized: beyond each of the limits the most similar
/// person is the wrong one for more than every tenth picture of known people (`tools/quality.py`).
pub const QUALITY: Limits =
    Limits { eye_distance_px: 10.0, turn: 0.75, blur_px: 2.5, brightness: 16.0 };
