//! The bytes of names that are not text, beside the column that shows them as text.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};

use crate::column::item;
use crate::value::texts;

/// The bytes of the rows whose text is not all of them: few, as a rule none.
#[derive(Debug, Default)]
pub(crate) struct Lossy {
    bytes: Vec<u8>,
    rows: Vec<(Range<usize>, Range<usize>)>,
}

impl Lossy {
    pub(crate) fn push(&mut self, row: usize, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.rows.push((row..row + 1, start..self.bytes.len()));
    }

    /// The row before `row` comes `more` times again.
    pub(crate) fn repeat(&mut self, row: usize, more: usize) {
        if let Some((rows, _)) = self.rows.last_mut()
            && rows.end == row
        {
            rows.end += more;
        }
    }

    /// Each row's, `None` where the text says all.
    fn each(&self, rows: usize) -> impl Iterator<Item = Option<&[u8]>> {
        let mut runs = self.rows.iter().peekable();
        (0..rows).map(move |row| {
            while runs.next_if(|(rows, _)| rows.end <= row).is_some() {}
            runs.peek().filter(|(rows, _)| rows.contains(&row)).map(|(_, at)| &self.bytes[at.clone()])
        })
    }

    pub(crate) fn finish(self, rows: usize) -> ArrayRef {
        if self.rows.is_empty() {
            return Arc::new(BinaryArray::new_null(rows));
        }
        Arc::new(self.each(rows).collect::<BinaryArray>())
    }

    /// For rows that are lists.
    pub(crate) fn finish_lists(self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.rows.is_empty() {
            // `ListArray::new_null` would link every kind of array that there is.
            let (offsets, items) = (OffsetBuffer::new_zeroed(rows), Arc::new(BinaryArray::new_null(0)));
            let nulls = Some(NullBuffer::new_null(rows));
            return Ok(Arc::new(ListArray::try_new(item(DataType::Binary), offsets, items, nulls)?));
        }
        let items: BinaryArray = self.each(rows).flatten().flat_map(texts).map(Some).collect();
        let lengths = self.each(rows).map(|bytes| bytes.map_or(0, |bytes| texts(bytes).count()));
        let nulls: NullBuffer = self.each(rows).map(|bytes| bytes.is_some()).collect();
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(item(DataType::Binary), offsets, Arc::new(items), Some(nulls))?))
    }
}
