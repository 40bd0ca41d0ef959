//! Any bytes as a frame of a stream: it comes out whole, within the limits, or not at all.

#![no_main]

use celebcam::picture::{Limits, decode_frame};
use libfuzzer_sys::fuzz_target;

mod own_panics;

// A panic of another's decoder is caught and no fault. One of celebcam's own is, and one that comes out
// of here.
fuzz_target!(init: own_panics::abort(), |bytes: &[u8]| {
    let mut rgb = Vec::new();
    if let Ok(((width, height), _)) = decode_frame(bytes, &mut rgb) {
        let pixels = u64::from(width) * u64::from(height);
        assert!(pixels <= Limits::FRAME.pixels);
        assert!(rgb.len() as u64 == 3 * pixels);
    }
});
