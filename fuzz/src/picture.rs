//! Any bytes as a picture file: it comes out whole, within the limits, or not at all.

#![no_main]

use celebcam::picture::{Limits, Reader};
use libfuzzer_sys::fuzz_target;

mod own_panics;

// A panic of another's decoder is caught and no fault. One of celebcam's own is, and one that comes out
// of here.
fuzz_target!(init: own_panics::abort(), |bytes: &[u8]| {
    let limits = Limits { pixels: 1_000_000, bytes: 50_000_000, ..Limits::PHOTO };
    let reader = Reader::new(limits);
    if let Ok(picture) = reader.decode(bytes) {
        let (width, height) = picture.rgb.dimensions();
        assert!(u64::from(width) * u64::from(height) <= limits.pixels);
    }
});
