//! What may happen to a frame on its way.

use crate::common::Random;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Some of its bytes are others.
    Flipped,
    /// Its end is missing.
    Truncated,
    /// Bytes that are no picture follow it.
    Garbage,
    /// It leaves out the Huffman tables, as Motion JPEG may.
    WithoutTables,
    /// It has another size.
    OtherSize,
}

/// How often each comes, in frames of a thousand.
pub const PER_MILLE: [(Damage, f64); 5] = [
    (Damage::Flipped, 20.0),
    (Damage::Truncated, 10.0),
    (Damage::Garbage, 10.0),
    (Damage::WithoutTables, 40.0),
    (Damage::OtherSize, 5.0),
];

/// What happens to the next frame, if anything.
pub fn next(random: &mut Random) -> Option<Damage> {
    let mut drawn = random.share() * 1000.0;
    PER_MILLE.iter().find_map(|&(damage, per_mille)| {
        drawn -= per_mille;
        (drawn < 0.0).then_some(damage)
    })
}

impl Damage {
    /// The bytes of `frame` after it has happened; `others` are frames of other sizes.
    pub fn done_to(self, frame: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        let mut bytes = frame.to_vec();
        match self {
            Self::Flipped => {
                for _ in 0..1 + random.below(4) {
                    bytes[random.below(frame.len())] = random.below(256) as u8;
                }
            }
            Self::Truncated => bytes.truncate(random.below(frame.len())),
            Self::Garbage => bytes.extend((0..random.below(4096)).map(|_| random.below(256) as u8)),
            Self::WithoutTables => return without_tables(frame),
            Self::OtherSize => return random.one_of(others).clone(),
        }
        bytes
    }
}

/// The frame without its Huffman tables, which are the standard's.
fn without_tables(frame: &[u8]) -> Vec<u8> {
    let (mut kept, mut at) = (frame[..2].to_vec(), 2);
    while let [0xFF, code, high, low, ..] = frame[at..] {
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        if code != 0xC4 {
            kept.extend_from_slice(&frame[at..end]);
        }
        at = end;
        if code == 0xDA {
            break;
        }
    }
    kept.extend_from_slice(&frame[at..]);
    kept
}
