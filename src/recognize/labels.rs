//! The people that a model knows.

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

/// Checks that there are labels and that each can be told from the others.
pub(super) fn check(labels: &[Label]) -> Result<(), String> {
    if labels.is_empty() {
        return Err("it names nobody".to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    for label in labels {
        if label.name.trim().is_empty() || label.id.trim().is_empty() {
            return Err("one of its labels has no name or no id".to_owned());
        }
        // Both go into the variables of commands, which a zero ends.
        if [&label.name, &label.id].into_iter().any(|text| text.contains(char::is_control)) {
            return Err("one of its names or ids holds control characters".to_owned());
        }
        if !seen.insert(&label.id) {
            return Err(format!("two of its labels have the id {}", label.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, id: &str) -> Label {
        Label { name: name.to_owned(), id: id.to_owned(), url: String::new() }
    }

    #[test]
    fn labels_must_be_there_named_and_distinct() {
        assert!(check(&[label("A", "a"), label("B", "b")]).is_ok());
        assert!(check(&[]).is_err());
        assert!(check(&[label("", "a")]).is_err());
        assert!(check(&[label("A\u{1b}[2J", "a")]).is_err());
        assert!(check(&[label("A", "a\0b")]).is_err());
        assert!(check(&[label("A", "a"), label("B", "a")]).is_err());
    }
}
