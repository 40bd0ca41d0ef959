//! The `celebcam` program: parses the command line, starts logging, runs the command and maps an
//! error to an exit code.

use std::any::Any;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use celebcam::cli::{Cli, Command};
use celebcam::error;
use celebcam::settings::{self, Failure, Setting};
use celebcam::system::{heap, journal};
use celebcam::{commands, doctor, shown};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let (cli, settings) = match settings::parse(&args, &|name| std::env::var_os(name)) {
        Ok(parsed) => parsed,
        Err(Failure::Usage(error)) => error.exit(),
        Err(Failure::Settings(error)) => {
            say(&error);
            return ExitCode::from(error.exit_code());
        }
    };
    // What the doctor sees is in its lines.
    let quiet = matches!(cli.command, Command::Doctor(_)) && cli.verbose == 0;
    start_logging(cli.verbose, cli.quiet || quiet);
    warn_of_settings(&cli);
    let ended = catch_unwind(|| run(&cli, &settings)).unwrap_or_else(|panic| {
        Err(anyhow::anyhow!("this is a fault of celebcam, please report it: {}", words(&*panic)))
    });
    match ended {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error::with_causes(&*error));
            ExitCode::from(error.chain().find_map(error::exit_code).unwrap_or(1))
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

fn run(cli: &Cli, settings: &[Setting]) -> anyhow::Result<ExitCode> {
    heap::fit_limit()?;
    match &cli.command {
        Command::Identify(args) => commands::identify::execute(args),
        Command::Run(args) => commands::run::execute(args),
        Command::Enroll(args) => commands::enroll::execute(args),
        Command::People(args) => commands::people::execute(args),
        Command::Crop(args) => commands::crop::execute(args),
        Command::Config(args) => commands::config::execute(args, settings),
        Command::Doctor(args) => doctor::execute(args, cli.config.as_deref(), settings),
        Command::Cameras(args) => commands::cameras::execute(args),
        Command::Model(args) => commands::model::execute(args),
        Command::Bench(args) => commands::bench::execute(args),
    }
}

/// Logs go to standard error: our own words, more with `-v`, or as `RUST_LOG` says. What a
/// dependency warns of is no matter of the user's, and comes with `-v`. The journal of systemd gets
/// priorities in place of times.
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

/// Warns of settings that somebody made and that have no effect.
fn warn_of_settings(cli: &Cli) {
    for warning in settings::unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        log::warn!("{warning}");
    }
    let file = settings::file_path(cli.config.as_deref(), &|name| std::env::var_os(name));
    let withheld = settings::withheld().filter(|_| file.is_none());
    let reads_none = matches!(
        cli.command,
        Command::Doctor(_) | Command::Cameras(_) | Command::Model(_) | Command::Bench(_)
    );
    if let Some(path) = withheld.filter(|_| !reads_none) {
        log::warn!("{} is left out: it is not for this user to read", path.display());
    }
}

/// Whether the reader of our output has gone, as `celebcam identify ... | head -1` does. A run knows its
/// reader; a broken pipe that it fails for is another's.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_of_run = matches!(error.downcast_ref(), Some(error::Error::Pipeline(_)));
    !is_of_run
        && error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
