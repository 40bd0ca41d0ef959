//! Variables of the environment that look like settings.

use std::ffi::OsString;

use clap::{Command, CommandFactory};

use super::file;
use crate::cli::Cli;

/// Variables for other things than settings: how it is run and tested, and what commands are told.
const OTHER_VARIABLES: [&str; 13] = [
    "CONFIG",
    "ISA",
    "DATA",
    "RUNNER",
    "VM",
    "UPDATE_GOLDEN",
    "EXPECT_ISA",
    "GROUP",
    "EVENT",
    "TRACK",
    "NAME",
    "ID",
    "CONFIDENCE",
];

/// A sentence for each of the `names` of the environment that looks like a setting and is none.
pub fn unknown_variables(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").into_iter().flat_map(Command::get_arguments);
    let known: Vec<&str> = run.filter_map(|arg| arg.get_env()?.to_str()).collect();
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
