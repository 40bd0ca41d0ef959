//! When a face is given a name: the open-set rule that a model carries.

use std::fmt;

use super::impostors::Impostors;
use crate::defaults;
use crate::shown::count;
use crate::types::identity::Reason;

/// What the model's logits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// A similarity to each person, in [-1, 1].
    Cosine,
    /// The inputs of a softmax over the people.
    Softmax,
}

/// One point of the curve of false accepts against true accepts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct OperatingPoint {
    /// Share of strangers' pictures that are given a name.
    pub false_accepts: f32,
    /// The confidence that gives it.
    pub threshold: f32,
    /// Share of known people's pictures that are given their own name.
    pub true_accepts: f32,
}

/// How a person who was added is judged on the scale of the model's own people: the similarity is
/// `scale * cosine + offset`, of the cosine to the person's mean embedding.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Enrolled {
    /// Similarity for a unit of cosine; above 0.
    pub scale: f32,
    /// Similarity at a cosine of 0.
    pub offset: f32,
}

/// The rule, as the trainer calibrated it.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Decision {
    /// What the logits are.
    pub score: Score,
    /// Confidence is the logistic function of `slope * similarity + intercept`.
    pub slope: f32,
    /// See `slope`.
    pub intercept: f32,
    /// A face is named from this confidence on.
    pub threshold: f32,
    /// A face is named only when the best person leads the second by this much similarity.
    pub margin: f32,
    /// How and on whom the thresholds were set.
    pub calibration: String,
    /// Other thresholds to choose from.
    #[serde(default)]
    pub curve: Vec<OperatingPoint>,
    /// How people who were added are judged; `None` where nobody can be added.
    #[serde(default)]
    pub enrolled: Option<Enrolled>,
    /// How alike strangers are to one person. With it, the threshold and the confidence follow the
    /// number of people who are known, and `slope` and `intercept` are those for one person; without
    /// it they are what the file says, whoever is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impostors: Option<Impostors>,
    /// The share of strangers' faces that the threshold was set for, where `impostors` are known.
    #[serde(default = "default_false_accepts")]
    pub false_accepts: f32,
}

fn default_false_accepts() -> f32 {
    defaults::FALSE_ACCEPTS
}

/// What a threshold has to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Demand {
    /// What the model was made for.
    Model,
    /// At most this share of strangers' faces get a name.
    FalseAccepts(f32),
    /// A face has a name from this confidence on.
    Confidence(f32),
}

/// When a face is given a name among a certain number of people.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rule {
    /// How many people are known.
    pub people: usize,
    /// A face is named from this similarity on.
    pub similarity: f32,
    /// The confidence at this similarity.
    pub threshold: f32,
    /// A face is named only when the best person leads the second by this much similarity.
    pub margin: f32,
    /// Share of strangers' faces that get a name, where the model knows.
    pub false_accepts: Option<f64>,
    /// Confidence is the logistic function of `slope * similarity + intercept`.
    slope: f32,
    intercept: f32,
}

/// From when on a face is named, and what that promises.
impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "among {}: named from confidence {:.3} (similarity {:.3}) and a lead of {:.3} on",
            count(self.people, "person", "people"),
            self.threshold,
            self.similarity,
            self.margin
        )?;
        match self.false_accepts {
            Some(share) => {
                write!(formatter, "; {:.2} % of strangers' faces get a name", share * 100.0)
            }
            None => Ok(()),
        }
    }
}

impl Rule {
    /// Estimated probability that a face with this similarity is the person, 0 to 1.
    pub fn confidence(&self, similarity: f32) -> f32 {
        logistic(self.slope * similarity + self.intercept)
    }

    /// Confidence down to which a name is kept that was gained at the threshold.
    pub(super) fn keep_threshold(&self) -> f32 {
        let odds = self.threshold / (1.0 - self.threshold) * (-defaults::KEEP_LOG_ODDS).exp();
        if odds.is_finite() { odds / (1.0 + odds) } else { self.threshold }
    }

