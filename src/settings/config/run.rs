//! What `run` goes by, and what of it the doctor looks at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{observer, seconds};
use crate::cli::{Format, ReactionArgs, RunArgs, SourceArgs};
use crate::defaults;
use crate::picture::turn::Turn;
use crate::pipeline::Pace;
use crate::pipeline::cadence::Rates;
use crate::settings::error::{Error, Result};
use crate::sink::HookSpec;
use crate::source::{
    CameraChoice, CameraRequest, CommandRequest, NetworkRequest, PicturesRequest, Selector,
    SourceSpec, StdinRequest, Time,
};
use crate::stages::ObserverSpec;
use crate::track::{VisitRules, WINDOW_FRAMES};

/// What `run` goes by.
#[derive(Debug)]
pub struct RunConfig {
    /// How to print events.
    pub format: Format,
    /// What it works with.
    pub setup: Setup,
    /// When somebody has come and gone.
    pub rules: VisitRules,
    /// Which frames to look at, and whose time counts.
    pub pace: Pace,
    /// The program for events.
    pub hook: Option<HookSpec>,
}

/// What a run works with, whether it is there or not.
#[derive(Debug)]
pub struct Setup {
    /// The source.
    pub source: Box<dyn SourceSpec>,
    /// How its pictures are turned.
    pub turn: Turn,
    /// The observer to load.
    pub observer: ObserverSpec,
    /// Processor cores for one picture.
    pub threads: usize,
    /// The gallery's file.
    pub gallery: Option<PathBuf>,
    /// Where snapshots go.
    pub snapshots: Option<Snapshots>,
}

/// Where snapshots go.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes that they may take.
    pub limit_bytes: u64,
}

impl RunConfig {
    pub(super) fn new(args: &RunArgs, gallery: Option<PathBuf>) -> Result<Self> {
        let (rules, hook) = check(args)?;
        let setup = Setup::new(args, gallery, true);
        let pace = pace(args, setup.source.as_ref());
        Ok(Self { format: args.format, setup, rules, pace, hook })
    }
}

impl Setup {
    pub(super) fn new(args: &RunArgs, gallery: Option<PathBuf>, wait: bool) -> Self {
        let ReactionArgs { snapshot, snapshot_limit: limit_bytes, .. } = args.reactions.clone();
        Self {
            source: source(&args.source, wait),
            turn: args.source.turn.turn(),
            observer: observer(args.models.clone(), &args.decision, &args.faces),
            threads: usize::from(args.threads),
            gallery,
            snapshots: snapshot.map(|folder| Snapshots { folder, limit_bytes }),
        }
    }
}

/// Checks what the command line's own rules do not cover.
pub(super) fn check(args: &RunArgs) -> Result<(VisitRules, Option<HookSpec>)> {
    let is_live = source(&args.source, false).time() == Time::Live;
    if args.source.playback.recording && is_live {
        return Err(Error::NoFilm);
    }
    check_snapshots(args)?;
    Ok((rules(args)?, hook(&args.reactions)?))
}

fn check_snapshots(args: &RunArgs) -> Result<()> {
    let Some(folder) = &args.reactions.snapshot else { return Ok(()) };
    let snapshots = resolved(folder);
    for path in &args.source.kind.pictures {
        let pictures = resolved(path);
        if pictures.starts_with(&snapshots) || snapshots.starts_with(&pictures) {
            let (snapshots, pictures) = (folder.clone(), path.clone());
            return Err(Error::SnapshotsAmongPictures { snapshots, pictures });
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

fn rules(args: &RunArgs) -> Result<VisitRules> {
    if !(1..=WINDOW_FRAMES).contains(&args.confirm) {
        return Err(Error::Confirm);
    }
    let absence = seconds("absence", args.absence)?;
    Ok(VisitRules { confirm_frames: args.confirm, absence, with_strangers: args.unknown })
}

fn pace(args: &RunArgs, source: &dyn SourceSpec) -> Pace {
    let rate = args.source.fps.unwrap_or(defaults::FILM_FPS);
    match source.time() {
        Time::Live => Pace::Live(Rates::new(args.max_fps)),
        Time::Film => Pace::Film(rate),
        Time::Pictures => Pace::Pictures(rate),
    }
}

fn hook(args: &ReactionArgs) -> Result<Option<HookSpec>> {
    let Some(line) = &args.on_event else { return Ok(None) };
    let time_limit = Duration::from_secs_f32(args.on_event_timeout);
    Ok(Some(HookSpec::parse(line, defaults::ON_EVENT_AT_ONCE, time_limit)?))
}

/// The source that the arguments describe; with `wait`, a camera or a program may come later.
pub(super) fn source(args: &SourceArgs, wait: bool) -> Box<dyn SourceSpec> {
    let SourceArgs { kind, playback, fps: rate, .. } = args.clone();
    let (recording, repeat) = (playback.recording, playback.repeat);
    if let Some(line) = kind.command {
        return Box::new(CommandRequest { line, recording, wait });
    }
    if kind.stdin {
        return Box::new(StdinRequest { recording });
    }
    if !kind.pictures.is_empty() {
        return Box::new(PicturesRequest { paths: kind.pictures, rate, repeat });
    }
    let size_px = args.width.zip(args.height);
    let selector = match kind.camera {
        Some(CameraChoice::Network(address)) => {
            return Box::new(NetworkRequest { address, size_px, rate, wait });
        }
        Some(CameraChoice::Device(selector)) => selector,
        None => Selector::First,
    };
    Box::new(CameraRequest {
        selector,
        size_px,
        rate: rate.map(|rate| rate.round().max(1.0) as u32),
        frame_deadline: defaults::CAMERA_FRAME_DEADLINE,
        wait,
    })
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
