//! A picture of each start and update, in a folder that never holds more than it may.

mod folder;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::worker::{Finished, Queue, Worker};
use super::{Error, EventSink, Result};
use crate::annotate::{Undrawable, annotate_one};
use crate::defaults;
use crate::event::{Event, EventKind};
use crate::picture;
use crate::system::throttle::Throttle;
use crate::types::face::BoundingBox;
use crate::types::frame::Frame;
use folder::{SnapshotFolder, file_name};

/// Pictures that may wait to be written; more would take memory that boards do not have.
const ROOM: usize = 2;

/// Longest time for which a picture waits for the disk; its name tells when it was taken.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Stands for the identifier of a stranger in the name of a file.
const STRANGER: &str = "unknown";

/// A frame and what is to be drawn on it.
#[derive(Debug)]
struct Snapshot {
    file_name: String,
    rgb: RgbImage,
    bounds: BoundingBox,
    /// Name and confidence; `None` of a stranger.
    name: Option<(String, f32)>,
}

impl Snapshot {
    /// `None` for an event that does not show anybody.
    fn of(event: &Event, frame: &Frame) -> Option<Self> {
        if !matches!(event.event, EventKind::Start | EventKind::Update) {
            return None;
        }
        let [x, y, width, height] = event.bounds?.map(|value| value as f32);
        Some(Self {
            file_name: file_name(&event.ts, event.track?, event.id.as_deref().unwrap_or(STRANGER)),
            rgb: frame.rgb.clone(),
            bounds: BoundingBox { x, y, width, height }.scaled(1.0 / frame.reduction as f32),
            name: event.name.clone().zip(event.confidence),
        })
    }

    /// The JPEG file.
    fn into_jpeg(mut self) -> io::Result<Vec<u8>> {
        let name = self.name.as_ref().map(|(name, confidence)| (name.as_str(), *confidence));
        annotate_one(&mut self.rgb, &self.bounds, name);
        picture::encode_jpeg(&self.rgb, defaults::ANNOTATED_JPEG_QUALITY)
    }
}

/// Writes a JPEG of the frame of each `start` and `update`, with the face and the name marked. The
/// oldest pictures make room for new ones. When the disk is slower than events come, or full, some
/// are left out.
#[derive(Debug)]
pub struct SnapshotSink {
    worker: Worker<Snapshot, ()>,
}

impl SnapshotSink {
    /// Writes into the folder `path`, which is made if it is missing; the snapshots in it take
    /// `limit_bytes` at most, those of earlier runs included.
    ///
    /// # Errors
    /// [`Error::Folder`] where the path is no folder, or not to be written to. One on a disk that is full or
    /// read-only is tried again with each picture.
    pub fn start(path: &Path, limit_bytes: u64) -> Result<Self> {
        let failed = |source| Error::Folder { path: path.to_owned(), source };
        let folder = SnapshotFolder::open(path, limit_bytes).map_err(failed)?;
        let worker = Worker::start("snapshots", Queue::new(ROOM, MAX_WAIT), move |queue| {
            Writer::new(folder).work(queue)
        })
        .map_err(failed)?;
        Ok(Self { worker })
    }
}

/// Bytes that the snapshots in the folder `path` take.
///
/// # Errors
/// Those of reading the folder.
pub fn snapshot_bytes(path: &Path) -> io::Result<u64> {
    Ok(folder::list(path)?.iter().map(|stored| stored.bytes).sum())
}

impl EventSink for SnapshotSink {
    fn emit(&mut self, event: &Event, frame: Option<&Frame>) -> Result<()> {
        if let Some(snapshot) = frame.and_then(|frame| Snapshot::of(event, frame)) {
            self.worker.put(snapshot);
        }
        Ok(())
    }

    fn close(&mut self, until: Instant) {
        self.worker.close(until);
    }

    fn finish(&mut self, until: Instant) -> Result<()> {
        if let Finished::Not = self.worker.finish(until) {
            log::warn!("--snapshot: the last pictures are not written: the disk is too slow");
        }
        Ok(())
    }
}

/// The thread's side.
struct Writer {
    folder: SnapshotFolder,
    dropped: Throttle,
    failing: bool,
    undrawable: Undrawable,
}

