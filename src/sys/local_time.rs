//! Unix time as a date and a time of day, here or in UTC.

use std::mem::MaybeUninit;
use std::ptr;

/// A second, broken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// The year, the month and the day, from 1 on.
    pub date: [i32; 3],
    /// The hour, the minute and the second.
    pub time: [i32; 3],
    /// The offset from UTC in seconds, to the east.
    pub offset_s: i64,
}

/// Breaks a second down. `None` for one whose year no `int` holds.
#[must_use]
pub fn break_down(second: i64, utc: bool) -> Option<Moment> {
    #[allow(clippy::useless_conversion, reason = "a time_t has 32 bits on some targets")]
    let second: libc::time_t = second.try_into().ok()?;
    let mut made = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid, and the structure is written unless NULL is returned.
    let found = unsafe {
        if utc {
            libc::gmtime_r(ptr::from_ref(&second), made.as_mut_ptr())
        } else {
            libc::localtime_r(ptr::from_ref(&second), made.as_mut_ptr())
        }
    };
    if found.is_null() {
        return None;
    }
    // SAFETY: it was written.
    let tm = unsafe { made.assume_init() };
    Some(Moment {
        date: [tm.tm_year.checked_add(1900)?, tm.tm_mon + 1, tm.tm_mday],
        time: [tm.tm_hour, tm.tm_min, tm.tm_sec],
        offset_s: tm.tm_gmtoff,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_in_utc() {
        let moment = |date, time| Some(Moment { date, time, offset_s: 0 });
        assert_eq!(break_down(0, true), moment([1970, 1, 1], [0, 0, 0]));
        assert_eq!(break_down(1_700_000_000, true), moment([2023, 11, 14], [22, 13, 20]));
        assert_eq!(break_down(-1, true), moment([1969, 12, 31], [23, 59, 59]));
        assert_eq!(break_down(i64::MAX, true), None);
    }

    #[test]
    fn here_it_is_the_same_moment() {
        let (here, utc) = (break_down(1_700_000_000, false).unwrap(), break_down(1_700_000_000, true).unwrap());
        let seconds = |moment: Moment| {
            let [hour, minute, second] = moment.time.map(i64::from);
            3600 * hour + 60 * minute + second - moment.offset_s
        };
        assert_eq!((seconds(here) - seconds(utc)) % 86_400, 0);
    }
}
