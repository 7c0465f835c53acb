//! The content of a log: its batches, and the damage among them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::{Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::history::files::{open_file, read_whole};
use crate::history::frame::{END, message_at, next_message};
use crate::history::log::{BATCH, FIRST_BATCH, SINCE_NS, THROUGH_NS};

/// More than the first message of a log takes.
const BEGINNING_BYTES: usize = 1 << 20;

/// A batch in a log.
#[derive(Debug)]
struct Entry {
    number: u64,
    at: usize,
}

/// The content of a log.
#[derive(Debug)]
pub(crate) struct Contents {
    bytes: Buffer,
    schema: Option<SchemaRef>,
    entries: Vec<Entry>,
    pub(crate) first_batch: u64,
    /// The last watermark of the logs before.
    pub(crate) after_ns: Option<i64>,
    /// The first watermark that is higher: what the logs before have happened by then.
    pub(crate) since_ns: Option<i64>,
    /// The last watermark.
    pub(crate) through_ns: Option<i64>,
    /// The bytes at the end that are no whole batch.
    pub(crate) torn_bytes: u64,
    /// Stretches of time whose batches are damaged, as far as the batches before and after tell.
    pub(crate) damaged: Vec<(Option<i64>, Option<i64>)>,
}

/// Reads a log. `on_disk` is the number of bytes that are known to have been acknowledged.
pub(crate) fn read(path: &Path, on_disk: u64) -> io::Result<Contents> {
    read_file(&open_file(path)?, path, on_disk)
}

/// Reads an open log from its beginning.
pub(crate) fn read_file(file: &File, path: &Path, on_disk: u64) -> io::Result<Contents> {
    Ok(contents(read_whole(file, path)?, on_disk))
}

/// The number of the first batch of a log. `None` when its beginning is not whole.
pub(crate) fn first_batch(file: &File) -> io::Result<Option<u64>> {
    let mut beginning = vec![0; BEGINNING_BYTES];
    let read = file.read_at(&mut beginning, 0)?;
    let schema = message_at(&beginning[..read], 0).and_then(|message| message.schema());
    Ok(schema.and_then(|schema| schema.metadata().get(FIRST_BATCH)?.parse().ok()))
}

/// The number of a batch, by the metadata of its message.
pub(crate) fn batch_number(metadata: &HashMap<String, String>) -> Option<u64> {
    metadata.get(BATCH)?.parse().ok()
}

/// Stretches of time that end with the next higher watermark. A reading can take several batches, which have the watermark
/// of the reading before, all but the last: so an equal one is not behind what happened between them.
#[derive(Debug, Default)]
struct Rising(Vec<(Option<i64>, usize)>);

impl Rising {
    /// Sees a watermark, which may end some.
    fn see(&mut self, through_ns: i64, damaged: &mut [(Option<i64>, Option<i64>)]) {
        self.0.retain_mut(|(least_ns, at)| {
            if through_ns <= *least_ns.get_or_insert(through_ns) {
                return true;
            }
            damaged[*at].1 = Some(through_ns);
            false
        });
    }
}

