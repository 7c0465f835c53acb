//! The events that a recorder has read but found no room for, neither in the log nor in memory.

use crate::history::line::Line;

/// Events, by their number and the times between which they happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) count: u64,
    pub(crate) from_ns: i64,
    pub(crate) to_ns: i64,
}

impl Dropped {
    /// The events together with more of them.
    pub(crate) fn merge(self, more: Option<Self>) -> Self {
        more.map_or(self, |more| Self {
            count: self.count + more.count,
            from_ns: self.from_ns.min(more.from_ns),
            to_ns: self.to_ns.max(more.to_ns),
        })
    }

    /// The loss in the journal.
    pub(crate) fn line(&self) -> Line {
        let line = Line::new("loss").text("kind", "memory").int("count", self.count.cast_signed());
        line.int("from_ns", self.from_ns).int("to_ns", self.to_ns).int("cpu", None).text("via", None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_events_widen_the_time() {
        let (early, late) =
            (Dropped { count: 2, from_ns: 10, to_ns: 30 }, Dropped { count: 3, from_ns: 20, to_ns: 40 });
        let both = Dropped { count: 5, from_ns: 10, to_ns: 40 };
        assert_eq!((early.merge(Some(late)), late.merge(Some(early)), late.merge(None)), (both, both, late));
    }
}
