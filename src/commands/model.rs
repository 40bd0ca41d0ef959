//! `celebcam model`: shows what is inside a model file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::align::Aligner;
use crate::cli::{Format, ModelArgs};
use crate::detect::Detector;
use crate::exit::Exit;
use crate::models::{self, Model};
use crate::recognize::Recognizer;
use crate::shown;

/// Numbers of people, with those who are added, for which the threshold is shown.
const LARGER_GALLERIES: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// Prints people, thresholds, metrics, training data and licence of a model file, or of the
/// models built in.
///
/// # Errors
///
/// [`Error::Model`](crate::error::Error::Model) when the file is not a model that celebcam runs.
pub fn execute(args: &ModelArgs) -> anyhow::Result<Exit> {
    let settings = models::settings(1)?;
    let models = match &args.file {
        Some(path) => vec![Model::read(path, &settings)?],
        None => models::built_in(&settings)?,
    };
    let mut out = io::stdout().lock();
    for (index, model) in models.into_iter().enumerate() {
        let content = Content::read(model)?;
        match args.format {
            Format::Json => {
                writeln!(out, "{}", shown::json(&content.to_json().to_string()))?;
            }
            Format::Text => {
                if index > 0 {
                    writeln!(out)?;
                }
                content.print(&mut out)?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// A model that passed the checks of its kind.
enum Content {
    Recognizer(Recognizer),
    Detector(Detector),
    Aligner(Aligner),
}

impl Content {
    fn read(model: Model) -> crate::error::Result<Self> {
        match model.property("kind") {
            Some("detector") => Ok(Self::Detector(Detector::new(model)?)),
            Some("aligner") => Ok(Self::Aligner(Aligner::new(model)?)),
            _ => Ok(Self::Recognizer(Recognizer::new(model, 1)?)),
        }
    }

    fn model(&self) -> &Model {
        match self {
            Self::Recognizer(recognizer) => recognizer.model(),
            Self::Detector(detector) => detector.model(),
            Self::Aligner(aligner) => aligner.model(),
        }
    }

    fn to_json(&self) -> Value {
        let model = self.model();
        let (height, width) = model.input_size();
        let outputs: BTreeMap<_, _> =
            model.output_names().iter().zip(model.output_lengths()).collect();
        let mut json = json!({
            "origin": model.origin(),
            "fingerprint": model.fingerprint(),
            "size_bytes": model.size_bytes(),
            "kind": model.property("kind"),
            "input": [1, height, width, 3],
            "outputs": outputs,
            "training": parsed(model, "training"),
            "metrics": parsed(model, "metrics"),
            "source": model.property("source"),
            "license": model.property("license"),
            "trainer": model.property("trainer"),
            "created": model.property("created"),
        });
        if let Self::Recognizer(recognizer) = self {
            json["labels"] = json!(recognizer.labels());
            json["decision"] = json!(recognizer.decision());
            json["rule"] = json!(recognizer.rule_among(recognizer.labels().len()));
        }
        json
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let model = self.model();
        let (height, width) = model.input_size();
        let size = model.size_bytes() as f64 / 1e6;
        line(out, "model", model.origin())?;
        line(out, "kind", model.property("kind").unwrap_or_default())?;
        line(out, "fingerprint", model.fingerprint())?;
        line(out, "size", &format!("{size:.2} MB"))?;
        line(out, "input", &format!("{width}x{height} RGB"))?;
        if let Self::Recognizer(recognizer) = self {
            print_people(out, recognizer)?;
            print_decision(out, recognizer)?;
        }
        for key in ["training", "metrics"] {
            print_entries(out, key, &parsed(model, key))?;
        }
        for (title, key) in [
            ("source", "source"),
            ("licence", "license"),
            ("trainer", "trainer"),
            ("created", "created"),
        ] {
            line(out, title, model.property(key).unwrap_or("not stated"))?;
        }
        Ok(())
    }
}

fn print_people(out: &mut impl Write, recognizer: &Recognizer) -> io::Result<()> {
    let names: Vec<_> = recognizer.labels().iter().map(|label| label.name.as_str()).collect();
    line(out, "people", &format!("{}: {}", names.len(), names.join(", ")))
}

fn print_decision(out: &mut impl Write, recognizer: &Recognizer) -> io::Result<()> {
    let decision = recognizer.decision();
    let own = recognizer.labels().len();
    line(out, "threshold", &recognizer.rule_among(own).to_string())?;
    if decision.impostors.is_some() {
        for people in LARGER_GALLERIES.into_iter().filter(|&people| people > own) {
            line(out, "", &recognizer.rule_among(people).to_string())?;
        }
    }
    line(out, "calibration", &decision.calibration)?;
    for point in &decision.curve {
        let text = format!(
            "{:.2} % of strangers named, {:.1} % of known faces named, at confidence {:.3}",
            point.false_accepts * 100.0,
            point.true_accepts * 100.0,
            point.threshold
        );
        line(out, "", &text)?;
    }
    Ok(())
}

fn print_entries(out: &mut impl Write, title: &str, value: &Value) -> io::Result<()> {
    let Value::Object(entries) = value else { return line(out, title, "not stated") };
    for (index, (key, value)) in entries.iter().enumerate() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        line(out, if index == 0 { title } else { "" }, &format!("{key}: {text}"))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, title: &str, text: &str) -> io::Result<()> {
    shown::write_line(out, format_args!("{title:<12} {text}"))
}

fn parsed(model: &Model, key: &str) -> Value {
    model.property(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}
