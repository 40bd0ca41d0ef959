//! Where the parts of a JPEG picture are, found by walking its markers.
//!
//! A search for the end marker would not do: thumbnails inside a header and stuffed bytes in the
//! compressed data do not end a picture, and behind its end there may be anything, such as a film.

use std::ops::Range;

use super::Damage;

/// Start of image.
pub const SOI: u8 = 0xD8;
/// End of image.
pub const EOI: u8 = 0xD9;
/// Start of scan.
pub const SOS: u8 = 0xDA;
/// Huffman tables.
pub const DHT: u8 = 0xC4;
/// Zeros at the end of compressed data that belong to it: few, for it is filled up with ones.
const MOST_ZEROS: usize = 2;
const EXIF: u8 = 0xE1;
const EXIF_NAME: &[u8] = b"Exif\0\0";

/// Where the parts of a picture are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Offset of the first start-of-scan marker.
    pub scan_start: usize,
    /// How many scans there are; more than one in a progressive picture.
    pub scans: u32,
    /// The picture brings Huffman tables.
    pub has_huffman_tables: bool,
    /// The first EXIF data, without its name.
    pub exif: Option<Range<usize>>,
    /// Offset behind the compressed data, before the end marker.
    pub end: usize,
    /// The end marker is there. Some cameras leave it out.
    pub has_end_marker: bool,
}

impl Layout {
    /// Offset behind the picture.
    pub fn behind(&self) -> usize {
        self.end + if self.has_end_marker { 2 } else { 0 }
    }
}

/// Finds the parts of the picture that starts at the first byte of `data`. Whether its compressed
/// data is all there can only be told by decoding it.
///
/// # Errors
/// When the picture is broken or ends before its compressed data begins.
pub fn layout(data: &[u8]) -> Result<Layout, Damage> {
    let mut walk = Walk::lenient();
    let layout = match walk.go(data) {
        Outcome::Complete(layout) => layout,
        Outcome::Incomplete => walk.without_end_marker().ok_or(Damage::Cut)?,
        Outcome::Broken => return Err(Damage::Data),
    };
    let end = if layout.has_end_marker { layout.end } else { end_of_data(&data[..layout.end]) };
    Ok(Layout { end, ..layout })
}

/// Where compressed data without an end marker ends: the buffer of a camera and a file that was not
/// written to its end hold zeros behind it, which can be read as any number of empty blocks.
fn end_of_data(data: &[u8]) -> usize {
    let written = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    data.len().min(written + MOST_ZEROS)
}

/// Offset of the next marker in compressed data from `at` on, or where to go on looking when there is
/// more of it.
pub fn next_marker(data: &[u8], mut at: usize) -> Result<usize, usize> {
    while let Some(offset) = data[at..].iter().position(|&byte| byte == 0xFF) {
        at += offset;
        match data.get(at + 1) {
            Some(0x00) => at += 2,
            // Fill bytes may stand before a marker.
            Some(0xFF) => at += 1,
            Some(_) => return Ok(at),
            None => return Err(at),
        }
    }
    Err(data.len())
}

/// As [`next_marker`], but for restart markers.
pub fn end_of_compressed(data: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        at = next_marker(data, at)?;
        if !matches!(data[at + 1], 0xD0..=0xD7) {
            return Ok(at);
        }
        at += 2;
    }
}

/// What a [`Walk`] came to.
#[derive(Debug)]
pub enum Outcome {
    /// More data is needed.
    Incomplete,
    /// The picture has ended: at its end marker, or where the next picture starts.
    Complete(Layout),
    /// This is no picture, or a damaged one.
    Broken,
}

/// A walk over the markers of one picture that goes on where it stopped when more data is there.
#[derive(Debug)]
pub struct Walk {
    /// Passes over what lies between two segments.
    is_lenient: bool,
    at: usize,
    in_scan: bool,
    scan_start: Option<usize>,
    scans: u32,
    has_huffman_tables: bool,
    exif: Option<Range<usize>>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            is_lenient: false,
            at: 2,
            in_scan: false,
            scan_start: None,
            scans: 0,
            has_huffman_tables: false,
            exif: None,
        }
    }
}

impl Walk {
    /// For files: some programs leave bytes between two segments. In a stream such bytes show that a
    /// picture has broken off.
    pub fn lenient() -> Self {
        Self { is_lenient: true, ..Self::default() }
    }

    /// Offset up to which the data has been looked at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes on through `data`, which starts with the start-of-image marker and is longer than at
    /// the last call.
    pub fn go(&mut self, data: &[u8]) -> Outcome {
        if data.len() < 2 {
            return Outcome::Incomplete;
        }
        if data[..2] != [0xFF, SOI] {
            return Outcome::Broken;
        }
        loop {
            if self.in_scan && !self.skip_compressed(data) {
                return Outcome::Incomplete;
            }
            let Some(&[prefix, code]) = data.get(self.at..self.at + 2) else {
                return Outcome::Incomplete;
            };
            match (prefix, code) {
                (0xFF, EOI) => return self.complete(true),
                (0xFF, SOI) if self.scan_start.is_some() => return self.complete(false),
                (0xFF, SOI | 0x00 | 0x01 | 0xD0..=0xD7) => return Outcome::Broken,
                (0xFF, 0xFF) => self.at += 1,
                (0xFF, _) => match self.skip_segment(data, code) {
                    Some(true) => {}
                    Some(false) => return Outcome::Broken,
                    None => return Outcome::Incomplete,
                },
                _ if self.is_lenient => self.at += 1,
                _ => return Outcome::Broken,
            }
        }
    }

