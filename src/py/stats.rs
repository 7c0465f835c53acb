//! `rawtp.Stats`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::py::errors::check_memory;
use crate::py::late;
use crate::session::ledger::Ledger;

#[doc = py_doc!("Stats")]
#[pyclass(frozen, get_all, eq, module = "rawtp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    #[doc = py_doc!("Stats.matched")]
    matched: u64,
    #[doc = py_doc!("Stats.filtered")]
    filtered: u64,
    #[doc = py_doc!("Stats.lost_ring")]
    lost_ring: u64,
    #[doc = py_doc!("Stats.lost_state")]
    lost_state: u64,
    #[doc = py_doc!("Stats.pending")]
    pending: u64,
    #[doc = py_doc!("Stats.buffered")]
    buffered: u64,
    #[doc = py_doc!("Stats.delivered")]
    delivered: u64,
    #[doc = py_doc!("Stats.discarded")]
    discarded: u64,
    #[doc = py_doc!("Stats.missed")]
    missed: Option<u64>,
    #[doc = py_doc!("Stats.unpaired")]
    unpaired: u64,
    #[doc = py_doc!("Stats.lost_exits")]
    lost_exits: u64,
    #[doc = py_doc!("Stats.name_faults")]
    name_faults: u64,
    #[doc = py_doc!("Stats.truncated")]
    truncated: u64,
    #[doc = py_doc!("Stats.tail_lost")]
    tail_lost: u64,
    #[doc = py_doc!("Stats.unfollowed")]
    unfollowed: u64,
    #[doc = py_doc!("Stats.lost_cgroups")]
    lost_cgroups: u64,
    #[doc = py_doc!("Stats.lost_processes")]
    lost_processes: u64,
    #[doc = py_doc!("Stats.lost_truths")]
    lost_truths: u64,
    #[doc = py_doc!("Stats.lost_mounts")]
    lost_mounts: u64,
}

impl From<Ledger> for Stats {
    fn from(ledger: Ledger) -> Self {
        Self {
            matched: ledger.matched,
            filtered: ledger.filtered,
            lost_ring: ledger.lost_ring,
            lost_state: ledger.lost_state,
            pending: ledger.pending,
            buffered: ledger.buffered,
            delivered: ledger.delivered,
            discarded: ledger.discarded,
            missed: ledger.missed,
            unpaired: ledger.unpaired,
            lost_exits: ledger.lost_exits,
            name_faults: ledger.name_faults,
            truncated: ledger.truncated,
            tail_lost: ledger.tail_lost,
            unfollowed: ledger.unfollowed,
            lost_cgroups: ledger.lost_cgroups,
            lost_processes: ledger.lost_processes,
            lost_truths: ledger.lost_truths,
            lost_mounts: ledger.lost_mounts,
        }
    }
}

#[pymethods]
impl Stats {
    #[doc = py_doc!("Stats.as_dict")]
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let dict = PyDict::new(py);
        for (name, value) in self.fields() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    #[doc = py_doc!("Stats._repr_html_")]
    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        late::call(slf.py(), "stats_html", (slf,))
    }

    /// Serves pickle and copy.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((py.import("rawtp._core")?.getattr("_stats")?, (self.as_dict(py)?,)))
    }

    fn __repr__(&self) -> PyResult<String> {
        check_memory()?;
        let fields = self.fields().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=None"),
        });
        Ok(format!("Stats({})", fields.join(", ")))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.fields().hash(&mut hasher);
        hasher.finish()
    }
}

impl Stats {
    /// Names and values, in the order of the ledger.
    fn fields(&self) -> [(&'static str, Option<u64>); 19] {
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
            ("lost_processes", Some(self.lost_processes)),
            ("lost_truths", Some(self.lost_truths)),
            ("lost_mounts", Some(self.lost_mounts)),
        ]
    }

    /// The ledger of these counters.
    ///
    /// # Errors
    ///
    /// `ValueError` for the counters of another version.
    pub(crate) fn from_dict(counters: &Bound<'_, PyDict>) -> PyResult<Self> {
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
            lost_processes: one("lost_processes")?,
            lost_truths: one("lost_truths")?,
            lost_mounts: one("lost_mounts")?,
        };
        if counters.len() == stats.fields().len() { Ok(stats) } else { Err(foreign()) }
    }
}
