//! The Arrow columns of each key.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::fields::{Fields, Key, ValueType};

/// Returns the schema of a set of keys. It does not depend on the events.
#[must_use]
pub fn schema(wanted: Fields) -> SchemaRef {
    Arc::new(Schema::new(wanted.keys().flat_map(fields).collect::<Vec<_>>()))
}

/// The column with the row whose ancestors a row has, where that is an earlier one.
#[cfg(feature = "history")]
pub(crate) const ANCESTORS_ROW: &str = "ancestors_row";

/// Returns the schema of batches that store the ancestors of several rows once.
#[cfg(feature = "history")]
pub(crate) fn shared(wanted: Fields) -> SchemaRef {
    Arc::new(Schema::new(wanted.keys().flat_map(shared_fields).collect::<Vec<_>>()))
}

/// Returns the columns of a key in such batches.
#[cfg(feature = "history")]
pub(crate) fn shared_fields(key: Key) -> impl Iterator<Item = Field> {
    let row = (key.value_type() == ValueType::Ancestors).then(|| Field::new(ANCESTORS_ROW, DataType::Int32, true));
    fields(key).chain(row)
}

/// Returns the columns of a key. A key whose bytes are usually text has a second one, with the bytes of values that are
/// not.
pub(crate) fn fields(key: Key) -> impl Iterator<Item = Field> {
    fields_of(key.as_str(), key.value_type(), key.or_none())
}

/// Returns the columns of a key with that name and type.
pub(crate) fn fields_of(name: &str, kind: ValueType, or_none: bool) -> impl Iterator<Item = Field> + use<> {
    let (text, bytes) = match kind {
        ValueType::Time => (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), None),
        ValueType::I32 => (DataType::Int32, None),
        ValueType::I64 => (DataType::Int64, None),
        ValueType::U32 => (DataType::UInt32, None),
        ValueType::U64 => (DataType::UInt64, None),
        ValueType::Bool => (DataType::Boolean, None),
        ValueType::Keyword => (one_of_few(), None),
        ValueType::DictBytes => (one_of_few(), Some(DataType::Binary)),
        ValueType::Bytes => (DataType::Utf8, Some(DataType::Binary)),
        ValueType::BytesList => (DataType::List(item(DataType::Utf8)), Some(DataType::List(item(DataType::Binary)))),
        ValueType::Ancestors => (list_of_ancestors(), None),
        ValueType::Args => (DataType::Utf8, Some(DataType::List(args_bytes_item()))),
        ValueType::Blob => (DataType::Binary, None),
        ValueType::I64List => (DataType::List(item(DataType::Int64)), None),
        ValueType::U64List => (DataType::List(item(DataType::UInt64)), None),
    };
    let bytes = bytes.map(|kind| Field::new(format!("{name}_bytes"), kind, true));
    [Field::new(name, text, or_none)].into_iter().chain(bytes)
}

fn one_of_few() -> DataType {
    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
}

pub(crate) fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, false))
}

/// The members of an argument's bytes.
pub(crate) fn args_bytes_members() -> arrow_schema::Fields {
    let members = [("name", DataType::Utf8), ("bytes", DataType::Binary), ("is_text", DataType::Boolean)];
    members.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect()
}

/// The field of one argument's bytes in the list of a row.
pub(crate) fn args_bytes_item() -> Arc<Field> {
    item(DataType::Struct(args_bytes_members()))
}

/// The members of an ancestor.
pub(crate) fn ancestor_members() -> arrow_schema::Fields {
    let members = [
        ("pid", DataType::UInt32, false),
        ("comm", DataType::Utf8, false),
        ("comm_bytes", DataType::Binary, true),
        ("argv", DataType::List(item(DataType::Utf8)), true),
        ("argv_bytes", DataType::List(item(DataType::Binary)), true),
    ];
    members.into_iter().map(|(name, kind, or_none)| Field::new(name, kind, or_none)).collect()
}

/// The field of one ancestor in the list of a row.
pub(crate) fn ancestor() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(ancestor_members()), false))
}

/// The type of the column of ancestors.
pub(crate) fn list_of_ancestors() -> DataType {
    DataType::List(ancestor())
}
