//! Rows of a Parquet file to batches.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{ByteArrayType, GenericBinaryType, GenericStringType};
use arrow_array::{
    ArrayRef, BooleanArray, GenericByteArray, Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions,
    StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};
use parquet::basic::Type as PhysicalType;
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType as BytesType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::error::{Error, Result};
use crate::history::file::rows::{Rows, pieces};
use crate::history::file::types::column_type;

/// The rows that are decoded at once.
const DECODED_ROWS: usize = 8192;

/// A file whose footer is read.
pub(crate) struct Decoder {
    file: Arc<File>,
    metadata: ParquetMetaData,
}

fn inconsistent() -> Error {
    Error::Columns("columns that do not fit together".into())
}

/// A wanted column that the file has, and its leaves.
struct Found<'a> {
    field: &'a Field,
    leaves: Range<usize>,
}

impl Decoder {
    /// Reads the footer.
    pub(crate) fn open(file: File) -> Result<Self> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
        Ok(Self { file: Arc::new(file), metadata })
    }

    /// Reads the indexes of the pages of some columns, or of all, if the file has any.
    pub(crate) fn with_indexes(self, columns: Option<&[usize]>) -> Result<Self> {
        let mut reader =
            ParquetMetaDataReader::new_with_metadata(self.metadata).with_page_index_policy(PageIndexPolicy::Optional);
        if let Some(columns) = columns {
            reader = reader.with_page_index_mask(ColumnChunkMask::columns(columns.iter().copied()));
        }
        reader.read_page_indexes(&*self.file)?;
        Ok(Self { file: self.file, metadata: reader.finish()? })
    }

    /// The number of a column that has no members.
    pub(crate) fn leaf(&self, name: &str) -> Option<usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        (0..schema.num_columns()).find(|at| schema.column(*at).path().string() == name)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// The number of rows, and where those of each group are.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        let mut end = 0;
        self.metadata.row_groups().iter().map(move |group| {
            let start = end;
            end += usize::try_from(group.num_rows()).unwrap_or_default();
            start..end
        })
    }

    /// All rows.
    pub(crate) fn all(&self) -> Rows {
        self.groups().filter(|group| !group.is_empty()).collect()
    }

    fn find<'a>(&self, wanted: &'a Schema) -> Result<Vec<Found<'a>>> {
        let schema = self.metadata.file_metadata().schema_descr();
        let roots = schema.root_schema().get_fields();
        let mut found = Vec::new();
        for field in wanted.fields() {
            let Some(root) = roots.iter().position(|root| root.name() == field.name()) else { continue };
            let (has, expected) = (&roots[root], column_type(field)?);
            let is_alike = if expected.is_primitive() {
                let kind = |it: &parquet::schema::types::Type| {
                    (it.get_physical_type(), it.get_basic_info().logical_type_ref().cloned())
                };
                has.is_primitive() && kind(has) == kind(&expected) && schema_is_flat(has)
            } else {
                **has == *expected
            };
            if is_alike {
                let of_root = |leaf: &usize| schema.get_column_root_idx(*leaf) == root;
                let first = (0..schema.num_columns()).find(of_root).ok_or_else(inconsistent)?;
                let count = (first..schema.num_columns()).take_while(of_root).count();
                found.push(Found { field, leaves: first..first + count });
            }
        }
        Ok(found)
    }

    /// Reads some rows of the wanted columns, as far as the file has these with these types.
    pub(crate) fn read(
        &self,
        wanted: &Schema,
        rows: &[Range<usize>],
        mut take: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let found = self.find(wanted)?;
        let schema = Arc::new(Schema::new(found.iter().map(|found| found.field.clone()).collect::<Vec<_>>()));
        for (group, of_group) in self.groups().enumerate() {
            let within = rows.iter().map(|range| range.start.max(of_group.start)..range.end.min(of_group.end));
            let within: Rows = within
                .filter(|range| !range.is_empty())
                .map(|range| range.start - of_group.start..range.end - of_group.start)
                .collect();
            if within.is_empty() {
                continue;
            }
            let readers = found.iter().map(|found| {
                found
                    .leaves
                    .clone()
                    .map(|leaf| Leaf::new(self, group, leaf, of_group.len()))
                    .collect::<Result<Vec<_>>>()
            });
            let mut readers = readers.collect::<Result<Vec<_>>>()?;
            for piece in pieces(&within, DECODED_ROWS) {
                let count = piece.iter().map(Range::len).sum();
                let mut columns = Vec::with_capacity(found.len());
                for (found, readers) in found.iter().zip(&mut readers) {
                    let leaves = readers.iter_mut().map(|reader| reader.read(&piece)).collect::<Result<Vec<_>>>()?;
                    let column = array(found.field, 0, 0, &mut leaves.into_iter().peekable())?;
                    if column.len() != count {
                        return Err(inconsistent());
                    }
                    columns.push(column);
                }
                let options = RecordBatchOptions::new().with_row_count(Some(count));
                take(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)?;
            }
        }
        Ok(())
    }
}

