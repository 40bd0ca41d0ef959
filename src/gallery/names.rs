//! Names of people: which are allowed, which are one name, their ids, and which are nearest to one
//! that is not there.
//!
//! Two names are one when their ids are equal: ids do not tell Unicode's forms of a character, upper
//! and lower case, and invisible characters apart.

use unicode_normalization::UnicodeNormalization;

use crate::shown::{is_invisible, shapes};

/// Most characters of a name.
const LONGEST: usize = 80;

/// A name that somebody typed, in the form in which it is kept: composed (NFC), and without characters
/// that nobody sees. Those that shape a letter stay.
pub fn clean(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    for character in name.nfc() {
        if !is_invisible(character) || shapes(character, clean.chars().next_back()) {
            clean.push(character);
        }
    }
    clean
}

/// A name that nobody may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing, or nothing but spaces.
    #[error("a name must not be empty")]
    Empty,
    /// Spaces around it.
    #[error("a name must not start or end with a space")]
    Space,
    /// Characters that steer a terminal.
    #[error("a name must not hold control characters such as a line break")]
    Control,
    /// Too many characters.
    #[error("a name must not be longer than {LONGEST} characters")]
    TooLong,
    /// Nothing that makes an id.
    #[error("{0} is no name: it has no letter and no digit")]
    NoLetter(String),
}

/// Checks a name that somebody typed or that is in a file.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(name: &str) -> Result<(), BadName> {
    if name.trim().is_empty() {
        return Err(BadName::Empty);
    }
    if name.trim() != name {
        return Err(BadName::Space);
    }
    if name.chars().any(char::is_control) {
        return Err(BadName::Control);
    }
    if name.chars().count() > LONGEST {
        return Err(BadName::TooLong);
    }
    if id(name).is_empty() {
        return Err(BadName::NoLetter(name.to_owned()));
    }
    Ok(())
}

/// Whether [`clean`] left characters out of a name that nobody sees.
pub fn has_invisible(name: &str, clean: &str) -> bool {
    let count = |name: &str| name.chars().filter(|&character| is_invisible(character)).count();
    count(name) > count(clean)
}

/// The id of a name: letters and digits in lower case, everything else one dash. `Tina Fey` becomes
/// `tina-fey`. The letters are compatibility-composed (NFKC), so that full-width ones are the usual
/// ones.
pub fn id(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for character in folded(name).chars() {
        if character.is_alphanumeric() {
            id.push(character);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(id.trim_end_matches('-').len());
    id
}

/// Whether this is the person with that name or id.
pub fn is_called(name: &str, id_of_person: &str, wanted: &str) -> bool {
    let wanted_id = id(wanted);
    !wanted_id.is_empty() && (wanted_id == id(name) || wanted_id == id(id_of_person))
}

/// The name in Unicode's form NFKC and in lower case, without what is invisible.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let mut lower = String::with_capacity(name.len());
    for character in name.nfkc().filter(|&character| !is_invisible(character)) {
        // By way of upper case, as case folding does: ß becomes ss, and both small sigmas are one.
        // The dotless i is a letter of its own.
        match character {
            '\u{131}' => lower.push(character),
            _ => lower.extend(character.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    lower.nfkc().collect()
}

/// Those of `names` that `name` may have been meant to be, nearest first, three at most.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = id(name);
    // One edit in three characters, or a part of the name.
    let most = wanted.chars().count().max(3) / 3;
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let other = id(name);
            let edits = strsim::levenshtein(&wanted, &other);
            let part = other.split('-').any(|part| part == wanted);
            (edits <= most || part).then_some((if part { 0 } else { edits }, name))
        })
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["Ann", "李娜", "O'Neill, Shaquille", "R2"] {
            assert_eq!(check(name), Ok(()));
        }
        let too_long = "a".repeat(81);
        for (name, text) in [
            ("", "a name must not be empty"),
            ("  ", "a name must not be empty"),
            (" Ann", "a name must not start or end with a space"),
            ("Ann\n", "a name must not start or end with a space"),
            ("A\u{1b}[2J", "a name must not hold control characters such as a line break"),
            ("--", "-- is no name: it has no letter and no digit"),
            (&too_long, "a name must not be longer than 80 characters"),
        ] {
            assert_eq!(check(name).unwrap_err().to_string(), text, "{name:?}");
        }
    }

    #[test]
    fn ids_are_for_programs() {
        assert_eq!(id("Tina Fey"), "tina-fey");
        assert_eq!(id("O'Neill, Shaquille!"), "o-neill-shaquille");
        assert_eq!(id("Zoë"), "zoë");
        assert_eq!(id("..."), "");
    }

    #[test]
    fn names_that_look_alike_have_one_id() {
        for (one, other) in [
            ("Zo\u{eb}", "Zoe\u{308}"),
            ("Ann Li", "\u{ff21}\u{ff4e}\u{ff4e}\u{3000}\u{ff2c}\u{ff49}"),
            ("Ann Li", "\u{feff}An\u{200b}n\u{2060} L\u{ad}i\u{200f}"),
            ("Ann", "A\u{fe0f}nn\u{e0101}"),
            ("STRAUSS", "Strau\u{df}"),
            ("\u{39f}\u{394}\u{3a5}\u{3a3}", "\u{3bf}\u{3b4}\u{3c5}\u{3c2}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
        ] {
            assert_eq!(id(one), id(other), "{one} {other:?}");
            assert!(is_called(one, "", other), "{one} {other:?}");
        }
        assert_ne!(id("Kad\u{131}r"), id("Kadir"));
        assert_ne!(id("Ann"), id("An n"));
        assert!(is_called("Zo\u{eb}", "zoe", "ZOE") && !is_called("Ann", "ann", "\u{3164}"));
    }

    #[test]
    fn what_nobody_sees_is_left_out_and_what_shapes_a_letter_stays() {
        assert_eq!(clean("\u{feff}An\u{200d}n \u{202e}Li\u{202c}"), "Ann Li");
        assert_eq!(clean("Zoe\u{308}"), "Zo\u{eb}");
        assert_eq!(check(&clean("\u{3164}\u{200b}")), check(""));
        for kept in ["\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}", "\u{8fbb}\u{e0100}"] {
            assert_eq!(clean(kept), kept);
        }
    }

    #[test]
    fn misspelt_names_are_guessed() {
        let names = ["Roger Federer", "Rafael Nadal", "Serena Williams"];
        assert_eq!(nearest("Roger Federr", names.into_iter()), ["Roger Federer"]);
        assert_eq!(nearest("serena", names.into_iter()), ["Serena Williams"]);
        assert!(nearest("Tom Hanks", names.into_iter()).is_empty());
    }
}
