//! Any bytes as a frame of a stream: it comes out whole, within the limits, or not at all.

#![no_main]

use celebcam::picture::{Limits, decode_frame};
use libfuzzer_sys::fuzz_target;

// A panic that is caught where it may arise is no fault. One that comes out of here still is.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let mut rgb = Vec::new();
    if let Ok(((width, height), _)) = decode_frame(bytes, &mut rgb) {
        let pixels = u64::from(width) * u64::from(height);
        assert!(pixels <= Limits::FRAME.pixels);
        assert!(rgb.len() as u64 == 3 * pixels);
    }
});
