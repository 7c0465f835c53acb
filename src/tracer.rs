//! `rawtp.Tracer`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use crate::arguments::{Given, Optional, Who, calls, deadline, most, names, wait_s, whole};
use crate::awaited::Awaited;
use crate::batch::{Batch, ROWS, schema_capsule, stream_capsule};
use crate::columns;
use crate::config::Config;
use crate::dict::Dicts;
use crate::error::Error;
use crate::exceptions::{RawtpError, check_memory};
use crate::fields::Fields;
use crate::filters::Filters;
use crate::gathered::{batch, gather};
use crate::handover::obtain;
use crate::hook::Hook;
use crate::memory::{OutOfMemory, hold_step};
use crate::reading::{Reading, Turns};
use crate::session::Session;
use crate::shown::show;
use crate::stats::Stats;
use crate::stream::Stream;
use crate::syscalls::DELETE;
use crate::take::Listed;
use crate::taken::Taken;
use crate::value::Values;

#[doc = py_doc!("Tracer")]
#[pyclass(frozen, weakref, module = "rawtp")]
pub(crate) struct Tracer {
    pub(crate) session: Session,
    pub(crate) turns: Turns,
    pub(crate) schema: SchemaRef,
    /// As [`Tracer::__repr__`] shows them.
    filters: String,
    fields: Fields,
    awaited: Awaited,
}

impl Tracer {
    pub(crate) fn check_process(&self) -> PyResult<()> {
        if self.session.is_forked() {
            return Err(PyRuntimeError::new_err(
                "this tracer belongs to the process that created it; a forked child creates its own",
            ));
        }
        Ok(())
    }

    fn check_open(&self) -> PyResult<()> {
        self.check_process()?;
        if self.session.queue().is_closed() {
            self.failure()?;
            return Err(PyValueError::new_err("the tracer is closed"));
        }
        Ok(())
    }

    /// Takes up to `most` events that are there, and hands each to `take`; fewer where there is no memory for more, and
    /// MemoryError only where there is none for the first: what has no dict stays to be read.
    pub(crate) fn read<'py>(
        &self,
        py: Python<'py>,
        most: usize,
        mut take: impl FnMut(Bound<'py, PyDict>) -> PyResult<()>,
    ) -> PyResult<u64> {
        let mut turn = self.turns.take(py)?;
        let Reading { reader, values, dicts } = &mut *turn;
        let counts = self.session.counts();
        let mut taken = Taken::new(counts);
        while taken.events < most as u64 {
            let mut refused = None;
            let made = reader.next(|event| {
                taken.events += 1;
                match dicts.make(py, event, values).and_then(&mut take) {
                    Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
                        taken.events -= 1;
                        refused = Some(error);
                        Err(OutOfMemory)
                    }
                    made => Ok(made),
                }
            });
            match made {
                Ok(Some(made)) => made?,
                Ok(None) => break,
                Err(Error::Memory(_)) if taken.events > 0 => break,
                Err(error) => return Err(refused.unwrap_or_else(|| error.into())),
            }
        }
        let events = taken.events;
        taken.deliver();
        Ok(events)
    }

    pub(crate) fn read_one<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut one = None;
        self.read(py, 1, |dict| {
            one = Some(dict);
            Ok(())
        })?;
        Ok(one)
    }

    /// Takes up to `most` events that are there, as columns.
    pub(crate) fn read_batch(&self, py: Python<'_>, most: usize) -> PyResult<RecordBatch> {
        let mut turn = self.turns.take(py)?;
        let Reading { reader, values, .. } = &mut *turn;
        let _held = hold_step()?;
        let counts = self.session.counts();
        Ok(py.detach(|| columns::read(reader, values, &self.schema, counts, most))?)
    }

    /// A list of what `collect` takes.
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

    /// What is counted as delivered by now is not, when there is no memory for the object that would deliver it.
    fn hand_out(&self, py: Python<'_>, batch: RecordBatch) -> PyResult<Py<Batch>> {
        let rows = batch.num_rows() as u64;
        let made = Py::new(py, Batch::new(batch, self.fields));
        if made.is_err() {
            // Only who has the turn may count.
            let _turn = self.turns.take(py)?;
            self.session.counts().take_back(rows);
        }
        made
    }

    pub(crate) fn failure(&self) -> PyResult<()> {
        match self.session.queue().take_failure() {
            Some(failure) => Err(RawtpError::new_err(format!("the drain thread gave up: {failure}"))),
            None => Ok(()),
        }
    }
}

