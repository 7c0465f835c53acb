//! Rows of batches to a Parquet file.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::file::metadata::{KeyValue, ParquetMetaData, SortingColumn};
use parquet::file::properties::{BloomFilterPosition, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use crate::error::{Error, Result};
use crate::history::file::chunk::{Chunk, Extras, Scratch};
use crate::history::file::types::message_type;
use crate::history::file::values::{self, Leaf, NONE, Numbered, Part, Table};
use crate::history::schema::ancestors_rows;

/// The rows of a row group, and those of a page at most. A look-up reads single pages of single groups.
const GROUP_ROWS: usize = 131_072;
const PAGE_ROWS: usize = 8192;

/// The bytes and the levels after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
const PAGE_LEVELS: usize = 1 << 20;

/// A row's batch, and its place in that.
pub(crate) type Place = (usize, usize);

/// The settings of a file.
#[derive(Debug, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) created_by: String,
    pub(crate) metadata: &'a [(String, String)],
    /// The columns by which the rows are sorted, none of which lacks a value.
    pub(crate) sorted_by: &'a [&'a str],
    /// The columns with the bounds of each page.
    pub(crate) indexed: &'a [&'a str],
    /// The columns with a Bloom filter.
    pub(crate) bloom: &'a [&'a str],
}

impl Settings<'_> {
    fn properties(&self, schema: &Schema) -> WriterProperties {
        let sorting = self.sorted_by.iter().filter_map(|name| schema.index_of(name).ok()).map(|at| SortingColumn {
            // Columns before these have no members.
            column_idx: i32::try_from(at).unwrap_or_default(),
            descending: false,
            nulls_first: true,
        });
        let sorting: Vec<_> = sorting.collect();
        let metadata = self.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        WriterProperties::builder()
            .set_created_by(self.created_by.clone())
            .set_bloom_filter_position(BloomFilterPosition::End)
            .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
            .set_key_value_metadata(Some(metadata))
            .build()
    }
}

/// The rows of a group in the order in which they came, and the places that they have in the group.
struct Group {
    parts: Vec<Part>,
    /// For each row of the group, its number among those of all parts.
    order: Vec<u32>,
}

impl Group {
    fn new(batches: &[RecordBatch], places: &[Place]) -> Self {
        let mut bases = Vec::with_capacity(batches.len());
        let mut rows = 0;
        for batch in batches {
            bases.push(rows);
            rows += batch.num_rows();
        }
        let mut positions = vec![NONE; rows];
        for (position, (batch, row)) in places.iter().enumerate() {
            positions[bases[*batch] + row] = position as u32;
        }
        let (mut parts, mut order, mut number) = (Vec::new(), vec![0; places.len()], 0);
        for (at, batch) in batches.iter().enumerate() {
            let mut rows = Vec::new();
            for row in 0..batch.num_rows() {
                let position = positions[bases[at] + row];
                if position != NONE {
                    rows.push(row as u32);
                    order[position as usize] = number;
                    number += 1;
                }
            }
            if !rows.is_empty() {
                parts.push(Part { batch: at, rows });
            }
        }
        Self { parts, order }
    }
}

/// Writes the rows at `places`, in that order. The batches have one schema, which has the columns of `schema`. `at_tail` is
/// called when the sink has all pages, and nothing behind them.
pub(crate) fn write<W: Write + Send>(
    sink: W,
    schema: &Schema,
    batches: &[RecordBatch],
    places: &[Place],
    settings: &Settings<'_>,
    at_tail: impl FnOnce(&W),
) -> Result<ParquetMetaData> {
    let mut writer = SerializedFileWriter::new(sink, message_type(schema)?, Arc::new(settings.properties(schema)))?;
    let descriptor = writer.schema_descr().columns().to_vec();
    let mut scratch = Scratch::new()?;
    // Groups of one size: a small one at the end costs as much to look into as a large one.
    let groups = places.len().div_ceil(GROUP_ROWS).max(1);
    for places in places.chunks(places.len().div_ceil(groups).max(1)) {
        let group = Group::new(batches, places);
        let mut to = writer.next_row_group()?;
        let mut descriptors = descriptor.iter().cloned();
        for field in schema.fields() {
            let column = |batch: &'_ RecordBatch| batch.schema().index_of(field.name());
            let columns = batches.iter().map(|batch| Ok(batch.column(column(batch)?))).collect::<Result<Vec<_>>>()?;
            let shared: Vec<_> = batches.iter().map(|batch| ancestors_rows(batch, field.name())).collect();
            let is_in = |names: &[&str]| names.contains(&field.name().as_str());
            let extras = Extras { index: is_in(settings.indexed), bloom: is_in(settings.bloom) };
            write_column(
                field,
                (&columns, &shared),
                &group,
                &mut descriptors,
                extras,
                &mut scratch,
                &mut |(bytes, close)| Ok(to.append_column(&bytes, close)?),
            )?;
        }
        to.close()?;
    }
    writer.flush().map_err(Error::os("cannot write a sealed file"))?;
    at_tail(writer.inner());
    Ok(writer.close()?)
}

