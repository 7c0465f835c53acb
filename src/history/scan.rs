//! Reads events out of sealed files and logs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::error::{Error, Result};
use crate::history::catalogue::Catalogue;
use crate::history::contents;
use crate::history::file::decode::Decoder;
use crate::history::file::rows::{Rows, masked, union};
use crate::history::files::{checksum, oddity, open_file, readable_size};
use crate::history::filter::{Filter, NAMES, Wanted};
use crate::history::journal;
use crate::history::layout::{Layout, host_of};
use crate::history::schema::{conform, full, ints, texts, unshare};
use crate::history::segment::{DECODED_BYTES, DECODER_BYTES, Segment, open_unknown};
use crate::history::snapshot::Source;
use crate::memory::{probe, reserve_to};

/// The rows of a batch that a scan gives.
const ROWS: usize = 65_536;

/// What is wrong with a file that is not there.
const GONE: &str = "it is gone";

/// The memory for the pages of a column that is read as a whole.
const COLUMN_BYTES: usize = 512 << 10;

/// A scan, which reads a source when its turn comes.
#[derive(Debug)]
pub struct Scan {
    layout: Layout,
    schema: SchemaRef,
    filter: Filter,
    sources: VecDeque<Source>,
    ready: VecDeque<RecordBatch>,
    left: Option<usize>,
    newest_first: bool,
    damaged: Vec<String>,
    /// The damage of the source whose events are given first.
    error: Option<Error>,
}

fn os(error: io::Error) -> Error {
    Error::Os { context: "cannot read the history", source: error }
}

/// The error of a file that cannot be opened or is too large.
fn odd_or_os(file: &str, error: io::Error) -> Error {
    match oddity(&error) {
        Some(reason) => damaged(file, &format!("it {reason}")),
        None => os(error),
    }
}

fn damaged(file: &str, reason: &str) -> Error {
    Error::Damaged(format!("{file} is damaged: {reason}"))
}

impl Scan {
    /// Creates a scan of sources, which come the earliest first.
    pub(crate) fn new(
        layout: Layout,
        schema: SchemaRef,
        filter: Filter,
        mut sources: Vec<Source>,
        limit: Option<usize>,
        newest_first: bool,
    ) -> Self {
        if newest_first {
            sources.reverse();
        }
        Self {
            layout,
            schema,
            filter,
            sources: sources.into(),
            ready: VecDeque::new(),
            left: limit,
            newest_first,
            damaged: Vec::new(),
            error: None,
        }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The damaged files so far.
    #[must_use]
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Returns the next batch; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for a damaged file; the next call goes on behind it. [`Error::Os`].
    pub fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            if let Some(batch) = self.ready.pop_front() {
                let batch = match self.left {
                    Some(left) if batch.num_rows() > left => batch.slice(0, left),
                    _ => batch,
                };
                self.left = self.left.map(|left| left - batch.num_rows());
                return Ok(Some(batch));
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            let Some(source) = self.sources.pop_front() else { return Ok(None) };
            let name = source.name();
            let (batches, host) = self.read_source(source).inspect_err(|error| {
                if matches!(error, Error::Damaged(_)) {
                    self.damaged.push(name.clone());
                }
            })?;
            self.ready = self.ordered(&batches, &host)?;
            if self.error.is_some() {
                self.damaged.push(name);
            }
        }
    }

    fn read_source(&mut self, source: Source) -> Result<(Vec<RecordBatch>, String)> {
        let mut columns: Vec<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        // For the order.
        columns.push("ts_ns".into());
        match source {
            Source::Segment { file, known } => {
                let batches = read_segment(&self.layout, &file, known.as_ref(), &self.filter, &columns)?;
                Ok((batches, host_of(&file)))
            }
            Source::Log { stem, mut file, end_batch, on_disk } => {
                let mut bytes = Vec::new();
                let name = format!("wal/{stem}.arrows");
                let size = readable_size(&file, &self.layout.log(stem)).map_err(|error| odd_or_os(&name, error))?;
                reserve_to(&mut bytes, size.saturating_add(1)).map_err(Error::memory("read a log"))?;
                probe(DECODER_BYTES).map_err(Error::memory("read a log"))?;
                file.seek(SeekFrom::Start(0))
                    .and_then(|_| (&mut file).take(size as u64).read_to_end(&mut bytes))
                    .map_err(os)?;
                let mut contents = contents::contents(bytes, on_disk);
                contents.end_at(end_batch);
                let host = contents.metadata().remove("rawtp:host").unwrap_or_default();
                let wanted = self.filter.wanted();
                let mut batches = Vec::new();
                for batch in contents.batches() {
                    let batch = batch?;
                    let mask = self.filter.mask(&batch, &wanted);
                    if mask.true_count() > 0 {
                        keep(&mut batches, filter_record_batch(&unshare(&batch)?, &mask)?)?;
                    }
                }
                if !contents.damaged.is_empty() {
                    self.error = Some(damaged(&name, "a checksum differs"));
                }
                Ok((batches, host))
            }
            Source::Odd { file, reason } => Err(damaged(&file, &format!("it {reason}"))),
        }
    }

