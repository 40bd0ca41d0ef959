//! `celebcam run`: watches a stream of pictures and says who comes and goes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::{load_observer, open_gallery};
use crate::cli::{Format, ReactionArgs, RunArgs, SourceArgs};
use crate::defaults;
use crate::detect::Search;
use crate::error::{Error, Result};
use crate::gallery::live::Bell;
use crate::models;
use crate::pipeline::cadence::Rates;
use crate::pipeline::{Pace, Pipeline, Plan, SystemClock};
use crate::shown::count;
use crate::sink::{
    EventSink, Fanout, HookSink, HookSpec, LineSink, Render, SnapshotSink, StandardOutput,
    json_line, text_line,
};
use crate::source::{self, CameraChoice, CameraRequest, NetworkRequest, Selector, SourceSpec};
use crate::system::service::{self, Hangup, StatusRequest};
use crate::system::supervisor::Supervisor;
use crate::track::{Rules, WINDOW_FRAMES};

/// Prints one event when a person comes and one when they go, until the source ends or a signal
/// comes.
///
/// # Errors
///
/// No camera, a source that gives no pictures, a bad model, or an output that cannot be written.
pub fn execute(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let (rules, hook) = check(args)?;
    let bell = Bell::default();
    let reload = bell.clone();
    let status = StatusRequest::default();
    let hangup = Hangup::Reload(Box::new(move || reload.ring()));
    let stop = service::stop_on_signal(hangup, status.clone())?;
    let mut sinks = sinks(args, hook)?;
    // The camera starts up while the models are loaded.
    let mut source = source::open(&spec(&args.source, true), args.source.turn.turn())?;
    let settings = models::settings(usize::from(args.threads))?.with_stop(stop.shared());
    let observer = load_observer(&args.models, &args.decision, Search::Whole, &settings)?
        .with_wanted(args.faces.wanted());
    let gallery = open_gallery(&args.gallery, observer.recognizer())?;
    let (observer, _watch) = match gallery {
        Some(gallery) => {
            let people = gallery.shared().get().people().len();
            log::info!("{} in the gallery", count(people, "person", "people"));
            let observer = observer.with_gallery(Arc::clone(gallery.shared()));
            (observer, Some(gallery.watch(bell)))
        }
        None => (observer, None),
    };
    let model = observer.recognizer().model().fingerprint().to_owned();
    let plan = Plan { rules, pace: pace(args), model };
    log::info!("watching {}", source.name());
    Pipeline::new(source.as_mut(), &observer, &mut sinks, &SystemClock, plan)
        .supervised(Supervisor::of_system())
        .answering(status)
        .run(&stop)
        .map_err(Error::from)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks what the command line's own rules do not cover.
pub(crate) fn check(args: &RunArgs) -> Result<(Rules, Option<HookSpec>)> {
    check_recording(&args.source)?;
    check_snapshots(args)?;
    Ok((rules(args)?, hook(&args.reactions)?))
}

/// A camera is no film: time passes there between two pictures as well.
fn check_recording(source: &SourceArgs) -> Result<()> {
    let may_be_film = source.command.is_some() || source.stdin || !source.pictures.is_empty();
    if source.recording && !may_be_film {
        let reason = "recording is of use only with command or stdin: a camera gives no film";
        return Err(Error::Config(reason.to_owned()));
    }
    Ok(())
}

/// Snapshots make room for new ones, so none may be among the pictures that are looked at.
fn check_snapshots(args: &RunArgs) -> Result<()> {
    let Some(folder) = &args.reactions.snapshot else { return Ok(()) };
    let snapshots = resolved(folder);
    for path in &args.source.pictures {
        let pictures = resolved(path);
        if pictures.starts_with(&snapshots) || snapshots.starts_with(&pictures) {
            return Err(Error::Config(format!(
                "--snapshot {} and --pictures {} lie in one another, and the oldest snapshots are \
                 removed; name another folder",
                folder.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

/// The path without links and `..` as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match there {
        Some((above, real)) => real.join(path.strip_prefix(above).unwrap_or(Path::new(""))),
        None => path,
    }
}

fn rules(args: &RunArgs) -> Result<Rules> {
    if !(1..=WINDOW_FRAMES).contains(&args.confirm) {
        return Err(Error::Config(format!("--confirm has to be from 1 to {WINDOW_FRAMES}")));
    }
    let absence = Duration::try_from_secs_f32(args.absence)
        .map_err(|error| Error::Config(format!("--absence {}: {error}", args.absence)))?;
    Ok(Rules { confirm_frames: args.confirm, absence, with_strangers: args.unknown })
}

fn pace(args: &RunArgs) -> Pace {
    let rate = args.source.fps.unwrap_or(defaults::FILM_FPS);
    if !args.source.pictures.is_empty() {
        Pace::Pictures(rate)
    } else if args.source.recording {
        Pace::Film(rate)
    } else {
        Pace::Live(Rates::new(args.max_fps))
    }
}

/// The source that the arguments describe; with `wait`, a camera or a program may come later.
pub(crate) fn spec(args: &SourceArgs, wait: bool) -> SourceSpec {
    let recording = args.recording;
    if let Some(line) = &args.command {
        return SourceSpec::Command { line: line.clone(), recording, wait };
    }
    if args.stdin {
        return SourceSpec::Stdin { recording };
    }
    if !args.pictures.is_empty() {
        let (rate, repeat) = (args.fps, args.repeat);
        return SourceSpec::Pictures { paths: args.pictures.clone(), rate, repeat };
    }
    let size_px = args.width.zip(args.height);
    let selector = match args.camera.clone() {
        Some(CameraChoice::Network(address)) => {
            let rate = args.fps;
            return SourceSpec::Network(NetworkRequest { address, size_px, rate, wait });
        }
        Some(CameraChoice::Device(selector)) => selector,
        None => Selector::First,
    };
    SourceSpec::Camera(CameraRequest {
        selector,
        size_px,
        rate: args.fps.map(|rate| rate.round().max(1.0) as u32),
        frame_deadline: defaults::CAMERA_FRAME_DEADLINE,
        wait,
    })
}

fn hook(args: &ReactionArgs) -> Result<Option<HookSpec>> {
    let Some(line) = &args.on_event else { return Ok(None) };
    let time_limit = Duration::from_secs_f32(args.on_event_timeout);
    Ok(Some(HookSpec::parse(line, defaults::ON_EVENT_AT_ONCE, time_limit)?))
}

/// Commands come first: at the end it is they who may need time.
fn sinks(args: &RunArgs, hook: Option<HookSpec>) -> Result<Fanout> {
    let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
    if let Some(spec) = hook {
        sinks.push(Box::new(HookSink::start(spec)?));
    }
    if let Some(folder) = &args.reactions.snapshot {
        sinks.push(Box::new(SnapshotSink::start(folder, args.reactions.snapshot_limit)?));
    }
    let render: Render = match args.format {
        Format::Text => text_line,
        Format::Json => json_line,
    };
    sinks.push(Box::new(LineSink::start(StandardOutput, render)?));
    Ok(Fanout(sinks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        for (path, place) in [("a", "a"), ("link/new", "a/new"), ("a/../link", "a"), ("b/c", "b/c")]
        {
            assert_eq!(resolved(&folder.path().join(path)), real.join(place), "{path}");
        }
    }
}
