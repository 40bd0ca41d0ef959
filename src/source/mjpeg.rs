//! Finds the JPEG pictures in a stream of bytes.
//!
//! The work is linear in the length of the stream, whatever is in it. After a broken picture the
//! bytes behind its start are looked at again, for another picture may start there; how often that is
//! done, the length of the stream allows.

use crate::picture::jpeg::markers::{Outcome, SOI, Walk};

/// Largest picture in a stream; more than any camera here gives.
const PICTURE_LIMIT_BYTES: usize = 10 << 20;

/// From here on a picture is handed on in the memory in which it was gathered, and that grows by no
/// more.
const LARGE_BYTES: usize = 1 << 20;

/// Bytes that may be looked at again for each byte of the stream.
const SECOND_LOOKS: usize = 2;

/// Cuts a stream into pictures. It holds one picture at most.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    start: usize,
    walk: Option<Walk>,
    broken: u64,
    /// Bytes that may be looked at again.
    second_looks: usize,
    work_bytes: u64,
}

impl Splitter {
    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moving what is left is worth it when it is less than what goes.
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.len() >= LARGE_BYTES && self.buffer.spare_capacity_mut().len() < bytes.len()
        {
            self.buffer.reserve_exact(bytes.len() + LARGE_BYTES);
        }
        self.buffer.extend_from_slice(bytes);
        let allowed = self.second_looks + bytes.len().saturating_mul(SECOND_LOOKS);
        self.second_looks = allowed.min(PICTURE_LIMIT_BYTES * SECOND_LOOKS);
    }

    /// The next picture; `None` when more bytes are needed. A picture that breaks off where the next
    /// one starts comes out too: cameras that leave out the end marker send such.
    pub fn next_picture(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.walk.is_none() && !self.find_start() {
                return None;
            }
            let data = &self.buffer[self.start..];
            let walk = self.walk.get_or_insert_default();
            let before = walk.at();
            let step = walk.go(data);
            self.work_bytes += (walk.at() - before) as u64;
            match step {
                Outcome::Complete(layout) => {
                    self.walk = None;
                    return Some(self.take_bytes(layout.behind()));
                }
                Outcome::Incomplete if data.len() <= PICTURE_LIMIT_BYTES => return None,
                Outcome::Incomplete | Outcome::Broken => self.give_up_picture(),
            }
        }
    }

    /// The next picture once the stream has ended: the last one may lack its end marker, and where it
    /// is broken there may be others in what it claimed.
    pub fn last_picture(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(picture) = self.next_picture() {
                return Some(picture);
            }
            if let Some(layout) = self.walk.as_ref()?.without_end_marker() {
                self.walk = None;
                let picture = self.take_bytes(layout.end);
                self.start = self.buffer.len();
                return Some(picture);
            }
            self.give_up_picture();
        }
    }

    /// Takes the next `length` bytes out.
    fn take_bytes(&mut self, length: usize) -> Vec<u8> {
        let end = self.start + length;
        let behind = self.buffer.len() - end;
        if length < LARGE_BYTES || length < behind {
            let bytes = self.buffer[self.start..end].to_vec();
            self.start = end;
            return bytes;
        }
        let rest = self.buffer.split_off(end);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.drain(..std::mem::take(&mut self.start));
        bytes
    }

    /// How many pictures were begun and broke off since the last call.
    pub fn take_broken(&mut self) -> u64 {
        std::mem::take(&mut self.broken)
    }

    /// How many bytes were looked at so far, those twice that were looked at twice.
    pub fn work_bytes(&self) -> u64 {
        self.work_bytes
    }

    /// Looks for a picture from behind the start marker of the broken one on, if that is allowed,
    /// otherwise from where it broke.
    fn give_up_picture(&mut self) {
        self.broken += 1;
        let walked = self.walk.take().map_or(0, |walk| walk.at());
        match self.second_looks.checked_sub(walked) {
            Some(left) => {
                self.second_looks = left;
                self.start += 2;
            }
            None => self.start += walked.min(self.buffer.len() - self.start),
        }
    }

    /// Moves `start` to a start-of-image marker and its follower, or as far as there is none.
    fn find_start(&mut self) -> bool {
        let data = &self.buffer[self.start..];
        let found = data.windows(3).position(|bytes| bytes == [0xFF, SOI, 0xFF]);
        let passed = found.unwrap_or(data.len().saturating_sub(2));
        self.work_bytes += passed as u64;
        self.start += passed;
        found.is_some()
    }
}

#[cfg(test)]
mod tests;
