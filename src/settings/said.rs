//! Settings, and who said them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgGroup, ArgMatches, Args, Command, Id};

use super::error::{Error, Result};
use super::file::SettingsFile;
use super::{run_command, values};
use crate::cli::{NEEDS, PlaybackArgs, SourceKindArgs, TurnArgs};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The settings file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

/// How a value is written in the settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// A quoted text.
    Text,
    /// A list of quoted texts.
    List,
}

/// A setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name: the long flag.
    pub key: String,
    /// What it is for, a sentence.
    pub help: String,
    /// How it is written.
    pub kind: ValueKind,
    /// Its values; none where it is not set.
    pub values: Vec<String>,
    /// Who set it.
    pub origin: Origin,
}

/// Whether a flag of a subcommand is a setting.
pub fn is_setting(arg: &Arg) -> bool {
    arg.get_env().is_some()
}

/// The settings of a subcommand, with the values that the environment and the file give; those of
/// flags and defaults are left out.
///
/// # Errors
/// A value of the environment that is wrong, and settings that do not go together.
pub fn settings(
    definition: &Command,
    typed: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
    file: Option<&SettingsFile>,
) -> Result<Vec<Setting>> {
    let run = run_command();
    let mut settings = Vec::new();
    for arg in definition.get_arguments() {
        let (Some(key), Some(variable)) = (arg.get_long(), arg.get_env()) else { continue };
        let (key, variable) = (key.to_owned(), variable.to_string_lossy().into_owned());
        let value = || environment(&variable).filter(|value| !value.is_empty());
        let in_file = || file.and_then(|file| Some((file, file.settings.get(&key)?)));
        let (origin, values) =
            if typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
                (Origin::Flag, Vec::new())
            } else if let Some(value) = value() {
                let values = vec![value.to_string_lossy().into_owned()];
                values::check(&run, &key, &variable, &values).map_err(Error::Variable)?;
                (Origin::Environment(variable), values)
            } else if let Some((file, values)) = in_file() {
                (Origin::File(file.path.clone()), values.clone())
            } else {
                (Origin::Default, Vec::new())
            };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        settings.push(Setting { key, help, kind: values::kind(arg), values, origin });
    }
    for group in definition.get_groups().filter(|group| !(*group).clone().is_multiple()) {
        silence(&mut settings, &members(definition, group.get_id()))?;
    }
    take_back_of_source(&mut settings, definition);
    check_needs(&settings)?;
    Ok(settings)
}

/// The flags of a group.
fn members<'a>(definition: &'a Command, group: &Id) -> Vec<&'a str> {
    let groups = definition.get_groups().filter(|it| it.get_id() == group);
    let ids: Vec<&Id> = groups.flat_map(ArgGroup::get_args).collect();
    let args = definition.get_arguments().filter(|arg| ids.contains(&arg.get_id()));
    args.filter_map(Arg::get_long).collect()
}

fn check_needs(settings: &[Setting]) -> Result<()> {
    let said = |key| settings.iter().find(|setting| setting.key == key && is_said(setting));
    for (key, needed) in NEEDS {
        if let (Some(setting), None) = (said(key), said(needed)) {
            return Err(Error::Alone { key, origin: setting.origin.clone(), needed });
        }
    }
    Ok(())
}

/// Whether somebody wants it; a flag may be said to be off.
fn is_said(setting: &Setting) -> bool {
    setting.origin != Origin::Default && setting.values != ["false"]
}

/// Of settings that stand for each other, leaves the one that is said nearest to the user.
fn silence(settings: &mut [Setting], group: &[&str]) -> Result<()> {
    let members = settings.iter().filter(|setting| group.contains(&setting.key.as_str()));
    let said: Vec<&Setting> = members.filter(|setting| is_said(setting)).collect();
    let Some(nearest) = said.iter().map(|setting| setting.origin.rank()).max() else {
        return Ok(());
    };
    let rivals: Vec<&&Setting> =
        said.iter().filter(|setting| setting.origin.rank() == nearest).collect();
    if let ([first, second, ..], true) = (rivals.as_slice(), nearest < Origin::Flag.rank()) {
        return Err(Error::Exclusive {
            first: first.key.clone(),
            first_origin: first.origin.clone(),
            second: second.key.clone(),
            second_origin: second.origin.clone(),
        });
    }
    take_back(settings, group, nearest);
    Ok(())
}

/// Takes back what was said of a source, less near to the user than the one in use: how it is played,
/// and of a camera, also one behind a program, how it hangs where photos are in use.
fn take_back_of_source(settings: &mut [Setting], definition: &Command) {
    let of = |group: Option<Id>| group.map_or_else(Vec::new, |id| members(definition, &id));
    let kinds = of(SourceKindArgs::group_id());
    let in_use = settings.iter().find(|it| kinds.contains(&it.key.as_str()) && is_said(it));
    let Some(source) = in_use else { return };
    let (nearest, are_photos) = (source.origin.rank(), source.key == "pictures");
    take_back(settings, &of(PlaybackArgs::group_id()), nearest);
    if are_photos {
        take_back(settings, &of(TurnArgs::group_id()), nearest);
    }
}

/// Takes back what was said of settings less near to the user than `nearest`.
fn take_back(settings: &mut [Setting], keys: &[&str], nearest: u8) {
    for setting in settings {
        if keys.contains(&setting.key.as_str()) && setting.origin.rank() < nearest {
            setting.origin = Origin::Default;
            setting.values.clear();
        }
    }
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag => 3,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Environment(variable) => formatter.write_str(variable),
            Self::Flag => formatter.write_str("command line"),
        }
    }
}

/// Fills in the values of flags and defaults from the final `matches`.
pub fn take_effective(settings: &mut [Setting], matches: &ArgMatches) {
    for setting in settings {
        if matches!(setting.origin, Origin::Flag | Origin::Default) {
            setting.values = effective(matches, setting);
        }
    }
}

/// The values of a setting among the final matches.
fn effective(matches: &ArgMatches, setting: &Setting) -> Vec<String> {
    let id = setting.key.replace('-', "_");
    if setting.kind == ValueKind::Flag {
        return vec![matches.get_flag(&id).to_string()];
    }
    let raw = matches.get_raw(&id).into_iter().flatten();
    raw.map(|value| value.to_string_lossy().into_owned()).collect()
}
