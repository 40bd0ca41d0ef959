//! The gallery's file: read whole and checked, written whole and in one step.
//!
//! ```text
//! celebcam gallery 1
//! {"model":"0123456789abcdef","embedding":128,"people":2}
//! {"name":"Roger Federer","pictures":5,"added_unix_s":1800000000}
//! {"name":"Serena Williams","pictures":7,"added_unix_s":1800000060}
//! 2 rows of 128 int8 codes, then the SHA-256 of everything before it
//! ```

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Gallery, MOST_PEOPLE, Person, names};
use crate::error::{Error, Result};
use crate::system::bounded;

mod replace;

/// Start of the first line of every version.
const MAGIC: &str = "celebcam gallery ";

/// Version that this build writes and reads.
const VERSION: &str = "1";

/// Longest line that is read, with the longest name in characters of four bytes.
const LONGEST_LINE_BYTES: u64 = 1024;

/// Longest embedding that is read.
const LONGEST_EMBEDDING: usize = 4096;

const DIGEST_BYTES: usize = 32;

const BUFFER_BYTES: usize = 1 << 16;

#[derive(Serialize, Deserialize)]
struct Header {
    model: String,
    embedding: usize,
    people: usize,
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    pictures: u32,
    added_unix_s: i64,
}

/// Which model a gallery has to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelKey {
    /// Fingerprint of the model.
    pub fingerprint: String,
    /// Length of its embeddings.
    pub embedding_length: usize,
}

impl ModelKey {
    /// A gallery without anybody.
    pub fn empty_gallery(&self) -> Gallery {
        Gallery::new(&self.fingerprint, self.embedding_length, 0)
    }
}

/// Reads the gallery at `path`, made with whatever model; `None` where there is no file.
///
/// # Errors
///
/// [`Error::Gallery`] when it cannot be read or is damaged.
pub fn read(path: &Path) -> Result<Option<Gallery>> {
    let wrong = |reason: String| Error::Gallery { path: path.to_owned(), reason };
    let file = match bounded::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let reader = Reader { file: BufReader::with_capacity(BUFFER_BYTES, file), sum: Sha256::new() };
    parse(reader, metadata.len()).map(Some).map_err(wrong)
}

/// Reads the gallery at `path` for one model; without a file it is empty.
///
/// # Errors
///
/// [`Error::Gallery`] when it cannot be read, is damaged, or was made with another model.
pub fn load(path: &Path, model: &ModelKey) -> Result<Gallery> {
    let Some(gallery) = read(path)? else { return Ok(model.empty_gallery()) };
    if gallery.people().is_empty() {
        return Ok(model.empty_gallery());
    }
    if gallery.model() != model.fingerprint || gallery.embedding_length() != model.embedding_length
    {
        return Err(Error::Gallery {
            path: path.to_owned(),
            reason: format!(
                "was made with the model {}, and this is {}; embeddings of one mean nothing to the \
                 other: name another gallery with --gallery and enroll its people again",
                gallery.model(),
                model.fingerprint
            ),
        });
    }
    Ok(gallery)
}

/// Changes the gallery at `path`: nobody else does between the reading and the writing. Nothing is
/// written when `edit` fails.
///
/// # Errors
///
/// Those of `read` and `edit`, and [`Error::Output`] when the file cannot be written.
pub fn update<T>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<Gallery>,
    edit: impl FnOnce(&mut Gallery) -> Result<T>,
) -> Result<(T, Gallery)> {
    let failed = |source| Error::Output { path: path.to_owned(), source };
    // Of a link, the file that it leads to is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let lock = replace::lock(path, replace::PATIENCE).map_err(failed)?;
    let mut gallery = read(path)?;
    let result = edit(&mut gallery)?;
    replace::replace(path, |file| write(&gallery, file), |_| Ok(())).map_err(failed)?;
    drop(lock);
    Ok((result, gallery))
}

/// Path of the file whose lock guards the gallery at `path`, and what its temporary files start with.
fn beside(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    (path.with_file_name(format!(".{name}.lock")), format!(".{name}.new-"))
}

fn write(gallery: &Gallery, out: &mut dyn Write) -> io::Result<()> {
    let mut out =
        BufWriter::with_capacity(BUFFER_BYTES, Summing { inner: out, sum: Sha256::new() });
    writeln!(out, "{MAGIC}{VERSION}")?;
    let header = Header {
        model: gallery.model().to_owned(),
        embedding: gallery.embedding_length(),
        people: gallery.people().len(),
    };
    serde_json::to_writer(&mut out, &header)?;
    writeln!(out)?;
    for Person { name, pictures, added_unix_s } in gallery.people() {
        let name = (&**name).into();
        let entry = Entry { name, pictures: *pictures, added_unix_s: *added_unix_s };
        serde_json::to_writer(&mut out, &entry)?;
        writeln!(out)?;
    }
    for person in 0..gallery.people().len() {
        out.write_all(gallery.index.codes(person))?;
    }
    let Summing { inner, sum } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    inner.write_all(&sum.finalize())
}

