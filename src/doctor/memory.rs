//! The memory that is left, against what this process has taken for the same models and pictures.

use super::system::amount;
use super::{Checkup, Finding, System};
use crate::system::process;

pub fn check(checkup: &Checkup<'_>) -> Finding {
    memory(&checkup.system)
}

fn memory(system: &System) -> Finding {
    let text = system.text("proc/meminfo").unwrap_or_default();
    let needed = process::memory_bytes("VmHWM");
    match (process::amount_bytes(&text, "MemAvailable"), needed) {
        (Some(available), Some(needed)) => {
            judge_memory(available, process::amount_bytes(&text, "MemTotal"), needed)
        }
        _ => Finding::skipped("not told by this machine"),
    }
}

fn judge_memory(available: u64, total: Option<u64>, needed: u64) -> Finding {
    let of = total.map_or_else(String::new, |total| format!(" of {}", amount(total)));
    let found =
        format!("{} available{of}; a run takes about {}", amount(available), amount(needed));
    if available >= needed {
        return Finding::ok(found);
    }
    Finding::warning(found, "End other programs; this shows the largest: ps aux --sort=-rss | head")
}

#[cfg(test)]
mod tests {
    use super::super::{Status, tests::system};
    use super::*;

    const MEMINFO: &str = "MemTotal:         948280 kB\nMemFree:  1 kB\nMemAvailable:  421108 kB\n";

    #[test]
    fn memory_is_compared_with_what_this_process_took() {
        let (_folder, system) = system(&[("proc/meminfo", MEMINFO)]);
        let found = memory(&system);
        assert!(found.found().starts_with("431 MB available of 971 MB"), "{found:?}");
        assert_eq!(judge_memory(30_000_000, None, 60_000_000).status(), Status::Warning);
        assert_eq!(judge_memory(60_000_000, None, 60_000_000).status(), Status::Ok);
    }

    #[test]
    fn a_machine_that_tells_nothing_is_no_failure() {
        let (_folder, system) = system(&[("proc/meminfo", "nonsense")]);
        assert_eq!(memory(&system), Finding::skipped("not told by this machine"));
    }
}
