//! Builds record batches from events, with Arrow columns for each wanted key.
//!
//! An event has mostly the values of the one before. For each [`Scope`] that stays the same only a count goes up. When
//! it changes, all repeated rows are written at once.

use std::sync::{Arc, Once};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::columns::column::Column;
use crate::columns::raw_bytes::Zeros;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::changes::{Changes, Previous};
use crate::event::values::Values;
use crate::fields::Scope;
use crate::memory::{OutOfMemory, probe};
use crate::read::Reader;
use crate::read::counters::ReaderCounters;
use crate::read::in_flight::InFlight;

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Columns(error.to_string())
    }
}

/// The bytes of text at which a batch ends. That is far below the 2 GiB that Arrow's offsets can address.
pub(crate) const MAX_TEXT_BYTES: usize = 256 << 20;

/// The number of rows from which on a batch's memory is worth keeping for the next.
const MANY_ROWS: usize = 4096;

/// About the bytes of a batch's columns that grow.
const BATCH_BYTES: usize = 8 << 20;

/// The bytes reserved at once for rows that may repeat.
const AT_ONCE_BYTES: usize = 8 << 20;

/// The columns of one scope. They grow together.
#[derive(Debug)]
struct Group {
    columns: Vec<Column>,
    /// How often the last row must still be repeated.
    more: usize,
    /// How often it can be repeated with the reserved memory.
    room: usize,
    /// Whether a repeated row takes memory beyond what [`Column::reserve_to`] reserves.
    has_lists: bool,
    /// The bytes of variable length in the last row.
    bytes: usize,
}

/// A record batch as it grows.
#[derive(Debug)]
pub struct BatchBuilder {
    groups: [Group; Scope::COUNT],
    last: Option<Previous>,
    rows: usize,
    /// The rows there is room for, apart from values of variable length.
    capacity: usize,
    zeros: Zeros,
    bytes: usize,
    /// Whether memory was missing for the next row. Half of that row may be there.
    is_refused: bool,
}

/// Makes glibc keep a batch's memory for the next one.
///
/// glibc returns the end of its heap to the kernel once that is twice the largest block that was ever mapped and freed.
/// A batch of all fields is just above that, and faulting its pages in again takes 60 ns of an event's 200. So one
/// block is mapped and freed without being touched. At most twice its size stays with the process.
#[cold]
#[inline(never)]
fn keep_freed_memory() {
    static KEEPS: Once = Once::new();
    // Without memory for the block there is none to keep.
    KEEPS.call_once(|| {
        let _ = probe(BATCH_BYTES);
    });
}

impl BatchBuilder {
    /// Creates a builder without rows. It has room for `capacity` rows, or for fewer if memory is short.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when there is none for a single row.
    pub fn new(values: &Values, capacity: usize) -> Refusable<Self> {
        Self::with_room(values, capacity, false)
    }

    /// Creates a builder of batches that store the ancestors of several rows once. Their schema is that of
    /// [`crate::columns::schema::shared`].
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when there is none for a single row.
    #[cfg(feature = "history")]
    pub(crate) fn shared(values: &Values, capacity: usize) -> Refusable<Self> {
        Self::with_room(values, capacity, true)
    }

    fn with_room(values: &Values, capacity: usize, shares: bool) -> Refusable<Self> {
        if capacity >= MANY_ROWS {
            keep_freed_memory();
        }
        let mut capacity = capacity;
        loop {
            let mut made = Self::empty(values, shares);
            match made.reserve(capacity) {
                Ok(()) => return Ok(made),
                Err(refused) if capacity <= 1 => return Err(refused),
                // The columns that were already reserved are freed, and all of them try again.
                Err(_) => capacity /= 2,
            }
        }
    }

    fn empty(values: &Values, shares: bool) -> Self {
        let group = |scope| {
            let columns: Vec<_> = values.keys(scope).iter().map(|key| Column::new(*key, shares)).collect();
            let has_lists = columns.iter().any(Column::is_of_lists);
            Group { columns, more: 0, room: 0, has_lists, bytes: 0 }
        };
        let groups = Scope::ALL.map(group);
        let zeros = Zeros::default();
        Self { groups, last: None, rows: 0, capacity: 0, zeros, bytes: 0, is_refused: false }
    }

    fn reserve(&mut self, rows: usize) -> Refusable {
        self.zeros.reserve_to(rows)?;
        for column in self.groups.iter_mut().flat_map(|group| &mut group.columns) {
            column.reserve_to(rows)?;
        }
        self.capacity = rows;
        Ok(())
    }

    /// Makes room for as many rows again, or for fewer if memory is short.
    #[cold]
    fn grow(&mut self) -> Refusable {
        let mut more = self.rows.max(64);
        while let Err(refused) = self.reserve(self.rows + more) {
            if more == 1 {
                return Err(refused);
            }
            more = (more / 4).max(1);
        }
        Ok(())
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About the bytes that names and texts take in the rows, each row with its own.
    #[cfg(feature = "history")]
    pub(crate) fn text_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the rows must be made a batch before the next row.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_refused || self.bytes >= MAX_TEXT_BYTES
    }

