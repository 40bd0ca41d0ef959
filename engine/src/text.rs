//! What a file says of itself can be long; in a message it is not.

use std::borrow::Cow;

/// Most characters of what others say of a model in a message.
pub const SENTENCE_LENGTH: usize = 200;

/// The text, no longer than `most` characters and three dots: what a file says of itself can be long.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_off_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö...");
        assert_eq!(shortened("", 0), "");
    }
}