/// Finds the batches in a log's bytes.
pub(crate) fn contents(bytes: Vec<u8>, on_disk: u64) -> Contents {
    let bytes = Buffer::from_vec(bytes);
    let mut found = Contents {
        bytes: bytes.clone(),
        schema: None,
        entries: Vec::new(),
        first_batch: 0,
        after_ns: None,
        since_ns: None,
        through_ns: None,
        torn_bytes: 0,
        damaged: Vec::new(),
    };
    let (mut at, mut last, mut is_damaged) = (0, None, false);
    let mut rising = Rising::default();
    while at < bytes.len() {
        let Some(message) = message_at(&bytes, at) else {
            if bytes[at..] == END {
                break;
            }
            if let Some(next) = next_message(&bytes, at + 1) {
                (at, is_damaged) = (next, true);
                continue;
            }
            if (at as u64) < on_disk {
                found.damaged.push((found.through_ns.or(found.after_ns), None));
            } else {
                found.torn_bytes = (bytes.len() - at) as u64;
            }
            break;
        };
        let metadata = message.metadata();
        let number = |key: &str| metadata.get(key).and_then(|value| value.parse::<i64>().ok());
        if let Some(schema) = message.schema() {
            let first = schema.metadata().get(FIRST_BATCH).and_then(|first| first.parse().ok());
            found.first_batch = first.unwrap_or_default();
            found.after_ns = schema.metadata().get(SINCE_NS).and_then(|since| since.parse().ok());
            found.schema = Some(schema);
        } else if let Some(batch) = number(BATCH).map(i64::cast_unsigned) {
            let through_ns = number(THROUGH_NS);
            // A number that is missing is a batch of which not even the beginning is left.
            let expected = last.map_or(found.first_batch, |last| last + 1);
            if found.schema.is_some() && (is_damaged || batch != expected) {
                let from_ns = found.through_ns.or(found.after_ns);
                rising.0.push((from_ns, found.damaged.len()));
                found.damaged.push((from_ns, None));
            }
            if let Some(through_ns) = through_ns {
                rising.see(through_ns, &mut found.damaged);
                let is_higher = found.after_ns.is_some_and(|after_ns| through_ns > after_ns);
                found.since_ns = found.since_ns.or(is_higher.then_some(through_ns));
            }
            if last.is_none_or(|last| batch > last) {
                found.entries.push(Entry { number: batch, at });
                (last, found.through_ns, is_damaged) = (Some(batch), through_ns.or(found.through_ns), false);
            }
        }
        at = message.end;
    }
    if found.schema.is_none() && !found.entries.is_empty() {
        // Without the schema no batch can be read.
        found.damaged = vec![(None, None)];
        found.entries.clear();
    }
    found
}

impl Contents {
    /// The metadata of the schema.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        self.schema.as_ref().map(|schema| schema.metadata().clone().into()).unwrap_or_default()
    }

    /// Whether its beginning is whole.
    pub(crate) fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// Forgets the batches from this number on, which a log behind this one has. It has all before, so those that are
    /// missing at the end are damaged.
    pub(crate) fn end_at(&mut self, end_batch: u64) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.number < end_batch);
        let next = self.entries.last().map_or(self.first_batch, |entry| entry.number + 1);
        let (is_short, missing) = match self.schema {
            Some(_) => (next < end_batch, (self.through_ns.or(self.after_ns), None)),
            None => (!self.bytes.is_empty(), (None, None)),
        };
        if end_batch < u64::MAX && is_short && before == self.entries.len() && self.damaged.last() != Some(&missing) {
            self.damaged.push(missing);
            self.torn_bytes = 0;
        }
    }

    /// The batches, decoded as they are asked for.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> {
        self.entries.iter().map(|entry| {
            let message = message_at(&self.bytes, entry.at).zip(self.schema.as_ref());
            let (message, schema) = message.ok_or_else(|| Error::Columns("a log that has changed".into()))?;
            // Without the metadata, so that batches of several logs are alike.
            message.batch(&self.bytes, &Arc::new(Schema::new(schema.fields().clone())))
        })
    }

    /// The number of batches.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The rows of a log of plain batches.
#[cfg(test)]
pub(crate) mod testing {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::Contents;

