//! `celebcam identify`: says who is in photos.

mod inputs;
mod output;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use image::RgbImage;

use super::outputs::Outputs;
use super::{EXIT_NO_INPUT, load_observer, load_recognizer, open_gallery, progress_bar, say};
use crate::annotate::{Undrawable, annotate, annotate_areas};
use crate::cli::IdentifyArgs;
use crate::config;
use crate::detect::{Area, Search};
use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::face::{CROP_SIZE_PX, FaceCrop};
use crate::observe::{Observe, Observer};
use crate::picture::{self, PictureFile};
use crate::quality::{Limits, Quality};
use crate::recognize::Recognizer;
use crate::turn::Turn;
use inputs::Photos;
use output::{Finding, Printer, Summary};

/// Prints one line per face of each photo, in the order of the files.
///
/// # Errors
///
/// Missing inputs, a bad model, or an output that cannot be written or would replace a photo.
pub fn execute(args: &IdentifyArgs) -> anyhow::Result<ExitCode> {
    let Photos { files, unreadable } = inputs::photos(args)?;
    let copies = match &args.annotate {
        Some(folder) => Some(Outputs::plan(folder, &files, copy_name)?),
        None => None,
    };
    let examiner = Examiner::load(args, copies)?;
    let printer = Printer::new(args.format, args.decision.top_k, examiner.recognizer());
    let bar = progress_bar(files.len());
    let mut summary = Summary::default();
    (0..unreadable).for_each(|_| summary.add_unreadable());
    let mut stdout = std::io::stdout().lock();
    in_order(
        &files,
        worker_count(args, files.len()),
        |file| examiner.examine(file),
        |file, result| {
            let findings = match result {
                Err(error @ Error::Input { .. }) => {
                    bar.suspend(|| log::error!("{error}"));
                    summary.add_unreadable();
                    None
                }
                other => Some(other?),
            };
            if let Some(findings) = findings {
                summary.add(&findings);
                bar.suspend(|| printer.print(&mut stdout, &file.path, &findings))?;
            }
            bar.inc(1);
            anyhow::Ok(())
        },
    )?;
    bar.finish_and_clear();
    stdout.flush()?;
    if files.len() > 1 || summary.unreadable() > 0 {
        say(&summary);
    }
    Ok(ExitCode::from(if summary.unreadable() > 0 { EXIT_NO_INPUT } else { 0 }))
}

fn worker_count(args: &IdentifyArgs, files: usize) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    args.threads.map_or_else(cores, usize::from).min(files).max(1)
}

/// Finds the people in one picture, after turning it.
struct Examiner {
    kind: Kind,
    turn: Turn,
}

enum Kind {
    /// In photos.
    Photos {
        observer: Box<Observer>,
        copies: Option<Outputs>,
        ignored: Vec<Area>,
        undrawable: Undrawable,
    },
    /// In pictures that are aligned faces.
    Crops { recognizer: Box<Recognizer>, limits: Limits },
}

impl Examiner {
    fn load(args: &IdentifyArgs, copies: Option<Outputs>) -> Result<Self> {
        let kind = Kind::load(args, copies, &Settings::new(1)?)?;
        Ok(Self { kind, turn: args.turn.turn() })
    }

    fn recognizer(&self) -> &Recognizer {
        match &self.kind {
            Kind::Photos { observer, .. } => observer.recognizer(),
            Kind::Crops { recognizer, .. } => recognizer,
        }
    }

    fn examine(&self, file: &PictureFile) -> Result<Vec<Finding>> {
        let rgb = self.turn.apply(inputs::read(file)?, &mut Vec::new());
        self.kind.examine(file, rgb)
    }
}

impl Kind {
    fn load(args: &IdentifyArgs, copies: Option<Outputs>, settings: &Settings) -> Result<Self> {
        if args.crops {
            let recognizer = load_recognizer(&args.models, &args.decision, settings)?;
            let recognizer = Box::new(match open_gallery(&args.gallery, &recognizer)? {
                Some(gallery) => recognizer.with_gallery(Arc::clone(gallery.shared())),
                None => recognizer,
            });
            return Ok(Self::Crops { recognizer, limits: args.decision.limits() });
        }
        let wanted = args.faces.wanted();
        let ignored = wanted.ignored.clone();
        let observer = load_observer(&args.models, &args.decision, Search::Thorough, settings)?
            .with_wanted(wanted);
        let observer = Box::new(match open_gallery(&args.gallery, observer.recognizer())? {
            Some(gallery) => observer.with_gallery(Arc::clone(gallery.shared())),
            None => observer,
        });
        Ok(Self::Photos { observer, copies, ignored, undrawable: Undrawable::default() })
    }

