//! Follows faces from frame to frame without looking for them: where has this piece of the picture
//! moved?

use image::RgbImage;

use crate::picture::luma::whole_luma;
use crate::types::face::BoundingBox;

/// Pixels of a side of the pictures that are compared, at most.
const SMALL_PX: u32 = 192;

/// Pixels of a side of a part of such a picture.
const PART_PX: usize = 8;

/// How far a face may move from one frame to the next, in widths of the face.
const REACH: f32 = 0.6;

/// Most points of a face that are compared along a side.
const POINTS: usize = 16;

/// Largest mean difference of luma at which it is still the same face, as a share of the face's own
/// contrast.
const LARGEST_DIFFERENCE: f32 = 0.7;

/// A picture reduced to luma and few pixels.
#[derive(Debug)]
pub struct Small {
    luma: Vec<u8>,
    width: i32,
    height: i32,
    /// Pixels of the picture for one of these.
    step: f32,
}

impl Small {
    /// Reduces a picture to the pixels in the middle of equal squares.
    pub fn new(rgb: &RgbImage) -> Self {
        let step = rgb.width().max(rgb.height()).div_ceil(SMALL_PX).max(1);
        let (width, height) = (rgb.width() / step, rgb.height() / step);
        let luma = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x * step + step / 2, y * step + step / 2)))
            .map(|(x, y)| whole_luma(rgb.get_pixel(x, y).0))
            .collect();
        Self { luma, width: width as i32, height: height as i32, step: step as f32 }
    }

    /// The mean luma of each part of the picture, row by row.
    pub fn parts(&self) -> Vec<f32> {
        let (width, side) = (self.width.unsigned_abs() as usize, PART_PX);
        let row_parts = |rows: &[u8]| -> Vec<f32> {
            let mut sums = vec![(0_u32, 0_u32); width.div_ceil(side)];
            for (place, &luma) in rows.iter().enumerate() {
                let (sum, count) = &mut sums[place % width / side];
                (*sum, *count) = (*sum + u32::from(luma), *count + 1);
            }
            sums.into_iter().map(|(sum, count)| sum as f32 / count as f32).collect()
        };
        self.luma.chunks((width * side).max(1)).flat_map(row_parts).collect()
    }

    fn at(&self, x: i32, y: i32) -> Option<f32> {
        let is_inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        is_inside.then(|| f32::from(self.luma[(y * self.width + x) as usize]))
    }

    /// Where the face at `bounds` of this picture is in `next`; `None` where it has left the picture
    /// or looks too different.
    pub fn find_in(&self, next: &Self, bounds: &BoundingBox) -> Option<BoundingBox> {
        let points = self.points(bounds);
        let values: Vec<f32> = points.iter().filter_map(|&(x, y)| self.at(x, y)).collect();
        if points.is_empty() || values.len() < points.len() || self.step != next.step {
            return None;
        }
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let contrast = values.iter().map(|value| (value - mean).abs()).sum::<f32>();
        let reach = (REACH * bounds.width / self.step).ceil() as i32;
        let moves = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
        let (difference, dx, dy) = moves
            .filter_map(|(dx, dy)| {
                Some((difference(next, &points, &values, mean, dx, dy)?, dx, dy))
            })
            // Of moves that fit alike, the shortest.
            .min_by(|a, b| {
                a.0.total_cmp(&b.0).then((a.1.abs() + a.2.abs()).cmp(&(b.1.abs() + b.2.abs())))
            })?;
        (difference <= LARGEST_DIFFERENCE * contrast).then_some(BoundingBox {
            x: bounds.x + dx as f32 * self.step,
            y: bounds.y + dy as f32 * self.step,
            ..*bounds
        })
    }

    /// Points spread over the face.
    fn points(&self, bounds: &BoundingBox) -> Vec<(i32, i32)> {
        let along = |start: f32, length: f32| {
            let (start, length) = (start / self.step, length / self.step);
            let count = (length as usize).min(POINTS);
            (0..count).map(move |k| (start + length * (k as f32 + 0.5) / count as f32) as i32)
        };
        let columns: Vec<i32> = along(bounds.x, bounds.width).collect();
        along(bounds.y, bounds.height).flat_map(|y| columns.iter().map(move |&x| (x, y))).collect()
    }
}

/// Sum of the absolute differences, each picture about its own mean, so that a change of light does
/// not count.
fn difference(
    next: &Small,
    points: &[(i32, i32)],
    values: &[f32],
    mean: f32,
    dx: i32,
    dy: i32,
) -> Option<f32> {
    let mut sum = 0.0;
    for &(x, y) in points {
        sum += next.at(x + dx, y + dy)?;
    }
    let shift = sum / points.len() as f32 - mean;
    let differences = points.iter().zip(values).map(|(&(x, y), value)| {
        let found = next.at(x + dx, y + dy).unwrap_or_default();
        (found - shift - value).abs()
    });
    Some(differences.sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// A picture with a pattern of rings around a point, `light` brighter.
    fn rings(x: f32, y: f32, light: u8) -> Small {
        Small::new(&RgbImage::from_fn(640, 480, |px, py| {
            let distance = (px as f32 - x).hypot((py as f32 - y) * 1.3);
            let value = if distance < 80.0 { 90.0 + 60.0 * (distance / 9.0).sin() } else { 70.0 };
            Rgb([value as u8 + light; 3])
        }))
    }

    fn around(x: f32, y: f32) -> BoundingBox {
        BoundingBox { x: x - 60.0, y: y - 60.0, width: 120.0, height: 120.0 }
    }

    #[test]
    fn a_face_is_followed_in_another_light() {
        let start = rings(300.0, 200.0, 0);
        for (x, y) in [(300.0, 200.0), (332.0, 220.0), (260.0, 180.0)] {
            let found = start.find_in(&rings(x, y, 30), &around(300.0, 200.0)).expect("is there");
            let (wanted, found) = (around(x, y).centre(), found.centre());
            assert!((wanted.x - found.x).abs() <= 4.0, "{wanted:?} {found:?}");
            assert!((wanted.y - found.y).abs() <= 4.0, "{wanted:?} {found:?}");
        }
    }

    #[test]
    fn a_face_that_has_gone_is_not_followed() {
        let start = rings(300.0, 200.0, 0);
        assert_eq!(start.find_in(&rings(900.0, 900.0, 0), &around(300.0, 200.0)), None);
        assert_eq!(start.find_in(&Small::new(&RgbImage::new(64, 64)), &around(300.0, 200.0)), None);
    }

    #[test]
    fn boxes_outside_of_the_picture_are_not_followed() {
        let start = rings(300.0, 200.0, 0);
        for bounds in [around(0.0, 0.0), around(5000.0, 10.0), around(f32::NAN, 0.0)] {
            assert_eq!(start.find_in(&start, &bounds), None);
        }
        let empty = BoundingBox { x: 10.0, y: 10.0, width: 0.0, height: 0.0 };
        assert_eq!(start.find_in(&start, &empty), None);
    }
}
