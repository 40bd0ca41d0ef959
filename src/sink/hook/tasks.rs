//! A bound on what commands start, so that one that starts others without end leaves the run its share.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getuid, prlimit};

/// Users that systemd makes up, each for one service. Tasks are counted by user.
const USERS_OF_SERVICES: RangeInclusive<u32> = 61_184..=65_519;

/// Holds a command, and what it starts, to half of the tasks of a service that has a user of its own.
pub(super) fn hold(command: Pid) {
    static MOST: OnceLock<Option<u64>> = OnceLock::new();
    let is_alone = || USERS_OF_SERVICES.contains(&getuid().as_raw());
    let most = MOST.get_or_init(|| Some(tasks_max(Path::new("/"))? / 2).filter(|_| is_alone()));
    let Some(most) = *most else { return };
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    if let Err(error) = prlimit(Some(command), Resource::Nproc, limit) {
        log::debug!("--on-event: cannot bound the tasks of a command: {error}");
    }
}

/// Tasks that the control group of this process may have; `None` where nobody set a limit.
fn tasks_max(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = root.join("sys/fs/cgroup").join(group).join("pids.max");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_control_group() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(tasks_max(folder.path()), None);
        write("proc/self/cgroup", "1:name=x:/y\n0::/system.slice/celebcam.service\n");
        assert_eq!(tasks_max(folder.path()), None);
        let limit = "sys/fs/cgroup/system.slice/celebcam.service/pids.max";
        write(limit, "max\n");
        assert_eq!(tasks_max(folder.path()), None);
        write(limit, "128\n");
        assert_eq!(tasks_max(folder.path()), Some(128));
    }
}
