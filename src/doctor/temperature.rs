//! How hot the board is, and whether it is held back by heat or a weak power supply.

use std::fs;
use std::path::{Path, PathBuf};

use super::system::read_trimmed;
use super::{Checkup, Finding, System};

/// Degrees Celsius from which on boards slow down.
const HOT: f64 = 80.0;

/// Degrees that a sensor may honestly say.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = -40.0..=150.0;

pub fn check(checkup: &Checkup<'_>) -> Finding {
    temperature(&checkup.system)
}

fn temperature(system: &System) -> Finding {
    let mut parts = Vec::new();
    parts.extend(hottest(system).map(judge_temperature));
    parts.extend(throttling(system));
    if parts.is_empty() {
        return Finding::skipped("not told by this machine");
    }
    Finding::joined(parts)
}

/// Degrees Celsius of the hottest part.
fn hottest(system: &System) -> Option<f64> {
    let zones = entries(system.path("sys/class/thermal"));
    zones.filter_map(|zone| degrees(&read_trimmed(&zone.join("temp"))?)).max_by(f64::total_cmp)
}

/// A temperature in thousandths of a degree.
fn degrees(text: &str) -> Option<f64> {
    let degrees = text.parse::<f64>().ok()? / 1e3;
    PLAUSIBLE.contains(&degrees).then_some(degrees)
}

fn judge_temperature(degrees: f64) -> Finding {
    let found = format!("{degrees:.0} degrees Celsius");
    if degrees < HOT {
        return Finding::ok(found);
    }
    Finding::warning(found, "Cool the board: a heat sink or a fan, and air around its case.")
}

/// What the firmware of a Raspberry Pi, or else its voltage monitor, says.
fn throttling(system: &System) -> Option<Finding> {
    let buses = entries(system.path("sys/devices/platform")).filter(|path| is_named(path, "soc"));
    let firmware = buses.flat_map(entries).filter(|path| is_named(path, "soc"));
    let bits = firmware
        .filter_map(|path| throttled_bits(&read_trimmed(&path.join("get_throttled"))?))
        .next();
    bits.map(judge_throttling).or_else(|| {
        let monitors = entries(system.path("sys/class/hwmon"));
        let power = monitors
            .filter(|path| read_trimmed(&path.join("name")).as_deref() == Some("rpi_volt"))
            .find_map(|path| read_trimmed(&path.join("in0_lcrit_alarm")))?;
        Some(judge_throttling(u32::from(power == "1")))
    })
}

fn is_named(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
}

/// The bits of `get_throttled`, a hexadecimal number.
fn throttled_bits(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// Bit 0 is a voltage that is too low, 1 a capped frequency, 2 throttling, 3 the soft limit of the
/// temperature; 16 to 19 the same at some time since the start.
fn judge_throttling(bits: u32) -> Finding {
    const WHAT: [&str; 4] =
        ["power too low", "frequency capped", "throttled", "near its heat limit"];
    let set = |bit: usize| bits >> bit & 1 == 1;
    let found: Vec<String> = WHAT
        .iter()
        .enumerate()
        .filter_map(|(bit, what)| {
            if set(bit) {
                Some(format!("{what} now"))
            } else {
                set(bit + 16).then(|| format!("{what} at some time since the start"))
            }
        })
        .collect();
    if found.is_empty() {
        return Finding::ok("never held back since the start");
    }
    let advice = if set(0) || set(16) {
        "Use the power supply made for the board and a short, thick cable; `dmesg | grep -i voltage` \
         shows when it was too low."
    } else {
        "Cool the board: a heat sink or a fan, and air around its case."
    };
    Finding::warning(found.join(", "), advice)
}

/// What is in a folder, by name.
fn entries(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::{Status, tests::system};
    use super::*;

    const THROTTLED: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";

    #[test]
    fn a_machine_that_tells_nothing_is_no_failure() {
        let (_folder, system) = system(&[]);
        assert_eq!(temperature(&system), Finding::skipped("not told by this machine"));
    }

    #[test]
    fn the_hottest_sensor_counts_and_nonsense_does_not() {
        let zone = |number: u32, text: &'static str| {
            (format!("sys/class/thermal/thermal_zone{number}/temp"), text)
        };
        let zones = [zone(0, "48312\n"), zone(1, "51000\n"), zone(2, "-273000\n"), zone(3, "")];
        let files: Vec<_> = zones.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(temperature(&system(&files).1), Finding::ok("51 degrees Celsius"));
        assert_eq!(judge_temperature(79.9).status(), Status::Ok);
        assert_eq!(judge_temperature(80.0).status(), Status::Warning);
    }

    #[test]
    fn throttling_now_and_before_is_told_with_what_to_do() {
        let told = |text| temperature(&system(&[(THROTTLED, text)]).1);
        assert_eq!(told("0\n"), Finding::ok("never held back since the start"));
        let weak = told("50005\n");
        assert_eq!(weak.found(), "power too low now, throttled now");
        assert!(weak.advice().is_some_and(|advice| advice.contains("power supply")));
        let hot = told("0x80000\n");
        assert_eq!(hot.found(), "near its heat limit at some time since the start");
        assert!(hot.advice().is_some_and(|advice| advice.contains("fan")));
        assert_eq!(told("nonsense").status(), Status::Skipped);
    }

    #[test]
    fn the_voltage_monitor_answers_where_the_firmware_does_not() {
        let files = |alarm| {
            [
                ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
                ("sys/class/hwmon/hwmon1/name", "rpi_volt\n"),
                ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm),
            ]
        };
        assert_eq!(temperature(&system(&files("1\n")).1).found(), "power too low now");
        assert_eq!(temperature(&system(&files("0\n")).1).status(), Status::Ok);
    }
}
