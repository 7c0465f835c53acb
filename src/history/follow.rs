//! Reads on from a position: the journal's lines, the batches of a log, the rows of a sealed file.
//!
//! Whoever ships what is recorded reads through this. A log is read only as far as it is acknowledged, so that nothing is
//! shipped that a failed flush may still void.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;

use crate::error::{Error, Result};
use crate::history::contents::{self, batch_number};
use crate::history::file::decode::Decoder;
use crate::history::files::{checksum, oddity, open_file, readable_size};
use crate::history::frame::{message_at, message_bytes, next_message};
use crate::history::json;
use crate::history::layout::{Layout, Stem, host_of};
use crate::history::line::read_line;
use crate::history::schema::{conform, full, projection, unshare};
use crate::history::segment::{DECODER_BYTES, Segment};
use crate::history::through;
use crate::memory::{probe, reserve_to};

/// The most bytes of the journal that one call reads. No line is as long.
const JOURNAL_BYTES: u64 = 8 << 20;

fn os(error: io::Error) -> Error {
    Error::Os { context: "cannot read the history", source: error }
}

/// An error of a file, which names it.
fn of_file(name: &str, error: io::Error) -> Error {
    match oddity(&error) {
        Some(reason) => Error::Damaged(format!("{name} is damaged: it {reason}")),
        None => os(error),
    }
}

/// A reader that goes on where it was told to.
#[derive(Debug, Clone)]
pub struct Follower {
    layout: Layout,
}

/// A batch of a log: its events, its number, and the offset behind it.
#[derive(Debug)]
pub struct Step {
    /// The events.
    pub batch: RecordBatch,
    /// The number of the batch, which rises through all logs of a session.
    pub number: u64,
    /// The offset of the next batch.
    pub end: u64,
}

/// Where to go on in a log, and how far.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The offset to begin at; 0 is the beginning.
    pub offset: u64,
    /// The first batch that is wanted.
    pub first_batch: u64,
    /// The bytes that are acknowledged.
    pub end: u64,
    /// The batches from this one on are void.
    pub end_batch: u64,
}

