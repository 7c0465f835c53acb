//! Events to columns: Arrow's, one for each key that is wanted.
//!
//! Most of what an event has is what the one before had. Of each [`Part`] that stayed the same only the count goes up;
//! the rows are written when it changes, all at once.

use std::convert::Infallible;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::alike::{Changed, Last};
use crate::column::{Column, fields};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::fields::{Fields, Part};
use crate::join::Counts;
use crate::reader::Reader;
use crate::taken::Taken;
use crate::value::Values;

/// A batch ends behind the event with which its texts reach this: far below the 2 GiB that Arrow's offsets can tell.
const MOST_BYTES: usize = 256 << 20;

/// The columns of a set of keys: always the same, whatever events come.
#[must_use]
pub fn schema(wanted: Fields) -> SchemaRef {
    Arc::new(Schema::new(wanted.keys().flat_map(fields).collect::<Vec<_>>()))
}

/// The columns of one part, which grow together.
#[derive(Debug)]
struct Group {
    columns: Vec<Column>,
    /// How often the last row is still to be repeated.
    more: usize,
    /// How many bytes of variable length it takes.
    bytes: usize,
}

/// Columns as they grow.
#[derive(Debug)]
pub struct Columns {
    groups: [Group; 4],
    last: Option<Last>,
    rows: usize,
    bytes: usize,
}

impl Columns {
    /// No rows yet, and room for so many.
    #[must_use]
    pub fn new(values: &Values, capacity: usize) -> Self {
        let column = |key: &_| Column::new(*key, capacity);
        let groups =
            Part::ALL.map(|part| Group { columns: values.keys(part).iter().map(column).collect(), more: 0, bytes: 0 });
        Self { groups, last: None, rows: 0, bytes: 0 }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether they are to be made a batch before there is another row.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>, values: &mut Values) {
        let changed = if let Some(last) = &mut self.last {
            last.becomes(event)
        } else {
            self.last = Some(Last::new(event));
            Changed::ALL
        };
        for (part, group) in Part::ALL.into_iter().zip(&mut self.groups) {
            if changed.has(part) {
                group.push(part, event, values);
            } else {
                group.more += 1;
            }
            self.bytes += group.bytes;
        }
        self.rows += 1;
    }

    /// Takes events that are there, up to `most` rows. They are counted as delivered: see [`Counts::take_back`].
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`]. The rows that were made before it count as delivered, too.
    pub fn fill(&mut self, reader: &mut Reader, values: &mut Values, counts: &Counts, most: usize) -> Result<()> {
        let mut taken = Taken::new(counts);
        let took = self.take(reader, values, &mut taken, most);
        taken.deliver();
        took
    }

    fn take(&mut self, reader: &mut Reader, values: &mut Values, taken: &mut Taken<'_>, most: usize) -> Result<()> {
        while self.rows < most && !self.is_full() {
            let pushed = reader.next(|event| {
                taken.events += 1;
                self.push(event, values);
            })?;
            if pushed.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the batch.
    ///
    /// # Errors
    ///
    /// [`Error::Columns`], which would be a defect.
    pub fn finish(self, schema: SchemaRef) -> Result<RecordBatch> {
        let mut columns = Vec::new();
        for mut group in self.groups {
            group.catch_up();
            columns.append(&mut group.columns);
        }
        columns.sort_by_key(|column| column.key() as usize);
        let arrays: std::result::Result<Vec<_>, ArrowError> = columns.into_iter().map(Column::finish).collect();
        let batch = arrays.and_then(|arrays| RecordBatch::try_new(schema, arrays.into_iter().flatten().collect()));
        batch.map_err(|error| Error::Columns(error.to_string()))
    }
}

impl Group {
    #[inline]
    fn catch_up(&mut self) {
        if self.more > 0 {
            self.repeat();
        }
    }

    #[inline(never)]
    fn repeat(&mut self) {
        self.columns.iter_mut().for_each(|column| column.repeat(self.more));
        self.more = 0;
    }

    fn push(&mut self, part: Part, event: &Event<'_>, values: &mut Values) {
        self.catch_up();
        let mut columns = self.columns.iter_mut();
        let mut bytes = 0;
        let Ok(()) = values.each(part, event, |_, value| {
            bytes += columns.next().map_or(0, |column| column.push(value));
            Ok::<_, Infallible>(())
        });
        self.bytes = bytes;
    }
}

/// Takes up to `most` events that are there. They are counted as delivered when the batch is made, and as discarded when
/// it cannot be.
///
/// # Errors
///
/// [`Error::Malformed`], [`Error::Columns`].
pub fn read(
    reader: &mut Reader,
    values: &mut Values,
    schema: &SchemaRef,
    counts: &Counts,
    most: usize,
) -> Result<RecordBatch> {
    let mut columns = Columns::new(values, reader.waiting().min(most));
    let mut taken = Taken::new(counts);
    columns.take(reader, values, &mut taken, most)?;
    let made = columns.finish(Arc::clone(schema))?;
    taken.deliver();
    Ok(made)
}

#[cfg(test)]
mod tests;
