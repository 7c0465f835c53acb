//! `rawtp.Tracer`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use crate::columns::schema::schema;
use crate::config::Config;
use crate::config::filters::Filters;
use crate::config::hook::Hook;
use crate::event::values::Values;
use crate::fields::Fields;
use crate::memory::hold_step;
use crate::py::args::{Arg, FilterKwargs, OptArg, calls, count_arg, deadline, int_arg, names, timeout_arg};
use crate::py::arrow_stream::Stream;
use crate::py::awaited::Awaited;
use crate::py::batch::{Batch, ROWS, schema_capsule, stream_capsule};
use crate::py::collect::{batch, collect};
use crate::py::dict::Dicts;
use crate::py::errors::check_memory;
use crate::py::feed::{Feed, Next};
use crate::py::handover::obtain;
use crate::py::late;
use crate::py::reader_lock::{ReadState, ReaderLock};
use crate::py::sinks::Listed;
use crate::py::stats::Stats;
use crate::session::Session;
use crate::syscall::DELETE;

#[doc = py_doc!("Tracer")]
#[pyclass(frozen, weakref, module = "rawtp")]
pub(crate) struct Tracer {
    pub(crate) feed: Arc<Feed>,
    /// The filters, as [`Tracer::__repr__`] shows them.
    filters: String,
    pub(crate) fields: Fields,
    awaited: Awaited,
}

impl Tracer {
    fn check_open(&self) -> PyResult<()> {
        self.feed.check_process()?;
        if self.feed.session.queue().is_closed() {
            self.feed.failure()?;
            return Err(PyValueError::new_err("the tracer is closed"));
        }
        Ok(())
    }

    /// A list of the events that `collect` takes.
    fn list<'py>(
        py: Python<'py>,
        most: usize,
        collect: impl FnOnce(&mut Listed<'py>) -> PyResult<()>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _held = hold_step()?;
        let mut events = Listed::new(py, most)?;
        collect(&mut events)?;
        Ok(events.finish())
    }

    /// Makes the object. Without memory for it the events, which count as delivered, are counted as discarded.
    fn hand_out(&self, py: Python<'_>, batch: RecordBatch) -> PyResult<Py<Batch>> {
        let rows = batch.num_rows();
        let made = Py::new(py, Batch::new(batch, self.fields));
        if made.is_err() {
            self.feed.take_back(py, rows)?;
        }
        made
    }
}

