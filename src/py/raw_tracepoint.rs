//! `rawtp.RawTracepoint`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString, PyTuple};

use crate::btf::tracepoints::list;
use crate::config::filters::{FilterArgs, Filters};
use crate::config::{check_queue_bytes, check_ring_bytes};
use crate::error::Result;
use crate::memory::OutOfMemory;
use crate::py::args::{Arg, OptArg, count_arg, int_arg, names, one_or_many, timeout_arg};
use crate::py::awaited::Awaited;
use crate::py::batch::{Batch, Keys, schema_capsule};
use crate::py::dict::Objects;
use crate::py::errors::check_memory;
use crate::py::feed::Feed;
use crate::py::handover::{LoadedFds, Loader, hand_over};
use crate::py::objects;
use crate::py::reader_lock::ReaderLock;
use crate::py::source::{RowBuilder, Source};
use crate::py::stats::Stats;
use crate::raw_tracepoint::columns::{RawBatchBuilder, schema};
use crate::raw_tracepoint::layout::{Layout, TEXT_BYTES, Wanted};
use crate::raw_tracepoint::load::load;
use crate::raw_tracepoint::open;
use crate::raw_tracepoint::reader::RawReader;
use crate::read::counters::ReaderCounters;
use crate::read::join::Refusable;

/// The events of a raw tracepoint.
pub(crate) struct RawSource {
    reader: RawReader,
    names: Vec<Py<PyString>>,
    objects: Objects,
    /// A dict of all keys, in their order. Each event's is a copy.
    nothing: Py<PyDict>,
    text: String,
}

impl RawSource {
    fn new(py: Python<'_>, reader: RawReader) -> PyResult<Self> {
        let names: Vec<_> = reader.layout().keys().map(|(name, _)| PyString::intern(py, name).unbind()).collect();
        let nothing = objects::dict(py)?;
        names.iter().try_for_each(|name| nothing.set_item(name, py.None()))?;
        Ok(Self { reader, names, objects: Objects::new(py)?, nothing: nothing.unbind(), text: String::new() })
    }
}

impl Source for RawSource {
    type Rows = RawBatchBuilder;

    fn next<'py, R>(
        &mut self,
        py: Python<'py>,
        mut emit: impl FnMut(PyResult<Bound<'py, PyDict>>) -> Refusable<R>,
    ) -> Result<Option<R>> {
        let Self { reader, names, objects, nothing, text } = self;
        let layout = Arc::clone(reader.layout());
        reader.next(|event| {
            let made = nothing.bind(py).copy().and_then(|dict| {
                let mut names = names.iter();
                event.visit(&layout, text, |value| match names.next() {
                    Some(name) => objects.set(&dict, name.bind(py), value),
                    None => Ok(()),
                })?;
                Ok(dict)
            });
            emit(made)
        })
    }

    fn waiting(&self) -> usize {
        self.reader.waiting()
    }

    fn begin(&self, rows: usize) -> std::result::Result<RawBatchBuilder, OutOfMemory> {
        RawBatchBuilder::new(self.reader.layout(), rows)
    }

    fn fill(&mut self, rows: &mut RawBatchBuilder, counters: &ReaderCounters, most: usize) -> Result<()> {
        rows.fill(&mut self.reader, counters, most)
    }
}

impl RowBuilder for RawBatchBuilder {
    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }

    fn finish(self, schema: arrow_schema::SchemaRef) -> Result<arrow_array::RecordBatch> {
        Self::finish(self, schema)
    }
}

#[doc = py_doc!("RawTracepoint")]
#[pyclass(frozen, weakref, module = "rawtp")]
pub(crate) struct RawTracepoint {
    feed: Arc<Feed<RawSource>>,
    layout: Arc<Layout>,
    awaited: Awaited,
}

impl RawTracepoint {
    fn keys(&self) -> Keys {
        Keys::Raw(Arc::clone(&self.layout))
    }
}

/// The name of a tracepoint.
fn name_arg(name: &Bound<'_, PyAny>) -> PyResult<String> {
    name.extract().map_err(|_| match name.get_type().name() {
        Ok(kind) => PyTypeError::new_err(format!("name must be a str, not {kind}")),
        Err(error) => error,
    })
}

