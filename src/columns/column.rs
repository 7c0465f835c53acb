//! One column of a batch as it grows. It writes values into Arrow's buffers without one allocation per value, and every
//! allocation may fail.
//!
//! Offsets are Arrow's `i32`. The bound on a batch's bytes also bounds the items of its lists, far below what an offset
//! can hold (`builder.rs`).
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both")]

use std::mem;
use std::sync::Arc;

use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, PrimitiveArray, UInt32Array,
    UInt64Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use rustc_hash::FxHashMap;

use crate::columns::ancestors::AncestorsColumn;
use crate::columns::args::ArgsBuilder;
use crate::columns::bits::{Bits, Validity};
use crate::columns::blobs::BlobBuilder;
use crate::columns::dictionary::DictionaryBuilder;
use crate::columns::int_list::IntListBuilder;
use crate::columns::list::ListBuilder;
use crate::columns::raw_bytes::{AllNull, RawBytes};
use crate::columns::schema::item;
use crate::columns::text::TextBuilder;
use crate::error::Result;
use crate::event::values::Value;
use crate::fields::{Key, ValueType};
use crate::memory::{OutOfMemory, reserve_to};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

#[derive(Debug)]
enum ColumnData {
    I32(Vec<i32>),
    I64(Vec<i64>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Bool(Bits),
    Dictionary(DictionaryBuilder),
    Text(TextBuilder),
    Lists(ListBuilder),
    Ancestors(Box<AncestorsColumn>),
    Blobs(BlobBuilder),
    Ints(IntListBuilder),
    Args(ArgsBuilder),
}

fn repeat<T: Copy>(cells: &mut Vec<T>, more: usize) {
    if let Some(last) = cells.last().copied() {
        cells.resize(cells.len() + more, last);
    }
}

/// A column as it grows.
#[derive(Debug)]
pub(crate) struct Column {
    /// The place among the columns of a batch.
    order: usize,
    value_type: ValueType,
    or_none: bool,
    data: ColumnData,
    validity: Validity,
    last_is_none: bool,
    /// The number of rows at the end that have no value and are not written yet.
    nones: usize,
    raw_bytes: RawBytes,
}

impl Column {
    /// Creates the column of a key, without room for rows. One of ancestors may store each list once.
    pub(crate) fn new(key: Key, shares: bool) -> Self {
        Self::with(key as usize, key.value_type(), key.or_none(), shares)
    }

    /// Creates a column of values of that type.
    pub(crate) fn of(order: usize, value_type: ValueType, or_none: bool) -> Self {
        Self::with(order, value_type, or_none, false)
    }

    fn with(order: usize, value_type: ValueType, or_none: bool, shares: bool) -> Self {
        let data = match value_type {
            ValueType::I32 => ColumnData::I32(Vec::new()),
            ValueType::Time | ValueType::I64 => ColumnData::I64(Vec::new()),
            ValueType::U32 => ColumnData::U32(Vec::new()),
            ValueType::U64 => ColumnData::U64(Vec::new()),
            ValueType::Bool => ColumnData::Bool(Bits::default()),
            ValueType::Keyword | ValueType::DictBytes => ColumnData::Dictionary(DictionaryBuilder {
                rows: Vec::new(),
                known: FxHashMap::default(),
                last: Vec::new(),
                last_is: (0, true),
                text: TextBuilder::new(),
            }),
            ValueType::Bytes => ColumnData::Text(TextBuilder::new()),
            ValueType::Ancestors => ColumnData::Ancestors(Box::new(AncestorsColumn::new(shares))),
            ValueType::BytesList => ColumnData::Lists(ListBuilder { offsets: vec![0], items: TextBuilder::new() }),
            ValueType::Args => ColumnData::Args(ArgsBuilder::new()),
            ValueType::Blob => ColumnData::Blobs(BlobBuilder::new()),
            ValueType::I64List | ValueType::U64List => {
                ColumnData::Ints(IntListBuilder::new(value_type == ValueType::I64List))
            }
        };
        let (validity, raw_bytes) = (Validity::default(), RawBytes::default());
        Self { order, value_type, or_none, data, validity, last_is_none: false, nones: 0, raw_bytes }
    }

