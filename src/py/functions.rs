//! Functions of the module.
#![allow(clippy::doc_markdown, reason = "its comments are docstrings of Python, which has no such marks")]

use std::ffi::OsString;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::path_filter;
use crate::py::args;
use crate::py::stats::Stats;
use crate::syscall::Abi;
use crate::syscall::arguments::{Arguments, Kind, Shape, arguments_of};

/// Loads the guide's program that the verifier refuses, to show what Python sees of a refusal. Raises LoadError.
#[pyfunction]
#[pyo3(name = "_load_rejected")]
pub(crate) fn load_rejected(py: Python<'_>) -> PyResult<()> {
    Ok(py.detach(crate::load::load_rejected)?)
}

#[doc = py_doc!("escape")]
#[pyfunction]
pub(crate) fn escape(path: &Bound<'_, PyAny>) -> PyResult<OsString> {
    Ok(path_filter::escape(args::path("path", "a path", path)?.as_os_str()))
}

/// A ledger out of the counters of another, for pickle. Raises ValueError for those of another version.
#[pyfunction]
#[pyo3(name = "_stats")]
pub(crate) fn stats(counters: &Bound<'_, PyDict>) -> PyResult<Stats> {
    Stats::from_dict(counters)
}

/// The number of a system call in a table; None where it has none of that name.
#[pyfunction]
#[pyo3(name = "_syscall_number")]
pub(crate) fn syscall_number(name: &str, abi: &str) -> PyResult<Option<u32>> {
    Ok(table(abi)?.number(name))
}

/// The name of a system call's number in a table; None where it has none of that number.
#[pyfunction]
#[pyo3(name = "_syscall_name")]
pub(crate) fn syscall_name(number: u32, abi: &str) -> PyResult<Option<&'static str>> {
    Ok(table(abi)?.name(number))
}

/// The names and kinds of a call's arguments; None where rawtp has no names for them.
#[pyfunction]
#[pyo3(name = "_syscall_arguments")]
pub(crate) fn syscall_arguments(name: &str, abi: &str) -> PyResult<Option<Vec<(&'static str, &'static str)>>> {
    let kind = |kind: Kind| match kind.shape() {
        _ if kind == Kind::Address => "address",
        Shape::Int | Shape::Uint => "int",
        Shape::Seconds => "seconds",
        Shape::Text => "text",
        Shape::Texts => "texts",
        Shape::Bytes => "bytes",
        Shape::Word => "word",
        Shape::Flags => "flags",
        Shape::Ints => "ints",
        Shape::Any => "any",
    };
    let known = arguments_of(name, table(abi)?);
    Ok(known.map(|known| known.iter().map(|argument| (argument.name, kind(argument.kind))).collect()))
}

/// The number of registers that a call's arguments take; None where rawtp has no names for them.
#[pyfunction]
#[pyo3(name = "_syscall_registers")]
pub(crate) fn syscall_registers(name: &str, abi: &str) -> PyResult<Option<usize>> {
    Ok(arguments_of(name, table(abi)?).map(Arguments::registers))
}

fn table(abi: &str) -> PyResult<Abi> {
    Abi::ALL.into_iter().find(|known| known.as_str() == abi).ok_or_else(|| {
        let known = Abi::ALL.map(Abi::as_str).join(", ");
        PyValueError::new_err(format!("unknown ABI {abi:?}: there are {known}"))
    })
}