    /// Puts the events of one source in the order of their time.
    fn ordered(&self, batches: &[RecordBatch], host: &str) -> Result<VecDeque<RecordBatch>> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        // The events in their order, their places, and what the sorting takes.
        probe(bytes + rows * 2 * size_of::<(i64, (usize, usize))>()).map_err(Error::memory("sort events"))?;
        let mut places = Vec::with_capacity(rows);
        for (at, batch) in batches.iter().enumerate() {
            let times = ints(batch, "ts_ns");
            places.extend((0..batch.num_rows()).map(|row| (times.map_or(0, |times| times.value(row)), (at, row))));
        }
        places.sort_unstable();
        if self.newest_first {
            places.reverse();
        }
        places.truncate(self.left.unwrap_or(usize::MAX));
        let places: Vec<_> = places.into_iter().map(|(_, place)| place).collect();
        let all: Vec<_> = batches.iter().collect();
        let made = places.chunks(ROWS).map(|places| {
            let batch = interleave_record_batch(&all, places)?;
            conform(&batch, &self.schema, host)
        });
        made.collect()
    }
}

/// Reads the wanted events of a sealed file. One that is gone has none: retention has removed it.
fn read_segment(
    layout: &Layout,
    name: &str,
    known: Option<&Segment>,
    filter: &Filter,
    columns: &[String],
) -> Result<Vec<RecordBatch>> {
    if known.is_some_and(|known| !filter.may_be_between(known.first_ns, known.last_ns)) {
        return Ok(Vec::new());
    }
    let mut file = match open_file(&layout.root().join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if known.is_some() && counts(layout, name)? { Err(damaged(name, GONE)) } else { Ok(Vec::new()) };
        }
        Err(error) => return Err(odd_or_os(name, error)),
    };
    probe(DECODER_BYTES).map_err(Error::memory("read a sealed file"))?;
    if let Some(known) = known {
        check_tail(&mut file, known).map_err(os)?.then_some(()).ok_or_else(|| damaged(name, "the checksum differs"))?;
    }
    // A panic of the decoder would be one more way in which a file without a line in the journal is damaged.
    let read =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read_rows(name, &file, known, filter, columns)));
    match read {
        Ok(Err(error @ (Error::Os { .. } | Error::Damaged(_) | Error::Memory(_)))) => Err(error),
        Ok(Err(error)) => Err(undecoded(name, &file, known, &error.to_string())),
        Ok(Ok(batches)) => Ok(batches),
        Err(_) => Err(undecoded(name, &file, known, "it cannot be decoded")),
    }
}

/// Whether the journal still counts a file. Before a recorder removes one it says so there.
fn counts(layout: &Layout, name: &str) -> Result<bool> {
    let lines = journal::read(&layout.journal()).map_err(os)?;
    Ok(Catalogue::new(&lines).segments.contains_key(name))
}

/// Says why a file could not be decoded. Decoders tell the lack of memory as an error of the file's, or by a panic.
fn undecoded(name: &str, file: &File, known: Option<&Segment>, reason: &str) -> Error {
    if probe(DECODED_BYTES).is_err() {
        return Error::Memory("decode a sealed file");
    }
    let is_whole = known.is_some_and(|known| known.is_content_of(file).unwrap_or_default());
    if is_whole {
        Error::Columns(format!("{name}: {reason}, and its checksum is right"))
    } else {
        damaged(name, reason)
    }
}

/// Keeps a batch, where as much memory is left as the rest of the work takes for it. Arrow aborts without.
fn keep(batches: &mut Vec<RecordBatch>, batch: RecordBatch) -> Result<()> {
    probe(2 * batch.get_array_memory_size() + DECODER_BYTES).map_err(Error::memory("read the history"))?;
    batches.push(batch);
    Ok(())
}

/// Whether the tail of a file is as the journal says.
fn check_tail(file: &mut File, known: &Segment) -> io::Result<bool> {
    if file.metadata()?.len() != known.bytes {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(known.tail))?;
    let mut tail = Vec::new();
    file.take(known.bytes.saturating_sub(known.tail)).read_to_end(&mut tail)?;
    Ok(checksum(&tail) == known.tail_sum)
}