    /// Makes room for `rows` rows in all, apart from values of variable length.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> Refusable {
        match &mut self.data {
            ColumnData::I32(cells) => reserve_to(cells, rows)?,
            ColumnData::I64(cells) => reserve_to(cells, rows)?,
            ColumnData::U32(cells) => reserve_to(cells, rows)?,
            ColumnData::U64(cells) => reserve_to(cells, rows)?,
            ColumnData::Bool(bits) => bits.reserve_to(rows)?,
            ColumnData::Dictionary(dictionary) => reserve_to(&mut dictionary.rows, rows)?,
            ColumnData::Text(text) => reserve_to(&mut text.offsets, rows + 1)?,
            ColumnData::Lists(lists) => reserve_to(&mut lists.offsets, rows + 1)?,
            ColumnData::Ancestors(ancestors) => ancestors.reserve_to(rows)?,
            ColumnData::Blobs(blobs) => reserve_to(&mut blobs.offsets, rows + 1)?,
            ColumnData::Ints(ints) => reserve_to(&mut ints.offsets, rows + 1)?,
            ColumnData::Args(args) => reserve_to(&mut args.texts.offsets, rows + 1)?,
        }
        if self.or_none { self.validity.reserve_to(rows) } else { Ok(()) }
    }

    /// Whether a repeated row takes memory beyond that of [`Column::reserve_to`].
    pub(crate) fn is_of_lists(&self) -> bool {
        matches!(self.data, ColumnData::Lists(_) | ColumnData::Ancestors(_))
    }

