//! Turns pictures upright.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::large;

/// Whether the sides of a picture change places, which takes memory for both pictures.
pub fn swaps_sides(orientation: Orientation) -> bool {
    flips_of_transposed(orientation).is_some()
}

/// The picture as `orientation` says that it is to be shown.
pub fn turned(rgb: RgbImage, orientation: Orientation) -> RgbImage {
    match flips_of_transposed(orientation) {
        Some(flips) => transposed(&rgb, flips),
        None => {
            let mut picture = DynamicImage::ImageRgb8(rgb);
            picture.apply_orientation(orientation);
            picture.into_rgb8()
        }
    }
}

/// For an orientation that exchanges rows and columns: whether columns and rows of the picture are
/// read backwards.
fn flips_of_transposed(orientation: Orientation) -> Option<[bool; 2]> {
    match orientation {
        Orientation::Rotate90 => Some([false, true]),
        Orientation::Rotate270 => Some([true, false]),
        Orientation::Rotate90FlipH => Some([false, false]),
        Orientation::Rotate270FlipH => Some([true, true]),
        _ => None,
    }
}

fn transposed(rgb: &RgbImage, [backwards, upwards]: [bool; 2]) -> RgbImage {
    let (width, height) = rgb.dimensions();
    let mut pixels = large::empty(rgb.as_raw().len());
    for row in 0..width {
        let x = if backwards { width - 1 - row } else { row };
        for column in 0..height {
            let y = if upwards { height - 1 - column } else { column };
            pixels.extend_from_slice(&rgb.get_pixel(x, y).0);
        }
    }
    RgbImage::from_raw(height, width, pixels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_orientations_are_as_the_image_crate_has_them() {
        let rgb = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 7]));
        for orientation in (1..=8).filter_map(Orientation::from_exif) {
            let mut expected = DynamicImage::ImageRgb8(rgb.clone());
            expected.apply_orientation(orientation);
            assert_eq!(turned(rgb.clone(), orientation), expected.into_rgb8(), "{orientation:?}");
        }
    }
}
