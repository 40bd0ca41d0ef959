//! The coefficients of a JPEG picture out of its compressed data (ITU-T T.81, annexes F and G).
//!
//! Of each block of 8x8 coefficients only the low ones are kept that a smaller picture needs, or
//! none to find out whether all data is there. A progressive scan also asks which of the others are
//! not zero: a bit for each. Every bit that is taken has to be there.

use super::bits::Bits;
use super::header::{Component, FrameHeader, Tables, is_frame, segment};
use super::markers::end_of_compressed;
use super::{Damage, header};
use crate::picture::large;

/// Most times that each block may be visited; a picture of ten scans visits it six times.
const MOST_VISITS: u64 = 24;

/// Position of each coefficient in its block, row by row, in the order of the file.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Place of each coefficient, in the order of the file, in a block of `side` by `side` that are
/// kept; 64 for those that are not.
pub fn places(side: usize) -> [usize; 64] {
    ZIGZAG.map(|position| {
        let (row, column) = (usize::from(position / 8), usize::from(position % 8));
        if row < side && column < side { row * side + column } else { 64 }
    })
}

/// The coefficients of one component.
#[derive(Debug)]
pub struct Plane {
    /// `side` times `side` of each stored block, by rows.
    pub values: Vec<i16>,
    /// A bit for each coefficient of a block that is not zero, in the order of the file; empty
    /// unless the picture is progressive.
    set: Vec<u64>,
    /// The quantization steps, in the order of the file.
    pub quantization: [u16; 64],
    has_scan: bool,
    /// Lowest bit that is known of each coefficient, 255 for none.
    known: [u8; 64],
    prediction: i32,
}

/// All coefficients that are kept.
#[derive(Debug)]
pub struct Coefficients {
    /// What they belong to.
    pub frame: FrameHeader,
    /// Coefficients of each block that are kept, each way: 0, 1, 2, 4 or 8.
    pub side: usize,
    /// One for each component.
    pub planes: Vec<Plane>,
    /// What the Adobe segment says of the colours.
    pub adobe_transform: Option<u8>,
    places: [usize; 64],
    visits_left: u64,
}

/// Bytes that the coefficients of a picture take.
pub fn bytes(frame: &FrameHeader, side: usize) -> u64 {
    let mask = if frame.is_progressive { 8 } else { 0 };
    frame.blocks() * ((side * side * 2) as u64 + mask)
}

/// What one scan says of itself.
struct Scan {
    /// Components, each with the numbers of its tables.
    parts: Vec<(usize, usize, usize)>,
    /// First and last coefficient.
    band: [usize; 2],
    /// The bit that comes, and whether higher ones came before.
    low: u32,
    is_refinement: bool,
}

impl Scan {
    fn parse(body: &[u8], frame: &FrameHeader) -> Result<Self, Damage> {
        let (&count, rest) = body.split_first().ok_or(Damage::Data)?;
        let (named, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(Damage::Data)?;
        let mut parts = Vec::new();
        for pair in named.chunks_exact(2) {
            let is_named = |component: &Component| component.id == pair[0];
            let index = frame.components.iter().position(is_named).ok_or(Damage::Data)?;
            parts.push((index, usize::from(pair[1] >> 4), usize::from(pair[1] & 15)));
        }
        let &[start, end, approximation] = rest.first_chunk().ok_or(Damage::Data)?;
        let mut scan = Self { parts, band: [0, 63], low: 0, is_refinement: false };
        let units = scan.parts.iter().map(|&(index, ..)| &frame.components[index]);
        let blocks: usize = units.map(|component| component.h * component.v).sum();
        let repeats = (1..scan.parts.len())
            .any(|at| scan.parts[..at].iter().any(|part| part.0 == scan.parts[at].0));
        if scan.parts.is_empty() || repeats || (scan.parts.len() > 1 && blocks > 10) {
            return Err(Damage::Data);
        }
        if frame.is_progressive {
            scan.band = [start.into(), end.into()];
            scan.low = u32::from(approximation & 15);
            scan.is_refinement = approximation >> 4 != 0;
            let is_possible = match scan.band {
                [0, last] => last == 0,
                [first, last] => first <= last && last < 64 && scan.parts.len() == 1,
            };
            if !is_possible || scan.low > 13 {
                return Err(Damage::Data);
            }
        }
        Ok(scan)
    }
}

impl Coefficients {
    /// Reads all scans of `picture`, which ends where its compressed data does, and keeps `side` times
    /// `side` coefficients of each block.
    ///
    /// # Errors
    /// [`Damage::Cut`] when data is missing, another when it makes no sense.
    pub fn read(picture: &[u8], side: usize, has_end_marker: bool) -> Result<Self, Damage> {
        let mut tables = Tables::default();
        let mut read: Option<Self> = None;
        let mut at = 2;
        while let Some((code, body, next)) = segment(picture, at) {
            at = next;
            if is_frame(code) {
                if read.is_some() {
                    return Err(Damage::Data);
                }
                read = Some(Self::new(header::FrameHeader::parse(code, body)?, side));
            } else if code == 0xDA {
                let coefficients = read.as_mut().ok_or(Damage::Data)?;
                let scan = Scan::parse(body, &coefficients.frame)?;
                coefficients.scan(&scan, &tables, Bits::new(picture, at))?;
                at = end_of_compressed(picture, at).unwrap_or_else(|end| end);
            } else {
                tables.take(code, body)?;
            }
        }
        let mut read = read.ok_or(Damage::Cut)?;
        read.adobe_transform = tables.adobe_transform;
        if read.is_whole(has_end_marker) { Ok(read) } else { Err(Damage::Cut) }
    }

