//! Similarity transforms between pictures, and resampling a picture through one.

use image::{Rgb, RgbImage};

use crate::types::face::Point;

/// A rotation, a uniform scale and a shift: `x' = a x - b y + x0`, `y' = b x + a y + y0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimilarityTransform {
    a: f32,
    b: f32,
    x0: f32,
    y0: f32,
}

impl SimilarityTransform {
    /// The transform that turns by `angle` radians (from the x axis towards the y axis), scales
    /// by `scale` and takes `from` to `to`.
    pub fn about(from: Point, to: Point, angle: f32, scale: f32) -> Self {
        let (a, b) = (scale * angle.cos(), scale * angle.sin());
        let x0 = to.x - (a * from.x - b * from.y);
        let y0 = to.y - (b * from.x + a * from.y);
        Self { a, b, x0, y0 }
    }

    /// The transform that takes the points `from` nearest to the points `to`, by least squares
    /// (Umeyama 1991, "Least-squares estimation of transformation parameters between two point
    /// patterns", in the plane and without reflection). `None` when the points `from` coincide or
    /// are not finite.
    pub fn fit(from: &[Point], to: &[Point]) -> Option<Self> {
        let (from_centre, to_centre) = (centroid(from), centroid(to));
        let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py) = (p.x - from_centre.x, p.y - from_centre.y);
            let (qx, qy) = (q.x - to_centre.x, q.y - to_centre.y);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let (a, b) = (dot / spread, cross / spread);
        let x0 = to_centre.x - (a * from_centre.x - b * from_centre.y);
        let y0 = to_centre.y - (b * from_centre.x + a * from_centre.y);
        let fit = Self { a, b, x0, y0 };
        (fit.scale().is_normal() && x0.is_finite() && y0.is_finite()).then_some(fit)
    }

    /// Where the transform takes `point`.
    pub fn apply(&self, point: Point) -> Point {
        Point {
            x: self.a * point.x - self.b * point.y + self.x0,
            y: self.b * point.x + self.a * point.y + self.y0,
        }
    }

    /// The transform back; its scale must not be 0.
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self { a, b, x0: -(a * self.x0 - b * self.y0), y0: -(b * self.x0 + a * self.y0) }
    }

    /// Factor by which lengths grow.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Turn in radians, from the x axis towards the y axis.
    pub fn angle(&self) -> f32 {
        self.b.atan2(self.a)
    }
}

fn centroid(points: &[Point]) -> Point {
    let count = points.len() as f32;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.x, y + point.y));
    Point { x: x / count, y: y / count }
}

/// The square of `side` pixels that `to_square` maps the picture onto. Pixels are interpolated
/// bilinearly; where the picture shrinks it is averaged first. Outside of the picture all channels
/// have the value `outside`.
pub fn warp(rgb: &RgbImage, to_square: &SimilarityTransform, side: u32, outside: u8) -> RgbImage {
    let mut square = RgbImage::from_pixel(side, side, Rgb([outside; 3]));
    let back = to_square.inverse();
    if rgb.is_empty() || !(back.scale() * side as f32).is_finite() {
        return square;
    }
    let factor = (back.scale().floor() as u32).max(1);
    let (source, back) = if factor > 1 {
        let region = Covered::under(rgb, &back, side, factor);
        let Some(averaged) = region.averaged(rgb, factor) else { return square };
        (Some(averaged), region.shrink(&back, factor))
    } else {
        (None, back)
    };
    let source = source.as_ref().unwrap_or(rgb);
    // Between 1 and 2 picture pixels to an output pixel are left: four samples cover them.
    let offsets: &[f32] = if back.scale() > 1.0 { &[0.25, 0.75] } else { &[0.5] };
    let bits = WEIGHT_BITS + offsets.len().ilog2() * 2;
    let sampler = Sampler::new(source, outside);
    let step = [fixed(back.a), fixed(back.b)];
    for (y, line) in square.chunks_exact_mut(side as usize * 3).enumerate() {
        let mut positions = [[0; 2]; 4];
        let starts = offsets.iter().flat_map(|dy| offsets.iter().map(move |dx| [*dx, *dy]));
        for (start, [dx, dy]) in positions.iter_mut().zip(starts) {
            let at = back.apply(Point { x: dx, y: y as f32 + dy });
            *start = [fixed(at.x - 0.5), fixed(at.y - 0.5)];
        }
        let positions = &mut positions[..offsets.len() * offsets.len()];
        for pixel in line.chunks_exact_mut(3) {
            let mut sum = Lanes::splat(1 << (bits - 1));
            for at in positions.iter_mut() {
                sum.0 += sampler.sample(*at).0;
                *at = [at[0] + step[0], at[1] + step[1]];
            }
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = sum.lane(channel, bits);
            }
        }
    }
    square
}

