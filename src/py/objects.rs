//! Makes Python objects, or raises `MemoryError`. `PyO3`'s own makers panic without memory.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

/// # Safety
///
/// `made` is a new reference to a `T`, or NULL with an exception set.
unsafe fn owned<T>(py: Python<'_>, made: *mut ffi::PyObject) -> PyResult<Bound<'_, T>> {
    // SAFETY: the caller's promise.
    Ok(unsafe { Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked() })
}

#[inline]
#[allow(clippy::useless_conversion, reason = "a long has 32 bits on some targets")]
pub(crate) fn signed(py: Python<'_>, value: i64) -> PyResult<Bound<'_, PyInt>> {
    // The quicker maker takes what fits a C long: nearly every value.
    // SAFETY: an int, or NULL.
    unsafe {
        owned(
            py,
            value.try_into().map_or_else(|_| ffi::PyLong_FromLongLong(value), |value| ffi::PyLong_FromLong(value)),
        )
    }
}

#[inline]
pub(crate) fn unsigned(py: Python<'_>, value: u64) -> PyResult<Bound<'_, PyInt>> {
    // SAFETY: an int, or NULL.
    unsafe { owned(py, ffi::PyLong_FromUnsignedLongLong(value)) }
}

#[inline]
pub(crate) fn text<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: pointer and length are those of the text; a str, or NULL.
    unsafe { owned(py, ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed())) }
}

#[inline]
pub(crate) fn dict(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    // SAFETY: a dict, or NULL.
    unsafe { owned(py, ffi::PyDict_New()) }
}

pub(crate) fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: pointer and length are those of the slice; bytes, or NULL.
    unsafe { owned(py, ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed())) }
}

pub(crate) fn list(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    // SAFETY: a list, or NULL.
    unsafe { owned(py, ffi::PyList_New(0)) }
}

/// A tuple of the objects that `make` makes of the items.
pub(crate) fn tuple<'py, I: Iterator + Clone, T>(
    py: Python<'py>,
    items: I,
    mut make: impl FnMut(I::Item) -> PyResult<Bound<'py, T>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let count = items.clone().count().cast_signed();
    // SAFETY: a tuple of NULLs, or NULL.
    let filled: Bound<'_, PyTuple> = unsafe { owned(py, ffi::PyTuple_New(count))? };
    for (at, item) in (0..count).zip(items) {
        // SAFETY: an index within the tuple, which nobody else has yet; it takes the reference.
        unsafe { ffi::PyTuple_SetItem(filled.as_ptr(), at, make(item)?.into_ptr()) };
    }
    Ok(filled)
}

/// A tuple of three.
pub(crate) fn triple<'py>(
    py: Python<'py>,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
    third: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    tuple(py, [first, second, third].into_iter(), Ok)
}