fn read_rows(
    name: &str,
    file: &File,
    known: Option<&Segment>,
    filter: &Filter,
    columns: &[String],
) -> Result<Vec<RecordBatch>> {
    let wanted = filter.wanted();
    let decoder = match known {
        Some(_) => Decoder::open(file.try_clone().map_err(os)?)?,
        None => open_unknown(name, file)?,
    };
    let (decoder, mut rows) = match wanted.first() {
        None => {
            let rows = decoder.all();
            (decoder, rows)
        }
        // Each of them must hold, so that the first one is enough to choose by.
        Some(first) => {
            let (decoder, rows) = named(decoder, first)?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            (decoder.with_indexes(None)?, rows)
        }
    };
    if !filter.is_off() {
        let mut masks = Vec::new();
        decoder.read(&some(&filter.columns()), &rows, |batch| {
            masks.push(filter.mask(&batch, &wanted));
            Ok(())
        })?;
        rows = masked(&rows, &masks);
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(known) = known
        && !known.is_content_of(file).map_err(os)?
    {
        return Err(damaged(name, "the checksum differs"));
    }
    if filter.is_off() {
        probe(columns.len() * COLUMN_BYTES).map_err(Error::memory("decode a sealed file"))?;
    }
    let mut batches = Vec::new();
    decoder.read(&some(columns), &rows, |batch| keep(&mut batches, batch))?;
    Ok(batches)
}

/// The recorded columns of these names.
fn some(names: &[String]) -> Schema {
    let fields = full().fields().iter().filter(|field| names.contains(field.name()));
    Schema::new(fields.cloned().collect::<Vec<_>>())
}

/// Finds the rows of which a column of names may be wanted. Most files have none, so each column is looked at by itself:
/// by the bounds of its pages, then by its Bloom filter, and only in those pages value by value.
fn named(decoder: Decoder, wanted: &Wanted) -> Result<(Decoder, Rows)> {
    let columns: Vec<_> = NAMES.iter().filter_map(|name| Some((*name, decoder.leaf(name)?))).collect();
    let decoder = decoder.with_indexes(Some(&columns.iter().map(|(_, column)| *column).collect::<Vec<_>>()))?;
    let mut found = Rows::new();
    for (name, column) in columns {
        let pages = select(&decoder, column, wanted)?;
        let mut masks = Vec::new();
        decoder.read(&some(&[name.to_owned()]), &pages, |batch| {
            // A column of another type than it should have names nothing.
            let is_wanted = |name: Option<&str>| name.is_some_and(|name| wanted.may_be(name));
            let mask: Vec<_> = match texts(&batch, name) {
                Some(names) => names.iter().map(is_wanted).collect(),
                None => vec![false; batch.num_rows()],
            };
            masks.push(mask.into());
            Ok(())
        })?;
        found.extend(masked(&pages, &masks));
    }
    Ok((decoder, union(found)))
}

/// Selects the pages of a column that may have a wanted name.
fn select(decoder: &Decoder, column: usize, wanted: &Wanted) -> Result<Rows> {
    let metadata = decoder.metadata();
    let mut ranges = Rows::new();
    for (group, rows) in decoder.groups().enumerate() {
        let pages = pages(metadata, group, column, rows.len(), wanted);
        if pages.is_empty() {
            continue;
        }
        let filter = match wanted {
            Wanted::Exactly(names) => {
                let chunk = metadata.row_group(group).column(column);
                Sbbf::read_from_column_chunk(chunk, decoder.file())?.map(|filter| (filter, names))
            }
            Wanted::Under(_) | Wanted::Glob(..) => None,
        };
        if filter.is_none_or(|(filter, names)| names.iter().any(|name| filter.check(name.text.as_str()))) {
            ranges.extend(pages.into_iter().map(|page| rows.start + page.start..rows.start + page.end));
        }
    }
    Ok(union(ranges))
}

/// The rows of the pages of a column that may have a wanted name. All rows, where there is no index.
fn pages(metadata: &ParquetMetaData, group: usize, column: usize, rows: usize, wanted: &Wanted) -> Rows {
    let index = metadata.page_index_for_row_group(group);
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(ranges)), Some(offsets)) =
        (index.column_index(column), index.offset_index(column))
    else {
        return std::iter::once(0..rows).collect();
    };
    let locations = offsets.page_locations();
    let row =
        |at: usize| locations.get(at).map_or(rows, |page| usize::try_from(page.first_row_index).unwrap_or_default());
    let is_wanted = |at: &usize| match (ranges.min_value(*at), ranges.max_value(*at)) {
        // A page of nulls.
        (None, None) => false,
        (least, most) => wanted.may_be_within(least, most),
    };
    (0..locations.len()).filter(is_wanted).map(|at| row(at)..row(at + 1)).collect()
}