/// Sums up what is written.
struct Summing<'a> {
    inner: &'a mut dyn Write,
    sum: Sha256,
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Sums up what is read.
struct Reader<R> {
    file: R,
    sum: Sha256,
}

impl<R: BufRead> Reader<R> {
    /// The next line without its end.
    fn line<'a>(&mut self, buffer: &'a mut Vec<u8>) -> std::result::Result<&'a str, String> {
        buffer.clear();
        let mut limited = self.file.by_ref().take(LONGEST_LINE_BYTES);
        limited.read_until(b'\n', buffer).map_err(|error| format!("cannot be read: {error}"))?;
        self.sum.update(&buffer);
        let line = buffer.strip_suffix(b"\n").ok_or_else(|| damaged("a line has no end"))?;
        std::str::from_utf8(line).map_err(|_| damaged("a line is no text"))
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> std::result::Result<(), String> {
        self.file.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged("it is cut off"),
            _ => format!("cannot be read: {error}"),
        })
    }
}

fn damaged(what: &str) -> String {
    format!("is damaged: {what}; put a copy in its place, or remove it and enroll again")
}

fn parse(mut reader: Reader<impl BufRead>, size: u64) -> std::result::Result<Gallery, String> {
    let Header { model, embedding, people } = parse_header(&mut reader, size)?;
    let mut gallery = Gallery::new(&model, embedding, people);
    parse_people(&mut reader, people, &mut gallery)?;
    let mut bytes = vec![0; embedding];
    let mut codes = vec![0; embedding];
    for _ in 0..people {
        reader.exactly(&mut bytes)?;
        reader.sum.update(&bytes);
        for (code, byte) in codes.iter_mut().zip(&bytes) {
            *code = byte.cast_signed();
        }
        gallery.index.push_codes(&codes);
    }
    let mut digest = [0; DIGEST_BYTES];
    reader.exactly(&mut digest)?;
    if reader.sum.finalize().as_slice() != digest {
        return Err(damaged("its checksum is wrong"));
    }
    let more = reader.file.fill_buf().map_err(|error| format!("cannot be read: {error}"))?;
    if !more.is_empty() {
        return Err(damaged("there is more in it than there should be"));
    }
    Ok(gallery)
}

/// The first two lines; `size` is that of the file, which bounds the memory.
fn parse_header(
    reader: &mut Reader<impl BufRead>,
    size: u64,
) -> std::result::Result<Header, String> {
    let mut line = Vec::new();
    let first = reader.line(&mut line).map_err(|_| not_a_gallery())?;
    match first.strip_prefix(MAGIC) {
        Some(VERSION) => {}
        Some(other) if other.bytes().all(|digit| digit.is_ascii_digit()) && !other.is_empty() => {
            return Err(format!(
                "has version {other} and this celebcam reads {VERSION}; use the celebcam that \
                 wrote it"
            ));
        }
        _ => return Err(not_a_gallery()),
    }
    let header: Header = serde_json::from_str(reader.line(&mut line)?).map_err(broken_line)?;
    let Header { embedding, people, .. } = header;
    let codes = (people as u64).saturating_mul(embedding as u64);
    if people > MOST_PEOPLE || !(1..=LONGEST_EMBEDDING).contains(&embedding) || codes > size {
        return Err(damaged("it is cut off, or its sizes are wrong"));
    }
    Ok(header)
}

fn parse_people(
    reader: &mut Reader<impl BufRead>,
    people: usize,
    gallery: &mut Gallery,
) -> std::result::Result<(), String> {
    let mut line = Vec::new();
    let mut known = HashSet::with_capacity(people);
    let mut ids = HashSet::with_capacity(people);
    // Celebcam told more names apart once, so this is no damage.
    let mut clash = None;
    for _ in 0..people {
        let Entry { name, pictures, added_unix_s } =
            serde_json::from_str(reader.line(&mut line)?).map_err(broken_line)?;
        names::check(&name).map_err(|reason| damaged(&reason))?;
        if !known.insert(name.to_string()) {
            return Err(damaged(&format!("two people have the name {name}")));
        }
        if !ids.insert(names::id(&name)) {
            clash.get_or_insert_with(|| name.to_string());
        }
        gallery.people.push(Person { name: name.into(), pictures, added_unix_s });
    }
    if let Some(name) = clash {
        log::warn!(
            "{name} and somebody else in the gallery have one name, written in two ways; \
             `celebcam people rename` gives one of them another"
        );
    }
    Ok(())
}

fn broken_line(_: serde_json::Error) -> String {
    damaged("a line is not what it should be")
}

fn not_a_gallery() -> String {
    "is not a gallery of celebcam, or it is cut off".to_owned()
}

#[cfg(test)]
mod tests;