    /// Makes room to repeat the last row `more` times.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> Refusable {
        match &mut self.data {
            ColumnData::Lists(lists) if !self.last_is_none => lists.reserve_repeats(more),
            ColumnData::Ancestors(ancestors) if !self.last_is_none => ancestors.reserve_repeats(more),
            _ => Ok(()),
        }
    }

    /// Removes everything after the first `rows` rows: what was begun of a row for which memory was missing.
    fn truncate(&mut self, rows: usize) {
        match &mut self.data {
            ColumnData::I32(cells) => cells.truncate(rows),
            ColumnData::I64(cells) => cells.truncate(rows),
            ColumnData::U32(cells) => cells.truncate(rows),
            ColumnData::U64(cells) => cells.truncate(rows),
            ColumnData::Bool(bits) => bits.truncate(rows),
            ColumnData::Dictionary(dictionary) => dictionary.rows.truncate(rows),
            ColumnData::Text(text) => text.truncate(rows),
            ColumnData::Lists(lists) => lists.truncate(rows),
            ColumnData::Ancestors(ancestors) => ancestors.truncate(rows),
            ColumnData::Blobs(blobs) => blobs.truncate(rows),
            ColumnData::Ints(ints) => ints.truncate(rows),
            ColumnData::Args(args) => args.truncate(rows),
        }
        self.validity.truncate(rows);
        self.raw_bytes.truncate(rows);
    }

    /// The place among the columns of a batch.
    pub(crate) fn order(&self) -> usize {
        self.order
    }

    /// Adds a row, for which there must be room apart from its value. Returns at least the bytes of variable length it
    /// takes.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: Value<'_>) -> Refusable<usize> {
        if matches!(value, Value::None) {
            return Ok(self.push_none());
        }
        self.flush_nones();
        let is_whole = match (&mut self.data, value) {
            (ColumnData::I32(cells), Value::I32(value)) => put(cells, value),
            (ColumnData::I64(cells), Value::I64(value)) => put(cells, value),
            (ColumnData::U32(cells), Value::U32(value)) => put(cells, value),
            (ColumnData::U64(cells), Value::U64(value)) => put(cells, value),
            (ColumnData::Bool(cells), Value::Bool(value)) => {
                cells.append(value);
                true
            }
            (ColumnData::Dictionary(dictionary), Value::Keyword(word)) => dictionary.push(word.as_bytes())?,
            (ColumnData::Dictionary(dictionary), Value::Bytes(bytes)) => dictionary.push(bytes)?,
            (ColumnData::Text(text), Value::Bytes(bytes)) => text.push(bytes)?,
            (ColumnData::Lists(lists), Value::BytesList(bytes)) => lists.push(bytes)?,
            (ColumnData::Ancestors(ancestors), Value::Ancestors(bytes)) => {
                ancestors.push(bytes)?;
                true
            }
            (ColumnData::Blobs(blobs), Value::Blob(bytes)) => {
                blobs.push(bytes)?;
                true
            }
            (ColumnData::Ints(lists), Value::Ints(item, bytes)) => {
                lists.push(item, bytes)?;
                true
            }
            (ColumnData::Args(column), Value::Args(args)) => {
                let bytes = column.push(args)?;
                self.validity.append_valid(1);
                self.last_is_none = false;
                return Ok(bytes);
            }
            (_, value) => {
                debug_assert!(false, "{:?} is no {value:?}", self.value_type);
                return Ok(self.push_none());
            }
        };
        self.validity.append_valid(1);
        self.last_is_none = false;
        let (Value::Bytes(bytes) | Value::BytesList(bytes) | Value::Ancestors(bytes) | Value::Blob(bytes)) = value
        else {
            // Items of 64 bits are made of those of 16.
            return Ok(if let Value::Ints(_, bytes) = value { 4 * bytes.len() } else { 0 });
        };
        if is_whole {
            return Ok(bytes.len() + 1);
        }
        self.raw_bytes.push(self.validity.rows() - 1, bytes)?;
        // An escape takes four characters, and the bytes themselves are kept too.
        Ok(5 * bytes.len() + 1)
    }

    /// Does the same, out of line. A second place where it is inlined would make the first slower.
    #[inline(never)]
    pub(crate) fn push_one(&mut self, value: Value<'_>) -> Refusable<usize> {
        self.push(value)
    }

    /// Counts a row without a value. Such rows are written together, because in most columns either all rows have a
    /// value or none.
    #[inline]
    fn push_none(&mut self) -> usize {
        self.nones += 1;
        self.last_is_none = true;
        0
    }

    #[inline]
    fn flush_nones(&mut self) {
        if self.nones > 0 {
            self.push_nones();
        }
    }

    #[inline(never)]
    fn push_nones(&mut self) {
        let (rows, nones) = (self.validity.rows() + self.nones, mem::take(&mut self.nones));
        match &mut self.data {
            ColumnData::I32(cells) => cells.resize(rows, 0),
            ColumnData::I64(cells) => cells.resize(rows, 0),
            ColumnData::U32(cells) => cells.resize(rows, 0),
            ColumnData::U64(cells) => cells.resize(rows, 0),
            ColumnData::Bool(cells) => cells.append_n(nones, false),
            ColumnData::Dictionary(dictionary) => dictionary.rows.resize(rows, 0),
            ColumnData::Text(text) => text.offsets.resize(rows + 1, text.text.len() as i32),
            ColumnData::Lists(lists) => lists.offsets.resize(rows + 1, lists.items.offsets.len() as i32 - 1),
            ColumnData::Ancestors(ancestors) => ancestors.push_empty(nones),
            ColumnData::Blobs(blobs) => blobs.end_to(rows),
            ColumnData::Ints(ints) => ints.end_to(rows),
            ColumnData::Args(args) => args.texts.offsets.resize(rows + 1, args.texts.text.len() as i32),
        }
        self.validity.append_nulls(nones);
    }

    /// Repeats the last row `more` times.
    pub(crate) fn repeat(&mut self, more: usize) {
        self.flush_nones();
        self.raw_bytes.repeat(self.validity.rows(), more);
        match &mut self.data {
            ColumnData::I32(cells) => repeat(cells, more),
            ColumnData::I64(cells) => repeat(cells, more),
            ColumnData::U32(cells) => repeat(cells, more),
            ColumnData::U64(cells) => repeat(cells, more),
            ColumnData::Bool(cells) => {
                let last = cells.last().unwrap_or_default();
                cells.append_n(more, last);
            }
            ColumnData::Dictionary(dictionary) => repeat(&mut dictionary.rows, more),
            // The scope of such a column changes with every event: see `fields.rs`.
            ColumnData::Text(_) | ColumnData::Blobs(_) | ColumnData::Ints(_) | ColumnData::Args(_) => {
                debug_assert_eq!(more, 0, "{:?}", self.value_type);
            }
            ColumnData::Lists(lists) => lists.repeat(more),
            ColumnData::Ancestors(ancestors) => ancestors.repeat(more),
        }
        if self.last_is_none {
            self.validity.append_nulls(more);
        } else {
            self.validity.append_valid(more);
        }
    }

    /// Makes the array of the first `rows` rows, and that of their bytes if the key has one.
    pub(crate) fn finish(mut self, rows: usize, all_null: &AllNull) -> Result<impl Iterator<Item = ArrayRef> + use<>> {
        self.flush_nones();
        self.truncate(rows);
        let nulls = self.validity.finish();
        let column: ArrayRef = match self.data {
            ColumnData::I32(cells) => Arc::new(Int32Array::try_new(cells.into(), nulls)?),
            ColumnData::I64(cells) if self.value_type == ValueType::Time => {
                Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(cells.into(), nulls)?.with_timezone("UTC"))
            }
            ColumnData::I64(cells) => Arc::new(Int64Array::try_new(cells.into(), nulls)?),
            ColumnData::U32(cells) => Arc::new(UInt32Array::try_new(cells.into(), nulls)?),
            ColumnData::U64(cells) => Arc::new(UInt64Array::try_new(cells.into(), nulls)?),
            ColumnData::Bool(cells) => Arc::new(BooleanArray::new(cells.finish(), nulls)),
            ColumnData::Dictionary(dictionary) => {
                let rows = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(dictionary.rows), nulls)?;
                Arc::new(DictionaryArray::try_new(rows, Arc::new(dictionary.text.finish(None)))?)
            }
            ColumnData::Text(text) => Arc::new(text.finish(nulls)),
            ColumnData::Ancestors(ancestors) => {
                let (lists, rows) = ancestors.finish()?;
                return Ok([lists].into_iter().chain(rows));
            }
            ColumnData::Blobs(blobs) => blobs.finish(nulls)?,
            ColumnData::Ints(ints) => ints.finish(nulls)?,
            ColumnData::Args(args) => {
                let [texts, bytes] = args.finish(rows, nulls)?;
                return Ok([texts].into_iter().chain(Some(bytes)));
            }
            ColumnData::Lists(ListBuilder { offsets, items }) => {
                let (offsets, items) = (OffsetBuffer::new(offsets.into()), Arc::new(items.finish(None)));
                Arc::new(ListArray::try_new(item(DataType::Utf8), offsets, items, nulls)?)
            }
        };
        let bytes = match self.value_type {
            ValueType::DictBytes | ValueType::Bytes => Some(self.raw_bytes.finish(rows, all_null)?),
            ValueType::BytesList => Some(self.raw_bytes.finish_lists(rows, all_null)?),
            _ => None,
        };
        Ok([column].into_iter().chain(bytes))
    }
}

/// Adds a number. Returns true because a number needs no raw bytes.
fn put<T>(cells: &mut Vec<T>, value: T) -> bool {
    cells.push(value);
    true
}
