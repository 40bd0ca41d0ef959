//! The home of every default.

use std::time::Duration;

use crate::quality::Limits;

/// Candidates that are kept of each face.
pub const TOP_K: usize = 3;

/// Quality of the JPEG pictures that `--annotate` and `--snapshot` write, 1 to 100.
pub const ANNOTATED_JPEG_QUALITY: u8 = 92;

/// Frames out of the last [`WINDOW_FRAMES`](crate::track::WINDOW_FRAMES) in which a person has to
/// be recognized to have come.
pub const CONFIRM_FRAMES: u32 = 2;

/// Seconds for which a person must not be seen to have gone.
pub const ABSENCE_S: f32 = 2.0;

/// Longest time without a frame before a camera counts as lost.
pub const CAMERA_FRAME_DEADLINE: Duration = Duration::from_secs(5);

/// Longest time from an event to the moment when it is told; an older one is dropped.
pub const EVENT_MAX_AGE: Duration = Duration::from_secs(1);

/// Longest time for which the end of a run waits until the last events are told. With a frame and
/// the closing of a camera it has to fit into the time that a process has to stop.
pub const LAST_EVENTS_WITHIN: Duration = Duration::from_millis(700);

/// Commands that `--on-event` runs at the same time.
pub const ON_EVENT_AT_ONCE: usize = 4;

/// Seconds after which a command of `--on-event` is stopped.
pub const ON_EVENT_TIMEOUT_S: f32 = 10.0;

/// Time from SIGTERM to SIGKILL for commands that still run at the end.
pub const ON_EVENT_LAST_GRACE: Duration = Duration::from_millis(100);

/// Bytes that the pictures of `--snapshot` may take.
pub const SNAPSHOT_LIMIT: &str = "100M";

/// From where on a face shows enough to be recognized.
pub const QUALITY: Limits =
    Limits { eye_distance_px: 10.0, turn: 0.85, blur_px: 2.5, brightness: 16.0 };
