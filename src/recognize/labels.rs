//! The people that a model knows.

use crate::types::identity::Label;

/// Most people of one model.
const MOST: usize = 20_000;

/// Most bytes of a name or an id.
const LENGTH: usize = 200;

/// Most bytes of an address.
const URL_LENGTH: usize = 2_000;

/// Checks that there are labels, not too many, and that each can be told from the others. Names and
/// ids go into lines of text, names of files and the environment of commands, so they hold no
/// control characters and are not long.
pub(super) fn check(labels: &[Label]) -> Result<(), String> {
    if labels.is_empty() {
        return Err("it names nobody".to_owned());
    }
    if labels.len() > MOST {
        return Err(format!("it names more than {MOST} people, which is the limit"));
    }
    let mut seen = std::collections::HashSet::new();
    for label in labels {
        if label.name.trim().is_empty() || label.id.trim().is_empty() {
            return Err("one of its labels has no name or no id".to_owned());
        }
        let mut texts = [&label.name, &label.id, &label.url].into_iter();
        if texts.any(|text| text.chars().any(char::is_control)) {
            return Err("one of its labels holds control characters".to_owned());
        }
        let length = label.name.len().max(label.id.len());
        if length > LENGTH || label.url.len() > URL_LENGTH {
            return Err(format!(
                "one of its labels has more than {LENGTH} bytes, which is the limit"
            ));
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
        for id in ["a\0", "a\n", "a\u{9b}"] {
            assert!(check(&[label("A", id)]).is_err(), "{id:?}");
        }
        let url = Label { url: "https://a\u{1b}".to_owned(), ..label("A", "a") };
        assert!(check(&[url]).is_err());
        let long = "a".repeat(LENGTH);
        assert!(check(&[label(&long, &long)]).is_ok());
        assert!(check(&[label(&(long.clone() + "b"), "a")]).is_err());
        assert!(check(&[label("A", &(long + "b"))]).is_err());
        let many: Vec<Label> = (0..=MOST).map(|at| label("A", &at.to_string())).collect();
        assert!(check(&many[1..]).is_ok() && check(&many).is_err());
        assert!(check(&[label("A", "a"), label("B", "a")]).is_err());
    }
}
