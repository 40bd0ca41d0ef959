//! A picture, or a part of it, scaled into the detector's square input.

use image::imageops::replace;
use image::{Rgb, RgbImage};

use super::answer::Answer;
use crate::picture::resample::resize_part;
use crate::types::face::{BoundingBox, Point};

/// Padding: the model takes the middle of its range for zero.
pub const GRAY: u8 = 128;

/// A rectangle of whole pixels inside a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

impl PixelBox {
    /// All of a picture, `None` if it has no pixels.
    pub fn whole(rgb: &RgbImage) -> Option<Self> {
        let (width, height) = rgb.dimensions();
        (width > 0 && height > 0).then_some(Self { x: 0, y: 0, width, height })
    }

    /// The same as a box of the picture.
    pub fn bounds(&self) -> BoundingBox {
        BoundingBox {
            x: self.x as f32,
            y: self.y as f32,
            width: self.width as f32,
            height: self.height as f32,
        }
    }

    /// Whether all of a box of the picture lies in it.
    pub fn contains(&self, bounds: &BoundingBox) -> bool {
        let own = self.bounds();
        bounds.x >= own.x
            && bounds.y >= own.y
            && bounds.x + bounds.width <= own.x + own.width
            && bounds.y + bounds.height <= own.y + own.height
    }
}

/// How positions in the input and in the picture belong together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    picture: [f32; 2],
    input: [f32; 2],
    /// Picture pixels to an input pixel.
    pub step: [f32; 2],
}

impl Placement {
    /// The point in the picture for one in the input.
    pub fn point(&self, point: Point) -> Point {
        Point {
            x: (point.x - self.input[0]) * self.step[0] + self.picture[0],
            y: (point.y - self.input[1]) * self.step[1] + self.picture[1],
        }
    }

    /// The answer in the picture for one in the input.
    pub fn answer(&self, answer: &Answer) -> Answer {
        let bounds = &answer.bounds;
        let Point { x, y } = self.point(Point { x: bounds.x, y: bounds.y });
        let (width, height) = (bounds.width * self.step[0], bounds.height * self.step[1]);
        Answer {
            bounds: BoundingBox { x, y, width, height },
            points: answer.points.map(|point| self.point(point)),
            confidence: answer.confidence,
        }
    }
}

/// A part of a picture in the middle of a gray square of `side` pixels, scaled so that its longer side has
/// `length` of them, 1 to `side`.
pub fn letterbox(rgb: &RgbImage, part: PixelBox, side: u32, length: u32) -> (RgbImage, Placement) {
    let longest = part.width.max(part.height);
    let fit = |pixels: u32| {
        let scaled = u64::from(pixels) * u64::from(length) + u64::from(longest) / 2;
        ((scaled / u64::from(longest)) as u32).max(1)
    };
    let (width, height) = (fit(part.width), fit(part.height));
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let placement = Placement {
        picture: [part.x as f32, part.y as f32],
        input: [left as f32, top as f32],
        step: [part.width as f32 / width as f32, part.height as f32 / height as f32],
    };
    let part = [part.x, part.y, part.width, part.height];
    let small = resize_part(rgb, part, width, height);
    let mut square = RgbImage::from_pixel(side, side, Rgb([GRAY; 3]));
    replace(&mut square, &small, i64::from(left), i64::from(top));
    (square, placement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(rgb: &RgbImage) -> (RgbImage, Placement) {
        letterbox(rgb, PixelBox::whole(rgb).expect("pixels"), 256, 256)
    }

    #[test]
    fn a_picture_of_the_input_size_is_copied() {
        let rgb = RgbImage::from_fn(256, 256, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        assert_eq!(whole(&rgb).0, rgb);
    }

    #[test]
    fn flat_pictures_of_any_shape_stay_flat_and_padded() {
        for (width, height) in [(1, 1), (2, 3), (1, 5000), (5000, 1), (640, 480), (301, 997)] {
            for value in [0, 7, 255] {
                let (square, placement) =
                    whole(&RgbImage::from_pixel(width, height, Rgb([value; 3])));
                assert_eq!(square.dimensions(), (256, 256));
                let odd =
                    square.pixels().any(|pixel| pixel.0 != [value; 3] && pixel.0 != [GRAY; 3]);
                assert!(!odd, "{width}x{height}");
                let middle = placement.point(Point { x: 128.0, y: 128.0 });
                let (dx, dy) = (middle.x - width as f32 / 2.0, middle.y - height as f32 / 2.0);
                assert!(dx.abs() <= placement.step[0] / 2.0 && dy.abs() <= placement.step[1] / 2.0);
            }
        }
    }

    #[test]
    fn positions_come_back() {
        let (x, y) = (431u32, 222u32);
        let rgb = RgbImage::from_fn(640, 480, |column, row| {
            Rgb([if column.abs_diff(x) < 4 && row.abs_diff(y) < 4 { 255 } else { 0 }; 3])
        });
        let (square, placement) = whole(&rgb);
        let bright = |(_, _, pixel): &(u32, u32, &Rgb<u8>)| pixel.0[0] > 150 && pixel.0[1] > 150;
        let spots: Vec<_> = square.enumerate_pixels().filter(bright).collect();
        assert!(!spots.is_empty());
        for (column, row, _) in spots {
            let at = placement.point(Point { x: column as f32 + 0.5, y: row as f32 + 0.5 });
            assert!((at.x - x as f32 - 0.5).abs() < 4.0 && (at.y - y as f32 - 0.5).abs() < 4.0);
        }
    }

    #[test]
    fn a_picture_may_be_shown_smaller_than_the_input() {
        let rgb = RgbImage::from_pixel(600, 300, Rgb([90; 3]));
        let (square, placement) = letterbox(&rgb, PixelBox::whole(&rgb).expect("pixels"), 256, 128);
        let filled = square.pixels().filter(|pixel| pixel.0 == [90; 3]).count();
        assert_eq!(filled, 128 * 64);
        assert_eq!(placement.point(Point { x: 64.0, y: 96.0 }), Point { x: 0.0, y: 0.0 });
        assert_eq!(placement.point(Point { x: 192.0, y: 160.0 }), Point { x: 600.0, y: 300.0 });
    }

    #[test]
    fn a_box_contains_what_does_not_reach_over_its_edges() {
        let part = PixelBox { x: 10, y: 20, width: 100, height: 50 };
        let at = |x, y| BoundingBox { x, y, width: 30.0, height: 40.0 };
        assert!(part.contains(&at(10.0, 20.0)) && part.contains(&at(80.0, 30.0)));
        for outside in [at(9.0, 25.0), at(20.0, 19.0), at(81.0, 25.0), at(20.0, 31.0)] {
            assert!(!part.contains(&outside), "{outside:?}");
        }
    }

    #[test]
    fn a_part_is_cut_out() {
        let rgb =
            RgbImage::from_fn(300, 200, |x, y| Rgb([if x >= 100 && y >= 50 { 90 } else { 0 }; 3]));
        let part = PixelBox { x: 100, y: 50, width: 150, height: 150 };
        let (square, placement) = letterbox(&rgb, part, 256, 256);
        assert!(square.pixels().all(|pixel| pixel.0 == [90; 3]));
        assert_eq!(placement.point(Point { x: 0.0, y: 0.0 }), Point { x: 100.0, y: 50.0 });
    }
}
