//! Logs as the journal of systemd takes them.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use log::Level;

use crate::shown;

/// Whether standard error goes to the journal, as `JOURNAL_STREAM` says.
pub fn is_on_stderr() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let stderr = std::fs::metadata("/proc/self/fd/2").ok();
    stream.zip(stderr).is_some_and(|(stream, file)| names(&stream, file.dev(), file.ino()))
}

/// Whether `stream`, a device and an inode, is the file with these.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    let parsed = stream.split_once(':').map(|(dev, ino)| (dev.parse(), ino.parse()));
    matches!(parsed, Some((Ok(dev), Ok(ino))) if (dev, ino) == (device, inode))
}

/// Writes a record with its priority; the journal knows the time by itself.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, record: &log::Record<'_>) -> io::Result<()> {
    writeln!(out, "<{}>{}", priority(record.level()), shown::line(record.args()))
}

/// The priority of `sd-daemon(3)`.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_a_device_and_an_inode() {
        assert!(names("8:12345", 8, 12345));
        for other in ["8:1", "9:12345", "8", "", "a:b"] {
            assert!(!names(other, 8, 12345), "{other}");
        }
    }

    #[test]
    fn a_record_starts_with_its_priority() {
        let written = |level| {
            let mut out = Vec::new();
            let record = log::Record::builder().level(level).args(format_args!("hello")).build();
            write(&mut out, &record).expect("memory can be written");
            String::from_utf8(out).expect("it is text")
        };
        assert_eq!(written(Level::Error), "<3>hello\n");
        assert_eq!(written(Level::Info), "<6>hello\n");
        let mut out = Vec::new();
        let record = log::Record::builder().args(format_args!("a\n<0>b")).build();
        write(&mut out, &record).expect("memory can be written");
        assert_eq!(out, b"<6>a\\n<0>b\n", "a record is one line");
    }
}
