//! The ledger: where each matched call went.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

// rustdoc would take the example in it for Rust, and run it.
#[cfg_attr(feature = "python", doc = py_doc!("Stats"))]
#[cfg_attr(not(feature = "python"), doc = "What became of every call that a tracer's program matched.")]
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, get_all, eq, module = "rawtp"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    #[doc = py_doc!("Stats.matched")]
    pub matched: u64,
    #[doc = py_doc!("Stats.filtered")]
    pub filtered: u64,
    #[doc = py_doc!("Stats.lost_ring")]
    pub lost_ring: u64,
    #[doc = py_doc!("Stats.lost_state")]
    pub lost_state: u64,
    #[doc = py_doc!("Stats.pending")]
    pub pending: u64,
    #[doc = py_doc!("Stats.buffered")]
    pub buffered: u64,
    #[doc = py_doc!("Stats.delivered")]
    pub delivered: u64,
    #[doc = py_doc!("Stats.discarded")]
    pub discarded: u64,
    #[doc = py_doc!("Stats.missed")]
    pub missed: Option<u64>,
    #[doc = py_doc!("Stats.unpaired")]
    pub unpaired: u64,
    #[doc = py_doc!("Stats.lost_exits")]
    pub lost_exits: u64,
    #[doc = py_doc!("Stats.name_faults")]
    pub name_faults: u64,
    #[doc = py_doc!("Stats.truncated")]
    pub truncated: u64,
    #[doc = py_doc!("Stats.tail_lost")]
    pub tail_lost: u64,
    #[doc = py_doc!("Stats.unfollowed")]
    pub unfollowed: u64,
    #[doc = py_doc!("Stats.lost_cgroups")]
    pub lost_cgroups: u64,
}

#[cfg(feature = "python")]
#[pyo3::pymethods]
impl Stats {
    #[doc = py_doc!("Stats.as_dict")]
    fn as_dict<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyDict>> {
        use pyo3::types::PyDictMethods;

        crate::exceptions::check_memory()?;
        let dict = pyo3::types::PyDict::new(py);
        for (name, value) in self.fields() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    #[doc = py_doc!("Stats._repr_html_")]
    fn _repr_html_<'py>(slf: &pyo3::Bound<'py, Self>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
        crate::shown::show(slf.py(), "rawtp.notebook._html", "stats", (slf,))
    }

    /// For pickle and copy.
    fn __reduce__<'py>(
        &self,
        py: pyo3::Python<'py>,
    ) -> pyo3::PyResult<(pyo3::Bound<'py, pyo3::PyAny>, (pyo3::Bound<'py, pyo3::types::PyDict>,))> {
        use pyo3::types::PyAnyMethods;

        Ok((py.import("rawtp._core")?.getattr("_stats")?, (self.as_dict(py)?,)))
    }

    fn __repr__(&self) -> pyo3::PyResult<String> {
        crate::exceptions::check_memory()?;
        let fields = self.fields().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=None"),
        });
        Ok(format!("Stats({})", fields.join(", ")))
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

#[cfg(feature = "python")]
impl Stats {
    /// Those counters; a `ValueError` when they are not just the ones that there are.
    pub(crate) fn of(counters: &pyo3::Bound<'_, pyo3::types::PyDict>) -> pyo3::PyResult<Self> {
        use pyo3::exceptions::PyValueError;
        use pyo3::types::{PyAnyMethods, PyDictMethods};

        let foreign =
            || PyValueError::new_err("these counters are of another version of rawtp: read them with that one");
        let maybe = |name: &str| counters.get_item(name)?.ok_or_else(foreign)?.extract::<Option<u64>>();
        let one = |name: &str| maybe(name)?.ok_or_else(foreign);
        let stats = Self {
            matched: one("matched")?,
            filtered: one("filtered")?,
            lost_ring: one("lost_ring")?,
            lost_state: one("lost_state")?,
            pending: one("pending")?,
            buffered: one("buffered")?,
            delivered: one("delivered")?,
            discarded: one("discarded")?,
            missed: maybe("missed")?,
            unpaired: one("unpaired")?,
            lost_exits: one("lost_exits")?,
            name_faults: one("name_faults")?,
            truncated: one("truncated")?,
            tail_lost: one("tail_lost")?,
            unfollowed: one("unfollowed")?,
            lost_cgroups: one("lost_cgroups")?,
        };
        if counters.len() == stats.fields().len() { Ok(stats) } else { Err(foreign()) }
    }
}
