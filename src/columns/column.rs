//! One column of a batch as it grows: values to Arrow's buffers, without an allocation for each, and none that cannot be
//! refused.
//!
//! Offsets are Arrow's `i32`. The bound on a batch's bytes, and so on the items of its lists, is far below what they can
//! tell (`columns.rs`).
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both")]

use std::mem;
use std::sync::Arc;

use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, PrimitiveArray, StringArray,
    UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, TimeUnit};
use rustc_hash::FxHashMap;

use crate::columns::ancestors::{self, Ancestry};
use crate::columns::bits::{Bits, Validity};
use crate::columns::raw_bytes::{Lossy, Nothing};
use crate::error::Result;
use crate::event::values::{Value, texts};
use crate::fields::{Key, Kind};
use crate::memory::{OutOfMemory, fallible, probe, reserve, reserve_text, reserve_to};

/// What can be refused for want of memory.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The column of a key; for bytes that are text as a rule a second one, of the bytes themselves where they are not.
pub(crate) fn fields(key: Key) -> impl Iterator<Item = Field> {
    let (text, bytes) = match key.kind() {
        Kind::Time => (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), None),
        Kind::I32 => (DataType::Int32, None),
        Kind::I64 => (DataType::Int64, None),
        Kind::U32 => (DataType::UInt32, None),
        Kind::U64 => (DataType::UInt64, None),
        Kind::Bool => (DataType::Boolean, None),
        Kind::Word => (one_of_few(), None),
        Kind::Name => (one_of_few(), Some(DataType::Binary)),
        Kind::Text => (DataType::Utf8, Some(DataType::Binary)),
        Kind::Texts => (DataType::List(item(DataType::Utf8)), Some(DataType::List(item(DataType::Binary)))),
        Kind::Ancestors => (ancestors::kind(), None),
    };
    let bytes = bytes.map(|kind| Field::new(format!("{}_bytes", key.as_str()), kind, true));
    [Field::new(key.as_str(), text, key.or_none())].into_iter().chain(bytes)
}

fn one_of_few() -> DataType {
    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
}

pub(crate) fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, false))
}

/// Texts one behind the other.
#[derive(Debug)]
pub(crate) struct Text {
    offsets: Vec<i32>,
    text: String,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { offsets: vec![0], text: String::new() }
    }

    /// Makes room for so many more, of so many bytes as they are shown.
    pub(crate) fn reserve(&mut self, more: usize, bytes: usize) -> Refusable {
        reserve(&mut self.offsets, more)?;
        reserve_text(&mut self.text, bytes)
    }

    /// So many at the end, all of them `more` times again. By doubling: what was added is copied with what it was copied
    /// from.
    pub(crate) fn repeat(&mut self, items: usize, more: usize) {
        let Self { offsets, text } = self;
        let first = offsets.len() - 1 - items;
        let start = offsets[first] as usize;
        let bytes = text.len() - start;
        let mut lists = 1;
        while lists <= more {
            let again = lists.min(more + 1 - lists);
            text.extend_from_within(start..start + again * bytes);
            let (added, shift) = (offsets.len(), (lists * bytes) as i32);
            offsets.extend_from_within(first + 1..=first + again * items);
            offsets[added..].iter_mut().for_each(|offset| *offset += shift);
            lists += again;
        }
    }

    /// Takes away what stands behind so many of them.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.text.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    /// Ends the current one.
    fn end(&mut self) {
        self.offsets.push(self.text.len() as i32);
    }

    /// Adds one; `\xNN` stands for each byte that is not UTF-8. False when there was such a byte.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        let whole = text_of(bytes);
        if let Some(text) = whole {
            self.reserve(1, text.len())?;
            self.text.push_str(text);
        } else {
            self.reserve(1, shown_bytes(bytes))?;
            escape(bytes, &mut self.text);
        }
        self.end();
        Ok(whole.is_some())
    }

    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> StringArray {
        let offsets = OffsetBuffer::new(self.offsets.into());
        // SAFETY: the bytes are a string's, and each offset was its length at a time: between two characters.
        unsafe { StringArray::new_unchecked(offsets, self.text.into_bytes().into(), nulls) }
    }
}

/// The bytes as text, if that is what they are. To look for ASCII first saves 3 of a basic event's 42 ns.
#[inline]
fn text_of(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { str::from_utf8_unchecked(bytes) });
    }
    str::from_utf8(bytes).ok()
}

