//! Rows of counts as Arrow's columns.
#![allow(clippy::cast_possible_wrap, reason = "offsets fit both, as in `columns/column.rs`")]

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray, UInt64Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};

use crate::columns::column::Column;
use crate::columns::raw_bytes::Zeros;
use crate::columns::schema::{fields_of, item};
use crate::columns::text::TextBuilder;
use crate::error::Result;
use crate::event::ints::IntItem;
use crate::event::values::Value;
use crate::fields::ValueType;
use crate::memory::with_capacity;

/// The columns: name, type, and whether there can be no value.
pub const KEYS: [(&str, ValueType, bool); 9] = [
    ("syscall", ValueType::Keyword, true),
    ("abi", ValueType::Keyword, false),
    ("pid", ValueType::U32, true),
    ("comm", ValueType::DictBytes, true),
    ("calls", ValueType::U64, false),
    ("errors", ValueType::U64, false),
    ("total_ns", ValueType::U64, true),
    ("max_ns", ValueType::U64, true),
    ("histogram", ValueType::U64List, true),
];

/// The last column: errors by name, a list of structures.
pub const ERRNOS: &str = "errnos";

/// One row, as a caller has it.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the column of that name")]
pub struct CountRow {
    pub syscall: Option<String>,
    pub abi: String,
    pub pid: Option<u32>,
    pub comm: Option<Vec<u8>>,
    pub calls: u64,
    pub errors: u64,
    pub errnos: Vec<(String, u64)>,
    pub total_ns: Option<u64>,
    pub max_ns: Option<u64>,
    pub histogram: Option<Vec<u64>>,
}

/// Makes the columns.
///
/// # Errors
///
/// [`crate::error::Error::Memory`].
pub fn batch(rows: &[CountRow]) -> Result<RecordBatch> {
    let fields = KEYS.into_iter().flat_map(|(name, kind, or_none)| fields_of(name, kind, or_none));
    let errnos = Field::new(ERRNOS, DataType::List(errno_item()), false);
    let schema = Arc::new(Schema::new(fields.chain([errnos]).collect::<Vec<_>>()));
    let mut columns: Vec<_> =
        KEYS.into_iter().enumerate().map(|(order, (_, kind, or_none))| Column::of(order, kind, or_none)).collect();
    let mut zeros = Zeros::default();
    zeros.reserve_to(rows.len())?;
    for column in &mut columns {
        column.reserve_to(rows.len())?;
    }
    for row in rows {
        let buckets: Option<Vec<u8>> =
            row.histogram.as_ref().map(|buckets| buckets.iter().flat_map(|count| count.to_le_bytes()).collect());
        let values = [
            Value::from(row.syscall.as_deref()),
            Value::from(row.abi.as_str()),
            Value::from(row.pid),
            Value::from(row.comm.as_deref()),
            Value::from(row.calls),
            Value::from(row.errors),
            Value::from(row.total_ns),
            Value::from(row.max_ns),
            buckets.as_deref().map_or(Value::None, |bytes| Value::Ints(IntItem::new(8, false), bytes)),
        ];
        for (column, value) in columns.iter_mut().zip(values) {
            column.push_one(value)?;
        }
    }
    let all_null = zeros.finish(rows.len())?;
    let mut arrays = Vec::new();
    for column in columns {
        arrays.extend(column.finish(rows.len(), &all_null)?);
    }
    arrays.push(errno_lists(rows)?);
    Ok(RecordBatch::try_new(schema, arrays)?)
}

fn errno_members() -> Fields {
    [("errno", DataType::Utf8), ("count", DataType::UInt64)]
        .into_iter()
        .map(|(name, kind)| Field::new(name, kind, false))
        .collect()
}

fn errno_item() -> Arc<Field> {
    item(DataType::Struct(errno_members()))
}

fn errno_lists(rows: &[CountRow]) -> Result<ArrayRef> {
    let errnos = || rows.iter().flat_map(|row| &row.errnos);
    let (mut names, mut counts) = (TextBuilder::new(), with_capacity(errnos().count())?);
    for (name, count) in errnos() {
        names.push(name.as_bytes())?;
        counts.push(*count);
    }
    let members: [ArrayRef; 2] = [Arc::new(names.finish(None)), Arc::new(UInt64Array::try_new(counts.into(), None)?)];
    let items = StructArray::try_new(errno_members(), members.into(), None)?;
    let mut offsets = with_capacity(rows.len() + 1)?;
    offsets.push(0_i32);
    let mut end = 0;
    for row in rows {
        end += row.errnos.len() as i32;
        offsets.push(end);
    }
    Ok(Arc::new(ListArray::try_new(errno_item(), OffsetBuffer::new(offsets.into()), Arc::new(items), None)?))
}
