//! Embeddings as int8 codes, and the search among them by the kernels' inner products.
//!
//! A vector's codes are its elements over the largest of them, times 127. Cosines do not depend on
//! that factor, so none is kept; the length of the codes is worked out when they come in.

use crate::buffer::{Buffer, CACHE_LINE_BYTES};
use crate::settings::Settings;

/// The largest code.
const LARGEST_CODE: f32 = 127.0;

/// Rows whose products are worked out before they are looked at; they stay in the first-level cache.
const BLOCK_ROWS: usize = 1024;

/// Rows for which there is room beyond those asked for, so that one more needs no second copy.
const SPARE_ROWS: usize = 4;

/// A row that an embedding is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Number of the row.
    pub row: usize,
    /// Cosine between the embedding and the row, -1 to 1.
    pub cosine: f32,
}

/// Embeddings of one length, each a row of int8 codes, and the search for those most alike to one.
///
/// ```
/// use celebcam_engine::{Similarity, Settings};
///
/// let mut rows = Similarity::new(3, 2);
/// rows.push(&[1.0, 0.0, 0.0]);
/// rows.push(&[0.0, 1.0, 1.0]);
/// let found = rows.search(&Settings::new(1), &[0.1, 2.0, 1.9], 1);
/// assert_eq!(found[0].row, 1);
/// ```
#[derive(Debug, Clone)]
pub struct Similarity {
    length: usize,
    /// Rows of [`stride`](Self::stride) bytes: codes, and zeros up to a whole line.
    codes: Buffer,
    /// One over the length of each row, 0 for a row of zeros.
    inverse_norms: Vec<f32>,
}

impl Similarity {
    /// No rows yet, with room for `rows` of embeddings of this length.
    pub fn new(length: usize, rows: usize) -> Self {
        let room = (rows + SPARE_ROWS) * length.next_multiple_of(CACHE_LINE_BYTES);
        Self { length, codes: Buffer::with_room(room), inverse_norms: Vec::with_capacity(rows) }
    }

    /// Length of the embeddings.
    pub fn length(&self) -> usize {
        self.length
    }

    fn stride(&self) -> usize {
        self.length.next_multiple_of(CACHE_LINE_BYTES)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.inverse_norms.len()
    }

    /// Adds a row. Elements that are missing are 0, and those beyond [`length`](Self::length) are left out.
    pub fn push(&mut self, embedding: &[f32]) {
        self.push_codes(&quantize(embedding, self.length));
    }

    /// Adds a row of [`length`](Self::length) codes, as [`codes`](Self::codes) gives them.
    pub fn push_codes(&mut self, codes: &[i8]) {
        self.codes.resize((self.rows() + 1) * self.stride());
        self.inverse_norms.push(0.0);
        self.set_codes(self.rows() - 1, codes);
    }

    /// Replaces a row, as [`push`](Self::push) adds one. Panics where there is no such row.
    pub fn set(&mut self, row: usize, embedding: &[f32]) {
        self.set_codes(row, &quantize(embedding, self.length));
    }

    fn set_codes(&mut self, row: usize, codes: &[i8]) {
        let first = row * self.stride();
        let bytes = &mut self.codes.bytes_mut()[first..first + self.length];
        for (byte, &code) in bytes.iter_mut().zip(codes) {
            *byte = code as u8;
        }
        self.inverse_norms[row] = inverse_norm(codes);
    }

    /// The codes of a row, each a signed byte. Panics where there is no such row.
    pub fn codes(&self, row: usize) -> &[u8] {
        &self.codes.bytes()[row * self.stride()..][..self.length]
    }

    /// A row as a vector of length 1, or of zeros. Panics where there is no such row.
    pub fn embedding(&self, row: usize) -> Vec<f32> {
        let scale = self.inverse_norms[row];
        self.codes(row).iter().map(|&code| f32::from(code as i8) * scale).collect()
    }