    fn new(frame: FrameHeader, side: usize) -> Self {
        let planes = frame.components.iter().map(|component| {
            let blocks = component.stored[0] * component.stored[1];
            Plane {
                values: large::zeros(blocks * side * side),
                set: large::zeros(if frame.is_progressive { blocks } else { 0 }),
                quantization: [1; 64],
                has_scan: false,
                known: [u8::MAX; 64],
                prediction: 0,
            }
        });
        Self {
            side,
            planes: planes.collect(),
            adobe_transform: None,
            places: places(side),
            visits_left: frame.blocks().saturating_mul(MOST_VISITS),
            frame,
        }
    }

    /// Whether every component has come. Without an end marker scans may be missing, so then each
    /// coefficient has to be known to its last bit.
    fn is_whole(&self, has_end_marker: bool) -> bool {
        let needs_all = self.frame.is_progressive && !has_end_marker;
        self.planes
            .iter()
            .all(|plane| plane.has_scan && (!needs_all || plane.known.iter().all(|&bit| bit == 0)))
    }

    fn scan(&mut self, scan: &Scan, tables: &Tables, bits: Bits<'_>) -> Result<(), Damage> {
        for &(index, ..) in &scan.parts {
            let plane = &mut self.planes[index];
            plane.known[scan.band[0]..=scan.band[1]].fill(scan.low as u8);
            if scan.band[0] == 0 && !plane.has_scan {
                plane.has_scan = true;
                let number = self.frame.components[index].quantization;
                plane.quantization = tables.quantization[number].ok_or(Damage::Data)?;
            }
        }
        Walker { scan, tables, bits, run: 0 }.go(self)
    }

    fn visit(&mut self) -> Result<(), Damage> {
        self.visits_left = self.visits_left.checked_sub(1).ok_or(Damage::Work)?;
        Ok(())
    }
}

/// Goes through the blocks of one scan.
struct Walker<'a> {
    scan: &'a Scan,
    tables: &'a Tables,
    bits: Bits<'a>,
    /// Blocks that follow and bring nothing new.
    run: u32,
}

