//! `celebcam bench`: how fast this machine runs the models.

mod gallery;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use celebcam_engine::{LayerTime, Settings};
use image::RgbImage;
use serde_json::{Value, json};

use crate::cli::{BenchArgs, Format};
use crate::detect::Search;
use crate::error::Result;
use crate::exit::Exit;
use crate::models::Model;
use crate::observe::Observe;
use crate::stages::ObserverSpec;
use crate::{models, picture, shown};

/// For how long the peak of the machine is measured.
const PEAK_TIME: Duration = Duration::from_millis(100);

/// Prints how long the models take.
///
/// # Errors
///
/// When a model cannot be used, and when the photo cannot be read.
pub fn execute(args: &BenchArgs) -> anyhow::Result<Exit> {
    let settings = models::settings(usize::from(args.threads))?;
    let mut out = io::stdout().lock();
    if let Some(people) = args.gallery {
        gallery::bench(args, people, &settings, &mut out)?;
        return Ok(Exit::Done);
    }
    if let Some(photo) = &args.photo {
        bench_photo(args, photo, &settings, &mut out)?;
        return Ok(Exit::Done);
    }
    let models = match &args.file {
        Some(path) => vec![Model::read(path, &settings)?],
        None => models::built_in(&settings)?,
    };
    for (index, model) in models.iter().enumerate() {
        let measurement = Measurement::measure(args, model, &settings)?;
        match args.format {
            Format::Json => {
                let json = measurement.to_json(args.samples).to_string();
                writeln!(out, "{}", shown::json(&json))?;
            }
            Format::Text => {
                if index > 0 {
                    writeln!(out)?;
                }
                measurement.print(&mut out)?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Durations of the same thing, shortest first.
struct Samples(Vec<Duration>);

impl Samples {
    fn measure(warmup: u32, runs: u32, mut work: impl FnMut() -> Result<()>) -> Result<Self> {
        for _ in 0..warmup {
            work()?;
        }
        let mut samples = Vec::with_capacity(runs as usize);
        for _ in 0..runs {
            let started = Instant::now();
            work()?;
            samples.push(started.elapsed());
        }
        samples.sort();
        Ok(Self(samples))
    }

    /// The duration that this share of all does not exceed.
    fn quantile_us(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }

    fn all_us(&self) -> Vec<f64> {
        self.0.iter().map(|time| time.as_secs_f64() * 1e6).collect()
    }

    fn text(&self) -> String {
        format!(
            "median {:.2} ms, 95 % within {:.2} ms, fastest {:.2} ms, of {} runs",
            self.quantile_us(0.5) / 1e3,
            self.quantile_us(0.95) / 1e3,
            self.quantile_us(0.0) / 1e3,
            self.0.len()
        )
    }
}

/// What was measured of a model.
struct Measurement<'a> {
    model: &'a Model,
    settings: &'a Settings,
    samples: Samples,
    peak_macs_per_s: Option<f64>,
    peak_memory_bytes: Option<u64>,
    layers: Vec<LayerTime>,
}

impl<'a> Measurement<'a> {
    fn measure(args: &BenchArgs, model: &'a Model, settings: &'a Settings) -> Result<Self> {
        let (height, width) = model.input_size();
        let image = picture::made_up(width, height);
        let mut outputs = vec![Vec::new(); model.output_names().len()];
        let samples =
            Samples::measure(args.warmup, args.runs, || Ok(model.run_into(&image, &mut outputs)?))?;
        let layers =
            if args.layers { fastest_layers(model, &image, args.runs)? } else { Vec::new() };
        let peak_memory_bytes = peak_memory_bytes();
        let peak_macs_per_s = if args.no_peak {
            None
        } else {
            Some(settings.peak_macs_per_s(PEAK_TIME) * settings.threads() as f64)
        };
        Ok(Self { model, settings, samples, peak_macs_per_s, peak_memory_bytes, layers })
    }

    fn macs(&self) -> Option<u64> {
        self.model.macs()
    }

    fn macs_per_s(&self) -> Option<f64> {
        Some(self.macs()? as f64 / (self.samples.quantile_us(0.5) / 1e6))
    }

    fn to_json(&self, samples: bool) -> Value {
        let (height, width) = self.model.input_size();
        let mut json = json!({
            "model": self.model.origin(),
            "input_px": [height, width],
            "isa": self.settings.isa().name(),
            "kernels": self.model.kernel_names(),
            "threads": self.settings.threads(),
            "runs": self.samples.0.len(),
            "median_us": self.samples.quantile_us(0.5),
            "p95_us": self.samples.quantile_us(0.95),
            "min_us": self.samples.quantile_us(0.0),
            "macs": self.macs(),
            "macs_per_s": self.macs_per_s(),
            "peak_macs_per_s": self.peak_macs_per_s,
            "peak_memory_bytes": self.peak_memory_bytes,
        });
        if samples {
            json["samples_us"] = json!(self.samples.all_us());
        }
        if !self.layers.is_empty() {
            let layer = |layer: &LayerTime| json!({"name": layer.name, "macs": layer.macs, "us": layer.time.as_secs_f64() * 1e6});
            json["layers"] = self.layers.iter().map(layer).collect();
        }
        json
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (height, width) = self.model.input_size();
        let origin = shown::line(self.model.origin());
        writeln!(out, "model        {origin}, {width}x{height}")?;
        match self.model.kernel_names() {
            Some(names) => writeln!(out, "kernels      {}", names.join(", "))?,
            None => writeln!(out, "kernels      tract's, for parts of the graph at least")?,
        }
        writeln!(out, "threads      {}", self.settings.threads())?;
        writeln!(out, "time         {}", self.samples.text())?;
        if let (Some(macs), Some(rate)) = (self.macs(), self.macs_per_s()) {
            let share = self.peak_macs_per_s.map_or_else(String::new, |peak| {
                format!(
                    ": {:.0} % of what this machine reaches from its cache",
                    100.0 * rate / peak
                )
            });
            let millions = macs as f64 / 1e6;
            let rate = rate / 1e9;
            writeln!(
                out,
                "work         {millions:.0} M multiplications, {rate:.1} G a second{share}"
            )?;
        }
        if let Some(bytes) = self.peak_memory_bytes {
            writeln!(out, "peak memory  {:.1} MB", bytes as f64 / 1e6)?;
        }
        self.print_layers(out)
    }

    fn print_layers(&self, out: &mut impl Write) -> io::Result<()> {
        let total: Duration = self.layers.iter().map(|layer| layer.time).sum();
        if total.is_zero() {
            return Ok(());
        }
        writeln!(out, "\n      us  share  GMAC/s  layer")?;
        for layer in &self.layers {
            let seconds = layer.time.as_secs_f64();
            let share = 100.0 * seconds / total.as_secs_f64();
            let rate = match layer.macs {
                0 => String::new(),
                macs => format!("{:.1}", macs as f64 / seconds.max(1e-9) / 1e9),
            };
            let (us, name) = (seconds * 1e6, shown::line(&layer.name));
            writeln!(out, "{us:8.1} {share:4.1} % {rate:>7}  {name}")?;
        }
        Ok(())
    }
}

/// The shortest time of each layer.
fn fastest_layers(model: &Model, image: &RgbImage, runs: u32) -> Result<Vec<LayerTime>> {
    let mut fastest: Vec<LayerTime> = Vec::new();
    for _ in 0..runs {
        let Some(times) = model.run_timed(image)? else { break };
        if fastest.is_empty() {
            fastest = times;
            continue;
        }
        for (fastest, layer) in fastest.iter_mut().zip(times) {
            fastest.time = fastest.time.min(layer.time);
        }
    }
    Ok(fastest)
}

/// From a decoded photo to names, with the built-in models.
fn bench_photo(
    args: &BenchArgs,
    path: &Path,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let reader = picture::Reader::new(picture::Limits::PHOTO);
    let rgb = reader.read(path)?.rgb;
    let observer = ObserverSpec::default().load(Search::Whole, settings)?;
    let mut faces = 0;
    let samples = Samples::measure(args.warmup, args.runs, || {
        faces = observer.observe(&rgb, 1)?.len();
        Ok(())
    })?;
    let times = observer.times();
    let stages = [("detect", times.detect), ("align", times.align), ("recognize", times.recognize)];
    match args.format {
        Format::Json => {
            let stages: serde_json::Map<_, _> = stages
                .iter()
                .map(|(name, timing)| ((*name).to_owned(), json!(timing.mean_ms() * 1e3)))
                .collect();
            let mut json = json!({
                "photo": path.display().to_string(),
                "photo_px": [rgb.height(), rgb.width()],
                "faces": faces,
                "isa": settings.isa().name(),
                "threads": settings.threads(),
                "runs": args.runs,
                "median_us": samples.quantile_us(0.5),
                "p95_us": samples.quantile_us(0.95),
                "min_us": samples.quantile_us(0.0),
                "mean_us": stages,
                "peak_memory_bytes": peak_memory_bytes(),
            });
            if args.samples {
                json["samples_us"] = json!(samples.all_us());
            }
            writeln!(out, "{}", shown::json(&json.to_string()))?;
        }
        Format::Text => {
            writeln!(
                out,
                "photo        {}, {}x{}, faces: {faces}",
                shown::line(path.display()),
                rgb.width(),
                rgb.height()
            )?;
            writeln!(out, "kernels      {}, {} threads", settings.isa(), settings.threads())?;
            writeln!(out, "to names     {}", samples.text())?;
            for (name, timing) in stages {
                writeln!(out, "{name:<12} mean {:.2} ms", timing.mean_ms())?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// The most memory that the process ever had resident; `None` where the system does not say.
fn peak_memory_bytes() -> Option<u64> {
    crate::system::process::memory_bytes("VmHWM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_sorted_samples() {
        let samples = Samples((1..=101).map(Duration::from_micros).collect());
        assert_eq!(samples.quantile_us(0.0), 1.0);
        assert_eq!(samples.quantile_us(0.5), 51.0);
        assert_eq!(samples.quantile_us(0.95), 96.0);
        assert_eq!(Samples(Vec::new()).quantile_us(0.5), 0.0);
    }
}
