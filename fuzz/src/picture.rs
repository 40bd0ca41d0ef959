//! Any bytes as a picture file: it comes out whole, within the limits, or not at all.

#![no_main]

use celebcam::picture::{Limits, Reader};
use libfuzzer_sys::fuzz_target;

// A panic that is caught where it may arise is no fault. One that comes out of here still is.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let limits = Limits { pixels: 1_000_000, bytes: 50_000_000 };
    let reader = Reader::new(limits);
    if let Ok(picture) = reader.decode(bytes) {
        let (width, height) = picture.rgb.dimensions();
        assert!(u64::from(width) * u64::from(height) <= limits.pixels);
    }
});
