//! Cuts off texts of a file where a message repeats them, for they can be of any length.

use std::borrow::Cow;

/// Most characters that a message repeats of what a file, or a library that reads it, says.
pub const SENTENCE_LENGTH: usize = 200;

/// The first `most` characters of the text, with three dots behind them where there are more.
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
