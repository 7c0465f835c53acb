//! The methods that every class with a [`Feed`] has. The classes name their arguments, and have their documentation.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use crate::memory::hold_step;
use crate::py::args::{OptArg, count_arg, deadline, timeout_arg};
use crate::py::arrow_stream::Stream;
use crate::py::batch::{Batch, Keys, ROWS, stream_capsule};
use crate::py::collect::{batch, collect};
use crate::py::errors::check_memory;
use crate::py::feed::{Feed, Next};
use crate::py::sinks::Listed;
use crate::py::source::Source;
use crate::py::stats::Stats;

impl<S: Source> Feed<S> {
    pub(crate) fn check_open(&self) -> PyResult<()> {
        self.check_process()?;
        if self.session.queue().is_closed() {
            self.failure()?;
            return Err(PyValueError::new_err("the tracer is closed"));
        }
        Ok(())
    }

    /// The next event, or `None` after the last.
    pub(crate) fn next_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.check_process()?;
        match self.next(py, None, || self.read_one(py))? {
            Next::Read(event) => Ok(Some(event)),
            Next::Timeout | Next::Closed => Ok(None),
        }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>, timeout: OptArg<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let timeout = timeout_arg("timeout", timeout)?;
        let mut event = None;
        self.collect(py, &mut event, deadline(timeout))?;
        event.ok_or_else(|| PyTimeoutError::new_err(format!("no event within {:?} s", timeout.unwrap_or_default())))
    }

    /// A list of the events that `collect` takes.
    pub(crate) fn list<'py>(
        py: Python<'py>,
        most: usize,
        collect: impl FnOnce(&mut Listed<'py>) -> PyResult<()>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _held = hold_step()?;
        let mut events = Listed::new(py, most)?;
        collect(&mut events)?;
        Ok(events.finish())
    }

    pub(crate) fn get_many<'py>(
        &self,
        py: Python<'py>,
        max_events: OptArg<'_, 'py>,
        timeout: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let most = count_arg("max_events", max_events, 4096)?;
        let deadline = deadline(timeout_arg("timeout", timeout)?);
        Self::list(py, most, |events| self.collect(py, events, deadline))
    }

    pub(crate) fn batch(
        &self,
        py: Python<'_>,
        keys: Keys,
        max_rows: OptArg<'_, '_>,
        timeout: OptArg<'_, '_>,
    ) -> PyResult<Py<Batch>> {
        let most = count_arg("max_rows", max_rows, ROWS)?;
        let batch = batch(self, py, deadline(timeout_arg("timeout", timeout)?), most)?;
        self.hand_out(py, Batch::new(batch, keys))
    }

    pub(crate) fn to_arrow(
        &self,
        py: Python<'_>,
        keys: Keys,
        duration: OptArg<'_, '_>,
        max_rows: OptArg<'_, '_>,
    ) -> PyResult<Py<Batch>> {
        let most = count_arg("max_rows", max_rows, 1 << 20)?;
        let batch = collect(self, py, deadline(timeout_arg("duration", duration)?), most)?;
        self.hand_out(py, Batch::new(batch, keys))
    }

    /// Makes the object. Without memory for it the events, which count as delivered, are counted as discarded.
    fn hand_out(&self, py: Python<'_>, batch: Batch) -> PyResult<Py<Batch>> {
        let rows = batch.rows();
        let made = Py::new(py, batch);
        if made.is_err() {
            self.take_back(py, rows)?;
        }
        made
    }

    /// See `Tracer._flush`.
    pub(crate) fn flush_for_tasks(&self, max_events: usize, hurry: bool) -> PyResult<(u64, Option<i32>)> {
        self.check_process()?;
        check_memory()?;
        let (queue, position) = (self.session.queue(), self.session.control().written());
        if queue.has_reached(position) || self.session.waiting() >= max_events {
            return Ok((position, None));
        }
        let announcement = queue.announce(position)?.map(|it| it.as_fd().as_raw_fd());
        if hurry {
            self.session.control().flush(position);
        }
        Ok((position, announcement))
    }

    pub(crate) fn stream<'py>(self: &Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        self.check_process()?;
        stream_capsule(py, Box::new(Stream::new(Arc::clone(self))))
    }

    pub(crate) fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.check_process()?;
        check_memory()?;
        Ok(py.detach(|| self.session.ledger()).into())
    }

    pub(crate) fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
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

    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| self.session.close());
        Ok(())
    }

    /// Ends a `with`. A child that was forked in the block has nothing to close, and an error would hide its own end.
    pub(crate) fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if self.session.is_forked() { Ok(()) } else { self.close(py) }
    }

    pub(crate) fn closed(&self) -> PyResult<bool> {
        self.check_process()?;
        Ok(self.session.queue().is_closed())
    }

    pub(crate) fn fileno(&self) -> PyResult<i32> {
        self.check_open()?;
        Ok(self.session.queue().as_fd().as_raw_fd())
    }

    /// The state, as `repr` shows it.
    pub(crate) fn state(&self) -> PyResult<&'static str> {
        check_memory()?;
        Ok(match self.session.is_forked() {
            true => "of another process",
            false if self.session.queue().is_closed() => "closed",
            false => "open",
        })
    }
}
