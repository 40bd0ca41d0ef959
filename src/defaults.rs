//! Defaults of settings, and the times, rates and likenesses that may have to be tuned.

use std::time::Duration;

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

/// How people who were added are judged where the model does not say: this cosine to their mean
/// embedding is worth the model's own threshold, and more of it that many times more similarity.
/// Found with the shipped model by adding people of its data set anew from five pictures each.
pub const ENROLLED_COSINE: f32 = 0.389;

/// See [`ENROLLED_COSINE`].
pub const ENROLLED_SCALE: f32 = 1.08;

/// Cosine between a picture and the mean of the others below which they do not show one person:
/// of a person's own pictures 4 in 1,000 lie below, of others' pictures 49 in 50.
pub const SAME_PERSON_COSINE: f32 = 0.2;

/// Cosine above which two pictures are copies of one, or as good as that: copies of another size or
/// with stronger compression lie above.
pub const SAME_PICTURE_COSINE: f32 = 0.95;

/// Share of strangers' faces that get a name at most, where a model does not say.
pub const FALSE_ACCEPTS: f32 = 0.001;

/// Good frames to add a person from a camera.
pub const ENROLL_FRAMES: u16 = 10;

/// Longest time to collect them.
pub const ENROLL_TIMEOUT_S: f32 = 120.0;

/// People looked at for the one who is most like a new person.
pub const ENROLL_CANDIDATES: usize = 16;

/// How far the odds of a name may fall, as a natural logarithm, before a track that has it loses
/// it: strangers reach the lower threshold some ten times as often as the higher, but not in a row.
pub const KEEP_LOG_ODDS: f32 = 2.0;

/// Times a second that faces are looked for in the frames of a live source.
pub const LOOK_RATE: f32 = 5.0;

/// Frames a second in which faces are followed while somebody is there.
pub const MAX_FPS: f32 = 15.0;

/// Frames a second of a film that does not say how many it has.
pub const FILM_FPS: f32 = 25.0;

/// Time without motion after which an empty room is left alone.
pub const REST_AFTER: Duration = Duration::from_secs(2);

/// Longest time for which a room in which nothing moves is left alone.
pub const LONGEST_REST: Duration = Duration::from_secs(10);

/// Longest time from somebody's coming into the picture to the frame in which faces are looked for.
pub const NEWCOMER_WITHIN: Duration = Duration::from_secs(1);

/// Age from which on a frame is out of date: nothing is said of it.
pub const LARGEST_FRAME_AGE: Duration = Duration::from_secs(1);
