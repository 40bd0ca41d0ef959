//! Smaller pictures, made while they are read or where they lie.

use image::RgbImage;

use super::large;

/// The least power of two by which sides have to be divided, so that no more than `pixels` are left.
pub fn factor(width: u32, height: u32, pixels: u64) -> u32 {
    let left = |factor: u32| u64::from(width.div_ceil(factor)) * u64::from(height.div_ceil(factor));
    (0..16).map(|power| 1 << power).find(|&factor| left(factor) <= pixels).unwrap_or(1 << 16)
}

/// Makes a picture of rows that come one after another, each pixel the mean of a square of `factor`
/// by `factor`.
#[derive(Debug)]
pub struct Shrinker {
    width: usize,
    factor: usize,
    sums: Vec<u32>,
    rows: usize,
    rgb: Vec<u8>,
}

impl Shrinker {
    /// For a picture of this width and height in pixels.
    pub fn new([width, height]: [u32; 2], factor: u32) -> Self {
        let stride = width.div_ceil(factor) as usize * 3;
        let rgb = large::empty(stride * height.div_ceil(factor) as usize);
        let (width, factor) = (width as usize, factor as usize);
        Self { width, factor, sums: vec![0; stride], rows: 0, rgb }
    }

    /// The next row, `width` times R G B.
    pub fn add(&mut self, row: &[u8]) {
        if self.factor == 1 {
            self.rgb.extend_from_slice(row);
            return;
        }
        for (sums, pixels) in self.sums.chunks_exact_mut(3).zip(row.chunks(3 * self.factor)) {
            for pixel in pixels.chunks_exact(3) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
            }
        }
        self.rows += 1;
        if self.rows == self.factor {
            self.close_row();
        }
    }

    /// The pixels as R G B.
    pub fn finish(mut self) -> Vec<u8> {
        if self.rows > 0 {
            self.close_row();
        }
        self.rgb
    }

    fn close_row(&mut self) {
        for (x, sums) in self.sums.chunks_exact_mut(3).enumerate() {
            let columns = self.factor.min(self.width - x * self.factor);
            let count = (columns * self.rows) as u32;
            self.rgb.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
            sums.fill(0);
        }
        self.rows = 0;
    }
}

/// A picture of `channels` bytes a pixel, 3 or 4 of which the first three are R G B, each pixel the
/// mean of a square of `factor` by `factor`. It takes no memory of its own.
pub fn in_place(
    mut pixels: Vec<u8>,
    [width, height]: [u32; 2],
    channels: usize,
    factor: u32,
) -> Option<RgbImage> {
    let [across, down] = [width.div_ceil(factor), height.div_ceil(factor)];
    if channels == 3 && factor == 1 {
        return RgbImage::from_raw(width, height, pixels);
    }
    let stride = width as usize * channels;
    let mut end = 0;
    for y in 0..down {
        let rows = y * factor..height.min((y + 1) * factor);
        for x in 0..across {
            let columns = x * factor..width.min((x + 1) * factor);
            let mut sums = [0u32; 3];
            for row in rows.clone() {
                for column in columns.clone() {
                    let at = row as usize * stride + column as usize * channels;
                    let pixel = pixels.get(at..at + 3)?;
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
                }
            }
            let count = (rows.len() * columns.len()) as u32;
            for sum in sums {
                // What is written lies before everything that is still to be read.
                pixels[end] = ((sum + count / 2) / count) as u8;
                end += 1;
            }
        }
    }
    pixels.truncate(end);
    pixels.shrink_to(large::capacity::<u8>(end));
    RgbImage::from_raw(across, down, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(width: usize, height: usize, channels: usize) -> Vec<u8> {
        (0..width * height)
            .flat_map(|at| [at as u8, (at * 7) as u8, 90, 255].into_iter().take(channels))
            .collect()
    }

    #[test]
    fn the_factor_is_the_least_that_does() {
        assert_eq!(factor(100, 100, 10_000), 1);
        assert_eq!(factor(100, 100, 9_999), 2);
        assert_eq!(factor(101, 1, 51), 2);
        assert_eq!(factor(u32::MAX, u32::MAX, 1), 1 << 16);
    }

    #[test]
    fn both_ways_give_the_same_whatever_the_size() {
        for (width, height) in [(1, 1), (7, 5), (8, 8), (1, 9), (9, 1)] {
            for factor in [1, 2, 4, 8] {
                let mut shrinker = Shrinker::new([width, height], factor);
                let pixels = rows(width as usize, height as usize, 3);
                pixels.chunks(width as usize * 3).for_each(|row| shrinker.add(row));
                let expected = shrinker.finish();
                for channels in [3, 4] {
                    let pixels = rows(width as usize, height as usize, channels);
                    let picture = in_place(pixels, [width, height], channels, factor).unwrap();
                    assert_eq!(picture.as_raw(), &expected, "{width}x{height} by {factor}");
                }
            }
        }
    }
}
