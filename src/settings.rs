//! Settings: flags before the environment, before the settings file, before the defaults.
//!
//! The long flags of `run` are the settings, and clap's definitions of them are the only ones: what
//! the environment and the file say becomes clap's default values.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

mod file;

use crate::cli::Cli;
use crate::error::{Error, Result};
use crate::shown;
use file::SettingsFile;
pub use file::withheld;

/// Subcommands that read all settings.
const READ_ALL: [&str; 3] = ["run", "config", "doctor"];

/// Flags of these subcommands that are no settings: the doctor's lines are not events, and photos are
/// not turned as a camera's pictures are.
const NOT_READ: [(&str, &str); 3] =
    [("doctor", "format"), ("identify", "rotate"), ("identify", "flip")];

/// Subcommands that read those of [`SHARED`] that they have a flag for.
const READ_SHARED: [&str; 4] = ["identify", "enroll", "people", "crop"];

/// Settings that mean the same to every subcommand.
const SHARED: [&str; 13] = [
    "model",
    "detector",
    "gallery",
    "threshold",
    "max-false-accepts",
    "any-quality",
    "camera",
    "command",
    "fps",
    "width",
    "height",
    "rotate",
    "flip",
];

/// Settings of which one stands for all: one that is said nearer to the user silences the others.
const ALTERNATIVES: [&[&str]; 2] =
    [&["camera", "command", "stdin", "pictures"], &["threshold", "max-false-accepts"]];

/// Settings that belong to a source and are silenced with it.
const OF_A_SOURCE: [&str; 2] = ["recording", "repeat"];

/// Settings that belong to a camera, also to one behind a program.
const OF_A_CAMERA: [&str; 2] = ["rotate", "flip"];

/// Settings that are of use only with another.
const NEEDS: [(&str, &str); 5] = [
    ("width", "height"),
    ("height", "width"),
    ("repeat", "pictures"),
    ("snapshot-limit", "snapshot"),
    ("on-event-timeout", "on-event"),
];

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
pub enum Kind {
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
    pub kind: Kind,
    /// Its values; none where it is not set.
    pub values: Vec<String>,
    /// Who set it.
    pub origin: Origin,
}

/// Why there is no command to run.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or asks for help.
    Usage(clap::Error),
    /// A setting from elsewhere is wrong.
    Settings(Error),
}

/// The command line as it shows itself: with the environment variable of every setting.
pub fn command() -> Command {
    named_variables(Cli::command(), &[])
}

fn named_variables(command: Command, path: &[String]) -> Command {
    let command = command.mut_args(|arg| match setting_key(path, &arg) {
        // What a variable holds may be a password.
        Some(key) => arg.env(variable(&key)).hide_env_values(true),
        None => arg,
    });
    command.mut_subcommands(|inner| {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        named_variables(inner, &path)
    })
}

/// Reads the command line with the environment and the settings file behind it.
///
/// # Errors
/// The [`Failure`] to show.
pub fn parse(
    args: &[OsString],
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(Cli, Vec<Setting>), Failure> {
    let typed = Cli::command().try_get_matches_from(args).map_err(|error| {
        // Help and usage are shown with the environment variables, and without what hides in arguments.
        let args = args.iter().map(|arg| shown::line(arg.display()));
        usage(command().try_get_matches_from(args).err().unwrap_or(error))
    })?;
    let (path, leaf) = innermost(&typed);
    let mut layered = Cli::command();
    let place =
        path.iter().try_fold(&mut layered, |command, name| command.find_subcommand_mut(name));
    let mut settings = Vec::new();
    if let Some(place) =
        place.filter(|place| place.get_arguments().any(|arg| setting_key(&path, arg).is_some()))
    {
        let file = settings_file(&typed, environment).map_err(Failure::Settings)?;
        settings = resolve(place, &path, leaf, environment, &file).map_err(Failure::Settings)?;
        *place = place.clone().mut_args(|arg| with_default(arg, &path, &settings));
    }
    let matches = layered.try_get_matches_from(args).map_err(usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(usage)?;
    for setting in &mut settings {
        if matches!(setting.origin, Origin::Flag | Origin::Default) {
            setting.values = effective(innermost(&matches).1, setting);
        }
    }
    Ok((cli, settings))
}

/// A value of the user's without its secrets. An address may wrongly hold blanks, in its password too.
fn shown_value(value: &str) -> String {
    if value.contains("://") { shown::line(value.replace(' ', "%20")) } else { shown::line(value) }
}

/// A wrong command line, without the secrets of an address that is wrong.
fn usage(mut error: clap::Error) -> Failure {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let shown = ContextValue::String(shown_value(value));
        error.insert(ContextKind::InvalidValue, shown);
    }
    Failure::Usage(error)
}

/// Names of the subcommands that were given, and the matches of the last.
fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut names, mut leaf) = (Vec::new(), matches);
    while let Some((name, inner)) = leaf.subcommand() {
        names.push(name.to_owned());
        leaf = inner;
    }
    (names, leaf)
}

