//! Who a face is: an aligned crop in, a person or "unknown" out.

mod decision;
mod impostors;
mod labels;

pub use decision::{Decision, Demand, Enrolled, OperatingPoint, Rule, Score};
pub use impostors::{ImpostorPoint, Impostors};

use std::sync::Arc;

use celebcam_engine::int8::kernels::Kernels;

use crate::gallery::Gallery;
use crate::gallery::live::SharedGallery;
use crate::gallery::store::ModelKey;
use crate::models::{Model, Result};
use crate::picture::resample::resize;
use crate::types::face::FaceCrop;
use crate::types::identity::{Candidate, Features, Identity, Judge, Label};

/// Recognizes faces with one model.
#[derive(Debug)]
pub struct Recognizer {
    model: Model,
    labels: Vec<Label>,
    decision: Decision,
    demand: Demand,
    logits: usize,
    embedding: Option<(usize, usize)>,
    top_k: usize,
    gallery: Arc<SharedGallery>,
}

/// Somebody who can be recognized, by number.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// One of the model's own people.
    Own(usize),
    /// One of the gallery.
    Added(usize),
}

/// A rate of false accepts that a model cannot keep, because it does not know rates so high or so low.
#[derive(Debug, thiserror::Error)]
#[error("--max-false-accepts {rate} cannot be kept by the model {origin}: {reason}")]
pub struct UnknownRate {
    rate: f32,
    origin: String,
    reason: String,
}

impl Recognizer {
    /// Takes a model of the kind "recognizer" and keeps `top_k` candidates of each face.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`](crate::models::Error::Unusable) when its metadata and its outputs do not fit.
    pub fn new(model: Model, top_k: usize) -> Result<Self> {
        model.expect_kind("recognizer")?;
        let labels: Vec<Label> = model.json_property("labels")?;
        labels::check(&labels).map_err(|reason| model.wrong(reason))?;
        let decision: Decision = model.json_property("decision")?;
        decision.check().map_err(|reason| model.wrong(reason))?;
        let decision = decision.with_enrolled();
        let (logits, length) = model
            .output("logits")
            .ok_or_else(|| model.wrong("it has no output called `logits`".to_owned()))?;
        if length != labels.len() {
            return Err(model.wrong(format!(
                "it names {} people and has {length} outputs; export it again",
                labels.len()
            )));
        }
        let embedding = model.output("embedding");
        let top_k = top_k.max(1);
        let gallery = Arc::new(SharedGallery::new(Gallery::new(model.fingerprint(), 0, 0)));
        let demand = Demand::Model;
        Ok(Self { model, labels, decision, demand, logits, embedding, top_k, gallery })
    }

    /// Recognizes the people of a gallery as well, which was made for this model; see
    /// [`model_key`](Self::model_key).
    pub fn with_gallery(mut self, gallery: Arc<SharedGallery>) -> Self {
        self.gallery = gallery;
        self
    }

    /// Which galleries are for this model.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`](crate::models::Error::Unusable) when it is a model to which nobody can be added.
    pub fn model_key(&self) -> Result<ModelKey> {
        let (Some((_, embedding_length)), Some(_)) = (self.embedding, self.decision.enrolled)
        else {
            return Err(self.model.wrong(
                "nobody can be added to it, because it has no embedding of faces or no measure for \
                 it; train one with the default preset"
                    .to_owned(),
            ));
        };
        Ok(ModelKey { fingerprint: self.model.fingerprint().to_owned(), embedding_length })
    }

    /// Replaces what the model's own threshold keeps.
    ///
    /// # Errors
    ///
    /// When the model does not know rates of false accepts so high or so low.
    pub fn with_demand(mut self, demand: Demand) -> Result<Self, UnknownRate> {
        self.decision.check_demand(demand, self.labels.len()).map_err(|reason| {
            let rate = match demand {
                Demand::FalseAccepts(rate) => rate,
                Demand::Model | Demand::Confidence(_) => self.decision.false_accepts,
            };
            UnknownRate { rate, origin: self.model.origin().to_owned(), reason }
        })?;
        self.demand = demand;
        Ok(self)
    }

    /// When a face is given a name, with the people of a gallery beside the model's own.
    pub fn rule(&self, gallery: &Gallery) -> Rule {
        self.rule_among(self.labels.len() + gallery.people().len())
    }

    /// When a face is given a name among so many people.
    pub fn rule_among(&self, people: usize) -> Rule {
        self.decision.rule(self.demand, people)
    }

    /// What the network makes of the crop.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when the model fails.
    pub fn features(&self, crop: &FaceCrop) -> Result<Features> {
        let (height, width) = self.model.input_size();
        let mut outputs = if crop.rgb().dimensions() == (width, height) {
            self.model.run(crop.rgb())?
        } else {
            self.model.run(&resize(crop.rgb(), width, height))?
        };
        let logits = std::mem::take(&mut outputs[self.logits]);
        let embedding = self.embedding.map(|(index, _)| std::mem::take(&mut outputs[index]));
        Ok(Features { logits, embedding: embedding.unwrap_or_default() })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model's own people.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// What the model says of its decisions.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Says whose face has these features.
    pub fn identify(&self, features: &Features) -> Identity {
        self.identify_in(&self.gallery.get(), features)
    }

    /// As [`identify`](Self::identify), with another gallery in place of its own.
    pub fn identify_in(&self, gallery: &Gallery, features: &Features) -> Identity {
        let rule = self.rule(gallery);
        let mut found = self.similarities(gallery, features);
        found.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let (_, best) = found[0];
        let margin = found.get(1).map_or(best.abs(), |(_, second)| best - second);
        let label = |known| match known {
            Known::Added(person) => gallery.label(person),
            Known::Own(index) => self.labels[index].clone(),
        };
        let candidate = |&(known, similarity)| Candidate {
            label: label(known),
            similarity,
            confidence: rule.confidence(similarity),
        };
        let top: Vec<Candidate> = found.iter().take(self.top_k).map(candidate).collect();
        let name = match rule.reject(best, margin) {
            None => Ok(top[0].label.clone()),
            Some(reason) => Err(reason),
        };
        Identity { name, top, margin }
    }

    /// How alike the face is to each of the model's own people, and to the best of the gallery.
    fn similarities(&self, gallery: &Gallery, features: &Features) -> Vec<(Known, f32)> {
        let own = self.decision.similarities(&features.logits).into_iter().enumerate();
        let mut found: Vec<_> = own.map(|(index, value)| (Known::Own(index), value)).collect();
        if let (Some(Enrolled { scale, offset }), Some(kernels)) =
            (self.decision.enrolled, Kernels::of(self.model.isa()))
        {
            // The margin needs the second, whether it is shown or not.
            let matches = gallery.search(kernels, &features.embedding, self.top_k.max(2));
            let added = matches.into_iter();
            found.extend(
                added.map(|found| (Known::Added(found.person), scale * found.cosine + offset)),
            );
        }
        found
    }
}

impl Judge for Recognizer {
    fn judge(&self, features: &Features) -> Identity {
        self.identify(features)
    }

    fn keep_confidence(&self) -> f32 {
        self.rule(&self.gallery.get()).keep_threshold()
    }
}
