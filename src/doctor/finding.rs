//! What a check has found.

use crate::exit::Exit;
use crate::shown;

/// How a check ended, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is nothing to look at.
    Skipped,
    /// All is well.
    Ok,
    /// A run goes, not as well as it could.
    Warning,
    /// A run does not go.
    Failure,
}

impl Status {
    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What a check has found, and for a warning or a failure what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    status: Status,
    found: String,
    advice: Option<String>,
    exit: Option<Exit>,
}

impl Finding {
    /// All is well.
    pub fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), advice: None, exit: None }
    }

    /// There is nothing to look at, for this reason.
    pub fn skipped(found: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(found) }
    }

    /// A run goes, not as well as it could; `advice` is what to do.
    pub fn warning(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Warning, advice: Some(advice.into()), ..Self::ok(found) }
    }

    /// A run does not go; `advice` is what to do.
    pub fn failure(found: impl Into<String>, advice: impl Into<String>, exit: Exit) -> Self {
        let exit = Some(exit);
        Self { status: Status::Failure, exit, ..Self::warning(found, advice) }
    }

    /// Several as one, as bad as the worst. What two of them say is said once.
    pub fn joined(parts: Vec<Self>) -> Self {
        let texts = |text: fn(&Self) -> Option<&str>, between: &str| {
            let mut texts: Vec<&str> = Vec::new();
            for text in parts.iter().filter_map(text) {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            texts.join(between)
        };
        let advice = texts(|part| part.advice(), " ");
        Self {
            status: parts.iter().map(|part| part.status).max().unwrap_or(Status::Skipped),
            found: texts(|part| Some(part.found()), "; "),
            advice: (!advice.is_empty()).then_some(advice),
            exit: parts.iter().find_map(|part| part.exit),
        }
    }

    /// The same without secrets.
    #[must_use]
    pub fn masked(self) -> Self {
        let advice = self.advice.as_deref().map(shown::masked);
        Self { found: shown::masked(&self.found), advice, ..self }
    }

    /// How it ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What was found.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What to do.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// How a run ends that fails for this.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_findings_are_as_bad_as_the_worst() {
        let parts = vec![
            Finding::ok("a"),
            Finding::warning("b", "Do b."),
            Finding::failure("c", "Do c.", Exit::BadConfiguration),
            Finding::failure("d", "Do d.", Exit::Failure),
        ];
        let joined = Finding::joined(parts);
        assert_eq!(
            (joined.status(), joined.exit()),
            (Status::Failure, Some(Exit::BadConfiguration))
        );
        assert_eq!((joined.found(), joined.advice()), ("a; b; c; d", Some("Do b. Do c. Do d.")));
        let twice =
            Finding::joined(vec![Finding::warning("a", "Do."), Finding::warning("b", "Do.")]);
        assert_eq!(twice, Finding::warning("a; b", "Do."));
        let fine = Finding::joined(vec![Finding::skipped("a"), Finding::ok("b")]);
        assert_eq!(fine, Finding::ok("a; b"));
    }
}
