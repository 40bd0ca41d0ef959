//! Whether a face shows enough to be recognized: size, pose, sharpness and light.

use crate::picture::luma::luma;
use crate::types::face::{Face, FaceCrop};
use crate::types::identity::Reason;
use crate::types::observation::Quality;

/// Limits of quality: a face beyond one of them is not recognized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityLimits {
    /// Least distance between the eyes in pixels of the picture.
    pub eye_distance_px: f32,
    /// Largest turn of the head, see [`Quality::turn`].
    pub turn: f32,
    /// Widest blur in pixels of the crop, see [`Quality::blur_px`].
    pub blur_px: f32,
    /// Least brightness, see [`Quality::brightness`].
    pub brightness: f32,
}

impl QualityLimits {
    /// Everything is good enough.
    pub const NONE: Self =
        Self { eye_distance_px: 0.0, turn: f32::INFINITY, blur_px: f32::INFINITY, brightness: 0.0 };

    /// Beyond each of these the most similar person is the wrong one for more than every tenth picture of
    /// known people (`tools/recognizer/quality.py`).
    pub const DEFAULT: Self =
        Self { eye_distance_px: 8.0, turn: 0.9, blur_px: 2.7, brightness: 16.0 };

    /// The first measure that is beyond its limit; `None` for a face that is good enough.
    pub fn flaw(&self, quality: &Quality) -> Option<Reason> {
        if quality.eye_distance_px.is_some_and(|distance| distance < self.eye_distance_px) {
            Some(Reason::TooSmall)
        } else if quality.brightness < self.brightness {
            Some(Reason::TooDark)
        } else if quality.turn.is_some_and(|turn| turn > self.turn) {
            Some(Reason::Profile)
        } else if quality.blur_px > self.blur_px {
            Some(Reason::Blurred)
        } else {
            None
        }
    }
}

/// Side of the middle part of a crop that is face in every pose, in pixels, and where it begins.
const INNER_PX: usize = 72;
const INNER_START_PX: usize = 20;

/// Measures an aligned face; its size and pose where the picture is at hand in which it was found.
pub fn measure(crop: &FaceCrop, face: Option<&Face>) -> Quality {
    let luma = inner_luma(crop);
    let eyes = face.map(|face| (face.landmarks.right_eye, face.landmarks.left_eye));
    Quality {
        eye_distance_px: eyes.map(|(right, left)| right.distance(left)),
        turn: face.map(|face| face.turn.abs()),
        blur_px: blur_px(&luma),
        brightness: luma.iter().sum::<f32>() / luma.len() as f32,
    }
}

/// Luma of the middle of the crop, row by row.
fn inner_luma(crop: &FaceCrop) -> Vec<f32> {
    let bytes = crop.rgb().as_raw();
    let side = crop.rgb().width() as usize;
    let inner = INNER_START_PX..INNER_START_PX + INNER_PX;
    inner
        .clone()
        .flat_map(|y| inner.clone().map(move |x| 3 * (y * side + x)))
        .map(|at| luma([bytes[at], bytes[at + 1], bytes[at + 2]].map(f32::from)))
        .collect()
}

fn blur_px(luma: &[f32]) -> f32 {
    let (mut gradient, mut laplacian) = (0.0, 0.0);
    for y in 1..INNER_PX - 1 {
        for x in 1..INNER_PX - 1 {
            let at = y * INNER_PX + x;
            let [up, down] = [luma[at - INNER_PX], luma[at + INNER_PX]];
            let [left, right] = [luma[at - 1], luma[at + 1]];
            gradient += ((right - left) / 2.0).powi(2) + ((down - up) / 2.0).powi(2);
            laplacian += (up + down + left + right - 4.0 * luma[at]).powi(2);
        }
    }
    // Without any edge there is nothing to see.
    if laplacian > 0.0 { (gradient / laplacian).sqrt() } else { f32::INFINITY }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, imageops};

    use super::*;
    use crate::types::face::{BoundingBox, CROP_SIZE_PX, Landmarks, Point};

    fn crop(value: impl Fn(u32, u32) -> u8) -> FaceCrop {
        FaceCrop::from_warped(RgbImage::from_fn(CROP_SIZE_PX, CROP_SIZE_PX, |x, y| {
            Rgb([value(x, y); 3])
        }))
    }

    fn squares() -> FaceCrop {
        crop(|x, y| if (x / 24 + y / 24) % 2 == 0 { 60 } else { 180 })
    }

    fn face(turn: f32) -> Face {
        let [right_eye, left_eye] = [30.0, 70.0].map(|x| Point { x, y: 40.0 });
        let mouth = Point { x: 50.0, y: 80.0 };
        Face {
            bounds: BoundingBox { x: 0.0, y: 0.0, width: 100.0, height: 100.0 },
            landmarks: Landmarks { right_eye, left_eye, mouth },
            turn,
            detection_confidence: 0.9,
        }
    }

    #[test]
    fn blur_is_measured_in_pixels_whatever_the_contrast() {
        let sharp = measure(&squares(), None).blur_px;
        let faint = crop(|x, y| if (x / 24 + y / 24) % 2 == 0 { 100 } else { 120 });
        assert!((measure(&faint, None).blur_px - sharp).abs() < 0.05);
        let mut last = sharp;
        for sigma in [1.0, 2.0, 3.0] {
            let blurred = FaceCrop::from_warped(imageops::blur(squares().rgb(), sigma));
            let blur = measure(&blurred, None).blur_px;
            assert!(blur > last + 0.3, "{sigma}: {blur} after {last}");
            last = blur;
        }
    }

    #[test]
    fn a_face_is_refused_for_what_it_lacks() {
        let limits =
            QualityLimits { eye_distance_px: 12.0, turn: 0.5, blur_px: 2.0, brightness: 30.0 };
        let good = measure(&squares(), Some(&face(0.0)));
        assert_eq!(limits.flaw(&good), None);
        assert_eq!(good.eye_distance_px, Some(40.0));
        assert_eq!(good.turn, Some(0.0));
        let small = Quality { eye_distance_px: Some(11.0), ..good };
        assert_eq!(limits.flaw(&small), Some(Reason::TooSmall));
        for turn in [-0.6, 0.6] {
            let turned = measure(&squares(), Some(&face(turn)));
            assert_eq!((turned.turn, limits.flaw(&turned)), (Some(0.6), Some(Reason::Profile)));
        }
        let blurred = Quality { blur_px: 2.1, ..good };
        assert_eq!(limits.flaw(&blurred), Some(Reason::Blurred));
        let dark = measure(&crop(|x, y| ((x + y) % 3) as u8), None);
        assert_eq!(limits.flaw(&dark), Some(Reason::TooDark));
        assert_eq!(QualityLimits::NONE.flaw(&dark), None);
    }

    #[test]
    fn an_even_surface_is_no_sharp_face() {
        let even = measure(&crop(|_, _| 128), None);
        assert_eq!(even.blur_px, f32::INFINITY);
        assert!(even.weight() > 0.0);
    }

    #[test]
    fn better_pictures_count_more() {
        let good = measure(&squares(), Some(&face(0.0)));
        for worse in [
            Quality { eye_distance_px: Some(15.0), ..good },
            Quality { turn: Some(0.5), ..good },
            Quality { blur_px: good.blur_px.max(1.0) * 2.0, ..good },
        ] {
            assert!(worse.weight() < good.weight());
        }
    }
}
