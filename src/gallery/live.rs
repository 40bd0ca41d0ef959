//! A gallery that changes while the program runs: another thread reads the file again when it has
//! changed, and puts the new gallery in place of the old one between two faces.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::store::{self, ModelKey};
use super::{Gallery, Result};

/// Time between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The gallery of the moment.
#[derive(Debug)]
pub struct SharedGallery(Mutex<Arc<Gallery>>);

impl SharedGallery {
    /// Starts with this one.
    pub fn new(gallery: Gallery) -> Self {
        Self(Mutex::new(Arc::new(gallery)))
    }

    /// The gallery, which stays as it is however long it is held.
    pub fn get(&self) -> Arc<Gallery> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, gallery: Gallery) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(gallery);
    }
}

/// Asks for a look at once, as a signal does.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<(Mutex<Rung>, Condvar)>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Rung {
    #[default]
    No,
    ToLook,
    ToEnd,
}

impl Bell {
    /// Asks for a look at once.
    pub fn ring(&self) {
        self.put(Rung::ToLook);
    }

    fn put(&self, rung: Rung) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != Rung::ToEnd {
            *state = rung;
        }
        self.0.1.notify_all();
    }

    /// Waits for `time`, or until it rings.
    fn wait(&self, time: Duration) -> Rung {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(state, time, |rung| *rung == Rung::No);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if *state == Rung::ToLook { std::mem::take(&mut *state) } else { *state }
    }
}

/// Keeps a [`SharedGallery`] like its file until it is dropped.
#[derive(Debug)]
pub struct Watch {
    bell: Bell,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bell.put(Rung::ToEnd);
    }
}

/// What tells a file from its successor: when it was written, its size and its place on the disk;
/// nothing where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    /// Of the file at `path`.
    fn of(path: &Path) -> Self {
        let metadata = path.metadata().ok();
        Self(metadata.and_then(|file| Some((file.modified().ok()?, file.len(), file.ino()))))
    }
}

/// A gallery and the file that it is read from.
#[derive(Debug)]
pub struct GalleryFile {
    path: PathBuf,
    model: ModelKey,
    shared: Arc<SharedGallery>,
    stamp: Stamp,
}

impl GalleryFile {
    /// Reads the file at `path`; without one, the gallery is empty until there is.
    ///
    /// # Errors
    ///
    /// Those of [`store::load`].
    pub fn open(path: PathBuf, model: ModelKey) -> Result<Self> {
        let stamp = Stamp::of(&path);
        let shared = Arc::new(SharedGallery::new(store::load(&path, &model)?));
        Ok(Self { path, model, shared, stamp })
    }

    /// The gallery.
    pub fn shared(&self) -> &Arc<SharedGallery> {
        &self.shared
    }

    /// Looks at the file from now on; `bell` asks for a look at once.
    pub fn watch(self, bell: Bell) -> Watch {
        let rings = bell.clone();
        std::thread::spawn(move || self.work(&rings));
        Watch { bell }
    }

    fn work(mut self, bell: &Bell) {
        loop {
            match bell.wait(LOOK_EVERY) {
                Rung::ToEnd => return,
                rung => self.look(rung == Rung::ToLook),
            }
        }
    }

    /// Reads the file when it has changed, or in any case when `asked`. One that cannot be used is
    /// reported once, and the gallery stays as it is.
    fn look(&mut self, asked: bool) {
        // Taken before the file is read: a change in between is seen the next time.
        let stamp = Stamp::of(&self.path);
        if stamp == self.stamp && !asked {
            return;
        }
        self.stamp = stamp;
        match self.read() {
            Ok(people) => log::info!("gallery read again, people: {people}"),
            Err(error) => log::error!("{error}; the people known so far stay known"),
        }
    }

    fn read(&self) -> Result<usize> {
        let gallery = store::load(&self.path, &self.model)?;
        let people = gallery.people().len();
        self.shared.set(gallery);
        Ok(people)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::Person;

    fn open(path: &Path) -> GalleryFile {
        let model = ModelKey { fingerprint: "print".to_owned(), embedding_length: 4 };
        GalleryFile::open(path.to_owned(), model).expect("nobody is in it yet")
    }

    fn add(file: &GalleryFile, name: &str) {
        let person = Person { name: name.into(), pictures: 1, added_unix_s: 0 };
        let read = |path: &Path| store::load(path, &file.model);
        store::update(&file.path, read, |gallery| gallery.add(person, &[1.0; 4]))
            .expect("the gallery can be written");
    }

    #[test]
    fn a_changed_file_is_taken_up_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("gallery");
        let mut file = open(&path);
        let before = file.shared.get();
        add(&file, "Ann");
        file.look(false);
        assert_eq!(file.shared.get().people().len(), 1);
        assert!(before.people().is_empty(), "what is held stays as it is");
        std::fs::write(&path, "broken").expect("a file can be written");
        file.look(false);
        file.look(true);
        assert_eq!(file.shared.get().people().len(), 1);
        std::fs::remove_file(&path).expect("the file is there");
        add(&file, "Bob");
        add(&file, "Cid");
        file.look(false);
        assert_eq!(file.shared.get().people().len(), 2);
        std::fs::remove_file(&path).expect("the file is there");
        file.look(false);
        assert!(file.shared.get().people().is_empty());
    }

    #[test]
    fn the_bell_ends_a_wait() {
        let bell = Bell::default();
        assert_eq!(bell.wait(Duration::ZERO), Rung::No);
        bell.ring();
        assert_eq!(bell.wait(Duration::from_secs(60)), Rung::ToLook);
        assert_eq!(bell.wait(Duration::ZERO), Rung::No);
        bell.put(Rung::ToEnd);
        bell.ring();
        assert_eq!(bell.wait(Duration::from_secs(60)), Rung::ToEnd);
    }
}