/// The setting that `arg` of a subcommand is; `None` for other arguments.
fn setting_key(path: &[String], arg: &Arg) -> Option<String> {
    let key = arg.get_long().filter(|_| !arg.is_global_set())?;
    if matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::Version) {
        return None;
    }
    let command = path.first()?.as_str();
    let is_read =
        READ_ALL.contains(&command) || (READ_SHARED.contains(&command) && SHARED.contains(&key));
    (is_read && !NOT_READ.contains(&(command, key))).then(|| key.to_owned())
}

/// `max-fps` is CELEBCAM_MAX_FPS in the environment.
fn variable(key: &str) -> String {
    format!("CELEBCAM_{}", key.replace('-', "_").to_uppercase())
}

/// Variables for other things than settings: how it is run and tested, and what commands are told.
const OTHER_VARIABLES: [&str; 12] = [
    "CONFIG",
    "ISA",
    "DATA",
    "RUNNER",
    "VM",
    "UPDATE_GOLDEN",
    "GROUP",
    "EVENT",
    "TRACK",
    "NAME",
    "ID",
    "CONFIDENCE",
];

/// A sentence for each of the `names` of the environment that looks like a setting and is none.
pub fn unknown_variables(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let run = run_command();
    let known: Vec<String> = run.get_arguments().filter_map(Arg::get_long).map(variable).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let is_other = |name: &str| {
        known.contains(&name)
            || name
                .strip_prefix("CELEBCAM_")
                .is_none_or(|rest| OTHER_VARIABLES.contains(&rest) || rest.starts_with("SOAK_"))
    };
    let sentence = |name: OsString| {
        let name = name.to_string_lossy().into_owned();
        let advice = file::likely_meant(&name, &known);
        (!is_other(&name)).then(|| format!("{name} is no setting and has no effect; {advice}"))
    };
    names.filter_map(sentence).collect()
}

