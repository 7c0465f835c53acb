//! The object that reads for asyncio and trio, one for each tracer.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::py::late;

/// The `Awaited` of one tracer, made at the first use: `import rawtp` imports nothing for it.
pub(crate) struct Awaited(PyOnceLock<Py<PyAny>>);

impl Awaited {
    pub(crate) fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// Calls a method, which gives a coroutine.
    pub(crate) fn call<'py>(
        &self,
        method: &Bound<'py, PyString>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = method.py();
        let awaited = self.0.get_or_try_init(py, || late::call(py, "awaited", ()).map(Bound::unbind))?;
        awaited.bind(py).call_method1(method, arguments)
    }
}
