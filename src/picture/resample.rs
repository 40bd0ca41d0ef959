//! Scaling of pictures with a triangle filter: bilinear interpolation between pixel centres when
//! a picture grows, and an average over the area that a pixel stands for when it shrinks.

use image::RgbImage;

/// Fraction bits of a weight. With 8 bits of a channel, the sums of products of both passes fit 32 bits.
const WEIGHT_BITS: u32 = 12;

/// Fraction bits that are kept between the vertical and the horizontal pass.
const KEPT_BITS: u32 = 6;

/// The source pixels that make up one output pixel: `first`, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<i16>,
}

/// Scales a picture to `width` x `height` pixels, both at least 1.
pub fn resize(rgb: &RgbImage, width: u32, height: u32) -> RgbImage {
    resize_part(rgb, [0, 0, rgb.width(), rgb.height()], width, height)
}

/// Scales the part of a picture at x and y with a width and height, at least 1, which lies inside of it.
pub fn resize_part(rgb: &RgbImage, part: [u32; 4], width: u32, height: u32) -> RgbImage {
    let [x, y, part_width, part_height] = part.map(|length| length as usize);
    let stride = rgb.width() as usize * 3;
    let pixels = &rgb.as_raw()[y * stride + x * 3..];
    let columns = taps(part_width, width as usize);
    let rows = taps(part_height, height as usize);
    let mut output = RgbImage::new(width, height);
    let mut sums = vec![0i32; part_width * 3];
    for (row, line) in rows.iter().zip(output.chunks_exact_mut(width as usize * 3)) {
        sum_rows(pixels, stride, row, &mut sums);
        sum_columns(&sums, &columns, line);
    }
    output
}

/// One line of the part's full width, made of weighted rows; values have [`KEPT_BITS`] of
/// fraction.
fn sum_rows(pixels: &[u8], stride: usize, row: &Taps, sums: &mut [i32]) {
    // As many sums at once as stay in registers while all rows pass by.
    let (blocks, rest) = sums.as_chunks_mut::<32>();
    let rest_start = blocks.len() * 32;
    for (block, sums) in blocks.iter_mut().enumerate() {
        sum_block(&pixels[row.first * stride + block * 32..], stride, &row.weights, sums);
    }
    sum_block(&pixels[row.first * stride + rest_start..], stride, &row.weights, rest);
}

#[inline(always)]
fn sum_block(pixels: &[u8], stride: usize, weights: &[i16], sums: &mut [i32]) {
    sums.fill(1 << (WEIGHT_BITS - KEPT_BITS - 1));
    for (index, &weight) in weights.iter().enumerate() {
        let values = &pixels[index * stride..][..sums.len()];
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += i32::from(weight) * i32::from(value);
        }
    }
    for sum in sums {
        *sum >>= WEIGHT_BITS - KEPT_BITS;
    }
}

fn sum_columns(sums: &[i32], columns: &[Taps], line: &mut [u8]) {
    for (column, pixel) in columns.iter().zip(line.chunks_exact_mut(3)) {
        let mut value = [1i32 << (WEIGHT_BITS + KEPT_BITS - 1); 3];
        let taken = sums[column.first * 3..].chunks_exact(3);
        for (&weight, channels) in column.weights.iter().zip(taken) {
            for (value, channel) in value.iter_mut().zip(channels) {
                *value += i32::from(weight) * channel;
            }
        }
        for (channel, value) in pixel.iter_mut().zip(value) {
            *channel = (value >> (WEIGHT_BITS + KEPT_BITS)).clamp(0, 255) as u8;
        }
    }
}

/// The taps of each of `to` output pixels over `from` source pixels.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let step = from as f64 / to as f64;
    let reach = step.max(1.0);
    (0..to)
        .map(|index| {
            let centre = (index as f64 + 0.5) * step;
            let first = (centre - reach).floor().max(0.0) as usize;
            let last = ((centre + reach).ceil() as usize).min(from);
            let weights = (first..last)
                .map(|tap| (1.0 - (tap as f64 + 0.5 - centre).abs() / reach).max(0.0))
                .collect::<Vec<_>>();
            Taps { first, weights: quantize(&weights) }
        })
        .collect()
}

/// Weights that sum up to exactly one, so that an even area keeps its colour.
fn quantize(weights: &[f64]) -> Vec<i16> {
    let one = 1i32 << WEIGHT_BITS;
    let sum: f64 = weights.iter().sum();
    let mut quantized: Vec<i32> =
        weights.iter().map(|weight| (weight / sum * f64::from(one)).round() as i32).collect();
    let rest = one - quantized.iter().sum::<i32>();
    if let Some(largest) = quantized.iter_mut().max() {
        *largest += rest;
    }
    quantized.into_iter().map(|weight| weight as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use image::imageops::{self, FilterType};

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 37 + y * 11) as u8, (x * y) as u8, (255 - x.min(255)) as u8])
        })
    }

    #[test]
    fn it_agrees_with_the_image_crate() {
        for (from, to) in [((112, 112), (160, 160)), ((640, 480), (256, 192)), ((7, 300), (50, 9))]
        {
            let picture = picture(from.0, from.1);
            let ours = resize(&picture, to.0, to.1);
            let theirs = imageops::resize(&picture, to.0, to.1, FilterType::Triangle);
            for (ours, theirs) in ours.iter().zip(theirs.iter()) {
                assert!(ours.abs_diff(*theirs) <= 1, "{from:?} to {to:?}: {ours} and {theirs}");
            }
        }
    }

    #[test]
    fn a_part_is_scaled_as_if_it_were_cut_out() {
        let picture = picture(61, 43);
        for [x, y, width, height] in
            [[0, 0, 61, 43], [7, 5, 20, 30], [60, 42, 1, 1], [0, 12, 61, 9]]
        {
            let part = imageops::crop_imm(&picture, x, y, width, height).to_image();
            let scaled = resize_part(&picture, [x, y, width, height], 16, 9);
            assert_eq!(scaled, resize(&part, 16, 9));
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let picture = picture(31, 17);
        assert_eq!(resize(&picture, 31, 17), picture);
    }

    #[test]
    fn even_areas_keep_their_colour() {
        let white = RgbImage::from_pixel(997, 3, Rgb([255, 128, 1]));
        let small = resize(&white, 10, 40);
        assert!(small.pixels().all(|pixel| pixel == &Rgb([255, 128, 1])));
    }

    #[test]
    fn single_pixels_and_strips_work() {
        assert_eq!(resize(&picture(1, 1), 5, 5).dimensions(), (5, 5));
        assert_eq!(resize(&picture(1, 5000), 1, 256).dimensions(), (1, 256));
    }
}
