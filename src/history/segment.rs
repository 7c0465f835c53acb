//! Sealed files: Parquet, sorted by the real path and by time, a file for each date of a log.
//!
//! Rust's parquet writes no checksums of pages, and without them a flipped bit becomes a wrong value that no reader
//! notices. So the journal has two checksums of each file: of all of it, and of its tail, which is the filters, indexes
//! and the footer. Readers check the tail before they decide by it which pages to read, and the file before they give
//! values out of it. A file that the journal does not know is checked as a whole, by the checksum that it has of itself.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::{Array, PrimitiveArray, RecordBatch};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use twox_hash::XxHash64;

use crate::error::{Error, Result};
use crate::history::file::decode::Decoder;
use crate::history::file::encode::{self, Place, Settings};
use crate::history::files::{
    checksum, checksum_of_file, create_file, make_directory, oddity, open_file, remove, sync_directory,
};
use crate::history::filter::NAMES;
use crate::history::json::{Json, quote};
use crate::history::layout::{DAY_NS, Layout, Stem, date};
use crate::history::own_sum;
use crate::history::schema::{full, ints, recorded, texts};
use crate::memory::probe;

/// The key of the metadata that has the file's name, relative to the root.
const FILE: &str = "rawtp:file";

/// The keys of a file that has no checksum of itself. With another key it had one, and that is damaged.
const UNSUMMED: [&str; 6] =
    ["rawtp:schema_version", "rawtp:session", "rawtp:host", "rawtp:boot_id", "rawtp:machine_id", FILE];

/// The columns whose pages have bounds: names, and the time.
const INDEXED: [&str; 5] = [NAMES[0], NAMES[1], NAMES[2], NAMES[3], "ts_ns"];

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                // Not of the system: the content ends early, or cannot be decompressed.
                Ok(source) if source.raw_os_error().is_none() => Self::Columns(source.to_string()),
                Ok(source) => Self::Os { context: "cannot read or write a sealed file", source: *source },
                Err(inner) => Self::Columns(inner.to_string()),
            },
            error => Self::Columns(error.to_string()),
        }
    }
}

/// The memory that must be free for a decoder, above what it has decoded.
pub(crate) const DECODER_BYTES: usize = 4 << 20;

/// More than a decoder takes at once.
pub(crate) const DECODED_BYTES: usize = 64 << 20;

/// More than the filters, indexes and the footer of a file take.
const TAIL_BYTES: u64 = 256 << 20;

/// A sealed file, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its name, relative to the root.
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sum: u64,
    /// The offset of the tail, and its checksum.
    pub(crate) tail: u64,
    pub(crate) tail_sum: u64,
    pub(crate) rows: i64,
    /// The times of the first and the last event.
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

impl Segment {
    /// The description as JSON.
    pub(crate) fn to_json(&self) -> String {
        let Self { file, bytes, sum, tail, tail_sum, rows, first_ns, last_ns } = self;
        format!(
            "{{\"file\":{},\"bytes\":{bytes},\"xxh64\":\"{sum:016x}\",\"tail\":{tail},\"tail_xxh64\":\"{tail_sum:016x}\",\
             \"rows\":{rows},\"first_ns\":{first_ns},\"last_ns\":{last_ns}}}",
            quote(file)
        )
    }

    /// Whether the file has the size and the checksum of the journal. One of another size is not read.
    pub(crate) fn is_content_of(&self, mut file: &File) -> io::Result<bool> {
        if file.metadata()?.len() != self.bytes {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(0))?;
        // A file that grows meanwhile is another one.
        Ok(checksum_of_file(&mut file.take(self.bytes.saturating_add(1)))? == (self.sum, self.bytes))
    }

    /// Reads a description.
    pub(crate) fn parse(json: &Json) -> Option<Self> {
        let sum = |key| u64::from_str_radix(json.text(key)?, 16).ok();
        let number = |key| json.int(key)?.try_into().ok();
        Some(Self {
            file: json.text("file")?.to_owned(),
            bytes: number("bytes")?,
            sum: sum("xxh64")?,
            tail: number("tail")?,
            tail_sum: sum("tail_xxh64")?,
            rows: json.int("rows")?,
            first_ns: json.int("first_ns")?,
            last_ns: json.int("last_ns")?,
        })
    }
}

