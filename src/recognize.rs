//! Who a face is: an aligned crop in, a person or "unknown" out.

mod decision;
mod labels;

pub use decision::{Decision, OperatingPoint, Score};
pub use labels::Label;

use crate::engine::Model;
use crate::error::{Error, Result};
use crate::face::FaceCrop;
use crate::resample::resize;

/// Why a face is called unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody in the gallery is alike enough.
    BelowThreshold,
    /// Two people in the gallery are nearly equally alike.
    LowMargin,
    /// The face has too few pixels.
    TooSmall,
    /// The face is out of focus or in motion.
    Blurred,
    /// The face is in the dark.
    TooDark,
    /// The face is seen from the side.
    Profile,
}

/// What the network makes of a face. The mean over several pictures of a face is one too.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// One value for each person of the model.
    pub logits: Vec<f32>,
    /// A vector of length 1 that is alike for pictures of one person; empty where the model has
    /// none.
    pub embedding: Vec<f32>,
}

/// A person of the gallery and how well a face fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The person.
    pub label: Label,
    /// How alike the face is, in the unit of the model's score: a cosine, or a softmax share.
    pub similarity: f32,
    /// Estimated probability that this is the person, 0 to 1.
    pub confidence: f32,
}

/// What recognition says about one face.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The person, or why it is nobody known.
    pub name: std::result::Result<Label, Reason>,
    /// The best candidates, best first; empty where the face was too poor to be looked at.
    pub top: Vec<Candidate>,
    /// Difference of similarity between the best and the second candidate.
    pub margin: f32,
}

impl Identity {
    /// Nobody, without a look at the face.
    pub fn refused(reason: Reason) -> Self {
        Self { name: Err(reason), top: Vec::new(), margin: 0.0 }
    }

    /// The most similar person, whether it is named or not.
    pub fn best(&self) -> Option<&Candidate> {
        self.top.first()
    }

    /// Estimated probability that it is the most similar person, 0 where nobody was looked for.
    pub fn confidence(&self) -> f32 {
        self.best().map_or(0.0, |best| best.confidence)
    }
}

/// Recognizes faces with one model.
#[derive(Debug)]
pub struct Recognizer {
    model: Model,
    labels: Vec<Label>,
    decision: Decision,
    logits: usize,
    embedding: Option<usize>,
    top_k: usize,
}

impl Recognizer {
    /// Takes a model of the kind "recognizer" and keeps `top_k` candidates of each face.
    ///
    /// # Errors
    ///
    /// [`Error::Model`](crate::error::Error::Model) when its metadata and its outputs do not fit.
    pub fn new(model: Model, top_k: usize) -> Result<Self> {
        model.expect_kind("recognizer")?;
        let labels: Vec<Label> = model.json_property("labels")?;
        labels::check(&labels).map_err(|reason| model.wrong(reason))?;
        let decision: Decision = model.json_property("decision")?;
        decision.check().map_err(|reason| model.wrong(reason))?;
        let (logits, length) = model
            .output("logits")
            .ok_or_else(|| model.wrong("it has no output called `logits`".to_owned()))?;
        if length != labels.len() {
            return Err(model.wrong(format!(
                "it names {} people and has {length} outputs; export it again",
                labels.len()
            )));
        }
        let embedding = model.output("embedding").map(|(index, _)| index);
        Ok(Self { model, labels, decision, logits, embedding, top_k: top_k.max(1) })
    }

    /// Replaces the model's own threshold by `confidence`, 0 to 1.
    pub fn with_threshold(mut self, confidence: f32) -> Self {
        self.decision.threshold = confidence;
        self
    }

    /// Replaces the model's own threshold by the one of its curve at which strangers are named
    /// this rarely, as a share of their pictures.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the model's curve does not reach there.
    pub fn with_false_accepts(self, false_accepts: f32) -> Result<Self> {
        let threshold = self.decision.threshold_at(false_accepts).map_err(|reason| {
            Error::Config(format!(
                "--max-false-accepts {false_accepts} cannot be kept by the model {}: {reason}",
                self.model.origin()
            ))
        })?;
        Ok(self.with_threshold(threshold))
    }

    /// What the network makes of the crop.
    ///
    /// # Errors
    ///
    /// [`Error::Inference`](crate::error::Error::Inference) when the model fails.
    pub fn features(&self, crop: &FaceCrop) -> Result<Features> {
        let (height, width) = self.model.input_size();
        let mut outputs = if crop.rgb().dimensions() == (width, height) {
            self.model.run(crop.rgb())?
        } else {
            self.model.run(&resize(crop.rgb(), width, height))?
        };
        let logits = std::mem::take(&mut outputs[self.logits]);
        let embedding = self.embedding.map(|index| std::mem::take(&mut outputs[index]));
        Ok(Features { logits, embedding: embedding.unwrap_or_default() })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The people of the gallery.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The decision rule in force.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Says whose face has these features.
    pub fn identify(&self, features: &Features) -> Identity {
        let similarities = self.decision.similarities(&features.logits);
        let mut order: Vec<usize> = (0..similarities.len()).collect();
        order.sort_by(|&a, &b| similarities[b].total_cmp(&similarities[a]));
        let best = similarities[order[0]];
        let margin = order.get(1).map_or(best.abs(), |&second| best - similarities[second]);
        let top = order
            .iter()
            .take(self.top_k)
            .map(|&index| Candidate {
                label: self.labels[index].clone(),
                similarity: similarities[index],
                confidence: self.decision.confidence(similarities[index]),
            })
            .collect();
        let name = match self.decision.reject(best, margin) {
            None => Ok(self.labels[order[0]].clone()),
            Some(reason) => Err(reason),
        };
        Identity { name, top, margin }
    }
}
