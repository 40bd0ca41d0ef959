//! Who has a device open.

use std::fs;
use std::path::Path;

use super::system::{System, read_trimmed};

/// Another process.
#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// Its program.
    pub program: String,
}

/// A process but this one that has `node` open, among those into which this user may look.
pub fn find(node: &Path, system: &System) -> Option<Holder> {
    for entry in fs::read_dir(system.path("proc")).ok()?.flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(process) = process.filter(|process| *process != std::process::id()) else {
            continue;
        };
        let files = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        if files.flat_map(|file| fs::read_link(file.path())).any(|target| target == node) {
            let program = read_trimmed(&entry.path().join("comm")).unwrap_or_default();
            return Some(Holder { process, program });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::system;
    use super::*;

    #[test]
    fn the_process_that_has_the_node_open_is_found_by_its_files() {
        let own = format!("proc/{}/fd/0", std::process::id());
        let files =
            [("proc/12/comm", "bash\n"), ("proc/345/comm", "ffmpeg\n"), ("proc/meminfo", "")];
        let (folder, system) = system(&files);
        let node = Path::new("/dev/video0");
        for (fd, target) in
            [("proc/12/fd/1", "/dev/null"), ("proc/345/fd/3", "/dev/video0"), (&own, "/dev/video1")]
        {
            let fd = folder.path().join(fd);
            fs::create_dir_all(fd.parent().unwrap()).unwrap();
            symlink(target, fd).unwrap();
        }
        let expected = Holder { process: 345, program: "ffmpeg".to_owned() };
        assert_eq!(find(node, &system), Some(expected));
        assert_eq!(find(Path::new("/dev/video1"), &system), None);
    }
}