/// As many as [`escape`] makes of them.
pub(crate) fn shown_bytes(bytes: &[u8]) -> usize {
    bytes.utf8_chunks().map(|chunk| chunk.valid().len() + 4 * chunk.invalid().len()).sum()
}

fn escape(bytes: &[u8], text: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
}

/// Texts out of few, each once, and where each row's is.
#[derive(Debug)]
struct Words {
    rows: Vec<i32>,
    /// By the bytes as they came: where the text is, and whether it is all of them.
    known: FxHashMap<Box<[u8]>, (i32, bool)>,
    /// The last one, which mostly comes again.
    last: Vec<u8>,
    last_is: (i32, bool),
    text: Text,
}

impl Words {
    fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        if self.last != bytes || self.known.is_empty() {
            self.last.clear();
            reserve(&mut self.last, bytes.len())?;
            self.last_is = match self.known.get(bytes) {
                Some(known) => *known,
                None => self.add(bytes)?,
            };
            self.last.extend_from_slice(bytes);
        }
        let (at, whole) = self.last_is;
        self.rows.push(at);
        Ok(whole)
    }

    #[cold]
    fn add(&mut self, bytes: &[u8]) -> Refusable<(i32, bool)> {
        fallible(|| self.known.try_reserve(2))?;
        // For its keys, as long as a name, which are small and stay.
        probe(8 * bytes.len() + 4096)?;
        let next = self.text.offsets.len() as i32 - 1;
        let mut shown = String::new();
        escape(bytes, &mut shown);
        let whole = shown.as_bytes() == bytes;
        // What is escaped may read as another's plain text does: a dictionary has each text once.
        let at = self.known.get(shown.as_bytes()).map_or(next, |(at, _)| *at);
        if at == next {
            self.text.push(shown.as_bytes())?;
            self.known.insert(shown.into_bytes().into(), (at, true));
        }
        self.known.insert(bytes.into(), (at, whole));
        Ok((at, whole))
    }
}

/// Lists of texts.
#[derive(Debug)]
struct Lists {
    offsets: Vec<i32>,
    items: Text,
}

impl Lists {
    fn end(&mut self) {
        self.offsets.push(self.items.offsets.len() as i32 - 1);
    }

    fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        let mut whole = true;
        for text in texts(bytes) {
            whole &= self.items.push(text)?;
        }
        self.end();
        Ok(whole)
    }

    /// Makes room for the last row so many times again.
    fn reserve_repeats(&mut self, more: usize) -> Refusable {
        let [.., first, end] = self.offsets[..] else { return Ok(()) };
        let bytes = self.items.text.len() - self.items.offsets[first as usize] as usize;
        self.items.reserve(more.saturating_mul((end - first) as usize), more.saturating_mul(bytes))
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.items.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    fn repeat(&mut self, more: usize) {
        let [.., first, end] = self.offsets[..] else { return };
        let items = (end - first) as usize;
        self.items.repeat(items, more);
        self.offsets.extend((1..=more).map(|list| end + (list * items) as i32));
    }
}

#[derive(Debug)]
enum Cells {
    I32(Vec<i32>),
    I64(Vec<i64>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Bool(Bits),
    Words(Words),
    Text(Text),
    Lists(Lists),
    Ancestry(Ancestry),
}

fn repeat<T: Copy>(cells: &mut Vec<T>, more: usize) {
    if let Some(last) = cells.last().copied() {
        cells.resize(cells.len() + more, last);
    }
}

/// A column as it grows.
#[derive(Debug)]
pub(crate) struct Column {
    key: Key,
    cells: Cells,
    validity: Validity,
    last_is_none: bool,
    /// Rows at the end that have no value and are not written yet.
    nones: usize,
    lossy: Lossy,
}

impl Column {
    /// Of a key, with room for no row yet.
    pub(crate) fn new(key: Key) -> Self {
        let cells = match key.kind() {
            Kind::I32 => Cells::I32(Vec::new()),
            Kind::Time | Kind::I64 => Cells::I64(Vec::new()),
            Kind::U32 => Cells::U32(Vec::new()),
            Kind::U64 => Cells::U64(Vec::new()),
            Kind::Bool => Cells::Bool(Bits::default()),
            Kind::Word | Kind::Name => Cells::Words(Words {
                rows: Vec::new(),
                known: FxHashMap::default(),
                last: Vec::new(),
                last_is: (0, true),
                text: Text::new(),
            }),
            Kind::Text => Cells::Text(Text::new()),
            Kind::Ancestors => Cells::Ancestry(Ancestry::new()),
            Kind::Texts => Cells::Lists(Lists { offsets: vec![0], items: Text::new() }),
        };
        Self { key, cells, validity: Validity::default(), last_is_none: false, nones: 0, lossy: Lossy::default() }
    }