impl Walker<'_> {
    fn go(&mut self, all: &mut Coefficients) -> Result<(), Damage> {
        let scan = self.scan;
        let is_single = scan.parts.len() == 1;
        let [across, down] = match scan.parts[0] {
            (index, ..) if is_single => all.frame.components[index].shown,
            _ => all.frame.units(),
        };
        self.reset(all);
        let (mut left, mut marker) = (self.tables.restart_interval, 0);
        for row in 0..down {
            for column in 0..across {
                if self.tables.restart_interval > 0 {
                    if left == 0 {
                        self.bits.restart(marker)?;
                        self.reset(all);
                        marker = (marker + 1) % 8;
                        left = self.tables.restart_interval;
                    }
                    left -= 1;
                }
                for part in &scan.parts {
                    let component = &all.frame.components[part.0];
                    let width = component.stored[0];
                    let [h, v] = if is_single { [1, 1] } else { [component.h, component.v] };
                    for y in row * v..(row + 1) * v {
                        for x in column * h..(column + 1) * h {
                            all.visit()?;
                            self.block(all, *part, y * width + x)?;
                        }
                    }
                }
                if self.bits.are_exhausted() {
                    return Err(Damage::Cut);
                }
            }
        }
        Ok(())
    }

    fn reset(&mut self, all: &mut Coefficients) {
        self.run = 0;
        all.planes.iter_mut().for_each(|plane| plane.prediction = 0);
    }

    fn block(
        &mut self,
        all: &mut Coefficients,
        (index, dc, ac): (usize, usize, usize),
        block: usize,
    ) -> Result<(), Damage> {
        let kept = all.side * all.side;
        let Plane { values, set, prediction, .. } = &mut all.planes[index];
        let mut place = Place {
            values: &mut values[block * kept..][..kept],
            set: set.get_mut(block),
            places: &all.places,
        };
        match (self.scan.band[0], self.scan.is_refinement) {
            (0, false) => {
                let table = self.tables.dc.get(dc).and_then(Option::as_ref).ok_or(Damage::Data)?;
                let length = self.bits.value(table)?;
                if length > 15 {
                    return Err(Damage::Data);
                }
                *prediction = prediction.wrapping_add(self.bits.signed(length.into()));
                place.put(0, prediction.wrapping_shl(self.scan.low));
                if self.scan.band[1] > 0 { self.sequential(&mut place, ac) } else { Ok(()) }
            }
            (0, true) => {
                if self.bits.number(1) == 1 {
                    place.put(0, place.get(0) | 1 << self.scan.low);
                }
                Ok(())
            }
            (_, false) => self.first(&mut place, ac),
            (_, true) => self.refine(&mut place, ac),
        }
    }

    /// All other coefficients of a block of a picture that is not progressive.
    fn sequential(&mut self, place: &mut Place<'_>, ac: usize) -> Result<(), Damage> {
        let table = self.tables.ac.get(ac).and_then(Option::as_ref).ok_or(Damage::Data)?;
        let mut at = 1;
        while at < 64 {
            let value = self.bits.value(table)?;
            let (zeros, length) = (usize::from(value >> 4), u32::from(value & 15));
            if length == 0 {
                if zeros < 15 {
                    break;
                }
                at += 16;
                continue;
            }
            at += zeros;
            if at > 63 {
                return Err(Damage::Data);
            }
            place.put(at, self.bits.signed(length));
            at += 1;
        }
        Ok(())
    }

    /// The first bits of a band of coefficients.
    fn first(&mut self, place: &mut Place<'_>, ac: usize) -> Result<(), Damage> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let table = self.tables.ac.get(ac).and_then(Option::as_ref).ok_or(Damage::Data)?;
        let [mut at, last] = self.scan.band;
        while at <= last {
            let value = self.bits.value(table)?;
            let (zeros, length) = (usize::from(value >> 4), u32::from(value & 15));
            if length == 0 {
                if zeros < 15 {
                    self.run = (1 << zeros) - 1 + self.bits.number(zeros as u32) as u32;
                    break;
                }
                at += 16;
                continue;
            }
            at += zeros;
            if at > last {
                return Err(Damage::Data);
            }
            place.put(at, self.bits.signed(length) << self.scan.low);
            at += 1;
        }
        Ok(())
    }

    /// One more bit of a band of coefficients.
    fn refine(&mut self, place: &mut Place<'_>, ac: usize) -> Result<(), Damage> {
        let table = self.tables.ac.get(ac).and_then(Option::as_ref).ok_or(Damage::Data)?;
        let [mut at, last] = self.scan.band;
        let bit = 1 << self.scan.low;
        while self.run == 0 && at <= last {
            let value = self.bits.value(table)?;
            let (mut zeros, length) = (value >> 4, value & 15);
            let new = match length {
                0 if zeros < 15 => {
                    self.run = (1 << zeros) + self.bits.number(zeros.into()) as u32;
                    break;
                }
                0 => 0,
                1 if self.bits.number(1) == 1 => bit,
                1 => -bit,
                _ => return Err(Damage::Data),
            };
            while at <= last {
                if place.is_set(at) {
                    self.correct(place, at, bit);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if new != 0 {
                if at > last {
                    return Err(Damage::Data);
                }
                place.put(at, new);
            }
            at += 1;
        }
        if self.run > 0 {
            let mut set = place.set_among(at, last);
            while set != 0 {
                self.correct(place, set.trailing_zeros() as usize, bit);
                set &= set - 1;
            }
            self.run -= 1;
        }
        Ok(())
    }

    fn correct(&mut self, place: &mut Place<'_>, at: usize, bit: i32) {
        if self.bits.number(1) == 1 {
            let value = place.get(at);
            if value & bit == 0 {
                place.put(at, if value < 0 { value - bit } else { value + bit });
            }
        }
    }
}

/// Where the coefficients of one block are kept.
struct Place<'a> {
    values: &'a mut [i16],
    set: Option<&'a mut u64>,
    places: &'a [usize; 64],
}

impl Place<'_> {
    fn get(&self, at: usize) -> i32 {
        self.values.get(self.places[at]).copied().map_or(0, i32::from)
    }

    #[inline]
    fn put(&mut self, at: usize, value: i32) {
        if let Some(kept) = self.values.get_mut(self.places[at]) {
            *kept = value as i16;
        }
        if let Some(set) = &mut self.set {
            **set |= 1 << at;
        }
    }

    /// The bits of those from `at` to `last` that are not zero; most blocks have none.
    fn set_among(&self, at: usize, last: usize) -> u64 {
        let from = u64::MAX.checked_shl(at as u32).unwrap_or(0);
        self.set.as_ref().map_or(0, |set| **set) & from & u64::MAX >> (63 - last)
    }

    fn is_set(&self, at: usize) -> bool {
        self.set.as_ref().is_some_and(|set| **set >> at & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_found_from_the_first_to_the_last() {
        let (mut set, places) = (0b1011 | 1 << 40 | 1 << 63, places(0));
        let place = Place { values: &mut [], set: Some(&mut set), places: &places };
        for last in 1..64 {
            for at in 1..=last + 1 {
                let among = place.set_among(at, last);
                for bit in 0..64 {
                    let is_among = (at..=last).contains(&bit) && place.is_set(bit);
                    assert_eq!(among >> bit & 1 == 1, is_among, "{bit} of {at} to {last}");
                }
            }
        }
    }
}
