//! What the readers of a session take: the events of one kind of session, as dicts and as columns.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::columns::builder::{self, BatchBuilder};
use crate::error::Result;
use crate::event::values::Values;
use crate::memory::OutOfMemory;
use crate::py::dict::Dicts;
use crate::read::Reader;
use crate::read::counters::ReaderCounters;
use crate::read::join::Refusable;

/// The events of one kind of session.
pub(crate) trait Source: Send + 'static {
    /// A batch of columns as it grows.
    type Rows: RowBuilder + Send;

    /// Hands the next event's dict, or the exception in its place, to `emit`, which keeps the event for later by an
    /// error. `None` when there is none now.
    fn next<'py, R>(
        &mut self,
        py: Python<'py>,
        emit: impl FnMut(PyResult<Bound<'py, PyDict>>) -> Refusable<R>,
    ) -> Result<Option<R>>;

    /// About the number of events that can be read.
    fn waiting(&self) -> usize;

    /// Begins a batch, with room for that many rows.
    fn begin(&self, rows: usize) -> std::result::Result<Self::Rows, OutOfMemory>;

    /// Adds the events that can be read now, up to `most` rows. They count as delivered.
    fn fill(&mut self, rows: &mut Self::Rows, counters: &ReaderCounters, most: usize) -> Result<()>;

    /// Reads up to `most` events into a batch. They count as delivered when the batch is made.
    fn read(&mut self, schema: &SchemaRef, counters: &ReaderCounters, most: usize) -> Result<RecordBatch> {
        let mut rows = self.begin(self.waiting().min(most))?;
        let filled = self.fill(&mut rows, counters, most);
        let taken = rows.rows() as u64;
        let made = filled.and_then(|()| rows.finish(SchemaRef::clone(schema)));
        if made.is_err() {
            counters.take_back(taken);
        }
        made
    }
}

/// A batch of columns as it grows.
pub(crate) trait RowBuilder {
    /// The number of rows.
    fn rows(&self) -> usize;

    /// Whether the rows must be made a batch before the next row.
    fn is_full(&self) -> bool;

    /// Makes the batch.
    fn finish(self, schema: SchemaRef) -> Result<RecordBatch>;
}

/// The events of a tracer.
pub(crate) struct TracerSource {
    pub(crate) reader: Reader,
    pub(crate) values: Values,
    pub(crate) dicts: Dicts,
}

impl Source for TracerSource {
    type Rows = BatchBuilder;

    fn next<'py, R>(
        &mut self,
        py: Python<'py>,
        mut emit: impl FnMut(PyResult<Bound<'py, PyDict>>) -> Refusable<R>,
    ) -> Result<Option<R>> {
        let Self { reader, values, dicts } = self;
        reader.next(|event| emit(dicts.make(py, event, values)))
    }

    fn waiting(&self) -> usize {
        self.reader.waiting()
    }

    fn begin(&self, rows: usize) -> std::result::Result<BatchBuilder, OutOfMemory> {
        BatchBuilder::new(&self.values, rows)
    }

    fn fill(&mut self, rows: &mut BatchBuilder, counters: &ReaderCounters, most: usize) -> Result<()> {
        rows.fill(&mut self.reader, &mut self.values, counters, most)
    }

    fn read(&mut self, schema: &SchemaRef, counters: &ReaderCounters, most: usize) -> Result<RecordBatch> {
        builder::read(&mut self.reader, &mut self.values, schema, counters, most)
    }
}

impl RowBuilder for BatchBuilder {
    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }

    fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        Self::finish(self, schema)
    }
}
