//! Converts the kernel's clock to Unix time.

use crate::sys::clock::{since_boot_ns, unix_ns};

/// A larger change of the offset is a step of the wall clock. The noise between two readings is smaller.
const STEP_NS: i64 = 50_000;

/// The offset from `CLOCK_BOOTTIME`, which stamps the records, to `CLOCK_REALTIME`.
///
/// Both clocks are slewed alike, so the offset changes only when the wall clock is set. Keeping it until then keeps the
/// noise of reading two clocks in turn out of the order of the time stamps.
#[derive(Debug)]
pub struct Clock {
    offset_ns: i64,
}

fn boot_ns() -> i64 {
    since_boot_ns().cast_signed()
}

/// Returns the least disturbed of five readings: the one whose two outer clock readings are closest.
fn measure() -> i64 {
    let reading = |_| {
        let before = boot_ns();
        let real = unix_ns();
        let after = boot_ns();
        (after - before, real - before.midpoint(after))
    };
    (0..5).map(reading).min().map_or(0, |(_, offset_ns)| offset_ns)
}

impl Clock {
    /// Reads the clocks.
    #[must_use]
    pub fn new() -> Self {
        Self { offset_ns: measure() }
    }

    /// Returns the nanoseconds to add to a record's time stamp.
    pub fn offset_ns(&mut self) -> i64 {
        let rough = unix_ns() - boot_ns();
        if (rough - self.offset_ns).abs() > STEP_NS {
            let offset_ns = measure();
            if (offset_ns - self.offset_ns).abs() > STEP_NS {
                self.offset_ns = offset_ns;
            }
        }
        self.offset_ns
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_followed_and_noise_is_not() {
        let mut clock = Clock::new();
        let truth = clock.offset_ns();
        clock.offset_ns = truth + 1_000;
        assert_eq!(clock.offset_ns(), truth + 1_000);
        clock.offset_ns = truth - 3_600_000_000_000;
        assert!((clock.offset_ns() - truth).abs() < 1_000_000);
    }
}
