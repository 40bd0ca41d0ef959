//! Finds faces: box, landmarks and confidence of each.
//!
//! The model is a BlazeFace (Bazarevsky et al. 2019). It sees a square of a few hundred pixels, and
//! its landmarks are good for a face of a third of that, upright and with room around. So nearly
//! every face gets a second look: its surroundings, turned upright and brought to that size, gray
//! where they reach over the picture's edge. That doubles as a check. Where there is a sign of a
//! face too large to be seen, the picture is looked at from farther away.

use std::ops::RangeInclusive;

use celebcam_engine::shortened;
use image::RgbImage;
use serde::Deserialize;

use crate::models::{Model, Result};
use crate::types::face::{BoundingBox, Face, Point};

mod anchors;
mod answer;
mod decode;
mod letterbox;
mod nms;
mod surroundings;
mod tiles;
mod wanted;

use anchors::{AnchorLayer, anchors};
use answer::Answer;
use letterbox::{PixelBox, letterbox};
use surroundings::{Surroundings, is_settled};
pub use wanted::{Area, Wanted};

/// A face of a width in this range, as a part of the input's side, has good landmarks in the first
/// look, if it is sure and inside of what was looked at.
const CLEAR: RangeInclusive<f32> = 0.28..=0.4;

/// Least confidence of a face that is clear.
const CLEAR_CONFIDENCE: f32 = 0.75;

/// Most second looks at a face above the range of widths that are clear. Where it was thought to be
/// is often wrong if it fills the picture, and then the next look sees it better.
const SECOND_LOOKS: usize = 3;

/// An answer at least this wide, in pixels of the picture, is unsure below this confidence. Most of
/// those are no faces but hands, or crowds out of focus; narrow answers of so little confidence mostly
/// are faces.
const LARGE_PX: f32 = 40.0;
const LARGE_CONFIDENCE: f32 = 0.65;

/// Confidence of an answer that may be a face too large to be seen.
const SIGN_CONFIDENCE: f32 = 0.2;

/// Width of such an answer, as a part of the input's side.
const SIGN_WIDTH: f32 = 0.3;

/// In a look from farther away, the picture's longer side has this part of the input's.
const FARTHER: f32 = 0.5;

/// The narrowest face, in pixels of the picture: nobody can be recognized in less.
const NARROWEST_PX: f32 = 8.0;

/// The widest face, in longer sides of the picture.
const WIDEST: f32 = 1.5;

/// Tiles of a thorough search have half the picture's longer side, but at least this: enlarging
/// more shows nothing new.
const SMALLEST_TILE_PX: u32 = 160;

/// Least standard deviation of brightness, in steps of 255, in the middle of a face: a black
/// picture between its padding looks like a face to the model.
const LEAST_CONTRAST: f32 = 4.0;

/// How much of a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// The whole picture at once: faces of a tenth of its longer side or more are found well.
    /// One run of the model and one or two more for each face.
    #[default]
    Whole,
    /// The whole picture, from farther away too, and overlapping tiles of half its longer side:
    /// also finds faces half as large. Seven to ten more runs of the model.
    Thorough,
}

/// `celebcam.detector` of a model file.
#[derive(Debug, Clone, Deserialize)]
struct Specification {
    family: String,
    input_px: u32,
    anchors: Vec<AnchorLayer>,
    score_threshold: f32,
    iou_threshold: f32,
}

/// A face detector.
#[derive(Debug)]
pub struct Detector {
    model: Model,
    specification: Specification,
    anchors: Vec<[f32; 2]>,
    boxes_output: usize,
    scores_output: usize,
    search: Search,
}

/// What one look at a part of the picture showed.
struct PartAnswers {
    /// The faces, in pixels of the picture.
    found: Vec<FirstAnswer>,
    /// Boxes, in pixels of the picture, about which there may be a face too large to be seen.
    signs: Vec<BoundingBox>,
}

/// A face in the picture after the first look at it.
#[derive(Clone, Copy)]
struct FirstAnswer {
    answer: Answer,
    /// Second looks that may make its points better.
    looks: usize,
}

impl Detector {
    /// Checks that `model` is a face detector of a kind that can be read.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`](crate::models::Error::Unusable) when it is not, saying why.
    pub fn new(model: Model) -> Result<Self> {
        model.expect_kind("detector")?;
        let specification: Specification = model.json_property("detector")?;
        let anchors = check(&specification, &model).map_err(|reason| model.wrong(reason))?;
        let output = |name: &str, per_anchor: usize| {
            let expected = anchors.len() * per_anchor;
            match model.output(name) {
                Some((index, length)) if length == expected => Ok(index),
                Some((_, length)) => Err(model.wrong(format!(
                    "its output {name} has {length} values; its anchors call for {expected}"
                ))),
                None => Err(model.wrong(format!("it has no output {name}"))),
            }
        };
        let boxes_output = output("boxes", decode::VALUES_PER_ANCHOR)?;
        let scores_output = output("scores", 1)?;
        let search = Search::default();
        Ok(Self { model, specification, anchors, boxes_output, scores_output, search })
    }