/// A file with the checksum of what was written to it.
struct Summed {
    file: File,
    hasher: XxHash64,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.write(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the rows of each date, in the order of the file.
fn sorted(batches: &[RecordBatch]) -> Vec<(String, Vec<Place>)> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (at, batch) in batches.iter().enumerate() {
        let times = ints(batch, "ts_ns");
        let names = ["real_path", "path"].map(|name| texts(batch, name));
        for row in 0..batch.num_rows() {
            let name = names.iter().flatten().find(|names| names.is_valid(row)).map(|names| names.value(row));
            let ts_ns = times.map_or(0, |times| times.value(row));
            rows.push((ts_ns.div_euclid(DAY_NS), name, ts_ns, (at, row)));
        }
    }
    rows.sort_unstable();
    let days = rows.chunk_by(|(one, ..), (other, ..)| one == other);
    days.map(|rows| (date(rows[0].2), rows.iter().map(|row| row.3).collect())).collect()
}

/// The offset behind the last page: where the tail begins.
fn tail_of(metadata: &ParquetMetaData) -> u64 {
    let chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    chunks.map(ColumnChunkMetaData::byte_range).map(|(start, bytes)| start + bytes).max().unwrap_or_default()
}

/// Writes batches into files, and has those written to the disk. Files of the same names are replaced.
pub(crate) fn seal(
    layout: &Layout,
    host: &str,
    stem: Stem,
    batches: &[RecordBatch],
    metadata: &[(String, String)],
) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for (date, places) in sorted(batches) {
        let file = Layout::segment(host, &date, stem);
        segments.push(write(layout, &file, batches, &places, metadata)?);
    }
    Ok(segments)
}

fn write(
    layout: &Layout,
    file: &str,
    batches: &[RecordBatch],
    places: &[Place],
    metadata: &[(String, String)],
) -> Result<Segment> {
    let os = Error::os::<io::Error>;
    let context = "cannot write a sealed file";
    let path = layout.root().join(file);
    for directory in [path.parent().and_then(Path::parent), path.parent()].into_iter().flatten() {
        make_directory(directory).map_err(os(context))?;
    }
    let temporary = layout.wal().join(format!("{}.tmp", file.rsplit('/').next().unwrap_or(file)));
    // Of an attempt that failed.
    remove(&temporary).map_err(os(context))?;
    // A copy under another name would give its events twice.
    let of_name = (FILE.to_owned(), file.to_owned());
    let of_sum = (own_sum::KEY.to_owned(), own_sum::NO_SUM.to_owned());
    let metadata = metadata.iter().filter(|(key, _)| key != FILE && key != own_sum::KEY);
    let metadata: Vec<_> = metadata.cloned().chain([of_name, of_sum]).collect();
    let written = write_file(&temporary, batches, places, &metadata).and_then(|(mut segment, made)| {
        file.clone_into(&mut segment.file);
        made.sync_all().and_then(|()| fs::rename(&temporary, &path)).map_err(os(context))?;
        for directory in path.ancestors().skip(1).take(3) {
            sync_directory(directory).map_err(os(context))?;
        }
        Ok(segment)
    });
    written.inspect_err(|_| {
        // The next recorder removes it otherwise.
        let _ = remove(&temporary);
    })
}

fn write_file(
    path: &Path,
    batches: &[RecordBatch],
    places: &[Place],
    metadata: &[(String, String)],
) -> Result<(Segment, File)> {
    let context = "cannot write a sealed file";
    let schema = batches.first().ok_or_else(|| Error::Columns("a sealed file of nothing".into()))?.schema();
    let schema = recorded(&schema);
    let file = create_file(path).map_err(Error::os(context))?;
    let mut summed = Summed { file, hasher: XxHash64::with_seed(0), bytes: 0 };
    let (mut first_ns, mut last_ns, mut has_real_paths) = (i64::MAX, i64::MIN, true);
    let columns: Vec<_> = batches.iter().map(|batch| (ints(batch, "ts_ns"), texts(batch, "real_path"))).collect();
    for (batch, row) in places {
        let (times, real_paths) = columns[*batch];
        let ts_ns = times.map_or(0, |times| times.value(*row));
        (first_ns, last_ns) = (first_ns.min(ts_ns), last_ns.max(ts_ns));
        has_real_paths &= real_paths.is_some_and(|paths| paths.is_valid(*row));
    }
    let settings = Settings {
        created_by: format!("rawtp {}", env!("CARGO_PKG_VERSION")),
        metadata,
        // Rows without a real path stand among the others, by their path.
        sorted_by: if has_real_paths { &["real_path", "ts_ns"] } else { &[] },
        indexed: &INDEXED,
        // Those of the sorted column take 1.6 bytes an event. Without them a look-up decodes a page of every file.
        bloom: &NAMES,
    };
    let (mut whole, mut tail) = (XxHash64::with_seed(0), 0);
    encode::write(&mut summed, &schema, batches, places, &settings, |summed| {
        (whole, tail) = (summed.hasher.clone(), summed.bytes);
    })?;
    let Summed { mut file, bytes, .. } = summed;
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(tail)).and_then(|_| file.read_to_end(&mut end)).map_err(Error::os(context))?;
    let no_room = || Error::Columns("a footer without room for its checksum".into());
    let digits = own_sum::put(&whole, &mut end).ok_or_else(no_room)?;
    file.write_all_at(&end[digits.clone()], tail + digits.start as u64).map_err(Error::os(context))?;
    whole.write(&end);
    let segment = Segment {
        file: String::new(),
        bytes,
        sum: whole.finish(),
        tail,
        tail_sum: checksum(&end),
        rows: places.len().cast_signed() as i64,
        first_ns,
        last_ns,
    };
    Ok((segment, file))
}

