//! The `celebcam` program: reads the command line, starts logging, runs the command and ends with the
//! exit code of its outcome.

use std::any::Any;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use celebcam::cli::{Cli, Command};
use celebcam::error::Error;
use celebcam::exit::{Exit, with_causes};
use celebcam::settings::{self, Config, ParseFailure, Said};
use celebcam::system::{heap, journal};
use celebcam::{commands, doctor, shown};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let (cli, said) = match settings::parse(&args, &|name| std::env::var_os(name)) {
        Ok(parsed) => parsed,
        Err(ParseFailure::Usage(error)) => error.exit(),
        Err(ParseFailure::Settings(error)) => {
            say(&error);
            return Exit::of(&error.into()).into();
        }
    };
    let is_doctor = matches!(cli.command, Command::Doctor(_));
    // The doctor's lines tell what a log would.
    start_logging(cli.verbose, cli.quiet || (is_doctor && cli.verbose == 0));
    let unknown_variables = settings::unknown_variables(std::env::vars_os().map(|(name, _)| name));
    warn_of_settings(&unknown_variables, &said, is_doctor);
    let ended = catch_unwind(|| run(cli, said, unknown_variables)).unwrap_or_else(|panic| {
        Err(anyhow::anyhow!("this is a fault of celebcam, please report it: {}", words(&*panic)))
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            say(&with_causes(&*error));
            Exit::of_any(&error).into()
        }
    }
}

/// Says why the program ends, if anybody listens.
fn say(error: &dyn Display) {
    let prefix = if journal::is_on_stderr() { "<3>" } else { "celebcam: " };
    let _ = writeln!(std::io::stderr(), "{prefix}{}", shown::line(error));
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

fn run(cli: Cli, said: Said, unknown_variables: Vec<String>) -> anyhow::Result<Exit> {
    heap::fit_limit()?;
    let environment = |name: &str| std::env::var_os(name);
    let config = Config::new(cli, said, unknown_variables, &environment).map_err(Error::from)?;
    match config {
        Config::Identify(config) => commands::identify::execute(&config),
        Config::Run(config) => commands::run::execute(config),
        Config::Enroll(config) => commands::enroll::execute(&config),
        Config::People(config) => commands::people::execute(&config),
        Config::Crop(args) => commands::crop::execute(&args),
        Config::Config(settings) => commands::config::execute(&settings),
        Config::Doctor(config) => doctor::execute(config),
        Config::Cameras => commands::cameras::execute(),
        Config::Model(args) => commands::model::execute(&args),
        Config::Bench(args) => commands::bench::execute(&args),
    }
}

/// Logs go to standard error: celebcam's own messages, more with `-v`, or as `RUST_LOG` says. What a
/// dependency warns of is no matter of the user's, and comes with `-v` only. In the journal of systemd a
/// line has a priority in place of a time.
fn start_logging(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "error,celebcam=info",
        (false, 1) => "warn,celebcam=debug",
        (false, _) => "debug,celebcam=trace",
    };
    let filter = env_logger::Env::default().default_filter_or(level);
    let mut logger = env_logger::Builder::from_env(filter);
    if journal::is_on_stderr() {
        logger.format(journal::write);
    } else {
        logger.format(|out, record| {
            let (time, level) = (out.timestamp_seconds(), record.level());
            let style = out.default_level_style(level);
            writeln!(out, "[{time} {style}{level:<5}{style:#}] {}", shown::line(record.args()))
        });
    }
    logger.init();
    // A dependency that panics is caught where it is called and reported there in words.
    std::panic::set_hook(Box::new(|panic| log::debug!("{panic}")));
}

/// Warns of settings that somebody made and that have no effect; the doctor tells of them itself where
/// they are withheld.
fn warn_of_settings(unknown_variables: &[String], said: &Said, is_doctor: bool) {
    for warning in unknown_variables {
        log::warn!("{warning}");
    }
    if let Some(path) = said.withheld.as_ref().filter(|_| !is_doctor) {
        log::warn!("{} is left out: it is not for this user to read", path.display());
    }
}

/// Whether the reader of standard output has gone, as in `celebcam identify ... | head -1`. A run that loses
/// its reader ends well by itself, so a broken pipe in an error of it is another one.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_of_run = matches!(error.downcast_ref(), Some(Error::Pipeline(_)));
    !is_of_run
        && error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
