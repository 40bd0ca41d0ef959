//! From landmarks to the crop that recognition takes.

use image::RgbImage;

use crate::face::{CROP_SIZE_PX, FaceCrop, Landmarks, Point};
use crate::warp::{Similarity, warp};

/// Where the eyes and the mouth of a face in the ArcFace template lie, as the detector sees them:
/// medians over aligned pictures. The nose is left out: on a turned face its tip shifts most, and
/// crops come nearer to the template without it.
const TEMPLATE: [Point; 3] =
    [Point { x: 37.1, y: 52.7 }, Point { x: 73.9, y: 52.5 }, Point { x: 55.8, y: 92.9 }];

/// Value of what lies beyond the picture's edge, in all channels.
const OUTSIDE: u8 = 0;

/// Brings the face at `landmarks` to the ArcFace template, 112x112 pixels, by rotation, scale and
/// shift. What lies outside of the picture is black, and so is the whole crop of landmarks that
/// lie in one place.
pub fn align(rgb: &RgbImage, landmarks: &Landmarks) -> FaceCrop {
    let points = [landmarks.right_eye, landmarks.left_eye, landmarks.mouth];
    let crop = match Similarity::fit(&points, &TEMPLATE) {
        Some(to_crop) => warp(rgb, &to_crop, CROP_SIZE_PX, OUTSIDE),
        None => RgbImage::new(CROP_SIZE_PX, CROP_SIZE_PX),
    };
    FaceCrop::from_warped(crop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face whose eyes and mouth are where `map` takes the template's.
    fn face(map: &Similarity) -> Landmarks {
        let [right_eye, left_eye, mouth] = TEMPLATE.map(|point| map.apply(point));
        let nose = Point { x: f32::NAN, y: f32::NAN };
        Landmarks { right_eye, left_eye, nose, mouth, right_ear: nose, left_ear: nose }
    }

    #[test]
    fn eyes_and_mouth_come_to_the_template() {
        let map = Similarity::about(TEMPLATE[0], Point { x: 300.0, y: 200.0 }, 0.5, 1.7);
        let landmarks = face(&map);
        let mut rgb = RgbImage::new(600, 500);
        for (channel, point) in
            [landmarks.right_eye, landmarks.left_eye, landmarks.mouth].iter().enumerate()
        {
            for (dx, dy) in (-3..=3).flat_map(|dx| (-3..=3).map(move |dy| (dx, dy))) {
                let (x, y) = ((point.x as i32 + dx) as u32, (point.y as i32 + dy) as u32);
                rgb.get_pixel_mut(x, y).0[channel] = 255;
            }
        }
        let crop = align(&rgb, &landmarks);
        for (channel, point) in TEMPLATE.iter().enumerate() {
            assert_eq!(crop.rgb().get_pixel(point.x as u32, point.y as u32).0[channel], 255);
        }
    }

    #[test]
    fn landmarks_in_one_place_give_a_black_crop() {
        let map = Similarity::about(TEMPLATE[0], Point { x: 5.0, y: 5.0 }, 0.0, 0.0);
        let crop = align(&RgbImage::from_pixel(10, 10, image::Rgb([255; 3])), &face(&map));
        assert!(crop.rgb().pixels().all(|pixel| pixel.0 == [0; 3]));
    }
}
