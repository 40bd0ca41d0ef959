//! `celebcam crop`: cuts aligned faces out of photos.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};

use super::outputs::Outputs;
use super::{progress_bar, say};
use crate::align::Aligner;
use crate::cli::CropArgs;
use crate::detect::{Detector, Search};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::models;
use crate::picture::{self, Limits, PictureFile, Reader};
use crate::stages::{load_aligner, load_detector};

/// Writes one PNG of 112x112 pixels for the largest face of each photo, or for all of them.
///
/// # Errors
///
/// Missing inputs, a bad detector, or a folder that cannot be written to or in which a photo would be
/// replaced.
pub fn execute(args: &CropArgs) -> anyhow::Result<Exit> {
    let found = picture::find(&args.inputs)?;
    found.tell();
    let (files, reader) = (found.files, Reader::new(Limits::PHOTO));
    let first = args.all.then_some(1);
    let outputs = Outputs::plan(&args.out, &files, |relative| crop_name(relative, first))?;
    let settings = models::settings(1)?;
    let detector = load_detector(args.detector.as_deref(), Search::Thorough, &settings)?;
    let cutter = Cutter { args, outputs, detector, aligner: load_aligner(&settings)? };
    let bar = progress_bar(files.len());
    let (mut written, mut without_face, mut unreadable) = (0, 0, found.unreadable.len());
    for file in &files {
        match reader.read(&file.path) {
            Ok(picture) => {
                let count = cutter.cut(file, &picture.rgb)?;
                written += count;
                if count == 0 {
                    without_face += 1;
                    bar.suspend(|| log::warn!("{}: no face found", file.path.display()));
                }
            }
            Err(error) => {
                unreadable += 1;
                bar.suspend(|| log::error!("{error}"));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    say(format_args!(
        "pictures: {} ({without_face} without a face, {unreadable} unreadable); faces written to {}: {written}",
        files.len(),
        args.out.display()
    ));
    Ok(Exit::with_unreadable(unreadable))
}

struct Cutter<'a> {
    args: &'a CropArgs,
    outputs: Outputs,
    detector: Detector,
    aligner: Aligner,
}

impl Cutter<'_> {
    /// Writes the faces of a photo, and says how many.
    fn cut(&self, file: &PictureFile, rgb: &RgbImage) -> Result<usize> {
        let Self { args, outputs, detector, aligner } = self;
        let faces = detector.detect(rgb)?;
        let wanted = if args.all { faces.len() } else { faces.len().min(1) };
        for (index, face) in faces[..wanted].iter().enumerate() {
            let name = crop_name(&file.relative, args.all.then_some(index + 1));
            let mut png = Cursor::new(Vec::new());
            aligner.align(rgb, face)?.rgb().write_to(&mut png, ImageFormat::Png).map_err(
                |error| Error::Output { path: name.clone(), source: std::io::Error::other(error) },
            )?;
            outputs.write(&name, png.get_ref())?;
        }
        Ok(wanted)
    }
}

/// `a/photo.jpg` becomes `a/photo.jpg.png`, so that `photo.jpg` and `photo.png` stay apart; with a
/// number it becomes `a/photo.jpg-2.png`.
fn crop_name(relative: &Path, number: Option<usize>) -> PathBuf {
    let mut name = relative.as_os_str().to_owned();
    if let Some(number) = number {
        name.push(format!("-{number}"));
    }
    name.push(".png");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_of_different_pictures_never_share_a_path() {
        let path = |relative: &str, number| crop_name(Path::new(relative), number);
        assert_eq!(path("a/x.jpg", None), Path::new("a/x.jpg.png"));
        assert_eq!(path("a/x.jpg", Some(2)), Path::new("a/x.jpg-2.png"));
        assert_ne!(path("x.jpg", None), path("x.png", None));
    }
}
