//! The settings file: TOML, whose keys are the long flags of `celebcam run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use toml::{Table, Value};

use super::error::{Error, FileFault, Result};
use crate::system::bounded;

/// Where the file is looked for below a folder of settings.
const NAME: &str = "celebcam/celebcam.toml";

/// Similarity of two words from which on one is taken for the other, misspelt.
const LIKELY_MEANT: f64 = 0.75;

/// Most bytes of the file: a value takes up to two hundred times its bytes while it is read.
const MOST_BYTES: u64 = 64_000;

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// The values of each key, as they would be written behind its flag.
    pub settings: BTreeMap<String, Vec<String>>,
}

impl SettingsFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, is no regular file, has more than 64 kB, is not TOML,
    /// or holds more than keys with values.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = bounded::read(path, MOST_BYTES).map_err(|error| {
            let fault =
                if error.is_missing() { FileFault::Missing } else { FileFault::Unreadable(error) };
            wrong(path, fault)
        })?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(path, FileFault::NotText))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong(path, FileFault::NotToml { line, reason: error.message().to_owned() })
        })?;
        let settings = table
            .into_iter()
            .map(|(key, value)| match values(&value) {
                Some(values) => Ok((key, values)),
                None => Err(wrong(path, FileFault::NotAValue { key })),
            })
            .collect::<Result<_>>()?;
        Ok(Self { path: path.to_owned(), settings })
    }

    /// Checks that every key is among `known`.
    ///
    /// # Errors
    /// [`Error::File`] with the first one that is not, and the one that was likely meant.
    pub fn check_keys(&self, known: &[&str]) -> Result<()> {
        for key in self.settings.keys() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let (key, advice) = (key.clone(), likely_meant(key, known));
            return Err(wrong(&self.path, FileFault::Unknown { key, advice }));
        }
        Ok(())
    }
}

/// Which of the `known` words was likely meant by one that is not among them.
pub fn likely_meant(word: &str, known: &[&str]) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(word, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|nearest| likeness(nearest) >= LIKELY_MEANT) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`celebcam config` lists the settings".to_owned(),
    }
}

/// The file to read when none was named: the user's own, readable or not, otherwise that of the system,
/// where it is for this user to read.
pub fn default_path(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_user = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    let of_user = of_user.map(|folder| folder.join(NAME)).filter(|path| path.exists());
    of_user.or_else(|| Some(of_system()).filter(|path| may_be_read(path)))
}

fn of_system() -> PathBuf {
    Path::new("/etc").join(NAME)
}

/// The file of the system where there is one that is kept from this user.
pub fn withheld() -> Option<PathBuf> {
    let path = of_system();
    (path.exists() && !may_be_read(&path)).then_some(path)
}

/// Whether there is something at `path` that is not kept from this user: that of the service may hold
/// passwords.
fn may_be_read(path: &Path) -> bool {
    path.exists() && access(path, Access::READ_OK) != Err(Errno::ACCESS)
}

/// An error in the file at `path`.
pub fn wrong(path: &Path, fault: FileFault) -> Error {
    Error::File { path: path.to_owned(), fault }
}

fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(scalar).collect(),
        value => Some(vec![scalar(value)?]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn parse(text: &str) -> Result<SettingsFile> {
        SettingsFile::parse(Path::new("c.toml"), text)
    }

    #[test]
    fn values_are_read_as_flags_would_be_given() {
        let text = "camera = 0\nfps = 7.5\nstdin = true\npictures = [\"a\", \"b\"]\n";
        let file = parse(text).unwrap();
        let value = |key: &str| file.settings[key].join("|");
        assert_eq!(value("camera"), "0");
        assert_eq!(value("fps"), "7.5");
        assert_eq!(value("stdin"), "true");
        assert_eq!(value("pictures"), "a|b");
    }

    #[test]
    fn what_is_not_a_value_is_refused_with_its_place() {
        for (text, words) in [
            ("fps = 5\nfps = 6", "line 2"),
            ("fps = ", "line 1"),
            ("[camera]\nname = 1", "camera has to be a value"),
            ("a = [[1]]", "a has to be a value"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("settings c.toml: ") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_of_another_kind_or_of_any_length_is_refused() {
        let read = |path: &Path| SettingsFile::read(path).map_err(|error| error.to_string());
        assert!(read(Path::new("/dev/null")).unwrap().settings.is_empty());
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("it is a device"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, format!("a = [{}]", "0,".repeat(40_000))).unwrap();
        assert!(read(&path).unwrap_err().contains("more than 64 kB"));
        fs::write(&path, b"a = \"\xff\"").unwrap();
        assert!(read(&path).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let known = ["camera", "max-false-accepts", "fps"];
        let error = |text: &str| parse(text).unwrap().check_keys(&known).unwrap_err().to_string();
        assert!(error("camra = 1").ends_with("did you mean camera?"));
        assert!(error("max_false_accepts = 1").ends_with("did you mean max-false-accepts?"));
        assert!(error("zzz = 1").contains("`celebcam config`"));
        assert!(parse("fps = 1").unwrap().check_keys(&known).is_ok());
    }

    #[test]
    fn the_users_file_comes_before_that_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let look =
            || default_path(|name| (name == "XDG_CONFIG_HOME").then(|| folder.path().into()));
        assert_ne!(look(), Some(file.clone()));
        fs::write(&file, "").unwrap();
        assert_eq!(look(), Some(file.clone()));
        // What keeps it from its user is an error to be told, not a file that is not there.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(look(), Some(file));
    }
}
