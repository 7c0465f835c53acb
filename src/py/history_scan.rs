//! `rawtp._core.HistoryScan` and `HistoryFile`: events of a history, batch by batch. Their documentation is in
//! `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::io::Error as IoError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::error::Error;
use crate::history::follow::SealedFile;
use crate::history::scan::Scan;
use crate::py::args::OptArg;
use crate::py::batch::{schema_capsule, stream_capsule};
use crate::py::errors::check_memory;
use crate::py::history_batch::HistoryBatch;

fn lock(scan: &Mutex<Scan>) -> MutexGuard<'_, Scan> {
    scan.lock().unwrap_or_else(PoisonError::into_inner)
}

#[doc = py_doc!("HistoryScan")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryScan {
    scan: Arc<Mutex<Scan>>,
    schema: SchemaRef,
}

impl HistoryScan {
    pub(super) fn new(scan: Scan) -> Self {
        let schema = Arc::clone(scan.schema());
        Self { scan: Arc::new(Mutex::new(scan)), schema }
    }
}

/// The rest of a scan, for an Arrow consumer.
struct Stream {
    scan: Arc<Mutex<Scan>>,
    schema: SchemaRef,
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // A panic must not unwind into the consumer, which is C++ or Rust of another compiler.
            let read = catch_unwind(AssertUnwindSafe(|| lock(&self.scan).read()));
            match read {
                Ok(Ok(batch)) => return batch.map(Ok),
                // It is among the damaged ones, and the others can be read.
                Ok(Err(Error::Damaged(_))) => {}
                Ok(Err(error)) => {
                    let text = error.to_string();
                    return Some(Err(ArrowError::IoError(text.clone(), IoError::other(text))));
                }
                Err(_) => {
                    let text = "a panic, which is a defect";
                    return Some(Err(ArrowError::IoError(text.into(), IoError::other(text))));
                }
            }
        }
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[pymethods]
impl HistoryScan {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<HistoryBatch>> {
        check_memory()?;
        Ok(py.detach(|| lock(&self.scan).read())?.map(HistoryBatch))
    }

    #[doc = py_doc!("HistoryScan.damaged")]
    #[getter]
    fn damaged(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| lock(&self.scan).damaged().to_vec())
    }

    #[doc = py_doc!("HistoryScan.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    #[doc = py_doc!("HistoryScan.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let (scan, schema) = (Arc::clone(&self.scan), Arc::clone(&self.schema));
        stream_capsule(py, Box::new(Stream { scan, schema }))
    }
}

#[doc = py_doc!("HistoryFile")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryFile(Mutex<SealedFile>);

impl HistoryFile {
    pub(super) fn new(file: SealedFile) -> Self {
        Self(Mutex::new(file))
    }
}

#[pymethods]
impl HistoryFile {
    #[doc = py_doc!("HistoryFile.read")]
    fn read(&self, py: Python<'_>, first: usize, count: usize) -> PyResult<Option<HistoryBatch>> {
        check_memory()?;
        let batch = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).read(first, count))?;
        Ok(batch.map(HistoryBatch))
    }

    #[doc = py_doc!("HistoryFile.content")]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        check_memory()?;
        let content = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).content())?;
        PyBytes::new_with(py, content.len(), |bytes| {
            bytes.copy_from_slice(&content);
            Ok(())
        })
    }
}
