//! The values of settings from elsewhere than the command line, by the rules of their flags.

use std::any::TypeId;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::ValueKind;
use super::error::WrongValue;
use crate::shown::line;

/// A value of the user's without its secrets. An address may wrongly hold blanks, in its password too.
pub fn shown(value: &str) -> String {
    if value.contains("://") { line(value.replace(' ', "%20")) } else { line(value) }
}

/// Checks the values of a setting, which was called `name`, by the flag's own rules.
///
/// # Errors
/// What is wrong with them.
pub fn check(run: &Command, key: &str, name: &str, values: &[String]) -> Result<(), WrongValue> {
    let Some(arg) = run.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
        return Ok(());
    };
    let kind = kind(arg);
    let (name, value) = (name.to_owned(), || {
        let values: Vec<String> = values.iter().map(|value| shown(value)).collect();
        values.join(", ")
    });
    if kind == ValueKind::Flag {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err(WrongValue::NotAFlag { name, value: value() }),
        };
    }
    if kind != ValueKind::List && values.len() != 1 {
        return Err(WrongValue::NotOne { name, values: values.len() });
    }
    let words = values.iter().map(|value| format!("--{key}={value}"));
    let refused = run.clone().no_binary_name(true).try_get_matches_from(words).err();
    match refused.and_then(|error| reason(&error)) {
        Some(reason) => Err(WrongValue::Refused { name, value: value(), reason }),
        None => Ok(()),
    }
}

/// What is wrong with a value; `None` where it is not the value that is wrong.
fn reason(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ValueValidation => Some(std::error::Error::source(error)?.to_string()),
        ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                Some(format!("it can be {}", valid.join(" or ")))
            }
            _ => Some("a value is needed".to_owned()),
        },
        _ => None,
    }
}

/// How the setting of a flag is written.
pub fn kind(arg: &Arg) -> ValueKind {
    let numbers =
        [TypeId::of::<f32>(), TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()];
    let holds = arg.get_value_parser().type_id();
    if !arg.get_action().takes_values() {
        ValueKind::Flag
    } else if matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
    {
        ValueKind::List
    } else if numbers.iter().any(|number| holds == *number) {
        ValueKind::Number
    } else {
        ValueKind::Text
    }
}
