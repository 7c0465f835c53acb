//! The columns of recorded events, and the conversion from those of a batch.
//!
//! Engines read the files as they are. So there are no dictionaries, no unsigned integers and no timestamps in
//! nanoseconds: Spark, Iceberg and Delta know none of one or the other.

use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Int32Array, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow_select::interleave::interleave;

use crate::columns::schema::{ANCESTORS_ROW, shared_fields as raw_fields};
use crate::error::{Error, Result};
use crate::fields::{Fields, Key, ValueType};

/// The version of the schema. It rises when a column changes its type or its meaning, not when one is added.
pub(crate) const VERSION: i64 = 1;

/// The keys without which nothing can be recorded: an event's time, identity and losses.
pub const REQUIRED: [Key; 5] = [Key::TsNs, Key::Cpu, Key::Seq, Key::Lost, Key::Via];

/// The column with the session's start, a part of an event's identity.
pub(crate) const SESSION: &str = "session";

/// The column with the host. Files do not have it: their directory does.
pub(crate) const HOST: &str = "host";

/// The columns of all keys.
pub(crate) fn full() -> &'static SchemaRef {
    static FULL: OnceLock<SchemaRef> = OnceLock::new();
    FULL.get_or_init(|| schema(Key::ALL.iter().copied()))
}

/// The columns of some keys.
pub(crate) fn schema(keys: impl Iterator<Item = Key>) -> SchemaRef {
    let session = Field::new(SESSION, DataType::Int64, false);
    Arc::new(Schema::new([session].into_iter().chain(keys.flat_map(columns)).collect::<Vec<_>>()))
}

/// The columns that a log has of these keys.
fn logged(keys: impl Iterator<Item = Key>) -> SchemaRef {
    let session = Field::new(SESSION, DataType::Int64, false);
    let columns = keys.flat_map(|key| {
        let row = (key.value_type() == ValueType::Ancestors).then(|| Field::new(ANCESTORS_ROW, DataType::Int32, true));
        columns(key).into_iter().chain(row)
    });
    Arc::new(Schema::new([session].into_iter().chain(columns).collect::<Vec<_>>()))
}

/// The columns of a log's batch that are recorded.
pub(crate) fn recorded(schema: &Schema) -> SchemaRef {
    let is_recorded = |field: &&FieldRef| field.name() != ANCESTORS_ROW;
    Arc::new(Schema::new(schema.fields().iter().filter(is_recorded).cloned().collect::<Vec<_>>()))
}

/// The rows whose ancestors other rows of a log's batch have.
pub(crate) fn ancestors_rows<'a>(batch: &'a RecordBatch, list: &str) -> Option<&'a Int32Array> {
    if list != Key::Ancestors.as_str() {
        return None;
    }
    batch.column_by_name(ANCESTORS_ROW)?.as_primitive_opt()
}

/// Gives each row of a log's batch its own ancestors.
pub(crate) fn unshare(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = recorded(&batch.schema());
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).ok_or_else(|| Error::Columns("a column is gone".into()))?;
        let Some(rows) = ancestors_rows(batch, field.name()) else {
            return Ok(Arc::clone(column));
        };
        let row =
            |at: usize| if rows.is_valid(at) { usize::try_from(rows.value(at)).unwrap_or(usize::MAX) } else { at };
        if (0..batch.num_rows()).any(|at| row(at) > at) {
            return Err(Error::Columns("ancestors of a later row".into()));
        }
        let places: Vec<_> = (0..batch.num_rows()).map(|at| (0, row(at))).collect();
        Ok(interleave(&[column.as_ref()], &places)?)
    });
    let columns = columns.collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn columns(key: Key) -> Vec<Field> {
    let name = key.as_str();
    let one = |kind| Field::new(name, kind, true);
    let bytes = |kind| Field::new(format!("{name}_bytes"), kind, true);
    match key.value_type() {
        ValueType::Time => vec![
            Field::new(
                name.trim_end_matches("_ns"),
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                false,
            ),
            Field::new(name, DataType::Int64, false),
        ],
        ValueType::I32 => vec![one(DataType::Int32)],
        ValueType::I64 | ValueType::U32 | ValueType::U64 => vec![one(DataType::Int64)],
        ValueType::Bool => vec![one(DataType::Boolean)],
        ValueType::Keyword => vec![one(DataType::Utf8)],
        ValueType::DictBytes | ValueType::Bytes => vec![one(DataType::Utf8), bytes(DataType::Binary)],
        ValueType::BytesList => vec![one(list_of(DataType::Utf8)), bytes(list_of(DataType::Binary))],
        ValueType::Ancestors => vec![one(DataType::List(ancestor()))],
        // They may be anybody's secrets.
        ValueType::Args => Vec::new(),
        ValueType::Blob => vec![one(DataType::Binary)],
        ValueType::I64List => vec![one(list_of(DataType::Int64))],
        ValueType::U64List => vec![one(list_of(DataType::UInt64))],
    }
}

