//! Settings and gallery files that were changed by chance: each is read, or refused with a reason.
//!
//! `CELEBCAM_MUTATIONS` says how many of each (200), `CELEBCAM_SEED` from which seed on (1).

mod common;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use celebcam::error::Error;
use celebcam::exit::Exit;
use celebcam::gallery::{self, store};
use celebcam::settings::{self, ParseFailure};
use common::{Random, celebcam, emulator, number};
use sha2::{Digest, Sha256};

/// Longer than that nobody waits for a file of some kilobytes. The machine may have other work.
const LONGEST: Duration = Duration::from_secs(10);

/// The exit code of a wrong setting or a bad gallery.
const REFUSED: u8 = 78;

/// One file in so many goes through the program as well.
const THROUGH_PROGRAM: u64 = 20;

const SETTINGS: &str = include_str!("../packaging/celebcam.toml");

/// What is written in the place of values.
const VALUES: [&str; 34] = [
    "0",
    "-1",
    "1e999",
    "nan",
    "-inf",
    "0.5",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1979-05-27T07:32:00Z",
    "true",
    "\"true\"",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"\\u202egpj\"",
    "\"a\\nb\"",
    "\"--camera\"",
    "\"-1\"",
    "\"rtsp://ann:S3cret@\"",
    "\"rtsp://:@/\"",
    "\"sh -c 'unfinished\"",
    "\"1E\"",
    "\"99999999999999999999G\"",
    "\"0,0,1,1;;\"",
    "\"%s%n\"",
    "\"/dev/zero\"",
    "\"../../../etc/passwd\"",
    "[]",
    "[1, \"a\", true]",
    "[[1], [2]]",
    "{ a = 1 }",
    "'''\nx\n'''",
];

fn seeds() -> std::ops::Range<u64> {
    let first = number("CELEBCAM_SEED", 1);
    first..first + number("CELEBCAM_MUTATIONS", if emulator().is_some() { 20 } else { 200 })
}

/// Changes some bytes, or cuts or doubles a part.
fn scribble(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => {
                let end = at + random.below(bytes.len() - at);
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            2 => drop(bytes.drain(at..at + random.below((bytes.len() - at).min(40)))),
            3 => bytes[at] = [0, b'\n', b'"', b'=', b'[', b'{', 0xff, 0x1b][random.below(8)],
            _ => bytes[at] = random.below(256) as u8,
        }
    }
}

/// A settings file with odd values, tables in odd places and damage.
fn changed_settings(random: &mut Random) -> Vec<u8> {
    let keys: Vec<&str> = SETTINGS
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(" = "))
        .map(|(key, _)| key)
        .collect();
    let mut text = String::new();
    for _ in 0..random.below(6) {
        if random.below(12) == 0 {
            text += ["[camera]\n", "[[fps]]\n", "a.b.c = 1\n", "\"\" = 1\n"][random.below(4)];
        }
        let key = keys[random.below(keys.len())];
        text += &format!("{key} = {}\n", VALUES[random.below(VALUES.len())]);
    }
    let mut bytes = text.into_bytes();
    if random.below(3) == 0 {
        scribble(&mut bytes, random);
    }
    bytes
}

