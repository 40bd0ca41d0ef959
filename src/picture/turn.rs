//! Bringing pictures upright: of a camera that does not hang upright or films a mirror, and as their
//! EXIF data says.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

/// By how much pictures are turned, and whether they are mirrored after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    quarters: u16,
    is_mirrored: bool,
}

/// Sides of the squares in which a picture is transposed, in pixels: what is read and written for one
/// stays in the cache.
const TILE_PX: usize = 32;

/// What a number of quarter turns comes to, and mirrored after that.
const ORIENTATIONS: [[Orientation; 2]; 4] = [
    [Orientation::NoTransforms, Orientation::FlipHorizontal],
    [Orientation::Rotate90, Orientation::Rotate90FlipH],
    [Orientation::Rotate180, Orientation::FlipVertical],
    [Orientation::Rotate270, Orientation::Rotate270FlipH],
];

impl Turn {
    /// Pictures stay as they are.
    pub const NONE: Self = Self { quarters: 0, is_mirrored: false };

    /// Turns by `degrees` clockwise, of which whole quarter turns count, then changes left and right
    /// where `is_mirrored`.
    pub fn new(degrees: u16, is_mirrored: bool) -> Self {
        Self { quarters: degrees / 90 % 4, is_mirrored }
    }

    /// Whether pictures stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Degrees by which pictures are turned clockwise.
    pub fn degrees(self) -> u16 {
        90 * self.quarters
    }

    /// Whether left and right change places after that.
    pub fn is_mirrored(self) -> bool {
        self.is_mirrored
    }

    /// What `orientation` and then this turn come to.
    pub fn after(self, orientation: Orientation) -> Orientation {
        let places = (0..4).flat_map(|quarters| [(quarters, 0), (quarters, 1)]);
        let found = places.into_iter().find(|&(q, m)| ORIENTATIONS[q][m] == orientation);
        let (quarters, mirrored) = found.unwrap_or_default();
        // Behind a mirror a turn is one the other way.
        let own = usize::from(if mirrored == 1 { 4 - self.quarters } else { self.quarters });
        ORIENTATIONS[(quarters + own) % 4][mirrored ^ usize::from(self.is_mirrored)]
    }

    /// The picture turned; see [`turned`].
    pub fn apply(self, rgb: RgbImage, memory: &mut Vec<u8>) -> RgbImage {
        turned(rgb, self.after(Orientation::NoTransforms), memory)
    }
}

/// Whether the sides of a picture change places, which takes memory for both pictures.
pub fn swaps_sides(orientation: Orientation) -> bool {
    flips_of_transposed(orientation).is_some()
}

/// The picture as `orientation` says that it is to be shown. Where the sides change places, it is
/// written into `memory`, and that of `rgb` is left there.
pub fn turned(rgb: RgbImage, orientation: Orientation, memory: &mut Vec<u8>) -> RgbImage {
    let Some(flips) = flips_of_transposed(orientation) else {
        let mut picture = DynamicImage::ImageRgb8(rgb);
        picture.apply_orientation(orientation);
        return picture.into_rgb8();
    };
    let (width, height) = rgb.dimensions();
    let mut turned = std::mem::take(memory);
    transpose(rgb.as_raw(), [width as usize, height as usize], flips, &mut turned);
    match RgbImage::from_raw(height, width, turned) {
        Some(turned) => {
            *memory = rgb.into_raw();
            turned
        }
        None => rgb,
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

/// Writes the picture of `width` by `height` pixels with rows and columns exchanged.
fn transpose(
    rgb: &[u8],
    [width, height]: [usize; 2],
    [backwards, upwards]: [bool; 2],
    turned: &mut Vec<u8>,
) {
    turned.truncate(rgb.len());
    turned.reserve_exact(rgb.len() - turned.len());
    // All of it is written; what is there already need not be zero.
    turned.resize(rgb.len(), 0);
    for top in (0..width).step_by(TILE_PX) {
        for left in (0..height).step_by(TILE_PX) {
            let columns = TILE_PX.min(height - left);
            for row in top..width.min(top + TILE_PX) {
                let x = if backwards { width - 1 - row } else { row };
                let line = &mut turned[3 * (row * height + left)..][..3 * columns];
                for (pixel, column) in line.chunks_exact_mut(3).zip(left..) {
                    let y = if upwards { height - 1 - column } else { column };
                    pixel.copy_from_slice(&rgb[3 * (y * width + x)..][..3]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::imageops;

    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]))
    }

    fn orientations() -> impl Iterator<Item = Orientation> {
        (1..=8).filter_map(Orientation::from_exif)
    }

    fn turns() -> impl Iterator<Item = Turn> {
        [0, 90, 180, 270]
            .into_iter()
            .flat_map(|degrees| [false, true].map(|is_mirrored| Turn::new(degrees, is_mirrored)))
    }

    fn oriented(rgb: &RgbImage, orientation: Orientation) -> RgbImage {
        let mut picture = DynamicImage::ImageRgb8(rgb.clone());
        picture.apply_orientation(orientation);
        picture.into_rgb8()
    }

    #[test]
    fn every_turn_is_what_the_library_does_in_memory_of_its_own() {
        let mut memory = Vec::new();
        for (width, height) in [(5, 3), (3, 5), (1, 4), (4, 4), (0, 0)] {
            let rgb = picture(width, height);
            for degrees in [0, 90, 180, 270] {
                let plain = match degrees {
                    90 => imageops::rotate90(&rgb),
                    180 => imageops::rotate180(&rgb),
                    270 => imageops::rotate270(&rgb),
                    _ => rgb.clone(),
                };
                let turned = Turn::new(degrees, false).apply(rgb.clone(), &mut memory);
                assert_eq!(turned, plain, "{degrees}");
                let mirrored = Turn::new(degrees, true).apply(rgb.clone(), &mut memory);
                assert_eq!(mirrored, imageops::flip_horizontal(&plain), "{degrees}");
            }
        }
        assert!(Turn::new(0, false).is_none() && Turn::new(360, false).is_none());
        assert!(!Turn::new(0, true).is_none());
    }

    #[test]
    fn all_orientations_are_as_the_image_crate_has_them_below_and_above_a_tile() {
        let mut memory = Vec::new();
        for (width, height) in [(5, 3), (31, 32), (32, 33), (33, 65), (65, 31), (64, 1), (1, 33)] {
            let rgb = picture(width, height);
            for orientation in orientations() {
                let turned = turned(rgb.clone(), orientation, &mut memory);
                assert!(turned == oriented(&rgb, orientation), "{orientation:?}, {width}");
            }
        }
    }

    #[test]
    fn an_orientation_and_a_turn_are_one() {
        let (rgb, mut memory) = (picture(5, 3), Vec::new());
        for (orientation, turn) in orientations().flat_map(|it| turns().map(move |turn| (it, turn)))
        {
            let expected = turn.apply(oriented(&rgb, orientation), &mut memory);
            let joined = turned(rgb.clone(), turn.after(orientation), &mut memory);
            assert_eq!(joined, expected, "{orientation:?} and {turn:?}");
        }
    }

    #[test]
    fn quarter_turns_take_turns_with_two_pieces_of_memory() {
        let mut memory = Vec::new();
        let first = picture(8, 6);
        let at = first.as_ptr();
        let turned = Turn::new(90, false).apply(first, &mut memory);
        assert_eq!(memory.as_ptr(), at);
        let again = Turn::new(270, false).apply(turned, &mut memory);
        assert_eq!((again.as_ptr(), again), (at, picture(8, 6)));
    }
}
