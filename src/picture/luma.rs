//! How bright a pixel is.

/// Luma (ITU-R BT.601) of red, green and blue, or of their means, in their unit.
pub fn luma([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// [`luma`] with weights in 256ths, rounded down.
pub fn whole_luma(rgb: [u8; 3]) -> u8 {
    let [red, green, blue] = rgb.map(u32::from);
    ((77 * red + 150 * green + 29 * blue) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_is_as_bright_as_its_channels_and_green_weighs_most() {
        for value in [0, 1, 100, 255] {
            assert_eq!(whole_luma([value; 3]), value);
            assert!((luma([f32::from(value); 3]) - f32::from(value)).abs() < 1e-4);
        }
        assert_eq!([whole_luma([200, 0, 0]), whole_luma([0, 200, 0])], [60, 117]);
    }

    #[test]
    fn both_agree_but_for_the_rounding() {
        for red in (0..=255).step_by(15) {
            for (green, blue) in [(0, 255), (40, 7), (255, 0), (130, 200)] {
                let rgb = [red, green, blue];
                let above = luma(rgb.map(f32::from)) - f32::from(whole_luma(rgb));
                assert!((-0.5..1.5).contains(&above), "{rgb:?}: {above}");
            }
        }
    }
}
