//! The grid of places that the detector answers for.

use serde::Deserialize;

/// Anchors of one feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct AnchorLayer {
    /// Step between cells in input pixels.
    pub stride: u32,
    /// Anchors in each cell, all at its centre.
    pub per_cell: u32,
}

/// Most anchors of a detector: each answer is compared with all others.
const MOST: usize = 10_000;

/// Centres of the anchors in input pixels, x and y, in the order of the model's outputs: layer by
/// layer, row by row, cell by cell. `None` when a layer's step does not divide `input_px`, or there are
/// more than [`MOST`].
pub fn anchors(input_px: u32, layers: &[AnchorLayer]) -> Option<Vec<[f32; 2]>> {
    let mut centres = Vec::new();
    for layer in layers {
        if layer.stride == 0 || !input_px.is_multiple_of(layer.stride) {
            return None;
        }
        let cells = input_px / layer.stride;
        let count = u64::from(cells).checked_mul(u64::from(cells))?;
        let count =
            count.checked_mul(u64::from(layer.per_cell))?.checked_add(centres.len() as u64)?;
        if count > MOST as u64 {
            return None;
        }
        let centre = |cell: u32| (cell as f32 + 0.5) * layer.stride as f32;
        for row in 0..cells {
            for column in 0..cells {
                let place = [centre(column), centre(row)];
                centres.extend(std::iter::repeat_n(place, layer.per_cell as usize));
            }
        }
    }
    Some(centres)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLAZEFACE: [AnchorLayer; 2] =
        [AnchorLayer { stride: 16, per_cell: 2 }, AnchorLayer { stride: 32, per_cell: 6 }];

    #[test]
    fn blazeface_has_896_in_the_order_of_its_outputs() {
        let centres = anchors(256, &BLAZEFACE).expect("anchors");
        assert_eq!(centres.len(), 896);
        assert_eq!(centres[0], [8.0, 8.0]);
        assert_eq!(centres[1], [8.0, 8.0]);
        assert_eq!(centres[2], [24.0, 8.0]);
        assert_eq!(centres[32], [8.0, 24.0]);
        assert_eq!(centres[512], [16.0, 16.0]);
        assert_eq!(centres[895], [240.0, 240.0]);
    }

    #[test]
    fn a_step_that_does_not_fit_is_refused() {
        assert!(anchors(256, &[AnchorLayer { stride: 0, per_cell: 2 }]).is_none());
        assert!(anchors(256, &[AnchorLayer { stride: 24, per_cell: 2 }]).is_none());
        assert!(anchors(256, &[AnchorLayer { stride: 16, per_cell: u32::MAX }]).is_none());
        assert!(anchors(u32::MAX, &[AnchorLayer { stride: 1, per_cell: u32::MAX }]).is_none());
        assert!(anchors(256, &[AnchorLayer { stride: 16, per_cell: 2 }; 1_000_000]).is_none());
        assert!(anchors(100, &[AnchorLayer { stride: 1, per_cell: 1 }]).is_some());
        assert!(anchors(101, &[AnchorLayer { stride: 1, per_cell: 1 }]).is_none());
    }
}
