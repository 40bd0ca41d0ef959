//! Writes the man pages and shell completions, which are made from the definitions of the command
//! line, into a folder laid out as /usr/share. The pages bear the date of `SOURCE_DATE_EPOCH`, or none.
//! usage: cargo run --example manual -- FOLDER

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use celebcam::config::settings;
use clap::Command;
use clap_complete::Shell;
use jiff::Timestamp;

mod notes;
mod page;

/// Where each shell looks for the completions of a program.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/celebcam"),
    (Shell::Zsh, "zsh/vendor-completions/_celebcam"),
    (Shell::Fish, "fish/vendor_completions.d/celebcam.fish"),
];

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: cargo run --example manual -- FOLDER")?;
    let date = date(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    for page in page::pages(settings::command(), &date)? {
        write(&folder.join("man/man1").join(page.file), page.text.as_bytes())?;
    }
    for (shell, place) in COMPLETIONS {
        write(&folder.join(place), &completion(shell, settings::command()))?;
    }
    Ok(())
}

/// The day of a number of seconds since 1970.
fn date(seconds: Option<&str>) -> anyhow::Result<String> {
    let Some(seconds) = seconds else { return Ok(String::new()) };
    let wrong = || format!("SOURCE_DATE_EPOCH is not a number of seconds: {seconds}");
    let time = Timestamp::from_second(seconds.parse().with_context(wrong)?).with_context(wrong)?;
    Ok(time.strftime("%Y-%m-%d").to_string())
}

fn completion(shell: Shell, mut command: Command) -> Vec<u8> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let shown = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(shown)?;
    }
    fs::write(path, content).with_context(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_knows_every_subcommand() {
        for (shell, _) in COMPLETIONS {
            let script = String::from_utf8(completion(shell, settings::command())).expect("text");
            for subcommand in settings::command().get_subcommands() {
                assert!(script.contains(subcommand.get_name()), "{shell}: {subcommand}");
            }
        }
    }

    #[test]
    fn the_date_is_that_of_the_source() {
        assert_eq!(date(Some("86400")).expect("a number"), "1970-01-02");
        assert_eq!(date(None).expect("none is fine"), "");
        let error = date(Some("today")).expect_err("no number");
        assert!(format!("{error:#}").contains("SOURCE_DATE_EPOCH"), "{error:#}");
    }
}
