//! What stands before the compressed data of a JPEG picture: size, components and tables.

use super::Damage;
use super::bits::Table;

/// What a picture is made of.
#[derive(Debug, Clone)]
pub struct FrameHeader {
    /// Several scans, each of which makes the picture finer.
    pub is_progressive: bool,
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// One of brightness, three of colours, or four of inks.
    pub components: Vec<Component>,
    /// Largest horizontal sampling of a component.
    pub h_max: usize,
    /// Largest vertical sampling of a component.
    pub v_max: usize,
}

/// A component of a picture.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name in the file.
    pub id: u8,
    /// Blocks across in a minimum coded unit, 1 to 4.
    pub h: usize,
    /// Blocks down in a minimum coded unit, 1 to 4.
    pub v: usize,
    /// Number of its quantization table, 0 to 3.
    pub quantization: usize,
    /// Blocks across and down that show something.
    pub shown: [usize; 2],
    /// Blocks across and down in whole minimum coded units.
    pub stored: [usize; 2],
}

impl FrameHeader {
    /// From the body of a start-of-frame segment of the marker `code`.
    pub fn parse(code: u8, body: &[u8]) -> Result<Self, Damage> {
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = body else {
            return Err(Damage::Data);
        };
        let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
        let kind = match (code, precision, count) {
            (0xC3 | 0xC7 | 0xCB | 0xCF, ..) => "lossless",
            (0xC9 | 0xCA | 0xCD | 0xCE, ..) => "arithmetic-coded",
            (0xC5 | 0xC6, ..) => "hierarchical",
            (_, 8, 1 | 3 | 4) => "",
            (_, 8, _) => "two-component",
            _ => "12-bit",
        };
        if !kind.is_empty() {
            return Err(Damage::Unsupported(kind));
        }
        if rest.len() < 3 * usize::from(count) || width == 0 || height == 0 {
            return Err(Damage::Data);
        }
        let components = rest.chunks_exact(3).take(usize::from(count)).map(|component| Component {
            id: component[0],
            h: usize::from(component[1] >> 4),
            v: usize::from(component[1] & 15),
            quantization: usize::from(component[2]),
            shown: [0; 2],
            stored: [0; 2],
        });
        let mut frame = Self {
            is_progressive: code == 0xC2,
            width: width.into(),
            height: height.into(),
            components: components.collect(),
            h_max: 1,
            v_max: 1,
        };
        frame.measure()?;
        Ok(frame)
    }

    fn measure(&mut self) -> Result<(), Damage> {
        if let [only] = self.components.as_mut_slice() {
            // A single component has no minimum coded units: whatever it says, they are its blocks.
            (only.h, only.v) = (1, 1);
        }
        let is_possible = |component: &Component| {
            (1..=4).contains(&component.h)
                && (1..=4).contains(&component.v)
                && component.quantization < 4
        };
        if !self.components.iter().all(is_possible) {
            return Err(Damage::Data);
        }
        self.h_max = self.components.iter().map(|component| component.h).max().unwrap_or(1);
        self.v_max = self.components.iter().map(|component| component.v).max().unwrap_or(1);
        let [across, down] = self.units();
        for component in &mut self.components {
            component.shown = [
                (self.width * component.h).div_ceil(8 * self.h_max),
                (self.height * component.v).div_ceil(8 * self.v_max),
            ];
            component.stored = [across * component.h, down * component.v];
        }
        Ok(())
    }

    /// Minimum coded units across and down.
    pub fn units(&self) -> [usize; 2] {
        [self.width.div_ceil(8 * self.h_max), self.height.div_ceil(8 * self.v_max)]
    }

    /// Pixels.
    pub fn pixels(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Blocks of all components.
    pub fn blocks(&self) -> u64 {
        let blocks =
            |component: &Component| component.stored[0] as u64 * component.stored[1] as u64;
        self.components.iter().map(blocks).sum()
    }
}

/// The tables that segments before a scan have set.
#[derive(Debug, Default)]
pub struct Tables {
    /// Quantization steps, in the order of the file.
    pub quantization: [Option<[u16; 64]>; 4],
    /// Huffman tables of the first coefficients.
    pub dc: [Option<Table>; 4],
    /// Huffman tables of all other coefficients.
    pub ac: [Option<Table>; 4],
    /// Minimum coded units from one restart marker to the next, 0 for none.
    pub restart_interval: usize,
    /// What the Adobe segment says of the colours.
    pub adobe_transform: Option<u8>,
}

impl Tables {
    /// Takes in the body of a segment of the marker `code`; those that hold no table change nothing.
    pub fn take(&mut self, code: u8, body: &[u8]) -> Result<(), Damage> {
        match code {
            0xDB => self.take_quantization(body),
            0xC4 => self.take_huffman(body),
            0xDD => {
                let interval = body.first_chunk().ok_or(Damage::Data)?;
                self.restart_interval = u16::from_be_bytes(*interval).into();
                Ok(())
            }
            0xEE if body.starts_with(b"Adobe") => {
                self.adobe_transform = body.get(11).copied();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_quantization(&mut self, mut body: &[u8]) -> Result<(), Damage> {
        while let Some((&kind, rest)) = body.split_first() {
            let table = self.quantization.get_mut(usize::from(kind & 15)).ok_or(Damage::Data)?;
            let width = 1 + usize::from(kind >> 4 != 0);
            let (steps, rest) = rest.split_at_checked(64 * width).ok_or(Damage::Data)?;
            let mut read = steps.chunks_exact(width).map(|step| match *step {
                [high, low] => u16::from_be_bytes([high, low]),
                _ => step[0].into(),
            });
            *table = Some(std::array::from_fn(|_| read.next().unwrap_or(1)));
            body = rest;
        }
        Ok(())
    }

    fn take_huffman(&mut self, mut body: &[u8]) -> Result<(), Damage> {
        while let Some((&kind, rest)) = body.split_first() {
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(kind & 15)).ok_or(Damage::Data)?;
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Damage::Data)?;
            let sum: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(sum).ok_or(Damage::Data)?;
            *place = Some(Table::new(counts, values).ok_or(Damage::Data)?);
            body = rest;
        }
        Ok(())
    }
}

/// The one frame header among the segments from the start of the picture to `scan_start`.
pub fn find_frame(picture: &[u8], scan_start: usize) -> Result<FrameHeader, Damage> {
    let mut frames = segments(&picture[..scan_start]).filter(|&(code, _)| is_frame(code));
    match (frames.next(), frames.next()) {
        (Some((code, body)), None) => FrameHeader::parse(code, body),
        _ => Err(Damage::Data),
    }
}

/// Whether a marker starts a frame.
pub fn is_frame(code: u8) -> bool {
    matches!(code, 0xC0..=0xCF) && !matches!(code, 0xC4 | 0xC8 | 0xCC)
}

/// Markers and bodies of the segments of a header, which starts with a start-of-image marker.
fn segments(header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let (code, body, next) = segment(header, at)?;
        at = next;
        Some((code, body))
    })
}

/// Marker and body of the segment at `at` or the next one behind it, and where it ends; `None` at the
/// end of the picture.
pub fn segment(picture: &[u8], mut at: usize) -> Option<(u8, &[u8], usize)> {
    loop {
        match *picture.get(at..at + 2)? {
            [0xFF, 0xD9] => return None,
            [0xFF, code] if !matches!(code, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF) => {
                let length = u16::from_be_bytes(*picture.get(at + 2..)?.first_chunk()?);
                let next = at + 2 + usize::from(length);
                return Some((code, picture.get(at + 4..next)?, next));
            }
            _ => at += 1,
        }
    }
}
