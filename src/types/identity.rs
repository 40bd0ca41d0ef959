//! Who a face is: a person, or nobody known and why.

/// A person who can be recognized: one of the model's own, or one who was added.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
pub struct Label {
    /// The name as people write it.
    pub name: String,
    /// A short name for programs, such as `jennifer-aniston`.
    pub id: String,
    /// A page about the person; may be empty.
    #[serde(default)]
    pub url: String,
}

/// Why a face is called unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody who is known is alike enough.
    BelowThreshold,
    /// Two people who are known are nearly equally alike.
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

impl Reason {
    /// The reason as events and JSON write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BelowThreshold => "below_threshold",
            Self::LowMargin => "low_margin",
            Self::TooSmall => "too_small",
            Self::Blurred => "blurred",
            Self::TooDark => "too_dark",
            Self::Profile => "profile",
        }
    }
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

/// A person who is known and how well a face fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The person.
    pub label: Label,
    /// How alike the face is, in the measure of the model: a cosine, or a softmax share.
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

/// Says whose face has certain features.
pub trait Judge {
    /// Who it is, by one picture or by the mean of several.
    fn judge(&self, features: &Features) -> Identity;

    /// Confidence down to which a name is kept that was gained with more.
    fn keep_confidence(&self) -> f32;
}