/// A gallery of some people, whose checksum is often right all the same.
fn changed_gallery(random: &mut Random) -> Vec<u8> {
    let numbers = ["0", "1", "3", "-1", "100001", "4096", "18446744073709551616", "1.5", "\"3\""];
    let names = ["Ann", "", "A\\u0000", "\\u202eAnn", "A\\u0301nn", "Á", "\\ud800", "A\\nB"];
    let rarely = |random: &mut Random, usual: &str, others: &[&str]| -> String {
        if random.below(6) > 0 {
            usual.to_owned()
        } else {
            others[random.below(others.len())].into()
        }
    };
    let people = random.below(4);
    let (length, count) = (rarely(random, "8", &numbers), people.to_string());
    let mut bytes = format!(
        "celebcam gallery {}\n{{\"model\":\"0123\",\"embedding\":{length},\"people\":{}}}\n",
        rarely(random, "1", &["2", "", "99999999999999999999", "1\u{1b}[2J"]),
        rarely(random, &count, &numbers)
    )
    .into_bytes();
    for person in 0..people {
        let name = rarely(random, &format!("Person {person}"), &names);
        let pictures = rarely(random, "5", &numbers);
        let added =
            rarely(random, "1800000000", &["-9223372036854775808", "9223372036854775807", "x"]);
        let line =
            format!("{{\"name\":\"{name}\",\"pictures\":{pictures},\"added_unix_s\":{added}}}\n");
        bytes.extend(line.bytes());
    }
    bytes.extend((0..8 * people).map(|_| random.below(256) as u8));
    if random.below(2) == 0 {
        scribble(&mut bytes, random);
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    if random.below(3) == 0 {
        scribble(&mut bytes, random);
    }
    bytes
}

/// How the files ended.
#[derive(Debug, Default)]
struct Counts {
    read: usize,
    refused: usize,
    wrong: usize,
}

/// Writes files that `change` makes and hands each to `read`, which gives an exit code and a reason, and
/// some to the program with `arguments`.
fn try_all(
    change: impl Fn(&mut Random) -> Vec<u8>,
    read: impl Fn(&Path) -> Result<(), (u8, String)>,
    arguments: &[&str],
) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let mut counts = Counts::default();
    for seed in seeds() {
        let bytes = change(&mut Random::new(seed));
        std::fs::write(&path, &bytes).expect("it can be written");
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&path)));
        let fault = match &outcome {
            Err(_) => Some("a panic".to_owned()),
            Ok(Err((code, reason))) if *code != REFUSED => Some(format!("code {code}: {reason}")),
            Ok(Err((_, reason))) if reason.len() > 1000 => Some(format!("long: {reason}")),
            Ok(_) if started.elapsed() > LONGEST => Some("a hang".to_owned()),
            Ok(_) => None,
        };
        *match outcome {
            Ok(Ok(())) => &mut counts.read,
            _ => &mut counts.refused,
        } += 1;
        let fault = fault.or_else(|| {
            let expected = i32::from(if matches!(outcome, Ok(Ok(()))) { 0 } else { REFUSED });
            (seed % THROUGH_PROGRAM == 0).then(|| through_program(arguments, &path, expected))?
        });
        if let Some(fault) = fault {
            println!("seed {seed}: {fault}: {:?}", String::from_utf8_lossy(&bytes));
            counts.wrong += 1;
        }
    }
    println!("{:?}: {counts:?}", seeds());
    assert_eq!(counts.wrong, 0, "{counts:?}");
    assert!(counts.read > 0 && counts.refused > 0, "{counts:?}");
}

/// What is wrong with what the program says of the file.
fn through_program(arguments: &[&str], path: &Path, expected: i32) -> Option<String> {
    let output = celebcam().args(arguments).arg(path).output().expect("celebcam runs");
    let said = [output.stdout, output.stderr].concat();
    let steers = said.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n');
    let tells = String::from_utf8_lossy(&said).contains("S3cret");
    let is_right = output.status.code() == Some(expected) && !steers && !tells;
    (!is_right).then(|| format!("{}: {}", output.status, String::from_utf8_lossy(&said)))
}

#[test]
fn changed_settings_are_read_or_refused() {
    let read = |path: &Path| {
        for command in ["config", "run"] {
            let args = ["celebcam", command].map(OsString::from);
            let path = path.as_os_str().to_owned();
            let file = move |name: &str| (name == "CELEBCAM_CONFIG").then(|| path.clone());
            match settings::parse(&args, &file) {
                Ok(_) => {}
                Err(ParseFailure::Settings(error)) => {
                    let reason = error.to_string();
                    return Err((Exit::of(&error.into()).code(), reason));
                }
                Err(ParseFailure::Usage(error)) => return Err((2, error.to_string())),
            }
        }
        Ok(())
    };
    try_all(changed_settings, read, &["config", "--config"]);
}

#[test]
fn changed_galleries_are_read_or_refused() {
    let said = |error: gallery::Error| {
        let error = Error::from(error);
        (Exit::of(&error).code(), error.to_string())
    };
    let read = |path: &Path| store::read(path).map(drop).map_err(said);
    try_all(changed_gallery, read, &["people", "--gallery"]);
}
