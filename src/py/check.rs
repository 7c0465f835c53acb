//! What Python makes findings of: [`attempt`], and why a verifier refused.

use pyo3::prelude::*;

use crate::load::diagnose;
use crate::load::probe;

/// The steps to a tracer, and the errno of each; 0 of one that went well.
#[pyfunction]
#[pyo3(name = "_attempts")]
pub(crate) fn attempts(py: Python<'_>, ring_bytes: u32) -> Vec<(&'static str, i32)> {
    py.detach(|| probe::attempts(ring_bytes))
}

/// The line of a verifier's log that says why; None of an empty one.
#[pyfunction]
#[pyo3(name = "_verifier_reason")]
pub(crate) fn verifier_reason(log: &str) -> Option<&str> {
    diagnose::verifier_reason(log)
}
