//! Whether the clock can be right: events carry the time, lines for people that of their zone.

use jiff::tz::TimeZone;

use super::{Checkup, Finding};

/// First second of 2025; celebcam is younger.
const EARLIEST_UNIX_S: i64 = 1_735_689_600;

pub fn check(_checkup: &Checkup<'_>) -> Finding {
    judge(jiff::Timestamp::now(), &TimeZone::system())
}

fn judge(now: jiff::Timestamp, zone: &TimeZone) -> Finding {
    let here = now.to_zoned(zone.clone());
    let found = format!(
        "{}, {}",
        now.strftime("%Y-%m-%d %H:%M:%S UTC"),
        here.strftime("%H:%M:%S %:z here")
    );
    if now.as_second() >= EARLIEST_UNIX_S {
        return Finding::ok(found);
    }
    Finding::warning(
        format!("{found}, which cannot be; the times of events would be wrong"),
        "Set it from the network, sudo timedatectl set-ntp true, or by hand: sudo date -s '2026-11-24 \
         10:15'. A board without a network needs a clock with a battery.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_clock_before_its_time_is_warned_of() {
        let zone = TimeZone::posix("CET-1").unwrap();
        let at = |text: &str| judge(text.parse().unwrap(), &zone);
        let found = "2026-11-24 10:15:30 UTC, 11:15:30 +01:00 here";
        assert_eq!(at("2026-11-24T10:15:30Z"), Finding::ok(found));
        assert_eq!(at("1970-01-01T00:00:07Z").status(), Status::Warning);
        assert_eq!(at("2024-12-31T23:59:59Z").status(), Status::Warning);
    }
}
