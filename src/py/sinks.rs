//! The results that readers fill: one event, a list of events, columns.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::py::feed::{Feed, Sink};
use crate::py::objects;
use crate::py::source::{RowBuilder, Source};

/// A single event.
impl<'py, S: Source> Sink<'py, S> for Option<Bound<'py, PyDict>> {
    fn take(&mut self, feed: &Feed<S>, py: Python<'py>) -> PyResult<()> {
        *self = feed.read_one(py)?;
        Ok(())
    }

    fn taken(&self) -> usize {
        usize::from(self.is_some())
    }

    fn wanted(&self) -> usize {
        usize::from(self.is_none())
    }
}

/// A list of dicts.
pub(crate) struct Listed<'py> {
    events: Bound<'py, PyList>,
    /// The events of the readings that succeeded. A reading that failed counts its own as discarded.
    taken: usize,
    most: usize,
}

impl<'py> Listed<'py> {
    pub(crate) fn new(py: Python<'py>, most: usize) -> PyResult<Self> {
        Ok(Self { events: objects::list(py)?, taken: 0, most })
    }

    pub(crate) fn finish(self) -> Bound<'py, PyList> {
        self.events
    }
}

impl<'py, S: Source> Sink<'py, S> for Listed<'py> {
    fn take(&mut self, feed: &Feed<S>, py: Python<'py>) -> PyResult<()> {
        match feed.read(py, self.most.saturating_sub(self.taken), |event| self.events.append(event)) {
            Ok(read) => self.taken += read as usize,
            // The events before are a result. The event without memory stays the next.
            Err(error) if error.is_instance_of::<PyMemoryError>(py) && self.taken > 0 => self.most = self.taken,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn taken(&self) -> usize {
        self.taken
    }

    fn wanted(&self) -> usize {
        self.most.saturating_sub(self.taken)
    }
}

/// The columns of a batch.
pub(crate) struct Rows<S: Source> {
    columns: S::Rows,
    most: usize,
}

impl<S: Source> Rows<S> {
    /// Makes room for the queued events.
    pub(crate) fn new(feed: &Feed<S>, py: Python<'_>, most: usize) -> PyResult<Self> {
        let guard = feed.lock.take(py)?;
        Ok(Self { columns: guard.begin(guard.waiting().min(most))?, most })
    }

    pub(crate) fn finish(self) -> S::Rows {
        self.columns
    }
}

impl<'py, S: Source> Sink<'py, S> for Rows<S> {
    fn take(&mut self, feed: &Feed<S>, py: Python<'py>) -> PyResult<()> {
        let mut guard = feed.lock.take(py)?;
        let source = &mut *guard;
        Ok(py.detach(|| source.fill(&mut self.columns, feed.session.reader_counters(), self.most))?)
    }

    fn taken(&self) -> usize {
        self.columns.rows()
    }

    fn wanted(&self) -> usize {
        if self.columns.is_full() { 0 } else { self.most.saturating_sub(self.columns.rows()) }
    }
}
