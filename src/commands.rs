//! The subcommands, one file each.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::shown;

pub mod bench;
pub mod cameras;
pub mod config;
pub mod crop;
pub mod enroll;
pub mod identify;
pub mod model;
mod outputs;
pub mod people;
pub mod run;

/// Says a line to whoever sits at the terminal, if anybody does.
fn say(line: impl Display) {
    let _ = shown::write_line(&mut std::io::stderr(), line);
}

/// Prints a line on standard output.
fn print(line: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let printed = shown::write_line(&mut out, line).and_then(|()| out.flush());
    printed.map_err(|source| Error::Output { path: PathBuf::from("standard output"), source })
}

/// A bar on standard error while `count` pictures are worked on; nothing is drawn for a single
/// picture or when standard error is not a terminal.
fn progress_bar(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} pictures, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
