//! Parquet's types of the columns. They are those that Arrow's own writer chooses.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::basic::{LogicalType, Repetition, TimeUnit as ParquetTimeUnit, Type as PhysicalType};
use parquet::schema::types::{Type, TypePtr};

use crate::error::{Error, Result};

/// The type of a file with these columns.
pub(crate) fn message_type(schema: &Schema) -> Result<TypePtr> {
    let fields = schema.fields().iter().map(|field| column_type(field)).collect::<Result<_>>()?;
    Ok(Arc::new(Type::group_type_builder("arrow_schema").with_fields(fields).build()?))
}

/// The type of a column.
pub(crate) fn column_type(field: &Field) -> Result<TypePtr> {
    let repetition = if field.is_nullable() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let name = field.name();
    let leaf = |physical, logical| {
        Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition).build()
    };
    let made = match field.data_type() {
        DataType::Boolean => leaf(PhysicalType::BOOLEAN, None)?,
        DataType::Int32 => leaf(PhysicalType::INT32, None)?,
        DataType::Int64 => leaf(PhysicalType::INT64, None)?,
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            leaf(PhysicalType::INT64, Some(LogicalType::timestamp(true, ParquetTimeUnit::MICROS)))?
        }
        DataType::Utf8 => leaf(PhysicalType::BYTE_ARRAY, Some(LogicalType::String))?,
        DataType::Binary => leaf(PhysicalType::BYTE_ARRAY, None)?,
        DataType::List(item) => {
            let list = Type::group_type_builder("list")
                .with_fields(vec![column_type(item)?])
                .with_repetition(Repetition::REPEATED)
                .build()?;
            Type::group_type_builder(name)
                .with_fields(vec![Arc::new(list)])
                .with_logical_type(Some(LogicalType::List))
                .with_repetition(repetition)
                .build()?
        }
        DataType::Struct(members) => {
            let members = members.iter().map(|member| column_type(member)).collect::<Result<_>>()?;
            Type::group_type_builder(name).with_fields(members).with_repetition(repetition).build()?
        }
        other => return Err(Error::Columns(format!("no type of Parquet for {other}"))),
    };
    Ok(Arc::new(made))
}