    /// The detector with another way to search.
    #[must_use]
    pub fn with_search(self, search: Search) -> Self {
        Self { search, ..self }
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The faces in a picture of any size, in its pixels, the one of which it shows the largest area
    /// first. Boxes and landmarks may reach over its edges.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when the model fails.
    pub fn detect(&self, rgb: &RgbImage) -> Result<Vec<Face>> {
        self.detect_wanted(rgb, &Wanted::default())
    }

    /// [`Self::detect`] without the faces that are not `wanted`.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when the model fails.
    pub fn detect_wanted(&self, rgb: &RgbImage, wanted: &Wanted) -> Result<Vec<Face>> {
        let Some(whole) = PixelBox::whole(rgb) else { return Ok(Vec::new()) };
        let side = self.specification.input_px;
        let farther = (side as f32 * FARTHER) as u32;
        let PartAnswers { mut found, mut signs } = self.look(rgb, whole, side)?;
        signs.retain(|sign| !wanted.ignores(sign, whole));
        if self.search == Search::Thorough {
            found.extend(self.look(rgb, whole, farther)?.found);
            let tile_side = (whole.width.max(whole.height) / 2).max(SMALLEST_TILE_PX);
            for tile in tiles::tiles(whole.width, whole.height, tile_side) {
                found.extend(self.look(rgb, tile, side)?.found);
            }
        }
        let mut faces = self.confirmed(rgb, whole, found, wanted)?;
        if self.search == Search::Whole && self.may_be_larger(&faces, &signs) {
            let PartAnswers { found, .. } = self.look(rgb, whole, farther)?;
            faces.extend(self.confirmed(rgb, whole, found, wanted)?);
            faces = self.each_once(faces);
        }
        let frame = whole.bounds();
        let shown = |face: &Answer| face.bounds.intersection(&frame);
        faces.sort_by(|a, b| shown(b).total_cmp(&shown(a)));
        Ok(faces.iter().map(Answer::face).collect())
    }

    /// The faces that are there in a second look as well and wanted, each once.
    fn confirmed(
        &self,
        rgb: &RgbImage,
        whole: PixelBox,
        mut found: Vec<FirstAnswer>,
        wanted: &Wanted,
    ) -> Result<Vec<Answer>> {
        let iou_threshold = self.specification.iou_threshold;
        found.retain(|found| !wanted.ignores(&found.answer.bounds, whole));
        let mut faces = Vec::new();
        for found in nms::suppress_alike(found, iou_threshold, |found| &found.answer) {
            faces.extend(self.look_again(rgb, &found)?);
        }
        faces.retain(|face| is_plausible(&face.bounds, whole));
        let mut faces = self.each_once(faces);
        faces.retain(|face| wanted.takes(&face.bounds, whole));
        Ok(faces)
    }

    /// The faces without parts of faces, and without what is hardly one.
    fn each_once(&self, faces: Vec<Answer>) -> Vec<Answer> {
        let mut faces = nms::suppress_parts(faces, self.specification.iou_threshold);
        drop_unsure(&mut faces);
        faces
    }

    /// Whether what was found may be no more than parts of a face that is too large: none of the
    /// faces is sure, and there is a sign which is none of them.
    fn may_be_larger(&self, faces: &[Answer], signs: &[BoundingBox]) -> bool {
        let is_found = |sign: &BoundingBox| {
            faces.iter().any(|face| face.bounds.iou(sign) > self.specification.iou_threshold)
        };
        faces.iter().all(|face| face.confidence < CLEAR_CONFIDENCE) && !signs.iter().all(is_found)
    }

    /// What is to be seen in a part of the picture, its longer side scaled to `length` input pixels.
    fn look(&self, rgb: &RgbImage, part: PixelBox, length: u32) -> Result<PartAnswers> {
        let side = self.specification.input_px;
        let (square, placement) = letterbox(rgb, part, side, length);
        let (faces, signs) = self.answers(&square)?;
        let signs = signs.iter().map(|sign| placement.answer(sign).bounds).collect();
        let found = |face: Answer| {
            let width = face.bounds.width / side as f32;
            let is_sure = face.confidence >= CLEAR_CONFIDENCE;
            let answer = placement.answer(&face);
            let looks = if width > *CLEAR.end() {
                SECOND_LOOKS
            } else {
                usize::from(width < *CLEAR.start() || !is_sure || !part.contains(&answer.bounds))
            };
            FirstAnswer { answer, looks }
        };
        Ok(PartAnswers { found: faces.into_iter().map(found).collect(), signs })
    }

    /// The face as second looks see it; `None` when the first of them finds none.
    fn look_again(&self, rgb: &RgbImage, first: &FirstAnswer) -> Result<Option<Answer>> {
        let side = self.specification.input_px;
        let mut known = Some(first.answer).filter(|_| first.looks == 0);
        let mut thought = first.answer;
        for _ in 0..first.looks {
            let Some(surroundings) = Surroundings::of(&thought, side) else { break };
            let (faces, _) = self.answers(&surroundings.square(rgb))?;
            let Some(found) = surroundings.face_in_middle(faces) else { break };
            known = Some(found);
            if is_settled(&thought, &found) {
                break;
            }
            thought = found;
        }
        Ok(known)
    }

    /// What the model finds in a square of its input size, in input pixels, and signs of a face too
    /// large to be seen.
    fn answers(&self, square: &RgbImage) -> Result<(Vec<Answer>, Vec<Answer>)> {
        let outputs = self.model.run(square)?;
        let Specification { score_threshold, iou_threshold, input_px, .. } = self.specification;
        let (boxes, scores) = (&outputs[self.boxes_output], &outputs[self.scores_output]);
        let threshold = score_threshold.min(SIGN_CONFIDENCE);
        let mut faces = decode::decode(boxes, scores, &self.anchors, threshold);
        let sign_width = SIGN_WIDTH * input_px as f32;
        let is_sign = |face: &&Answer| face.bounds.width >= sign_width;
        let signs = faces.iter().filter(is_sign).copied().collect();
        faces.retain(|face| face.confidence >= score_threshold);
        let mut faces = nms::blend(faces, iou_threshold);
        faces.retain(|face| contrast(square, &face.bounds) >= LEAST_CONTRAST);
        Ok((faces, signs))
    }
}

/// The anchors of a usable specification.
fn check(specification: &Specification, model: &Model) -> Result<Vec<[f32; 2]>, String> {
    let Specification { family, input_px, anchors: layers, score_threshold, iou_threshold } =
        specification;
    if family != "blazeface" {
        let family = shortened(family, 40);
        return Err(format!("it is of the family {family}; blazeface is the one known here"));
    }
    if model.input_size() != (*input_px, *input_px) {
        let (height, width) = model.input_size();
        return Err(format!("its input has {width}x{height} pixels, its metadata says {input_px}"));
    }
    for (name, value) in [("score_threshold", score_threshold), ("iou_threshold", iou_threshold)] {
        if !(*value > 0.0 && *value < 1.0) {
            return Err(format!("its {name} is {value}; it must lie between 0 and 1"));
        }
    }
    anchors(*input_px, layers).ok_or_else(|| "its anchors do not fit its input".to_owned())
}

/// Standard deviation of brightness, 0 to 255, in the middle half of a box; 0 outside of `rgb`.
fn contrast(rgb: &RgbImage, bounds: &BoundingBox) -> f32 {
    let span = |start: f32, length: f32, limit: u32| {
        let first = (start + length * 0.25).clamp(0.0, limit as f32) as u32;
        first..(start + length * 0.75).clamp(0.0, limit as f32).ceil() as u32
    };
    let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
    for y in span(bounds.y, bounds.height, rgb.height()) {
        for x in span(bounds.x, bounds.width, rgb.width()) {
            let value = rgb.get_pixel(x, y).0.iter().map(|&value| u64::from(value)).sum::<u64>();
            (count, sum, squares) = (count + 1, sum + value, squares + value * value);
        }
    }
    let mean = sum as f64 / count.max(1) as f64;
    let variance = squares as f64 / count.max(1) as f64 - mean * mean;
    (variance.max(0.0).sqrt() / 3.0) as f32
}

/// Keeps large answers that are unsure only where there is no surer face.
fn drop_unsure(faces: &mut Vec<Answer>) {
    let is_sure = |face: &Answer| face.confidence >= LARGE_CONFIDENCE;
    if faces.iter().any(is_sure) {
        faces.retain(|face| is_sure(face) || face.bounds.width < LARGE_PX);
    }
}

/// Whether a box is of a size that a face can have, with its centre in the picture.
fn is_plausible(bounds: &BoundingBox, picture: PixelBox) -> bool {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let Point { x, y } = bounds.centre();
    bounds.width >= NARROWEST_PX
        && bounds.width.max(bounds.height) <= WIDEST * width.max(height)
        && (0.0..width).contains(&x)
        && (0.0..height).contains(&y)
}

#[cfg(test)]
mod tests {
    use celebcam_engine::Settings;
    use image::Rgb;

