//! The column of one argument as it grows.
#![allow(clippy::cast_possible_wrap, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, ListArray, UInt64Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};

use crate::columns::bits::Validity;
use crate::columns::blobs::BlobBuilder;
use crate::columns::call_table::json::{Json, items, unescape};
use crate::columns::list::ListBuilder;
use crate::columns::raw_bytes::{AllNull, RawBytes};
use crate::columns::schema::item;
use crate::columns::text::TextBuilder;
use crate::error::Result;
use crate::memory::{OutOfMemory, reserve, reserve_text};
use crate::syscall::arguments::{Kind, Shape};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The type of an argument's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// int64.
    Int,
    /// uint64.
    Uint,
    /// float64.
    Seconds,
    /// float64, and for what is said in a word in place of a time, as `UTIME_NOW`, a second column.
    FileTime,
    /// utf8, and a second column for the bytes of what is none.
    Text,
    /// utf8: the name, or the number where it has none.
    Word,
    /// list of utf8.
    Flags,
    /// list of utf8, and a second column for the bytes of what is none.
    Texts,
    /// binary.
    Bytes,
    /// list of int64.
    Ints,
}

impl CellType {
    pub(super) fn of(kind: Kind) -> Self {
        match (kind, kind.shape()) {
            (Kind::FileTime(_), _) => Self::FileTime,
            (_, Shape::Int) => Self::Int,
            (_, Shape::Uint) => Self::Uint,
            (_, Shape::Seconds) => Self::Seconds,
            (_, Shape::Text) => Self::Text,
            (_, Shape::Texts) => Self::Texts,
            (_, Shape::Bytes) => Self::Bytes,
            (_, Shape::Flags) => Self::Flags,
            (_, Shape::Ints) => Self::Ints,
            (_, Shape::Word | Shape::Any) => Self::Word,
        }
    }
}

#[derive(Debug)]
enum Data {
    Int(Vec<i64>),
    Uint(Vec<u64>),
    Seconds(Vec<f64>),
    Text(TextBuilder),
    Lists(ListBuilder),
    Ints(Vec<i32>, Vec<i64>),
    Blobs(BlobBuilder),
}

/// A column as it grows.
#[derive(Debug)]
pub(super) struct Cells {
    kind: CellType,
    data: Data,
    validity: Validity,
    raw_bytes: RawBytes,
    /// Words in place of times, and which rows have one.
    words: Option<(TextBuilder, Validity)>,
    /// A text that is being made.
    text: String,
}

impl Cells {
    /// Creates a column with room for `rows` rows, apart from values of variable length.
    pub(super) fn new(kind: CellType, rows: usize) -> Result<Self> {
        let texts = || {
            let mut texts = TextBuilder::new();
            texts.reserve(rows, 0).map(|()| texts)
        };
        let mut data = match kind {
            CellType::Int => Data::Int(Vec::new()),
            CellType::Uint => Data::Uint(Vec::new()),
            CellType::Seconds | CellType::FileTime => Data::Seconds(Vec::new()),
            CellType::Text | CellType::Word => Data::Text(texts()?),
            CellType::Flags | CellType::Texts => {
                Data::Lists(ListBuilder { offsets: vec![0], items: TextBuilder::new() })
            }
            CellType::Bytes => Data::Blobs(BlobBuilder::new()),
            CellType::Ints => Data::Ints(vec![0], Vec::new()),
        };
        match &mut data {
            Data::Int(cells) => reserve(cells, rows)?,
            Data::Uint(cells) => reserve(cells, rows)?,
            Data::Seconds(cells) => reserve(cells, rows)?,
            Data::Lists(lists) => reserve(&mut lists.offsets, rows)?,
            Data::Ints(offsets, _) => reserve(offsets, rows)?,
            Data::Blobs(blobs) => reserve(&mut blobs.offsets, rows)?,
            Data::Text(_) => {}
        }
        let mut validity = Validity::default();
        validity.reserve_to(rows)?;
        let words = if kind == CellType::FileTime {
            let mut are_words = Validity::default();
            are_words.reserve_to(rows)?;
            Some((texts()?, are_words))
        } else {
            None
        };
        Ok(Self { kind, data, validity, raw_bytes: RawBytes::default(), words, text: String::new() })
    }

