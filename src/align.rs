//! From a face in a picture to the crop that recognition takes.
//!
//! The detector's landmarks place a face well that looks into the camera. Of one that is turned it
//! guesses the far eye, and the crop comes out too small and beside the face. So a small network
//! looks at each face once more and says where the crop lies (a spatial transformer as in
//! Jaderberg et al. 2015, with the transform learned from a teacher's landmarks).

use image::RgbImage;
use serde::Deserialize;

use crate::models::{Model, Result};
use crate::picture::warp::{SimilarityTransform, warp};
use crate::types::face::{CROP_SIZE_PX, Face, FaceCrop, Point};

/// The middle of the eyes and the middle of the mouth in the ArcFace template.
const TEMPLATE: [Point; 2] = [Point { x: 56.0, y: 51.6 }, Point { x: 56.0, y: 92.3 }];

/// Where the detector sees the eyes and the mouth of an upright face: their turn against these is
/// that of the face. The nose is left out, for its tip shifts most on a turned face.
const UPRIGHT: [Point; 3] =
    [Point { x: 37.1, y: 52.7 }, Point { x: 73.9, y: 52.5 }, Point { x: 55.8, y: 92.9 }];

/// Value of what lies beyond the picture's edge in the crop, in all channels.
const OUTSIDE: u8 = 0;

/// The same in the square that the network looks at.
const GRAY: u8 = 128;

/// Values of the output `place`: x and y of the two points of the template.
const PLACE_LENGTH: usize = 4;

/// `celebcam.aligner` of a model file.
#[derive(Debug, Clone, Deserialize)]
struct Specification {
    /// Side of the square around a face that the network sees, in widths of the face's box.
    widths: f32,
}

/// Cuts aligned faces out of pictures.
#[derive(Debug)]
pub struct Aligner {
    model: Model,
    specification: Specification,
    place: usize,
}

impl Aligner {
    /// Checks that `model` can place faces.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`](crate::models::Error::Unusable) when it cannot, saying why.
    pub fn new(model: Model) -> Result<Self> {
        model.expect_kind("aligner")?;
        let specification: Specification = model.json_property("aligner")?;
        if !(0.5..=4.0).contains(&specification.widths) {
            let reason = "its square is less than half a face or more than four".to_owned();
            return Err(model.wrong(reason));
        }
        let (width, height) = model.input_size();
        if width != height {
            return Err(model.wrong(format!("its input has {width}x{height} pixels, no square")));
        }
        match model.output("place") {
            Some((place, PLACE_LENGTH)) => Ok(Self { model, specification, place }),
            _ => Err(model.wrong(format!("it has no output `place` of {PLACE_LENGTH} values"))),
        }
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Brings a face to the ArcFace template, 112x112 pixels, by rotation, scale and shift. What lies
    /// outside of the picture is black, and so is the whole crop of a face whose landmarks lie in
    /// one place.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when the model fails.
    pub fn align(&self, rgb: &RgbImage, face: &Face) -> Result<FaceCrop> {
        let crop = match self.to_crop(rgb, face)? {
            Some(to_crop) => warp(rgb, &to_crop, CROP_SIZE_PX, OUTSIDE),
            None => RgbImage::new(CROP_SIZE_PX, CROP_SIZE_PX),
        };
        Ok(FaceCrop::from_warped(crop))
    }

    /// The map from the picture to the crop of a face; `None` where its landmarks lie in one place.
    ///
    /// # Errors
    ///
    /// [`Error::Run`](crate::models::Error::Run) when the model fails.
    pub fn to_crop(&self, rgb: &RgbImage, face: &Face) -> Result<Option<SimilarityTransform>> {
        let (_, side) = self.model.input_size();
        let Some(to_square) = square_around(face, self.specification.widths, side) else {
            return Ok(None);
        };
        let outputs = self.model.run(&warp(rgb, &to_square, side, GRAY))?;
        let place = outputs[self.place].iter().map(|value| value * side as f32);
        let place: Vec<f32> = place.collect();
        let back = to_square.inverse();
        let points = [0, 2].map(|at| back.apply(Point { x: place[at], y: place[at + 1] }));
        Ok(SimilarityTransform::fit(&points, &TEMPLATE))
    }
}

/// The map to a square of `side` pixels with the face in its middle, upright, and `widths` times as
/// wide as the face. `None` for a face of no extent.
fn square_around(face: &Face, widths: f32, side: u32) -> Option<SimilarityTransform> {
    let landmarks = &face.landmarks;
    let points = [landmarks.right_eye, landmarks.left_eye, landmarks.mouth];
    let turn = SimilarityTransform::fit(&points, &UPRIGHT)?.angle();
    let middle = Point { x: side as f32 / 2.0, y: side as f32 / 2.0 };
    let extent = face.bounds.width.max(face.bounds.height);
    let to_square = SimilarityTransform::about(
        face.bounds.centre(),
        middle,
        turn,
        side as f32 / (widths * extent),
    );
    to_square.scale().is_normal().then_some(to_square)
}

#[cfg(test)]
mod tests {
    use celebcam_engine::Settings;

    use super::*;
    use crate::models;
    use crate::types::face::{BoundingBox, Landmarks};

    fn settings() -> Settings {
        models::settings(1).expect("the best kernels can be had")
    }

    /// A face whose eyes and mouth are where `map` takes the upright ones.
    fn face(map: &SimilarityTransform) -> Face {
        let [right_eye, left_eye, mouth] = UPRIGHT.map(|point| map.apply(point));
        let side = 80.0 * map.scale();
        let middle = map.apply(Point { x: 56.0, y: 72.0 });
        Face {
            bounds: BoundingBox {
                x: middle.x - side / 2.0,
                y: middle.y - side / 2.0,
                width: side,
                height: side,
            },
            landmarks: Landmarks { right_eye, left_eye, mouth },
            turn: f32::NAN,
            detection_confidence: 0.9,
        }
    }

    #[test]
    fn the_square_has_the_face_upright_in_its_middle() {
        let place = Point { x: 300.0, y: 200.0 };
        for (angle, scale) in [(0.0, 1.0), (0.5, 1.7), (-2.0, 0.2)] {
            let face = face(&SimilarityTransform::about(UPRIGHT[0], place, angle, scale));
            let square = square_around(&face, 1.3, 64).expect("an extent");
            let middle = square.apply(face.bounds.centre());
            assert!((middle.x - 32.0).hypot(middle.y - 32.0) < 0.01, "{middle:?}");
            assert!((square.angle() + angle).abs() < 0.01, "{} of {angle}", square.angle());
            assert!((square.scale() * 1.3 * 80.0 * scale - 64.0).abs() < 0.01);
        }
    }

    #[test]
    fn landmarks_in_one_place_give_a_black_crop() {
        let aligner = Aligner::new(models::aligner(&settings()).expect("built in"));
        let nowhere = face(&SimilarityTransform::about(UPRIGHT[0], UPRIGHT[0], 0.0, 0.0));
        let white = RgbImage::from_pixel(10, 10, image::Rgb([255; 3]));
        let crop = aligner.expect("usable").align(&white, &nowhere).expect("runs");
        assert!(crop.rgb().pixels().all(|pixel| pixel.0 == [0; 3]));
    }

    #[test]
    fn a_model_of_another_kind_is_refused() {
        let model = models::detector(None, &settings()).expect("built in");
        let error = Aligner::new(model).expect_err("no aligner");
        assert!(error.to_string().contains("aligner is needed here"), "{error}");
    }
}
