//! Pictures from files, in order; every one is worked on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Counters, Error, FrameSource, Received, Result, SourceSpec, Time};
use crate::picture::turn::Turn;
use crate::picture::{self, Limits, Reader};
use crate::system::throttle::Throttle;
use crate::types::frame::Frame;

/// Picture files, and folders of them, in the order given.
#[derive(Debug, Clone)]
pub struct PicturesRequest {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Pictures a second, `None` as fast as they are worked on.
    pub rate: Option<f32>,
    /// Starts again after the last one.
    pub repeat: bool,
}

impl SourceSpec for PicturesRequest {
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>> {
        // Files are turned while they are read, as their EXIF data asks for turns too.
        let Self { paths, rate, repeat } = self;
        Ok(Box::new(PictureFiles::open(paths, turn, *rate, *repeat)?))
    }

    fn origin(&self) -> String {
        "files".to_owned()
    }

    fn time(&self) -> Time {
        Time::Pictures
    }

    fn advice(&self) -> String {
        "Name photos that can be read: celebcam doctor --pictures photos/".to_owned()
    }
}

/// Picture files, one frame each.
#[derive(Debug)]
pub struct PictureFiles {
    name: String,
    files: Vec<PathBuf>,
    reader: Reader,
    next: usize,
    interval: Option<Duration>,
    due: Instant,
    repeat: bool,
    sequence: u64,
    counters: Counters,
    unreadable: Throttle,
}

impl PictureFiles {
    /// Takes files as they come and the pictures of folders by name, each turned by `turn`. `rate` is in
    /// pictures a second, `None` does not wait between them.
    ///
    /// # Errors
    /// [`Error::Picture`] when a path is missing or there is no picture at all.
    pub fn open(paths: &[PathBuf], turn: Turn, rate: Option<f32>, repeat: bool) -> Result<Self> {
        let found = picture::find(paths)?;
        found.left_out.tell();
        found.unreadable.iter().for_each(|error| log::warn!("{error}"));
        let files: Vec<PathBuf> = found.files.into_iter().map(|file| file.path).collect();
        let name = match paths {
            [path] => path.display().to_string(),
            _ => format!("{} pictures", files.len()),
        };
        Ok(Self {
            name,
            files,
            reader: Reader::new(Limits { turn, ..Limits::FRAME }),
            next: 0,
            interval: rate.map(|rate| Duration::from_secs_f32(1.0 / rate)),
            due: Instant::now(),
            repeat,
            sequence: 0,
            counters: Counters::default(),
            unreadable: Throttle::default(),
        })
    }

    fn next_file(&mut self) -> Option<PathBuf> {
        if self.next == self.files.len() && self.repeat && self.counters.delivered > 0 {
            self.next = 0;
        }
        let file = self.files.get(self.next)?.clone();
        self.next += 1;
        Some(file)
    }

    fn read(&mut self, path: &Path) -> Received {
        let sequence = self.sequence;
        self.sequence += 1;
        let started = Instant::now();
        let read = self.reader.read(path).map(|picture| (picture.rgb, picture.reduction));
        let (rgb, reduction) = match read {
            Ok(read) => read,
            Err(error) => {
                self.counters.corrupt += 1;
                self.tell(&error);
                return Received::Nothing;
            }
        };
        self.counters.decode.add(started.elapsed());
        self.counters.delivered += 1;
        Received::Frame(Frame { sequence, captured_at: Instant::now(), rgb, reduction })
    }

    /// Each unreadable file is told the first time; a folder that is repeated would tell them for ever.
    fn tell(&mut self, error: &picture::Error) {
        if self.counters.corrupt <= self.files.len() as u64 {
            log::warn!("{error}");
        } else {
            self.unreadable.warn(&error.to_string());
        }
    }
}

impl FrameSource for PictureFiles {
    fn next(&mut self, timeout: Duration) -> Result<Received> {
        if let Some(interval) = self.interval {
            let left = self.due.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(timeout));
            if left > timeout {
                return Ok(Received::Nothing);
            }
            self.due = (self.due + interval).max(Instant::now());
        }
        match self.next_file() {
            Some(path) => Ok(self.read(&path)),
            None if self.counters.delivered > 0 => Ok(Received::End),
            None => Err(Error::NoPicture(self.files[0].clone())),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_looking(&self) -> bool {
        false
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    const LONG: Duration = Duration::from_secs(10);

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (index, name) in names.iter().enumerate() {
            let side = index as u32 + 1;
            RgbImage::new(side, side).save(folder.path().join(name)).unwrap();
        }
        folder
    }

    fn widths(source: &mut PictureFiles, calls: usize) -> Vec<u32> {
        let received = (0..calls).map(|_| source.next(LONG).unwrap());
        received
            .filter_map(|received| match received {
                Received::Frame(frame) => Some(frame.rgb.width()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn all_pictures_come_in_order_then_the_end() {
        let folder = folder(&["b.png", "a.png", "c.png"]);
        let paths = [folder.path().to_path_buf()];
        let mut source = PictureFiles::open(&paths, Turn::NONE, None, false).unwrap();
        assert_eq!(widths(&mut source, 3), [2, 1, 3]);
        assert!(matches!(source.next(LONG), Ok(Received::End)));
        assert_eq!(source.counters().delivered, 3);
    }

    #[test]
    fn pictures_are_turned() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::new(6, 4).save(folder.path().join("a.png")).unwrap();
        let paths = [folder.path().to_path_buf()];
        let mut source = PictureFiles::open(&paths, Turn::new(90, false), None, false).unwrap();
        assert_eq!(widths(&mut source, 1), [4]);
    }

    #[test]
    fn repeats_from_the_first() {
        let folder = folder(&["a.png", "b.png"]);
        let paths = [folder.path().to_path_buf()];
        let mut source = PictureFiles::open(&paths, Turn::NONE, None, true).unwrap();
        assert_eq!(widths(&mut source, 5), [1, 2, 1, 2, 1]);
    }

    #[test]
    fn unreadable_files_are_counted_and_skipped() {
        let folder = folder(&["a.png", "c.png"]);
        std::fs::write(folder.path().join("b.png"), "no picture").unwrap();
        let paths = [folder.path().to_path_buf()];
        let mut source = PictureFiles::open(&paths, Turn::NONE, None, false).unwrap();
        assert_eq!(widths(&mut source, 3), [1, 2]);
        assert_eq!(source.counters().corrupt, 1);
    }

    #[test]
    fn nothing_readable_is_an_error_even_when_repeated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.png"), "").unwrap();
        let paths = [folder.path().to_path_buf()];
        for repeat in [false, true] {
            let mut source = PictureFiles::open(&paths, Turn::NONE, None, repeat).unwrap();
            assert!(matches!(source.next(LONG), Ok(Received::Nothing)));
            assert!(
                matches!(source.next(LONG), Err(Error::NoPicture(path)) if path.ends_with("b.png"))
            );
        }
    }

    #[test]
    fn a_rate_makes_pictures_wait() {
        let folder = folder(&["a.png", "b.png"]);
        let paths = [folder.path().to_path_buf()];
        let mut source = PictureFiles::open(&paths, Turn::NONE, Some(0.01), false).unwrap();
        assert_eq!(widths(&mut source, 1), [1]);
        assert!(matches!(source.next(Duration::ZERO), Ok(Received::Nothing)));
    }
}
