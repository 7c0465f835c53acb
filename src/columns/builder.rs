//! Events to columns: Arrow's, one for each key that is wanted.
//!
//! Most of what an event has is what the one before had. Of each [`Scope`] that stayed the same only the count goes up;
//! the rows are written when it changes, all at once.

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
use crate::read::in_flight::InFlight;
use crate::read::join::ReaderCounters;

/// What can be refused for want of memory.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Columns(error.to_string())
    }
}

/// A batch ends behind the event with which its texts reach this: far below the 2 GiB that Arrow's offsets can tell.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// From so many rows on a batch's memory is worth keeping for the next.
const MANY_ROWS: usize = 4096;

/// What the columns of a batch take that grow, about.
const BATCH_BYTES: usize = 8 << 20;

/// What is reserved at once for rows that may repeat.
const AT_ONCE_BYTES: usize = 8 << 20;

/// The columns of one scope, which grow together.
#[derive(Debug)]
struct Group {
    columns: Vec<Column>,
    /// How often the last row is still to be repeated.
    more: usize,
    /// How often it can be, by what is reserved.
    room: usize,
    /// Whether that takes more than its scope of the rows.
    has_lists: bool,
    /// How many bytes of variable length it takes.
    bytes: usize,
}

/// A batch as it grows.
#[derive(Debug)]
pub struct BatchBuilder {
    groups: [Group; 4],
    last: Option<Previous>,
    rows: usize,
    /// How many rows there is room for, but for what their values take of variable length.
    capacity: usize,
    zeros: Zeros,
    bytes: usize,
    /// Whether there was no memory for the next row. There may be half of one.
    is_refused: bool,
}

/// Has glibc keep what a batch took for the next one.
///
/// It gives the end of its heap back to the kernel once that is twice the largest block that was ever mapped and freed. A
/// batch of all fields is just above that, and to fault its pages in again takes 60 ns of an event's 200. So one block is
/// mapped and freed, untouched: at most twice its size stays with the process.
#[cold]
#[inline(never)]
fn keep_freed_memory() {
    static KEEPS: Once = Once::new();
    // Where there is no memory for it, none is to be kept.
    KEEPS.call_once(|| {
        let _ = probe(BATCH_BYTES);
    });
}

impl BatchBuilder {
    /// No rows yet, and room for so many, or for fewer where there is no memory for them.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when there is none for a single row.
    pub fn new(values: &Values, capacity: usize) -> Refusable<Self> {
        if capacity >= MANY_ROWS {
            keep_freed_memory();
        }
        let mut capacity = capacity;
        loop {
            let mut made = Self::empty(values);
            match made.reserve(capacity) {
                Ok(()) => return Ok(made),
                Err(refused) if capacity <= 1 => return Err(refused),
                // What half of the columns had reserved is free again for all of them.
                Err(_) => capacity /= 2,
            }
        }
    }

    fn empty(values: &Values) -> Self {
        let group = |scope| {
            let columns: Vec<_> = values.keys(scope).iter().map(|key| Column::new(*key)).collect();
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

    /// Room for as many rows again, or for fewer where there is no memory for them.
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

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether they are to be made a batch before there is another row.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_refused || self.bytes >= MAX_TEXT_BYTES
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]: the rows that there are can still be finished, and nothing can be added to them.
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
        let changed = if let Some(last) = &mut self.last {
            last.update(event)
        } else {
            self.last = Some(Previous::new(event));
            Changes::ALL
        };
        // This row's among them.
        let left = self.capacity - self.rows;
        for (scope, group) in Scope::ALL.into_iter().zip(&mut self.groups) {
            if changed.contains(scope) {
                group.push(scope, event, values)?;
            } else {
                group.add_repeat(left)?;
            }
            self.bytes += group.bytes;
        }
        self.rows += 1;
        Ok(())
    }

    /// Takes events that are there, up to `most` rows, or as many as there is memory for. They are counted as delivered: see
    /// [`ReaderCounters::take_back`].
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is none for a single row; [`Error::Malformed`]. The rows that were made before it count as delivered, too.
    pub fn fill(
        &mut self,
        reader: &mut Reader,
        values: &mut Values,
        counts: &ReaderCounters,
        most: usize,
    ) -> Result<()> {
        let mut taken = InFlight::new(counts);
        let took = self.take(reader, values, &mut taken, most);
        taken.deliver();
        took
    }

    fn take(&mut self, reader: &mut Reader, values: &mut Values, taken: &mut InFlight<'_>, most: usize) -> Result<()> {
        while self.rows < most && !self.is_full() {
            let pushed = reader.next(|event| {
                taken.events += 1;
                self.push(event, values).inspect_err(|_| taken.events -= 1)
            });
            match pushed {
                Ok(Some(())) => {}
                Ok(None) => break,
                // It is still there to be read, and what came before it is a batch.
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
    /// [`Error::Memory`], of names that are no text: their bytes are put together now. [`Error::Columns`], which would be a
    /// defect.
    pub fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        let nothing = self.zeros.finish(self.rows)?;
        let mut columns = Vec::new();
        for mut group in self.groups {
            group.catch_up();
            columns.append(&mut group.columns);
        }
        columns.sort_unstable_by_key(|column| column.key() as usize);
        let mut arrays = Vec::with_capacity(2 * columns.len());
        for column in columns {
            arrays.extend(column.finish(self.rows, &nothing)?);
        }
        Ok(RecordBatch::try_new(schema, arrays)?)
    }
}

impl Group {
    /// The last row once more; so many rows are left.
    #[inline]
    fn add_repeat(&mut self, left: usize) -> Refusable {
        if self.has_lists && self.more >= self.room {
            self.reserve_repeats(left)?;
        }
        self.more += 1;
        Ok(())
    }

    /// For all that are left, as long as that is not much; or for as many again; or for one where there is no memory for so
    /// many. To grow by doubling leaves holes, which took 40 ns of an event's 240 to fault in.
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

    /// What it takes was reserved.
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

/// Takes up to `most` events that are there, or as many as there is memory for. They are counted as delivered when the batch is made, and as discarded when
/// it cannot be.
///
/// # Errors
///
/// [`Error::Memory`] when there is none for a single event, [`Error::Malformed`], [`Error::Columns`].
pub fn read(
    reader: &mut Reader,
    values: &mut Values,
    schema: &SchemaRef,
    counts: &ReaderCounters,
    most: usize,
) -> Result<RecordBatch> {
    let mut columns = BatchBuilder::new(values, reader.waiting().min(most))?;
    let mut taken = InFlight::new(counts);
    columns.take(reader, values, &mut taken, most)?;
    let made = columns.finish(Arc::clone(schema))?;
    taken.deliver();
    Ok(made)
}

#[cfg(test)]
mod refused;
#[cfg(test)]
mod tests;
