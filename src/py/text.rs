//! `rawtp._core.TextReader`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::memory::hold_step;
use crate::py::args::{OptArg, count_arg, deadline, names, timeout_arg};
use crate::py::errors::check_memory;
use crate::py::feed::{Feed, Sink};
use crate::py::objects;
use crate::py::source::TracerSource;
use crate::py::tracer::Tracer;
use crate::text::clock::Clock;
use crate::text::lines::{Format, LineWriter, Portion};

/// The writer, and a portion whose memory it uses again.
struct State {
    writer: LineWriter,
    portion: Portion,
}

#[doc = py_doc!("TextReader")]
#[pyclass(frozen, module = "rawtp._core")]
pub(crate) struct TextReader {
    feed: Arc<Feed>,
    /// `None` while a thread reads.
    state: Mutex<Option<State>>,
}

/// A portion of lines as it grows.
struct Lines {
    state: State,
    most: usize,
}

impl<'py> Sink<'py, TracerSource> for Lines {
    fn take(&mut self, feed: &Feed, py: Python<'py>) -> PyResult<()> {
        let mut guard = feed.lock.take(py)?;
        let TracerSource { reader, values, .. } = &mut *guard;
        let State { writer, portion } = &mut self.state;
        let counters = feed.session.reader_counters();
        Ok(py.detach(|| portion.fill(writer, reader, values, counters, self.most))?)
    }

    fn taken(&self) -> usize {
        self.state.portion.events
    }

    fn wanted(&self) -> usize {
        if self.state.portion.is_full() { 0 } else { self.most.saturating_sub(self.state.portion.events) }
    }
}

impl TextReader {
    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'py>(&self, py: Python<'py>, lines: &mut Lines, timeout: Option<f64>) -> PyResult<Bound<'py, PyTuple>> {
        let _held = hold_step()?;
        self.feed.collect(py, lines, deadline(timeout))?;
        let Portion { text, events, lost, .. } = &lines.state.portion;
        let made = Self::handed_out(py, text, *events, *lost);
        if made.is_err() {
            self.feed.take_back(py, *events)?;
        }
        made
    }

    fn handed_out<'py>(py: Python<'py>, text: &[u8], events: usize, lost: u64) -> PyResult<Bound<'py, PyTuple>> {
        let text: Bound<'py, PyBytes> = objects::bytes(py, text)?;
        let numbers = [events as u64, lost].map(|number| objects::unsigned(py, number));
        let [events, lost] = numbers;
        objects::triple(py, text.into_any(), events?.into_any(), lost?.into_any())
    }
}

#[pymethods]
impl TextReader {
    #[new]
    #[pyo3(signature = (tracer, format, fields, utc=None))]
    fn new(tracer: &Bound<'_, Tracer>, format: &str, fields: &Bound<'_, PyAny>, utc: Option<bool>) -> PyResult<Self> {
        check_memory()?;
        let tracer = tracer.get();
        let Some(format) = Format::from_name(format) else {
            return Err(PyValueError::new_err(format!("unknown format {format:?}: there are jsonl and csv")));
        };
        let writer = LineWriter::new(format, tracer.fields, &names("fields", fields)?, utc.map(Clock::new))?;
        let state = State { writer, portion: Portion::default() };
        Ok(Self { feed: Arc::clone(&tracer.feed), state: Mutex::new(Some(state)) })
    }

    #[doc = py_doc!("TextReader.read")]
    #[pyo3(name = "read", signature = (max_events=None, timeout=None), text_signature = "($self, max_events=4096, timeout=None)")]
    fn py_read<'py>(
        &self,
        py: Python<'py>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let most = count_arg("max_events", max_events, 4096)?;
        let timeout = timeout_arg("timeout", timeout)?;
        // Out of the lock while it reads: signal handlers run then.
        let Some(state) = mem::take(&mut *self.state()) else {
            return Err(PyRuntimeError::new_err("this reader is already reading"));
        };
        let mut lines = Lines { state, most };
        lines.state.portion.clear();
        let made = self.read(py, &mut lines, timeout);
        *self.state() = Some(lines.state);
        made
    }
}
