//! The log of a session: an Arrow IPC stream whose batches are on the disk before they count as recorded.
//!
//! Batches have numbers that rise through all logs of a session. A log begins with the number of its first batch. After
//! a failed flush nobody knows what is on the disk, so the batches that were not acknowledged go into the next log too:
//! a batch of an earlier log whose number is not below the first one of a later log is void.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::error::Result;
use crate::history::anchor::is_removed;
use crate::history::files::{create_file, remove, sync_directory};
use crate::history::frame::{END, batch_message, schema_message};
use crate::history::layout::{Layout, Stem};
use crate::history::schema::VERSION;

/// The keys of a log's schema and of its batches.
pub(crate) const FIRST_BATCH: &str = "rawtp:first_batch";
pub(crate) const SINCE_NS: &str = "rawtp:since_ns";
pub(crate) const BATCH: &str = "batch";
pub(crate) const THROUGH_NS: &str = "through_ns";

/// A batch that is not acknowledged yet.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    /// The memory that the batch takes uncompressed.
    raw_bytes: u64,
    rows: u64,
    number: u64,
    through_ns: i64,
}

/// How many times larger than in the log its events may be uncompressed.
const RAW: u64 = 8;

/// A log that is being written.
#[derive(Debug)]
struct Open {
    file: File,
    number: u32,
    created: Instant,
    first_batch: u64,
    rows: u64,
    raw_bytes: u64,
    acknowledged_bytes: u64,
    /// The watermark of the logs before.
    since_ns: i64,
}

/// A log to which nothing is added any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) stem: Stem,
    /// Batches from this number on are void.
    pub(crate) end_batch: u64,
    /// The bytes that are known to have been on the disk.
    pub(crate) on_disk: u64,
    /// The stretch of time that its events are of, as far as it is known without reading it: it can be longer.
    pub(crate) between_ns: (i64, i64),
}

/// The log of a session.
#[derive(Debug)]
pub(crate) struct Log {
    layout: Layout,
    session: i64,
    schema: SchemaRef,
    metadata: HashMap<String, String>,
    open: Option<Open>,
    next_number: u32,
    next_batch: u64,
    frames: VecDeque<Frame>,
    waiting_bytes: usize,
    waiting_rows: u64,
    /// The watermark of what is acknowledged.
    through_ns: i64,
}

impl Log {
    /// Creates a log without a file. `metadata` goes into the schema of each file.
    pub(crate) fn new(layout: Layout, session: i64, schema: SchemaRef, mut metadata: HashMap<String, String>) -> Self {
        metadata.insert("rawtp:schema_version".into(), VERSION.to_string());
        metadata.insert("rawtp:session".into(), session.to_string());
        Self {
            layout,
            session,
            schema,
            metadata,
            open: None,
            next_number: 1,
            next_batch: 0,
            frames: VecDeque::new(),
            waiting_bytes: 0,
            waiting_rows: 0,
            through_ns: session,
        }
    }

    /// The events and the bytes that wait for [`Log::commit`].
    pub(crate) fn waiting(&self) -> (u64, usize) {
        (self.waiting_rows, self.waiting_bytes)
    }

    /// The bytes of memory that what waits for [`Log::commit`] takes uncompressed.
    pub(crate) fn waiting_raw(&self) -> u64 {
        self.frames.iter().map(|frame| frame.raw_bytes).sum()
    }

    /// Adds a batch, which waits in memory until [`Log::commit`].
    pub(crate) fn push(&mut self, batch: &RecordBatch, through_ns: i64) -> Result<()> {
        let pairs = [(BATCH, self.next_batch.to_string()), (THROUGH_NS, through_ns.to_string())];
        let (bytes, rows) = (batch_message(batch, &pairs)?, batch.num_rows() as u64);
        let raw_bytes = batch.get_array_memory_size() as u64;
        let frame = Frame { bytes, raw_bytes, rows, number: self.next_batch, through_ns };
        self.next_batch += 1;
        self.waiting_bytes += frame.bytes.len();
        self.waiting_rows += frame.rows;
        self.frames.push_back(frame);
        Ok(())
    }

    /// Gives up the latest batch that waits. Returns the number of its events.
    pub(crate) fn drop_latest(&mut self) -> u64 {
        let Some(frame) = self.frames.pop_back() else { return 0 };
        self.waiting_bytes -= frame.bytes.len();
        self.waiting_rows -= frame.rows;
        // A number that is missing is a damaged batch.
        self.next_batch = frame.number;
        frame.rows
    }

