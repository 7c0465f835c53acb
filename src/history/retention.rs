//! Which sealed files are beyond the bounds.

use crate::history::segment::Segment;

/// The bounds of what is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// The bytes of all sealed files.
    pub(crate) max_bytes: Option<u64>,
    /// The age of the latest event in a file.
    pub(crate) max_age_ns: Option<i64>,
}

/// Returns the files that must go, the oldest first, and the bound that each is beyond.
pub(crate) fn too_many<'a>(segments: &'a [Segment], bounds: &Bounds, now_ns: i64) -> Vec<(&'a Segment, &'static str)> {
    if bounds.max_bytes.is_none() && bounds.max_age_ns.is_none() {
        return Vec::new();
    }
    let mut oldest_first: Vec<_> = segments.iter().collect();
    oldest_first.sort_unstable_by_key(|segment| (segment.last_ns, &segment.file));
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut expired = Vec::new();
    for segment in oldest_first {
        let is_old = bounds.max_age_ns.is_some_and(|age| segment.last_ns < now_ns.saturating_sub(age));
        let is_over = bounds.max_bytes.is_some_and(|most| bytes > most);
        if !is_old && !is_over {
            break;
        }
        bytes -= segment.bytes;
        expired.push((segment, if is_old { "max_age" } else { "max_bytes" }));
    }
    expired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let segment = |last_ns: i64| Segment {
            file: format!("{last_ns}"),
            bytes: 10,
            sum: 0,
            tail: 0,
            tail_sum: 0,
            rows: 1,
            first_ns: 0,
            last_ns,
        };
        let segments: Vec<_> = [30, 10, 20].map(segment).into();
        let expired = |max_bytes, max_age_ns| {
            let expired = too_many(&segments, &Bounds { max_bytes, max_age_ns }, 100);
            expired.into_iter().map(|(segment, reason)| (segment.last_ns, reason)).collect::<Vec<_>>()
        };
        assert_eq!(expired(None, None), []);
        assert_eq!(expired(Some(30), None), []);
        assert_eq!(expired(Some(19), None), [(10, "max_bytes"), (20, "max_bytes")]);
        assert_eq!(expired(None, Some(75)), [(10, "max_age"), (20, "max_age")]);
        assert_eq!(expired(Some(0), Some(85)), [(10, "max_age"), (20, "max_bytes"), (30, "max_bytes")]);
    }
}
