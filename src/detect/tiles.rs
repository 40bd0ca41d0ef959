//! Overlapping parts of a large picture, in which small faces are large enough to be found.

use super::letterbox::PixelBox;

/// Most tiles along one side.
const MOST: u32 = 8;

/// Square tiles of `side` pixels (or less where the picture is narrower) that cover a picture. Neighbours
/// overlap by a third, or by a quarter where there are eight along a side. A picture that would take more
/// than eight gets larger tiles. There are none when one tile would do.
pub fn tiles(width: u32, height: u32, side: u32) -> Vec<PixelBox> {
    // Eight tiles of a sixth of a side still overlap by more than a quarter.
    let least = width.max(height).div_ceil(6);
    let side = side.max(least);
    if width.max(height) <= side {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for (y, tile_height) in spans(height, side) {
        for (x, tile_width) in spans(width, side) {
            parts.push(PixelBox { x, y, width: tile_width, height: tile_height });
        }
    }
    parts
}

/// Starts and lengths of evenly spread spans over `length` pixels.
fn spans(length: u32, side: u32) -> Vec<(u32, u32)> {
    if length <= side {
        return vec![(0, length)];
    }
    let step = side - side / 3;
    let count = ((length - side).div_ceil(step.max(1)) + 1).clamp(2, MOST);
    let place = |index: u32| {
        let slack = u64::from(length - side) * u64::from(index) / u64::from(count - 1);
        (slack as u32, side)
    };
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_picture_and_overlap() {
        for (width, height) in [(700, 500), (1024, 1024), (1, 5000), (12_000, 9_000), (8_000, 300)]
        {
            let parts = tiles(width, height, 400);
            assert!(!parts.is_empty() && parts.len() <= 64, "{width}x{height}");
            for part in &parts {
                assert!(part.x + part.width <= width && part.y + part.height <= height);
                assert!(part.width > 0 && part.height > 0);
            }
            for spans in [spans(width, parts[0].width), spans(height, parts[0].height)] {
                for pair in spans.windows(2) {
                    let overlap = pair[0].0 + pair[0].1 - pair[1].0;
                    assert!(overlap * 4 >= pair[0].1, "{width}x{height}: {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_small_picture_needs_none() {
        assert!(tiles(400, 300, 400).is_empty());
        assert!(tiles(1, 1, 400).is_empty());
    }
}
