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

use super::{Damaged, Defect, Error, Gallery, MOST_PEOPLE, NotWritten, Person, Result, names};
use crate::system::bounded;

mod replace;

/// Start of the first line of every version.
const MAGIC: &str = "celebcam gallery ";

/// Version that this build writes and reads.
pub(super) const VERSION: &str = "1";

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
/// [`Error::Unusable`] when it cannot be read or is damaged.
pub fn read(path: &Path) -> Result<Option<Gallery>> {
    let wrong = |defect| Error::Unusable { path: path.to_owned(), defect };
    let file = match bounded::open(path) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(wrong(error.into())),
    };
    let metadata = file.metadata().map_err(|error| wrong(error.into()))?;
    let reader =
        SummingReader { file: BufReader::with_capacity(BUFFER_BYTES, file), sum: Sha256::new() };
    parse(reader, metadata.len()).map(Some).map_err(wrong)
}

/// Reads the gallery at `path` for one model; without a file it is empty.
///
/// # Errors
///
/// [`Error::Unusable`] when it cannot be read, is damaged, or was made with another model.
pub fn load(path: &Path, model: &ModelKey) -> Result<Gallery> {
    let Some(gallery) = read(path)? else { return Ok(model.empty_gallery()) };
    if gallery.people().is_empty() {
        return Ok(model.empty_gallery());
    }
    if gallery.model() != model.fingerprint || gallery.embedding_length() != model.embedding_length
    {
        let made_with = gallery.model().to_owned();
        let defect = Defect::OtherModel { made_with, model: model.fingerprint.clone() };
        return Err(Error::Unusable { path: path.to_owned(), defect });
    }
    Ok(gallery)
}

/// Changes the gallery at `path`: nobody else does between the reading and the writing. Nothing is
/// written when `edit` fails.
///
/// # Errors
///
/// Those of `read` and `edit`, and [`Error::NotWritten`].
pub fn update<T, E: From<Error>>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<Gallery, E>,
    edit: impl FnOnce(&mut Gallery) -> Result<T, E>,
) -> Result<(T, Gallery), E> {
    let failed = |reason| Error::NotWritten { path: path.to_owned(), reason };
    // Of a link, the file that it leads to is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let lock = replace::lock(path, replace::PATIENCE).map_err(failed)?;
    let mut gallery = read(path)?;
    let result = edit(&mut gallery)?;
    replace::replace(path, |file| write(&gallery, file), |_| Ok(()))
        .map_err(|error| failed(NotWritten::System(error)))?;
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
        BufWriter::with_capacity(BUFFER_BYTES, SummingWriter { inner: out, sum: Sha256::new() });
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
    let SummingWriter { inner, sum } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    inner.write_all(&sum.finalize())
}

/// Passes on what is written and works out its checksum.
struct SummingWriter<'a> {
    inner: &'a mut dyn Write,
    sum: Sha256,
}

impl Write for SummingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads, and works out the checksum of what is read.
struct SummingReader<R> {
    file: R,
    sum: Sha256,
}

impl<R: BufRead> SummingReader<R> {
    /// The next line without its end.
    fn line<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Result<&'a str, Defect> {
        buffer.clear();
        let mut limited = self.file.by_ref().take(LONGEST_LINE_BYTES);
        limited.read_until(b'\n', buffer)?;
        self.sum.update(&buffer);
        let line = buffer.strip_suffix(b"\n").ok_or(Damaged::EndlessLine)?;
        Ok(std::str::from_utf8(line).map_err(Damaged::NoText)?)
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Defect> {
        self.file.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Damaged::Cut.into(),
            _ => error.into(),
        })
    }
}

fn parse(mut reader: SummingReader<impl BufRead>, size: u64) -> Result<Gallery, Defect> {
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
        return Err(Damaged::Checksum.into());
    }
    if !reader.file.fill_buf()?.is_empty() {
        return Err(Damaged::More.into());
    }
    Ok(gallery)
}

/// The first two lines; `size` is that of the file, which bounds the memory.
fn parse_header(reader: &mut SummingReader<impl BufRead>, size: u64) -> Result<Header, Defect> {
    let mut line = Vec::new();
    let first = reader.line(&mut line).map_err(|_| Defect::NotAGallery)?;
    match first.strip_prefix(MAGIC) {
        Some(VERSION) => {}
        Some(other) if other.bytes().all(|digit| digit.is_ascii_digit()) && !other.is_empty() => {
            return Err(Defect::Version(other.to_owned()));
        }
        _ => return Err(Defect::NotAGallery),
    }
    let header: Header = serde_json::from_str(reader.line(&mut line)?).map_err(Damaged::Line)?;
    let Header { embedding, people, .. } = header;
    let codes = (people as u64).saturating_mul(embedding as u64);
    if people > MOST_PEOPLE || !(1..=LONGEST_EMBEDDING).contains(&embedding) || codes > size {
        return Err(Damaged::Sizes.into());
    }
    Ok(header)
}

fn parse_people(
    reader: &mut SummingReader<impl BufRead>,
    people: usize,
    gallery: &mut Gallery,
) -> Result<(), Defect> {
    let mut line = Vec::new();
    let mut known = HashSet::with_capacity(people);
    let mut ids = HashSet::with_capacity(people);
    // Versions that told more names apart wrote two spellings of one name, so this is no damage.
    let mut clash = None;
    for _ in 0..people {
        let Entry { name, pictures, added_unix_s } =
            serde_json::from_str(reader.line(&mut line)?).map_err(Damaged::Line)?;
        names::check(&name).map_err(Damaged::Name)?;
        if !known.insert(name.to_string()) {
            return Err(Damaged::OneName(name.into_owned()).into());
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

#[cfg(test)]
mod tests;