impl Follower {
    /// Creates a reader of a directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { layout: Layout::new(directory) }
    }

    /// Reads whole lines of the journal from an offset on: those that are not damaged, and the offset to go on at.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn journal(&self, offset: u64) -> Result<(Vec<String>, u64)> {
        let mut file = open_file(&self.layout.journal()).map_err(os)?;
        file.seek(SeekFrom::Start(offset)).map_err(os)?;
        let mut bytes = Vec::new();
        (&mut file).take(JOURNAL_BYTES).read_to_end(&mut bytes).map_err(os)?;
        let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if bytes.len() as u64 == JOURNAL_BYTES => bytes.len(),
            None => 0,
        };
        let lines = bytes[..end].split(|byte| *byte == b'\n').filter(|line| read_line(line).is_some());
        let lines = lines.filter_map(|line| String::from_utf8(line.to_vec()).ok()).collect();
        Ok((lines, offset + end as u64))
    }

    /// The number of a session's current log, and the bytes of it that are acknowledged. `None` when it has no state.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn acknowledged(&self, session: i64) -> Result<Option<(i64, i64)>> {
        let state = through::read(&self.layout.through(session)).map_err(os)?;
        Ok(state.map(|state| (state.log, state.log_bytes)))
    }

    /// The number of the first batch of a log. `None` when the log is not there or its beginning is not whole.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn first_batch(&self, session: i64, number: u32) -> Result<Option<u64>> {
        match open_file(&self.layout.log(Stem { session, number })) {
            Ok(file) => contents::first_batch(&file).map_err(os),
            Err(error) if error.kind() == io::ErrorKind::NotFound || oddity(&error).is_some() => Ok(None),
            Err(error) => Err(os(error)),
        }
    }

    /// Reads the next batch of a log. `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// [`Error::Os`], with ENOENT when the log is gone because it is sealed; [`Error::Damaged`] for a log whose
    /// beginning is not whole; [`Error::Memory`].
    pub fn step(&self, session: i64, number: u32, window: Window) -> Result<Option<Step>> {
        let stem = Stem { session, number };
        let (path, name) = (self.layout.log(stem), format!("wal/{stem}.arrows"));
        let file = open_file(&path).map_err(|error| of_file(&name, error))?;
        let size = readable_size(&file, &path).map_err(|error| of_file(&name, error))? as u64;
        let end = size.min(window.end);
        let beginning = read_message(&file, 0, end)?;
        let schema = beginning.as_ref().and_then(|bytes| message_at(bytes, 0)?.schema());
        let Some((beginning, schema)) = beginning.zip(schema) else {
            return if end == 0 {
                Ok(None)
            } else {
                Err(Error::Damaged(format!("{name} is damaged: it has no schema")))
            };
        };
        let plain: SchemaRef = Arc::new(Schema::new(schema.fields().clone()));
        let mut at = window.offset.max(beginning.len() as u64);
        while at < end {
            let Some(bytes) = read_message(&file, at, end)? else {
                // Damage, or the end. The recorder tells of the damage when it seals the log.
                let Some(next) = next_whole(&file, at, end)? else { return Ok(None) };
                at = next;
                continue;
            };
            let bytes = Buffer::from_vec(bytes);
            at += bytes.len() as u64;
            let Some(message) = message_at(&bytes, 0) else { continue };
            match batch_number(&message.metadata()) {
                Some(found) if found >= window.end_batch => return Ok(None),
                Some(found) if found >= window.first_batch => {
                    probe(8 * bytes.len() + DECODER_BYTES).map_err(Error::memory("read a log"))?;
                    let batch = unshare(&message.batch(&bytes, &plain)?)?;
                    let metadata: HashMap<String, String> = schema.metadata().clone().into();
                    let host = metadata.get("rawtp:host").cloned().unwrap_or_default();
                    return Ok(Some(Step { batch: whole(&batch, &host, metadata)?, number: found, end: at }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Opens a sealed file as the journal describes it, and compares all of it with the checksum.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a description that is none; [`Error::Os`], with ENOENT when retention has removed it;
    /// [`Error::Damaged`].
    pub fn sealed(&self, description: &str) -> Result<SealedFile> {
        let segment = json::parse(description).as_ref().and_then(Segment::parse);
        let segment = segment.ok_or_else(|| Error::Value("not the description of a sealed file".into()))?;
        let file = open_file(&self.layout.root().join(&segment.file)).map_err(|error| of_file(&segment.file, error))?;
        if !segment.is_content_of(&file).map_err(os)? {
            return Err(differs(&segment));
        }
        probe(DECODER_BYTES).map_err(Error::memory("read a sealed file"))?;
        let decoder = Decoder::open(file.try_clone().map_err(os)?)?.with_indexes(None)?;
        Ok(SealedFile { segment, file, decoder })
    }
}

fn differs(segment: &Segment) -> Error {
    Error::Damaged(format!("{} is damaged: the checksum differs", segment.file))
}

/// All columns of a batch, with the metadata of its source.
fn whole(batch: &RecordBatch, host: &str, metadata: HashMap<String, String>) -> Result<RecordBatch> {
    let made = conform(batch, &projection(None)?, host)?;
    let schema = Schema::new_with_metadata(made.schema().fields().clone(), metadata);
    let options = RecordBatchOptions::new().with_row_count(Some(made.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), made.columns().to_vec(), &options)?)
}

/// Reads the bytes of the message at an offset. `None` when no whole one ends before `end`.
fn read_message(file: &File, at: u64, end: u64) -> Result<Option<Vec<u8>>> {
    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    // Its prefix tells how long the header is, and the header how long the body is.
    while let Some(size) = message_bytes(&bytes).filter(|size| *size <= left) {
        let read = bytes.len();
        if size == read {
            return Ok(message_at(&bytes, 0).is_some().then_some(bytes));
        }
        reserve_to(&mut bytes, size).map_err(Error::memory("read a log"))?;
        bytes.resize(size, 0);
        match file.read_exact_at(&mut bytes[read..], at + read as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done.map_err(os)?,
        }
    }
    Ok(None)
}

/// The offset of the next whole message behind a damaged one.
fn next_whole(file: &File, at: u64, end: u64) -> Result<Option<u64>> {
    let mut bytes = Vec::new();
    let left = usize::try_from(end - at).unwrap_or(usize::MAX);
    reserve_to(&mut bytes, left).map_err(Error::memory("read a log"))?;
    bytes.resize(left, 0);
    file.read_exact_at(&mut bytes, at).map_err(os)?;
    Ok(next_message(&bytes, 1).map(|next| at + next as u64))
}

/// A sealed file that is open, and whose content is as the journal says.
pub struct SealedFile {
    segment: Segment,
    file: File,
    decoder: Decoder,
}

impl SealedFile {
    /// Reads some rows, in the order of the file. `None` behind the last one.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when it cannot be decoded; [`Error::Os`], [`Error::Memory`].
    pub fn read(&self, first: usize, count: usize) -> Result<Option<RecordBatch>> {
        let rows = self.decoder.groups().last().map_or(0, |group| group.end);
        let range = first.min(rows)..first.saturating_add(count).min(rows);
        if range.is_empty() {
            return Ok(None);
        }
        probe(DECODER_BYTES).map_err(Error::memory("read a sealed file"))?;
        let mut batches = Vec::new();
        self.decoder.read(full(), &[range], |batch| {
            batches.push(batch);
            Ok(())
        })?;
        let places: Vec<_> = batches
            .iter()
            .enumerate()
            .flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)))
            .collect();
        let batch = match &batches[..] {
            [one] => one.clone(),
            several => interleave_record_batch(&several.iter().collect::<Vec<_>>(), &places)?,
        };
        let pairs = self.decoder.metadata().file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
        let metadata = pairs.iter().filter(|pair| pair.key.starts_with("rawtp:"));
        let metadata = metadata.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect();
        Ok(Some(whole(&batch, &host_of(&self.segment.file), metadata)?))
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the checksum differs; [`Error::Os`], [`Error::Memory`].
    pub fn content(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let size = usize::try_from(self.segment.bytes).unwrap_or(usize::MAX);
        reserve_to(&mut bytes, size).map_err(Error::memory("read a sealed file"))?;
        bytes.resize(size, 0);
        self.file.read_exact_at(&mut bytes, 0).map_err(os)?;
        if checksum(&bytes) == self.segment.sum { Ok(bytes) } else { Err(differs(&self.segment)) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use arrow_array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow_schema::{DataType, Field, TimeUnit};

    use super::*;
    use crate::history::files::testing::Scratch;
    use crate::history::log::Log;
    use crate::history::schema::ints;

    fn batch(first: i64, rows: i64) -> RecordBatch {
        let us = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let fields = vec![
            Field::new("ts", us, false),
            Field::new("ts_ns", DataType::Int64, false),
            Field::new("path", DataType::Utf8, true),
        ];
        let paths: StringArray = (first..first + rows).map(|row| Some(format!("/srv/{row}"))).collect();
        let times: TimestampMicrosecondArray = (first..first + rows).map(Some).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times.with_timezone("UTC")),
            Arc::new((first..first + rows).collect::<Int64Array>()),
            Arc::new(paths),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn times(step: &Step) -> Vec<i64> {
        ints(&step.batch, "ts_ns").unwrap().values().to_vec()
    }

    #[test]
    fn a_log_is_read_on_batch_by_batch() {
        let scratch = Scratch::new("follow-log");
        let layout = Layout::new(&scratch.0.join("d"));
        layout.create().unwrap();
        let metadata = HashMap::from([("rawtp:host".to_owned(), "h".to_owned())]);
        let mut log = Log::new(layout.clone(), 5, batch(0, 1).schema(), metadata);
        for first in [0, 10, 20] {
            log.push(&batch(first, 10), first).unwrap();
            log.commit().0.unwrap();
        }
        let follower = Follower::new(layout.root());
        let window = Window { offset: 0, first_batch: 0, end: u64::MAX, end_batch: u64::MAX };
        let first = follower.step(5, 1, window).unwrap().unwrap();
        assert_eq!((first.number, times(&first)), (0, (0..10).collect()));
        assert_eq!(first.batch.schema().metadata()["rawtp:host"], "h");
        assert_eq!(first.batch.schema().metadata()["rawtp:session"], "5");
        let on = |offset, first_batch| Window { offset, first_batch, ..window };
        let second = follower.step(5, 1, on(first.end, 1)).unwrap().unwrap();
        assert_eq!((second.number, times(&second)), (1, (10..20).collect()));
        // Without the offset it is found by its number.
        let third = follower.step(5, 1, on(0, 2)).unwrap().unwrap();
        assert_eq!((third.number, times(&third)), (2, (20..30).collect()));
        assert!(follower.step(5, 1, on(third.end, 3)).unwrap().is_none());
        // What is not acknowledged, and what is void.
        assert!(follower.step(5, 1, Window { end: third.end - 1, ..on(second.end, 2) }).unwrap().is_none());
        assert!(follower.step(5, 1, Window { end_batch: 2, ..on(second.end, 2) }).unwrap().is_none());
        assert_eq!(follower.first_batch(5, 1).unwrap(), Some(0));
        assert_eq!(follower.first_batch(5, 2).unwrap(), None);
        assert_eq!(follower.step(5, 2, window).unwrap_err().errno(), Some(libc::ENOENT));
        // A damaged batch is left out.
        let file = std::fs::OpenOptions::new().write(true).open(layout.log(Stem { session: 5, number: 1 })).unwrap();
        file.write_all_at(&[0; 16], first.end + 64).unwrap();
        let next = follower.step(5, 1, on(first.end, 1)).unwrap().unwrap();
        assert_eq!((next.number, times(&next)), (2, (20..30).collect()));
    }

    #[test]
    fn the_journal_is_read_on_line_by_line() {
        use crate::history::journal::Journal;
        use crate::history::line::Line;
        let scratch = Scratch::new("follow-journal");
        let layout = Layout::new(&scratch.0.join("d"));
        layout.create().unwrap();
        let mut journal = Journal::open(&layout.journal(), 7).unwrap();
        journal.append(vec![Line::new("gap").int("from_ns", 1), Line::new("loss")]).unwrap();
        let follower = Follower::new(layout.root());
        let (lines, end) = follower.journal(0).unwrap();
        assert_eq!((lines.len(), end), (2, std::fs::metadata(layout.journal()).unwrap().len()));
        assert!(lines[0].starts_with("{\"type\":\"gap\",\"from_ns\":1"));
        assert_eq!(follower.journal(end).unwrap(), (vec![], end));
        // Half a line waits for its other half.
        let whole = Line::new("clock").finish();
        let file = std::fs::OpenOptions::new().write(true).open(layout.journal()).unwrap();
        file.write_all_at(&whole.as_bytes()[..20], end).unwrap();
        assert_eq!(follower.journal(end).unwrap(), (vec![], end));
        file.write_all_at(whole.as_bytes(), end).unwrap();
        assert_eq!(follower.journal(end).unwrap().0, [whole.trim_end()]);
    }
}