    /// Makes room for so many rows in all, but for what their values take of variable length.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> Refusable {
        match &mut self.cells {
            Cells::I32(cells) => reserve_to(cells, rows)?,
            Cells::I64(cells) => reserve_to(cells, rows)?,
            Cells::U32(cells) => reserve_to(cells, rows)?,
            Cells::U64(cells) => reserve_to(cells, rows)?,
            Cells::Bool(bits) => bits.reserve_to(rows)?,
            Cells::Words(words) => reserve_to(&mut words.rows, rows)?,
            Cells::Text(text) => reserve_to(&mut text.offsets, rows + 1)?,
            Cells::Lists(lists) => reserve_to(&mut lists.offsets, rows + 1)?,
            Cells::Ancestry(ancestry) => ancestry.reserve_to(rows)?,
        }
        if self.key.or_none() { self.validity.reserve_to(rows) } else { Ok(()) }
    }

    /// Whether a row that is repeated takes more than its part of [`Column::reserve_to`].
    pub(crate) fn is_of_lists(&self) -> bool {
        matches!(self.cells, Cells::Lists(_) | Cells::Ancestry(_))
    }

    /// Makes room for the last row so many times again.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> Refusable {
        match &mut self.cells {
            Cells::Lists(lists) if !self.last_is_none => lists.reserve_repeats(more),
            Cells::Ancestry(ancestry) if !self.last_is_none => ancestry.reserve_repeats(more),
            _ => Ok(()),
        }
    }

    /// Takes away what stands behind so many rows: of one that was begun, and for which there was no memory.
    fn truncate(&mut self, rows: usize) {
        match &mut self.cells {
            Cells::I32(cells) => cells.truncate(rows),
            Cells::I64(cells) => cells.truncate(rows),
            Cells::U32(cells) => cells.truncate(rows),
            Cells::U64(cells) => cells.truncate(rows),
            Cells::Bool(bits) => bits.truncate(rows),
            Cells::Words(words) => words.rows.truncate(rows),
            Cells::Text(text) => text.truncate(rows),
            Cells::Lists(lists) => lists.truncate(rows),
            Cells::Ancestry(ancestry) => ancestry.truncate(rows),
        }
        self.validity.truncate(rows);
        self.lossy.truncate(rows);
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Adds a row, for which there is room but for its value; says how many bytes of variable length that takes, or more.
    #[inline]
    pub(crate) fn push(&mut self, value: Value<'_>) -> Refusable<usize> {
        if matches!(value, Value::None) {
            return Ok(self.push_none());
        }
        self.settle();
        let whole = match (&mut self.cells, value) {
            (Cells::I32(cells), Value::I32(value)) => put(cells, value),
            (Cells::I64(cells), Value::I64(value)) => put(cells, value),
            (Cells::U32(cells), Value::U32(value)) => put(cells, value),
            (Cells::U64(cells), Value::U64(value)) => put(cells, value),
            (Cells::Bool(cells), Value::Bool(value)) => {
                cells.append(value);
                true
            }
            (Cells::Words(words), Value::Word(word)) => words.push(word.as_bytes())?,
            (Cells::Words(words), Value::Text(bytes)) => words.push(bytes)?,
            (Cells::Text(text), Value::Text(bytes)) => text.push(bytes)?,
            (Cells::Lists(lists), Value::Texts(bytes)) => lists.push(bytes)?,
            (Cells::Ancestry(ancestry), Value::Ancestors(bytes)) => {
                ancestry.push(bytes)?;
                true
            }
            (_, value) => {
                debug_assert!(false, "{:?} is no {value:?}", self.key);
                return Ok(self.push_none());
            }
        };
        self.validity.append_valid(1);
        self.last_is_none = false;
        let (Value::Text(bytes) | Value::Texts(bytes) | Value::Ancestors(bytes)) = value else { return Ok(0) };
        if whole {
            return Ok(bytes.len() + 1);
        }
        self.lossy.push(self.validity.rows() - 1, bytes)?;
        // An escape is four characters, and the bytes are there once more.
        Ok(5 * bytes.len() + 1)
    }

    /// Few columns have only some values: most have all, or none.
    #[inline]
    fn push_none(&mut self) -> usize {
        self.nones += 1;
        self.last_is_none = true;
        0
    }

    #[inline]
    fn settle(&mut self) {
        if self.nones > 0 {
            self.push_nones();
        }
    }

    #[inline(never)]
    fn push_nones(&mut self) {
        let (rows, nones) = (self.validity.rows() + self.nones, mem::take(&mut self.nones));
        match &mut self.cells {
            Cells::I32(cells) => cells.resize(rows, 0),
            Cells::I64(cells) => cells.resize(rows, 0),
            Cells::U32(cells) => cells.resize(rows, 0),
            Cells::U64(cells) => cells.resize(rows, 0),
            Cells::Bool(cells) => cells.append_n(nones, false),
            Cells::Words(words) => words.rows.resize(rows, 0),
            Cells::Text(text) => text.offsets.resize(rows + 1, text.text.len() as i32),
            Cells::Lists(lists) => lists.offsets.resize(rows + 1, lists.items.offsets.len() as i32 - 1),
            Cells::Ancestry(ancestry) => ancestry.push_empty(nones),
        }
        self.validity.append_nulls(nones);
    }

    /// The last row so many times again.
    pub(crate) fn repeat(&mut self, more: usize) {
        self.settle();
        self.lossy.repeat(self.validity.rows(), more);
        match &mut self.cells {
            Cells::I32(cells) => repeat(cells, more),
            Cells::I64(cells) => repeat(cells, more),
            Cells::U32(cells) => repeat(cells, more),
            Cells::U64(cells) => repeat(cells, more),
            Cells::Bool(cells) => {
                let last = cells.last().unwrap_or_default();
                cells.append_n(more, last);
            }
            Cells::Words(words) => repeat(&mut words.rows, more),
            // Of the part that is never the same: see `fields.rs`.
            Cells::Text(_) => debug_assert_eq!(more, 0, "{:?}", self.key),
            Cells::Lists(lists) => lists.repeat(more),
            Cells::Ancestry(ancestry) => ancestry.repeat(more),
        }
        if self.last_is_none {
            self.validity.append_nulls(more);
        } else {
            self.validity.append_valid(more);
        }
    }

    /// The column of so many rows, and that of the bytes.
    pub(crate) fn finish(mut self, rows: usize, nothing: &Nothing) -> Result<impl Iterator<Item = ArrayRef> + use<>> {
        self.settle();
        self.truncate(rows);
        let nulls = self.validity.finish();
        let column: ArrayRef = match self.cells {
            Cells::I32(cells) => Arc::new(Int32Array::try_new(cells.into(), nulls)?),
            Cells::I64(cells) if self.key.kind() == Kind::Time => {
                Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(cells.into(), nulls)?.with_timezone("UTC"))
            }
            Cells::I64(cells) => Arc::new(Int64Array::try_new(cells.into(), nulls)?),
            Cells::U32(cells) => Arc::new(UInt32Array::try_new(cells.into(), nulls)?),
            Cells::U64(cells) => Arc::new(UInt64Array::try_new(cells.into(), nulls)?),
            Cells::Bool(cells) => Arc::new(BooleanArray::new(cells.finish(), nulls)),
            Cells::Words(words) => {
                let rows = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(words.rows), nulls)?;
                Arc::new(DictionaryArray::try_new(rows, Arc::new(words.text.finish(None)))?)
            }
            Cells::Text(text) => Arc::new(text.finish(nulls)),
            Cells::Ancestry(ancestry) => ancestry.finish()?,
            Cells::Lists(Lists { offsets, items }) => {
                let (offsets, items) = (OffsetBuffer::new(offsets.into()), Arc::new(items.finish(None)));
                Arc::new(ListArray::try_new(item(DataType::Utf8), offsets, items, nulls)?)
            }
        };
        let bytes = match self.key.kind() {
            Kind::Name | Kind::Text => Some(self.lossy.finish(rows, nothing)?),
            Kind::Texts => Some(self.lossy.finish_lists(rows, nothing)?),
            _ => None,
        };
        Ok([column].into_iter().chain(bytes))
    }
}

/// A number is always all that it is.
fn put<T>(cells: &mut Vec<T>, value: T) -> bool {
    cells.push(value);
    true
}