/// Whether a root is no list of its own.
fn schema_is_flat(root: &parquet::schema::types::Type) -> bool {
    root.get_basic_info().repetition() != parquet::basic::Repetition::REPEATED
}

/// The reader of a leaf in one row group.
enum Typed {
    Bool(ColumnReaderImpl<BoolType>),
    I32(ColumnReaderImpl<Int32Type>),
    I64(ColumnReaderImpl<Int64Type>),
    Bytes(ColumnReaderImpl<BytesType>),
}

struct Leaf {
    reader: Typed,
    /// The next row that it gives.
    row: usize,
    max_definition: i16,
    max_repetition: i16,
}

/// The values of a leaf, and their levels.
enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bytes(Vec<ByteArray>),
}

struct Levels {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    max_definition: i16,
    values: Values,
}

impl Leaf {
    fn new(decoder: &Decoder, group: usize, leaf: usize, rows: usize) -> Result<Self> {
        let chunk = decoder.metadata.row_group(group).column(leaf);
        let descriptor = chunk.column_descr_ptr();
        let index = decoder.metadata.page_index_for_row_group(group);
        let locations = index.offset_index(leaf).map(|offsets| offsets.page_locations().clone());
        let pages: Box<dyn PageReader> =
            Box::new(SerializedPageReader::new(Arc::clone(&decoder.file), chunk, rows, locations)?);
        let (max_definition, max_repetition) = (descriptor.max_def_level(), descriptor.max_rep_level());
        let reader = match descriptor.physical_type() {
            PhysicalType::BOOLEAN => Typed::Bool(ColumnReaderImpl::new(descriptor, pages)),
            PhysicalType::INT32 => Typed::I32(ColumnReaderImpl::new(descriptor, pages)),
            PhysicalType::INT64 => Typed::I64(ColumnReaderImpl::new(descriptor, pages)),
            PhysicalType::BYTE_ARRAY => Typed::Bytes(ColumnReaderImpl::new(descriptor, pages)),
            _ => return Err(inconsistent()),
        };
        Ok(Self { reader, row: 0, max_definition, max_repetition })
    }

    fn read(&mut self, rows: &[Range<usize>]) -> Result<Levels> {
        let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
        let wanted = rows.iter().map(Range::len).sum();
        let values = match &mut self.reader {
            Typed::Bool(reader) => {
                Values::Bool(read(reader, &mut self.row, rows, (&mut definitions, &mut repetitions))?)
            }
            Typed::I32(reader) => Values::I32(read(reader, &mut self.row, rows, (&mut definitions, &mut repetitions))?),
            Typed::I64(reader) => Values::I64(read(reader, &mut self.row, rows, (&mut definitions, &mut repetitions))?),
            Typed::Bytes(reader) => {
                Values::Bytes(read(reader, &mut self.row, rows, (&mut definitions, &mut repetitions))?)
            }
        };
        // Levels that cannot differ are not stored.
        if self.max_definition == 0 {
            definitions.resize(wanted, 0);
        }
        if self.max_repetition == 0 {
            repetitions.resize(definitions.len(), 0);
        }
        Ok(Levels { definitions, repetitions, max_definition: self.max_definition, values })
    }
}

fn read<T: parquet::data_type::DataType>(
    reader: &mut ColumnReaderImpl<T>,
    row: &mut usize,
    rows: &[Range<usize>],
    (definitions, repetitions): (&mut Vec<i16>, &mut Vec<i16>),
) -> Result<Vec<T::T>> {
    let mut values = Vec::new();
    for range in rows {
        let skipped = range.start - *row;
        if skipped > 0 && reader.skip_records(skipped)? != skipped {
            return Err(inconsistent());
        }
        let (read, ..) = reader.read_records(range.len(), Some(definitions), Some(repetitions), &mut values)?;
        if read != range.len() {
            return Err(ParquetError::EOF("a column of fewer rows".into()).into());
        }
        *row = range.end;
    }
    Ok(values)
}