/// The name that a file has by its metadata.
fn name_in(metadata: &ParquetMetaData) -> Option<&str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == FILE)?.value.as_deref()
}

/// Opens a file that the journal does not know, if its own checksum is right.
fn open_summed(name: &str, file: &File) -> Result<Decoder> {
    let os = Error::os::<io::Error>;
    let context = "cannot read a sealed file";
    let is_whole = own_sum::verify(file).map_err(os(context))?;
    if is_whole == Some(false) {
        return Err(Error::Damaged(format!("{name} is damaged: the checksum differs")));
    }
    let decoder = Decoder::open(file.try_clone().map_err(os(context))?)?;
    let pairs = decoder.metadata().file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
    if is_whole.is_none() && !pairs.iter().all(|pair| UNSUMMED.contains(&pair.key.as_str())) {
        return Err(Error::Damaged(format!("{name} is damaged: its checksum is missing")));
    }
    Ok(decoder)
}

/// Opens a file that the journal does not know. One that is damaged is refused, and one that has another name than its
/// metadata say.
pub(crate) fn open_unknown(name: &str, file: &File) -> Result<Decoder> {
    let decoder = open_summed(name, file)?;
    match name_in(decoder.metadata()) {
        Some(named) if named == name => Ok(decoder),
        Some(named) => Err(Error::Damaged(format!("{name} is damaged: it is {named} under another name"))),
        None => Err(Error::Damaged(format!("{name} is damaged: it does not say its name"))),
    }
}

/// The name that a whole file had before it got this one. `None` for a damaged file.
pub(crate) fn original_name(layout: &Layout, file: &str) -> Option<String> {
    let opened = open_file(&layout.root().join(file)).ok()?;
    let decoder = catch_unwind(AssertUnwindSafe(|| open_summed(file, &opened))).ok()?.ok()?;
    name_in(decoder.metadata()).map(str::to_owned)
}

/// Describes a sealed file that the journal does not know, if all of it can be decoded.
///
/// # Errors
///
/// [`Error::Os`] and [`Error::Memory`] when that is not known. All others tell of damage.
pub(crate) fn adopt(layout: &Layout, file: &str) -> Result<Segment> {
    probe(DECODER_BYTES).map_err(Error::memory("read a sealed file"))?;
    // A panic of the decoder is one more way in which a file is damaged.
    let adopted = catch_unwind(AssertUnwindSafe(|| try_adopt(layout, file)));
    let adopted = adopted.unwrap_or_else(|_| Err(Error::Columns("it cannot be decoded".into())));
    match adopted {
        Err(error @ (Error::Os { .. } | Error::Memory(_) | Error::Damaged(_))) => Err(error),
        // Decoders tell the lack of memory as an error of the file's, or by a panic.
        Err(_) if probe(DECODED_BYTES).is_err() => Err(Error::Memory("decode a sealed file")),
        adopted => adopted,
    }
}

fn try_adopt(layout: &Layout, file: &str) -> Result<Segment> {
    let os = Error::os::<io::Error>;
    let context = "cannot read a sealed file";
    let mut opened = open_file(&layout.root().join(file)).map_err(|error| match oddity(&error) {
        Some(reason) => Error::Damaged(format!("{file} is damaged: it {reason}")),
        None => os(context)(error),
    })?;
    // Without a footer a file of holes is not read to its end.
    let decoder = open_unknown(file, &opened)?;
    let tail = tail_of(decoder.metadata());
    let (mut rows, mut first_ns, mut last_ns) = (0, i64::MAX, i64::MIN);
    decoder.read(full(), &decoder.all(), |batch| {
        rows += batch.num_rows().cast_signed() as i64;
        for ts_ns in ints(&batch, "ts_ns").into_iter().flat_map(PrimitiveArray::values) {
            (first_ns, last_ns) = (first_ns.min(*ts_ns), last_ns.max(*ts_ns));
        }
        Ok(())
    })?;
    let size = opened.metadata().map_err(os(context))?.len();
    if size.checked_sub(tail).is_none_or(|end| end > TAIL_BYTES) {
        return Err(Error::Damaged(format!("{file} is damaged: its pages end elsewhere")));
    }
    opened.seek(SeekFrom::Start(0)).map_err(os(context))?;
    let (sum, bytes) = checksum_of_file(&mut (&mut opened).take(size)).map_err(os(context))?;
    let mut end = Vec::new();
    opened.seek(SeekFrom::Start(tail)).map_err(os(context))?;
    (&mut opened).take(size - tail).read_to_end(&mut end).map_err(os(context))?;
    let file = file.to_owned();
    Ok(Segment { file, bytes, sum, tail, tail_sum: checksum(&end), rows, first_ns, last_ns })
}
