//! Functions that `rawtp.check` calls: the steps of [`probe`], and the reason in a verifier's log.

use pyo3::prelude::*;

use crate::load::diagnose;
use crate::load::probe;

/// The steps to a tracer with the errno of each; 0 for a step that succeeded.
#[pyfunction]
#[pyo3(name = "_attempts")]
pub(crate) fn attempts(py: Python<'_>, ring_bytes: u32) -> Vec<(&'static str, i32)> {
    py.detach(|| probe::attempts(ring_bytes))
}

/// The line of a verifier's log that says why; None for an empty log.
#[pyfunction]
#[pyo3(name = "_verifier_reason")]
pub(crate) fn verifier_reason(log: &str) -> Option<&str> {
    diagnose::verifier_reason(log)
}