impl Writer {
    fn new(folder: SnapshotFolder) -> Self {
        let (dropped, undrawable) = (Throttle::default(), Undrawable::default());
        Self { folder, dropped, failing: false, undrawable }
    }

    fn work(mut self, queue: &Queue<Snapshot>) {
        while queue.wait() {
            let now = Instant::now();
            if let Some(snapshot) = queue.take(now) {
                self.write(snapshot);
            }
            if let Some(count) = self.dropped.note(now, queue.take_dropped(now)) {
                warn_dropped(count);
            }
        }
        let dropped = queue.take_dropped(Instant::now());
        if let Some(count) = self.dropped.add(dropped).rest() {
            warn_dropped(count);
        }
    }

    fn write(&mut self, snapshot: Snapshot) {
        let name = snapshot.file_name.clone();
        if let Some((name, _)) = &snapshot.name {
            self.undrawable.note(name);
        }
        let written = snapshot.into_jpeg().and_then(|jpeg| self.folder.write(&name, &jpeg));
        match &written {
            Ok(()) if self.failing => log::info!("--snapshot: pictures are written again"),
            Ok(()) => {}
            Err(error) if self.failing => log::debug!("--snapshot: cannot write {name}: {error}"),
            Err(error) => {
                log::warn!("--snapshot: cannot write {name}: {error}; the run goes on without");
            }
        }
        self.failing = written.is_err();
    }
}

fn warn_dropped(count: u64) {
    log::warn!("--snapshot: {count} pictures left out: the disk is too slow");
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// An event about somebody, so many seconds after the epoch.
    fn event(kind: EventKind, second: u64) -> Event {
        let mut event = Event::new(kind, UNIX_EPOCH + Duration::from_secs(second));
        event.track = Some(3);
        event.name = Some("Tom Hanks".to_string());
        event.id = Some("tom-hanks".to_string());
        event.confidence = Some(0.97);
        event.bounds = Some([-5, 40, 60, 60]);
        event
    }

    fn frame() -> Frame {
        let rgb = RgbImage::new(160, 120);
        Frame { sequence: 1, captured_at: Instant::now(), rgb, reduction: 1 }
    }

    #[test]
    fn starts_and_updates_that_are_seen_give_pictures_with_a_box() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/snapshots");
        let mut sink = SnapshotSink::start(&path, 1 << 20).unwrap();
        // A picture too many would come first, and take the place of one that is looked for.
        sink.emit(&event(EventKind::End, 1), Some(&frame())).unwrap();
        sink.emit(&event(EventKind::Update, 2), None).unwrap();
        sink.emit(&Event::new(EventKind::CameraLost, UNIX_EPOCH), Some(&frame())).unwrap();
        sink.emit(&event(EventKind::Start, 3), Some(&frame())).unwrap();
        sink.emit(&event(EventKind::Update, 4), Some(&frame())).unwrap();
        sink.finish(Instant::now() + Duration::from_secs(60)).unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(&path).unwrap().flatten().map(|file| file.file_name()).collect();
        names.sort();
        let named = |second| format!("1970-01-01T00-00-0{second}.000Z_3_tom-hanks.jpg");
        assert_eq!(names, [named(3), named(4)].map(std::ffi::OsString::from));
        for name in names {
            let picture = image::open(path.join(name)).unwrap().into_rgb8();
            assert_eq!(picture.dimensions(), (160, 120));
            assert!(picture.get_pixel(54, 70).0[1] > 100, "the box is there");
            assert!(picture.get_pixel(100, 110).0[1] < 50, "the rest is as it was");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = SnapshotSink::start(&file.join("below"), 1 << 20).unwrap_err();
        assert!(matches!(error, Error::Folder { .. }), "{error}");
    }

    #[test]
    fn failures_leave_the_sink_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshots");
        let mut sink = SnapshotSink::start(&path, 1 << 20).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        sink.emit(&event(EventKind::Start, 0), Some(&frame())).unwrap();
        assert!(sink.check().is_ok());
        sink.finish(Instant::now() + Duration::from_secs(60)).unwrap();
    }
}
