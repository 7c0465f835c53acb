//! `rawtp._core.HistoryReader`, and what it gives. Their documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::io::Error as IoError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::ffi::FFI_ArrowArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyString, PyTuple};

use crate::error::Error;
use crate::fields::{Key, ValueType};
use crate::history::filter::{Filter, Outcome, parse_glob};
use crate::history::follow::{SealedFile, Window};
use crate::history::reader::Reader;
use crate::history::scan::Scan;
use crate::history::schema::{HOST, SESSION};
use crate::history::who::{Hit, Question, who};
use crate::memory::check;
use crate::py::args::{Arg, OptArg, count_arg, int_arg, names, path, refused};
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
fn to_dicts<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyList>> {
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
pub(crate) struct HistoryBatch(RecordBatch);

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

fn lock(scan: &Mutex<Scan>) -> MutexGuard<'_, Scan> {
    scan.lock().unwrap_or_else(PoisonError::into_inner)
}

#[doc = py_doc!("HistoryScan")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryScan {
    scan: Arc<Mutex<Scan>>,
    schema: SchemaRef,
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

#[doc = py_doc!("HistoryReader")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryReader(Reader);

/// Makes a list with a dict of each item.
fn dicts<'py, T>(
    py: Python<'py>,
    items: Vec<T>,
    fill: impl Fn(&Bound<'py, PyDict>, T) -> PyResult<()>,
) -> PyResult<Bound<'py, PyList>> {
    let list = objects::list(py)?;
    for item in items {
        let dict = objects::dict(py)?;
        fill(&dict, item)?;
        list.append(dict)?;
    }
    Ok(list)
}

