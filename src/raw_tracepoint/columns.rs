//! Builds record batches of a raw tracepoint's events, of the columns that a tracer's batches are made of.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::columns::builder::MAX_TEXT_BYTES;
use crate::columns::column::Column;
use crate::columns::raw_bytes::Zeros;
use crate::columns::schema::fields_of;
use crate::error::{Error, Result};
use crate::fields::ValueType;
use crate::memory::OutOfMemory;
use crate::raw_tracepoint::event::RawEvent;
use crate::raw_tracepoint::layout::{Field, HEAD, Layout};
use crate::raw_tracepoint::reader::RawReader;
use crate::read::counters::ReaderCounters;
use crate::read::in_flight::InFlight;

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The keys, the types of their values, and whether these may be `None`.
fn keys(layout: &Layout) -> impl Iterator<Item = (&str, ValueType, bool)> {
    let or_none = HEAD.into_iter().map(|_| false).chain(layout.fields.iter().map(Field::or_none));
    layout.keys().zip(or_none).map(|((name, kind), or_none)| (name, kind, or_none))
}

/// Returns the schema of the batches.
#[must_use]
pub fn schema(layout: &Layout) -> SchemaRef {
    let columns = keys(layout).flat_map(|(name, kind, or_none)| fields_of(name, kind, or_none));
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
}

/// A record batch as it grows.
#[derive(Debug)]
pub struct RawBatchBuilder {
    columns: Vec<Column>,
    rows: usize,
    /// The rows there is room for, apart from values of variable length.
    capacity: usize,
    zeros: Zeros,
    bytes: usize,
    /// Whether memory was missing for the next row. A part of that row may be there.
    is_refused: bool,
    text: String,
}

impl RawBatchBuilder {
    /// Creates a builder without rows. It has room for `capacity` rows, or for fewer if memory is short.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when there is none for a single row.
    pub fn new(layout: &Layout, capacity: usize) -> Refusable<Self> {
        let mut capacity = capacity;
        loop {
            let columns = keys(layout).enumerate().map(|(order, (_, kind, or_none))| Column::of(order, kind, or_none));
            let mut made = Self {
                columns: columns.collect(),
                rows: 0,
                capacity: 0,
                zeros: Zeros::default(),
                bytes: 0,
                is_refused: false,
                text: String::new(),
            };
            match made.reserve(capacity) {
                Ok(()) => return Ok(made),
                Err(refused) if capacity <= 1 => return Err(refused),
                Err(_) => capacity /= 2,
            }
        }
    }

    fn reserve(&mut self, rows: usize) -> Refusable {
        self.zeros.reserve_to(rows)?;
        for column in &mut self.columns {
            column.reserve_to(rows)?;
        }
        self.capacity = rows;
        Ok(())
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the rows must be made a batch before the next row.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_refused || self.bytes >= MAX_TEXT_BYTES
    }

    fn push(&mut self, event: &RawEvent<'_>, layout: &Layout) -> Refusable {
        let pushed = self.try_push(event, layout);
        self.is_refused |= pushed.is_err();
        pushed
    }

    fn try_push(&mut self, event: &RawEvent<'_>, layout: &Layout) -> Refusable {
        if self.rows >= self.capacity {
            self.reserve(self.rows + self.rows.max(64)).or_else(|_| self.reserve(self.rows + 1))?;
        }
        let (mut columns, mut bytes) = (self.columns.iter_mut(), 0);
        event.visit(layout, &mut self.text, |value| {
            if let Some(column) = columns.next() {
                bytes += column.push_one(value)?;
            }
            Ok(())
        })?;
        self.bytes += bytes;
        self.rows += 1;
        Ok(())
    }

    /// Adds the events that can be read now, up to `max_rows` rows or until memory runs out. They count as delivered;
    /// see [`ReaderCounters::take_back`].
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is none for a single row, and [`Error::Malformed`]. Rows made before the error
    /// count as delivered, too.
    pub fn fill(&mut self, reader: &mut RawReader, counters: &ReaderCounters, max_rows: usize) -> Result<()> {
        let mut in_flight = InFlight::new(counters);
        let took = self.take(reader, &mut in_flight, max_rows);
        in_flight.deliver();
        took
    }

    fn take(&mut self, reader: &mut RawReader, in_flight: &mut InFlight<'_>, max_rows: usize) -> Result<()> {
        let layout = Arc::clone(reader.layout());
        while self.rows < max_rows && !self.is_full() {
            let pushed = reader.next(|event| {
                in_flight.events += 1;
                self.push(event, &layout).inspect_err(|_| in_flight.events -= 1)
            });
            match pushed {
                Ok(Some(())) => {}
                Ok(None) => break,
                // The event can be read again, and the rows before it are a batch.
                Err(Error::Memory(_)) if self.rows > 0 => {
                    self.is_refused = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the batch.
    ///
    /// # Errors
    ///
    /// As [`crate::columns::builder::BatchBuilder::finish`].
    pub fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        let all_null = self.zeros.finish(self.rows)?;
        let mut arrays = Vec::with_capacity(2 * self.columns.len());
        for column in self.columns {
            arrays.extend(column.finish(self.rows, &all_null)?);
        }
        Ok(RecordBatch::try_new(schema, arrays)?)
    }
}
