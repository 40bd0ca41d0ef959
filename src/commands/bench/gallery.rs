//! The search for a face in a made-up gallery.

use std::io::Write;

use celebcam_engine::Settings;
use serde_json::json;

use super::Samples;
use crate::cli::{BenchArgs, Format};
use crate::defaults;
use crate::gallery::{Gallery, Person};
use crate::system::process::memory_bytes;

/// Length of the embeddings, that of the built-in recognizer's.
const EMBEDDING_LENGTH: usize = 128;

/// Prints how long the search among `people` takes, and how much memory they do.
pub fn bench(
    args: &BenchArgs,
    people: u32,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let before = memory_bytes("VmRSS");
    let mut numbers = Numbers(1);
    let gallery = made_up(people, &mut numbers);
    let memory = before.zip(memory_bytes("VmRSS")).map(|(before, now)| now.saturating_sub(before));
    let samples = Samples::measure(args.warmup, args.runs, || {
        // Another face each time: nothing of the last search helps.
        let found = gallery.search(settings, &numbers.embedding(), defaults::TOP_K);
        assert!(!found.is_empty(), "a made-up face has a direction");
        Ok(())
    })?;
    match args.format {
        Format::Json => {
            let mut json = json!({
                "gallery_people": people,
                "embedding": EMBEDDING_LENGTH,
                "isa": settings.isa().name(),
                "kernel": settings.search_kernel(),
                "runs": args.runs,
                "median_us": samples.quantile_us(0.5),
                "p95_us": samples.quantile_us(0.95),
                "min_us": samples.quantile_us(0.0),
                "gallery_memory_bytes": memory,
            });
            if args.samples {
                json["samples_us"] = json!(samples.all_us());
            }
            writeln!(out, "{json}")?;
        }
        Format::Text => {
            writeln!(out, "gallery      {people} people, {EMBEDDING_LENGTH} codes each")?;
            writeln!(out, "kernels      {}", settings.search_kernel())?;
            writeln!(out, "search       {}", samples.text())?;
            if let Some(bytes) = memory {
                writeln!(out, "memory       {:.1} MB", bytes as f64 / 1e6)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn made_up(people: u32, numbers: &mut Numbers) -> Gallery {
    let mut gallery = Gallery::new("made up", EMBEDDING_LENGTH, people as usize);
    for number in 0..people {
        let name = format!("Person Number {number}").into();
        // The names are distinct, which `add` would find out by comparing each with all.
        gallery.add_new(Person { name, pictures: 5, added_unix_s: 0 }, &numbers.embedding());
    }
    gallery
}

/// Reproducible numbers; Knuth's MMIX linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn embedding(&mut self) -> Vec<f32> {
        let next = |_| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..EMBEDDING_LENGTH).map(next).collect()
    }
}
