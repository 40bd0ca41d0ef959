//! The codes of a picture's bytes. A model normalises each channel before it quantizes, so a code is
//! `clamp(round(byte * slope + shift))`, and integer arithmetic gives the same without a table.

/// Bytes that are whole pixels and whole vectors of 16 bytes.
const PATTERN: usize = 48;
const CHANNELS: usize = 3;
const FRACTION_BITS: u32 = 16;

/// `clamp((byte * factor + offset) >> 16, min, max)`, with a factor and an offset for each channel.
pub struct Lines {
    factors: [i32; PATTERN],
    offsets: [i32; PATTERN],
    min: i16,
    max: i16,
}

impl Lines {
    /// Lines that give for every byte what `tables` do, whose entries stand for the numbers that `value`
    /// gives; `None` where there are none. `min` and `max` are the smallest and the largest number.
    pub fn fit(
        tables: &[[u8; 256]; CHANNELS],
        value: impl Fn(u8) -> i32,
        [min, max]: [i32; 2],
    ) -> Option<Self> {
        let mut lines =
            Self { factors: [0; PATTERN], offsets: [0; PATTERN], min: min as i16, max: max as i16 };
        for (channel, table) in tables.iter().enumerate() {
            let line = fit_line(&table.map(&value), min, max)?;
            for at in (channel..PATTERN).step_by(CHANNELS) {
                [lines.factors[at], lines.offsets[at]] = line;
            }
        }
        Some(lines)
    }

    /// The codes of `pixels`, which start with the first channel. It is inlined, so that the compiler
    /// vectorises it for the instruction set of the caller.
    #[inline(always)]
    pub fn apply(&self, pixels: &[u8], codes: &mut [u8]) {
        let (whole, rest) = pixels.as_chunks::<PATTERN>();
        let (whole_codes, rest_codes) = codes.as_chunks_mut::<PATTERN>();
        for (pixels, codes) in whole.iter().zip(whole_codes) {
            self.apply_to_part(pixels, codes);
        }
        self.apply_to_part(rest, rest_codes);
    }

    #[inline(always)]
    fn apply_to_part(&self, pixels: &[u8], codes: &mut [u8]) {
        let lines = self.factors.iter().zip(&self.offsets);
        for ((code, &byte), (&factor, &offset)) in codes.iter_mut().zip(pixels).zip(lines) {
            let value = (i32::from(byte) * factor + offset) >> FRACTION_BITS;
            *code = (value as i16).clamp(self.min, self.max) as u8;
        }
    }
}

/// The factor and the offset with which each byte gets its value. Where that is `min` or `max`, the line
/// may lie beyond it, because its result is clamped.
fn fit_line(values: &[i32; 256], min: i32, max: i32) -> Option<[i32; 2]> {
    let inside = |&at: &usize| min < values[at] && values[at] < max;
    let (first, last) = (0..256).find(inside).zip((0..256).rfind(inside))?;
    let (rise, run) = (i64::from(values[last] - values[first]), (last - first) as i64);
    let steepest = ((rise + 1) << FRACTION_BITS) / run.max(1);
    let flattest = ((rise - 1) << FRACTION_BITS) / run.max(1);
    (flattest..=steepest).find_map(|factor| {
        // The offsets with which every byte gets its value.
        let mut offsets =
            i64::from(i16::MIN) << FRACTION_BITS..i64::from(i16::MAX) << FRACTION_BITS;
        for (byte, &value) in (0..).zip(values) {
            let start = (i64::from(value) << FRACTION_BITS) - byte * factor;
            if value > min {
                offsets.start = offsets.start.max(start);
            }
            if value < max {
                offsets.end = offsets.end.min(start + (1 << FRACTION_BITS));
            }
            if offsets.is_empty() {
                return None;
            }
        }
        let offset = offsets.start + (offsets.end - offsets.start) / 2;
        let fits = |value: i64| (value >> FRACTION_BITS) as i16 as i64 == value >> FRACTION_BITS;
        (fits(offset) && fits(offset + 255 * factor)).then_some([factor as i32, offset as i32])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(mean: f32, scale: f32, zero_point: f32) -> [u8; 256] {
        std::array::from_fn(|byte| {
            let code = ((byte as f32 - mean) / scale).round_ties_even() + zero_point;
            code.clamp(-128.0, 127.0) as i8 as u8
        })
    }

    #[test]
    fn lines_equal_the_tables_of_the_usual_normalisations() {
        let cases = [
            ([123.68, 116.779, 103.939], [1.077_126_6; 3], -13.0),
            ([127.5; 3], [0.999_513_6; 3], 0.0),
            ([128.0; 3], [1.0; 3], 0.0),
            ([123.7, 116.3, 103.5], [58.4 * 0.0187, 57.1 * 0.0187, 57.4 * 0.0187], -14.0),
            // Bright and dark pixels are beyond the range of the codes.
            ([100.0, 110.0, 120.0], [0.3; 3], 5.0),
        ];
        let pixels: Vec<u8> = (0..PATTERN * 40 + 7).map(|at| (at * 31 / 7) as u8).collect();
        for (means, scales, zero_point) in cases {
            let tables = [0, 1, 2].map(|at| table(means[at], scales[at], zero_point));
            let lines = Lines::fit(&tables, |byte| i32::from(byte as i8), [-128, 127])
                .unwrap_or_else(|| panic!("a line for {means:?}, {scales:?}"));
            let mut codes = vec![0; pixels.len()];
            lines.apply(&pixels, &mut codes);
            for (at, (&pixel, code)) in pixels.iter().zip(codes).enumerate() {
                assert_eq!(code, tables[at % 3][usize::from(pixel)], "{means:?} {pixel}");
            }
        }
    }

    #[test]
    fn a_table_that_is_no_line_has_none() {
        let mut bent = table(128.0, 1.0, 0.0);
        bent[77] ^= 4;
        // Every value is halfway between two codes.
        let uneven = table(127.5, 1.0, 0.0);
        for table in [bent, uneven] {
            let tables = [[0; 256], table, [0; 256]];
            assert!(Lines::fit(&tables, |byte| i32::from(byte as i8), [-128, 127]).is_none());
        }
        let flat = [[7; 256]; 3];
        let lines = Lines::fit(&flat, |byte| i32::from(byte as i8), [-128, 127]);
        let mut codes = [0; 6];
        lines.expect("a flat line").apply(&[0, 1, 2, 200, 254, 255], &mut codes);
        assert_eq!(codes, [7; 6]);
    }
}
