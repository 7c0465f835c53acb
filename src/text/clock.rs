//! Moments as text: local time, or UTC.

use crate::sys::local_time::{Moment, break_down};
use crate::text::number::add_nine_digits;
use crate::text::{Refusable, add};

const NS: i64 = 1_000_000_000;

/// Writes moments in the form of ISO 8601, with all nanoseconds. The text of a second is made once for all events in it.
#[derive(Debug)]
pub struct Clock {
    utc: bool,
    second: Option<i64>,
    /// Date and time of day.
    iso: String,
    /// `Z`, or an offset such as `+01:00`.
    zone: String,
}

impl Clock {
    /// Creates a clock of local time, or of UTC.
    #[must_use]
    pub fn new(utc: bool) -> Self {
        Self { utc, second: None, iso: String::new(), zone: String::new() }
    }

    /// Appends a moment such as `2023-11-14T22:13:20.123999999Z`.
    pub(super) fn add_iso(&mut self, text: &mut Vec<u8>, ts_ns: i64) -> Refusable {
        let second = ts_ns.div_euclid(NS);
        if self.second != Some(second) {
            self.turn(second);
        }
        add(text, self.iso.as_bytes())?;
        add(text, b".")?;
        add_nine_digits(text, ts_ns.rem_euclid(NS) as u32)?;
        add(text, self.zone.as_bytes())
    }

    #[cold]
    fn turn(&mut self, second: i64) {
        // Nanoseconds in 64 bits end in the year 2262.
        let Moment { date: [year, month, day], time: [hour, minute, rest], offset_s } =
            break_down(second, self.utc).unwrap_or_default();
        self.iso = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{rest:02}");
        let minutes = offset_s.unsigned_abs() / 60;
        let sign = if offset_s < 0 { '-' } else { '+' };
        self.zone = if self.utc { "Z".into() } else { format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60) };
        self.second = Some(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(clock: &mut Clock, ts_ns: i64) -> String {
        let mut text = Vec::new();
        clock.add_iso(&mut text, ts_ns).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn moments_in_utc() {
        let mut clock = Clock::new(true);
        assert_eq!(iso(&mut clock, 1_700_000_000_123_999_999), "2023-11-14T22:13:20.123999999Z");
        assert_eq!(iso(&mut clock, 1_700_000_000_000_000_001), "2023-11-14T22:13:20.000000001Z");
        assert_eq!(iso(&mut clock, 1_700_000_001_000_000_000), "2023-11-14T22:13:21.000000000Z");
        assert_eq!(iso(&mut clock, -1), "1969-12-31T23:59:59.999999999Z");
    }
}
