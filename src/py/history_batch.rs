//! `rawtp._core.HistoryBatch`: rows of a history as dicts and by Arrow's capsules. Its documentation is in
//! `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use arrow_array::cast::AsArray;
use arrow_array::ffi::FFI_ArrowArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, StructArray};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyString, PyTuple};

use crate::fields::{Key, ValueType};
use crate::history::schema::{HOST, SESSION};
use crate::memory::check;
use crate::py::args::OptArg;
use crate::py::batch::{schema_capsule, stream_capsule};
use crate::py::dict::Decoder;
use crate::py::errors::check_memory;
use crate::py::objects;
use crate::py::to_dicts::{json, plain_value};

/// The names of a list of bytes.
fn text_list<'py>(
    py: Python<'py>,
    decoder: Decoder,
    texts: &ArrayRef,
    raw: Option<&ArrayRef>,
) -> PyResult<Bound<'py, PyTuple>> {
    match raw {
        Some(raw) => decoder.texts(py, raw.as_binary::<i32>().iter().flatten()),
        None => decoder.texts(py, texts.as_string::<i32>().iter().flatten().map(str::as_bytes)),
    }
}

fn ancestors<'py>(py: Python<'py>, decoder: Decoder, items: &ArrayRef) -> PyResult<Bound<'py, PyTuple>> {
    let items = items.as_struct();
    let (pids, comms) = (items.column(0).as_primitive::<Int64Type>(), items.column(1).as_string::<i32>());
    let comm_bytes = items.column(2).as_binary::<i32>();
    let [argvs, argv_bytes] = [3, 4].map(|at| items.column(at).as_list::<i32>());
    objects::tuple(py, 0..items.len(), |at| {
        let comm = if comm_bytes.is_valid(at) { comm_bytes.value(at) } else { comms.value(at).as_bytes() };
        let raw = argv_bytes.is_valid(at).then(|| argv_bytes.value(at));
        let argv = argvs.is_valid(at).then(|| text_list(py, decoder, &argvs.value(at), raw.as_ref())).transpose()?;
        decoder.ancestor(py, u32::try_from(pids.value(at)).unwrap_or_default(), comm, argv)
    })
}

/// The value of a key in a row.
fn value<'py>(
    py: Python<'py>,
    decoder: Decoder,
    key: Key,
    column: &ArrayRef,
    raw: Option<&ArrayRef>,
    row: usize,
) -> PyResult<Bound<'py, PyAny>> {
    if column.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    let raw = raw.filter(|raw| raw.is_valid(row));
    match key.value_type() {
        ValueType::I32 => {
            objects::signed(py, column.as_primitive::<Int32Type>().value(row).into())?.into_bound_py_any(py)
        }
        ValueType::U64 => {
            objects::unsigned(py, column.as_primitive::<Int64Type>().value(row).cast_unsigned())?.into_bound_py_any(py)
        }
        ValueType::Time | ValueType::I64 | ValueType::U32 => {
            objects::signed(py, column.as_primitive::<Int64Type>().value(row))?.into_bound_py_any(py)
        }
        ValueType::Bool => column.as_boolean().value(row).into_bound_py_any(py),
        ValueType::Keyword | ValueType::DictBytes | ValueType::Bytes => {
            let bytes = match raw {
                Some(raw) => raw.as_binary::<i32>().value(row),
                None => column.as_string::<i32>().value(row).as_bytes(),
            };
            decoder.text(py, bytes)?.into_bound_py_any(py)
        }
        ValueType::BytesList => {
            let raw = raw.map(|raw| raw.as_list::<i32>().value(row));
            text_list(py, decoder, &column.as_list::<i32>().value(row), raw.as_ref())?.into_bound_py_any(py)
        }
        ValueType::Ancestors => ancestors(py, decoder, &column.as_list::<i32>().value(row))?.into_bound_py_any(py),
        ValueType::Args => json(py, column, row),
        ValueType::Blob | ValueType::I64List | ValueType::U64List => plain_value(py, column, row),
    }
}

/// Makes the dicts of a batch.
pub(super) fn to_dicts<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyList>> {
    check_memory()?;
    let decoder = Decoder::new(py)?;
    let known = Key::ALL.iter().filter_map(|key| {
        let column = batch.column_by_name(key.as_str())?;
        Some((
            *key,
            PyString::intern(py, key.as_str()),
            column,
            batch.column_by_name(&format!("{}_bytes", key.as_str())),
        ))
    });
    let known: Vec<_> = known.collect();
    let session = batch.column_by_name(SESSION).map(AsArray::as_primitive::<Int64Type>);
    let host = batch.column_by_name(HOST).map(AsArray::as_string::<i32>);
    let dicts = objects::list(py)?;
    for row in 0..batch.num_rows() {
        check()?;
        let dict = objects::dict(py)?;
        for (key, name, column, raw) in &known {
            dict.set_item(name, value(py, decoder, *key, column, *raw, row)?)?;
        }
        if let Some(session) = session {
            dict.set_item("session", objects::signed(py, session.value(row))?)?;
        }
        if let Some(host) = host {
            dict.set_item("host", objects::text(py, host.value(row))?)?;
        }
        dicts.append(dict)?;
    }
    Ok(dicts)
}

#[doc = py_doc!("HistoryBatch")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryBatch(pub(super) RecordBatch);

#[pymethods]
impl HistoryBatch {
    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    #[doc = py_doc!("HistoryBatch.to_dicts")]
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        to_dicts(py, &self.0)
    }

    #[doc = py_doc!("HistoryBatch._metadata")]
    fn _metadata(&self) -> std::collections::HashMap<String, String> {
        self.0.schema_ref().metadata().clone().into()
    }

    #[doc = py_doc!("HistoryBatch._slice")]
    fn _slice(&self, first: usize, count: usize) -> Self {
        let first = first.min(self.0.num_rows());
        Self(self.0.slice(first, count.min(self.0.num_rows() - first)))
    }

    #[doc = py_doc!("HistoryBatch._dicts")]
    fn _dicts<'py>(&self, py: Python<'py>, first: usize, count: usize) -> PyResult<Bound<'py, PyList>> {
        let first = first.min(self.0.num_rows());
        to_dicts(py, &self.0.slice(first, count.min(self.0.num_rows() - first)))
    }

    #[doc = py_doc!("HistoryBatch.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, self.0.schema_ref())
    }

    #[doc = py_doc!("HistoryBatch.__arrow_c_array__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: OptArg<'_, 'py>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        check_memory()?;
        let array = FFI_ArrowArray::new(&StructArray::from(self.0.clone()).into_data());
        Ok((self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }

    #[doc = py_doc!("HistoryBatch.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let schema = self.0.schema();
        stream_capsule(py, Box::new(RecordBatchIterator::new([Ok(self.0.clone())], schema)))
    }
}
