//! Any bytes as a stream: the splitter's work is linear, and what comes out is in the stream.

#![no_main]

use celebcam::source::Splitter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (u16, &[u8])| {
    let (size, stream) = case;
    let mut splitter = Splitter::default();
    let mut given = 0;
    for bytes in stream.chunks(usize::from(size).max(1)) {
        splitter.push(bytes);
        while let Some(picture) = splitter.next_picture() {
            given += picture.len();
        }
    }
    given += splitter.last_picture().map_or(0, |picture| picture.len());
    assert!(given <= stream.len());
    assert!(splitter.work_bytes() <= 4 * stream.len() as u64);
});
