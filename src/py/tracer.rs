//! `rawtp.Tracer`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::sync::Arc;
use std::time::Instant;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};

use crate::columns::schema::schema;
use crate::config::Config;
use crate::config::filters::Filters;
use crate::config::hook::Hook;
use crate::event::values::Values;
use crate::fields::Fields;
use crate::py::args::{Arg, FilterKwargs, OptArg, count_arg, int_arg, names, timeout_arg};
use crate::py::awaited::Awaited;
use crate::py::batch::{Batch, Keys, schema_capsule};
use crate::py::dict::Dicts;
use crate::py::errors::check_memory;
use crate::py::feed::Feed;
use crate::py::handover::{Loader, obtain};
use crate::py::host::host_root;
use crate::py::late;
use crate::py::objects;
use crate::py::reader_lock::ReaderLock;
use crate::py::source::TracerSource;
use crate::py::stats::Stats;
use crate::py::watched::{Watched, buffer_bytes};
use crate::session::Session;

#[doc = py_doc!("Tracer")]
#[pyclass(frozen, weakref, module = "rawtp")]
pub(crate) struct Tracer {
    pub(crate) feed: Arc<Feed>,
    /// The filters, as [`Tracer::__repr__`] shows them.
    filters: String,
    pub(crate) fields: Fields,
    /// The names of the watched calls.
    calls: Arc<[&'static str]>,
    awaited: Awaited,
}

impl Tracer {
    fn keys(&self) -> Keys {
        Keys::Events(self.fields, Arc::clone(&self.calls))
    }
}

#[pymethods]
impl Tracer {
    #[new]
    #[expect(clippy::too_many_arguments, clippy::used_underscore_binding, reason = "Python's keyword arguments")]
    #[pyo3(signature = (syscalls=None, *, results=Arg(None), fields=None, pid=None, follow=Arg(None), uid=None, comm=None,
                        cgroup=None, path=None, exclude_self=Arg(None), outcome=Arg(None), hook=Arg(None), when=None, exclude=None, buffers=None,
                        ring_bytes=None, queue_bytes=None, root=Arg(None), sudo=Arg(None), broker=None, _from_exec=Arg(None)),
           text_signature = "(syscalls=None, *, results=True, fields=None, pid=None, follow=False, uid=None, comm=None, cgroup=None, path=None, exclude_self=False, outcome='any', hook='auto', when=None, exclude=None, buffers=0, ring_bytes=4194304, queue_bytes=67108864, root='/', sudo=False, broker=None, _from_exec=False)")]
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
        when: OptArg<'_, '_>,
        exclude: OptArg<'_, '_>,
        buffers: OptArg<'_, '_>,
        ring_bytes: OptArg<'_, '_>,
        queue_bytes: OptArg<'_, '_>,
        root: Arg<'_, '_>,
        sudo: Arg<'_, '_>,
        broker: OptArg<'_, '_>,
        _from_exec: Arg<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let watched = Watched::of(syscalls, exclude, when)?;
        let follow = follow.flag("follow", false)?;
        // Its own calls would make more events for it to read.
        let exclude_self = exclude_self.flag("exclude_self", false)? || (watched.are_all && pid.is_none());
        let outcome = &outcome.word("outcome", "any")?;
        let host_root = host_root(py, root)?;
        let looks_up = true;
        let from_exec = _from_exec.flag("_from_exec", false)?;
        let asked = FilterKwargs {
            pid,
            follow,
            from_exec,
            uid,
            comm,
            cgroup,
            path,
            exclude_self,
            outcome,
            looks_up,
            host_root,
        };
        let asked = asked.asked()?;
        let mut config = Config::new(
            &watched.names,
            watched.when,
            buffers.map_or(Ok(0), buffer_bytes)?,
            results.flag("results", true)?,
            fields.map_or(Ok(Fields::ALL), |it| Ok::<_, PyErr>(Fields::from_names(&names("fields", it)?)?))?,
            Hook::from_name(&hook.word("hook", "auto")?)?,
            // It looks at files, of which a filesystem that does not answer keeps it waiting.
            py.detach(|| Filters::new(asked.clone()))?,
            ring_bytes.map_or(Ok(4 << 20), |bytes| int_arg("ring_bytes", bytes))?,
            queue_bytes.map_or(Ok(64 << 20), |bytes| int_arg("queue_bytes", bytes))?,
        )?;
        config.host_root = asked.host_root.clone();
        config.are_all = watched.are_all;
        watched.check(&config)?;
        let mut values = Values::new(config.fields);
        let dicts = Dicts::new(py, &values)?;
        let (loaded, connection) = obtain(py, &config, &asked, Loader::of(sudo, broker)?)?;
        let (session, reader) = py.detach(|| Session::start(loaded, &config, connection))?;
        values.learn_from(session.cgroup_reports());
        values.learn_mounts_from(session.mounts());
        if let Some(processes) = session.processes() {
            values.look_up_in(processes);
        }
        Ok(Self {
            feed: Arc::new(Feed {
                session: Arc::new(session),
                lock: ReaderLock::new(TracerSource { reader, values, dicts }),
                schema: schema(config.fields),
            }),
            filters: asked.to_string(),
            fields: config.fields,
            calls: config.syscalls.iter().map(|call| call.name).collect(),
            awaited: Awaited::new(),
        })
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.feed.check_open()?;
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
        self.feed.get(py, timeout)
    }

    #[doc = py_doc!("Tracer.get_many")]
    #[pyo3(signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.feed.get_many(py, max_events, timeout)
    }

    #[doc = py_doc!("Tracer.batch")]
    #[pyo3(signature = (max_rows=None, timeout=None), text_signature = "($self, max_rows=65536, timeout=None)")]
    fn batch(&self, py: Python<'_>, max_rows: OptArg<'_, '_>, timeout: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        self.feed.batch(py, self.keys(), max_rows, timeout)
    }

    #[doc = py_doc!("Tracer._take")]
    fn _take<'py>(&self, py: Python<'py>, max_events: usize, position: u64) -> PyResult<Bound<'py, PyList>> {
        self.feed.check_process()?;
        Feed::<TracerSource>::list(py, max_events, |events| {
            self.feed.collect_up_to(py, events, Some(Instant::now()), position)
        })
    }

    #[doc = py_doc!("Tracer._flush")]
    fn _flush(&self, max_events: usize, hurry: bool) -> PyResult<(u64, Option<i32>)> {
        self.feed.flush_for_tasks(max_events, hurry)
    }

    #[doc = py_doc!("Tracer.to_arrow")]
    #[pyo3(signature = (duration=None, max_rows=None), text_signature = "($self, duration=None, max_rows=1048576)")]
    fn to_arrow(&self, py: Python<'_>, duration: OptArg<'_, '_>, max_rows: OptArg<'_, '_>) -> PyResult<Py<Batch>> {
        self.feed.to_arrow(py, self.keys(), duration, max_rows)
    }

    #[doc = py_doc!("Tracer.live")]
    #[pyo3(signature = (seconds=None, rows=None), text_signature = "($self, seconds=None, rows=20)")]
    fn live(slf: &Bound<'_, Self>, seconds: OptArg<'_, '_>, rows: OptArg<'_, '_>) -> PyResult<()> {
        let seconds = timeout_arg("seconds", seconds)?;
        slf.get().feed.check_process()?;
        late::call(slf.py(), "live", (slf, seconds, count_arg("rows", rows, 20)?)).map(drop)
    }

    #[doc = py_doc!("Tracer._filters")]
    #[getter]
    fn _filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        check_memory()?;
        objects::text(py, self.filters.trim_start())
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
        slf.get().feed.stream(slf.py())
    }

    #[doc = py_doc!("Tracer.stats")]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.feed.stats(py)
    }

    #[doc = py_doc!("Tracer.coverage")]
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.feed.coverage(py)
    }

    #[doc = py_doc!("Tracer.close")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.feed.close(py)
    }

    #[doc = py_doc!("Tracer.closed")]
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        self.feed.closed()
    }

    #[doc = py_doc!("Tracer.fileno")]
    fn fileno(&self) -> PyResult<i32> {
        self.feed.fileno()
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<rawtp.Tracer {}{}>", self.feed.state()?, self.filters))
    }
}