    use super::*;
    use crate::detect::answer::POINTS;

    fn settings() -> Settings {
        crate::models::settings(1).expect("the best kernels can be had")
    }

    fn detector(search: Search) -> Detector {
        let model = crate::models::detector(None, &settings()).expect("built-in detector");
        Detector::new(model).expect("usable").with_search(search)
    }

    #[test]
    fn pictures_without_a_face_of_any_shape_give_none() {
        let detector = detector(Search::Whole);
        for (width, height) in [(0, 0), (1, 1), (2, 1), (1, 5000), (5000, 1), (640, 480)] {
            for value in [0, 128, 255] {
                let rgb = RgbImage::from_pixel(width, height, Rgb([value; 3]));
                assert_eq!(detector.detect(&rgb).expect("runs"), [], "{width}x{height} of {value}");
            }
        }
    }

    #[test]
    fn a_thorough_search_takes_strips_and_single_pixels() {
        let detector = detector(Search::Thorough);
        for (width, height) in [(1, 1), (1, 900), (900, 1)] {
            let rgb = RgbImage::from_pixel(width, height, Rgb([90; 3]));
            assert_eq!(detector.detect(&rgb).expect("runs"), [], "{width}x{height}");
        }
    }

    #[test]
    fn contrast_is_the_spread_of_brightness_in_the_middle() {
        let stripes = |low: u8, high: u8| {
            RgbImage::from_fn(40, 40, |x, _| Rgb([if x % 2 == 0 { low } else { high }; 3]))
        };
        let all = BoundingBox { x: 0.0, y: 0.0, width: 40.0, height: 40.0 };
        assert_eq!(contrast(&stripes(100, 100), &all), 0.0);
        assert!((contrast(&stripes(100, 120), &all) - 10.0).abs() < 1e-3);
        let outside = BoundingBox { x: 200.0, y: -90.0, ..all };
        assert_eq!(contrast(&stripes(0, 255), &outside), 0.0);
    }

