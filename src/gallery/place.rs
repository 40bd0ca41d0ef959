//! Where the gallery is when nobody says where.

use std::ffi::OsString;
use std::path::PathBuf;

/// The gallery's file: in the folder that the system keeps for a service, else in the user's folder
/// for data; `None` for a process that has neither. `variable` looks into the environment.
pub fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| {
        let path = variable(name).map(PathBuf::from)?;
        path.is_absolute().then_some(path)
    };
    // A service may have several folders, with colons between; the first is its own.
    let service = variable("STATE_DIRECTORY").and_then(|folders| {
        let first = folders.to_str()?.split(':').next()?.to_owned();
        PathBuf::from(&first).is_absolute().then(|| PathBuf::from(first))
    });
    if let Some(service) = service {
        return Some(service.join("gallery"));
    }
    let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")))?;
    Some(data.join("celebcam/gallery"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name)?;
            Some(OsString::from(found.1))
        };
        default_path(variable).map(|path| path.display().to_string())
    }

    #[test]
    fn the_nearest_folder_wins() {
        let home = ("HOME", "/home/ann");
        assert_eq!(path(&[home]).as_deref(), Some("/home/ann/.local/share/celebcam/gallery"));
        let data = ("XDG_DATA_HOME", "/data");
        assert_eq!(path(&[home, data]).as_deref(), Some("/data/celebcam/gallery"));
        let state = ("STATE_DIRECTORY", "/var/lib/celebcam:/var/lib/other");
        assert_eq!(path(&[home, data, state]).as_deref(), Some("/var/lib/celebcam/gallery"));
        assert_eq!(path(&[]), None);
        assert_eq!(path(&[("HOME", ""), ("XDG_DATA_HOME", "relative")]), None);
    }
}
