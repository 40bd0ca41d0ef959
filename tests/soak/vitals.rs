//! What a process takes of the system, as `/proc` says.

use std::fs;

/// A moment of a process.
#[derive(Debug, Clone)]
pub struct Vitals {
    /// What each of its open descriptors is.
    pub descriptors: Vec<String>,
    /// The names of its threads.
    pub threads: Vec<String>,
    /// The processes that it started and has not reaped.
    pub children: Vec<Relative>,
}

/// A process that another one started.
#[derive(Debug, Clone)]
pub struct Relative {
    /// Its number.
    pub pid: u32,
    /// It has ended.
    pub is_zombie: bool,
    /// Its command line.
    pub command: String,
}

impl Vitals {
    /// Of the process `pid`, now.
    pub fn of(pid: u32) -> Self {
        let descriptor = |name: String| fs::read_link(format!("/proc/{pid}/fd/{name}")).ok();
        let thread =
            |name: String| fs::read_to_string(format!("/proc/{pid}/task/{name}/comm")).ok();
        let descriptors = entries(&format!("/proc/{pid}/fd")).into_iter().filter_map(descriptor);
        let threads = entries(&format!("/proc/{pid}/task")).into_iter().filter_map(thread);
        let relatives = entries("/proc").into_iter().filter_map(|name| name.parse().ok());
        let mut vitals = Self {
            descriptors: descriptors.map(|path| path.display().to_string()).collect(),
            threads: threads.map(|name| name.trim_end().to_owned()).collect(),
            children: relatives.filter_map(|other| child(other, pid)).collect(),
        };
        vitals.descriptors.sort();
        vitals.threads.sort();
        vitals
    }
}

/// Resident memory of the process `pid`; `None` when it has ended.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn entries(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The process `pid`, if `parent` started it.
fn child(pid: u32, parent: u32) -> Option<Relative> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name between brackets may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let (state, its_parent) = (fields.next()?, fields.next()?.parse::<u32>().ok()?);
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    (parent == its_parent).then(|| Relative { pid, is_zombie: state == "Z", command })
}