fn text_bytes_arg(value: OptArg<'_, '_>) -> PyResult<u32> {
    let Some(value) = value else { return Ok(256) };
    let bytes = int_arg("text_bytes", value)?;
    u32::try_from(bytes).ok().filter(|bytes| TEXT_BYTES.contains(bytes)).ok_or_else(|| {
        let (least, most) = (TEXT_BYTES.start(), TEXT_BYTES.end());
        PyValueError::new_err(format!("text_bytes must be between {least} and {most}, not {bytes}"))
    })
}

#[pymethods]
impl RawTracepoint {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (name, fields=None, *, pid=None, pointers=Arg(None), text_bytes=None, ring_bytes=None, queue_bytes=None,
                        sudo=Arg(None), broker=None),
           text_signature = "(name, fields=None, *, pid=None, pointers=False, text_bytes=256, ring_bytes=4194304, queue_bytes=67108864, sudo=False, broker=None)")]
    fn new(
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        fields: OptArg<'_, '_>,
        pid: OptArg<'_, '_>,
        pointers: Arg<'_, '_>,
        text_bytes: OptArg<'_, '_>,
        ring_bytes: OptArg<'_, '_>,
        queue_bytes: OptArg<'_, '_>,
        sudo: Arg<'_, '_>,
        broker: OptArg<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let route = Loader::of(sudo, broker)?;
        let wanted = Wanted {
            tracepoint: name_arg(name)?,
            fields: fields.map(|fields| names("fields", fields)).transpose()?,
            pointers: pointers.flag("pointers", false)?,
            text_bytes: text_bytes_arg(text_bytes)?,
        };
        let pid = one_or_many(pid, |pid| int_arg("pid", pid))?;
        let filters = Filters::new(FilterArgs { pid, ..FilterArgs::default() })?;
        let ring_bytes = check_ring_bytes(ring_bytes.map_or(Ok(4 << 20), |bytes| int_arg("ring_bytes", bytes))?)?;
        let queue_bytes = check_queue_bytes(queue_bytes.map_or(Ok(64 << 20), |bytes| int_arg("queue_bytes", bytes))?)?;
        // The kernel's types are there for everybody, so that another process makes the same of them.
        let layout = py.detach(|| Layout::new(&wanted))?;
        let (loaded, connection) = route.load(
            py,
            || load(&layout, ring_bytes, filters.pids()),
            || request(py, &wanted, filters.pids(), ring_bytes),
            |handed| handed.session(ring_bytes),
        )?;
        let (session, reader) = py.detach(|| open(&layout, loaded, queue_bytes, connection))?;
        Ok(Self {
            feed: Arc::new(Feed {
                session: Arc::new(session),
                lock: ReaderLock::new(RawSource::new(py, reader)?),
                schema: schema(&layout),
            }),
            layout,
            awaited: Awaited::new(),
        })
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_open()?;
        Ok(slf)
    }

    #[doc = py_doc!("RawTracepoint.__exit__")]
    #[pyo3(signature = (exception_type, exception, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exception_type, exception, traceback);
        self.feed.leave(py)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_process()?;
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.feed.next_event(py)
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_process()?;
        Ok(slf)
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().feed.check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "next"), (slf,))
    }

    #[doc = py_doc!("RawTracepoint.aget")]
    #[pyo3(signature = (timeout=None))]
    fn aget<'py>(slf: &Bound<'py, Self>, timeout: OptArg<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout_arg("timeout", timeout)?;
        slf.get().feed.check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "get"), (slf, timeout))
    }

    #[doc = py_doc!("RawTracepoint.aget_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn aget_many<'py>(
        slf: &Bound<'py, Self>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let most = count_arg("max_events", max_events, 4096)?;
        let timeout = timeout_arg("timeout", timeout)?;
        slf.get().feed.check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "get_many"), (slf, most, timeout))
    }

    #[doc = py_doc!("RawTracepoint.get")]
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: OptArg<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        self.feed.get(py, timeout)
    }

    #[doc = py_doc!("RawTracepoint.get_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.feed.get_many(py, max_events, timeout)
    }

    #[doc = py_doc!("RawTracepoint.batch")]
    #[pyo3(signature = (max_rows=None, timeout=None), text_signature = "($self, max_rows=65536, timeout=None)")]
    fn batch(&self, py: Python<'_>, max_rows: OptArg<'_, '_>, timeout: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        self.feed.batch(py, self.keys(), max_rows, timeout)
    }

    #[doc = py_doc!("RawTracepoint.to_arrow")]
    #[pyo3(signature = (duration=None, max_rows=None), text_signature = "($self, duration=None, max_rows=1048576)")]
    fn to_arrow(&self, py: Python<'_>, duration: OptArg<'_, '_>, max_rows: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        self.feed.to_arrow(py, self.keys(), duration, max_rows)
    }

    #[doc = py_doc!("RawTracepoint._take")]
    fn _take<'py>(&self, py: Python<'py>, max_events: usize, position: u64) -> PyResult<Bound<'py, PyList>> {
        self.feed.check_process()?;
        Feed::<RawSource>::list(py, max_events, |events| {
            self.feed.collect_up_to(py, events, Some(Instant::now()), position)
        })
    }

    #[doc = py_doc!("RawTracepoint._flush")]
    fn _flush(&self, max_events: usize, hurry: bool) -> PyResult<(u64, Option<i32>)> {
        self.feed.flush_for_tasks(max_events, hurry)
    }

    #[doc = py_doc!("RawTracepoint.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.feed.schema)
    }

    #[doc = py_doc!("RawTracepoint.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        slf.get().feed.stream(slf.py())
    }

    #[doc = py_doc!("RawTracepoint.stats")]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.feed.stats(py)
    }

    #[doc = py_doc!("RawTracepoint.coverage")]
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.feed.coverage(py)
    }

    #[doc = py_doc!("RawTracepoint.name")]
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        objects::text(py, &self.layout.tracepoint)
    }

    #[doc = py_doc!("RawTracepoint.fields")]
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        objects::tuple(py, self.layout.fields.iter(), |field| objects::text(py, &field.key))
    }

    #[doc = py_doc!("RawTracepoint.close")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.feed.close(py)
    }

    #[doc = py_doc!("RawTracepoint.closed")]
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        self.feed.closed()
    }

    #[doc = py_doc!("RawTracepoint.fileno")]
    fn fileno(&self) -> PyResult<i32> {
        self.feed.fileno()
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<rawtp.RawTracepoint {:?} {}>", self.layout.tracepoint, self.feed.state()?))
    }
}