/// Fraction bits of a position: they do not add up to a thousandth of a pixel along a line.
const POSITION_BITS: u32 = 32;

/// Fraction bits of a weight in interpolation.
const WEIGHT_BITS: u32 = 8;

/// Positions farther out than this count as outside of every picture.
const FARTHEST: f32 = 1e8;

fn fixed(value: f32) -> i64 {
    (f64::from(value.clamp(-FARTHEST, FARTHEST)) * (1u64 << POSITION_BITS) as f64) as i64
}

/// The three channels of a pixel, each in 21 bits of one number, so that one multiplication weighs
/// all.
#[derive(Clone, Copy)]
struct Lanes(u64);

impl Lanes {
    const BITS: u32 = 21;

    fn splat(value: u64) -> Self {
        Self(value | value << Self::BITS | value << (2 * Self::BITS))
    }

    /// From the lower three bytes.
    fn spread(pixel: u32) -> Self {
        let pixel = u64::from(pixel);
        Self(
            pixel & 0xff
                | (pixel & 0xff00) << (Self::BITS - 8)
                | (pixel & 0xff_0000) << (2 * Self::BITS - 16),
        )
    }

    fn lane(self, channel: usize, shift: u32) -> u8 {
        (self.0 >> (Self::BITS * channel as u32 + shift)) as u8
    }
}

/// Interpolates in a picture.
struct Sampler<'a> {
    pixels: &'a [u8],
    width: i64,
    height: i64,
    outside: Lanes,
}

impl<'a> Sampler<'a> {
    fn new(rgb: &'a RgbImage, outside: u8) -> Self {
        Self {
            pixels: rgb.as_raw(),
            width: i64::from(rgb.width()),
            height: i64::from(rgb.height()),
            outside: Lanes::splat(u64::from(outside)),
        }
    }

    /// The bilinear sample between the centres of four pixels, times `1 << WEIGHT_BITS`; pixels outside
    /// count as the colour given for them. `at` has [`POSITION_BITS`] of fraction, and 0 is a pixel's
    /// centre.
    #[inline]
    fn sample(&self, at: [i64; 2]) -> Lanes {
        let [left, top] = at.map(|value| value >> POSITION_BITS);
        let fraction =
            |value: i64| (value >> (POSITION_BITS - WEIGHT_BITS)) as u64 & ((1 << WEIGHT_BITS) - 1);
        let [fx, fy] = at.map(fraction);
        let both = (fx * fy) >> WEIGHT_BITS;
        let one = 1 << WEIGHT_BITS;
        let weights = [one + both - fx - fy, fx - both, fy - both, both];
        let stride = self.width * 3;
        // Four bytes are read for a pixel of three.
        if left >= 0 && top >= 0 && left + 2 < self.width && top + 1 < self.height {
            let first = (top * stride + left * 3) as usize;
            let second = first + stride as usize;
            let [a, b] = [first, second].map(|at| &self.pixels[at..at + 7]);
            let read = |bytes: &[u8], at: usize| {
                Lanes::spread(u32::from_le_bytes([
                    bytes[at],
                    bytes[at + 1],
                    bytes[at + 2],
                    bytes[at + 3],
                ]))
            };
            return Lanes(
                read(a, 0).0 * weights[0]
                    + read(a, 3).0 * weights[1]
                    + read(b, 0).0 * weights[2]
                    + read(b, 3).0 * weights[3],
            );
        }
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
        Lanes(
            corners
                .into_iter()
                .zip(weights)
                .map(|((dx, dy), weight)| self.pixel(left + dx, top + dy).0 * weight)
                .sum(),
        )
    }