    #[test]
    fn a_recognizer_is_refused() {
        let model = crate::models::recognizer(None, &settings()).expect("built-in recognizer");
        let error = Detector::new(model).expect_err("not a detector");
        assert!(error.to_string().contains("detector is needed here"), "{error}");
    }

    #[test]
    fn a_sign_that_no_face_explains_asks_for_a_look_from_farther_away() {
        let bounds = |x: f32, width: f32| BoundingBox { x, y: 0.0, width, height: width };
        let face = |x: f32, width: f32, confidence| Answer {
            bounds: bounds(x, width),
            points: [Point { x, y: 0.0 }; POINTS],
            confidence,
        };
        let (detector, sign) = (detector(Search::Whole), bounds(40.0, 120.0));
        let asks = |faces: &[Answer], signs: &[BoundingBox]| detector.may_be_larger(faces, signs);
        assert!(asks(&[], &[sign]) && asks(&[face(0.0, 60.0, 0.6)], &[sign]));
        assert!(!asks(&[], &[]) && !asks(&[face(0.0, 60.0, 0.6)], &[]));
        assert!(!asks(&[face(40.0, 120.0, 0.6)], &[sign]), "the sign is the face");
        assert!(!asks(&[face(0.0, 60.0, 0.9)], &[sign]), "the face is sure");
    }

    #[test]
    fn a_large_face_that_is_unsure_needs_that_nobody_is_surer() {
        let face = |width: f32, confidence| Answer {
            bounds: BoundingBox { x: 0.0, y: 0.0, width, height: width },
            points: [Point { x: 0.0, y: 0.0 }; POINTS],
            confidence,
        };
        let (hand, small, sure) = (face(90.0, 0.6), face(20.0, 0.6), face(80.0, 0.8));
        for (mut faces, left) in [
            (vec![sure, hand, small], vec![sure, small]),
            (vec![hand, small], vec![hand, small]),
            (vec![hand], vec![hand]),
            (vec![], vec![]),
        ] {
            drop_unsure(&mut faces);
            assert_eq!(faces, left);
        }
    }

    #[test]
    fn boxes_of_absurd_size_or_place_are_not_plausible() {
        let picture = PixelBox { x: 0, y: 0, width: 640, height: 480 };
        let at = |x, y, side| BoundingBox { x, y, width: side, height: side };
        assert!(is_plausible(&at(100.0, 100.0, 50.0), picture));
        assert!(is_plausible(&at(-50.0, -50.0, 200.0), picture));
        assert!(!is_plausible(&at(100.0, 100.0, 5.0), picture));
        assert!(!is_plausible(&at(-400.0, -400.0, 1000.0), picture));
        assert!(!is_plausible(&at(-60.0, 100.0, 50.0), picture));
        assert!(!is_plausible(&at(f32::NAN, 100.0, 50.0), picture));
    }
}
