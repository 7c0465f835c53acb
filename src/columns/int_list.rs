//! A column of lists of integers as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, ListArray, UInt64Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use crate::columns::schema::item;
use crate::error::Result;
use crate::event::ints::IntItem;
use crate::memory::{OutOfMemory, reserve};

/// The offsets and items of a column of lists.
#[derive(Debug)]
pub(crate) struct IntListBuilder {
    pub(crate) offsets: Vec<i32>,
    items: Vec<i64>,
    is_signed: bool,
}

impl IntListBuilder {
    pub(crate) fn new(is_signed: bool) -> Self {
        Self { offsets: vec![0], items: Vec::new(), is_signed }
    }

    /// Ends a row that has no items.
    pub(crate) fn end_to(&mut self, rows: usize) {
        self.offsets.resize(rows + 1, self.items.len() as i32);
    }

    pub(crate) fn push(&mut self, item: IntItem, bytes: &[u8]) -> std::result::Result<(), OutOfMemory> {
        reserve(&mut self.offsets, 1)?;
        reserve(&mut self.items, bytes.len() / item.bytes())?;
        self.items.extend(item.all(bytes));
        self.offsets.push(self.items.len() as i32);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.items.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(self.offsets.into());
        let (kind, items): (_, ArrayRef) = if self.is_signed {
            (DataType::Int64, Arc::new(Int64Array::try_new(self.items.into(), None)?))
        } else {
            let items: Vec<u64> = self.items.into_iter().map(i64::cast_unsigned).collect();
            (DataType::UInt64, Arc::new(UInt64Array::try_new(items.into(), None)?))
        };
        Ok(Arc::new(ListArray::try_new(item(kind), offsets, items, nulls)?))
    }
}
