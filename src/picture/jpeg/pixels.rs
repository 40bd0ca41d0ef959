//! From coefficients to pixels: the inverse transform in the size that is wanted, and the colours.

use super::Damage;
use super::header::Component;
use super::scans::{Coefficients, Plane, places};

/// How components become red, green and blue.
#[derive(Clone, Copy)]
enum Colours {
    Gray,
    Rgb,
    YCbCr,
    /// Inks, stored the other way round: 255 is no ink.
    Cmyk,
    /// Such inks, the first three as brightness and colour.
    Ycck,
}

/// Appends the picture, each block as `side` by `side` pixels of the coefficients that are kept, 1, 2,
/// 4 or 8, as R G B to `rgb` and gives its size.
///
/// # Errors
/// [`Damage::Data`] for a size of zero.
pub fn paint(coefficients: &Coefficients, rgb: &mut Vec<u8>) -> Result<(u32, u32), Damage> {
    let side = coefficients.side;
    let frame = &coefficients.frame;
    let scaled = |length: usize| (length * side).div_ceil(8);
    let (width, height) = (scaled(frame.width), scaled(frame.height));
    let colours = colours(coefficients);
    let mut strips: Vec<Strip<'_>> = std::iter::zip(&frame.components, &coefficients.planes)
        .map(|(component, plane)| Strip::new(component, plane, side))
        .collect();
    rgb.reserve(width * height * 3);
    let rows_in_strip = frame.v_max * side;
    let mut lines = vec![vec![0; width]; strips.len()];
    for y in 0..height {
        if y % rows_in_strip == 0 {
            strips.iter_mut().for_each(|strip| strip.fill(y / rows_in_strip));
        }
        for (strip, line) in strips.iter().zip(&mut lines) {
            strip.line(y % rows_in_strip, [frame.h_max, frame.v_max], line);
        }
        append_line(colours, &lines, rgb);
    }
    Ok((
        u32::try_from(width).map_err(|_| Damage::Data)?,
        u32::try_from(height).map_err(|_| Damage::Data)?,
    ))
}

/// As other decoders have it: what the Adobe segment says, else the names of the components.
fn colours(coefficients: &Coefficients) -> Colours {
    let ids: Vec<u8> = coefficients.frame.components.iter().map(|part| part.id).collect();
    match (ids.as_slice(), coefficients.adobe_transform) {
        ([_], _) => Colours::Gray,
        ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Colours::Rgb,
        ([_, _, _], _) => Colours::YCbCr,
        (_, Some(2)) => Colours::Ycck,
        _ => Colours::Cmyk,
    }
}

/// The pixels of one component in one row of minimum coded units.
struct Strip<'a> {
    component: &'a Component,
    plane: &'a Plane,
    side: usize,
    /// Quantization steps in the order of the coefficients that are kept.
    steps: [f32; 64],
    basis: [[f32; 8]; 8],
    pixels: Vec<u8>,
}

impl<'a> Strip<'a> {
    fn new(component: &'a Component, plane: &'a Plane, side: usize) -> Self {
        let mut steps = [0.0; 65];
        for (&place, &step) in places(side).iter().zip(&plane.quantization) {
            steps[place] = f32::from(step);
        }
        let steps = std::array::from_fn(|at| steps[at]);
        let pixels = vec![0; component.stored[0] * component.v * side * side];
        Self { component, plane, side, steps, basis: basis(side), pixels }
    }

    /// Transforms the blocks of a row of minimum coded units.
    fn fill(&mut self, row: usize) {
        match self.side {
            1 => self.transform::<1>(row),
            2 => self.transform::<2>(row),
            4 => self.transform::<4>(row),
            _ => self.transform::<8>(row),
        }
    }

    fn transform<const N: usize>(&mut self, row: usize) {
        let [across, _] = self.component.stored;
        let stride = across * N;
        for y in 0..self.component.v {
            let first = (row * self.component.v + y) * across;
            let blocks = &self.plane.values[first * N * N..][..across * N * N];
            for (x, block) in blocks.chunks_exact(N * N).enumerate() {
                let at = y * N * stride + x * N;
                inverse::<N>(block, &self.steps, &self.basis, &mut self.pixels[at..], stride);
            }
        }
    }

    /// One line of the picture, the nearest pixels where the component has fewer.
    fn line(&self, y: usize, [h_max, v_max]: [usize; 2], line: &mut [u8]) {
        let Component { h, v, stored, .. } = *self.component;
        let stride = stored[0] * self.side;
        let row = &self.pixels[y * v / v_max * stride..][..stride];
        if h == h_max {
            line.copy_from_slice(&row[..line.len()]);
        } else {
            for (x, pixel) in line.iter_mut().enumerate() {
                *pixel = row[x * h / h_max];
            }
        }
    }
}

/// What each coefficient adds to each of `side` pixels (ITU-T T.81, A.3.3, with fewer points).
fn basis(side: usize) -> [[f32; 8]; 8] {
    std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let angle = (2 * x + 1) as f32 * u as f32 * std::f32::consts::PI / (2 * side) as f32;
            let weight = if u == 0 { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
            angle.cos() * weight / 2.0
        })
    })
}

fn inverse<const N: usize>(
    block: &[i16],
    steps: &[f32; 64],
    basis: &[[f32; 8]; 8],
    pixels: &mut [u8],
    stride: usize,
) {
    if block[1..].iter().all(|&value| value == 0) {
        let value = shade(f32::from(block[0]) * steps[0] / 8.0);
        (0..N).for_each(|y| pixels[y * stride..][..N].fill(value));
        return;
    }
    let mut rows = [[0.0; N]; N];
    for (v, row) in rows.iter_mut().enumerate() {
        for u in 0..N {
            let value = f32::from(block[v * N + u]) * steps[v * N + u];
            for x in 0..N {
                row[x] += basis[x][u] * value;
            }
        }
    }
    for y in 0..N {
        let mut sums = [0.0; N];
        for (v, row) in rows.iter().enumerate() {
            for x in 0..N {
                sums[x] += basis[y][v] * row[x];
            }
        }
        for (pixel, sum) in pixels[y * stride..][..N].iter_mut().zip(sums) {
            *pixel = shade(sum);
        }
    }
}

fn shade(value: f32) -> u8 {
    (value + 128.5) as u8
}

fn append_line(colours: Colours, lines: &[Vec<u8>], rgb: &mut Vec<u8>) {
    let at = |component: usize, x: usize| lines[component][x];
    let inked = |value: u8, black: u8| (u16::from(value) * u16::from(black) / 255) as u8;
    for x in 0..lines[0].len() {
        let pixel = match colours {
            Colours::Gray => [at(0, x); 3],
            Colours::Rgb => [at(0, x), at(1, x), at(2, x)],
            Colours::YCbCr => ycbcr(at(0, x), at(1, x), at(2, x)),
            Colours::Cmyk => [0, 1, 2].map(|component| inked(at(component, x), at(3, x))),
            // The three give the complement of the inks.
            Colours::Ycck => {
                ycbcr(at(0, x), at(1, x), at(2, x)).map(|value| inked(255 - value, at(3, x)))
            }
        };
        rgb.extend_from_slice(&pixel);
    }
}

/// BT.601 full range, in 16-bit fixed point.
fn ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let y = (i32::from(y) << 16) + (1 << 15);
    let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
    [y + 91_881 * cr, y - 22_554 * cb - 46_802 * cr, y + 116_130 * cb]
        .map(|channel| (channel >> 16).clamp(0, 255) as u8)
}