    /// Adds the value of a row, for which there must be room. `unshown` are the bytes that the value does not show.
    pub(super) fn push(&mut self, row: usize, value: Json<'_>, unshown: Option<&[u8]>) -> Refusable {
        if self.validity.rows() != row {
            return Ok(());
        }
        self.text.clear();
        let is_pushed = match (&mut self.data, value) {
            (_, Json::Null) => false,
            (Data::Int(cells), Json::Number(number)) => number.parse().map(|value| cells.push(value)).is_ok(),
            (Data::Uint(cells), Json::Number(number)) => number.parse().map(|value| cells.push(value)).is_ok(),
            (Data::Seconds(cells), Json::Number(number)) => number.parse().map(|value| cells.push(value)).is_ok(),
            (Data::Seconds(_), Json::Text(word)) => {
                if let Some((texts, are_words)) = &mut self.words {
                    reserve_text(&mut texts.text, word.len())?;
                    unescape(word, &mut texts.text);
                    texts.end();
                    are_words.append_valid(1);
                }
                false
            }
            (Data::Text(texts), value) => {
                spell(&mut texts.text, value)?;
                texts.end();
                true
            }
            (Data::Lists(lists), Json::List(list)) => {
                for one in items(list) {
                    reserve(&mut lists.items.offsets, 1)?;
                    spell(&mut lists.items.text, one)?;
                    lists.items.end();
                }
                lists.end();
                true
            }
            (Data::Ints(offsets, ints), Json::List(list)) => {
                for one in items(list) {
                    reserve(ints, 1)?;
                    ints.extend(if let Json::Number(number) = one { number.parse::<i64>().ok() } else { None });
                }
                offsets.push(ints.len() as i32);
                true
            }
            (Data::Blobs(blobs), value) => {
                spell(&mut self.text, value)?;
                blobs.push(unshown.unwrap_or(self.text.as_bytes()))?;
                true
            }
            _ => false,
        };
        if is_pushed {
            self.validity.append_valid(1);
            if let (Some(bytes), CellType::Text | CellType::Texts) = (unshown, self.kind) {
                self.raw_bytes.push(row, bytes)?;
            }
        }
        Ok(())
    }

    /// Ends rows that got no value, up to `rows`.
    pub(super) fn end_to(&mut self, rows: usize) {
        let missing = rows - self.validity.rows();
        if let Some((texts, are_words)) = &mut self.words {
            let missing = rows - are_words.rows();
            (0..missing).for_each(|_| texts.end());
            if missing > 0 {
                are_words.append_nulls(missing);
            }
        }
        if missing == 0 {
            return;
        }
        match &mut self.data {
            Data::Int(cells) => cells.resize(rows, 0),
            Data::Uint(cells) => cells.resize(rows, 0),
            Data::Seconds(cells) => cells.resize(rows, 0.0),
            Data::Text(texts) => (0..missing).for_each(|_| texts.end()),
            Data::Lists(lists) => (0..missing).for_each(|_| lists.end()),
            Data::Ints(offsets, ints) => offsets.resize(rows + 1, ints.len() as i32),
            Data::Blobs(blobs) => blobs.end_to(rows),
        }
        self.validity.append_nulls(missing);
    }

    /// Makes the column of that name, and the one that goes with it.
    pub(super) fn finish(self, name: &str, rows: usize, all_null: &AllNull) -> Result<Vec<(Field, ArrayRef)>> {
        let nulls = self.validity.finish();
        let column: ArrayRef = match self.data {
            Data::Int(cells) => Arc::new(Int64Array::try_new(cells.into(), nulls)?),
            Data::Uint(cells) => Arc::new(UInt64Array::try_new(cells.into(), nulls)?),
            Data::Seconds(cells) => Arc::new(Float64Array::try_new(cells.into(), nulls)?),
            Data::Text(texts) => Arc::new(texts.finish(nulls)),
            Data::Blobs(blobs) => blobs.finish(nulls)?,
            Data::Lists(ListBuilder { offsets, items }) => {
                let (offsets, items) = (OffsetBuffer::new(offsets.into()), Arc::new(items.finish(None)));
                Arc::new(ListArray::try_new(item(DataType::Utf8), offsets, items, nulls)?)
            }
            Data::Ints(offsets, ints) => {
                let (offsets, ints) =
                    (OffsetBuffer::new(offsets.into()), Arc::new(Int64Array::try_new(ints.into(), None)?));
                Arc::new(ListArray::try_new(item(DataType::Int64), offsets, ints, nulls)?)
            }
        };
        let second: Option<(&str, ArrayRef)> = match self.kind {
            CellType::Text => Some(("bytes", self.raw_bytes.finish(rows, all_null)?)),
            CellType::Texts => Some(("bytes", self.raw_bytes.finish_lists(rows, all_null)?)),
            _ => self.words.map(|(texts, are_words)| ("word", Arc::new(texts.finish(are_words.finish())) as ArrayRef)),
        };
        let field = |name: &str, column: &ArrayRef| Field::new(name, column.data_type().clone(), true);
        let first = (field(name, &column), column);
        let second = second.map(|(suffix, column)| (field(&format!("{name}_{suffix}"), &column), column));
        Ok([first].into_iter().chain(second).collect())
    }
}

/// Appends a value as text. Items of a list stand with `|` between them.
fn spell(text: &mut String, value: Json<'_>) -> Refusable {
    match value {
        Json::Null => {}
        Json::Number(number) => {
            reserve_text(text, number.len())?;
            text.push_str(number);
        }
        Json::Text(escaped) => {
            reserve_text(text, escaped.len())?;
            unescape(escaped, text);
        }
        Json::List(list) => {
            reserve_text(text, list.len())?;
            for (at, one) in items(list).enumerate() {
                if at > 0 {
                    text.push('|');
                }
                spell(text, one)?;
            }
        }
    }
    Ok(())
}
