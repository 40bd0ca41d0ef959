//! What pictures take of the memory, and what becomes of them where there is little.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

mod common;
use common::{Random, beyond_emulation, celebcam};

/// What a picture may take in `run` and in `identify`, in bytes.
const RUN_BYTES: u64 = 120_000_000;
const IDENTIFY_BYTES: u64 = 300_000_000;

/// What sixteen small pictures at the same time take with one copy that is written, in bytes.
const SIXTEEN_BYTES: u64 = 120_000_000;

/// What a process of celebcam takes in any case, in bytes.
const LEAST_BYTES: u64 = 10_000_000;

/// Bytes of each comment in a JPEG file.
const COMMENT_BYTES: usize = 65_000;

fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 2) as u16;
    [&[0xFF, code], &length.to_be_bytes()[..], body].concat()
}

/// A scan of these components from the first to the last coefficient, whose data is `count` times `byte`.
fn scan(components: &[u8], band: [u8; 2], byte: u8, count: usize) -> Vec<u8> {
    let named = components.iter().flat_map(|&component| [component, 0]);
    let named: Vec<u8> = named.collect();
    let body = [&[components.len() as u8], named.as_slice(), &band, &[0]].concat();
    [segment(0xDA, &body), vec![byte; count]].concat()
}

/// Writes what stands before the data of a grey JPEG picture of three components and as many pixels
/// each way as `side`, `comments` bytes of comments with it. Written in pieces: a child's memory counts
/// from what its parent had.
fn write_start(file: &mut impl Write, code: u8, side: u16, comments: usize) -> io::Result<()> {
    file.write_all(&[0xFF, 0xD8])?;
    for _ in 0..comments / COMMENT_BYTES {
        file.write_all(&segment(0xFE, &[b'x'; COMMENT_BYTES - 4]))?;
    }
    file.write_all(&segment(0xDB, &[&[0][..], &[1; 64]].concat()))?;
    let [high, low] = side.to_be_bytes();
    let components = [1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    file.write_all(&segment(code, &[&[8, high, low, high, low, 3], &components[..]].concat()))
}

/// A common picture, or its first half.
fn write_common(file: &mut impl Write, side: u16, is_whole: bool) -> io::Result<()> {
    write_start(file, 0xC0, side, 0)?;
    // Each table has one code of one bit: nothing changes, and nothing follows.
    let table = |kind: u8| [&[kind, 1][..], &[0; 15], &[0]].concat();
    file.write_all(&segment(0xC4, &[table(0x00), table(0x10)].concat()))?;
    let bits = 2 * 3 * usize::from(side).div_ceil(8).pow(2);
    let bytes = bits.div_ceil(if is_whole { 8 } else { 16 });
    file.write_all(&scan(&[1, 2, 3], [0, 63], 0, bytes))?;
    file.write_all(&[0xFF, 0xD9])
}

/// A progressive picture without Huffman tables.
fn write_progressive(file: &mut impl Write, side: u16, comments: usize) -> io::Result<()> {
    write_start(file, 0xC2, side, comments)?;
    let blocks = usize::from(side).div_ceil(8).pow(2);
    // In the tables of Motion JPEG 00 says that nothing changes and 1010 that nothing follows.
    file.write_all(&scan(&[1, 2, 3], [0, 0], 0, (2 * 3 * blocks).div_ceil(8)))?;
    for component in 1..=3 {
        file.write_all(&scan(&[component], [1, 63], 0xAA, blocks.div_ceil(2)))?;
    }
    file.write_all(&[0xFF, 0xD9])
}

/// A Windows bitmap with noise: what is made of it is large as well.
fn write_bitmap(file: &mut impl Write, side: u32) -> io::Result<()> {
    let row_bytes = (3 * side).next_multiple_of(4);
    let size = 54 + row_bytes * side;
    file.write_all(b"BM")?;
    for number in [size, 0, 54, 40, side, side, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
        file.write_all(&number.to_le_bytes())?;
    }
    let mut random = Random::new(1);
    let noise: Vec<u8> = (0..1 << 20).map(|_| random.below(256) as u8).collect();
    for row in 0..side as usize {
        file.write_all(&noise[row * 97..][..row_bytes as usize])?;
    }
    Ok(())
}

/// A small WebP picture with `exif` bytes of EXIF data, which take no space on the disk.
fn write_webp(file: &mut File, exif: u32) -> io::Result<()> {
    let small = include_bytes!("../fuzz/corpus/picture/exif-6.webp");
    let at = small.windows(4).position(|name| name == b"EXIF").expect("it has EXIF data");
    file.write_all(b"RIFF")?;
    file.write_all(&(at as u32 + exif).to_le_bytes())?;
    file.write_all(&small[8..at + 4])?;
    file.write_all(&exif.to_le_bytes())?;
    file.set_len(at as u64 + 8 + u64::from(exif))
}

/// A folder for files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, write: impl Fn(&mut BufWriter<File>) -> io::Result<()>) -> PathBuf {
        let path = self.path(name);
        let mut file = BufWriter::new(File::create(&path).expect("a file can be made"));
        write(&mut file).and_then(|()| file.flush()).expect("the file can be written");
        path
    }

    /// A folder with so many names of a file.
    fn names(&self, file: &Path, count: usize) -> PathBuf {
        let folder = file.with_extension("folder");
        fs::create_dir(&folder).expect("a folder can be made");
        let kind = file.extension().expect("it has a kind");
        for number in 0..count {
            let name = folder.join(number.to_string()).with_extension(kind);
            fs::hard_link(file, name).expect("a link can be made");
        }
        folder
    }
}

