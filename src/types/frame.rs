//! A picture on its way through the pipeline.

use std::time::Instant;

use image::RgbImage;

/// One picture of a source.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Number of the frame since the source was opened, from 0; dropped frames leave gaps.
    pub sequence: u64,
    /// When the picture was taken, or handed over by a source that cannot know.
    pub captured_at: Instant,
    /// The picture, 8 bits a channel, upright.
    pub rgb: RgbImage,
    /// How many pixels of the source each pixel stands for, each way: more than 1 for a picture that was
    /// too large.
    pub reduction: u32,
}