    fn examine(&self, file: &PictureFile, mut rgb: RgbImage) -> Result<Vec<Finding>> {
        match self {
            Self::Crops { recognizer, limits } => {
                let size = rgb.dimensions();
                let crop = FaceCrop::from_aligned(rgb).ok_or_else(|| Error::Input {
                    path: file.path.clone(),
                    reason: format!(
                        "is {}x{} pixels; aligned faces are {CROP_SIZE_PX}x{CROP_SIZE_PX} (leave \
                         out --crops for photos)",
                        size.0, size.1
                    ),
                })?;
                let mut identity = recognizer.identify(&recognizer.features(&crop)?);
                let quality = Quality::measure(&crop, None);
                if let Some(flaw) = quality.flaw(limits) {
                    identity.name = Err(flaw);
                }
                Ok(vec![Finding { face: None, quality, identity }])
            }
            Self::Photos { observer, copies, ignored, undrawable } => {
                let observations = observer.observe(&rgb)?;
                if let Some(copies) = copies {
                    annotate_areas(&mut rgb, ignored);
                    annotate(&mut rgb, &observations);
                    for label in observations.iter().flat_map(|seen| &seen.identity.name) {
                        undrawable.note(&label.name);
                    }
                    write_copy(&rgb, copies, &file.relative)?;
                }
                Ok(observations.into_iter().map(Finding::from).collect())
            }
        }
    }
}

/// The copy of `a/photo.jpg` is called `a/photo.jpg`; that of a picture of another kind gets `.jpg`
/// behind its name.
fn copy_name(relative: &Path) -> PathBuf {
    let mut name = relative.to_owned();
    if name.extension().is_none_or(|extension| extension != "jpg") {
        name.as_mut_os_string().push(".jpg");
    }
    name
}

fn write_copy(rgb: &RgbImage, copies: &Outputs, relative: &Path) -> Result<()> {
    let name = copy_name(relative);
    let jpeg = picture::encode_jpeg(rgb, config::ANNOTATED_JPEG_QUALITY)
        .map_err(|source| Error::Output { path: name.clone(), source })?;
    log::info!("wrote {}", copies.write(&name, &jpeg)?.display());
    Ok(())
}

/// Runs `work` on every item on `workers` threads and hands the results to `done` on this thread,
/// in the order of the items. The first error of `done` ends the work.
fn in_order<T: Sync, R: Send, E>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(&T, R) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Workers wait for room, so that results of a large folder do not pile up.
    let (sender, receiver) = mpsc::sync_channel(workers);
    thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            let (next, stop, work) = (&next, &stop, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    if sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut turn) = (BTreeMap::new(), 0);
        let mut result = Ok(());
        for (index, outcome) in receiver {
            waiting.insert(index, outcome);
            while let Some(outcome) = waiting.remove(&turn) {
                if result.is_ok() {
                    result = done(&items[turn], outcome);
                }
                turn += 1;
            }
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let mut seen = Vec::new();
        let result: std::result::Result<(), ()> = in_order(
            &items,
            4,
            |item| item * 2,
            |item, double| {
                assert_eq!(item * 2, double);
                seen.push(*item);
                Ok(())
            },
        );
        assert_eq!(result, Ok(()));
        assert_eq!(seen, items);
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<u32> = (0..10_000).collect();
        let worked = AtomicUsize::new(0);
        let result = in_order(
            &items,
            2,
            |_| worked.fetch_add(1, Ordering::Relaxed),
            |item, _| if *item == 3 { Err("full") } else { Ok(()) },
        );
        assert_eq!(result, Err("full"));
        assert!(worked.load(Ordering::Relaxed) < 100);
    }
}
