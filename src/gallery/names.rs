//! Names of people: which are allowed, their ids, and which are nearest to one that is not there.

/// Most characters of a name.
const LONGEST: usize = 80;

/// Checks a name that somebody typed or that is in a file.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub fn check(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a name must not be empty".to_owned());
    }
    if name.trim() != name {
        return Err("a name must not start or end with a space".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("a name must not hold control characters such as a line break".to_owned());
    }
    if name.chars().count() > LONGEST {
        return Err(format!("a name must not be longer than {LONGEST} characters"));
    }
    if id(name).is_empty() {
        return Err(format!("{name} is no name: it has no letter and no digit"));
    }
    Ok(())
}

/// The id of a name: letters and digits in lower case, everything else one dash. `Tina Fey` becomes
/// `tina-fey`.
pub fn id(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_alphanumeric() {
            id.extend(character.to_lowercase());
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(id.trim_end_matches('-').len());
    id
}

/// Those of `names` that `name` may have been meant to be, nearest first, three at most.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> = id(name).chars().collect();
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let other: Vec<char> = id(name).chars().collect();
            // One edit in three characters, or a part of the name.
            let most = wanted.len().max(3) / 3;
            let edits = edits(&wanted, &other);
            let part = other.split(|&c| c == '-').any(|part| part == wanted);
            (edits <= most || part).then_some((if part { 0 } else { edits }, name))
        })
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Insertions, deletions and replacements that make `b` of `a` (Levenshtein).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["Ann", "李娜", "O'Neill, Shaquille", "R2"] {
            assert_eq!(check(name), Ok(()));
        }
        for name in ["", "  ", " Ann", "Ann\n", "A\u{1b}[2J", "--", &"a".repeat(81)] {
            assert!(check(name).is_err(), "{name:?}");
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
    fn misspelt_names_are_guessed() {
        let names = ["Roger Federer", "Rafael Nadal", "Serena Williams"];
        assert_eq!(nearest("Roger Federr", names.into_iter()), ["Roger Federer"]);
        assert_eq!(nearest("serena", names.into_iter()), ["Serena Williams"]);
        assert!(nearest("Tom Hanks", names.into_iter()).is_empty());
    }

    #[test]
    fn edits_are_counted() {
        let count = |a: &str, b: &str| {
            edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "abc"), 0);
    }
}