fn time_arg(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<i64>> {
    value.map(|value| int_arg(name, value)).transpose()
}

fn limit_arg(value: OptArg<'_, '_>) -> PyResult<Option<usize>> {
    value.map(|_| count_arg("limit", value, 0)).transpose()
}

fn words(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<String>>> {
    value.map(|value| names(name, value)).transpose()
}

fn numbers(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<i64>>> {
    let Some(value) = value else { return Ok(None) };
    let items = value.try_iter().map_err(|error| refused(name, "an iterable of ints", error, value))?;
    items.map(|item| int_arg(name, &item?)).collect::<PyResult<_>>().map(Some)
}

fn absolute(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<u8>>> {
    let Some(value) = value else { return Ok(None) };
    let path = crate::py::recorder::name_arg(name, value)?;
    if !path.starts_with(b"/") {
        return Err(PyValueError::new_err(format!("{name} must be an absolute path")));
    }
    Ok(Some(path))
}

#[pymethods]
impl HistoryReader {
    #[new]
    fn new(py: Python<'_>, directory: &Bound<'_, PyAny>) -> PyResult<Self> {
        let directory = path("directory", "a path", directory)?;
        Ok(Self(py.detach(|| Reader::open(&directory))?))
    }

    #[doc = py_doc!("HistoryReader.scan")]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (columns=None, *, since_ns=None, until_ns=None, path=None, under=None, glob=None, pid=None, uid=None, comm=None,
                        container=None, syscall=None, action=None, outcome=Arg(None), limit=None, newest_first=Arg(None)),
           text_signature = "($self, columns=None, *, since_ns=None, until_ns=None, path=None, under=None, glob=None, pid=None, uid=None, comm=None, container=None, syscall=None, action=None, outcome='any', limit=None, newest_first=False)")]
    fn scan(
        &self,
        py: Python<'_>,
        columns: OptArg<'_, '_>,
        since_ns: OptArg<'_, '_>,
        until_ns: OptArg<'_, '_>,
        path: OptArg<'_, '_>,
        under: OptArg<'_, '_>,
        glob: OptArg<'_, '_>,
        pid: OptArg<'_, '_>,
        uid: OptArg<'_, '_>,
        comm: OptArg<'_, '_>,
        container: OptArg<'_, '_>,
        syscall: OptArg<'_, '_>,
        action: OptArg<'_, '_>,
        outcome: Arg<'_, '_>,
        limit: OptArg<'_, '_>,
        newest_first: Arg<'_, '_>,
    ) -> PyResult<HistoryScan> {
        check_memory()?;
        let columns = words("columns", columns)?;
        let outcome = match &*outcome.word("outcome", "any")? {
            "any" => Outcome::Any,
            "ok" => Outcome::Ok,
            "failed" => Outcome::Failed,
            other => {
                return Err(PyValueError::new_err(format!("unknown outcome {other:?}: there are any, ok, failed")));
            }
        };
        let filter = Filter {
            since_ns: time_arg("since_ns", since_ns)?,
            until_ns: time_arg("until_ns", until_ns)?,
            paths: absolute("path", path)?.map(|path| vec![path]),
            under: absolute("under", under)?,
            glob: absolute("glob", glob)?.map(|glob| parse_glob(&glob)).transpose()?,
            pid: numbers("pid", pid)?,
            uid: numbers("uid", uid)?,
            comm: words("comm", comm)?,
            container: words("container", container)?,
            syscall: words("syscall", syscall)?,
            action: words("action", action)?,
            outcome,
        };
        let (limit, newest_first) = (limit_arg(limit)?, newest_first.flag("newest_first", false)?);
        let scan = py.detach(|| self.0.scan(columns.as_deref(), filter, limit, newest_first))?;
        let schema = Arc::clone(scan.schema());
        Ok(HistoryScan { scan: Arc::new(Mutex::new(scan)), schema })
    }

    #[doc = py_doc!("HistoryReader._journal")]
    fn _journal(&self, py: Python<'_>, offset: u64) -> PyResult<(Vec<String>, u64)> {
        check_memory()?;
        Ok(py.detach(|| self.0.follower().journal(offset))?)
    }

    #[doc = py_doc!("HistoryReader._acknowledged")]
    fn _acknowledged(&self, py: Python<'_>, session: i64) -> PyResult<Option<(i64, i64)>> {
        Ok(py.detach(|| self.0.follower().acknowledged(session))?)
    }

    #[doc = py_doc!("HistoryReader._first_batch")]
    fn _first_batch(&self, py: Python<'_>, session: i64, number: u32) -> PyResult<Option<u64>> {
        Ok(py.detach(|| self.0.follower().first_batch(session, number))?)
    }

    #[doc = py_doc!("HistoryReader._log")]
    #[pyo3(signature = (session, number, offset, first_batch, *, end=None, end_batch=None))]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn _log(
        &self,
        py: Python<'_>,
        session: i64,
        number: u32,
        offset: u64,
        first_batch: u64,
        end: Option<u64>,
        end_batch: Option<u64>,
    ) -> PyResult<Option<(HistoryBatch, u64, u64)>> {
        check_memory()?;
        let (end, end_batch) = (end.unwrap_or(u64::MAX), end_batch.unwrap_or(u64::MAX));
        let window = Window { offset, first_batch, end, end_batch };
        let step = py.detach(|| self.0.follower().step(session, number, window))?;
        Ok(step.map(|step| (HistoryBatch(step.batch), step.number, step.end)))
    }

    #[doc = py_doc!("HistoryReader._sealed")]
    fn _sealed(&self, py: Python<'_>, description: &str) -> PyResult<HistoryFile> {
        check_memory()?;
        Ok(HistoryFile(Mutex::new(py.detach(|| self.0.follower().sealed(description))?)))
    }

    #[doc = py_doc!("HistoryReader.who")]
    #[pyo3(signature = (path, *, since_ns=None, until_ns=None, limit=None, failed=Arg(None)),
           text_signature = "($self, path, *, since_ns=None, until_ns=None, limit=None, failed=False)")]
    fn who<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
        limit: OptArg<'_, 'py>,
        failed: Arg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let question = Question {
            path: absolute("path", Some(path))?.unwrap_or_default(),
            since_ns: time_arg("since_ns", since_ns)?,
            until_ns: time_arg("until_ns", until_ns)?,
            failed: failed.flag("failed", false)?,
        };
        let limit = limit_arg(limit)?;
        let hits = py.detach(|| who(&self.0, &question, limit))?;
        let answers = objects::list(py)?;
        let decoder = Decoder::new(py)?;
        for Hit { row, relation, name, .. } in hits {
            for dict in to_dicts(py, &row)? {
                dict.set_item("relation", relation.as_str())?;
                dict.set_item("name", decoder.text(py, &name)?)?;
                answers.append(dict)?;
            }
        }
        Ok(answers)
    }

    #[doc = py_doc!("HistoryReader.gaps")]
    #[pyo3(signature = (since_ns=None, until_ns=None))]
    fn gaps<'py>(
        &self,
        py: Python<'py>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let (since_ns, until_ns) = (time_arg("since_ns", since_ns)?, time_arg("until_ns", until_ns)?);
        let gaps = py.detach(|| self.0.gaps(since_ns, until_ns))?;
        dicts(py, gaps, |dict, gap| {
            dict.set_item("from_ns", gap.from_ns)?;
            dict.set_item("to_ns", gap.to_ns)?;
            dict.set_item("reason", gap.reason)?;
            dict.set_item("session", gap.session)
        })
    }

    #[doc = py_doc!("HistoryReader.losses")]
    #[pyo3(signature = (since_ns=None, until_ns=None))]
    fn losses<'py>(
        &self,
        py: Python<'py>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let (since_ns, until_ns) = (time_arg("since_ns", since_ns)?, time_arg("until_ns", until_ns)?);
        let losses = py.detach(|| self.0.losses(since_ns, until_ns))?;
        dicts(py, losses, |dict, loss| {
            dict.set_item("from_ns", loss.from_ns)?;
            dict.set_item("to_ns", loss.to_ns)?;
            dict.set_item("count", loss.count)?;
            dict.set_item("kind", loss.kind)?;
            dict.set_item("cpu", loss.cpu)?;
            dict.set_item("via", loss.via)?;
            dict.set_item("session", loss.session)
        })
    }

    #[doc = py_doc!("HistoryReader.sessions")]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let sessions = py.detach(|| self.0.sessions())?;
        dicts(py, sessions, |dict, info| {
            dict.set_item("session", info.session)?;
            dict.set_item("start_ns", info.start_ns)?;
            dict.set_item("through_ns", info.through_ns)?;
            dict.set_item("closed", info.closed)?;
            dict.set_item("host", info.host)?;
            dict.set_item("boot_id", info.boot_id)?;
            dict.set_item("machine_id", info.machine_id)?;
            dict.set_item("info", info.info)
        })
    }

    #[doc = py_doc!("HistoryReader.coverage")]
    fn coverage(&self, py: Python<'_>) -> PyResult<Vec<(i64, i64)>> {
        Ok(py.detach(|| self.0.coverage())?)
    }

    #[doc = py_doc!("HistoryReader.is_recording")]
    fn is_recording(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| self.0.is_recording())?)
    }

    #[doc = py_doc!("HistoryReader.stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let stats = py.detach(|| self.0.stats())?;
        let dict = objects::dict(py)?;
        let counts = [
            ("segments", stats.segments),
            ("segment_bytes", stats.segment_bytes),
            ("wal_files", stats.wal_files),
            ("wal_bytes", stats.wal_bytes),
            ("quarantined", stats.quarantined),
            ("expired", stats.expired),
            ("journal_lines", stats.journal_lines),
            ("journal_damaged_lines", stats.journal_damaged_lines),
        ];
        for (name, count) in counts {
            dict.set_item(name, count)?;
        }
        dict.set_item("events", stats.events)?;
        dict.set_item("first_ns", stats.first_ns)?;
        dict.set_item("last_ns", stats.last_ns)?;
        Ok(dict)
    }

    #[doc = py_doc!("HistoryReader.verify")]
    fn verify(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.0.verify())?)
    }
}