    /// Writes what waits and has it flushed to the disk. Returns the number of events that are acknowledged by that. The
    /// second value is a log that had to be given up.
    pub(crate) fn commit(&mut self) -> (io::Result<u64>, Option<Finished>) {
        if self.frames.is_empty() {
            return (Ok(0), None);
        }
        let abandoned = self.abandon_removed();
        match self.write() {
            Ok(()) => {
                let rows = self.waiting_rows;
                self.frames.clear();
                (self.waiting_rows, self.waiting_bytes) = (0, 0);
                (Ok(rows), abandoned)
            }
            Err(error) => {
                let again = self.recover();
                (Err(error), abandoned.or(again))
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let first = self.frames.front().map_or(self.next_batch, |frame| frame.number);
        if self.open.is_none() {
            self.open = Some(self.create(first)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut end = open.acknowledged_bytes;
        for frame in &self.frames {
            open.file.write_all_at(&frame.bytes, end)?;
            end += frame.bytes.len() as u64;
        }
        open.file.sync_data()?;
        open.acknowledged_bytes = end;
        open.rows += self.waiting_rows;
        open.raw_bytes += self.frames.iter().map(|frame| frame.raw_bytes).sum::<u64>();
        self.through_ns = self.frames.back().map_or(self.through_ns, |frame| frame.through_ns);
        Ok(())
    }

    fn create(&mut self, first_batch: u64) -> io::Result<Open> {
        let stem = Stem { session: self.session, number: self.next_number };
        let mut metadata = self.metadata.clone();
        metadata.insert(FIRST_BATCH.into(), first_batch.to_string());
        metadata.insert(SINCE_NS.into(), self.through_ns.to_string());
        let schema = Schema::new_with_metadata(self.schema.fields().clone(), metadata);
        let header = schema_message(&schema).map_err(io::Error::other)?;
        let path = self.layout.log(stem);
        let made = match create_file(&path) {
            // Somebody has removed the directory of the logs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.layout.create().and_then(|()| create_file(&path))
            }
            made => made,
        };
        let made = made.and_then(|file| {
            file.write_all_at(&header, 0)?;
            sync_directory(&self.layout.wal())?;
            Ok(file)
        });
        let file = made.inspect_err(|_| {
            // An empty log is none. Where it stays, the next attempt must not stumble over it.
            if remove(&path).is_err() {
                self.next_number += 1;
            }
        })?;
        self.next_number += 1;
        Ok(Open {
            file,
            number: stem.number,
            created: Instant::now(),
            first_batch,
            rows: 0,
            raw_bytes: 0,
            acknowledged_bytes: header.len() as u64,
            since_ns: self.through_ns,
        })
    }

    /// After a failed write: cuts off what was not acknowledged, or gives the file up.
    fn recover(&mut self) -> Option<Finished> {
        let open = self.open.as_ref()?;
        // A flush that failed may have lost any page that was not flushed, and a later one would not tell.
        let cut = open.file.set_len(open.acknowledged_bytes).and_then(|()| open.file.sync_all());
        if cut.is_ok() && open.rows > 0 {
            return None;
        }
        let first = self.frames.front().map_or(self.next_batch, |frame| frame.number);
        self.end(first)
    }

    /// Gives up a file that has no name any more. The sealer tells of what was in it.
    fn abandon_removed(&mut self) -> Option<Finished> {
        self.open.as_ref().filter(|open| is_removed(&open.file))?;
        let first = self.frames.front().map_or(self.next_batch, |frame| frame.number);
        self.end(first)
    }

    /// Whether the current log is larger or older than that, so that it should be finished.
    ///
    /// It is read as a whole when it is sealed. Long names that are all alike take thousands of times as much memory as
    /// they take in the log, so what it is uncompressed counts, too.
    pub(crate) fn is_due(&self, bytes: u64, age_s: f64) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let is_large = open.acknowledged_bytes >= bytes || open.raw_bytes >= bytes.saturating_mul(RAW);
            open.rows > 0 && (is_large || open.created.elapsed().as_secs_f64() >= age_s)
        })
    }

    /// Ends the current log. Everything in it is acknowledged, and what waits goes into the next.
    pub(crate) fn finish(&mut self) -> Option<Finished> {
        if let Some(open) = &self.open {
            // Without the mark the stream is whole, too.
            let _ = open.file.write_all_at(&END, open.acknowledged_bytes);
        }
        let end = self.frames.front().map_or(self.next_batch, |frame| frame.number);
        self.end(end)
    }

    fn end(&mut self, end_batch: u64) -> Option<Finished> {
        let open = self.open.take()?;
        let stem = Stem { session: self.session, number: open.number };
        if end_batch <= open.first_batch {
            // It has nothing that was acknowledged. Should it stay, its batches are void.
            let _ = remove(&self.layout.log(stem));
            return None;
        }
        let between_ns = (open.since_ns, self.through_ns);
        Some(Finished { stem, end_batch, on_disk: open.acknowledged_bytes, between_ns })
    }

    /// The number of the current log and the bytes of it that are on the disk.
    pub(crate) fn position(&self) -> (u32, u64) {
        self.open.as_ref().map_or((self.next_number, 0), |open| (open.number, open.acknowledged_bytes))
    }
}

