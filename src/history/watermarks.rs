//! The watermarks of logs: up to when the recording was whole before each, and with it.
//!
//! They tell the stretch of time of a log that cannot be read: from the last watermark before it to the first one behind.

use std::collections::BTreeMap;

use crate::history::layout::{DAY_NS, Stem};

/// The watermarks of logs that were read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watermarks(BTreeMap<Stem, (Option<i64>, Option<i64>)>);

/// The beginning of a date, as Unix time. `None` for what is no date.
fn date_ns(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=2262).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Howard Hinnant's `days_from_civil`, the inverse of what `layout::date` does.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days.checked_mul(DAY_NS)
}

impl Watermarks {
    /// Notes a log: a watermark behind what the logs before have, and its last one.
    pub(crate) fn insert(&mut self, log: Stem, since_ns: Option<i64>, through_ns: Option<i64>) {
        if since_ns.is_some() || through_ns.is_some() {
            self.0.insert(log, (since_ns, through_ns));
        }
    }

    /// The last watermark before a log; the beginning of the session where there is none.
    pub(crate) fn before(&self, log: Stem) -> i64 {
        let of_session = self.0.range(Stem { number: 0, ..log }..log);
        of_session.rev().find_map(|(_, (_, through_ns))| *through_ns).unwrap_or(log.session)
    }

    /// The stretch of time that the events of a log are of. It ends at `end_ns` where no log of its session is behind it.
    pub(crate) fn stretch(&self, log: Stem, end_ns: i64) -> (i64, i64) {
        let mut behind = self.0.range(log..=Stem { number: u32::MAX, ..log }).filter(|(stem, _)| **stem != log);
        let from_ns = self.before(log);
        (from_ns, behind.find_map(|(_, (since_ns, _))| *since_ns).unwrap_or(end_ns).max(from_ns))
    }

    /// The part of a log's stretch of time that is within a date.
    pub(crate) fn stretch_of_date(&self, log: Stem, date: &str, end_ns: i64) -> (i64, i64) {
        let (from_ns, to_ns) = self.stretch(log, end_ns);
        let within = date_ns(date).map(|day_ns| (from_ns.max(day_ns), to_ns.min(day_ns.saturating_add(DAY_NS))));
        // The clock may have been set meanwhile, or the file is in the directory of another date.
        within.filter(|(from_ns, to_ns)| from_ns < to_ns).unwrap_or((from_ns, to_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::layout::date;

    #[test]
    fn dates_come_back() {
        for day in [0, 58, 59, 789, 11_016, 11_017, 20_000, 20_789, 106_751] {
            assert_eq!(date_ns(&date(day * DAY_NS)), Some(day * DAY_NS), "{day}");
        }
        for odd in ["", "x", "2026-13-01", "2026-01", "2026-01-00", "9999999999999-01-01", "__HIVE_DEFAULT_PARTITION__"]
        {
            assert_eq!(date_ns(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_read_is_of_the_time_between_its_neighbours() {
        let stem = |session, number| Stem { session, number };
        let mut known = Watermarks::default();
        known.insert(stem(100, 1), Some(110), Some(120));
        known.insert(stem(100, 2), None, Some(125));
        known.insert(stem(100, 4), None, None);
        known.insert(stem(100, 5), Some(150), Some(160));
        known.insert(stem(7, 1), Some(8), Some(9));
        assert_eq!(known.stretch(stem(100, 3), 900), (125, 150));
        assert_eq!(known.stretch(stem(100, 6), 900), (160, 900));
        assert_eq!(known.stretch(stem(200, 1), 900), (200, 900));
        assert_eq!((known.before(stem(100, 1)), known.before(stem(7, 2))), (100, 9));
        let (day, name) = (20_000 * DAY_NS, date(20_000 * DAY_NS));
        assert_eq!(known.stretch_of_date(stem(200, 1), &name, i64::MAX), (day, day + DAY_NS));
        assert_eq!(known.stretch_of_date(stem(day + 5, 1), &name, day + 9), (day + 5, day + 9));
        assert_eq!(known.stretch_of_date(stem(200, 1), &name, 900), (200, 900));
    }
}