/// The settings file in use, where `named` is the one of the command line.
pub fn file_path(
    named: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let named = named.map(Path::to_owned).or_else(|| {
        environment("CELEBCAM_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    named.or_else(|| file::default_path(environment))
}

fn settings_file(
    typed: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<SettingsFile> {
    let named = innermost(typed).1.get_one::<PathBuf>("config");
    let Some(path) = file_path(named.map(PathBuf::as_path), environment) else {
        return Ok(SettingsFile::default());
    };
    let file = SettingsFile::read(&path)?;
    let run = run_command();
    let known: Vec<&str> = run.get_arguments().filter_map(Arg::get_long).collect();
    file.check_keys(&known)?;
    for (key, values) in &file.settings {
        check(&run, key, key, values).map_err(|reason| file::wrong(&path, &reason))?;
    }
    Ok(file)
}

fn run_command() -> Command {
    Cli::command().find_subcommand("run").cloned().unwrap_or_default()
}

/// Checks the values of a setting, which was called `name`, by the flag's own rules.
fn check(run: &Command, key: &str, name: &str, values: &[String]) -> Result<(), String> {
    let Some(arg) = run.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
        return Ok(());
    };
    let kind = kind(arg);
    let shown: Vec<String> = values.iter().map(|value| shown_value(value)).collect();
    let shown = shown.join(", ");
    if kind == Kind::Flag {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err(format!("{name} = {shown}: true or false is needed")),
        };
    }
    if kind != Kind::List && values.len() != 1 {
        return Err(format!("{name} takes one value, not {}", values.len()));
    }
    let words = values.iter().map(|value| format!("--{key}={value}"));
    let refused = run.clone().no_binary_name(true).try_get_matches_from(words).err();
    match refused {
        Some(error) => match reason(&error) {
            Some(reason) => Err(format!("{name} = {shown}: {reason}")),
            None => Ok(()),
        },
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

fn kind(arg: &Arg) -> Kind {
    let numbers =
        [TypeId::of::<f32>(), TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()];
    let holds = arg.get_value_parser().type_id();
    if !arg.get_action().takes_values() {
        Kind::Flag
    } else if matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
    {
        Kind::List
    } else if numbers.iter().any(|number| holds == *number) {
        Kind::Number
    } else {
        Kind::Text
    }
}

/// The settings of a subcommand, with the values that the environment and the file give; those of
/// flags and defaults are left out.
fn resolve(
    command: &Command,
    path: &[String],
    typed: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
    file: &SettingsFile,
) -> Result<Vec<Setting>> {
    let run = run_command();
    let mut settings = Vec::new();
    for arg in command.get_arguments() {
        let Some(key) = setting_key(path, arg) else { continue };
        let variable = variable(&key);
        let (origin, values) =
            if typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
                (Origin::Flag, Vec::new())
            } else if let Some(value) = environment(&variable).filter(|value| !value.is_empty()) {
                let values = vec![value.to_string_lossy().into_owned()];
                check(&run, &key, &variable, &values).map_err(Error::Config)?;
                (Origin::Environment(variable), values)
            } else if let Some(values) = file.settings.get(&key) {
                (Origin::File(file.path.clone()), values.clone())
            } else {
                (Origin::Default, Vec::new())
            };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        settings.push(Setting { key, help, kind: kind(arg), values, origin });
    }
    ALTERNATIVES.iter().try_for_each(|group| silence(&mut settings, group))?;
    check_needs(&settings)?;
    Ok(settings)
}

fn check_needs(settings: &[Setting]) -> Result<()> {
    let said = |key| settings.iter().find(|setting| setting.key == key && is_said(setting));
    for (key, needed) in NEEDS {
        if let (Some(setting), None) = (said(key), said(needed)) {
            let origin = &setting.origin;
            return Err(Error::Config(format!("{key} ({origin}) is of use only with {needed}")));
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
        return Err(Error::Config(format!(
            "{} ({}) and {} ({}) exclude each other; leave one of them out",
            first.key, first.origin, second.key, second.origin
        )));
    }
    // A camera's turn is none of photos that are named nearer to the user.
    let of_photos = rivals.iter().any(|setting| setting.key == "pictures");
    let with_it = |key: &str| {
        group.contains(&"camera")
            && (OF_A_SOURCE.contains(&key) || of_photos && OF_A_CAMERA.contains(&key))
    };
    for setting in settings.iter_mut() {
        let key = setting.key.as_str();
        if (group.contains(&key) || with_it(key)) && setting.origin.rank() < nearest {
            setting.origin = Origin::Default;
            setting.values.clear();
        }
    }
    Ok(())
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

fn with_default(arg: Arg, path: &[String], settings: &[Setting]) -> Arg {
    let key = setting_key(path, &arg);
    let setting = settings.iter().find(|setting| Some(&setting.key) == key.as_ref());
    match setting {
        Some(setting) if !setting.values.is_empty() => {
            arg.default_values(setting.values.iter().map(OsString::from))
        }
        _ => arg,
    }
}

/// The values of a setting among the final matches.
fn effective(matches: &ArgMatches, setting: &Setting) -> Vec<String> {
    let id = setting.key.replace('-', "_");
    if setting.kind == Kind::Flag {
        return vec![matches.get_flag(&id).to_string()];
    }
    let raw = matches.get_raw(&id).into_iter().flatten();
    raw.map(|value| value.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests;
