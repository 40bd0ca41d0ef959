//! The doctor's lines, for people and for programs.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Finding, Status};
use crate::cli::Format;
use crate::exit::Exit;
use crate::shown::{self, count};

/// Version of the JSON lines.
const SCHEMA: u32 = 1;

/// Columns of the status and of the check's name.
const STATUS_COLUMN: usize = 9;
const CHECK_COLUMN: usize = 13;

/// What has been found so far.
pub struct Report {
    format: Format,
    outcomes: Vec<(&'static str, Status, Option<Exit>)>,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    schema: u32,
    check: &'a str,
    status: Status,
    found: &'a str,
    advice: Option<&'a str>,
    exit_code: Option<u8>,
}

impl<'a> CheckLine<'a> {
    fn of(check: &'a str, found: &'a str) -> Self {
        let status = Status::Ok;
        Self { schema: SCHEMA, check, status, found, advice: None, exit_code: None }
    }
}

impl Report {
    /// Nothing yet.
    pub fn new(format: Format) -> Self {
        Self { format, outcomes: Vec::new() }
    }

    /// Prints what `check` has found.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn add(&mut self, check: &'static str, finding: Finding) -> io::Result<()> {
        let finding = finding.masked();
        self.outcomes.push((check, finding.status(), finding.exit()));
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Text => write_text(&mut out, check, &finding)?,
            Format::Json => write_json(&mut out, &line(check, &finding))?,
        }
        out.flush()
    }

    /// Prints the sum of all; gives how the process ends.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn finish(self) -> io::Result<Exit> {
        let (status, found) = self.sum();
        let exit = self.outcomes.iter().find_map(|(_, _, exit)| *exit).unwrap_or(Exit::Done);
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Text => {
                let style = style(status).bold();
                writeln!(out, "\n{style}{found}{style:#}")?;
            }
            Format::Json => {
                let (found, exit_code) = (found.as_str(), Some(exit.code()));
                write_json(
                    &mut out,
                    &CheckLine { status, exit_code, ..CheckLine::of("summary", found) },
                )?;
            }
        }
        out.flush()?;
        Ok(exit)
    }

    fn sum(&self) -> (Status, String) {
        let of = |wanted: Status, one: &str, many: &str| {
            let is_wanted = |outcome: &&(&'static str, Status, _)| outcome.1 == wanted;
            let names: Vec<&str> =
                self.outcomes.iter().filter(is_wanted).map(|one| one.0).collect();
            let text = format!("{} ({})", count(names.len(), one, many), names.join(", "));
            (!names.is_empty()).then_some(text)
        };
        let warnings = of(Status::Warning, "warning", "warnings");
        match (of(Status::Failure, "failure", "failures"), warnings) {
            (None, None) => (Status::Ok, "Ready to run.".to_owned()),
            (None, Some(warnings)) => (Status::Warning, format!("Ready to run, with {warnings}.")),
            (Some(failures), warnings) => {
                let warnings =
                    warnings.map_or_else(String::new, |warnings| format!(", {warnings}"));
                (Status::Failure, format!("Not ready to run: {failures}{warnings}."))
            }
        }
    }
}

/// A sign on standard error that something takes its time, where that is a terminal.
pub fn wait(format: Format, what: &'static str) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn style(status: Status) -> Style {
    match status {
        Status::Skipped => Style::new().dimmed(),
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Warning => AnsiColor::Yellow.on_default(),
        Status::Failure => AnsiColor::Red.on_default(),
    }
}

fn write_text(out: &mut impl Write, check: &str, finding: &Finding) -> io::Result<()> {
    let (status, style) = (finding.status().name(), style(finding.status()));
    let found = shown::line(finding.found());
    writeln!(out, "{style}{status:STATUS_COLUMN$}{style:#}{check:CHECK_COLUMN$}{found}")?;
    match finding.advice() {
        Some(advice) => {
            let margin = " ".repeat(STATUS_COLUMN + CHECK_COLUMN);
            writeln!(out, "{margin}{style}->{style:#} {}", shown::line(advice))
        }
        None => Ok(()),
    }
}

fn line<'a>(check: &'a str, finding: &'a Finding) -> CheckLine<'a> {
    CheckLine {
        status: finding.status(),
        advice: finding.advice(),
        exit_code: finding.exit().map(Exit::code),
        ..CheckLine::of(check, finding.found())
    }
}

fn write_json(out: &mut impl Write, line: &CheckLine<'_>) -> io::Result<()> {
    writeln!(out, "{}", shown::json(&serde_json::to_string(line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    fn report(outcomes: &[(&'static str, Status, Option<Exit>)]) -> Report {
        Report { format: Format::Text, outcomes: outcomes.to_vec() }
    }

    #[test]
    fn advice_stands_under_what_was_found() {
        let finding = Finding::warning("82 degrees", "Cool it.");
        let text = written(|out| write_text(out, "temperature", &finding));
        let lines = ["warning  temperature  82 degrees", "                      -> Cool it."];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        let fine = written(|out| write_text(out, "clock", &Finding::ok("fine")));
        assert_eq!(fine, "ok       clock        fine\n");
    }

    #[test]
    fn a_json_line_has_every_field() {
        let finding = Finding::failure("none", "Plug one in.", Exit::NoCamera);
        let text = written(|out| write_json(out, &line("cameras", &finding)));
        let expected = r#"{"schema":1,"check":"cameras","status":"failure","found":"none","#
            .to_owned()
            + r#""advice":"Plug one in.","exit_code":69}"#;
        assert_eq!(text.trim_end(), expected);
    }

    #[test]
    fn the_sum_names_what_is_not_well() {
        let fine = [("models", Status::Ok, None), ("gallery", Status::Skipped, None)];
        assert_eq!(report(&fine).sum(), (Status::Ok, "Ready to run.".to_owned()));
        let warned = [("space", Status::Warning, None), ("clock", Status::Warning, None)];
        assert_eq!(report(&warned).sum().1, "Ready to run, with 2 warnings (space, clock).");
        let failed = [
            ("cameras", Status::Failure, Some(Exit::NoCamera)),
            ("space", Status::Warning, None),
            ("models", Status::Failure, Some(Exit::BadConfiguration)),
        ];
        let text = "Not ready to run: 2 failures (cameras, models), 1 warning (space).";
        assert_eq!(report(&failed).sum().1, text);
        assert_eq!(report(&failed).finish().unwrap(), Exit::NoCamera);
    }
}
