//! Bits and Huffman codes of compressed JPEG data (ITU-T T.81, annexes C and F).

use super::Damage;
use super::markers::next_marker;

/// Codes of up to this many bits are looked up at once.
const LOOKUP_BITS: u32 = 9;

/// A Huffman table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Length and value of the code that these bits start with; length 0 for longer codes.
    lookup: Vec<(u8, u8)>,
    /// For each length, the first 16 bits that are past its codes.
    past: [u32; 17],
    /// For each length, what to add to a code to get its place in `values`.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length, 1 to 16, and their values; `None` when there are
    /// more codes than bits can tell apart.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: vec![(0, 0); 1 << LOOKUP_BITS],
            past: [0; 17],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            if code + count > 1 << length {
                return None;
            }
            table.offset[length as usize] = place as i32 - code as i32;
            for value in values.get(place..place + count as usize)? {
                if length <= LOOKUP_BITS {
                    let spare = LOOKUP_BITS - length;
                    let first = (code << spare) as usize;
                    table.lookup[first..first + (1 << spare)].fill((length as u8, *value));
                }
                code += 1;
            }
            place += count as usize;
            table.past[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }
}

/// Reads the bits of one scan up to its end or the next marker.
#[derive(Debug)]
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one on top.
    bits: u64,
    count: u32,
    /// How many bits were made up because the data had ended; the last of `count` are such.
    made_up: u32,
}

impl<'a> Bits<'a> {
    /// From offset `at` of `data` on.
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, bits: 0, count: 0, made_up: 0 }
    }

    /// Whether more bits were taken than there are.
    pub fn are_exhausted(&self) -> bool {
        self.count < self.made_up
    }

    /// The value of the next Huffman code.
    #[inline]
    pub fn value(&mut self, table: &Table) -> Result<u8, Damage> {
        self.fill();
        let (length, value) = table.lookup[(self.bits >> (64 - LOOKUP_BITS)) as usize];
        if length > 0 {
            self.drop_bits(u32::from(length));
            return Ok(value);
        }
        let next = (self.bits >> 48) as u32;
        let length = (LOOKUP_BITS as usize + 1..=16)
            .find(|&length| next < table.past[length])
            .ok_or(Damage::Data)?;
        let place = (next >> (16 - length)) as i32 + table.offset[length];
        self.drop_bits(length as u32);
        usize::try_from(place)
            .ok()
            .and_then(|place| table.values.get(place))
            .copied()
            .ok_or(Damage::Data)
    }

    /// The next `count` bits as a number, 16 at most.
    #[inline]
    pub fn number(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        self.fill();
        let number = (self.bits >> (64 - count)) as i32;
        self.drop_bits(count);
        number
    }

    /// The next `count` bits as a number with a sign: those that start with 0 are negative.
    #[inline]
    pub fn signed(&mut self, count: u32) -> i32 {
        let number = self.number(count);
        if count > 0 && number < 1 << (count - 1) { number - (1 << count) + 1 } else { number }
    }

    /// Goes behind the restart marker of this number, 0 to 7.
    pub fn restart(&mut self, number: u8) -> Result<(), Damage> {
        let marker = next_marker(self.data, self.at).map_err(|_| Damage::Cut)?;
        if self.data.get(marker + 1) != Some(&(0xD0 + number)) {
            return Err(Damage::Data);
        }
        *self = Self::new(self.data, marker + 2);
        Ok(())
    }

    #[inline]
    fn drop_bits(&mut self, count: u32) {
        self.bits <<= count;
        self.count -= count;
    }

    /// Makes sure of 32 bits.
    #[inline]
    fn fill(&mut self) {
        if self.count < 32 {
            self.fill_up();
        }
    }

    fn fill_up(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at) {
                Some(0xFF) => match self.data.get(self.at + 1) {
                    Some(0x00) => {
                        self.at += 2;
                        0xFF
                    }
                    // Fill bytes stand before a marker only.
                    _ => return self.make_up(),
                },
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
                None => return self.make_up(),
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn make_up(&mut self) {
        let count = 64 - self.count;
        self.made_up = self.made_up.saturating_add(count);
        self.count = 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_lengths_are_read() {
        // One code of each length from 1 to 16: 0, 10, 110, ...
        let values: Vec<u8> = (1..=16).collect();
        let table = Table::new(&[1; 16], &values).unwrap();
        let mut bits = Bits::new(&[0b0101_1011, 0b1000_0000, 0xFF, 0x00, 0b1111_1110], 0);
        let read: Vec<u8> = (0..4).map(|_| bits.value(&table).unwrap()).collect();
        assert_eq!(read, [1, 2, 3, 4]);
        assert_eq!(bits.number(6), 0);
        assert_eq!(bits.value(&table).unwrap(), 16);
        assert!(!bits.are_exhausted());
        assert_eq!(bits.number(1), 0);
        assert!(bits.are_exhausted());
    }

    #[test]
    fn numbers_have_signs() {
        let mut bits = Bits::new(&[0b1011_0001], 0);
        let read = [1, 1, 2, 2, 2].map(|count| bits.signed(count));
        assert_eq!(read, [1, -1, 3, -3, -2]);
    }

    #[test]
    fn impossible_tables_and_codes_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_none());
        assert!(Table::new(&[1; 16], &[1, 2]).is_none());
        let table = Table::new(&[1; 16], &[0; 16]).unwrap();
        assert!(Bits::new(&[0xFF, 0, 0xFF, 0, 0xFF, 0], 0).value(&table).is_err());
    }

    #[test]
    fn a_restart_marker_is_found_behind_what_is_left() {
        let data = [7, 0xFF, 0x00, 0xFF, 0xD1, 0b1000_0000];
        let mut bits = Bits::new(&data, 0);
        assert_eq!(bits.number(2), 0);
        bits.restart(1).unwrap();
        assert_eq!(bits.number(1), 1);
        assert!(Bits::new(&data, 0).restart(2).is_err());
        assert!(Bits::new(&data[..3], 0).restart(1).is_err());
    }
}