/// The member of a list. Parquet has a name for it, by which Iceberg looks for it.
fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("element", kind, false))
}

fn list_of(kind: DataType) -> DataType {
    DataType::List(item(kind))
}

fn ancestor_members() -> arrow_schema::Fields {
    let members = [
        ("pid", DataType::Int64, false),
        ("comm", DataType::Utf8, false),
        ("comm_bytes", DataType::Binary, true),
        ("argv", list_of(DataType::Utf8), true),
        ("argv_bytes", list_of(DataType::Binary), true),
    ];
    members.into_iter().map(|(name, kind, or_none)| Field::new(name, kind, or_none)).collect()
}

fn ancestor() -> FieldRef {
    item(DataType::Struct(ancestor_members()))
}

/// Converts batches of a tracer to recorded ones.
#[derive(Debug)]
pub(crate) struct Converter {
    fields: Fields,
    schema: SchemaRef,
    session: i64,
    redacts_argv: bool,
}

impl Converter {
    pub(crate) fn new(fields: Fields, session: i64, redacts_argv: bool) -> Self {
        Self { fields, schema: logged(fields.keys()), session, redacts_argv }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Converts a batch that has the columns of the fields.
    pub(crate) fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(self.session, rows))];
        let mut columns = batch.columns().iter();
        for key in self.fields.keys() {
            let taken: Vec<_> = columns.by_ref().take(raw_fields(key).count()).collect();
            self.add(key, &taken, &mut arrays)?;
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn add(&self, key: Key, columns: &[&ArrayRef], arrays: &mut Vec<ArrayRef>) -> Result<()> {
        let Some((column, bytes)) = columns.split_first() else {
            return Err(Error::Columns(format!("no column of {}", key.as_str())));
        };
        match key.value_type() {
            ValueType::Time => {
                let ns = column.as_primitive::<TimestampNanosecondType>();
                let us = ns.unary::<_, TimestampMicrosecondType>(|ns| ns.div_euclid(1000)).with_timezone("UTC");
                arrays.push(Arc::new(us));
                arrays.push(Arc::new(ns.reinterpret_cast::<Int64Type>()));
            }
            ValueType::Args => {}
            ValueType::I32 | ValueType::I64 | ValueType::Bool | ValueType::Bytes => {
                arrays.extend(columns.iter().map(|column| Arc::clone(column)));
            }
            ValueType::U32 => arrays.push(Arc::new(widened(column))),
            // Device and inode numbers of some file systems use the highest bit.
            ValueType::U64 => {
                arrays.push(Arc::new(column.as_primitive::<UInt64Type>().unary::<_, Int64Type>(u64::cast_signed)));
            }
            ValueType::Keyword | ValueType::DictBytes => {
                arrays.push(Arc::new(plain(column)?));
                arrays.extend(bytes.iter().map(|bytes| Arc::clone(bytes)));
            }
            ValueType::BytesList if self.redacts_argv => {
                let kinds = [DataType::Utf8, DataType::Binary].map(list_of);
                arrays.extend(columns.iter().zip(kinds).map(|(column, kind)| new_null_array(&kind, column.len())));
            }
            ValueType::BytesList => {
                for (column, kind) in columns.iter().zip([DataType::Utf8, DataType::Binary].map(list_of)) {
                    arrays
                        .push(renamed(column, &kind).ok_or_else(|| Error::Columns("a list of something else".into()))?);
                }
            }
            ValueType::Blob | ValueType::I64List | ValueType::U64List => {
                arrays.extend(columns.iter().map(|column| Arc::clone(column)));
            }
            ValueType::Ancestors => {
                arrays.push(self.ancestors(column)?);
                arrays.extend(bytes.iter().map(|rows| Arc::clone(rows)));
            }
        }
        Ok(())
    }

    fn ancestors(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let lists = column.as_list::<i32>();
        let items = lists.values().as_struct();
        let mut members = items.columns().to_vec();
        members[0] = Arc::new(widened(&members[0]));
        for (argv, field) in members.iter_mut().zip(&ancestor_members()).skip(3) {
            let kept = if self.redacts_argv { None } else { renamed(argv, field.data_type()) };
            *argv = kept.unwrap_or_else(|| new_null_array(field.data_type(), argv.len()));
        }
        let items = StructArray::try_new(ancestor_members(), members, items.nulls().cloned())?;
        let nulls = lists.nulls().cloned();
        Ok(Arc::new(ListArray::try_new(ancestor(), lists.offsets().clone(), Arc::new(items), nulls)?))
    }
}

