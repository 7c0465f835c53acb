//! [`attempts`](crate::attempt) for Python, which makes findings of them.

use pyo3::prelude::*;

use crate::attempt;

/// The steps to a tracer, and the errno of each; 0 of one that went well.
#[pyfunction]
#[pyo3(name = "_attempts")]
pub(crate) fn attempts(py: Python<'_>, ring_bytes: u32) -> Vec<(&'static str, i32)> {
    py.detach(|| attempt::attempts(ring_bytes))
}
