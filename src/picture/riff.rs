//! The chunks of a WebP file, looked through before its decoder believes them: each has to lie inside of
//! the file, and the frames say how large they are.

use std::io::{Read, Seek, SeekFrom};

use super::{MOST_METADATA_BYTES, Unreadable};

/// Most chunks of a file; an animation has some for each frame.
const MOST_CHUNKS: usize = 10_000;

/// Bytes of an animation's frame before its own chunks.
const FRAME_HEADER_BYTES: u64 = 16;

/// What is in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    is_lossy: bool,
    is_lossless: bool,
    is_animation: bool,
    /// Pixels of the largest frame.
    pub most_pixels: u64,
}

impl Contents {
    /// How many bytes ten pixels of so many channels take at most: brightness and colour, the picture,
    /// and the opacity as a picture of its own.
    pub fn tenths(&self, channels: u64) -> u64 {
        let lossy = if channels == 3 { 46 } else { 116 };
        let lossless = if channels == 3 { 71 } else { 41 };
        let kinds =
            [(self.is_lossy, lossy), (self.is_lossless, lossless), (self.is_animation, 136)];
        kinds.iter().filter(|kind| kind.0).map(|kind| kind.1).max().unwrap_or(136)
    }

    fn frame(&mut self, width: u32, height: u32) {
        self.most_pixels = self.most_pixels.max(u64::from(width) * u64::from(height));
    }
}

/// The contents of a file of `length` bytes.
///
/// # Errors
/// What is wrong with the picture, to be put after its name.
pub fn contents(source: &mut (impl Read + Seek), length: u64) -> Result<Contents, Unreadable> {
    let mut start = [0; 12];
    source.rewind().and_then(|()| source.read_exact(&mut start)).map_err(Unreadable::decoder)?;
    let size = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
    let end = 8 + u64::from(size);
    // Some programs leave out the last byte where it only makes the length even.
    if end > length + 1 {
        return Err(Unreadable::Cut("data is"));
    }
    let mut contents = Contents::default();
    let mut at = 12;
    for _ in 0..MOST_CHUNKS {
        if at + 8 > end.min(length) {
            return Ok(contents);
        }
        let (name, body) = chunk(source, at)?;
        if at + 8 + body > length {
            return Err(Unreadable::Cut("data is"));
        }
        let is_metadata = matches!(&name, b"EXIF" | b"ICCP" | b"XMP ");
        if is_metadata && body > MOST_METADATA_BYTES {
            return Err(Unreadable::Broken("it has more metadata than a picture needs"));
        }
        match &name {
            b"VP8 " => lossy(source, &mut contents)?,
            b"VP8L" => lossless(source, &mut contents)?,
            b"ANMF" => {
                contents.is_animation = true;
                // Its frame has chunks of its own.
                at += 8 + FRAME_HEADER_BYTES;
                continue;
            }
            _ => {}
        }
        at += 8 + body + body % 2;
    }
    Err(Unreadable::Broken("it has more parts than a picture needs"))
}

/// Name and length of the chunk at `at`; what is in it comes next.
fn chunk(source: &mut (impl Read + Seek), at: u64) -> Result<([u8; 4], u64), Unreadable> {
    let mut chunk = [0; 8];
    source.seek(SeekFrom::Start(at)).map_err(Unreadable::decoder)?;
    source.read_exact(&mut chunk).map_err(Unreadable::decoder)?;
    let [a, b, c, d, length @ ..] = chunk;
    Ok(([a, b, c, d], u32::from_le_bytes(length).into()))
}

/// The size of a VP8 frame (RFC 6386, 9.1).
fn lossy(source: &mut impl Read, contents: &mut Contents) -> Result<(), Unreadable> {
    let mut header = [0; 10];
    source.read_exact(&mut header).map_err(Unreadable::decoder)?;
    let side = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]) & 0x3FFF);
    contents.is_lossy = true;
    contents.frame(side(6), side(8));
    Ok(())
}

/// The size of a lossless frame (RFC 9649, 3.4).
fn lossless(source: &mut impl Read, contents: &mut Contents) -> Result<(), Unreadable> {
    let mut header = [0; 5];
    source.read_exact(&mut header).map_err(Unreadable::decoder)?;
    let [_, size @ ..] = header;
    let size = u32::from_le_bytes(size);
    contents.is_lossless = true;
    contents.frame((size & 0x3FFF) + 1, (size >> 14 & 0x3FFF) + 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn of(bytes: &[u8]) -> Result<Contents, Unreadable> {
        contents(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn frames_say_what_they_are_and_how_large() {
        let lossy = include_bytes!("../../fuzz/corpus/picture/lossy-alpha.webp");
        let lossless = include_bytes!("../../fuzz/corpus/picture/lossless.webp");
        let animated = include_bytes!("../../fuzz/corpus/picture/animated.webp");
        assert_eq!((of(lossy).unwrap().is_lossy, of(lossy).unwrap().most_pixels), (true, 37 * 29));
        assert_eq!(of(lossless).unwrap().most_pixels, 37 * 29);
        assert!(of(lossless).unwrap().is_lossless && of(animated).unwrap().is_animation);
        assert!((1..=37 * 29).contains(&of(animated).unwrap().most_pixels));
    }

    #[test]
    fn metadata_that_nobody_needs_is_refused() {
        let bytes = include_bytes!("../../fuzz/corpus/picture/exif-6.webp");
        let exif = bytes.windows(4).position(|name| name == b"EXIF").unwrap();
        for (name, extra, is_refused) in [
            (b"EXIF", 0, false),
            (b"EXIF", 1, true),
            (b"ICCP", 1, true),
            (b"XMP ", 1, true),
            (b"JUNK", 1, false),
        ] {
            let body = vec![0; MOST_METADATA_BYTES as usize + extra];
            let length = (body.len() as u32).to_le_bytes();
            let mut bytes = [&bytes[..exif], name, &length, &body, &[0; 1][..extra]].concat();
            let size = bytes.len() as u32 - 8;
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            let refused = of(&bytes).err();
            assert_eq!(
                refused.is_some_and(|error| error.to_string().contains("metadata")),
                is_refused
            );
        }
    }

    #[test]
    fn an_animation_that_is_cut_off_between_frames_is_refused() {
        let bytes = include_bytes!("../../fuzz/corpus/picture/animated.webp");
        let starts = |at: &usize| bytes[*at..].starts_with(b"ANMF");
        let second = (0..bytes.len()).filter(starts).nth(1).expect("there are two frames");
        assert!(of(bytes).is_ok());
        assert!(of(&bytes[..second]).unwrap_err().to_string().contains("cut off"));
    }

    #[test]
    fn chunks_that_reach_over_the_end_are_refused() {
        let mut bytes = include_bytes!("../../fuzz/corpus/picture/exif-6.webp").to_vec();
        let exif = bytes.windows(4).position(|name| name == b"EXIF").unwrap();
        bytes[exif + 7] = 0x40;
        assert!(of(&bytes).unwrap_err().to_string().contains("cut off"));
        assert!(of(b"RIFF\x04\0\0\0WEBP").is_ok());
        assert!(of(b"RIFF").is_err());
    }
}
