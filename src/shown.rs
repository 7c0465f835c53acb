//! What a notebook shows of a tracer, a ledger and a batch, which is made in `python/rawtp/notebook/_live.py` and `_html.py`.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// Calls a function there. The module is imported by the first call: `import rawtp` imports nothing for it.
pub(crate) fn show<'py>(
    py: Python<'py>,
    module: &str,
    function: &str,
    arguments: impl PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import(module)?.getattr(function)?.call1(arguments)
}