/// Runs `command` and expects `code` of it, and that no child has had more than `most_bytes` so far.
/// Gives what it said on standard error.
fn takes_at_most(most_bytes: u64, code: i32, what: &str, command: &mut Command) -> String {
    let output = command.output().expect("celebcam runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    let bytes = usage.max_rss() as u64 * 1024;
    println!("{what}: no more than {} MB so far", bytes / 1_000_000);
    assert!((LEAST_BYTES..=most_bytes).contains(&bytes), "{what}: {bytes} bytes");
    said.into_owned()
}

/// Large frames, some of whose files are nearly as large as a picture of a stream may be.
fn frames(files: &Files) {
    let comments = [10_200_000, 0, 10_200_000];
    let film = files.write("film.mjpeg", |file| {
        comments.iter().try_for_each(|&bytes| write_progressive(file, 2700, bytes))
    });
    for turn in ["0", "90"] {
        let mut command = celebcam();
        command.args(["run", "--stdin", "--recording", "--format", "json", "--rotate", turn]);
        command.stdin(File::open(&film).expect("the film can be read"));
        let what = format!("frames turned by {turn}");
        let said = takes_at_most(RUN_BYTES, 0, &what, &mut command);
        assert!(said.contains("3 frames, 0 dropped, 0 corrupt"), "{what}: {said}");
    }
}

/// Large photos, several at the same time.
fn photos(files: &Files) {
    let check = |what: &str, code: i32, input: &Path, more: &[&str]| {
        let mut command = celebcam();
        command.arg("identify").arg(input).args(["--threads", "4"]).args(more);
        takes_at_most(IDENTIFY_BYTES, code, what, &mut command);
    };
    let cut = files.write("cut.jpg", |file| write_common(file, 5000, false));
    check("photos that are cut off", 66, &files.names(&cut, 4), &[]);
    let webp = files.write("a.webp", |file| write_webp(file.get_mut(), 150_000_000));
    check("photos with too much EXIF data", 66, &files.names(&webp, 4), &[]);
    let large = files.write("large.jpg", |file| write_progressive(file, 3200, 66_000_000));
    check("a large file", 0, &large, &[]);
    let mut command = celebcam();
    command.args(["identify", "-"]).stdin(File::open(&large).expect("the file can be read"));
    takes_at_most(IDENTIFY_BYTES, 0, "a large file on standard input", &mut command);
    let common = files.write("common.jpg", |file| write_common(file, 5000, true));
    check("photos that are turned", 0, &files.names(&common, 3), &["--rotate", "90"]);
}

/// Copies with much detail, all of which are ready to be written at the same time.
fn copies(files: &Files) {
    let noise = files.write("noise.bmp", |file| write_bitmap(file, 1000));
    let mut command = celebcam();
    command.arg("identify").arg(files.names(&noise, 16)).args(["--threads", "16", "--annotate"]);
    takes_at_most(SIXTEEN_BYTES, 0, "annotated copies", command.arg(files.path("copies")));
}

/// Photos where the address space is limited: they are read, maybe smaller, or refused with words.
fn little_space(files: &Files) {
    files.write("small.jpg", |file| write_common(file, 1700, true));
    let limits = [50_000, 60_000, 80_000, 100_000, 120_000, 160_000];
    let cases = limits.iter().flat_map(|&limit| [(limit, "small.jpg"), (limit, "common.jpg")]);
    let others = [(120_000, "noise.bmp"), (160_000, "large.jpg"), (120_000, "noise.folder")];
    let mut read = 0;
    for (limit_kb, input) in cases.chain(others) {
        let celebcam = celebcam();
        let script = format!("ulimit -v {limit_kb}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(celebcam.get_program());
        command.args(["identify", "--threads", "64"]).arg(files.path(input));
        command.envs(celebcam.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().expect("celebcam runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 66 | 78)), "{input} in {limit_kb} kB: {code:?} {said}");
        let words = ["of memory to decode", "address space is limited"];
        assert!(code == Some(0) || words.iter().any(|word| said.contains(word)), "{said}");
        read += usize::from(code == Some(0));
    }
    assert!(read > 0, "nothing was read");
}

/// One test: how much the largest of all children has taken is known, not how much each.
#[test]
fn pictures_take_no_more_memory_than_they_may() {
    if beyond_emulation("memory of pictures", "it is the emulator's memory that is measured") {
        return;
    }
    let files = Files::new();
    frames(&files);
    copies(&files);
    photos(&files);
    little_space(&files);
}