    fn pixel(&self, x: i64, y: i64) -> Lanes {
        if x < 0 || y < 0 || x >= self.width || y >= self.height {
            return self.outside;
        }
        let at = ((y * self.width + x) * 3) as usize;
        Lanes::spread(u32::from_le_bytes([
            self.pixels[at],
            self.pixels[at + 1],
            self.pixels[at + 2],
            0,
        ]))
    }
}

/// A rectangle of a picture in whole pixels, its sides multiples of a shrink factor where the
/// picture's edge allows.
struct Covered {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Covered {
    /// What of `rgb` the square of `side` pixels covers, with `margin` pixels around.
    fn under(rgb: &RgbImage, back: &SimilarityTransform, side: u32, margin: u32) -> Self {
        let side = side as f32;
        let corners = [(0.0, 0.0), (side, 0.0), (0.0, side), (side, side)]
            .map(|(x, y)| back.apply(Point { x, y }));
        let low = |pick: fn(&Point) -> f32| {
            let least = corners.iter().map(pick).fold(f32::INFINITY, f32::min);
            (least.max(0.0) as u32).saturating_sub(margin)
        };
        let high = |pick: fn(&Point) -> f32, limit: u32| {
            let most = corners.iter().map(pick).fold(0.0, f32::max);
            (most as u32).saturating_add(2 * margin).min(limit)
        };
        let (left, top) = (low(|p| p.x).min(rgb.width()), low(|p| p.y).min(rgb.height()));
        let right = high(|p| p.x, rgb.width()).max(left);
        let bottom = high(|p| p.y, rgb.height()).max(top);
        Self { left, top, right, bottom }
    }

    /// The region with each `factor` x `factor` pixels averaged, and fewer at its end. `None`
    /// when it is empty.
    fn averaged(&self, rgb: &RgbImage, factor: u32) -> Option<RgbImage> {
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        if width == 0 || height == 0 {
            return None;
        }
        let columns = width.div_ceil(factor) as usize;
        let mut small = Vec::with_capacity(columns * height.div_ceil(factor) as usize * 3);
        let stride = rgb.width() as usize * 3;
        let mut top = self.top;
        while top < self.bottom {
            let bottom = (top + factor).min(self.bottom);
            let mut sums = vec![0u64; columns * 3];
            for row in top..bottom {
                let start = row as usize * stride;
                let row =
                    &rgb.as_raw()[start + self.left as usize * 3..start + self.right as usize * 3];
                for (sum, pixels) in sums.chunks_exact_mut(3).zip(row.chunks(factor as usize * 3)) {
                    for pixel in pixels.chunks_exact(3) {
                        for (sum, &value) in sum.iter_mut().zip(pixel) {
                            *sum += u64::from(value);
                        }
                    }
                }
            }
            for (column, sum) in sums.chunks_exact(3).enumerate() {
                let used = (width - column as u32 * factor).min(factor);
                let area = u64::from(used) * u64::from(bottom - top);
                small.extend(sum.iter().map(|&sum| ((sum + area / 2) / area) as u8));
            }
            top = bottom;
        }
        RgbImage::from_raw(columns as u32, height.div_ceil(factor), small)
    }

