//! Functions that a broker calls besides the load itself. Descriptors come and go as numbers.
#![allow(clippy::doc_markdown, reason = "its comments are docstrings of Python, which has no such marks")]

use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::load::{cve_2024_41009, live_maps};
use crate::sys::meters::Meters;

/// Tells whether this kernel has CVE-2024-41009.
#[pyfunction]
#[pyo3(name = "_overlaps")]
pub(crate) fn overlaps(py: Python<'_>) -> PyResult<bool> {
    Ok(py.detach(cve_2024_41009::is_vulnerable)?)
}

/// Descriptors to hand out, which tell how often programs were skipped, and the descriptor whose close ends that.
#[pyfunction]
#[pyo3(name = "_meters")]
pub(crate) fn meters(py: Python<'_>, programs: Vec<RawFd>) -> PyResult<(Vec<RawFd>, RawFd)> {
    let programs = programs.into_iter().map(borrowed).collect::<PyResult<Vec<_>>>()?;
    let Meters { texts, keeper } = py.detach(|| Meters::new(&programs))?;
    Ok((texts.into_iter().map(IntoRawFd::into_raw_fd).collect(), keeper.into_raw_fd()))
}

/// Loads the iterator that lists the maps of the host.
#[pyfunction]
#[pyo3(name = "_list_maps")]
pub(crate) fn list_maps(py: Python<'_>) -> PyResult<RawFd> {
    Ok(py.detach(live_maps::iterator)?.into_raw_fd())
}

/// The ids of all maps.
#[pyfunction]
#[pyo3(name = "_map_ids")]
pub(crate) fn map_ids(py: Python<'_>, iterator: RawFd) -> PyResult<Vec<u32>> {
    let iterator = borrowed(iterator)?;
    Ok(py.detach(|| live_maps::ids(iterator))?)
}

/// The id of a map.
#[pyfunction]
#[pyo3(name = "_map_id")]
pub(crate) fn map_id(descriptor: RawFd) -> PyResult<u32> {
    Ok(live_maps::id(borrowed(descriptor)?)?)
}

fn borrowed<'fd>(fd: RawFd) -> PyResult<BorrowedFd<'fd>> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("{fd} is no descriptor")));
    }
    // SAFETY: not -1. The caller keeps it open for as long as the call takes.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