type Finished = (bytes::Bytes, parquet::column::writer::ColumnCloseResult);

fn write_column(
    field: &Field,
    (columns, shared): (&[&ArrayRef], &[Option<&Int32Array>]),
    group: &Group,
    descriptors: &mut impl Iterator<Item = ColumnDescPtr>,
    extras: Extras,
    scratch: &mut Scratch,
    put: &mut impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let mut next = || descriptors.next().ok_or_else(|| Error::Columns("a schema of fewer columns".into()));
    if !matches!(field.data_type(), DataType::List(_)) {
        let numbered = values::flat(field, columns, &group.parts)?;
        let mut chunk = Chunk::new(next()?, &numbered.table, numbered.is_dictionary, extras);
        flat_pages(&numbered, group, &mut chunk, scratch)?;
        return put(chunk.finish(scratch)?);
    }
    let lists = values::lists(columns, shared, &group.parts)?;
    for path in values::leaves(field) {
        let leaf = values::leaf(field, columns, &lists, &path);
        let mut chunk = Chunk::new(next()?, &leaf.table, leaf.is_dictionary, extras);
        list_pages(&leaf, &lists.numbers, group, &mut chunk, scratch)?;
        put(chunk.finish(scratch)?)?;
    }
    Ok(())
}

fn flat_pages(numbered: &Numbered<'_>, group: &Group, chunk: &mut Chunk<'_>, scratch: &mut Scratch) -> Result<()> {
    let (mut definitions, mut numbers) = (Vec::with_capacity(PAGE_ROWS), Vec::with_capacity(PAGE_ROWS));
    if numbered.table.len() == 0 {
        // A page of nothing costs as much as one of everything.
        definitions.resize(group.order.len(), 0);
        return chunk.page((&definitions, &[]), &[], group.order.len(), scratch);
    }
    let mut left = &group.order[..];
    while !left.is_empty() {
        let rows;
        (rows, left) = left.split_at(page_rows(numbered, left));
        numbers.clear();
        numbers.extend(rows.iter().map(|row| numbered.numbers[*row as usize]));
        definitions.clear();
        definitions.extend(numbers.iter().map(|number| u8::from(*number != NONE)));
        if definitions.contains(&0) {
            numbers.retain(|number| *number != NONE);
        }
        chunk.page((&definitions, &[]), &numbers, rows.len(), scratch)?;
    }
    Ok(())
}

/// The number of rows of the next page.
fn page_rows(numbered: &Numbered<'_>, left: &[u32]) -> usize {
    let most = left.len().min(PAGE_ROWS);
    let Table::Bytes(values) = &numbered.table else { return most };
    if numbered.is_dictionary {
        return most;
    }
    let mut bytes = 0;
    let is_beyond = |row: &u32| {
        // The row with which the page is large enough is its last.
        let is_beyond = bytes >= PAGE_BYTES;
        bytes += values.get(numbered.numbers[*row as usize] as usize).map_or(0, |value| value.len());
        is_beyond
    };
    left[..most].iter().position(is_beyond).unwrap_or(most)
}

fn list_pages(
    leaf: &Leaf<'_>,
    lists: &[u32],
    group: &Group,
    chunk: &mut Chunk<'_>,
    scratch: &mut Scratch,
) -> Result<()> {
    let bytes_of = |number: u32| match &leaf.table {
        Table::Bytes(values) if !leaf.is_dictionary => values[number as usize].len(),
        _ => 0,
    };
    let (mut definitions, mut repetitions, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows = group.order.iter().peekable();
    while rows.peek().is_some() {
        let (mut bytes, mut count) = (0, 0);
        definitions.clear();
        repetitions.clear();
        numbers.clear();
        while count < PAGE_ROWS && bytes < PAGE_BYTES && definitions.len() < PAGE_LEVELS {
            let Some(row) = rows.next() else { break };
            let list = lists[*row as usize] as usize;
            let before = list.checked_sub(1).map_or((0, 0), |before| leaf.ends[before]);
            let end = leaf.ends[list];
            definitions.extend_from_slice(&leaf.definitions[before.0..end.0]);
            repetitions.extend_from_slice(&leaf.repetitions[before.0..end.0]);
            let added = &leaf.numbers[before.1..end.1];
            numbers.extend_from_slice(added);
            bytes += added.iter().map(|number| bytes_of(*number)).sum::<usize>();
            count += 1;
        }
        chunk.page((&definitions, &repetitions), &numbers, count, scratch)?;
    }
    Ok(())
}