    /// Why a face with these values gets no name; `None` if it gets one. A value that is not a
    /// number never gets one.
    pub(super) fn reject(&self, similarity: f32, margin: f32) -> Option<Reason> {
        // Comparisons with a value that is not a number are false.
        let alike = similarity >= self.similarity;
        let leading = margin >= self.margin;
        match (alike, leading) {
            (true, true) => None,
            (false, _) => Some(Reason::BelowThreshold),
            (true, false) => Some(Reason::LowMargin),
        }
    }
}

impl Decision {
    /// Checks the ranges of the numbers.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.slope.is_finite() && self.slope > 0.0 && self.intercept.is_finite()) {
            return Err("its confidence is not a rising function of the similarity".to_owned());
        }
        if !(0.0..=1.0).contains(&self.threshold) || self.margin.is_nan() || self.margin < 0.0 {
            return Err("its threshold or margin is out of range".to_owned());
        }
        let is_point = |point: &OperatingPoint| {
            point.false_accepts > 0.0
                && [point.false_accepts, point.threshold]
                    .iter()
                    .all(|share| (0.0..=1.0).contains(share))
        };
        if !self.curve.iter().all(is_point) || !(0.0..1.0).contains(&self.false_accepts) {
            return Err("its curve of false accepts is out of range".to_owned());
        }
        self.impostors.as_ref().map_or(Ok(()), Impostors::check)?;
        match self.enrolled {
            Some(Enrolled { scale, offset })
                if !(scale.is_finite() && scale > 0.0 && offset.is_finite()) =>
            {
                Err("its similarity to people who are added is no rising function".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Says how people who were added are judged where the model does not, by its threshold; see
    /// [`defaults::ENROLLED_COSINE`]. Shares of a softmax say how the model's own people compare, and
    /// nothing of others.
    pub(super) fn with_enrolled(mut self) -> Self {
        if self.enrolled.is_none() && self.score == Score::Cosine {
            let odds = self.threshold / (1.0 - self.threshold);
            let threshold = (odds.ln() - self.intercept) / self.slope;
            let scale = defaults::ENROLLED_SCALE;
            let offset = threshold - scale * defaults::ENROLLED_COSINE;
            self.enrolled = offset.is_finite().then_some(Enrolled { scale, offset });
        }
        self
    }

    /// Checks that the model can keep this among so many people.
    ///
    /// # Errors
    ///
    /// The range of rates that it knows, when a rate lies outside of it.
    pub(super) fn check_demand(&self, demand: Demand, people: usize) -> Result<(), String> {
        let Demand::FalseAccepts(rate) = demand else { return Ok(()) };
        let Some(impostors) = &self.impostors else { return self.threshold_at(rate).map(drop) };
        let (lowest, highest) = impostors.rates(people);
        if (lowest..=highest).contains(&f64::from(rate)) {
            return Ok(());
        }
        Err(format!("for {people} people its rates go from {lowest:.1e} to {highest:.2}"))
    }

    /// The rule among so many people, the model's own and those who were added.
    pub fn rule(&self, demand: Demand, people: usize) -> Rule {
        let known = self.impostors.as_ref();
        // One more person is one more whom a stranger's face may be taken for.
        let intercept = match known {
            Some(_) => self.intercept - (people.max(1) as f32).ln(),
            None => self.intercept,
        };
        let similarity_at =
            |confidence: f32| ((confidence / (1.0 - confidence)).ln() - intercept) / self.slope;
        let similarity = match (demand, known) {
            (Demand::Confidence(confidence), _) => similarity_at(confidence),
            (Demand::FalseAccepts(rate), Some(impostors)) => {
                impostors.similarity_for(f64::from(rate), people)
            }
            (Demand::Model, Some(impostors)) => {
                impostors.similarity_for(f64::from(self.false_accepts), people)
            }
            (Demand::FalseAccepts(rate), None) => {
                similarity_at(self.threshold_at(rate).unwrap_or(self.threshold))
            }
            (Demand::Model, None) => similarity_at(self.threshold),
        };
        let threshold = match demand {
            Demand::Confidence(confidence) => confidence,
            Demand::Model | Demand::FalseAccepts(_) => {
                logistic(self.slope * similarity + intercept)
            }
        };
        let false_accepts = known.map(|impostors| impostors.false_accepts(similarity, people));
        let (slope, margin) = (self.slope, self.margin);
        Rule { people, similarity, threshold, margin, false_accepts, slope, intercept }
    }

    /// The confidence from which on a face has to be named for strangers to be named this rarely:
    /// read off the curve, between its points along straight lines over the logarithm of the rate.
    ///
    /// # Errors
    ///
    /// The range of the curve, when the rate lies outside of it or there is no curve.
    pub(super) fn threshold_at(&self, false_accepts: f32) -> Result<f32, String> {
        let mut points = self.curve.clone();
        points.sort_by(|a, b| a.false_accepts.total_cmp(&b.false_accepts));
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err("it carries no curve of false accepts; calibrate it again".to_owned());
        };
        let pair = points
            .windows(2)
            .find(|pair| (pair[0].false_accepts..=pair[1].false_accepts).contains(&false_accepts));
        match pair {
            Some([low, high]) => {
                let step = (high.false_accepts / low.false_accepts).ln();
                let share = (false_accepts / low.false_accepts).ln() / step;
                Ok(low.threshold + share * (high.threshold - low.threshold))
            }
            _ if false_accepts == first.false_accepts => Ok(first.threshold),
            _ => Err(format!(
                "its rates of false accepts go from {} to {}",
                first.false_accepts, last.false_accepts
            )),
        }
    }

    /// The similarity to each person.
    pub(super) fn similarities(&self, logits: &[f32]) -> Vec<f32> {
        match self.score {
            Score::Cosine => logits.to_vec(),
            Score::Softmax => softmax(logits),
        }
    }
}

fn logistic(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.iter().map(|exponential| exponential / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::super::impostors::tests::impostors;
    use super::*;

    fn decision() -> Decision {
        Decision {
            score: Score::Cosine,
            slope: 10.0,
            intercept: -5.0,
            threshold: 0.5,
            margin: 0.1,
            calibration: String::new(),
            curve: Vec::new(),
            enrolled: None,
            impostors: None,
            false_accepts: 0.001,
        }
    }

    fn rule() -> Rule {
        decision().rule(Demand::Model, 1)
    }

    #[test]
    fn a_name_needs_similarity_and_margin() {
        assert_eq!(rule().reject(0.6, 0.2), None);
        assert_eq!(rule().reject(0.4, 0.2), Some(Reason::BelowThreshold));
        assert_eq!(rule().reject(0.6, 0.05), Some(Reason::LowMargin));
    }

    #[test]
    fn the_threshold_follows_the_number_of_people() {
        let decision = Decision { impostors: Some(impostors()), ..decision() };
        for (people, similarity) in [(1, 0.15), (100, 0.25), (100_000, 0.4)] {
            let rule = decision.rule(Demand::Model, people);
            assert!((rule.similarity - similarity).abs() < 1e-3, "{people}: {rule:?}");
            let rate = rule.false_accepts.expect("it is known");
            assert!((rate / 0.001 - 1.0).abs() < 0.01, "{people}: {rate}");
            assert_eq!(rule.reject(similarity + 0.01, 1.0), None);
            assert_eq!(rule.reject(similarity - 0.01, 1.0), Some(Reason::BelowThreshold));
            let looser = decision.rule(Demand::FalseAccepts(0.01), people);
            assert!((looser.similarity + 0.05 - similarity).abs() < 1e-3, "{people}: {looser:?}");
        }
        let steep = Decision { slope: 1000.0, ..decision.clone() }.rule(Demand::Model, 1000);
        assert!(
            (steep.similarity - 0.3).abs() < 1e-3,
            "a confidence of 1 says too little: {steep:?}"
        );
        let alone = decision.rule(Demand::Model, 1).confidence(0.5);
        let among = decision.rule(Demand::Model, 100).confidence(0.5);
        assert!((alone - 0.5).abs() < 1e-6 && (among - 1.0 / 101.0).abs() < 1e-6, "{among}");
    }

    #[test]
    fn a_demand_beyond_what_is_known_is_refused() {
        let known = Decision { impostors: Some(impostors()), ..decision() };
        assert_eq!(known.check_demand(Demand::FalseAccepts(1e-6), 1000), Ok(()));
        let error = known.check_demand(Demand::FalseAccepts(1e-13), 1).expect_err("beyond");
        assert!(error.contains("rates go from"), "{error}");
        assert_eq!(known.check_demand(Demand::Confidence(0.99), 1), Ok(()));
        assert!(decision().check_demand(Demand::FalseAccepts(0.01), 1).is_err(), "no curve");
    }

    #[test]
    fn a_rate_of_false_accepts_chooses_the_threshold() {
        let point = |false_accepts, threshold| OperatingPoint {
            false_accepts,
            threshold,
            true_accepts: 0.9,
        };
        let curve = vec![point(0.1, 0.2), point(0.001, 0.8), point(0.01, 0.6)];
        let decision = Decision { curve, ..decision() };
        for (rate, threshold) in [(0.001, 0.8), (0.01, 0.6), (0.1, 0.2), (0.031_623, 0.4)] {
            let found = decision.threshold_at(rate).expect("on the curve");
            assert!((found - threshold).abs() < 1e-4, "{rate}: {found}");
        }
        for rate in [0.0009, 0.11, f32::NAN] {
            let error = decision.threshold_at(rate).expect_err("beyond the curve");
            assert!(error.contains("from 0.001 to 0.1"), "{error}");
        }
        assert!(Decision { curve: Vec::new(), ..decision }.threshold_at(0.01).is_err());
    }

    #[test]
    fn a_name_is_kept_with_less_than_it_was_gained_with() {
        let keep = |confidence| decision().rule(Demand::Confidence(confidence), 1).keep_threshold();
        assert!((keep(0.9) - 0.549).abs() < 0.001);
        assert!(keep(0.3) < 0.3 && keep(0.3) > 0.0);
        assert_eq!((keep(0.0), keep(1.0)), (0.0, 1.0));
    }

    #[test]
    fn not_a_number_is_nobody() {
        assert_eq!(rule().reject(f32::NAN, 0.2), Some(Reason::BelowThreshold));
        assert_eq!(rule().reject(0.9, f32::NAN), Some(Reason::LowMargin));
    }

    #[test]
    fn confidence_rises_from_zero_to_one() {
        assert!((rule().confidence(0.5) - 0.5).abs() < 1e-6);
        assert!(rule().confidence(-1.0) < 0.001);
        assert!(rule().confidence(1.0) > 0.99);
    }

    #[test]
    fn softmax_sums_to_one_at_any_size() {
        let shares = softmax(&[1000.0, 1001.0, 999.0]);
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(shares[1] > shares[0] && shares[0] > shares[2]);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(decision().check().is_ok());
        assert!(Decision { slope: -1.0, ..decision() }.check().is_err());
        assert!(Decision { threshold: 1.5, ..decision() }.check().is_err());
        assert!(Decision { margin: f32::NAN, ..decision() }.check().is_err());
        let point = OperatingPoint { false_accepts: 0.0, threshold: 0.5, true_accepts: 0.5 };
        assert!(Decision { curve: vec![point], ..decision() }.check().is_err());
        for (scale, offset) in [(0.0, 0.0), (f32::NAN, 0.0), (1.0, f32::INFINITY)] {
            let enrolled = Some(Enrolled { scale, offset });
            assert!(Decision { enrolled, ..decision() }.check().is_err());
        }
    }

    #[test]
    fn people_are_added_to_models_that_measure_a_cosine() {
        let made = Decision { threshold: 0.8, ..decision() }.with_enrolled();
        let Enrolled { scale, offset } = made.enrolled.expect("a cosine");
        let rule = made.rule(Demand::Model, 1);
        let confidence = rule.confidence(scale * defaults::ENROLLED_COSINE + offset);
        assert!((confidence - 0.8).abs() < 1e-4, "{confidence}");
        let softmax = Decision { score: Score::Softmax, ..decision() };
        assert_eq!(softmax.clone().with_enrolled().enrolled, None);
        let enrolled = Some(Enrolled { scale: 0.5, offset: 0.1 });
        assert_eq!(Decision { enrolled, ..softmax }.with_enrolled().enrolled, enrolled);
        assert_eq!(Decision { threshold: 1.0, ..decision() }.with_enrolled().enrolled, None);
    }
}