type Leaves = std::iter::Peekable<std::vec::IntoIter<Levels>>;

/// Makes the array of a column, or of a part of one.
///
/// Its rows are the levels of its first leaf that repeat at most at `repetition` and define at least `definition`: what
/// repeats deeper belongs to the same row, and what defines less is no row, but a list above that is missing or empty.
fn array(field: &Field, definition: i16, repetition: i16, leaves: &mut Leaves) -> Result<ArrayRef> {
    let inner = definition + i16::from(field.is_nullable());
    match field.data_type() {
        DataType::List(item) => {
            let levels = leaves.peek().ok_or_else(inconsistent)?;
            let (mut offsets, mut valid, mut items) = (vec![0_i32], Vec::new(), 0);
            for (defined, repeated) in levels.definitions.iter().zip(&levels.repetitions) {
                if *repeated <= repetition && *defined >= definition {
                    offsets.push(items);
                    valid.push(*defined >= inner);
                }
                if *repeated <= repetition + 1 && *defined > inner {
                    items += 1;
                    *offsets.last_mut().ok_or_else(inconsistent)? = items;
                }
            }
            let nulls = field.is_nullable().then(|| NullBuffer::from(valid));
            let items = array(item, inner + 1, repetition + 1, leaves)?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
        }
        DataType::Struct(members) => {
            // The schema has no structs that may be missing.
            let members =
                members.iter().map(|member| Ok((Arc::clone(member), array(member, inner, repetition, leaves)?)));
            let (fields, columns): (Vec<_>, Vec<_>) = members.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            Ok(Arc::new(StructArray::try_new(fields.into(), columns, None)?))
        }
        _ => leaf(field, definition, &leaves.next().ok_or_else(inconsistent)?),
    }
}

fn spread<T: Copy + Default>(values: &[T], valid: Option<&NullBuffer>, rows: usize) -> Result<Vec<T>> {
    let Some(valid) = valid else { return Ok(values.to_vec()) };
    let mut values = values.iter().copied();
    let mut made = Vec::with_capacity(rows);
    for is_valid in valid {
        made.push(if is_valid { values.next().ok_or_else(inconsistent)? } else { T::default() });
    }
    Ok(made)
}

fn texts<B: ByteArrayType<Offset = i32>>(
    values: &[ByteArray],
    valid: Option<NullBuffer>,
) -> Result<GenericByteArray<B>> {
    let rows = valid.as_ref().map_or(values.len(), NullBuffer::len);
    let mut bytes = Vec::with_capacity(values.iter().map(ByteArray::len).sum());
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    let mut values = values.iter();
    for row in 0..rows {
        if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
            bytes.extend_from_slice(values.next().ok_or_else(inconsistent)?.data());
        }
        offsets.push(i32::try_from(bytes.len()).map_err(|_| inconsistent())?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(GenericByteArray::try_new(offsets, bytes.into(), valid)?)
}

fn leaf(field: &Field, definition: i16, levels: &Levels) -> Result<ArrayRef> {
    let of_rows = levels.definitions.iter().filter(|defined| **defined >= definition);
    let valid: Option<NullBuffer> = field
        .is_nullable()
        .then(|| of_rows.clone().map(|defined| *defined == levels.max_definition).collect::<Vec<_>>().into());
    let rows = of_rows.count();
    let nulls = valid.as_ref();
    Ok(match (field.data_type(), &levels.values) {
        (DataType::Boolean, Values::Bool(values)) => {
            Arc::new(BooleanArray::new(spread(values, nulls, rows)?.into(), valid))
        }
        (DataType::Int32, Values::I32(values)) => {
            Arc::new(Int32Array::try_new(spread(values, nulls, rows)?.into(), valid)?)
        }
        (DataType::Int64, Values::I64(values)) => {
            Arc::new(Int64Array::try_new(spread(values, nulls, rows)?.into(), valid)?)
        }
        (DataType::Timestamp(..), Values::I64(values)) => {
            let times = TimestampMicrosecondArray::try_new(spread(values, nulls, rows)?.into(), valid)?;
            Arc::new(times.with_data_type(field.data_type().clone()))
        }
        (DataType::Utf8, Values::Bytes(values)) => Arc::new(texts::<GenericStringType<i32>>(values, valid)?),
        (DataType::Binary, Values::Bytes(values)) => Arc::new(texts::<GenericBinaryType<i32>>(values, valid)?),
        _ => return Err(inconsistent()),
    })
}
