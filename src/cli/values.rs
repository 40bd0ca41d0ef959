//! Values of arguments: what they may be, and what is said when they are not.

use std::path::{Component, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// A path in which no shell has left a `~` that means the user's folder.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let first = path.components().next();
        let is_home = matches!(first, Some(Component::Normal(name)) if name.as_encoded_bytes().starts_with(b"~"));
        if is_home {
            return Err("no shell reads it, so ~ stands for itself; write the whole path, or ./~ \
                        for a file of that name");
        }
        Ok(path)
    })
}

pub(super) fn rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.01..=1000.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.01 to 1000 is needed, such as 5".to_owned()),
    }
}

pub(super) fn time_limit(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.1..=3600.0).contains(&value) => Ok(value),
        _ => Err("a number of seconds from 0.1 to 3600 is needed, such as 10".to_owned()),
    }
}

/// Degrees of whole quarter turns.
pub(super) fn rotation(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(degrees @ (0 | 90 | 180 | 270)) => Ok(degrees),
        _ => Err("0, 90, 180 or 270 is needed".to_owned()),
    }
}

/// A number of bytes, with K, M or G for 1000, 1000^2 or 1000^3 of them.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let factor: u64 = match unit {
        "" => 1,
        "K" | "k" => 1_000,
        "M" | "m" => 1_000_000,
        "G" | "g" => 1_000_000_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(bytes @ 1..) => Ok(bytes),
        _ => Err("a number of bytes above 0 is needed, such as 500K, 20M or 1G".to_owned()),
    }
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is needed, such as 0.8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;

    #[test]
    fn sizes_are_bytes_with_units() {
        let cases = [("1", 1), ("500K", 500_000), ("20M", 20_000_000), ("1g", 1_000_000_000)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "0", "0K", "-1", "1.5M", "1 M", "20MB", "99999999999G", "1é"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(bytes(defaults::SNAPSHOT_LIMIT).is_ok());
    }

    #[test]
    fn pictures_are_turned_by_quarters() {
        assert_eq!(rotation("270"), Ok(270));
        for text in ["45", "-90", "360", "", "upside down"] {
            assert!(rotation(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_threshold_is_a_share() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["1.5", "-0.1", "NaN", "high"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
