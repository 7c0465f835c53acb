//! Functions about the host's files below `root=`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]
#![allow(clippy::needless_pass_by_value, reason = "Python's arguments")]

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, IntoRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::mounts::host_root::HostRoot;
use crate::mounts::snapshots::own_mounts;
use crate::py::args::{Arg, path};
use crate::sys::in_root::{open_in, open_path};

/// The argument `root`: the directory at which the host's root is mounted.
pub(crate) fn host_root(py: Python<'_>, value: Arg<'_, '_>) -> PyResult<HostRoot> {
    let Some(value) = value.0 else { return Ok(HostRoot::default()) };
    let directory = path("root", "a path", &value)?;
    py.detach(|| HostRoot::open(&directory)).map_err(|error| match error.errno() {
        Some(errno) => os_error(errno, directory),
        None => error.into(),
    })
}

/// The error that Python's own functions raise for a file.
fn os_error(errno: i32, file: PathBuf) -> PyErr {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    // Rust adds the number, and so does Python.
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((errno, text, file.into_os_string()))
}

#[doc = py_doc!("_open_in")]
#[pyfunction]
#[pyo3(name = "_open_in")]
pub(crate) fn open_in_root(py: Python<'_>, root: PathBuf, path: PathBuf, flags: i32) -> PyResult<RawFd> {
    let opened = py.detach(|| {
        let root = open_path(root.as_os_str().as_bytes(), libc::O_PATH | libc::O_DIRECTORY)?;
        open_in(root.as_fd(), path.as_os_str().as_bytes(), flags)
    });
    match opened {
        Ok(fd) => Ok(fd.into_raw_fd()),
        Err(error) => Err(os_error(error.raw_os_error().unwrap_or(libc::EIO), path)),
    }
}

#[doc = py_doc!("_host_path")]
#[pyfunction]
#[pyo3(name = "_host_path")]
pub(crate) fn host_path(py: Python<'_>, root: PathBuf, path: PathBuf) -> PyResult<Option<OsString>> {
    Ok(py.detach(|| Ok::<_, crate::error::Error>(found(&HostRoot::open(&root)?, &path)))?)
}

/// Returns the host's path of a path of this process's namespace. The last components need not exist.
fn found(root: &HostRoot, path: &Path) -> Option<OsString> {
    let (above, real) = path.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)))?;
    let rest = path.strip_prefix(above).ok()?;
    let mut real = if rest.as_os_str().is_empty() { real } else { real.join(rest) }.into_os_string().into_vec();
    if real == b"/" {
        real.clear();
    }
    let mounts = own_mounts(root);
    let place = mounts.table().place_of(&real)?;
    let path = if mounts.strip_root(&mut real) { real } else { mounts.paths_of(&place).next()? };
    Some(OsString::from_vec(if path.is_empty() { b"/".to_vec() } else { path }))
}