#[pymethods]
impl Tracer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (syscalls=None, *, results=Arg(None), fields=None, pid=None, follow=Arg(None), uid=None, comm=None,
                        cgroup=None, path=None, exclude_self=Arg(None), outcome=Arg(None), hook=Arg(None), ring_bytes=None,
                        queue_bytes=None, sudo=Arg(None), broker=None),
           text_signature = "(syscalls=None, *, results=True, fields=None, pid=None, follow=False, uid=None, comm=None, cgroup=None, path=None, exclude_self=False, outcome='any', hook='auto', ring_bytes=4194304, queue_bytes=67108864, sudo=False, broker=None)")]
    fn new(
        py: Python<'_>,
        syscalls: OptArg<'_, '_>,
        results: Arg<'_, '_>,
        fields: OptArg<'_, '_>,
        pid: OptArg<'_, '_>,
        follow: Arg<'_, '_>,
        uid: OptArg<'_, '_>,
        comm: OptArg<'_, '_>,
        cgroup: OptArg<'_, '_>,
        path: OptArg<'_, '_>,
        exclude_self: Arg<'_, '_>,
        outcome: Arg<'_, '_>,
        hook: Arg<'_, '_>,
        ring_bytes: OptArg<'_, '_>,
        queue_bytes: OptArg<'_, '_>,
        sudo: Arg<'_, '_>,
        broker: OptArg<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let (follow, exclude_self) = (follow.flag("follow", false)?, exclude_self.flag("exclude_self", false)?);
        let outcome = &outcome.word("outcome", "any")?;
        let asked =
            FilterKwargs { pid, follow, uid, comm, cgroup, path, exclude_self, outcome, looks_up: true }.asked()?;
        let config = Config::new(
            &syscalls.map_or_else(|| Ok(DELETE.iter().map(|&it| it.into()).collect()), calls)?,
            results.flag("results", true)?,
            fields.map_or(Ok(Fields::ALL), |it| Ok::<_, PyErr>(Fields::from_names(&names("fields", it)?)?))?,
            Hook::from_name(&hook.word("hook", "auto")?)?,
            // It looks at files, of which a filesystem that does not answer keeps it waiting.
            py.detach(|| Filters::new(asked.clone()))?,
            ring_bytes.map_or(Ok(4 << 20), |bytes| int_arg("ring_bytes", bytes))?,
            queue_bytes.map_or(Ok(64 << 20), |bytes| int_arg("queue_bytes", bytes))?,
        )?;
        let mut values = Values::new(config.fields);
        let dicts = Dicts::new(py, &values)?;
        let (loaded, connection) = obtain(py, &config, &asked, sudo.flag("sudo", false)?, broker)?;
        let (session, reader) = py.detach(|| Session::start(loaded, &config, connection))?;
        values.learn_from(session.cgroup_reports());
        values.learn_mounts_from(session.mounts());
        if let Some(processes) = session.processes() {
            values.look_up_in(processes);
        }
        Ok(Self {
            feed: Arc::new(Feed {
                session: Arc::new(session),
                lock: ReaderLock::new(ReadState { reader, values, dicts }),
                schema: schema(config.fields),
            }),
            filters: asked.to_string(),
            fields: config.fields,
            awaited: Awaited::new(),
        })
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_open()?;
        Ok(slf)
    }

    #[doc = py_doc!("Tracer.__exit__")]
    #[pyo3(signature = (exception_type, exception, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exception_type, exception, traceback);
        // A child that was forked in the block has nothing to close, and an error would hide its own end.
        if self.feed.session.is_forked() { Ok(()) } else { self.close(py) }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_process()?;
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.feed.check_process()?;
        match self.feed.next(py, None, || self.feed.read_one(py))? {
            Next::Read(event) => Ok(Some(event)),
            Next::Timeout | Next::Closed => Ok(None),
        }
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_process()?;
        Ok(slf)
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().feed.check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "next"), (slf,))
    }

    #[doc = py_doc!("Tracer.aget")]
    #[pyo3(signature = (timeout=None))]
    fn aget<'py>(slf: &Bound<'py, Self>, timeout: OptArg<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout_arg("timeout", timeout)?;
        slf.get().feed.check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "get"), (slf, timeout))
    }

    #[doc = py_doc!("Tracer.aget_many")]
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

    #[doc = py_doc!("Tracer.get")]
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: OptArg<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let timeout = timeout_arg("timeout", timeout)?;
        let mut event = None;
        self.feed.collect(py, &mut event, deadline(timeout))?;
        event.ok_or_else(|| PyTimeoutError::new_err(format!("no event within {:?} s", timeout.unwrap_or_default())))
    }

    #[doc = py_doc!("Tracer.get_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let most = count_arg("max_events", max_events, 4096)?;
        let deadline = deadline(timeout_arg("timeout", timeout)?);
        Self::list(py, most, |events| self.feed.collect(py, events, deadline))
    }

    #[doc = py_doc!("Tracer.batch")]
    #[pyo3(signature = (max_rows=None, timeout=None), text_signature = "($self, max_rows=65536, timeout=None)")]
    fn batch(&self, py: Python<'_>, max_rows: OptArg<'_, '_>, timeout: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        let most = count_arg("max_rows", max_rows, ROWS)?;
        let batch = batch(&self.feed, py, deadline(timeout_arg("timeout", timeout)?), most)?;
        self.hand_out(py, batch)
    }

    #[doc = py_doc!("Tracer._take")]
    fn _take<'py>(&self, py: Python<'py>, max_events: usize, position: u64) -> PyResult<Bound<'py, PyList>> {
        self.feed.check_process()?;
        Self::list(py, max_events, |events| self.feed.collect_up_to(py, events, Some(Instant::now()), position))
    }

    #[doc = py_doc!("Tracer._flush")]
    fn _flush(&self, max_events: usize, hurry: bool) -> PyResult<(u64, Option<i32>)> {
        self.feed.check_process()?;
        check_memory()?;
        let (queue, position) = (self.feed.session.queue(), self.feed.session.control().written());
        if queue.has_reached(position) || self.feed.session.waiting() >= max_events {
            return Ok((position, None));
        }
        let announcement = queue.announce(position)?.map(|it| it.as_fd().as_raw_fd());
        if hurry {
            self.feed.session.control().flush(position);
        }
        Ok((position, announcement))
    }

    #[doc = py_doc!("Tracer.to_arrow")]
    #[pyo3(signature = (duration=None, max_rows=None), text_signature = "($self, duration=None, max_rows=1048576)")]
    fn to_arrow(&self, py: Python<'_>, duration: OptArg<'_, '_>, max_rows: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        let most = count_arg("max_rows", max_rows, 1 << 20)?;
        let batch = collect(&self.feed, py, deadline(timeout_arg("duration", duration)?), most)?;
        self.hand_out(py, batch)
    }

    #[doc = py_doc!("Tracer.live")]
    #[pyo3(signature = (seconds=None, rows=None), text_signature = "($self, seconds=None, rows=20)")]
    fn live(slf: &Bound<'_, Self>, seconds: OptArg<'_, '_>, rows: OptArg<'_, '_>) -> PyResult<()> {
        let seconds = timeout_arg("seconds", seconds)?;
        slf.get().feed.check_process()?;
        late::call(slf.py(), "live", (slf, seconds, count_arg("rows", rows, 20)?)).map(drop)
    }

    #[doc = py_doc!("Tracer.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.feed.schema)
    }

    #[doc = py_doc!("Tracer.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        slf.get().feed.check_process()?;
        stream_capsule(slf.py(), Box::new(Stream::new(Arc::clone(&slf.get().feed))))
    }

    #[doc = py_doc!("Tracer.stats")]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.feed.check_process()?;
        check_memory()?;
        Ok(py.detach(|| self.feed.session.ledger()).into())
    }

    #[doc = py_doc!("Tracer.coverage")]
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let coverage = PyDict::new(py);
        for part in self.feed.session.coverage() {
            let dict = PyDict::new(py);
            dict.set_item("hook", part.hook.as_deref())?;
            dict.set_item("reason", part.reason.as_deref())?;
            coverage.set_item(part.name, dict)?;
        }
        Ok(coverage)
    }

    #[doc = py_doc!("Tracer.close")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.feed.check_process()?;
        py.detach(|| self.feed.session.close());
        Ok(())
    }

    #[doc = py_doc!("Tracer.closed")]
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        self.feed.check_process()?;
        Ok(self.feed.session.queue().is_closed())
    }

    #[doc = py_doc!("Tracer.fileno")]
    fn fileno(&self) -> PyResult<i32> {
        self.check_open()?;
        Ok(self.feed.session.queue().as_fd().as_raw_fd())
    }

    fn __repr__(&self) -> PyResult<String> {
        check_memory()?;
        let state = match (self.feed.session.is_forked(), || self.feed.session.queue().is_closed()) {
            (true, _) => "of another process",
            (false, closed) if closed() => "closed",
            _ => "open",
        };
        Ok(format!("<rawtp.Tracer {state}{}>", self.filters))
    }
}
