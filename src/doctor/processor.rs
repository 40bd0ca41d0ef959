//! The processor and the kernels chosen for it.

use std::env::consts::ARCH;

use celebcam_engine::{Isa, Settings};

use super::{Finding, System};
use crate::error::Error;
use crate::exit::Exit;
use crate::models::{self, ISA_VARIABLE};
use crate::shown::count;

/// What the processor can do, and how models are run on it: on the best kernels where the choice of
/// others is wrong.
pub fn check(threads: usize, system: &System) -> (Settings, Finding) {
    let best = Settings::new(threads);
    let machine = machine(system);
    match models::settings(threads).map_err(Error::from) {
        Ok(settings) => {
            let finding = judge(&machine, settings.isa(), best.isa(), ARCH);
            (settings, finding)
        }
        Err(error) => {
            let advice = format!("Leave the choice to celebcam: unset {ISA_VARIABLE}");
            let finding = Finding::failure(error.to_string(), advice, Exit::of(&error));
            (best, finding)
        }
    }
}

fn judge(machine: &str, isa: Isa, best: Isa, architecture: &str) -> Finding {
    if best == Isa::Scalar {
        let found = format!("{machine}; only the plain kernels run here, which take much longer");
        return Finding::warning(found, better_processor(architecture));
    }
    let kernels = if isa == best {
        format!("kernels for {isa}, the best that it can run")
    } else {
        format!("kernels for {isa}, which {ISA_VARIABLE} asks for in place of {best}")
    };
    Finding::ok(format!("{machine}; {kernels}"))
}

fn better_processor(architecture: &str) -> &'static str {
    match architecture {
        "arm" => {
            "Put a 64-bit system on the board and celebcam for arm64 on that: Raspberry Pi 3, 4, 5 \
             and Zero 2 can run it. `dpkg --print-architecture` says arm64 there."
        }
        "x86_64" => {
            "Take a machine whose processor has AVX2; `grep -o -m1 avx2 /proc/cpuinfo` says so."
        }
        _ => "Take a board with a 64-bit ARM processor, or an x86-64 machine.",
    }
}

/// The board or the processor, its architecture and its cores.
fn machine(system: &System) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let board = system.text("proc/device-tree/model").filter(|model| !model.is_empty());
    let name = board.or_else(|| processor(&system.text("proc/cpuinfo")?));
    let name = name.map_or_else(String::new, |name| format!("{name}, "));
    format!("{name}{ARCH}, {}", count(cores, "core", "cores"))
}

/// The processor's name in the text of `/proc/cpuinfo`.
fn processor(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Status, tests::system};
    use super::*;

    #[test]
    fn the_machine_has_the_name_of_its_board_or_its_processor() {
        let cpu = ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon (R) 2 GHz\nflags\t: avx2\n");
        let model = ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        assert!(machine(&system(&[cpu]).1).starts_with("Xeon (R) 2 GHz, "));
        assert!(machine(&system(&[cpu, model]).1).starts_with("Raspberry Pi 4 Model B Rev 1.4, "));
        assert!(machine(&system(&[]).1).starts_with(ARCH));
    }

    #[test]
    fn only_plain_kernels_are_a_warning_and_lower_ones_a_remark() {
        let plain = judge("m", Isa::Scalar, Isa::Scalar, "arm");
        assert_eq!(plain.status(), Status::Warning);
        assert!(plain.advice().is_some_and(|advice| advice.contains("64-bit system")));
        let best = judge("m", Isa::Neon, Isa::Neon, "aarch64");
        assert_eq!(best, Finding::ok("m; kernels for neon, the best that it can run"));
        let lowered = judge("m", Isa::Scalar, Isa::Neon, "aarch64");
        assert_eq!(lowered.status(), Status::Ok);
        assert!(lowered.found().contains("CELEBCAM_ISA"));
    }
}