fn widened(column: &ArrayRef) -> PrimitiveArray<Int64Type> {
    column.as_primitive::<UInt32Type>().unary(i64::from)
}

/// A dictionary's texts, one for each row.
fn plain(column: &ArrayRef) -> Result<StringArray> {
    let dictionary = column.as_dictionary::<arrow_array::types::Int32Type>();
    let texts = dictionary
        .downcast_dict::<StringArray>()
        .ok_or_else(|| Error::Columns("a dictionary of something else than texts".into()))?;
    Ok(texts.into_iter().collect())
}

/// Gives the members of lists and structs the names that they have here. `None` when it is another type.
fn renamed(column: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    match wanted {
        kind if column.data_type() == kind => Some(Arc::clone(column)),
        DataType::List(field) => {
            let lists = column.as_list_opt::<i32>()?;
            let values = renamed(lists.values(), field.data_type())?;
            let made = ListArray::try_new(Arc::clone(field), lists.offsets().clone(), values, lists.nulls().cloned());
            Some(Arc::new(made.ok()?))
        }
        DataType::Struct(fields) => {
            let members = column.as_struct_opt()?;
            let of = |field: &FieldRef| renamed(members.column_by_name(field.name())?, field.data_type());
            let columns = fields.iter().map(of).collect::<Option<Vec<_>>>()?;
            Some(Arc::new(StructArray::try_new(fields.clone(), columns, members.nulls().cloned()).ok()?))
        }
        _ => None,
    }
}

/// Gives a batch of a file the wanted columns. Those that the file lacks are null, and the host is the file's.
pub(crate) fn conform(batch: &RecordBatch, wanted: &SchemaRef, host: &str) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |field: &FieldRef| -> ArrayRef {
        if field.name() == HOST {
            return Arc::new(StringArray::from_iter_values(std::iter::repeat_n(host, rows)));
        }
        // Files of earlier versions have other names of members.
        match batch.column_by_name(field.name()).and_then(|column| renamed(column, field.data_type())) {
            Some(column) => column,
            None if field.is_nullable() => new_null_array(field.data_type(), rows),
            None => Arc::new(Int64Array::from_value(0, rows)),
        }
    };
    let columns = wanted.fields().iter().map(column).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &options)?)
}

/// The columns that a scan gives: those that are named, or all.
///
/// # Errors
///
/// [`Error::Value`] for an unknown column.
pub(crate) fn projection(columns: Option<&[String]>) -> Result<SchemaRef> {
    let host = Field::new(HOST, DataType::Utf8, false);
    let all = full().fields().iter().map(|field| field.as_ref().clone());
    let known: Vec<_> =
        all.take(1).chain([host]).chain(full().fields().iter().skip(1).map(|it| it.as_ref().clone())).collect();
    let Some(columns) = columns else { return Ok(Arc::new(Schema::new(known))) };
    let mut chosen: Vec<Field> = Vec::new();
    for name in columns {
        let Some(field) = known.iter().find(|field| field.name() == name) else {
            let names: Vec<_> = known.iter().map(|field| field.name().as_str()).collect();
            return Err(Error::Value(format!("unknown column {name:?}: there are {}", names.join(", "))));
        };
        if chosen.iter().any(|field| field.name() == name) {
            return Err(Error::Value(format!("the column {name:?} is named twice")));
        }
        chosen.push(field.clone());
    }
    if chosen.is_empty() {
        return Err(Error::Value("columns is empty: name at least one".into()));
    }
    Ok(Arc::new(Schema::new(chosen)))
}

/// The numbers of a column; `None` where the batch has no such column.
pub(crate) fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a Int64Array> {
    batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()
}

/// The texts of a column.
pub(crate) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder};

    #[test]
    fn lists_of_earlier_versions_keep_their_values() {
        let field = Field::new("item", DataType::Utf8, false);
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::new(field));
        lists.append_value([Some("rm"), Some("x")]);
        lists.append_null();
        let column: ArrayRef = Arc::new(lists.finish());
        let schema = Schema::new(vec![Field::new("argv", column.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
        let wanted = projection(Some(&["argv".into()])).unwrap();
        let made = conform(&batch, &wanted, "host").unwrap();
        let lists = made.column(0).as_list::<i32>();
        assert_eq!(made.schema(), wanted);
        assert_eq!(lists.value(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["rm", "x"]);
        assert!(lists.is_null(1));
        let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(renamed(&other, &list_of(DataType::Utf8)).is_none());
    }
}
