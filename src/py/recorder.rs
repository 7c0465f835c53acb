//! `rawtp._core.Recorder`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::os::fd::{IntoRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::history::containers::Ids;
use crate::history::prepare::{Options, prepare};
use crate::history::recorder::Recorder as Inner;
use crate::py::args::{Arg, OptArg, deadline, int_arg, path, refused, timeout_arg};
use crate::py::errors::{RawtpError, check_memory};
use crate::py::feed::SIGNAL_CHECK;
use crate::py::tracer::Tracer;

#[doc = py_doc!("Recorder")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct Recorder(Inner);

/// A number of seconds.
fn seconds(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<f64>> {
    let Some(value) = value else { return Ok(None) };
    value.extract().map(Some).map_err(|error| refused(name, "a number of seconds", error, value))
}

fn bytes_arg(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    let bytes = int_arg(name, value)?;
    u64::try_from(bytes).map(Some).map_err(|_| PyValueError::new_err(format!("{name} must not be negative")))
}

fn json_arg(value: OptArg<'_, '_>) -> PyResult<String> {
    let Some(value) = value else { return Ok("{}".into()) };
    let wrong = || PyTypeError::new_err("session must be JSON, as a str or bytes");
    match value.cast::<PyBytes>() {
        Ok(bytes) => {
            String::from_utf8(bytes.as_bytes().to_vec()).map_err(|_| PyValueError::new_err("session is not UTF-8"))
        }
        Err(_) => value.extract().map_err(|_| wrong()),
    }
}

/// A path as bytes, or bytes.
pub(crate) fn name_arg(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    Ok(path(name, "a path or bytes", value)?.into_os_string().into_encoded_bytes())
}

impl Recorder {
    fn check_process(&self) -> PyResult<()> {
        if self.0.is_forked() {
            return Err(PyRuntimeError::new_err(
                "this recorder belongs to the process that created it; a forked child creates its own",
            ));
        }
        Ok(())
    }

    /// Waits in short steps until `wait` returns something, the deadline, or a signal's exception.
    fn until<T: Send>(
        py: Python<'_>,
        end: Option<Instant>,
        wait: impl Fn(Duration) -> Option<T> + Sync,
    ) -> PyResult<Option<T>> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let step = left.map_or(SIGNAL_CHECK, |left| left.min(SIGNAL_CHECK));
            let done = py.detach(|| wait(step));
            py.check_signals()?;
            if done.is_some() || left == Some(Duration::ZERO) {
                return Ok(done);
            }
        }
    }

    fn ask(&self, py: Python<'_>, seals: bool, timeout: OptArg<'_, '_>) -> PyResult<()> {
        self.check_process()?;
        let timeout = timeout_arg("timeout", timeout)?;
        let end = deadline(timeout);
        let ticket = self.0.ask(seals);
        match Self::until(py, end, |step| self.0.wait_for(ticket, seals, step))? {
            Some(done) => Ok(done?),
            None => Err(PyTimeoutError::new_err(format!("not done within {:?} s", timeout.unwrap_or_default()))),
        }
    }
}

