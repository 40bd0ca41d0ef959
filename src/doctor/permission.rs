//! Whether this user may open the camera, or start the program that stands for one.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getgroups, getuid};

use super::system::within;
use super::{Finding, System};
use crate::exit::Exit;
use crate::source::{Device, Program, SourceSpec};
use crate::system::process::quoted;

/// Longest time for a driver to open its device.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Whether what `source` needs, the camera `device` or a program, may be used.
pub fn look(source: &dyn SourceSpec, device: Option<&Device>, system: &System) -> Finding {
    match (device, source.program()) {
        (Some(device), _) => open(&device.node, system),
        (None, Some(program)) => start(program),
        (None, None) if source.selector().is_some() => {
            Finding::skipped("there is no camera to open")
        }
        (None, None) => Finding::ok(format!("none needed for {}", source.origin())),
    }
}

fn start(program: Program) -> Finding {
    match program.name {
        Ok(name) => Finding::ok(format!("{name} can be started")),
        Err(error) => Finding::failure(error.to_string(), program.advice, Exit::of(&error.into())),
    }
}

fn open(node: &Path, system: &System) -> Finding {
    let place = node.to_owned();
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = within(OPEN_WITHIN, move || rustix::fs::open(place, flags, Mode::empty()).err());
    let who = user(system);
    let node_name = node.display();
    match opened {
        Some(None | Some(Errno::BUSY)) => {
            Finding::ok(format!("the user {who} may open {node_name}"))
        }
        Some(Some(Errno::ACCESS | Errno::PERM)) => denied(node, &who, system),
        Some(Some(error)) => Finding::failure(
            format!("{node_name} cannot be opened: {error}"),
            "Unplug the camera and plug it in again; `sudo dmesg | tail` shows what the system \
             says of it.",
            Exit::NoCamera,
        ),
        None => Finding::failure(
            format!("the driver of {node_name} does not return"),
            "Unplug the camera and plug it in again; if that does not help: sudo reboot",
            Exit::NoCamera,
        ),
    }
}

fn denied(node: &Path, who: &str, system: &System) -> Finding {
    let found = format!("the user {who} may not open {}", node.display());
    let Ok(metadata) = node.metadata() else {
        let advice = format!("See whose it is: ls -l {}", quoted(node));
        return Finding::failure(found, advice, Exit::NoCamera);
    };
    let group = Group::with(metadata.gid(), system);
    let owner = Owner { group: &group, group_may: may_join(&metadata) };
    let in_force =
        getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == metadata.gid()));
    let advice = remedy(node, who, &owner, getuid().is_root() || (in_force && owner.group_may));
    Finding::failure(found, advice, Exit::NoCamera)
}

/// Whether the group of a device node has the rights to it, and is not the administrator's own.
fn may_join(metadata: &Metadata) -> bool {
    metadata.mode() & 0o060 == 0o060 && metadata.gid() != 0
}

/// The group that a device node belongs to.
struct Owner<'a> {
    group: &'a Group,
    /// Whether its members may read and write, and it is one to be in.
    group_may: bool,
}

/// `shut_out` is a user who has the rights to open the node and may not all the same.
fn remedy(node: &Path, who: &str, owner: &Owner<'_>, shut_out: bool) -> String {
    let (node, group) = (quoted(node), &owner.group.name);
    if shut_out {
        format!(
            "A container or a unit keeps it away: start the container with --device {node}, or put \
             DeviceAllow=char-video4linux rw into the unit."
        )
    } else if !owner.group_may {
        format!("Give it to the group of cameras: sudo chgrp video {node} && sudo chmod 660 {node}")
    } else if owner.group.members.iter().any(|member| member == who) {
        format!("{who} is in its group {group} since the last login: log out and in again.")
    } else {
        format!("Join its group {group}, then log out and in again: sudo usermod -aG {group} {who}")
    }
}

/// A line of `/etc/group`.
struct Group {
    name: String,
    members: Vec<String>,
}

impl Group {
    /// The group with this number, which is its name where it has none.
    fn with(id: u32, system: &System) -> Self {
        let named = system.text("etc/group").and_then(|text| {
            let fields = fields_of(&text, id)?;
            let members = fields.get(3).map_or("", String::as_str);
            let members = members.split(',').map(str::to_owned).collect();
            Some(Self { name: fields[0].clone(), members })
        });
        named.unwrap_or_else(|| Self { name: id.to_string(), members: Vec::new() })
    }
}

/// The name of the user of this process.
fn user(system: &System) -> String {
    let id = getuid().as_raw();
    let named = system.text("etc/passwd").and_then(|text| Some(fields_of(&text, id)?[0].clone()));
    named.unwrap_or_else(|| format!("user {id}"))
}

/// The fields of the line of `/etc/passwd` or `/etc/group` whose third is `id`.
fn fields_of(text: &str, id: u32) -> Option<Vec<String>> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(fields)
        .find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(id)))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, tests::system};
    use super::*;
    use crate::source::CommandRequest;

    #[test]
    fn the_advice_names_the_group_and_the_user() {
        let (_folder, system) =
            system(&[("etc/group", "root:x:0:\nvideo:x:44:bob,eve\nbroken\nplugdev:x:46:\n")]);
        let node = Path::new("/dev/video0");
        let advice = |id, who, group_may, shut_out| {
            let group = Group::with(id, &system);
            remedy(node, who, &Owner { group: &group, group_may }, shut_out)
        };
        assert!(advice(44, "ann", true, false).ends_with("sudo usermod -aG video ann"));
        assert!(advice(46, "ann", true, false).ends_with("sudo usermod -aG plugdev ann"));
        assert!(advice(99, "ann", true, false).ends_with("sudo usermod -aG 99 ann"));
        assert!(advice(44, "eve", true, false).contains("log out and in again"));
        assert!(advice(0, "ann", false, false).contains("sudo chgrp video /dev/video0"));
        assert!(advice(44, "root", true, true).contains("--device /dev/video0"));
    }

    #[test]
    fn a_file_that_can_be_opened_is_fine_and_one_that_is_not_there_is_not() {
        let (folder, system) = system(&[("dev/video0", "")]);
        assert_eq!(open(&folder.path().join("dev/video0"), &system).status(), Status::Ok);
        let gone = open(&folder.path().join("dev/video1"), &system);
        assert_eq!((gone.status(), gone.exit()), (Status::Failure, Some(Exit::NoCamera)));
    }

    #[test]
    fn a_program_has_to_be_there() {
        let look = |line: &str| {
            let source = CommandRequest { line: line.to_owned(), recording: false, wait: false };
            look(&source, None, &System::default())
        };
        assert_eq!(look("sh -c 'exit 0'"), Finding::ok("sh can be started"));
        for (line, exit) in
            [("no-such-program -o -", Exit::Failure), ("open 'quote", Exit::BadConfiguration)]
        {
            let finding = look(line);
            assert_eq!((finding.status(), finding.exit()), (Status::Failure, Some(exit)));
        }
    }
}
