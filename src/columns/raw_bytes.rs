//! The bytes of names that are not text. They stand in a column next to the one that shows the names as text.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, ListArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::columns::bits::Validity;
use crate::columns::schema::item;
use crate::error::Result;
use crate::event::values::texts;
use crate::memory::{OutOfMemory, reserve, with_capacity, zeroed};

/// The bytes of those rows whose text does not show all of them. Usually there are none.
#[derive(Debug, Default)]
pub(crate) struct RawBytes {
    bytes: Vec<u8>,
    rows: Vec<(Range<usize>, Range<usize>)>,
}

impl RawBytes {
    /// Makes room for `rows` rows with `bytes` bytes in all.
    pub(crate) fn reserve(&mut self, rows: usize, bytes: usize) -> std::result::Result<(), OutOfMemory> {
        reserve(&mut self.rows, rows)?;
        reserve(&mut self.bytes, bytes)
    }

    /// Removes all rows after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let whole = self.rows.partition_point(|(run, _)| run.start < rows);
        self.rows.truncate(whole);
        if let Some((run, _)) = self.rows.last_mut() {
            run.end = run.end.min(rows);
        }
    }

    pub(crate) fn push(&mut self, row: usize, bytes: &[u8]) -> std::result::Result<(), OutOfMemory> {
        self.reserve(1, bytes.len())?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.rows.push((row..row + 1, start..self.bytes.len()));
        Ok(())
    }

    /// Repeats the row before `row` `more` times.
    pub(crate) fn repeat(&mut self, row: usize, more: usize) {
        if let Some((rows, _)) = self.rows.last_mut()
            && rows.end == row
        {
            rows.end += more;
        }
    }

    /// Repeats the last `items` rows, which begin at `first`, `more` times. There must be room.
    pub(crate) fn repeat_last(&mut self, first: usize, items: usize, more: usize) {
        let runs = self.rows.partition_point(|(run, _)| run.start < first)..self.rows.len();
        for shift in (1..=more).map(|again| again * items).take_while(|_| !runs.is_empty()) {
            for at in runs.clone() {
                let (run, bytes) = self.rows[at].clone();
                self.rows.push((run.start + shift..run.end + shift, bytes));
            }
        }
    }

    /// Returns the bytes of each row; `None` where the text shows all of them.
    fn each(&self, rows: usize) -> impl Iterator<Item = Option<&[u8]>> + Clone {
        let mut runs = self.rows.iter().peekable();
        (0..rows).map(move |row| {
            while runs.next_if(|(rows, _)| rows.end <= row).is_some() {}
            runs.peek().filter(|(rows, _)| rows.contains(&row)).map(|(_, at)| &self.bytes[at.clone()])
        })
    }

    pub(crate) fn finish(&self, rows: usize, all_null: &AllNull) -> Result<ArrayRef> {
        if self.rows.is_empty() {
            return all_null.binary();
        }
        Ok(Arc::new(binary(self.each(rows))?))
    }

    /// Makes the array for rows that are lists.
    pub(crate) fn finish_lists(&self, rows: usize, all_null: &AllNull) -> Result<ArrayRef> {
        if self.rows.is_empty() {
            return all_null.lists();
        }
        let items = binary(self.each(rows).flatten().flat_map(texts).map(Some))?;
        let mut offsets = with_capacity(rows + 1)?;
        let (mut validity, mut end) = (Validity::default(), 0);
        validity.reserve_to(rows)?;
        offsets.push(0);
        for bytes in self.each(rows) {
            end += bytes.map_or(0, |bytes| texts(bytes).count()) as i32;
            offsets.push(end);
            if bytes.is_some() { validity.append_valid(1) } else { validity.append_nulls(1) }
        }
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(ListArray::try_new(item(DataType::Binary), offsets, Arc::new(items), validity.finish())?))
    }
}

/// Makes an array of the values. Arrow's own way to collect one cannot report a lack of memory.
pub(crate) fn binary<'a>(values: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> Result<BinaryArray> {
    let (rows, bytes) =
        values.clone().fold((0, 0), |(rows, bytes), value| (rows + 1, bytes + value.map_or(0, <[u8]>::len)));
    let (mut offsets, mut all, mut validity) = (with_capacity(rows + 1)?, with_capacity(bytes)?, Validity::default());
    validity.reserve_to(rows)?;
    offsets.push(0);
    for value in values {
        if let Some(value) = value {
            all.extend_from_slice(value);
            validity.append_valid(1);
        } else {
            validity.append_nulls(1);
        }
        offsets.push(all.len() as i32);
    }
    Ok(BinaryArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(all), validity.finish())?)
}

/// Untouched zeros. They become the offsets and the validity of columns in which every value is null, the usual case of
/// a column of raw bytes.
#[derive(Debug, Default)]
pub(crate) struct Zeros(Vec<i32>);

impl Zeros {
    /// Makes enough zeros for `rows` rows.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> std::result::Result<(), OutOfMemory> {
        if self.0.len() <= rows {
            // The old ones are freed first, because they have no content.
            self.0 = Vec::new();
            self.0 = zeroed(rows + 1)?;
        }
        Ok(())
    }

    /// The number of rows they are enough for.
    pub(crate) fn rows(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    pub(crate) fn finish(self, rows: usize) -> std::result::Result<AllNull, OutOfMemory> {
        let mut zeros = self;
        zeros.reserve_to(rows)?;
        let zeros = Buffer::from_vec(zeros.0);
        let offsets = ScalarBuffer::new(zeros.clone(), 0, rows + 1);
        // SAFETY: zeros never decrease. Checking each of them would bring their pages into memory.
        let offsets = unsafe { OffsetBuffer::new_unchecked(offsets) };
        Ok(AllNull { offsets, nulls: NullBuffer::new(BooleanBuffer::new(zeros, 0, rows)) })
    }
}

/// The buffers of columns in which every value is null. All such columns of a batch share them.
pub(crate) struct AllNull {
    offsets: OffsetBuffer<i32>,
    nulls: NullBuffer,
}

impl AllNull {
    pub(crate) fn binary(&self) -> Result<ArrayRef> {
        let none = Buffer::from_vec(Vec::<u8>::new());
        Ok(Arc::new(BinaryArray::try_new(self.offsets.clone(), none, Some(self.nulls.clone()))?))
    }

    /// Makes a column of lists. `ListArray::new_null` would link every kind of array.
    fn lists(&self) -> Result<ArrayRef> {
        let (offsets, items) = (self.offsets.clone(), Arc::new(BinaryArray::new_null(0)));
        Ok(Arc::new(ListArray::try_new(item(DataType::Binary), offsets, items, Some(self.nulls.clone()))?))
    }
}
