//! How alike strangers are to one person, and the similarity that follows for any number of people.
//!
//! A stranger's face is compared with everybody who is known, and each comparison may go wrong. With
//! a share `m` of false matches in one comparison, `1 - (1 - m)^n` of strangers' faces are taken for
//! one of `n` people; people who resemble one another make it a little less. So a rate of false
//! accepts `a` asks for `m = 1 - (1 - a)^(1/n)`, and the similarity is read off a measured curve.

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct ImpostorPoint {
    /// Share of comparisons of a stranger's face with one person that reach the similarity.
    pub false_matches: f64,
    /// A similarity.
    pub similarity: f32,
}

/// The curve, from the most alike to the least: similarities fall and shares rise.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Impostors(Vec<ImpostorPoint>);

impl Impostors {
    /// Checks that the curve has points, in order and in range.
    pub(super) fn check(&self) -> Result<(), String> {
        let in_range = |point: &ImpostorPoint| {
            point.false_matches > 0.0 && point.false_matches < 1.0 && point.similarity.is_finite()
        };
        let falls = |pair: &[ImpostorPoint]| {
            pair[0].false_matches < pair[1].false_matches && pair[0].similarity > pair[1].similarity
        };
        if self.0.len() >= 2 && self.0.iter().all(in_range) && self.0.windows(2).all(falls) {
            Ok(())
        } else {
            Err("its curve of false matches is out of range or out of order".to_owned())
        }
    }

    /// The similarity that at most this share of strangers' faces reach to any of `people`: along
    /// straight lines over the logarithm of the share, and beyond the curve that of its end.
    pub fn similarity_for(&self, false_accepts: f64, people: usize) -> f32 {
        let wanted = one_of(false_accepts, people).ln();
        let place = |point: &ImpostorPoint| point.false_matches.ln();
        let at = self.0.partition_point(|point| place(point) < wanted);
        match (at.checked_sub(1).map(|before| &self.0[before]), self.0.get(at)) {
            (Some(alike), Some(unlike)) => {
                let part = (wanted - place(alike)) / (place(unlike) - place(alike));
                alike.similarity + part as f32 * (unlike.similarity - alike.similarity)
            }
            (Some(end), None) | (None, Some(end)) => end.similarity,
            (None, None) => f32::INFINITY,
        }
    }

    /// The lowest and the highest rate of false accepts among `people` that the curve knows.
    pub fn rates(&self, people: usize) -> (f64, f64) {
        let rate = |point: Option<&ImpostorPoint>| {
            point.map_or(0.0, |point| any_of(point.false_matches, people))
        };
        (rate(self.0.first()), rate(self.0.last()))
    }

    /// The share of strangers' faces that reach this similarity to any of `people`. Beyond the curve
    /// it is that of the curve's end.
    pub fn false_accepts(&self, similarity: f32, people: usize) -> f64 {
        let pair = self.0.windows(2).find(|pair| similarity >= pair[1].similarity);
        let matches = match pair {
            Some([alike, unlike]) => {
                let part =
                    (similarity - unlike.similarity) / (alike.similarity - unlike.similarity);
                let (low, high) = (unlike.false_matches.ln(), alike.false_matches.ln());
                (low + f64::from(part.min(1.0)) * (high - low)).exp()
            }
            _ => self.0.last().map_or(1.0, |point| point.false_matches),
        };
        any_of(matches, people)
    }
}

/// The share of false matches in one comparison that gives this rate among `people`.
fn one_of(false_accepts: f64, people: usize) -> f64 {
    -((-false_accepts).ln_1p() / people.max(1) as f64).exp_m1()
}

/// The rate among `people` of this share of false matches in one comparison.
fn any_of(false_matches: f64, people: usize) -> f64 {
    -((-false_matches).ln_1p() * people.max(1) as f64).exp_m1()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Shares from 1e-12 to 0.1, a tenth for every 0.05 of similarity.
    pub fn impostors() -> Impostors {
        let point = |tenths: i32| ImpostorPoint {
            false_matches: 10f64.powi(-tenths),
            similarity: 0.05 * tenths as f32,
        };
        Impostors((1..=12).rev().map(point).collect())
    }

    #[test]
    fn more_people_ask_for_more_similarity() {
        let impostors = impostors();
        for (people, similarity) in [(1, 0.15), (10, 0.2), (100, 0.25), (100_000, 0.4)] {
            let found = impostors.similarity_for(0.001, people);
            assert!((found - similarity).abs() < 1e-3, "{people}: {found}");
            let rate = impostors.false_accepts(found, people);
            assert!((rate / 0.001 - 1.0).abs() < 1e-3, "{people}: {rate}");
        }
    }

    #[test]
    fn beyond_the_curve_its_end_counts() {
        let impostors = impostors();
        assert!((impostors.similarity_for(0.5, 1) - 0.05).abs() < 1e-6);
        assert!((impostors.similarity_for(0.001, 100_000_000_000) - 0.6).abs() < 1e-6);
        assert!((impostors.false_accepts(-1.0, 1) - 0.1).abs() < 1e-9);
        assert!((impostors.false_accepts(1.0, 1) - 1e-12).abs() < 1e-15);
        let (lowest, highest) = impostors.rates(1000);
        assert!((lowest / 1e-9 - 1.0).abs() < 1e-3 && highest > 0.999, "{lowest} {highest}");
    }

    #[test]
    fn curves_out_of_order_are_refused() {
        assert_eq!(impostors().check(), Ok(()));
        let Impostors(mut points) = impostors();
        points.swap(3, 4);
        assert!(Impostors(points.clone()).check().is_err());
        points.truncate(1);
        assert!(Impostors(points).check().is_err());
        assert!(Impostors(Vec::new()).check().is_err());
    }
}