/// A log of plain batches.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::history::files::testing::Scratch;

    pub(crate) fn batch(first: i64, rows: i64) -> RecordBatch {
        let schema =
            Schema::new(vec![Field::new("ts_ns", DataType::Int64, false), Field::new("path", DataType::Utf8, true)]);
        let paths = (first..first + rows).map(|row| (row % 3 != 0).then(|| format!("/tmp/é/{row}")));
        let columns: Vec<ArrayRef> =
            vec![Arc::new((first..first + rows).collect::<Int64Array>()), Arc::new(paths.collect::<StringArray>())];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    pub(crate) fn log(scratch: &Scratch) -> Log {
        let layout = Layout::new(&scratch.0.join("d"));
        layout.create().unwrap();
        Log::new(layout, 5, batch(0, 1).schema(), HashMap::from([("rawtp:host".into(), "h".into())]))
    }

    pub(crate) fn commit(log: &mut Log) -> u64 {
        let (rows, abandoned) = log.commit();
        assert_eq!(abandoned, None);
        rows.unwrap()
    }

    /// The bytes of the first log.
    pub(crate) fn bytes(log: &Log) -> Vec<u8> {
        std::fs::read(log.layout.log(Stem { session: 5, number: 1 })).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;

    use super::testing::{batch, commit, log};
    use super::*;
    use crate::history::contents::read;
    use crate::history::contents::testing::rows;
    use crate::history::files::testing::Scratch;

    #[test]
    fn a_log_is_due_by_what_it_is_uncompressed() {
        let scratch = Scratch::new("log-uncompressed");
        let mut log = log(&scratch);
        let names: StringArray = (0..1000).map(|_| Some("x".repeat(1000))).collect();
        let batch = batch(0, 1000);
        let batch = RecordBatch::try_new(batch.schema(), vec![Arc::clone(batch.column(0)), Arc::new(names)]).unwrap();
        log.push(&batch, 1).unwrap();
        log.commit().0.unwrap();
        let bytes = log.position().1;
        assert!(bytes < 64 << 10, "{bytes}");
        assert!(log.is_due(64 << 10, 1e9) && !log.is_due(1 << 20, 1e9));
    }

    #[test]
    fn batches_come_back() {
        let scratch = Scratch::new("log");
        let mut log = log(&scratch);
        log.push(&batch(0, 10), 100).unwrap();
        log.push(&batch(10, 1), 101).unwrap();
        assert_eq!(commit(&mut log), 11);
        log.push(&batch(11, 5), 102).unwrap();
        assert_eq!((commit(&mut log), commit(&mut log)), (5, 0));
        assert!(log.is_due(1, 1e9) && !log.is_due(1 << 30, 1e9) && log.is_due(1 << 30, 0.0));
        let finished = log.finish().unwrap();
        assert_eq!((finished.stem, finished.end_batch), (Stem { session: 5, number: 1 }, 3));
        let contents = read(&log.layout.log(finished.stem), u64::MAX).unwrap();
        assert_eq!(rows(&contents), (0..16).collect::<Vec<_>>());
        assert_eq!(contents.batches().next().unwrap().unwrap(), batch(0, 10));
        assert_eq!((contents.through_ns, contents.torn_bytes, contents.damaged.len()), (Some(102), 0, 0));
        assert_eq!(contents.metadata()["rawtp:host"], "h");
    }

    #[test]
    fn a_batch_that_is_given_up_leaves_no_hole() {
        let scratch = Scratch::new("log-drop");
        let mut log = log(&scratch);
        log.push(&batch(0, 3), 1).unwrap();
        log.push(&batch(3, 3), 2).unwrap();
        assert_eq!((log.drop_latest(), log.waiting().0), (3, 3));
        log.push(&batch(6, 3), 3).unwrap();
        commit(&mut log);
        let finished = log.finish().unwrap();
        let contents = read(&log.layout.log(finished.stem), finished.on_disk).unwrap();
        assert_eq!((rows(&contents), contents.damaged.len()), (vec![0, 1, 2, 6, 7, 8], 0));
    }

    #[test]
    fn what_was_not_acknowledged_is_void_once_it_is_in_a_later_log() {
        let scratch = Scratch::new("log-void");
        let mut log = log(&scratch);
        log.push(&batch(0, 3), 1).unwrap();
        commit(&mut log);
        // As if a flush had failed after the bytes had reached the disk.
        log.push(&batch(3, 3), 2).unwrap();
        log.write().unwrap();
        let finished = log.finish().unwrap();
        assert_eq!(finished.end_batch, 1);
        assert_eq!(commit(&mut log), 3);
        let stems = log.layout.logs().unwrap();
        let mut logs: Vec<_> = stems.into_iter().map(|stem| read(&log.layout.log(stem), 0).unwrap()).collect();
        assert_eq!(rows(&logs[0]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(logs[1].first_batch, 1);
        logs[0].end_at(1);
        assert_eq!((rows(&logs[0]), rows(&logs[1])), (vec![0, 1, 2], vec![3, 4, 5]));
    }
}