/// The request to another process: the arguments of its `_load_raw_tracepoint`.
fn request<'py>(py: Python<'py>, wanted: &Wanted, pids: &[u32], ring_bytes: u32) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item("kind", "raw_tracepoint")?;
    request.set_item("name", &wanted.tracepoint)?;
    request.set_item("fields", &wanted.fields)?;
    request.set_item("pid", Some(pids).filter(|pids| !pids.is_empty()))?;
    request.set_item("pointers", wanted.pointers)?;
    request.set_item("text_bytes", wanted.text_bytes)?;
    request.set_item("ring_bytes", ring_bytes)?;
    Ok(request)
}

/// Loads and attaches the program of a raw tracepoint for another process.
#[pyfunction]
#[pyo3(name = "_load_raw_tracepoint", signature = (*, name, fields, pid, pointers, text_bytes, ring_bytes))]
pub(crate) fn load_raw_tracepoint(
    py: Python<'_>,
    name: String,
    fields: OptArg<'_, '_>,
    pid: OptArg<'_, '_>,
    pointers: bool,
    text_bytes: OptArg<'_, '_>,
    ring_bytes: &Bound<'_, PyAny>,
) -> PyResult<LoadedFds> {
    let fields = fields.map(|fields| names("fields", fields)).transpose()?;
    let wanted = Wanted { tracepoint: name, fields, pointers, text_bytes: text_bytes_arg(text_bytes)? };
    let pid = one_or_many(pid, |pid| int_arg("pid", pid))?;
    let filters = Filters::new(FilterArgs { pid, ..FilterArgs::default() })?;
    let ring_bytes = check_ring_bytes(int_arg("ring_bytes", ring_bytes)?)?;
    Ok(hand_over(py.detach(|| load(&*Layout::new(&wanted)?, ring_bytes, filters.pids()))?))
}

/// The raw tracepoints of the kernel and its modules: name, module or None, and the names and types of the arguments.
#[pyfunction]
#[pyo3(name = "_tracepoints")]
pub(crate) fn tracepoints(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    check_memory()?;
    let all = py.detach(|| list(|_| true))?;
    let listed = objects::list(py)?;
    for one in all {
        let arguments = objects::dict(py)?;
        for (name, kind) in one.arguments {
            arguments.set_item(name, kind)?;
        }
        listed.append((one.name, one.module, arguments))?;
    }
    Ok(listed)
}
