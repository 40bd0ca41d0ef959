//! Damaged pictures and streams: no panic, no hang, no more memory than is allowed.
//!
//! `CELEBCAM_DAMAGED` says how many of each, `CELEBCAM_SEED` which.

#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use celebcam::picture::{Limits, Reader, decode_frame};
use celebcam::source::Splitter;

mod common;
use common::{Random, number};

/// Damaged pictures, and damaged streams, if nobody says.
const COUNT: u64 = 300;

/// Longest time for one of them, on a slow machine with other work.
const LONGEST: Duration = Duration::from_secs(20);

/// Memory beside that which decoding may take: the data itself, and what is asked for and never written
/// so that it goes back to the system, up to 33 MiB for each of four components.
const BESIDE_BYTES: usize = 40_000_000 + 4 * (33 << 20);

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
/// Panics of decoders, which are caught.
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// Those among them of celebcam's own.
static OWN_PANICS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn took(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The files of a corpus of the fuzzer, with their names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = common::files(&folder, usize::MAX);
    assert!(!files.is_empty());
    files
        .iter()
        .map(|path| (path.display().to_string(), fs::read(path).expect("the file can be read")))
        .collect()
}

/// What came of many tries.
#[derive(Default)]
struct Tally {
    read: usize,
    refused: usize,
    escaped_panics: usize,
    hangs: usize,
    over_memory: usize,
    longest: Duration,
    most_bytes: usize,
}

impl Tally {
    /// Tries one; `work` says whether it was read.
    fn try_one(&mut self, limit_bytes: usize, name: &str, work: impl FnOnce() -> bool) {
        let (before, started) = (LIVE.load(Ordering::Relaxed), Instant::now());
        MOST.store(before, Ordering::Relaxed);
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(true) => self.read += 1,
            Ok(false) => self.refused += 1,
            Err(_) => {
                eprintln!("{name}: a panic came through");
                self.escaped_panics += 1;
            }
        }
        let (time, bytes) = (started.elapsed(), MOST.load(Ordering::Relaxed) - before);
        if time > LONGEST {
            eprintln!("{name}: {time:?}");
            self.hangs += 1;
        }
        if bytes > limit_bytes {
            eprintln!("{name}: {bytes} bytes");
            self.over_memory += 1;
        }
        self.longest = self.longest.max(time);
        self.most_bytes = self.most_bytes.max(bytes);
    }

    fn finish(self, what: &str, seed: u64) {
        let Self { read, refused, escaped_panics, hangs, over_memory, longest, most_bytes } = self;
        println!(
            "{} {what} of seed {seed}: {read} read, {refused} refused, {escaped_panics} panics, {hangs} \
             hangs, {over_memory} over the memory; longest {longest:?}, most {} MB; {} panics of decoders \
             caught",
            read + refused + escaped_panics,
            most_bytes / 1_000_000,
            PANICS.swap(0, Ordering::Relaxed),
        );
        assert!(read > 0 && refused > 0, "{what}: {read} were read and {refused} refused");
        assert!(most_bytes > 0, "memory is counted");
        let own_panics = OWN_PANICS.load(Ordering::Relaxed);
        assert_eq!(escaped_panics + hangs + over_memory + own_panics, 0);
    }
}

/// Changes some bytes, numbers or parts.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(5) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(9) {
            0 | 1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at..end].fill(*random.one_of(&[0, 0xFF, 0x7F, 0x80])),
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let part = bytes[at..end].repeat(1 + random.below(8));
                bytes.splice(at..at, part);
            }
            7 => {
                let from = random.below(other.len());
                let to = (from + 1 + random.below(400)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                // Sizes stand in the first bytes.
                let at = at % 200.min(bytes.len());
                bytes[at] = *random.one_of(&[0, 1, 4, 0x10, 0x20, 0x40, 0x7F, 0x80, 0xFF]);
            }
        }
    }
}

fn count_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        if let Some(place) = panic.location().filter(|place| place.file().starts_with("src/")) {
            eprintln!("a panic of ours: {place}");
            OWN_PANICS.fetch_add(1, Ordering::Relaxed);
        }
    }));
}

fn limit(limits: &Limits) -> usize {
    limits.bytes as usize + BESIDE_BYTES
}

fn read_stream(stream: &[u8], sizes: &mut impl FnMut() -> usize) -> bool {
    let mut splitter = Splitter::default();
    let mut rest = stream;
    let mut read = false;
    let mut decode = |picture: Vec<u8>| read |= decode_frame(&picture, &mut Vec::new()).is_ok();
    while !rest.is_empty() {
        let (bytes, behind) = rest.split_at(sizes().clamp(1, rest.len()));
        splitter.push(bytes);
        rest = behind;
        std::iter::from_fn(|| splitter.next_picture()).for_each(&mut decode);
    }
    std::iter::from_fn(|| splitter.last_picture()).for_each(&mut decode);
    assert!(splitter.work_bytes() <= 4 * stream.len() as u64, "the work is linear");
    read
}

/// One test, for memory is counted for the whole process.
#[test]
fn damaged_pictures_and_streams_are_survived() {
    let (count, seed) = (number("CELEBCAM_DAMAGED", COUNT), number("CELEBCAM_SEED", 1));
    count_panics();
    let reader = Reader::new(Limits::PHOTO);
    let pictures = [corpus("jpeg"), corpus("picture")].concat();
    let streams = corpus("mjpeg");

    let mut whole = Tally::default();
    for (name, bytes) in &pictures {
        whole.try_one(limit(&Limits::PHOTO), name, || reader.decode(bytes).is_ok());
    }
    for (name, bytes) in &streams {
        whole.try_one(limit(&Limits::FRAME), name, || read_stream(bytes, &mut || 4096));
    }
    whole.finish("files of the corpus", 0);

    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for number in 0..count {
        let (name, bytes) = random.one_of(&pictures);
        let mut bytes = bytes.clone();
        let (_, other) = random.one_of(&pictures);
        damage(&mut bytes, other, &mut random);
        let name = format!("{name} as number {number} of seed {seed}");
        tally.try_one(limit(&Limits::PHOTO), &name, || reader.decode(&bytes).is_ok());
    }
    tally.finish("damaged pictures", seed);

    let mut tally = Tally::default();
    for number in 0..count {
        let mut stream = Vec::new();
        for _ in 0..1 + random.below(4) {
            let part = if random.below(2) == 0 { &streams } else { &pictures };
            stream.extend_from_slice(&random.one_of(part).1);
        }
        let (_, other) = random.one_of(&pictures);
        damage(&mut stream, other, &mut random);
        let name = format!("stream {number} of seed {seed}");
        let mut sizes = || 1 + random.below(3000);
        tally.try_one(limit(&Limits::FRAME), &name, || read_stream(&stream, &mut sizes));
    }
    tally.finish("damaged streams", seed);
}
