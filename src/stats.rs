//! The ledger: where each matched call went.

/// What became of every call that a tracer's program matched.
///
/// At rest, whatever happened before:
///
/// ```text
/// matched = filtered + lost_ring + lost_state + pending + buffered + delivered + discarded
/// ```
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, get_all, eq, module = "rawtp"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Calls whose number is watched.
    pub matched: u64,
    /// Left out by the filters, in the kernel.
    pub filtered: u64,
    /// Found no room in the ring.
    pub lost_ring: u64,
    /// Found no room in the kernel's tables of open calls. This version has none: always 0.
    pub lost_state: u64,
    /// Began, and their end is not seen yet.
    pub pending: u64,
    /// Wait to be taken, in the ring or in the queue.
    pub buffered: u64,
    /// Handed out as dicts.
    pub delivered: u64,
    /// Not taken by anybody before the tracer was closed.
    pub discarded: u64,
    /// Times that the kernel skipped a program of this tracer; `None` where the kernel does not count them.
    pub missed: Option<u64>,
    /// Ends of calls whose events were delivered before.
    pub unpaired: u64,
    /// Ends of calls that found no room in the ring: their events have no result.
    pub lost_exits: u64,
    /// Events whose name could not be read.
    pub name_faults: u64,
    /// Events whose name is longer than a path can be.
    pub truncated: u64,
    /// Of `lost_ring`, those lost after the last event of their CPU, which no event's `lost` tells.
    pub tail_lost: u64,
    /// Processes born to a followed one that the kernel's table had no room for: what they do is not reported.
    pub unfollowed: u64,
    /// Reports of a cgroup's path that found no room: without one, `container_id`, `pod_id` and `unit` of events are
    /// `None` where the cgroup is gone when they are read.
    pub lost_cgroups: u64,
}

#[cfg(feature = "python")]
#[pyo3::pymethods]
impl Stats {
    /// The counters as a dict, in the order of the ledger.
    fn as_dict<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyDict>> {
        use pyo3::types::PyDictMethods;

        let dict = pyo3::types::PyDict::new(py);
        for (name, value) in self.fields() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// The counters as HTML, for notebooks.
    fn _repr_html_<'py>(slf: &pyo3::Bound<'py, Self>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
        crate::shown::show(slf.py(), "rawtp._html", "stats", (slf,))
    }

    fn __repr__(&self) -> String {
        let fields = self.fields().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=None"),
        });
        format!("Stats({})", fields.join(", "))
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        self.fields().hash(&mut hasher);
        hasher.finish()
    }
}

impl Stats {
    /// Names and values, in the order of the ledger.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, Option<u64>); 16] {
        [
            ("matched", Some(self.matched)),
            ("filtered", Some(self.filtered)),
            ("lost_ring", Some(self.lost_ring)),
            ("lost_state", Some(self.lost_state)),
            ("pending", Some(self.pending)),
            ("buffered", Some(self.buffered)),
            ("delivered", Some(self.delivered)),
            ("discarded", Some(self.discarded)),
            ("missed", self.missed),
            ("unpaired", Some(self.unpaired)),
            ("lost_exits", Some(self.lost_exits)),
            ("name_faults", Some(self.name_faults)),
            ("truncated", Some(self.truncated)),
            ("tail_lost", Some(self.tail_lost)),
            ("unfollowed", Some(self.unfollowed)),
            ("lost_cgroups", Some(self.lost_cgroups)),
        ]
    }
}