    /// `back` with its target moved into the averaged region.
    fn shrink(&self, back: &SimilarityTransform, factor: u32) -> SimilarityTransform {
        let ratio = 1.0 / factor as f32;
        SimilarityTransform {
            a: back.a * ratio,
            b: back.b * ratio,
            x0: (back.x0 - self.left as f32) * ratio,
            y0: (back.y0 - self.top as f32) * ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    fn near(a: Point, b: Point, tolerance: f32) -> bool {
        (a.x - b.x).hypot(a.y - b.y) < tolerance
    }

    #[test]
    fn fit_recovers_a_known_transform() {
        let from = [point(3.0, 8.0), point(40.0, 11.0), point(22.0, 50.0), point(-4.0, 31.0)];
        for step in 0..60 {
            let angle = step as f32 * 0.1 - 3.0;
            let scale = 0.05 * 1.12f32.powi(step);
            let known =
                SimilarityTransform::about(point(5.0, 6.0), point(-70.0, 300.0), angle, scale);
            let fit = SimilarityTransform::fit(&from, &from.map(|p| known.apply(p))).expect("fits");
            assert!((fit.scale() / scale - 1.0).abs() < 1e-3, "scale at {step}");
            assert!((fit.angle() - angle).abs() < 1e-3, "angle at {step}");
            for p in from {
                assert!(near(fit.apply(p), known.apply(p), 0.01 * scale.max(1.0)), "at {step}");
                assert!(near(fit.inverse().apply(fit.apply(p)), p, 0.02), "back at {step}");
            }
        }
    }

    #[test]
    fn fit_of_one_place_or_of_no_number_is_nothing() {
        let to = [point(0.0, 0.0), point(1.0, 0.0), point(0.0, 1.0)];
        assert!(SimilarityTransform::fit(&[point(2.0, 2.0); 3], &to).is_none());
        assert!(SimilarityTransform::fit(&[point(f32::NAN, 2.0); 3], &to).is_none());
        let far = [point(f32::MAX, 0.0), point(f32::MIN, 1.0), point(0.0, f32::MAX)];
        assert!(SimilarityTransform::fit(&far, &to).is_none());
    }

    #[test]
    fn warp_without_change_copies() {
        let rgb = RgbImage::from_fn(20, 20, |x, y| image::Rgb([x as u8 * 9, y as u8 * 7, 40]));
        let same = SimilarityTransform::about(point(0.0, 0.0), point(0.0, 0.0), 0.0, 1.0);
        assert_eq!(warp(&rgb, &same, 20, 0), rgb);
    }

    #[test]
    fn warp_averages_what_it_shrinks() {
        let rgb = RgbImage::from_fn(1200, 1200, |x, y| image::Rgb([((x + y) % 2 * 255) as u8; 3]));
        for scale in [0.5, 0.3, 0.09] {
            let shrink =
                SimilarityTransform::about(point(600.0, 600.0), point(16.0, 16.0), 0.3, scale);
            for pixel in warp(&rgb, &shrink, 32, 0).pixels() {
                assert!((100..=155).contains(&pixel.0[0]), "{} at scale {scale}", pixel.0[0]);
            }
        }
    }

    #[test]
    fn outside_of_the_picture_is_what_was_asked_for() {
        let rgb = RgbImage::from_pixel(40, 40, image::Rgb([10; 3]));
        for scale in [0.1, 0.6, 1.0, 4.0] {
            // The picture's right edge comes to the middle of the square.
            let half = SimilarityTransform::about(point(40.0, 20.0), point(16.0, 16.0), 0.0, scale);
            let square = warp(&rgb, &half, 32, 128);
            assert_eq!(square.get_pixel(13, 16).0, [10; 3], "inside at scale {scale}");
            assert_eq!(square.get_pixel(20, 16).0, [128; 3], "outside at scale {scale}");
            for far in [-900.0, 900.0] {
                let apart =
                    SimilarityTransform::about(point(far, far), point(16.0, 16.0), 0.0, scale);
                assert!(warp(&rgb, &apart, 8, 128).pixels().all(|pixel| pixel.0 == [128; 3]));
            }
        }
    }

    #[test]
    fn warp_takes_any_picture_and_place() {
        for (width, height) in [(0, 0), (1, 1), (1, 500), (500, 1), (3, 2)] {
            let rgb = RgbImage::from_pixel(width, height, image::Rgb([200; 3]));
            for scale in [1e-6, 0.01, 1.0, 90.0] {
                for shift in [-1e9, -4.0, 0.0, 7.5, 1e9] {
                    let map =
                        SimilarityTransform::about(point(shift, 0.0), point(5.0, 5.0), 1.0, scale);
                    assert_eq!(warp(&rgb, &map, 10, 0).dimensions(), (10, 10));
                }
            }
        }
    }
}