    /// Adds the row of an event.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the rows so far can still be finished but none can be added.
    pub fn push(&mut self, event: &Event<'_>, values: &mut Values) -> Refusable {
        let pushed = self.try_push(event, values);
        self.is_refused |= pushed.is_err();
        pushed
    }

    #[inline]
    fn try_push(&mut self, event: &Event<'_>, values: &mut Values) -> Refusable {
        if self.rows >= self.capacity {
            self.grow()?;
        }
        let changes = if let Some(last) = &mut self.last {
            last.update(event)
        } else {
            self.last = Some(Previous::new(event, !values.keys(Scope::File).is_empty()));
            Changes::ALL
        };
        // Including this row.
        let left = self.capacity - self.rows;
        for (scope, group) in Scope::ALL.into_iter().zip(&mut self.groups) {
            if changes.contains(scope) {
                group.push(scope, event, values)?;
            } else {
                group.add_repeat(left)?;
            }
            self.bytes += group.bytes;
        }
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
    pub fn fill(
        &mut self,
        reader: &mut Reader,
        values: &mut Values,
        counters: &ReaderCounters,
        max_rows: usize,
    ) -> Result<()> {
        let mut in_flight = InFlight::new(counters);
        let took = self.take(reader, values, &mut in_flight, max_rows);
        in_flight.deliver();
        took
    }

    fn take(
        &mut self,
        reader: &mut Reader,
        values: &mut Values,
        in_flight: &mut InFlight<'_>,
        max_rows: usize,
    ) -> Result<()> {
        while self.rows < max_rows && !self.is_full() {
            let pushed = reader.next(|event| {
                in_flight.events += 1;
                self.push(event, values).inspect_err(|_| in_flight.events -= 1)
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
    /// [`Error::Memory`] for names that are not text, whose bytes are collected only now. [`Error::Columns`], which
    /// would be a defect.
    pub fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        let all_null = self.zeros.finish(self.rows)?;
        let mut columns = Vec::new();
        for mut group in self.groups {
            group.catch_up();
            columns.append(&mut group.columns);
        }
        columns.sort_unstable_by_key(Column::order);
        let mut arrays = Vec::with_capacity(2 * columns.len());
        for column in columns {
            arrays.extend(column.finish(self.rows, &all_null)?);
        }
        Ok(RecordBatch::try_new(schema, arrays)?)
    }
}

impl Group {
    /// Repeats the last row. `left` rows still fit.
    #[inline]
    fn add_repeat(&mut self, left: usize) -> Refusable {
        if self.has_lists && self.more >= self.room {
            self.reserve_repeats(left)?;
        }
        self.more += 1;
        Ok(())
    }

    /// Reserves memory for all rows that are left, if that is not much. Otherwise it doubles the repeats, or reserves a
    /// single one if memory is short. Growing by doubling alone leaves holes, which took 40 ns of an event's 240 to
    /// fault in.
    #[cold]
    fn reserve_repeats(&mut self, left: usize) -> Refusable {
        let reserve = |columns: &mut [Column], repeats| {
            columns.iter_mut().try_for_each(|column| column.reserve_repeats(repeats)).map(|()| repeats)
        };
        let most = AT_ONCE_BYTES / self.bytes.max(1);
        let (all, again) = (self.more + left.min(most), 2 * self.more + 16);
        let columns = &mut self.columns;
        self.room = reserve(columns, all.max(again)).or_else(|_| reserve(columns, self.more + 1))?;
        Ok(())
    }

    #[inline]
    fn catch_up(&mut self) {
        if self.more > 0 {
            self.repeat();
        }
    }

    /// Writes the repeated rows. Their memory was reserved.
    #[inline(never)]
    fn repeat(&mut self) {
        let more = std::mem::take(&mut self.more);
        self.room = 0;
        self.columns.iter_mut().for_each(|column| column.repeat(more));
    }

    fn push(&mut self, scope: Scope, event: &Event<'_>, values: &mut Values) -> Refusable {
        self.catch_up();
        self.room = 0;
        let mut columns = self.columns.iter_mut();
        let mut bytes = 0;
        values.visit(scope, event, |_, value| {
            if let Some(column) = columns.next() {
                bytes += column.push(value)?;
            }
            Ok(())
        })?;
        self.bytes = bytes;
        Ok(())
    }
}

/// Reads up to `max_rows` events into a batch, or as many as there is memory for. They count as delivered when the batch
/// is made, and as discarded when that fails.
///
/// # Errors
///
/// [`Error::Memory`] when there is none for a single event, [`Error::Malformed`], [`Error::Columns`].
pub fn read(
    reader: &mut Reader,
    values: &mut Values,
    schema: &SchemaRef,
    counters: &ReaderCounters,
    max_rows: usize,
) -> Result<RecordBatch> {
    let mut builder = BatchBuilder::new(values, reader.waiting().min(max_rows))?;
    let mut in_flight = InFlight::new(counters);
    builder.take(reader, values, &mut in_flight, max_rows)?;
    let made = builder.finish(Arc::clone(schema))?;
    in_flight.deliver();
    Ok(made)
}

#[cfg(test)]
mod refused;
#[cfg(test)]
mod tests;