    /// The parts of a picture whose data has ended without an end marker.
    pub fn without_end_marker(&self) -> Option<Layout> {
        match self.complete(false) {
            Outcome::Complete(layout) if self.in_scan => Some(layout),
            _ => None,
        }
    }

    /// Stops at a marker that ends the compressed data; `false` when the data ends first.
    fn skip_compressed(&mut self, data: &[u8]) -> bool {
        let end = end_of_compressed(data, self.at);
        self.in_scan = end.is_err();
        self.at = end.unwrap_or_else(|at| at);
        !self.in_scan
    }

    /// Skips the segment at `at`; `Some(false)` when its length is impossible, `None` when it is
    /// not there as a whole.
    fn skip_segment(&mut self, data: &[u8], code: u8) -> Option<bool> {
        let &[high, low] = data.get(self.at + 2..self.at + 4)? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Some(false);
        }
        let next = self.at + 2 + length;
        let body = data.get(self.at + 4..next)?;
        self.has_huffman_tables |= code == DHT;
        if code == EXIF && self.exif.is_none() && body.starts_with(EXIF_NAME) {
            self.exif = Some(self.at + 4 + EXIF_NAME.len()..next);
        }
        if code == SOS {
            self.scan_start.get_or_insert(self.at);
            self.scans += 1;
            self.in_scan = true;
        }
        self.at = next;
        Some(true)
    }

    fn complete(&self, has_end_marker: bool) -> Outcome {
        match self.scan_start {
            Some(scan_start) => Outcome::Complete(Layout {
                scan_start,
                scans: self.scans,
                has_huffman_tables: self.has_huffman_tables,
                exif: self.exif.clone(),
                end: self.at,
                has_end_marker,
            }),
            None => Outcome::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_markers_stuffed_and_fill_bytes_do_not_end_a_picture() {
        let scan = [0xFF, 0x00, 1, 0xFF, 0xD3, 2, 0xFF, 0xFF, 0x00, 0xFF, 0xFF];
        let header = [0xFF, SOI, 0xFF, 0xFF, SOS, 0, 3, 9];
        let picture = [&header[..], &scan, &[0xFF, EOI]].concat();
        let layout = layout(&picture).unwrap();
        assert_eq!(layout.behind(), picture.len());
        assert_eq!(layout.scan_start, 3);
        assert!(!layout.has_huffman_tables && layout.has_end_marker);
    }

    #[test]
    fn markers_are_found_behind_stuffed_and_fill_bytes() {
        let data = [1, 0xFF, 0x00, 0xFF, 0xFF, 0xD3, 2, 0xFF, EOI];
        assert_eq!((next_marker(&data, 0), next_marker(&data, 5)), (Ok(4), Ok(7)));
        assert_eq!(end_of_compressed(&data, 0), Ok(7));
        for (length, go_on) in [(0, 0), (1, 1), (2, 1), (4, 3), (7, 7), (8, 7)] {
            assert_eq!(end_of_compressed(&data[..length], 0), Err(go_on), "{length} bytes");
        }
    }

    #[test]
    fn a_picture_without_end_marker_ends_where_the_data_or_the_next_one_does() {
        let picture = [0xFF, SOI, 0xFF, SOS, 0, 2, 1, 2, 3];
        for rest in [&[][..], &[0xFF], &[0xFF, SOI, 0xFF, 0xE0]] {
            let layout = layout(&[&picture, rest].concat()).unwrap();
            assert_eq!((layout.behind(), layout.has_end_marker), (picture.len(), false));
        }
    }

    #[test]
    fn what_lies_between_segments_and_behind_the_end_does_not_matter() {
        let picture = [0xFF, SOI, 0, 7, 0xFF, DHT, 0, 2, 9, 0xFF, SOS, 0, 2, 1, 0xFF, EOI];
        let film = [0xFF, SOS, 0, 2, 1, 2, 3];
        let layout = layout(&[&picture[..], &film].concat()).unwrap();
        assert_eq!((layout.behind(), layout.scans), (picture.len(), 1));
        assert!(layout.has_huffman_tables);
    }

    #[test]
    fn exif_data_is_found() {
        let picture = b"\xff\xd8\xff\xe1\0\x0aExif\0\0MM\xff\xda\0\x02\x01\xff\xd9";
        let exif = layout(picture).unwrap().exif.unwrap();
        assert_eq!(&picture[exif], b"MM");
    }

    #[test]
    fn an_end_before_any_scan_is_no_picture() {
        assert_eq!(layout(&[0xFF, SOI, 0xFF, EOI]), Err(Damage::Data));
        assert_eq!(layout(&[0xFF, SOI, 0xFF, DHT, 0, 1, 0, 0]), Err(Damage::Data));
        assert_eq!(layout(&[0xFF, SOI, 0xFF, SOS, 0, 9, 0, 0]), Err(Damage::Cut));
        assert_eq!(layout(b""), Err(Damage::Cut));
        assert_eq!(layout(b"GIF89a"), Err(Damage::Data));
    }
}