    pub(crate) fn rows(contents: &Contents) -> Vec<i64> {
        let batches = contents.batches().map(Result::unwrap);
        batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::rows;
    use super::*;
    use crate::history::files::testing::Scratch;
    use crate::history::log::testing::{batch, bytes, commit, log};

    /// A log of four batches, and where they end. `name` is the test's own: tests run beside each other.
    fn sample(name: &str) -> (Vec<u8>, Vec<usize>) {
        let scratch = Scratch::new(name);
        let mut log = log(&scratch);
        let mut ends = Vec::new();
        for number in 0..4 {
            log.push(&batch(number * 20, 20), 100 + number).unwrap();
            commit(&mut log);
            ends.push(log.position().1 as usize);
        }
        (bytes(&log), ends)
    }

    #[test]
    fn a_torn_log_has_its_whole_batches() {
        let (bytes, ends) = sample("log-torn");
        for cut in 0..bytes.len() {
            let contents = contents(bytes[..cut].to_vec(), 0);
            let whole = ends.iter().filter(|end| **end <= cut).count().cast_signed() as i64;
            assert_eq!(rows(&contents), (0..20 * whole).collect::<Vec<_>>(), "{cut}");
            assert!(contents.damaged.is_empty(), "{cut}");
        }
    }

    #[test]
    fn no_damage_makes_a_wrong_value_or_goes_unseen() {
        let (bytes, _) = sample("log-damaged");
        for at in (0..bytes.len() * 8).step_by(5) {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let contents = contents(flipped, bytes.len() as u64);
            let rows = rows(&contents);
            let lost: Vec<i64> = (0..80).filter(|row| !rows.contains(row)).collect();
            assert!(rows.is_sorted() && rows.iter().all(|row| (0..80).contains(row)));
            assert!(lost.len() == 20 || lost.len() == 80 && at / 8 < bytes.len() / 2, "{at}: {}", lost.len());
            assert!(!contents.damaged.is_empty(), "{at}");
        }
    }

    #[test]
    fn a_damaged_batch_is_of_the_time_up_to_the_next_reading() {
        let scratch = Scratch::new("log-readings");
        let mut log = log(&scratch);
        // A reading of three batches, of which the last one has its watermark, one of two, and one of one.
        for (number, through_ns) in [5, 5, 100, 100, 200, 300].into_iter().enumerate() {
            log.push(&batch(number.cast_signed() as i64 * 20, 20), through_ns).unwrap();
        }
        commit(&mut log);
        let bytes = bytes(&log);
        let whole = contents(bytes.clone(), 0);
        assert_eq!((whole.after_ns, whole.since_ns, whole.through_ns), (Some(5), Some(100), Some(300)));
        assert!(whole.damaged.is_empty());
        let places: Vec<_> = whole.entries.iter().map(|entry| entry.at).collect();
        let damaged = |numbers: &[usize]| {
            let mut bytes = bytes.clone();
            for number in numbers {
                bytes[places[*number] + 9] ^= 1;
            }
            contents(bytes, bytes_of(&places)).damaged
        };
        assert_eq!(damaged(&[0]), [(Some(5), Some(100))]);
        assert_eq!(damaged(&[1]), [(Some(5), Some(100))]);
        assert_eq!(damaged(&[2]), [(Some(5), Some(100))]);
        assert_eq!(damaged(&[3]), [(Some(100), Some(200))]);
        assert_eq!(damaged(&[1, 4]), [(Some(5), Some(100)), (Some(100), Some(300))]);
        assert_eq!(damaged(&[5]), [(Some(200), None)]);
    }

    /// All of them were on the disk.
    fn bytes_of(places: &[usize]) -> u64 {
        places.last().map_or(0, |at| *at as u64 + 1)
    }

    #[test]
    fn batches_that_are_missing_before_the_next_log_are_damaged() {
        let (bytes, ends) = sample("log-missing");
        let cut = |end: usize, end_batch: u64| {
            let mut contents = contents(bytes[..end].to_vec(), 0);
            contents.end_at(end_batch);
            (rows(&contents).len(), contents.damaged, contents.torn_bytes)
        };
        assert_eq!(cut(ends[3], 4), (80, vec![], 0));
        // The last one is in the next log, too.
        assert_eq!(cut(ends[3], 3), (60, vec![], 0));
        assert_eq!(cut(ends[2] + 7, 4), (60, vec![(Some(102), None)], 0));
        assert_eq!(cut(ends[0] - 7, 4), (0, vec![(Some(5), None)], 0));
        assert_eq!(cut(9, 4), (0, vec![(None, None)], 0));
        // Nobody knows whether it had any.
        assert_eq!(cut(0, 4), (0, vec![], 0));
        assert_eq!(cut(ends[2] + 7, u64::MAX), (60, vec![], 7));
    }
}
