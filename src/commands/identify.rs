//! `celebcam identify`: says who is in photos.

mod inputs;
mod output;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;

use celebcam_engine::Settings;
use image::RgbImage;

use super::outputs::Outputs;
use super::{progress_bar, say};
use crate::annotate::{Undrawable, annotate, annotate_areas};
use crate::defaults;
use crate::detect::{Area, Search};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::models;
use crate::observe::{Observe, Observer};
use crate::picture::{self, PictureFile, Reader};
use crate::quality::{self, QualityLimits};
use crate::recognize::Recognizer;
use crate::settings::IdentifyConfig;
use crate::stages::open_gallery;
use crate::system::heap;
use crate::types::face::{CROP_SIZE_PX, FaceCrop};
use output::{Finding, Printer, Summary};

/// How many items each worker may be ahead of the one whose turn it is.
const AHEAD: usize = 4;

/// Where the address space is limited, what is left of it for each worker but the first.
const WORKER_BYTES: u64 = 128_000_000;

/// The turn when there is nothing more to do.
const OVER: usize = usize::MAX;

/// Prints one line per face of each photo, in the order of the files.
///
/// # Errors
///
/// Missing inputs, a bad model, or an output that cannot be written or would replace a photo.
pub fn execute(config: &IdentifyConfig) -> anyhow::Result<Exit> {
    let found = inputs::photos(&config.inputs, config.files_from.as_deref())?;
    let copies = match &config.annotate {
        Some(folder) => Some(Outputs::plan(folder, &found.files, copy_name)?),
        None => None,
    };
    let examiner = Examiner::load(config, copies)?;
    let printer = Printer::new(config.format, config.candidates, examiner.recognizer());
    let bar = progress_bar(found.files.len());
    let mut summary = Summary::default();
    found.tell();
    found.unreadable.iter().for_each(|_| summary.add_unreadable());
    let files = found.files;
    let mut stdout = std::io::stdout().lock();
    in_order(
        &files,
        worker_count(config, files.len()),
        |file| examiner.examine(file),
        |file, result| {
            let findings = match result {
                Err(error @ (Error::Input { .. } | Error::Picture(_))) => {
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
    Ok(Exit::with_unreadable(summary.unreadable()))
}

fn worker_count(config: &IdentifyConfig, files: usize) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let most = heap::left_bytes().map_or(files, |left| files.min((left / WORKER_BYTES) as usize));
    config.threads.unwrap_or_else(cores).min(most).max(1)
}

/// Finds the people in one picture.
struct Examiner {
    method: Method,
    reader: Reader,
}

/// What a picture is taken for.
enum Method {
    /// A photo, in which faces are found.
    Photos {
        observer: Box<Observer>,
        copies: Option<Outputs>,
        /// Held while a copy is written: encoding it takes memory that is in no limit.
        writes: Mutex<()>,
        ignored: Vec<Area>,
        undrawable: Undrawable,
    },
    /// An aligned face.
    Crops { recognizer: Box<Recognizer>, limits: QualityLimits },
}

impl Examiner {
    fn load(config: &IdentifyConfig, copies: Option<Outputs>) -> Result<Self> {
        let method = Method::load(config, copies, &models::settings(1)?)?;
        let limits = picture::Limits { turn: config.turn, ..picture::Limits::PHOTO };
        Ok(Self { method, reader: Reader::new(limits) })
    }

    fn recognizer(&self) -> &Recognizer {
        match &self.method {
            Method::Photos { observer, .. } => observer.recognizer(),
            Method::Crops { recognizer, .. } => recognizer,
        }
    }

    fn examine(&self, file: &PictureFile) -> Result<Vec<Finding>> {
        let mut picture = inputs::read(&self.reader, file)?;
        let findings = self.method.examine(file, &mut picture.rgb, picture.reduction)?;
        let in_file = |finding: Finding| finding.scaled(picture.reduction as f32);
        Ok(findings.into_iter().map(in_file).collect())
    }
}

impl Method {
    fn load(config: &IdentifyConfig, copies: Option<Outputs>, settings: &Settings) -> Result<Self> {
        let (observer, gallery) = (&config.observer, config.gallery.as_deref());
        if config.crops {
            let recognizer = observer.recognizer.load(settings)?;
            let recognizer = Box::new(match open_gallery(gallery, &recognizer)? {
                Some(gallery) => recognizer.with_gallery(Arc::clone(gallery.shared())),
                None => recognizer,
            });
            return Ok(Self::Crops { recognizer, limits: observer.limits });
        }
        let ignored = observer.wanted.ignored.clone();
        let observer = observer.load(Search::Thorough, settings)?;
        let observer = Box::new(match open_gallery(gallery, observer.recognizer())? {
            Some(gallery) => observer.with_gallery(Arc::clone(gallery.shared())),
            None => observer,
        });
        let (writes, undrawable) = (Mutex::default(), Undrawable::default());
        Ok(Self::Photos { observer, copies, writes, ignored, undrawable })
    }

    fn examine(
        &self,
        file: &PictureFile,
        rgb: &mut RgbImage,
        reduction: u32,
    ) -> Result<Vec<Finding>> {
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
                let quality = quality::measure(&crop, None);
                if let Some(flaw) = limits.flaw(&quality) {
                    identity.name = Err(flaw);
                }
                Ok(vec![Finding { face: None, quality, identity }])
            }
            Self::Photos { observer, copies, writes, ignored, undrawable } => {
                let observations = observer.observe(rgb, reduction)?;
                if let Some(copies) = copies {
                    annotate_areas(rgb, ignored);
                    annotate(rgb, &observations);
                    for label in observations.iter().flat_map(|seen| &seen.identity.name) {
                        undrawable.note(&label.name);
                    }
                    let _alone = writes.lock().unwrap_or_else(PoisonError::into_inner);
                    write_copy(rgb, copies, &file.relative)?;
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
    let jpeg = picture::encode_jpeg(rgb, defaults::ANNOTATED_JPEG_QUALITY)
        .map_err(|source| Error::Output { path: name.clone(), source })?;
    let path = copies.write(&name, &jpeg)?;
    log::info!("wrote {}", path.display());
    Ok(())
}

/// Runs `work` on every item on `workers` threads, or on fewer where the system has no more, and hands
/// the results to `done` on this thread, in the order of the items. The first error of `done` ends the
/// work.
fn in_order<T: Sync, R: Send, E>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(&T, R) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let next = AtomicUsize::new(0);
    let turn = Turns::default();
    let ahead = AHEAD * workers;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let mut started = 0;
        while started < workers {
            let sender = sender.clone();
            let (next, turn, work) = (&next, &turn, &work);
            let worker = thread::Builder::new().spawn_scoped(scope, move || {
                let _guard = EndsOnPanic(turn);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    if !turn.comes_near(index, ahead) || sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
            match worker {
                Ok(_) => started += 1,
                Err(error) => {
                    log::debug!("{started} of {workers} threads: {error}");
                    break;
                }
            }
        }
        drop(sender);
        if started == 0 {
            return items.iter().try_for_each(|item| done(item, work(item)));
        }
        let mut waiting = BTreeMap::new();
        let mut at = 0;
        for (index, outcome) in receiver {
            waiting.insert(index, outcome);
            while let Some(outcome) = waiting.remove(&at) {
                let result = done(&items[at], outcome);
                at = if result.is_ok() { at + 1 } else { OVER };
                turn.set(at);
                result?;
            }
        }
        Ok(())
    })
}

/// The number of the item whose turn it is. Workers wait rather than get far ahead of it, so that
/// results of a large folder do not pile up behind a slow one.
#[derive(Default)]
struct Turns {
    now: Mutex<usize>,
    moved: Condvar,
}

impl Turns {
    fn set(&self, now: usize) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.moved.notify_all();
    }

    /// Waits until fewer than `ahead` turns are left to that of `index`; false when all is over.
    fn comes_near(&self, index: usize, ahead: usize) -> bool {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let near = self.moved.wait_while(now, |now| index >= now.saturating_add(ahead));
        *near.unwrap_or_else(PoisonError::into_inner) != OVER
    }
}

/// Lets nobody wait for the turn of an item whose worker has panicked.
struct EndsOnPanic<'a>(&'a Turns);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.set(OVER);
        }
    }
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
    fn the_work_is_done_here_where_there_are_no_threads() {
        let here = thread::current().id();
        let (items, mut seen) = ([1, 2, 3], Vec::new());
        let work = |_: &u32| thread::current().id();
        let result = in_order(&items, 0, work, |item, at| {
            seen.push((*item, at));
            if *item == 2 { Err("full") } else { Ok(()) }
        });
        assert_eq!((result, seen), (Err("full"), vec![(1, here), (2, here)]));
    }

    #[test]
    fn nobody_gets_far_ahead_of_a_slow_item() {
        let items: Vec<usize> = (0..1000).collect();
        let furthest = AtomicUsize::new(0);
        let work = |item: &usize| {
            if *item == 0 {
                thread::sleep(std::time::Duration::from_millis(50));
                return furthest.load(Ordering::Relaxed);
            }
            furthest.fetch_max(*item, Ordering::Relaxed)
        };
        let mut first = None;
        let result: std::result::Result<(), ()> = in_order(&items, 3, work, |item, result| {
            first.get_or_insert((*item, result));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert!(first.is_some_and(|(item, furthest)| item == 0 && furthest < AHEAD * 3));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_of_a_worker_is_no_hang() {
        let items: Vec<usize> = (0..1000).collect();
        let work = |item: &usize| assert_ne!(*item, 5);
        let _: std::result::Result<(), ()> = in_order(&items, 3, work, |_, ()| Ok(()));
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
