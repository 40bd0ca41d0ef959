//! Finds the JPEG pictures in a stream of bytes.
//!
//! A picture is found by walking its markers, not by searching for an end marker: thumbnails inside
//! a header and stuffed bytes in the compressed data do not end it.

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;

/// Largest picture in a stream; more than any camera here gives.
const PICTURE_LIMIT_BYTES: usize = 16 << 20;

/// Where the parts of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Offset of the first start-of-scan marker.
    pub scan_start: usize,
    /// How many scans there are; more than one in a progressive picture.
    pub scans: u32,
    /// The picture brings Huffman tables.
    pub has_huffman_tables: bool,
    /// Offset behind the end-of-image marker.
    pub end: usize,
}

/// Finds the parts of the picture that starts at the first byte of `data`; `None` if it is broken
/// or not complete.
pub fn layout(data: &[u8]) -> Option<Layout> {
    match Walk::default().go(data) {
        Step::Complete(layout) => Some(layout),
        Step::Incomplete | Step::Broken => None,
    }
}

#[derive(Debug)]
enum Step {
    Incomplete,
    Complete(Layout),
    Broken,
}

/// A walk over the markers of one picture that goes on where it stopped when more data is there.
#[derive(Debug)]
struct Walk {
    at: usize,
    in_scan: bool,
    scan_start: Option<usize>,
    scans: u32,
    has_huffman_tables: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self { at: 2, in_scan: false, scan_start: None, scans: 0, has_huffman_tables: false }
    }
}

impl Walk {
    /// Goes on through `data`, which starts with the start-of-image marker and is longer than at
    /// the last call.
    fn go(&mut self, data: &[u8]) -> Step {
        if data.len() < 2 {
            return Step::Incomplete;
        }
        if data[..2] != [0xFF, SOI] {
            return Step::Broken;
        }
        loop {
            if self.in_scan && !self.skip_compressed(data) {
                return Step::Incomplete;
            }
            let Some(&[prefix, code]) = data.get(self.at..self.at + 2) else {
                return Step::Incomplete;
            };
            match (prefix, code) {
                (0xFF, 0xFF) => self.at += 1,
                (0xFF, EOI) => return self.complete(),
                (0xFF, SOI | 0x00 | 0x01 | 0xD0..=0xD7) => return Step::Broken,
                (0xFF, _) => match self.skip_segment(data, code) {
                    Some(true) => {}
                    Some(false) => return Step::Broken,
                    None => return Step::Incomplete,
                },
                _ => return Step::Broken,
            }
        }
    }

    /// Stops at a marker that ends the compressed data; `false` when the data ends first.
    fn skip_compressed(&mut self, data: &[u8]) -> bool {
        while let Some(offset) = data[self.at..].iter().position(|&byte| byte == 0xFF) {
            self.at += offset;
            match data.get(self.at + 1) {
                Some(0x00 | 0xD0..=0xD7) => self.at += 2,
                Some(0xFF) => self.at += 1,
                Some(_) => {
                    self.in_scan = false;
                    return true;
                }
                None => return false,
            }
        }
        self.at = data.len();
        false
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
        if next > data.len() {
            return None;
        }
        self.has_huffman_tables |= code == DHT;
        if code == SOS {
            self.scan_start.get_or_insert(self.at);
            self.scans += 1;
            self.in_scan = true;
        }
        self.at = next;
        Some(true)
    }

    fn complete(&self) -> Step {
        match self.scan_start {
            Some(scan_start) => Step::Complete(Layout {
                scan_start,
                scans: self.scans,
                has_huffman_tables: self.has_huffman_tables,
                end: self.at + 2,
            }),
            None => Step::Broken,
        }
    }
}

/// Cuts a stream into pictures. It holds one picture at most.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    start: usize,
    walk: Option<Walk>,
    broken: u64,
}

impl Splitter {
    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete picture; `None` when more bytes are needed.
    pub fn next_picture(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.walk.is_none() && !self.find_start() {
                return None;
            }
            let data = &self.buffer[self.start..];
            match self.walk.get_or_insert_default().go(data) {
                Step::Complete(layout) => {
                    let picture = data[..layout.end].to_vec();
                    self.start += layout.end;
                    self.walk = None;
                    return Some(picture);
                }
                Step::Incomplete if data.len() <= PICTURE_LIMIT_BYTES => return None,
                Step::Incomplete | Step::Broken => self.give_up_picture(),
            }
        }
    }

    /// How many pictures were begun and broke off since the last call.
    pub fn take_broken(&mut self) -> u64 {
        std::mem::take(&mut self.broken)
    }

    fn give_up_picture(&mut self) {
        self.broken += 1;
        self.start += 2;
        self.walk = None;
    }

    /// Moves `start` to a start-of-image marker and its follower, or as far as there is none.
    fn find_start(&mut self) -> bool {
        let data = &self.buffer[self.start..];
        match data.windows(3).position(|bytes| bytes == [0xFF, SOI, 0xFF]) {
            Some(offset) => {
                self.start += offset;
                true
            }
            None => {
                self.start += data.len().saturating_sub(2);
                false
            }
        }
    }
}

#[cfg(test)]
#[path = "mjpeg_tests.rs"]
pub(in crate::source) mod tests;
