//! The bytes of arguments that their JSON text does not show: of texts that are not UTF-8, and of buffers.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, ListArray, StringArray, StructArray};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer};

use crate::columns::bits::{Bits, Validity};
use crate::columns::schema::{args_bytes_item, args_bytes_members};
use crate::columns::text::TextBuilder;
use crate::error::Result;
use crate::memory::{OutOfMemory, reserve, with_capacity};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// An argument's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArgumentBytes<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    /// Whether they are text. Each text of a list is followed by a NUL.
    pub(crate) is_text: bool,
}

/// The bytes of all rows, one after the other. Usually there are none.
#[derive(Debug, Default)]
pub(crate) struct ArgsBytesBuilder {
    items: Vec<(usize, &'static str, Range<usize>, bool)>,
    bytes: Vec<u8>,
}

impl ArgsBytesBuilder {
    /// Adds the bytes of an argument of a row, which is the last one.
    pub(crate) fn push(&mut self, row: usize, name: &'static str, bytes: &[u8], is_text: bool) -> Refusable {
        reserve(&mut self.items, 1)?;
        reserve(&mut self.bytes, bytes.len())?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.items.push((row, name, start..self.bytes.len(), is_text));
        Ok(())
    }

    /// Removes what is of the row `rows`, or of a later one.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.items.truncate(self.items.partition_point(|(row, ..)| *row < rows));
        self.bytes.truncate(self.items.last().map_or(0, |(_, _, bytes, _)| bytes.end));
    }

    /// Makes the array of `rows` rows: null where there is nothing.
    pub(crate) fn finish(self, rows: usize) -> Result<ArrayRef> {
        let (mut offsets, mut validity) = (with_capacity(rows + 1)?, Validity::default());
        validity.reserve_to(rows)?;
        offsets.push(0_i32);
        let mut items = self.items.iter().peekable();
        let mut end = 0;
        for row in 0..rows {
            let before = end;
            while items.next_if(|(of, ..)| *of == row).is_some() {
                end += 1;
            }
            if end > before {
                validity.append_valid(1);
            } else {
                validity.append_nulls(1);
            }
            offsets.push(end);
        }
        let (mut names, mut are_text) = (TextBuilder::new(), Bits::default());
        are_text.reserve_to(self.items.len())?;
        let mut ends = with_capacity(self.items.len() + 1)?;
        ends.push(0_i32);
        for (_, name, bytes, is_text) in &self.items {
            names.push(name.as_bytes())?;
            ends.push(bytes.end as i32);
            are_text.append(*is_text);
        }
        let bytes = BinaryArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(self.bytes), None)?;
        let members: Vec<ArrayRef> =
            vec![Arc::new(names.finish(None)), Arc::new(bytes), Arc::new(BooleanArray::new(are_text.finish(), None))];
        let items = Arc::new(StructArray::try_new(args_bytes_members(), members, None)?);
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(ListArray::try_new(args_bytes_item(), offsets, items, validity.finish())?))
    }
}

/// The bytes of a batch's arguments, read back.
pub(crate) struct ArgsBytes<'a> {
    offsets: &'a OffsetBuffer<i32>,
    names: &'a StringArray,
    bytes: &'a BinaryArray,
    are_text: &'a BooleanBuffer,
}

impl<'a> ArgsBytes<'a> {
    /// Reads a column; `None` for one of another type.
    pub(crate) fn of(column: &'a dyn Array) -> Option<Self> {
        let lists = column.as_list_opt::<i32>()?;
        let [names, bytes, are_text] = lists.values().as_struct_opt()?.columns() else { return None };
        Some(Self {
            offsets: lists.offsets(),
            names: names.as_string_opt()?,
            bytes: bytes.as_binary_opt()?,
            are_text: are_text.as_boolean_opt()?.values(),
        })
    }

    /// What there is of a row.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = ArgumentBytes<'_>> {
        let end = |at: usize| self.offsets.get(at).map_or(0, |end| *end as usize);
        (end(row)..end(row + 1)).map(|at| ArgumentBytes {
            name: self.names.value(at),
            bytes: self.bytes.value(at),
            is_text: self.are_text.value(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_their_own() {
        let mut builder = ArgsBytesBuilder::default();
        builder.push(1, "pathname", b"a\xff", true).unwrap();
        builder.push(3, "buf", b"\0\x01", false).unwrap();
        builder.push(3, "argv", b"", true).unwrap();
        builder.push(4, "gone", b"gone", true).unwrap();
        builder.truncate(4);
        let made = builder.finish(5).unwrap();
        let nulls: Vec<_> = (0..5).map(|row| made.is_null(row)).collect();
        assert_eq!(nulls, [true, false, true, false, true]);
        let read = ArgsBytes::of(&made).unwrap();
        let all = |row| read.row(row).collect::<Vec<_>>();
        assert_eq!(all(1), [ArgumentBytes { name: "pathname", bytes: b"a\xff", is_text: true }]);
        let third = [("buf", b"\0\x01".as_slice(), false), ("argv", b"", true)];
        assert_eq!(all(3), third.map(|(name, bytes, is_text)| ArgumentBytes { name, bytes, is_text }));
        assert_eq!((all(0), all(2), all(4)), (vec![], vec![], vec![]));
        assert_eq!(ArgsBytesBuilder::default().finish(2).unwrap().null_count(), 2);
    }
}
