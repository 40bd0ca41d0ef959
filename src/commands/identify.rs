//! `celebcam identify`: says who is in photos.

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

use super::{
    EXIT_NO_INPUT, create_parent, load_observer, load_recognizer, open_gallery, progress_bar, say,
};
use crate::annotate::annotate;
use crate::cli::IdentifyArgs;
use crate::config;
use crate::detect::Search;
use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::face::{CROP_SIZE_PX, FaceCrop};
use crate::observe::{Observe, Observer};
use crate::picture::{self, PictureFile, Reader};
use crate::quality::{Limits, Quality};
use crate::recognize::Recognizer;
use output::{Finding, Printer, Summary};

/// Prints one line per face of each photo, in the order of the files.
///
/// # Errors
///
/// Missing inputs, a bad model, or an output that cannot be written.
pub fn execute(args: &IdentifyArgs) -> anyhow::Result<ExitCode> {
    let found = picture::find(&args.inputs)?;
    let files = found.files;
    let examiner = Examiner::load(args)?;
    let printer = Printer::new(args.format, args.decision.top_k, examiner.recognizer());
    let bar = progress_bar(files.len());
    let mut summary = Summary::default();
    found.left_out.tell();
    for error in &found.unreadable {
        log::error!("{error}");
        summary.add_unreadable();
    }
    let reader = Reader::new(picture::Limits::PHOTO);
    let mut stdout = std::io::stdout().lock();
    in_order(
        &files,
        worker_count(args, files.len()),
        |file| examiner.examine(&reader, file),
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

/// Finds the people in one picture.
enum Examiner {
    /// In photos.
    Photos { observer: Box<Observer>, annotate: Option<PathBuf> },
    /// In pictures that are aligned faces.
    Crops { recognizer: Box<Recognizer>, limits: Limits },
}

impl Examiner {
    fn load(args: &IdentifyArgs) -> Result<Self> {
        let settings = Settings::new(1)?;
        if args.crops {
            let recognizer = load_recognizer(&args.models, &args.decision, &settings)?;
            let recognizer = Box::new(match open_gallery(&args.gallery, &recognizer)? {
                Some(gallery) => recognizer.with_gallery(Arc::clone(gallery.shared())),
                None => recognizer,
            });
            return Ok(Self::Crops { recognizer, limits: args.decision.limits() });
        }
        let observer = load_observer(&args.models, &args.decision, Search::Thorough, &settings)?;
        let observer = Box::new(match open_gallery(&args.gallery, observer.recognizer())? {
            Some(gallery) => observer.with_gallery(Arc::clone(gallery.shared())),
            None => observer,
        });
        Ok(Self::Photos { observer, annotate: args.annotate.clone() })
    }

    fn recognizer(&self) -> &Recognizer {
        match self {
            Self::Photos { observer, .. } => observer.recognizer(),
            Self::Crops { recognizer, .. } => recognizer,
        }
    }

    fn examine(&self, reader: &Reader, file: &PictureFile) -> Result<Vec<Finding>> {
        let mut picture = reader.read(&file.path)?;
        let rgb = &mut picture.rgb;
        match self {
            Self::Crops { recognizer, limits } => {
                let size = rgb.dimensions();
                let crop = FaceCrop::from_aligned(std::mem::take(rgb)).ok_or_else(|| Error::Input {
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
            Self::Photos { observer, annotate: folder } => {
                let observations = observer.observe(rgb)?;
                if let Some(folder) = folder {
                    annotate(rgb, &observations);
                    write_annotated(rgb, folder, &file.relative)?;
                }
                let in_file = |seen| Finding::from(seen).scaled(picture.reduction as f32);
                Ok(observations.into_iter().map(in_file).collect())
            }
        }
    }
}

/// Writes `a/photo.jpg` to `folder/a/photo.jpg`, and a picture of another kind beside it with
/// `.jpg` added to its name.
fn write_annotated(rgb: &RgbImage, folder: &Path, relative: &Path) -> Result<()> {
    let mut path = folder.join(relative);
    if path.extension().is_none_or(|extension| extension != "jpg") {
        path.as_mut_os_string().push(".jpg");
    }
    create_parent(&path)?;
    let failed = |source| Error::Output { path: path.clone(), source };
    let jpeg = picture::encode_jpeg(rgb, config::ANNOTATED_JPEG_QUALITY).map_err(failed)?;
    std::fs::write(&path, jpeg).map_err(failed)?;
    log::info!("wrote {}", path.display());
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
