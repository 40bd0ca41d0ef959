//! `celebcam doctor`: looks at everything that a run needs and says what to do about what is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::{DoctorArgs, RunArgs};
use crate::commands::run::spec;
use crate::settings::Setting;
use crate::source::SourceSpec;
use crate::system::service::{self, Hangup, StatusRequest};
use crate::system::stop::StopFlag;

mod board;
mod camera;
mod files;
mod finding;
mod frame;
mod holder;
mod inference;
mod permission;
mod processor;
mod report;
mod space;
mod upright;

use finding::{Finding, Status};
use report::Report;

/// Prints a line for each check. All are made, whatever the ones before have found; the exit code is
/// that of the first failure.
///
/// # Errors
///
/// An output that cannot be written.
pub fn execute(
    args: &DoctorArgs,
    config: Option<&Path>,
    settings: &[Setting],
) -> anyhow::Result<ExitCode> {
    let stop = service::stop_on_signal(Hangup::Stop, StatusRequest::default())?;
    let mut report = Report::new(args.run.format);
    report.add("settings", files::settings(&args.run, config, settings))?;
    examine(&args.run, &System::default(), &mut report, &stop)?;
    if stop.is_set() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(report.finish()?))
}

fn examine(
    args: &RunArgs,
    system: &System,
    report: &mut Report,
    stop: &StopFlag,
) -> io::Result<()> {
    let (engine, processor) = processor::check(usize::from(args.threads), system);
    let models = files::Models::load(args, &engine);
    report.add("models", models.finding(&args.models))?;
    report.add("gallery", files::gallery(&args.gallery, models.recognizer.as_ref().ok()))?;
    report.add("processor", processor)?;

    // The models are measured on a picture of the source, which comes first.
    let waiting = report.wait("waiting for a picture");
    let spec = spec(&args.source, false);
    let (cameras, device) = camera::check(&spec);
    let permission = permission::check(&spec, device.as_ref(), system);
    let can_open = permission.status() < Status::Warning;
    let (frame, picture) = match (&spec, &device) {
        (SourceSpec::Camera(_), None) => (Finding::skipped("there is no camera to look at"), None),
        _ if !can_open => (Finding::skipped("not looked at, see permission"), None),
        _ => frame::check(&spec, args.source.turn.turn(), device.as_ref(), system, stop),
    };
    let inference = (!stop.is_set()).then(|| {
        inference::check(&models, picture.as_ref(), &args.faces.wanted(), engine.threads())
    });
    let upright = match (&models.detector, &picture) {
        (Ok(detector), Some(picture)) if !stop.is_set() => {
            upright::check(detector, &picture.rgb, args.source.turn)
        }
        _ => None,
    };
    let frame = Finding::joined([Some(frame), upright].into_iter().flatten().collect());
    waiting.finish_and_clear();
    let Some(inference) = inference else { return Ok(()) };
    report.add("inference", inference)?;
    report.add("cameras", cameras)?;
    report.add("permission", permission)?;
    report.add("frame", frame)?;

    report.add("space", space::check(&args.gallery, &args.reactions))?;
    report.add("memory", board::memory(system))?;
    report.add("temperature", board::temperature(system))?;
    report.add("clock", board::clock(jiff::Timestamp::now(), &TimeZone::system()))
}

/// Where the system says how it is.
#[derive(Debug, Clone)]
struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl System {
    fn path(&self, below_root: &str) -> PathBuf {
        self.root.join(below_root)
    }

    /// A file's text without what surrounds it; `None` where it cannot be read.
    fn text(&self, below_root: &str) -> Option<String> {
        read_trimmed(&self.path(below_root))
    }

    /// The services of celebcam that run.
    fn running_services(&self) -> Vec<String> {
        let slices = ["sys/fs/cgroup", "sys/fs/cgroup/systemd"]
            .map(|groups| self.path(groups).join("system.slice"));
        let own = slices.iter().find(|slice| slice.join("celebcam.service").exists());
        let groups = slices.iter().flat_map(|slice| slice.join("system-celebcam.slice").read_dir());
        let names = groups.flatten().flatten().map(|group| group.file_name());
        let mut services: Vec<String> = names
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".service")?.to_owned()))
            .filter(|name| name.starts_with("celebcam@"))
            .chain(own.map(|_| "celebcam".to_owned()))
            .collect();
        services.sort();
        services.dedup();
        services
    }
}

/// The text of a file without blanks and zeros around it; `None` where it cannot be read.
fn read_trimmed(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace()).to_owned())
}

/// What `work` gives; `None` where it takes longer than `time`, as a driver may that does not return.
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::Builder::new().name("look".to_owned());
    // After the deadline nobody listens.
    worker.spawn(move || drop(sender.send(work()))).ok()?;
    receiver.recv_timeout(time).ok()
}

/// A path, or another word, as it is written in a command.
fn quoted(word: impl AsRef<Path>) -> String {
    let text = word.as_ref().to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

/// An amount for people, of memory or of a disk.
fn amount(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes >= 1e3 => format!("{:.1} GB", megabytes / 1e3),
        megabytes => format!("{megabytes:.0} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system in a folder, with these files.
    pub(super) fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = folder.path().to_owned();
        (folder, System { root })
    }

    #[test]
    fn work_that_does_not_return_is_left_alone() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let (_keep, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || never.recv().is_ok()), None);
        assert_eq!(within(Duration::from_secs(60), || panic!("a driver") as u8), None);
    }

    #[test]
    fn services_run_while_they_have_a_control_group() {
        let running = |groups: &[&str]| {
            let file = |group| (format!("sys/fs/cgroup/system.slice/{group}/cgroup.procs"), "1\n");
            let files: Vec<_> = groups.iter().map(file).collect();
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            system(&files).1.running_services()
        };
        let door = "system-celebcam.slice/celebcam@door.service";
        assert_eq!(running(&["celebcam.service"]), ["celebcam"]);
        assert_eq!(running(&[door]), ["celebcam@door"]);
        assert_eq!(running(&["celebcam.service", door]), ["celebcam", "celebcam@door"]);
        assert!(running(&["other.service"]).is_empty());
    }

    #[test]
    fn amounts_have_the_unit_that_fits() {
        assert_eq!(amount(49_600_000), "50 MB");
        assert_eq!(amount(12_340_000_000), "12.3 GB");
        assert_eq!(quoted("/a b/c"), "'/a b/c'");
    }
}
