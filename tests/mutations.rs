//! Model files that were changed by chance: each is refused or runs, in bounded time and memory.
//!
//! `CELEBCAM_MUTATIONS` says how many (300; 30 on an emulator), `CELEBCAM_SEED` from which seed on (1).

#![allow(unsafe_code, reason = "a global allocator that counts")]

mod common;
#[path = "common/mutation.rs"]
mod mutation;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use celebcam::align::Aligner;
use celebcam::detect::Detector;
use celebcam::models::{self, Model};
use celebcam::recognize::Recognizer;
use common::{Random, emulator, number};
use image::RgbImage;

/// A refused file takes at most so much memory beside its own size, in bytes.
const REFUSED_BYTES: usize = 64_000_000;

/// A file that runs takes at most so much beside its own size.
const RUN_BYTES: usize = 256_000_000;

/// A file that takes longer hangs; one that is refused should take less than a second. The machine may
/// have other work.
const LONGEST: Duration = Duration::from_secs(30);
const LONGEST_REFUSED: Duration = Duration::from_secs(8);

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl Counting {
    fn grow(bytes: usize) {
        let used = USED.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(used, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grow(layout.size());
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How the files ended.
#[derive(Debug, Default)]
struct Counts {
    refused: usize,
    ran: usize,
    failed: usize,
    panics: usize,
    hangs: usize,
    too_large: usize,
}

/// Whether the file was loaded, and whether it ran.
fn load_and_run(bytes: &[u8], settings: &celebcam_engine::Settings) -> (bool, bool) {
    let Ok(model) = Model::load(bytes, "changed", settings) else { return (false, false) };
    let (height, width) = model.input_size();
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 99]));
    let ran = model.run(&picture).is_ok();
    match model.property("kind") {
        Some("detector") => drop(Detector::new(model)),
        Some("aligner") => drop(Aligner::new(model)),
        _ => drop(Recognizer::new(model, 1)),
    }
    (true, ran)
}

#[test]
fn changed_models_are_refused_or_run() {
    let settings = models::settings(1).expect("the best kernels can be had");
    let emulated = emulator().is_some();
    let usual = if emulated { 30 } else { 300 };
    let longest_refused = if emulated { LONGEST } else { LONGEST_REFUSED };
    let (count, first) = (number("CELEBCAM_MUTATIONS", usual), number("CELEBCAM_SEED", 1));
    let mut counts = Counts::default();
    let mut slowest = Duration::ZERO;
    let mut largest = 0;
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let bytes = mutation::changed(&mut |end| random.below(end));
        let before = USED.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| load_and_run(&bytes, &settings)));
        let (time, taken) = (started.elapsed(), PEAK.load(Ordering::Relaxed) - before);
        let (most, longest) = match ended {
            Ok((false, _)) => {
                counts.refused += 1;
                (REFUSED_BYTES, longest_refused)
            }
            Ok((true, ran)) => {
                *(if ran { &mut counts.ran } else { &mut counts.failed }) += 1;
                (RUN_BYTES, LONGEST)
            }
            Err(_) => {
                counts.panics += 1;
                (RUN_BYTES, LONGEST)
            }
        };
        counts.hangs += usize::from(time > longest);
        counts.too_large += usize::from(taken > bytes.len() + most);
        (slowest, largest) = (slowest.max(time), largest.max(taken));
        if time > longest || taken > bytes.len() + most || ended.is_err() {
            println!("seed {seed}: {} bytes, took {taken} bytes, {time:?}, {ended:?}", bytes.len());
        }
    }
    println!("{count} from seed {first}: {counts:?}, slowest {slowest:?}, most memory {largest}");
    assert_eq!([counts.panics, counts.hangs, counts.too_large], [0; 3], "{counts:?}");
    assert!(counts.ran > 0 && counts.refused > 0, "{counts:?}");
}
