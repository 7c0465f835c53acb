//! A column chunk: a dictionary, if one is worth it, and pages.

use std::io;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type as PhysicalType, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::error::{Error, Result};
use crate::history::file::bounds::{extremes, page_bounds, statistics};
use crate::history::file::hybrid;
use crate::history::file::values::Table;

/// The level of zstd: a higher one costs more than it saves.
const LEVEL: i32 = 1;

/// The share of wrong answers of a Bloom filter.
const WRONG: f64 = 0.01;

/// A page, compressed.
#[derive(Debug)]
struct Encoded {
    bytes: Vec<u8>,
    plain_bytes: usize,
    levels: usize,
    rows: usize,
}

/// What a column gets besides its pages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    /// The bounds of each page.
    pub(super) index: bool,
    /// A Bloom filter of its values.
    pub(super) bloom: bool,
}

/// The context of the compression, and memory that every page uses again.
pub(super) struct Scratch {
    zstd: Compressor<'static>,
    plain: Vec<u8>,
    levels: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Result<Self> {
        let os = Error::os::<io::Error>;
        let mut zstd = Compressor::new(LEVEL).map_err(os("cannot compress"))?;
        // Every decompression verifies it. A file without a line in the journal has no other checksum.
        zstd.set_parameter(CParameter::ChecksumFlag(true)).map_err(os("cannot compress"))?;
        Ok(Self { zstd, plain: Vec::new(), levels: Vec::new() })
    }

    fn compress(&mut self) -> Result<Vec<u8>> {
        self.zstd.compress(&self.plain).map_err(Error::os::<io::Error>("cannot compress"))
    }

    fn put_levels(&mut self, levels: &[u8], most: u8) {
        if most > 0 {
            self.levels.clear();
            hybrid::encode(levels, hybrid::width(most.into()), &mut self.levels);
            self.plain.extend_from_slice(&(self.levels.len() as u32).to_le_bytes());
            self.plain.extend_from_slice(&self.levels);
        }
    }
}

