//! Settings: flags before the environment, before the settings file, before the defaults.
//!
//! clap's definitions of the flags of `run` are those of the settings. [`parse`] reads what was said,
//! [`Config`] is what follows from it: the only thing that commands and the doctor go by.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

mod config;
mod error;
mod file;
mod said;
mod values;
mod variables;

use crate::cli::Cli;
use crate::shown;
pub use config::{
    Config, DoctorConfig, EnrollCamera, EnrollConfig, EnrollFrom, EnrollPhotos, IdentifyConfig,
    PeopleChange, PeopleConfig, RunConfig, Setup, Snapshots,
};
pub use error::{Error, FileFault, Result, WrongValue};
use file::SettingsFile;
pub use said::{Origin, Setting, ValueKind};
pub use variables::unknown_variables;

/// Why there is no command to run.
#[derive(Debug)]
pub enum ParseFailure {
    /// The command line is wrong, or asks for help.
    Usage(clap::Error),
    /// A setting from elsewhere is wrong.
    Settings(Error),
}

/// What was said, and where.
#[derive(Debug, Default)]
pub struct Said {
    /// The settings of the subcommand, none where it has none.
    pub settings: Vec<Setting>,
    /// The settings file, where there is one.
    pub file: Option<PathBuf>,
    /// The system's settings file, where it would be in use and is not for this user to read.
    pub withheld: Option<PathBuf>,
}

/// The command line as it shows itself: with the environment variable of every setting.
pub fn command() -> Command {
    // What a variable holds may be a password.
    with_args(Cli::command(), |arg| arg.hide_env_values(true))
}

/// The command line as it is read: a variable that is empty says nothing, and one that is wrong is no
/// wrong usage, so they are not clap's to read.
fn without_variables() -> Command {
    with_args(Cli::command(), |arg| arg.env(Resettable::Reset))
}

fn with_args(command: Command, change: fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|inner| with_args(inner, change))
}

/// Reads the command line with the environment and the settings file behind it.
///
/// # Errors
/// The [`ParseFailure`] to show.
pub fn parse(
    args: &[OsString],
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(Cli, Said), ParseFailure> {
    let mut matches = without_variables().try_get_matches_from(args).map_err(|error| {
        // Help and usage are shown with the environment variables, and without what hides in arguments.
        let args = args.iter().map(|arg| shown::line(arg.display()));
        usage(command().try_get_matches_from(args).err().unwrap_or(error))
    })?;
    let (path, leaf) = innermost(&matches);
    let definitions = Cli::command();
    let definition =
        path.iter().try_fold(&definitions, |command, name| command.find_subcommand(name));
    let definition = definition.filter(|it| it.get_arguments().any(said::is_setting));
    let mut said = Said::default();
    if let Some(definition) = definition {
        let named = leaf.get_one::<PathBuf>("config").map(PathBuf::as_path);
        let file = settings_file(named, environment).map_err(ParseFailure::Settings)?;
        said = said_by(definition, leaf, environment, file).map_err(ParseFailure::Settings)?;
        if said.settings.iter().any(|setting| !setting.values.is_empty()) {
            // clap takes values from elsewhere as defaults of its definitions alone, and what was said
            // on the command line decides which of them count: so it is read once more.
            let layered = with_defaults(without_variables(), &path, &said.settings);
            matches = layered.try_get_matches_from(args).map_err(usage)?;
        }
        said::take_effective(&mut said.settings, innermost(&matches).1);
    }
    Ok((Cli::from_arg_matches(&matches).map_err(usage)?, said))
}

/// A wrong command line, without the secrets of an address that is wrong.
fn usage(mut error: clap::Error) -> ParseFailure {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let shown = ContextValue::String(values::shown(value));
        error.insert(ContextKind::InvalidValue, shown);
    }
    ParseFailure::Usage(error)
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

/// The definition of `run`, of which every flag is a setting.
fn run_command() -> Command {
    without_variables().find_subcommand("run").cloned().unwrap_or_default()
}

/// The settings file in use, where `named` is the one of the command line.
fn file_path(
    named: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let named = named.map(Path::to_owned).or_else(|| {
        environment("CELEBCAM_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    named.or_else(|| file::default_path(environment))
}

/// Reads the settings file in use and checks what it says; `None` where there is none.
fn settings_file(
    named: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<SettingsFile>> {
    let Some(path) = file_path(named, environment) else { return Ok(None) };
    let file = SettingsFile::read(&path)?;
    let run = run_command();
    let known: Vec<&str> = run.get_arguments().filter_map(Arg::get_long).collect();
    file.check_keys(&known)?;
    for (key, values) in &file.settings {
        values::check(&run, key, key, values).map_err(|wrong| file::wrong(&path, wrong.into()))?;
    }
    Ok(Some(file))
}

fn said_by(
    definition: &Command,
    typed: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
    file: Option<SettingsFile>,
) -> Result<Said> {
    let settings = said::settings(definition, typed, environment, file.as_ref())?;
    let withheld = if file.is_none() { file::withheld() } else { None };
    Ok(Said { settings, file: file.map(|file| file.path), withheld })
}

/// The command line whose subcommand `path` has the values of `settings` as its defaults.
fn with_defaults(command: Command, path: &[String], settings: &[Setting]) -> Command {
    match path {
        [] => command.mut_args(|arg| {
            let setting = settings.iter().find(|setting| arg.get_long() == Some(&setting.key));
            match setting {
                Some(setting) if !setting.values.is_empty() => {
                    arg.default_values(setting.values.iter().map(OsString::from))
                }
                _ => arg,
            }
        }),
        [name, path @ ..] => {
            command.mut_subcommand(name, |inner| with_defaults(inner, path, settings))
        }
    }
}

#[cfg(test)]
mod tests;
