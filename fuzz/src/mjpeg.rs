//! Any bytes as a stream: the splitter's work is linear, and what comes out is in the stream, each
//! picture behind the one before.

#![no_main]

use celebcam::source::Splitter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (u16, &[u8])| {
    let (size, stream) = case;
    let mut splitter = Splitter::default();
    let mut rest = stream;
    let mut check = |picture: Vec<u8>| {
        let mut places = rest.windows(picture.len().max(1));
        let place = places.position(|bytes| bytes == picture).expect("it is in the stream");
        rest = &rest[place + picture.len()..];
    };
    for bytes in stream.chunks(usize::from(size).max(1)) {
        splitter.push(bytes);
        std::iter::from_fn(|| splitter.next_picture()).for_each(&mut check);
    }
    std::iter::from_fn(|| splitter.last_picture()).for_each(&mut check);
    assert!(splitter.work_bytes() <= 4 * stream.len() as u64);
});
