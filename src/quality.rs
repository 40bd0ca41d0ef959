//! Whether a face shows enough to be recognized: size, pose, sharpness and light.

use crate::event::{four_decimals, four_decimals_if_any};
use crate::face::{FaceCrop, Landmarks, Point};
use crate::recognize::Reason;

/// What a face lacks nothing of. A face beyond one of the limits is not recognized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Least distance between the eyes in pixels of the picture.
    pub eye_distance_px: f32,
    /// Largest turn of the head, see [`Quality::turn`].
    pub turn: f32,
    /// Widest blur in pixels of the crop, see [`Quality::blur_px`].
    pub blur_px: f32,
    /// Least brightness, see [`Quality::brightness`].
    pub brightness: f32,
}

impl Limits {
    /// Everything is good enough.
    pub const NONE: Self =
        Self { eye_distance_px: 0.0, turn: f32::INFINITY, blur_px: f32::INFINITY, brightness: 0.0 };
}

/// How well a face can be seen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Distance between the eyes in pixels of the picture; not known of a crop without its picture.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub eye_distance_px: Option<f32>,
    /// How far the head is turned sideways: the difference of the distances from the nose to either
    /// ear, as a share of their sum. 0 looks into the camera, 1 is a profile. Not known of a crop
    /// without its picture.
    #[serde(serialize_with = "four_decimals_if_any")]
    pub turn: Option<f32>,
    /// Spread of the blur in pixels of the crop: the root of the ratio of the mean squared gradient
    /// to the mean squared Laplacian, which for a blurred edge grows with the width of the blur.
    #[serde(serialize_with = "four_decimals")]
    pub blur_px: f32,
    /// Mean luma of the face, 0 to 255.
    #[serde(serialize_with = "four_decimals")]
    pub brightness: f32,
}

/// Side of the middle part of a crop that is face in every pose, in pixels, and where it begins.
const INNER_PX: usize = 72;
const INNER_START_PX: usize = 20;

impl Quality {
    /// Measures an aligned face, and its landmarks where the picture is at hand.
    pub fn measure(crop: &FaceCrop, landmarks: Option<&Landmarks>) -> Self {
        let luma = inner_luma(crop);
        Self {
            eye_distance_px: landmarks
                .map(|landmarks| distance(landmarks.right_eye, landmarks.left_eye)),
            turn: landmarks.map(|landmarks| turn_to_left(landmarks).abs()),
            blur_px: blur_px(&luma),
            brightness: luma.iter().sum::<f32>() / luma.len() as f32,
        }
    }

    /// A face of which everything can be seen.
    #[cfg(test)]
    pub(crate) const GOOD: Self =
        Self { eye_distance_px: Some(60.0), turn: Some(0.0), blur_px: 0.8, brightness: 120.0 };

    /// What is too poor to recognize the face by; `None` for a face that is good enough.
    pub fn flaw(&self, limits: &Limits) -> Option<Reason> {
        if self.eye_distance_px.is_some_and(|distance| distance < limits.eye_distance_px) {
            Some(Reason::TooSmall)
        } else if self.brightness < limits.brightness {
            Some(Reason::TooDark)
        } else if self.turn.is_some_and(|turn| turn > limits.turn) {
            Some(Reason::Profile)
        } else if self.blur_px > limits.blur_px {
            Some(Reason::Blurred)
        } else {
            None
        }
    }

