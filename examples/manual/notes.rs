//! What stands below the options in the help of a command, taken apart.

/// Name of the paragraph of exit codes.
const EXIT_CODES: &str = "Exit codes: ";

/// From how many columns on a line goes on with the explanation of the line before it.
const EXPLANATION_COLUMN: usize = 8;

/// A command line and what it is for; the latter is empty where the line speaks for itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    pub command: String,
    pub explanation: String,
}

/// The parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    pub examples: Vec<Example>,
    /// Codes and what they mean.
    pub exit_codes: Vec<(String, String)>,
    /// Everything else.
    pub paragraphs: Vec<String>,
}

impl Notes {
    /// Takes `text` apart, whose paragraphs have empty lines between them. Indented lines are examples.
    pub fn parse(text: &str) -> Self {
        let mut notes = Self::default();
        for paragraph in text.split("\n\n") {
            if paragraph.starts_with("Examples:\n") {
                notes.examples.extend(examples(paragraph));
                continue;
            }
            let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            match paragraph.strip_prefix(EXIT_CODES) {
                Some(codes) => notes.exit_codes.extend(exit_codes(codes)),
                None => notes.paragraphs.push(paragraph),
            }
        }
        notes.paragraphs.retain(|paragraph| !paragraph.is_empty());
        notes
    }
}

fn examples(paragraph: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in paragraph.lines().skip(1) {
        let text = line.trim_start();
        if line.len() - text.len() < EXPLANATION_COLUMN {
            let (command, explanation) = text.split_once("  ").unwrap_or((text, ""));
            let explanation = explanation.trim().to_owned();
            examples.push(Example { command: command.to_owned(), explanation });
        } else if let Some(example) = examples.last_mut() {
            let explanation = &mut example.explanation;
            *explanation = format!("{explanation} {text}").trim().to_owned();
        }
    }
    examples
}

/// `0 done or stopped, 1 failure.` as pairs.
fn exit_codes(codes: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in codes.trim_end_matches('.').split(", ") {
        match (part.split_once(' '), pairs.last_mut()) {
            (Some((code, meaning)), _) if code.parse::<u8>().is_ok() => {
                pairs.push((code.to_owned(), meaning.to_owned()));
            }
            (_, Some((_, meaning))) => *meaning = format!("{meaning}, {part}"),
            (_, None) => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_taken_apart() {
        let text = "Examples:\n  a run \"b c\"      what it does\n  a other --long\n                   \
                    said on\n                   two lines\n  a alone\n\nSome\nwords.\n\n\
                    Exit codes: 0 done, or stopped, 1 failure,\n78 a bad model.";
        let example = |command: &str, explanation: &str| Example {
            command: command.to_owned(),
            explanation: explanation.to_owned(),
        };
        let notes = Notes::parse(text);
        let examples = [
            example("a run \"b c\"", "what it does"),
            example("a other --long", "said on two lines"),
            example("a alone", ""),
        ];
        assert_eq!(notes.examples, examples);
        assert_eq!(notes.paragraphs, ["Some words."]);
        let codes = [("0", "done, or stopped"), ("1", "failure"), ("78", "a bad model")];
        assert_eq!(notes.exit_codes, codes.map(|(code, text)| (code.to_owned(), text.to_owned())));
    }
}
