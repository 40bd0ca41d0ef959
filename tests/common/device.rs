//! A gallery of its own with photos and films for the tests of people who are added.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use celebcam::gallery::{self, Gallery, Person, store};
use image::RgbImage;
use serde_json::Value;
use tempfile::TempDir;

use super::{celebcam, data, files, frame_of, json_lines};

/// Somebody whom the model does not know, and somebody whom it does.
pub const NEW: &str = "Daniel Radcliffe";
pub const OWN: &str = "Jennifer Aniston";

/// A gallery in a folder of its own, and photos.
pub struct Device {
    /// For the gallery and the photos.
    pub folder: TempDir,
}

impl Device {
    /// Nobody is in the gallery.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    /// The gallery's file.
    pub fn gallery(&self) -> PathBuf {
        self.folder.path().join("gallery/people")
    }

    /// The binary under test with this gallery.
    pub fn celebcam(&self, arguments: &[&str]) -> Command {
        let mut command = celebcam();
        command.env("CELEBCAM_GALLERY", self.gallery()).args(arguments);
        command
    }

    /// Runs to the end.
    pub fn run(&self, arguments: &[&str], paths: &[PathBuf]) -> Output {
        self.celebcam(arguments).args(paths).output().expect("celebcam runs")
    }

    /// Runs and expects success; gives standard output and standard error.
    pub fn succeeds(&self, arguments: &[&str], paths: &[PathBuf]) -> (String, String) {
        let output = self.run(arguments, paths);
        let [out, log] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        assert_eq!(output.status.code(), Some(0), "{log}");
        (out.into_owned(), log.into_owned())
    }

    /// Names of the people that were added.
    pub fn people(&self) -> Vec<String> {
        let (out, _) = self.succeeds(&["people", "--format", "json"], &[]);
        let name = |line: Value| line["name"].as_str().expect("a name").to_owned();
        json_lines(out.as_bytes()).into_iter().map(name).collect()
    }

    /// Writes a photo in which each crop is a face, side by side, so small that the search for faces
    /// takes a single look at it.
    pub fn photo(&self, name: &str, crops: &[&Path]) -> PathBuf {
        let mut photo =
            RgbImage::from_pixel(160 * crops.len().max(1) as u32, 160, image::Rgb([120; 3]));
        for (place, crop) in crops.iter().enumerate() {
            let crop = image::open(crop).expect("the crop can be read").into_rgb8();
            image::imageops::replace(&mut photo, &crop, 24 + 160 * place as i64, 24);
        }
        let path = self.folder.path().join(name);
        photo.save(&path).expect("the photo can be written");
        path
    }

    /// A photo for each of some aligned faces of a person.
    pub fn photos(&self, crops: &[PathBuf]) -> Vec<PathBuf> {
        let photo = |crop: &PathBuf| {
            let person = crop.parent().and_then(Path::file_name).expect("a folder");
            let file = crop.file_stem().expect("a name");
            let name = format!("{}-{}.png", person.display(), file.display());
            self.photo(&name, &[crop.as_path()])
        };
        crops.iter().map(photo).collect()
    }
}

/// Aligned faces of [`NEW`] and of [`OWN`].
pub fn crops(count: usize) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let new = files(&data(&format!("celeb24/unknown/{NEW}"))?, count);
    let own = files(&data(&format!("celeb24/val/{OWN}"))?, count);
    Some((new, own))
}

/// A film in which a person turns the head, as a folder of frames.
pub fn film(device: &Device, crops: &[PathBuf]) -> PathBuf {
    let folder = device.folder.path().join("film");
    fs::create_dir(&folder).expect("a folder can be made");
    for (index, crop) in crops.iter().enumerate() {
        let path = folder.join(format!("{index:03}.jpg"));
        frame_of(crop).save(&path).expect("the frame can be written");
    }
    folder
}

/// Writes people with made-up faces, of a model that does not exist, into a gallery.
pub fn fill(path: &Path, names: &[&str]) {
    fill_for("another", path, names);
}

/// As [`fill`], for the model with this fingerprint and embeddings of 128.
pub fn fill_for(model: &str, path: &Path, names: &[&str]) {
    let empty = |_: &Path| Ok(Gallery::new(model, 128, names.len()));
    store::update::<_, gallery::Error>(path, empty, |gallery| {
        for (number, name) in names.iter().enumerate() {
            let person = Person { name: (*name).into(), pictures: 5, added_unix_s: 1_800_000_000 };
            let element = |at: usize| ((at * (number + 7)) % 101) as f32 - 50.0;
            gallery.add(person, &(0..128).map(element).collect::<Vec<_>>())?;
        }
        Ok(())
    })
    .expect("the gallery can be written");
}
