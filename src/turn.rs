//! Bringing pictures upright of a camera that does not hang upright, or films a mirror.

use image::{RgbImage, imageops};

/// By how much pictures are turned, and whether they are mirrored after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    quarters: u16,
    is_mirrored: bool,
}

impl Turn {
    /// Turns by `degrees` clockwise, of which whole quarter turns count, then changes left and right
    /// where `is_mirrored`.
    pub fn new(degrees: u16, is_mirrored: bool) -> Self {
        Self { quarters: degrees / 90 % 4, is_mirrored }
    }

    /// Whether pictures stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The picture turned. A quarter turn writes into `memory` and leaves that of `rgb` there.
    pub fn apply(self, mut rgb: RgbImage, memory: &mut Vec<u8>) -> RgbImage {
        if self.quarters % 2 == 1 {
            rgb = quarter(rgb, self.quarters == 1, memory);
        } else if self.quarters == 2 {
            imageops::rotate180_in_place(&mut rgb);
        }
        if self.is_mirrored {
            imageops::flip_horizontal_in_place(&mut rgb);
        }
        rgb
    }
}

fn quarter(rgb: RgbImage, is_clockwise: bool, memory: &mut Vec<u8>) -> RgbImage {
    let (width, height) = rgb.dimensions();
    let mut turned = std::mem::take(memory);
    turned.clear();
    turned.reserve_exact(rgb.as_raw().len());
    for row in 0..width {
        for column in 0..height {
            let (x, y) =
                if is_clockwise { (row, height - 1 - column) } else { (width - 1 - row, column) };
            turned.extend_from_slice(&rgb.get_pixel(x, y).0);
        }
    }
    match RgbImage::from_raw(height, width, turned) {
        Some(turned) => {
            *memory = rgb.into_raw();
            turned
        }
        None => rgb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]))
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