#[pymethods]
impl Tracer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (syscalls=None, *, results=Given(None), fields=None, pid=None, follow=Given(None), uid=None, comm=None,
                        cgroup=None, path=None, exclude_self=Given(None), outcome=Given(None), hook=Given(None), ring_bytes=None,
                        queue_bytes=None, sudo=Given(None), broker=None),
           text_signature = "(syscalls=None, *, results=True, fields=None, pid=None, follow=False, uid=None, comm=None, cgroup=None, path=None, exclude_self=False, outcome='any', hook='auto', ring_bytes=4194304, queue_bytes=67108864, sudo=False, broker=None)")]
    fn new(
        py: Python<'_>,
        syscalls: Optional<'_, '_>,
        results: Given<'_, '_>,
        fields: Optional<'_, '_>,
        pid: Optional<'_, '_>,
        follow: Given<'_, '_>,
        uid: Optional<'_, '_>,
        comm: Optional<'_, '_>,
        cgroup: Optional<'_, '_>,
        path: Optional<'_, '_>,
        exclude_self: Given<'_, '_>,
        outcome: Given<'_, '_>,
        hook: Given<'_, '_>,
        ring_bytes: Optional<'_, '_>,
        queue_bytes: Optional<'_, '_>,
        sudo: Given<'_, '_>,
        broker: Optional<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let (follow, exclude_self) = (follow.flag("follow", false)?, exclude_self.flag("exclude_self", false)?);
        let outcome = &outcome.word("outcome", "any")?;
        let asked = Who { pid, follow, uid, comm, cgroup, path, exclude_self, outcome, looks_up: true }.asked()?;
        let config = Config::new(
            &syscalls.map_or_else(|| Ok(DELETE.iter().map(|&it| it.into()).collect()), calls)?,
            results.flag("results", true)?,
            fields.map_or(Ok(Fields::ALL), |it| Ok::<_, PyErr>(Fields::of(&names("fields", it)?)?))?,
            Hook::of(&hook.word("hook", "auto")?)?,
            // It looks at files, of which a filesystem that does not answer keeps it waiting.
            py.detach(|| Filters::new(asked.clone()))?,
            ring_bytes.map_or(Ok(4 << 20), |bytes| whole("ring_bytes", bytes))?,
            queue_bytes.map_or(Ok(64 << 20), |bytes| whole("queue_bytes", bytes))?,
        )?;
        for message in py.detach(|| config.filters.warnings()) {
            show(py, "rawtp._warn", "warn", (message,))?;
        }
        let mut values = Values::new(config.fields);
        let dicts = Dicts::new(py, &values)?;
        let (loaded, connection) = obtain(py, &config, &asked, sudo.flag("sudo", false)?, broker)?;
        let (session, reader) = py.detach(|| Session::start(loaded, &config, connection))?;
        values.learn_from(session.cgroup_reports());
        Ok(Self {
            session,
            turns: Turns::new(Reading { reader, values, dicts }),
            schema: columns::schema(config.fields),
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
        if self.session.is_forked() { Ok(()) } else { self.close(py) }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_process()?;
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.check_process()?;
        loop {
            // Looked at before the read: what was queued before the close must come out before the end.
            let closed = self.session.queue().is_closed();
            if let Some(event) = self.read_one(py)? {
                return Ok(Some(event));
            }
            if closed {
                return self.failure().map(|()| None);
            }
            self.wait(py, None)?;
        }
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_process()?;
        Ok(slf)
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "next"), (slf,))
    }

    #[doc = py_doc!("Tracer.aget")]
    #[pyo3(signature = (timeout=None))]
    fn aget<'py>(slf: &Bound<'py, Self>, timeout: Optional<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = wait_s("timeout", timeout)?;
        slf.get().check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "get"), (slf, timeout))
    }

    #[doc = py_doc!("Tracer.aget_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn aget_many<'py>(
        slf: &Bound<'py, Self>,
        max_events: Optional<'_, 'py>,
        timeout: Optional<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let most = most("max_events", max_events, 4096)?;
        let timeout = wait_s("timeout", timeout)?;
        slf.get().check_process()?;
        slf.get().awaited.call(intern!(slf.py(), "get_many"), (slf, most, timeout))
    }

    #[doc = py_doc!("Tracer.get")]
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: Optional<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let timeout = wait_s("timeout", timeout)?;
        let mut event = None;
        self.collect(py, &mut event, deadline(timeout))?;
        event.ok_or_else(|| PyTimeoutError::new_err(format!("no event within {:?} s", timeout.unwrap_or_default())))
    }

    #[doc = py_doc!("Tracer.get_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        max_events: Optional<'_, 'py>,
        timeout: Optional<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let most = most("max_events", max_events, 4096)?;
        let deadline = deadline(wait_s("timeout", timeout)?);
        Self::list(py, most, |events| self.collect(py, events, deadline))
    }

    #[doc = py_doc!("Tracer.batch")]
    #[pyo3(signature = (max_rows=None, timeout=None), text_signature = "($self, max_rows=65536, timeout=None)")]
    fn batch(&self, py: Python<'_>, max_rows: Optional<'_, '_>, timeout: Optional<'_, '_>) -> PyResult<Py<Batch>> {
        let most = most("max_rows", max_rows, ROWS)?;
        let batch = batch(self, py, deadline(wait_s("timeout", timeout)?), most)?;
        self.hand_out(py, batch)
    }

    #[doc = py_doc!("Tracer._take")]
    fn _take<'py>(&self, py: Python<'py>, max_events: usize, position: u64) -> PyResult<Bound<'py, PyList>> {
        self.check_process()?;
        Self::list(py, max_events, |events| self.collect_up_to(py, events, Some(Instant::now()), position))
    }

    #[doc = py_doc!("Tracer._flush")]
    fn _flush(&self, max_events: usize, hurry: bool) -> PyResult<(u64, Option<i32>)> {
        self.check_process()?;
        check_memory()?;
        let (queue, position) = (self.session.queue(), self.session.control().written());
        if queue.has(position) || self.session.waiting() >= max_events {
            return Ok((position, None));
        }
        let announcement = queue.announce(position)?.map(|it| it.as_fd().as_raw_fd());
        if hurry {
            self.session.control().flush(position);
        }
        Ok((position, announcement))
    }

    #[doc = py_doc!("Tracer.to_arrow")]
    #[pyo3(signature = (duration=None, max_rows=None), text_signature = "($self, duration=None, max_rows=1048576)")]
    fn to_arrow(&self, py: Python<'_>, duration: Optional<'_, '_>, max_rows: Optional<'_, '_>) -> PyResult<Py<Batch>> {
        let most = most("max_rows", max_rows, 1 << 20)?;
        let batch = gather(self, py, deadline(wait_s("duration", duration)?), most)?;
        self.hand_out(py, batch)
    }

    #[doc = py_doc!("Tracer.live")]
    #[pyo3(signature = (seconds=None, rows=None), text_signature = "($self, seconds=None, rows=20)")]
    fn live(slf: &Bound<'_, Self>, seconds: Optional<'_, '_>, rows: Optional<'_, '_>) -> PyResult<()> {
        let seconds = wait_s("seconds", seconds)?;
        slf.get().check_process()?;
        show(slf.py(), "rawtp.notebook._live", "live", (slf, seconds, most("rows", rows, 20)?)).map(drop)
    }

    #[doc = py_doc!("Tracer.__arrow_c_schema__")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    #[doc = py_doc!("Tracer.__arrow_c_stream__")]
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: Optional<'_, 'py>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        slf.get().check_process()?;
        let schema = Arc::clone(&slf.get().schema);
        stream_capsule(slf.py(), Box::new(Stream::new(slf.clone().unbind(), schema)))
    }

    #[doc = py_doc!("Tracer.stats")]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.check_process()?;
        check_memory()?;
        Ok(py.detach(|| self.session.stats()))
    }

    #[doc = py_doc!("Tracer.coverage")]
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let coverage = PyDict::new(py);
        for part in self.session.coverage() {
            let dict = PyDict::new(py);
            dict.set_item("hook", part.hook.as_deref())?;
            dict.set_item("reason", part.reason.as_deref())?;
            coverage.set_item(part.name, dict)?;
        }
        Ok(coverage)
    }

    #[doc = py_doc!("Tracer.close")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| self.session.close());
        Ok(())
    }

    #[doc = py_doc!("Tracer.closed")]
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        self.check_process()?;
        Ok(self.session.queue().is_closed())
    }

    #[doc = py_doc!("Tracer.fileno")]
    fn fileno(&self) -> PyResult<i32> {
        self.check_open()?;
        Ok(self.session.queue().as_fd().as_raw_fd())
    }

    fn __repr__(&self) -> PyResult<String> {
        check_memory()?;
        let state = match (self.session.is_forked(), || self.session.queue().is_closed()) {
            (true, _) => "of another process",
            (false, closed) if closed() => "closed",
            _ => "open",
        };
        Ok(format!("<rawtp.Tracer {state}{}>", self.filters))
    }
}
