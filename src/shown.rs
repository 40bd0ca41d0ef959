//! The way of every text to people. File names, models, galleries, cameras and programs put words into
//! lines; here such a line loses its secrets and its power over the terminal, and stays one line.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

mod secret;

pub use secret::{Secrets, masked, program_name};

/// Characters that show nothing by themselves, first and last of each range: Unicode's
/// `Default_Ignorable_Code_Point`, the marks of interlinear notes, and the blank of Braille.
const INVISIBLE: [(char, char); 18] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether nobody sees the character. Those that change the direction of text are among them.
pub fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|&(first, last)| (first..=last).contains(&character))
}

/// Whether an invisible character changes how the letter before it is written, as the joiners do in
/// Persian and Sinhala and the selectors of variants in Japanese.
pub fn shapes(character: char, before: Option<char>) -> bool {
    let shaping = matches!(
        character,
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    );
    shaping && before.is_some_and(|letter| !letter.is_ascii() && !is_invisible(letter))
}

/// Whether a character steers a terminal, breaks a line, or hides.
fn is_hidden(character: char, before: Option<char>) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || (is_invisible(character) && !shapes(character, before))
}

/// The text with `write` in the place of each hidden character.
fn replaced(text: &str, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let mut before = None;
    let mut hides = |character| is_hidden(character, before.replace(character));
    let Some(first) = text.find(&mut hides) else { return Cow::Borrowed(text) };
    let mut shown = text[..first].to_owned();
    let mut before = shown.chars().next_back();
    for character in text[first..].chars() {
        if is_hidden(character, before.replace(character)) {
            write(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// The text with control, bidirectional and invisible characters made visible: `\n`, `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    replaced(text, |shown, character| match character {
        '\n' | '\r' | '\t' => shown.extend(character.escape_default()),
        _ => shown.extend(character.escape_unicode()),
    })
}

/// One line for people, without its end: secrets masked, hidden characters made visible.
pub fn line(text: impl Display) -> String {
    visible(&masked(&text.to_string())).into_owned()
}

/// Writes one [`line()`] and its end.
///
/// # Errors
/// Those of `out`.
pub fn write_line(out: &mut impl Write, text: impl Display) -> io::Result<()> {
    writeln!(out, "{}", line(text))
}

/// A JSON text that says the same with every hidden character as `\u` and four hexadecimal digits.
pub fn json(text: &str) -> Cow<'_, str> {
    replaced(text, |shown, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

/// A number and what it counts: `1 person`, `2 people`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_hides_is_made_visible() {
        for (text, shown) in [
            ("Ann", "Ann"),
            ("a\x1b]0;x\x07b", "a\\u{1b}]0;x\\u{7}b"),
            ("a.jpg\nb.jpg: Tom Hanks", "a.jpg\\nb.jpg: Tom Hanks"),
            ("\u{9b}2J\r\t\u{7f}\0", "\\u{9b}2J\\r\\t\\u{7f}\\u{0}"),
            ("Ann\u{202e}gpj.\u{2066}", "Ann\\u{202e}gpj.\\u{2066}"),
            ("A\u{200b}nn\u{feff}\u{e0041}", "A\\u{200b}nn\\u{feff}\\u{e0041}"),
            ("one\u{2028}two\u{85}", "one\\u{2028}two\\u{85}"),
            ("A\u{200d}nn\u{fe0f}", "A\\u{200d}nn\\u{fe0f}"),
        ] {
            assert_eq!(line(text), shown);
            assert!(!line(text).contains(char::is_control));
        }
    }

    #[test]
    fn letters_of_all_scripts_stay_as_they_are() {
        for text in [
            "李娜",
            "Иван Ρένα",
            "محمد علی‌رضا",
            "श्री",
            "\u{dc1}\u{dca}\u{200d}\u{dbb}",
            "👩\u{200d}🚀❤\u{fe0f}",
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn json_says_the_same_without_hidden_characters() {
        let text = "Ann\u{202e}\u{9b}\u{7f}\u{e0041} \"q\" 李\n";
        let written = serde_json::to_string(text).unwrap();
        let shown = json(&written);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert!(!shown.contains(|c| is_hidden(c, None)), "{shown}");
        assert!(shown.contains("\\u202e\\u009b\\u007f\\udb40\\udc41"), "{shown}");
    }
}
