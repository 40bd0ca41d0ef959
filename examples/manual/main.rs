//! Writes the man pages and shell completions, which are made from the definitions of the command
//! line, into a folder laid out as /usr/share. The pages bear the day of a number of seconds since
//! 1970, or none.
//! usage: cargo run --example manual -- FOLDER [SECONDS]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use celebcam::settings;
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
    let mut args = std::env::args_os().skip(1);
    let folder = args.next().map(PathBuf::from);
    let folder = folder.context("usage: cargo run --example manual -- FOLDER [SECONDS]")?;
    let date = args.next().map_or(Ok(String::new()), |seconds| date(&seconds.to_string_lossy()))?;
    for page in page::pages(settings::command(), &date)? {
        write(&folder.join("man/man1").join(page.file), page.text.as_bytes())?;
    }
    for (shell, place) in COMPLETIONS {
        write(&folder.join(place), &completion(shell, settings::command()))?;
    }
    Ok(())
}

/// The day of a number of seconds since 1970.
fn date(seconds: &str) -> anyhow::Result<String> {
    let wrong = || format!("not a number of seconds since 1970: {seconds}");
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
    fn a_number_of_seconds_is_a_day() {
        assert_eq!(date("86400").expect("a number"), "1970-01-02");
        let error = date("today").expect_err("no number");
        assert!(format!("{error:#}").contains("seconds since 1970: today"), "{error:#}");
    }
}
