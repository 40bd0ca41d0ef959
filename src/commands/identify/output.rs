//! What `identify` prints: lines for people, JSON lines for programs.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::cli::Format;
use crate::event::{Guess, whole_pixels};
use crate::recognize::Recognizer;
use crate::shown;
use crate::types::decimals::{four_decimals, four_decimals_if_any};
use crate::types::face::Face;
use crate::types::identity::{Identity, Reason};
use crate::types::observation::Observation;
use crate::types::observation::Quality;

/// Version of the JSON lines.
const SCHEMA: u32 = 1;

/// A face and who it is; a picture that is an aligned face has no place in a photo.
pub struct Finding {
    pub face: Option<Face>,
    pub quality: Quality,
    pub identity: Identity,
}

impl From<Observation> for Finding {
    fn from(observation: Observation) -> Self {
        let Observation { face, quality, identity, .. } = observation;
        Self { face: Some(face), quality, identity }
    }
}

impl Finding {
    /// The same in a picture that is `factor` times as large, each way.
    pub fn scaled(mut self, factor: f32) -> Self {
        if let Some(face) = &mut self.face {
            face.bounds = face.bounds.scaled(factor);
        }
        self
    }
}

/// Prints findings in one format.
pub struct Printer {
    format: Format,
    /// Candidates to print in text.
    shown: usize,
    model: String,
}

impl Printer {
    pub fn new(format: Format, shown: usize, recognizer: &Recognizer) -> Self {
        Self { format, shown, model: recognizer.model().fingerprint().to_owned() }
    }

    pub fn print(&self, out: &mut impl Write, path: &Path, findings: &[Finding]) -> io::Result<()> {
        match self.format {
            Format::Text => self.print_text(out, path, findings),
            Format::Json => self.print_json(out, path, findings),
        }
    }

    fn print_text(
        &self,
        out: &mut impl Write,
        path: &Path,
        findings: &[Finding],
    ) -> io::Result<()> {
        if findings.is_empty() {
            return shown::write_line(out, format_args!("{}: no face found", path.display()));
        }
        for (index, finding) in findings.iter().enumerate() {
            let mut line = format!("{}: ", path.display());
            if findings.len() > 1 {
                line += &format!("face {} of {}: ", index + 1, findings.len());
            }
            shown::write_line(out, line + &describe(finding, self.shown))?;
        }
        Ok(())
    }

    fn print_json(
        &self,
        out: &mut impl Write,
        path: &Path,
        findings: &[Finding],
    ) -> io::Result<()> {
        for (index, finding) in findings.iter().enumerate() {
            let line = FaceLine::new(path, index, findings.len(), finding, &self.model);
            writeln!(out, "{}", shown::json(&serde_json::to_string(&line)?))?;
        }
        Ok(())
    }
}

/// `Jennifer Aniston 93 %, box 812,120 96x128`
fn describe(finding: &Finding, shown: usize) -> String {
    let identity = &finding.identity;
    let nearest = identity.best().map_or("", |best| best.label.name.as_str());
    let confidence = percent(identity.confidence());
    let mut text = match &identity.name {
        Ok(label) => format!("{} {confidence}", label.name),
        Err(Reason::BelowThreshold) => format!("unknown (nearest {nearest} {confidence})"),
        Err(Reason::LowMargin) => format!("unknown (too close to call, nearest {nearest})"),
        Err(Reason::TooSmall) => "unknown (too small)".to_owned(),
        Err(Reason::Blurred) => "unknown (too blurred)".to_owned(),
        Err(Reason::TooDark) => "unknown (too dark)".to_owned(),
        Err(Reason::Profile) => "unknown (seen from the side)".to_owned(),
    };
    if let Some(face) = &finding.face {
        let [x, y, width, height] = whole_pixels(&face.bounds);
        text += &format!(", box {x},{y} {width}x{height}");
    }
    if shown > 0 {
        let candidates: Vec<_> = finding
            .identity
            .top
            .iter()
            .take(shown)
            .map(|candidate| format!("{} {}", candidate.label.name, percent(candidate.confidence)))
            .collect();
        text += &format!("; candidates: {}", candidates.join(", "));
    }
    text
}

fn percent(share: f32) -> String {
    format!("{:.0} %", share * 100.0)
}

/// One line of JSON.
#[derive(Serialize)]
struct FaceLine<'a> {
    schema: u32,
    file: String,
    face: usize,
    faces: usize,
    name: Option<&'a str>,
    id: Option<&'a str>,
    #[serde(serialize_with = "four_decimals")]
    confidence: f32,
    #[serde(serialize_with = "four_decimals")]
    margin: f32,
    reason: Option<Reason>,
    top: Vec<Guess>,
    #[serde(rename = "box")]
    bounds: Option<[i32; 4]>,
    #[serde(serialize_with = "four_decimals_if_any")]
    detection_confidence: Option<f32>,
    quality: Quality,
    model: &'a str,
}

impl<'a> FaceLine<'a> {
    fn new(path: &Path, index: usize, faces: usize, finding: &'a Finding, model: &'a str) -> Self {
        let identity = &finding.identity;
        let label = identity.name.as_ref().ok();
        Self {
            schema: SCHEMA,
            file: path.display().to_string(),
            face: index + 1,
            faces,
            name: label.map(|label| label.name.as_str()),
            id: label.map(|label| label.id.as_str()),
            confidence: identity.confidence(),
            margin: identity.margin,
            reason: identity.name.as_ref().err().copied(),
            top: identity.top.iter().map(Guess::from).collect(),
            bounds: finding.face.map(|face| whole_pixels(&face.bounds)),
            detection_confidence: finding.face.map(|face| face.detection_confidence),
            quality: finding.quality,
            model,
        }
    }
}

/// Counts over all pictures.
#[derive(Default)]
pub struct Summary {
    pictures: usize,
    without_face: usize,
    faces: usize,
    named: usize,
    unreadable: usize,
}

impl Summary {
    pub fn add(&mut self, findings: &[Finding]) {
        self.pictures += 1;
        self.without_face += usize::from(findings.is_empty());
        self.faces += findings.len();
        self.named += findings.iter().filter(|finding| finding.identity.name.is_ok()).count();
    }

    pub fn add_unreadable(&mut self) {
        self.pictures += 1;
        self.unreadable += 1;
    }

    pub fn unreadable(&self) -> usize {
        self.unreadable
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "pictures: {} ({} without a face, {} unreadable); faces: {} ({} named, {} unknown)",
            self.pictures,
            self.without_face,
            self.unreadable,
            self.faces,
            self.named,
            self.faces - self.named
        )
    }
}
