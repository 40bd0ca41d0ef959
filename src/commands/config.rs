//! `celebcam config`: the settings of `run` and where each comes from.

use std::io::{self, Write};
use std::process::ExitCode;

use super::run;
use crate::cli::ConfigArgs;
use crate::config::settings::{Kind, Origin, Setting};
use crate::shown::{masked, write_line};

/// Column behind which the origins stand.
const ORIGIN_COLUMN: usize = 35;

/// Prints the settings as a settings file, after checking them as `run` does; secrets are masked.
///
/// # Errors
///
/// [`Error::Config`](crate::error::Error::Config) for settings that `run` would refuse.
pub fn execute(args: &ConfigArgs, settings: &[Setting]) -> anyhow::Result<ExitCode> {
    run::check(&args.run)?;
    let mut out = io::stdout().lock();
    let lines: Vec<String> = settings.iter().map(line).collect();
    if settings.iter().flat_map(|setting| &setting.values).any(|value| masked(value) != *value) {
        write_line(&mut out, "# *** stands for a secret; write it in its place.")?;
    }
    for line in lines {
        write_line(&mut out, line)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A line of a settings file; what nobody has set is a comment there.
fn line(setting: &Setting) -> String {
    let key = &setting.key;
    if setting.values.is_empty() {
        return format!("{:ORIGIN_COLUMN$} # not set", format!("# {key} ="));
    }
    let assignment = format!("{key} = {}", value(setting));
    let mark = if setting.origin == Origin::Default { "# " } else { "" };
    format!("{:ORIGIN_COLUMN$} # {}", format!("{mark}{assignment}"), setting.origin)
}

fn value(setting: &Setting) -> String {
    let quoted = |value: &String| toml::Value::from(masked(value)).to_string();
    match setting.kind {
        Kind::Number if setting.values.concat().parse::<f64>().is_err() => {
            quoted(&setting.values.concat())
        }
        Kind::Flag | Kind::Number => setting.values.concat(),
        Kind::Text => quoted(&setting.values.concat()),
        Kind::List => {
            format!("[{}]", setting.values.iter().map(quoted).collect::<Vec<_>>().join(", "))
        }
    }
}