    /// How much the face counts among other pictures of it, above 0 and up to 1.
    pub fn weight(&self) -> f32 {
        let size = self.eye_distance_px.map_or(1.0, |distance| (distance / 40.0).min(1.0));
        let pose = self.turn.map_or(1.0, |turn| 1.0 - turn.min(0.9));
        let sharpness = (1.0 / self.blur_px.max(1.0)).min(1.0);
        (size * pose * sharpness).max(0.01)
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// How far the head is turned to its own left, as [`Quality::turn`]; below 0 to its right.
pub fn turn_to_left(landmarks: &Landmarks) -> f32 {
    let right = distance(landmarks.nose, landmarks.right_ear);
    let left = distance(landmarks.nose, landmarks.left_ear);
    if right + left > 0.0 { (right - left) / (right + left) } else { 1.0 }
}

/// Luma (ITU-R BT.601) of the middle of the crop, row by row.
fn inner_luma(crop: &FaceCrop) -> Vec<f32> {
    let bytes = crop.rgb().as_raw();
    let side = crop.rgb().width() as usize;
    let inner = INNER_START_PX..INNER_START_PX + INNER_PX;
    inner
        .clone()
        .flat_map(|y| inner.clone().map(move |x| 3 * (y * side + x)))
        .map(|at| {
            let [r, g, b] = [bytes[at], bytes[at + 1], bytes[at + 2]].map(f32::from);
            0.299 * r + 0.587 * g + 0.114 * b
        })
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
    use crate::face::CROP_SIZE_PX;

    fn crop(value: impl Fn(u32, u32) -> u8) -> FaceCrop {
        FaceCrop::from_warped(RgbImage::from_fn(CROP_SIZE_PX, CROP_SIZE_PX, |x, y| {
            Rgb([value(x, y); 3])
        }))
    }

    fn squares() -> FaceCrop {
        crop(|x, y| if (x / 24 + y / 24) % 2 == 0 { 60 } else { 180 })
    }

    fn landmarks(nose_x: f32) -> Landmarks {
        let at = |x, y| Point { x, y };
        Landmarks {
            right_eye: at(30.0, 40.0),
            left_eye: at(70.0, 40.0),
            nose: at(nose_x, 60.0),
            mouth: at(50.0, 80.0),
            right_ear: at(10.0, 60.0),
            left_ear: at(90.0, 60.0),
        }
    }

    #[test]
    fn blur_is_measured_in_pixels_whatever_the_contrast() {
        let sharp = Quality::measure(&squares(), None).blur_px;
        let faint = crop(|x, y| if (x / 24 + y / 24) % 2 == 0 { 100 } else { 120 });
        assert!((Quality::measure(&faint, None).blur_px - sharp).abs() < 0.05);
        let mut last = sharp;
        for sigma in [1.0, 2.0, 3.0] {
            let blurred = FaceCrop::from_warped(imageops::blur(squares().rgb(), sigma));
            let blur = Quality::measure(&blurred, None).blur_px;
            assert!(blur > last + 0.3, "{sigma}: {blur} after {last}");
            last = blur;
        }
    }

    #[test]
    fn a_face_is_refused_for_what_it_lacks() {
        let limits = Limits { eye_distance_px: 12.0, turn: 0.5, blur_px: 2.0, brightness: 30.0 };
        let good = Quality::measure(&squares(), Some(&landmarks(50.0)));
        assert_eq!(good.flaw(&limits), None);
        assert_eq!(good.eye_distance_px, Some(40.0));
        assert_eq!(good.turn, Some(0.0));
        let small = Quality { eye_distance_px: Some(11.0), ..good };
        assert_eq!(small.flaw(&limits), Some(Reason::TooSmall));
        let turned = Quality::measure(&squares(), Some(&landmarks(15.0)));
        assert_eq!(turned.flaw(&limits), Some(Reason::Profile));
        assert!(turn_to_left(&landmarks(15.0)) < -0.5 && turn_to_left(&landmarks(85.0)) > 0.5);
        let blurred = Quality { blur_px: 2.1, ..good };
        assert_eq!(blurred.flaw(&limits), Some(Reason::Blurred));
        let dark = Quality::measure(&crop(|x, y| ((x + y) % 3) as u8), None);
        assert_eq!(dark.flaw(&limits), Some(Reason::TooDark));
        assert_eq!(dark.flaw(&Limits::NONE), None);
    }

    #[test]
    fn an_even_surface_is_no_sharp_face() {
        let even = Quality::measure(&crop(|_, _| 128), None);
        assert_eq!(even.blur_px, f32::INFINITY);
        assert!(even.weight() > 0.0);
    }

    #[test]
    fn better_pictures_count_more() {
        let good = Quality::measure(&squares(), Some(&landmarks(50.0)));
        for worse in [
            Quality { eye_distance_px: Some(15.0), ..good },
            Quality { turn: Some(0.5), ..good },
            Quality { blur_px: good.blur_px.max(1.0) * 2.0, ..good },
        ] {
            assert!(worse.weight() < good.weight());
        }
    }
}