#[pymethods]
impl Recorder {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (tracer, directory, *, session=None, sync_s=None, segment_bytes=None, segment_s=None, max_bytes=None,
                        max_age_s=None, memory_bytes=None, redact_argv=Arg(None), heartbeat=None),
           text_signature = "(tracer, directory, *, session='{}', sync_s=1.0, segment_bytes=16777216, segment_s=3600.0, max_bytes=None, max_age_s=None, memory_bytes=67108864, redact_argv=False, heartbeat=None)")]
    fn new(
        py: Python<'_>,
        tracer: &Bound<'_, Tracer>,
        directory: &Bound<'_, PyAny>,
        session: OptArg<'_, '_>,
        sync_s: OptArg<'_, '_>,
        segment_bytes: OptArg<'_, '_>,
        segment_s: OptArg<'_, '_>,
        max_bytes: OptArg<'_, '_>,
        max_age_s: OptArg<'_, '_>,
        memory_bytes: OptArg<'_, '_>,
        redact_argv: Arg<'_, '_>,
        heartbeat: OptArg<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let directory = path("directory", "a path", directory)?;
        let options = Options {
            sync_s: seconds("sync_s", sync_s)?.unwrap_or(1.0),
            segment_bytes: bytes_arg("segment_bytes", segment_bytes)?.unwrap_or(16 << 20),
            segment_s: seconds("segment_s", segment_s)?.unwrap_or(3600.0),
            max_bytes: bytes_arg("max_bytes", max_bytes)?,
            max_age_s: seconds("max_age_s", max_age_s)?,
            memory_bytes: bytes_arg("memory_bytes", memory_bytes)?.unwrap_or(64 << 20),
            redacts_argv: redact_argv.flag("redact_argv", false)?,
            heartbeat: heartbeat.map(|path| name_arg("heartbeat", path)).transpose()?,
            info: json_arg(session)?,
        };
        let tracer = tracer.get();
        tracer.feed.check_process()?;
        if tracer.feed.session.queue().is_closed() {
            tracer.feed.failure()?;
            return Err(PyValueError::new_err("the tracer is closed"));
        }
        // Asked first, so that a directory that cannot be used leaves the tracer as it was.
        tracer.feed.lock.check_free(py)?;
        let session = Arc::clone(&tracer.feed.session);
        let prepared = py.detach(|| prepare(&directory, &session, tracer.fields, options))?;
        let (reader, values) = tracer.feed.take_over(py)?;
        Ok(Self(py.detach(|| prepared.start(session, reader, values))?))
    }

    #[doc = py_doc!("Recorder.recovered")]
    #[getter]
    fn recovered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let found = self.0.recovered();
        let dict = PyDict::new(py);
        dict.set_item("first", found.first)?;
        dict.set_item("logs", found.logs)?;
        dict.set_item("sealed_logs", found.sealed_logs)?;
        dict.set_item("torn_bytes", found.torn_bytes)?;
        dict.set_item("quarantined", &found.quarantined)?;
        dict.set_item("gap", found.gap)?;
        dict.set_item("journal_damaged_lines", found.journal_damaged_lines)?;
        Ok(dict)
    }

    #[doc = py_doc!("Recorder.status")]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.check_process()?;
        check_memory()?;
        let (status, files) = py.detach(|| (self.0.status(), self.0.files()));
        let dict = PyDict::new(py);
        dict.set_item("running", status.running)?;
        dict.set_item("session", self.0.session())?;
        let counts = [
            ("events", status.events),
            ("acknowledged", status.acknowledged),
            ("in_memory", status.in_memory),
            ("dropped", status.dropped),
            ("heartbeats", status.heartbeats),
            ("lost", status.lost),
            ("gaps", status.gaps),
            ("wal_files", files.logs),
            ("wal_bytes", files.log_bytes),
            ("segments", files.segments),
            ("segment_bytes", files.segment_bytes),
            ("sealed", status.sealed),
            ("expired", status.expired),
            ("quarantined", status.quarantined),
            ("errors", status.errors),
            ("merged_lines", status.merged_lines),
        ];
        for (name, count) in counts {
            dict.set_item(name, count)?;
        }
        let times = [
            ("last_ack_ns", status.last_ack_ns),
            ("last_event_ns", status.last_event_ns),
            ("through_ns", Some(status.through_ns)),
            ("last_heartbeat_ns", status.last_heartbeat_ns),
        ];
        for (name, time) in times {
            dict.set_item(name, time)?;
        }
        dict.set_item("last_error", status.last_error)?;
        dict.set_item("failing", status.failing)?;
        dict.set_item("directory", status.whereabouts.as_str())?;
        Ok(dict)
    }

    #[doc = py_doc!("Recorder._open_directory")]
    fn _open_directory(&self) -> PyResult<RawFd> {
        self.check_process()?;
        Ok(self.0.open_directory()?.into_raw_fd())
    }

    #[doc = py_doc!("Recorder._new_containers")]
    fn _new_containers(&self) -> PyResult<Vec<Ids>> {
        self.check_process()?;
        Ok(self.0.new_containers())
    }

    #[doc = py_doc!("Recorder._set_silent")]
    fn _set_silent(&self, since_ns: i64) -> PyResult<()> {
        self.check_process()?;
        self.0.set_silent(since_ns);
        Ok(())
    }

    #[doc = py_doc!("Recorder.sync")]
    #[pyo3(signature = (timeout=None))]
    fn sync(&self, py: Python<'_>, timeout: OptArg<'_, '_>) -> PyResult<()> {
        self.ask(py, false, timeout)
    }

    #[doc = py_doc!("Recorder.seal")]
    #[pyo3(signature = (timeout=None))]
    fn seal(&self, py: Python<'_>, timeout: OptArg<'_, '_>) -> PyResult<()> {
        self.ask(py, true, timeout)
    }

    #[doc = py_doc!("Recorder.wait")]
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: OptArg<'_, '_>) -> PyResult<bool> {
        self.check_process()?;
        let end = deadline(timeout_arg("timeout", timeout)?);
        if Self::until(py, end, |step| self.0.wait_stopped(step).then_some(()))?.is_none() {
            return Ok(false);
        }
        self.0.take_defect().map_or(Ok(true), |defect| Err(RawtpError::new_err(defect)))
    }

    #[doc = py_doc!("Recorder.close")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        Ok(py.detach(|| self.0.close())?)
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_process()?;
        Ok(slf)
    }

    #[doc = py_doc!("Recorder.__exit__")]
    #[pyo3(signature = (exception_type, exception, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exception_type, exception, traceback);
        if self.0.is_forked() { Ok(()) } else { self.close(py) }
    }
}
