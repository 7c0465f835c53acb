//! Unix time, and the time since boot by the clock that stamps the kernel's records.
//!
//! A process in a time namespace sees `CLOCK_BOOTTIME` with an offset, which the kernel's own times do not have
//! (`time_namespaces(7)`).

use std::fs;
use std::sync::OnceLock;

use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> i64 {
    // Every kernel that has a BPF ring buffer has these clocks.
    clock_gettime(clock).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// Returns Unix time in nanoseconds.
#[must_use]
pub fn unix_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Returns the nanoseconds since boot, as the kernel has them.
#[must_use]
pub fn since_boot_ns() -> u64 {
    (read(ClockId::CLOCK_BOOTTIME) - offset_ns()).unsigned_abs()
}

/// Returns what this process's time namespace adds. A process stays in the one in which it began.
#[must_use]
pub fn offset_ns() -> i64 {
    static OFFSET_NS: OnceLock<i64> = OnceLock::new();
    *OFFSET_NS.get_or_init(|| {
        let namespace = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).ok();
        // The file has the offsets of the namespace for children. There is none before Linux 5.6.
        if namespace("time") != namespace("time_for_children") {
            return 0;
        }
        fs::read_to_string("/proc/self/timens_offsets").ok().and_then(|text| boot_offset_ns(&text)).unwrap_or(0)
    })
}

/// Reads the offset out of `/proc/PID/timens_offsets`.
fn boot_offset_ns(text: &str) -> Option<i64> {
    let values = text.lines().find_map(|line| line.strip_prefix("boottime "))?;
    let mut values = values.split_ascii_whitespace().map(str::parse::<i64>);
    let (seconds, nanoseconds) = (values.next()?.ok()?, values.next()?.ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_a_time_namespace() {
        let offset = |text| boot_offset_ns(text);
        assert_eq!(
            offset("monotonic           0         0\nboottime      1000000 500000000\n"),
            Some(1_000_000_500_000_000)
        );
        assert_eq!(offset("monotonic  5 0\nboottime        -3000         1\n"), Some(-2_999_999_999_999));
        for wrong in ["", "monotonic 1 1\n", "boottime 1\n", "boottime x 1\n", "boottime 9999999999999 0\n"] {
            assert_eq!(offset(wrong), None, "{wrong}");
        }
    }
}