fn put_plain(table: &Table<'_>, numbers: impl ExactSizeIterator<Item = u32>, out: &mut Vec<u8>) {
    match table {
        Table::Bools(values) => {
            let first = out.len();
            out.resize(first + numbers.len().div_ceil(8), 0);
            for (at, number) in numbers.enumerate() {
                out[first + at / 8] |= u8::from(values[number as usize]) << (at % 8);
            }
        }
        Table::I32(values) => {
            for number in numbers {
                out.extend_from_slice(&values[number as usize].to_le_bytes());
            }
        }
        Table::I64(values) => {
            for number in numbers {
                out.extend_from_slice(&values[number as usize].to_le_bytes());
            }
        }
        Table::Bytes(values) => {
            for number in numbers {
                let value = values[number as usize];
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }
}

/// A chunk that is being made.
pub(super) struct Chunk<'a> {
    descriptor: ColumnDescPtr,
    table: &'a Table<'a>,
    is_dictionary: bool,
    max_definition: u8,
    max_repetition: u8,
    extras: Extras,
    pages: Vec<Encoded>,
    levels: usize,
    rows: usize,
    nulls: usize,
    /// The numbers of the least and the greatest value of each page, and the rows without one.
    page_extremes: Vec<(Option<(u32, u32)>, usize)>,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(descriptor: ColumnDescPtr, table: &'a Table<'a>, is_dictionary: bool, extras: Extras) -> Self {
        let level = |level: i16| u8::try_from(level).unwrap_or_default();
        Self {
            max_definition: level(descriptor.max_def_level()),
            max_repetition: level(descriptor.max_rep_level()),
            // One without values has none.
            is_dictionary: is_dictionary && table.len() > 0,
            descriptor,
            table,
            extras,
            pages: Vec::new(),
            levels: 0,
            rows: 0,
            nulls: 0,
            page_extremes: Vec::new(),
        }
    }

    fn width(&self) -> u32 {
        // Not all readers know numbers of no bits.
        hybrid::width(self.table.len().saturating_sub(1) as u32).max(1)
    }

    /// Adds a page. Levels of a column without such levels are not looked at.
    pub(super) fn page(
        &mut self,
        (definitions, repetitions): (&[u8], &[u8]),
        numbers: &[u32],
        rows: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let levels = if self.max_definition > 0 { definitions.len() } else { numbers.len() };
        scratch.plain.clear();
        scratch.put_levels(repetitions, self.max_repetition);
        scratch.put_levels(definitions, self.max_definition);
        if self.is_dictionary {
            let width = self.width();
            scratch.plain.push(width as u8);
            hybrid::encode(numbers, width, &mut scratch.plain);
        } else {
            put_plain(self.table, numbers.iter().copied(), &mut scratch.plain);
        }
        let bytes = scratch.compress()?;
        self.pages.push(Encoded { bytes, plain_bytes: scratch.plain.len(), levels, rows });
        let nulls = levels - numbers.len();
        if self.extras.index || matches!(self.table, Table::Bools(_)) {
            self.page_extremes.push((extremes(self.table, numbers.iter().copied()), nulls));
        }
        self.levels += levels;
        self.rows += rows;
        self.nulls += nulls;
        Ok(())
    }

    /// The numbers of the least and the greatest value of all.
    fn extremes(&self) -> Option<(u32, u32)> {
        if self.page_extremes.is_empty() {
            // All values of a table are used.
            return extremes(self.table, 0..self.table.len() as u32);
        }
        extremes(
            self.table,
            self.page_extremes.iter().filter_map(|page| page.0).flat_map(|(least, most)| [least, most]),
        )
    }

    /// Makes the bytes of the chunk, and what the footer and the indexes have of it.
    pub(super) fn finish(self, scratch: &mut Scratch) -> Result<(Bytes, ColumnCloseResult)> {
        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let (mut compressed_bytes, mut plain_bytes) = (0, 0);
        let (mut dictionary_offset, mut data_offset) = (None, None);
        let mut put = |page: Page, plain: usize| -> Result<(i64, i32)> {
            let spec = writer.write_page(CompressedPage::new(page, plain))?;
            compressed_bytes += spec.compressed_size as u64;
            plain_bytes += spec.uncompressed_size as u64;
            let size = i32::try_from(spec.compressed_size);
            Ok((spec.offset.cast_signed(), size.map_err(|_| Error::Columns("a page is too large".into()))?))
        };
        if self.is_dictionary {
            scratch.plain.clear();
            put_plain(self.table, (0..self.table.len()).map(|number| number as u32), &mut scratch.plain);
            let page = Page::DictionaryPage {
                buf: scratch.compress()?.into(),
                num_values: self.table.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            dictionary_offset = Some(put(page, scratch.plain.len())?.0);
        }
        let encoding = if self.is_dictionary { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        let mut offsets = OffsetIndexBuilder::new();
        let extremes = self.extremes();
        let count = i32::try_from(self.pages.len()).unwrap_or(i32::MAX);
        for page in self.pages {
            let (rows, plain) = (page.rows, page.plain_bytes);
            let page = Page::DataPage {
                buf: page.bytes.into(),
                num_values: page.levels as u32,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let (offset, size) = put(page, plain)?;
            data_offset.get_or_insert(offset);
            offsets.append_row_count(rows.cast_signed() as i64);
            offsets.append_offset_and_size(offset, size);
        }
        writer.close()?;
        let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let mut page_stats = vec![stats(PageType::DATA_PAGE, encoding, count)];
        if self.is_dictionary {
            page_stats.insert(0, stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        }
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        encodings.extend(self.is_dictionary.then_some(Encoding::RLE_DICTIONARY));
        let level = ZstdLevel::try_new(LEVEL).unwrap_or_default();
        let metadata = ColumnChunkMetaData::builder(self.descriptor.clone())
            .set_compression(Compression::ZSTD(level))
            .set_encodings(encodings)
            .set_page_encoding_stats(page_stats)
            .set_num_values(self.levels.cast_signed() as i64)
            .set_total_compressed_size(compressed_bytes.cast_signed())
            .set_total_uncompressed_size(plain_bytes.cast_signed())
            .set_data_page_offset(data_offset.unwrap_or_default())
            .set_dictionary_page_offset(dictionary_offset)
            .set_statistics(statistics(self.table, extremes, self.nulls as u64))
            .build()?;
        let column_index = self
            .extras
            .index
            .then(|| column_index(self.descriptor.physical_type(), self.table, &self.page_extremes).build());
        let result = ColumnCloseResult {
            bytes_written: compressed_bytes,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: self.extras.bloom.then(|| bloom(self.table)).transpose()?,
            column_index: column_index.transpose()?,
            offset_index: Some(offsets.build()),
        };
        Ok((sink.into_inner()?.into(), result))
    }
}

fn bloom(table: &Table<'_>) -> Result<Sbbf> {
    let mut filter = Sbbf::new_with_ndv_fpp(table.len().max(1) as u64, WRONG)?;
    if let Table::Bytes(values) = table {
        for value in values {
            filter.insert(*value);
        }
    }
    Ok(filter)
}

fn column_index(
    physical: PhysicalType,
    table: &Table<'_>,
    pages: &[(Option<(u32, u32)>, usize)],
) -> ColumnIndexBuilder {
    let mut index = ColumnIndexBuilder::new(physical);
    for (extremes, nulls) in pages {
        let (least, most) = extremes.map(|extremes| page_bounds(table, extremes)).unwrap_or_default();
        index.append(extremes.is_none(), least, most, nulls.cast_signed() as i64, None);
    }
    let bounds = || pages.iter().filter_map(|page| page.0);
    let rises = |one: u32, other: u32| extremes(table, [one, other].into_iter()).is_some_and(|it| it.0 == one);
    let is_ascending = bounds().zip(bounds().skip(1)).all(|(one, next)| rises(one.0, next.0) && rises(one.1, next.1));
    index.set_boundary_order(if is_ascending { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
    index
}