    /// Keeps the rows for which `stays` holds.
    pub fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        let (stride, mut kept) = (self.stride(), 0);
        for row in (0..self.rows()).filter(|&row| stays(row)) {
            self.codes.bytes_mut().copy_within(row * stride..(row + 1) * stride, kept * stride);
            self.inverse_norms[kept] = self.inverse_norms[row];
            kept += 1;
        }
        self.inverse_norms.truncate(kept);
        self.codes.resize(kept * stride);
    }

    /// The `count` rows with the largest cosines to `embedding`, the largest first; of equal ones, the one
    /// that was added first. Empty where the embedding has no direction.
    pub fn search(&self, settings: &Settings, embedding: &[f32], count: usize) -> Vec<Match> {
        let mut query = quantize(embedding, self.length);
        let inverse_norm = inverse_norm(&query);
        if inverse_norm == 0.0 || count == 0 {
            return Vec::new();
        }
        query.resize(self.stride(), 0);
        let mut products = [0; BLOCK_ROWS];
        let mut best = Best { matches: Vec::new(), count };
        let blocks = self.codes.bytes().chunks(BLOCK_ROWS * self.stride());
        for (block, (codes, norms)) in blocks.zip(self.inverse_norms.chunks(BLOCK_ROWS)).enumerate()
        {
            let products = &mut products[..norms.len()];
            settings.kernels().dot(codes, &query, products);
            for (row, (&product, &norm)) in products.iter().zip(norms).enumerate() {
                best.offer(block * BLOCK_ROWS + row, product as f32 * norm);
            }
        }
        for found in &mut best.matches {
            found.cosine *= inverse_norm;
        }
        best.matches
    }
}

/// The best so far, best first; of two that are equal, the one that came first.
struct Best {
    matches: Vec<Match>,
    count: usize,
}

impl Best {
    fn offer(&mut self, row: usize, cosine: f32) {
        let full = self.matches.len() == self.count;
        if full && self.matches.last().is_some_and(|worst| cosine <= worst.cosine) {
            return;
        }
        if full {
            self.matches.pop();
        }
        let at = self.matches.partition_point(|better| better.cosine >= cosine);
        self.matches.insert(at, Match { row, cosine });
    }
}

/// The codes of a vector. Elements that are missing, and all of a vector with an element that is
/// infinite, are 0; so is one that is not a number.
fn quantize(embedding: &[f32], length: usize) -> Vec<i8> {
    let largest = embedding.iter().fold(0.0_f32, |largest, element| largest.max(element.abs()));
    let scale = if largest > 0.0 && largest.is_finite() { LARGEST_CODE / largest } else { 0.0 };
    let codes = embedding.iter().map(|element| (element * scale).round() as i8);
    codes.chain(std::iter::repeat(0)).take(length).collect()
}

fn inverse_norm(codes: &[i8]) -> f32 {
    let squares: i64 = codes.iter().map(|&code| i64::from(code) * i64::from(code)).sum();
    if squares > 0 { 1.0 / (squares as f32).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::random::Random;

    fn settings(isa: Isa) -> Settings {
        Settings::new(1).with_isa(isa.name()).expect("it is available")
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    fn index(rows: usize, length: usize) -> (Similarity, Vec<Vec<f32>>) {
        let embeddings: Vec<_> =
            (0..rows).map(|row| Random(row as u64 + 7).floats(length)).collect();
        let mut index = Similarity::new(length, rows);
        embeddings.iter().for_each(|embedding| index.push(embedding));
        (index, embeddings)
    }

    #[test]
    fn the_search_finds_the_largest_cosines_on_every_isa() {
        for (rows, length) in [(0, 256), (1, 3), (5, 64), (1023, 65), (1024, 8), (3000, 100)] {
            let (index, embeddings) = index(rows, length);
            let query = Random(1).floats(length);
            let mut expected: Vec<_> = embeddings.iter().map(|row| cosine(row, &query)).collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            let found = index.search(&settings(Isa::Scalar), &query, 10);
            assert_eq!(found.len(), rows.min(10));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found.cosine - expected).abs() < 0.01, "{found:?}, {expected}");
            }
            for isa in Isa::available() {
                assert_eq!(index.search(&settings(isa), &query, 10), found, "{isa}");
            }
        }
    }

    #[test]
    fn of_equal_rows_the_first_wins() {
        let mut index = Similarity::new(4, 0);
        for _ in 0..5 {
            index.push(&[0.5, -1.0, 0.0, 2.0]);
        }
        let found = index.search(&settings(Isa::Scalar), &[0.5, -1.0, 0.0, 2.0], 2);
        assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), [0, 1]);
        assert!((found[0].cosine - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_vector_without_direction_is_like_none() {
        let (index, _) = index(3, 8);
        let settings = settings(Isa::Scalar);
        for element in [0.0, f32::NAN, f32::INFINITY] {
            assert!(index.search(&settings, &[element; 8], 3).is_empty());
        }
        assert!(index.search(&settings, &[1.0; 8], 0).is_empty());
    }

    #[test]
    fn rows_come_and_go() {
        let (mut index, embeddings) = index(5, 70);
        index.retain(|row| row != 0 && row != 3);
        index.set(1, &embeddings[0]);
        index.push(&embeddings[3]);
        let expected = [1, 0, 4, 3];
        for (row, &embedding) in expected.iter().enumerate() {
            assert!(cosine(&index.embedding(row), &embeddings[embedding]) > 0.999);
        }
        assert_eq!(index.rows(), 4);
    }
}
