//! Python functions that the package hands in. The extension names no module of the package.

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Gives a function by its name. It imports the function's module then, so that `import rawtp` need not.
static FIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

#[doc = py_doc!("_set_late")]
#[pyfunction]
#[pyo3(name = "_set_late")]
pub(crate) fn set_late(py: Python<'_>, find: Py<PyAny>) {
    // A second import of the package hands in the same.
    let _ = FIND.set(py, find);
}

/// Calls the function of this name.
pub(crate) fn call<'py>(py: Python<'py>, name: &str, arguments: impl PyCallArgs<'py>) -> PyResult<Bound<'py, PyAny>> {
    let find = FIND.get(py).ok_or_else(|| PyRuntimeError::new_err("rawtp._core works as a part of rawtp only"))?;
    find.bind(py).call1((name,))?.call1(arguments)
}
