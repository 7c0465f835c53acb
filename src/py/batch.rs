//! `rawtp.Batch`.
#![allow(clippy::doc_markdown, reason = "its comments are docstrings of Python, which has no such marks")]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch, RecordBatchIterator, RecordBatchReader, StructArray};
use arrow_schema::Schema;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::counts;
use crate::error::Error;
use crate::fields::Fields;
use crate::memory::hold_step;
use crate::py::args::refused;
use crate::py::errors::check_memory;
use crate::py::late;
use crate::py::objects;
use crate::py::table::{CallRows, check_call, table};
use crate::py::to_dicts::to_dicts;
use crate::raw_tracepoint::layout::Layout;

/// Rows of [`Batch`], when the caller does not say.
pub(crate) const ROWS: usize = 65_536;

/// The capsule that `__arrow_c_schema__` gives.
pub(crate) fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    check_memory()?;
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|error| Error::Columns(error.to_string()))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// The capsule that `__arrow_c_stream__` gives.
pub(crate) fn stream_capsule(
    py: Python<'_>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'_, PyCapsule>> {
    check_memory()?;
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
}

/// The keys that a batch has columns of.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// Those of a tracer's events, and the calls that it watches.
    Events(Fields, Arc<[&'static str]>),
    /// Those of one call's.
    Table(CallRows),
    /// Those of a raw tracepoint's.
    Raw(Arc<Layout>),
    /// Those of counts.
    Counts,
}

#[doc = py_doc!("Batch")]
#[pyclass(frozen, weakref, module = "rawtp")]
pub(crate) struct Batch {
    columns: RecordBatch,
    keys: Keys,
}

impl Batch {
    pub(crate) fn new(columns: RecordBatch, keys: Keys) -> Self {
        Self { columns, keys }
    }

    pub(crate) fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    fn dicts<'py>(&self, py: Python<'py>, first: usize, count: usize) -> PyResult<Bound<'py, PyList>> {
        let rows = &self.columns.slice(first, count);
        match &self.keys {
            Keys::Table(of_call) => of_call.slice(first, count).to_dicts(py),
            Keys::Events(fields, _) => to_dicts(py, rows, fields.keys().map(|key| (key.as_str(), key.value_type()))),
            Keys::Raw(layout) => to_dicts(py, rows, layout.keys()),
            Keys::Counts => {
                let keys = counts::columns::KEYS.into_iter().map(|(name, kind, _)| (name, kind));
                with_errnos(to_dicts(py, rows, keys)?, rows)
            }
        }
    }
}

/// Adds the errors by name, which are no key's.
fn with_errnos<'py>(dicts: Bound<'py, PyList>, rows: &RecordBatch) -> PyResult<Bound<'py, PyList>> {
    let py = dicts.py();
    let lists = rows.column_by_name(counts::columns::ERRNOS).and_then(|column| column.as_list_opt::<i32>());
    for (row, dict) in dicts.iter().enumerate() {
        let items = lists.map(|lists| lists.value(row));
        let members = items.as_ref().and_then(|items| items.as_struct_opt()).map(StructArray::columns);
        let Some([names, counts]) = members else { continue };
        let errnos = objects::dict(py)?;
        for (name, count) in names.as_string::<i32>().iter().flatten().zip(counts.as_primitive::<UInt64Type>().values())
        {
            errnos.set_item(objects::text(py, name)?, objects::unsigned(py, *count)?)?;
        }
        dict.set_item(counts::columns::ERRNOS, errnos)?;
    }
    Ok(dicts)
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.columns.num_rows()
    }

    #[doc = py_doc!("Batch.to_dicts")]
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.dicts(py, 0, self.columns.num_rows())
    }

    #[doc = py_doc!("Batch._dicts")]
    fn _dicts<'py>(&self, py: Python<'py>, first: usize, count: usize) -> PyResult<Bound<'py, PyList>> {
        let first = first.min(self.columns.num_rows());
        let count = count.min(self.columns.num_rows() - first);
        self.dicts(py, first, count)
    }

    #[doc = py_doc!("Batch._outcomes")]
    fn _outcomes(&self) -> PyResult<Option<(usize, usize)>> {
        check_memory()?;
        Ok(self.columns.column_by_name("ret").and_then(|column| column.as_primitive_opt::<Int64Type>()).map(
            |returns| {
                let failed = returns.iter().flatten().filter(|&value| value < 0).count();
                (failed, returns.null_count())
            },
        ))
    }

    #[doc = py_doc!("Batch.table")]
    fn table(&self, py: Python<'_>, call: &Bound<'_, PyAny>) -> PyResult<Self> {
        check_memory()?;
        let call: String = call.extract().map_err(|error| refused("call", "a str", error, call))?;
        let Keys::Events(fields, watched) = &self.keys else {
            return Err(PyValueError::new_err("a table is made of a batch of a rawtp.Tracer"));
        };
        check_call(&call, *fields, watched)?;
        let _held = hold_step()?;
        let (columns, of_call) = py.detach(|| table(&self.columns, *fields, &call))?;
        Ok(Self { columns, keys: Keys::Table(of_call) })
    }

    #[doc = py_doc!("Batch._repr_html_")]
    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        late::call(slf.py(), "batch_html", (slf,))
    }

    #[doc = py_doc!("Batch.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, self.columns.schema_ref())
    }

    #[doc = py_doc!("Batch.__arrow_c_array__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        check_memory()?;
        let array = FFI_ArrowArray::new(&StructArray::from(self.columns.clone()).into_data());
        Ok((self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }

    #[doc = py_doc!("Batch.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let columns = self.columns.clone();
        let schema = columns.schema();
        stream_capsule(py, Box::new(RecordBatchIterator::new([Ok(columns)], schema)))
    }

    fn __repr__(&self) -> PyResult<String> {
        check_memory()?;
        let fields = match &self.keys {
            Keys::Events(fields, _) => fields.keys().count(),
            Keys::Raw(layout) => layout.keys().count(),
            Keys::Table(_) | Keys::Counts => self.columns.num_columns(),
        };
        Ok(format!("<rawtp.Batch {} rows of {fields} fields>", self.columns.num_rows()))
    }
}
