//! `celebcam run`: watches a stream of pictures and says who comes and goes.

use std::sync::Arc;

use crate::cli::Format;
use crate::detect::Search;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::gallery::live::Bell;
use crate::models;
use crate::pipeline::{Pipeline, Plan, SystemClock};
use crate::settings::{RunConfig, Setup};
use crate::shown::count;
use crate::sink::{
    EventSink, Fanout, HookSink, LineSink, Render, SnapshotSink, StandardOutput, json_line,
    text_line,
};
use crate::stages::open_gallery;
use crate::system::service::{self, Hangup, StatusRequest};
use crate::system::supervisor::Supervisor;

/// Prints one event when a person comes and one when they go, until the source ends or a signal
/// comes.
///
/// # Errors
///
/// No camera, a source that gives no pictures, a bad model, or an output that cannot be written.
pub fn execute(config: RunConfig) -> anyhow::Result<Exit> {
    let bell = Bell::default();
    let reload = bell.clone();
    let status = StatusRequest::default();
    let hangup = Hangup::Reload(Box::new(move || reload.ring()));
    let stop = service::stop_on_signal(hangup, status.clone(), Exit::FORCED.code())?;
    let mut sinks = sinks(&config)?;
    let Setup { source, turn, observer, threads, gallery, .. } = config.setup;
    // The camera starts up while the models are loaded.
    let mut source = source.open(turn)?;
    let settings = models::settings(threads)?.with_stop(stop.shared());
    let observer = observer.load(Search::Whole, &settings)?;
    let gallery = open_gallery(gallery.as_deref(), observer.recognizer())?;
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
    let plan = Plan { rules: config.rules, pace: config.pace, model };
    log::info!("watching {}", source.name());
    Pipeline::new(source.as_mut(), &observer, &mut sinks, &SystemClock, plan)
        .supervised(Supervisor::of_system())
        .answering(status)
        .run(&stop)
        .map_err(Error::from)?;
    Ok(Exit::Done)
}

/// Starts what takes the events. Commands come first: at the end it is they who may need time.
fn sinks(config: &RunConfig) -> Result<Fanout> {
    let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
    if let Some(spec) = &config.hook {
        sinks.push(Box::new(HookSink::start(spec.clone())?));
    }
    if let Some(snapshots) = &config.setup.snapshots {
        sinks.push(Box::new(SnapshotSink::start(&snapshots.folder, snapshots.limit_bytes)?));
    }
    let render: Render = match config.format {
        Format::Text => text_line,
        Format::Json => json_line,
    };
    sinks.push(Box::new(LineSink::start(StandardOutput, render)?));
    Ok(Fanout(sinks))
}
