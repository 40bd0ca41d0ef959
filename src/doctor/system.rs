//! Files in which the system says how it is, and calls of it that may not return.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// The files below a root in which the system says how it is: `/proc`, `/sys` and `/etc`.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl System {
    /// A path, given without the root.
    pub fn path(&self, below_root: &str) -> PathBuf {
        self.root.join(below_root)
    }

    /// A file's text without what surrounds it; `None` where it cannot be read.
    pub fn text(&self, below_root: &str) -> Option<String> {
        read_trimmed(&self.path(below_root))
    }

    /// The services of celebcam that run.
    pub fn running_services(&self) -> Vec<String> {
        let slices = ["sys/fs/cgroup", "sys/fs/cgroup/systemd"]
            .map(|groups| self.path(groups).join("system.slice"));
        let own = slices.iter().find(|slice| slice.join("celebcam.service").exists());
        let groups = slices.iter().flat_map(|slice| slice.join("system-celebcam.slice").read_dir());
        let names = groups.flatten().flatten().map(|group| group.file_name());
        let mut services: Vec<String> = names
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".service")?.to_owned()))
            .filter(|name| name.starts_with("celebcam@"))
            .chain(own.map(|_| "celebcam".to_owned()))
            .collect();
        services.sort();
        services.dedup();
        services
    }
}

/// The text of a file without blanks and zeros around it; `None` where it cannot be read.
pub fn read_trimmed(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace()).to_owned())
}

/// What `work` gives; `None` where it takes longer than `time`, as a driver may that does not return.
pub fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::Builder::new().name("look".to_owned());
    // After the deadline nobody listens.
    worker.spawn(move || drop(sender.send(work()))).ok()?;
    receiver.recv_timeout(time).ok()
}

/// An amount for people, of memory or of a disk.
pub fn amount(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes >= 1e3 => format!("{:.1} GB", megabytes / 1e3),
        megabytes => format!("{megabytes:.0} MB"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A system in a folder, with these files.
    pub fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = folder.path().to_owned();
        (folder, System { root })
    }

    #[test]
    fn work_that_does_not_return_is_left_alone() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let (_keep, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || never.recv().is_ok()), None);
        assert_eq!(within(Duration::from_secs(60), || panic!("a driver") as u8), None);
    }

    #[test]
    fn services_run_while_they_have_a_control_group() {
        let running = |groups: &[&str]| {
            let file = |group| (format!("sys/fs/cgroup/system.slice/{group}/cgroup.procs"), "1\n");
            let files: Vec<_> = groups.iter().map(file).collect();
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            system(&files).1.running_services()
        };
        let door = "system-celebcam.slice/celebcam@door.service";
        assert_eq!(running(&["celebcam.service"]), ["celebcam"]);
        assert_eq!(running(&[door]), ["celebcam@door"]);
        assert_eq!(running(&["celebcam.service", door]), ["celebcam", "celebcam@door"]);
        assert!(running(&["other.service"]).is_empty());
    }

    #[test]
    fn amounts_have_the_unit_that_fits() {
        assert_eq!(amount(49_600_000), "50 MB");
        assert_eq!(amount(12_340_000_000), "12.3 GB");
    }
}
