//! What a file is, by its first bytes.

/// Bytes from the start of a file that are enough to tell.
pub const HEAD_BYTES: usize = 32;

/// Kinds of pictures that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// Windows bitmap.
    Bmp,
}

/// The kind of picture that starts with `head`, if it is one that is read.
pub fn of(head: &[u8]) -> Option<PictureKind> {
    match head {
        [0xFF, 0xD8, 0xFF, ..] => Some(PictureKind::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(PictureKind::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(PictureKind::WebP),
        // Behind the two letters and three numbers stands the size of one of the known headers.
        [b'B', b'M', rest @ ..]
            if matches!(
                rest.get(12..16),
                Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
            ) =>
        {
            Some(PictureKind::Bmp)
        }
        _ => None,
    }
}

/// The name of a kind of picture that is not read.
pub fn foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.first_chunk()? {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Some("HEIC")
            }
            b"avif" | b"avis" => Some("AVIF"),
            b"crx " => Some("raw"),
            _ => None,
        },
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some("TIFF or raw"),
        [b'I', b'I', b'R', b'O', ..] | [b'I', b'I', b'U', 0, ..] => Some("raw"),
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] => Some("raw"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some("JPEG XL"),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => Some("JPEG 2000"),
        [b'8', b'B', b'P', b'S', ..] => Some("Photoshop"),
        _ => None,
    }
}

/// What to do about a picture of a kind that is not read.
pub const ADVICE: &str = "convert such pictures to JPEG, for example with heif-convert or ImageMagick; an \
                          iPhone takes JPEG when Settings, Camera, Formats says Most Compatible";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(of(b"\xff\xd8\xff\xe0"), Some(PictureKind::Jpeg));
        assert_eq!(of(b"RIFF\x10\0\0\0WEBPVP8 "), Some(PictureKind::WebP));
        assert_eq!(of(b"BM\x10\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01"), Some(PictureKind::Bmp));
        assert_eq!(of(b"BMW is a make of cars"), None);
        assert_eq!(of(b""), None);
        assert_eq!(foreign(b"\0\0\0\x18ftypheic\0\0\0\0"), Some("HEIC"));
        assert_eq!(foreign(b"\0\0\0\x18ftypisom\0\0\0\0"), None);
        assert_eq!(foreign(b"\0\0\0\x18ftyp"), None);
        assert_eq!(foreign(b"words"), None);
    }
}
