//! A reader of the BPF ring buffer.
//!
//! libbpf's reader calls back once per record, maps the data twice, and consumes a record whatever the callback
//! returns. This one copies runs of records, headers included, and leaves in the ring what it has no room for. So the
//! ring is the only place where a record can be lost. The layout is that of kernel/bpf/ringbuf.c.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::error::{Error, Malformed, Result};
use crate::memory::OutOfMemory;
use crate::memory::aligned::AlignedBytes;
use crate::record::{DISCARDED, HEADER_BYTES, record_span};
use crate::ring::chunk::{CHUNK_BYTES, Chunk};
use crate::skel::types::record_kind;
use crate::sys::mmap::{Mapping, page_bytes};

const BUSY: u32 = 1 << 31;

/// How many bytes are copied before the consumer position is published. A producer then finds room before a whole chunk
/// is copied. A single record may be longer.
const PUBLISH_BYTES: usize = 16 << 10;

/// A run of committed records, starting at the consumer position.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// The position after the last record.
    pub end: u64,
    /// The number of events: enter records, or those of a raw tracepoint.
    pub events: u32,
    /// The number of records that are reports, not parts of calls.
    pub reports: u32,
}

/// Whether records of this kind are events.
fn is_event(kind: u32) -> bool {
    kind == record_kind::RECORD_ENTER.0 || kind == record_kind::RECORD_RAW.0
}

/// Whether records of this kind belong to no call.
fn is_report(kind: u32) -> bool {
    matches!(
        record_kind(kind),
        record_kind::RECORD_CGROUP | record_kind::RECORD_MOUNTS | record_kind::RECORD_FORK | record_kind::RECORD_EXEC
    )
}

/// Finds the committed records between two positions, at most `max_bytes`. Stops at a record that is still being
/// written.
///
/// # Errors
///
/// [`Malformed`] for a length that no record of ours has, or for positions further apart than the ring's size.
pub fn scan(data: &[AtomicU32], consumer: u64, producer: u64, max_bytes: usize) -> Result<Run> {
    if producer.wrapping_sub(consumer) > size_of_val(data) as u64 {
        return Err(Malformed("a position beyond what the ring holds").into());
    }
    let word = |position: u64| &data[(position / 4) as usize & (data.len() - 1)];
    let mut run = Run { end: consumer, events: 0, reports: 0 };
    while run.end < producer {
        let header = word(run.end).load(Ordering::Acquire);
        if header & BUSY != 0 {
            break;
        }
        let span = record_span(header) as u64;
        if span > producer - run.end || span > CHUNK_BYTES as u64 {
            return Err(Malformed("a length that reaches beyond what was written").into());
        }
        if run.end - consumer + span > max_bytes as u64 {
            break;
        }
        if header & DISCARDED == 0 {
            let kind = word(run.end + HEADER_BYTES as u64).load(Ordering::Relaxed);
            run.events += u32::from(is_event(kind));
            run.reports += u32::from(is_report(kind));
        }
        run.end += span;
    }
    Ok(run)
}

/// Why [`Ring::drain`] stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing committed is left in the ring.
    All,
    /// The next record does not fit into the chunk.
    ChunkFull,
}

/// The producer's side of the ring, for threads that do not read the ring. It keeps the ring mapped.
#[derive(Debug)]
pub struct Written(Arc<Mapping>);

impl Written {
    /// The position after the last record that a program has reserved.
    #[must_use]
    pub fn position(&self) -> u64 {
        // SAFETY: the kernel keeps an aligned unsigned long at the start of the page. The page is read-only, and we
        // only load.
        unsafe { AtomicU64::from_ptr(self.0.at::<u64>(0).as_ptr()) }.load(Ordering::Acquire)
    }
}

/// The mapped ring.
#[derive(Debug)]
pub struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    producer: Arc<Mapping>,
    page: usize,
    bytes: usize,
}

impl Ring {
    /// Maps the ring of `bytes` behind `fd`.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`] when mmap(2) refuses.
    pub fn new(fd: OwnedFd, bytes: usize) -> Result<Self> {
        let page = page_bytes();
        let consumer = Mapping::new(&fd, page, 0, true)?;
        let producer = Arc::new(Mapping::new(&fd, page + bytes, page, false)?);
        Ok(Self { fd, consumer, producer, page, bytes })
    }

    fn consumer_position(&self) -> &AtomicU64 {
        // SAFETY: the kernel keeps an aligned unsigned long at the start of the page and reads it with acquire.
        unsafe { AtomicU64::from_ptr(self.consumer.at::<u64>(0).as_ptr()) }
    }

    /// Returns the producer's side, which other threads may read.
    #[must_use]
    pub fn written(&self) -> Written {
        Written(Arc::clone(&self.producer))
    }

    /// The position up to which [`Ring::drain`] has moved everything.
    #[must_use]
    pub fn drained(&self) -> u64 {
        self.consumer_position().load(Ordering::Relaxed)
    }

    fn data(&self) -> &[AtomicU32] {
        let start = self.producer.at::<AtomicU32>(self.page).as_ptr();
        // SAFETY: the mapping holds `bytes` of data after the page. The kernel may change the data behind a shared
        // slice of atomics.
        unsafe { std::slice::from_raw_parts(start, self.bytes / 4) }
    }

    fn copy(&self, from: u64, to: u64, chunk: &mut AlignedBytes) -> std::result::Result<(), OutOfMemory> {
        let start = from as usize & (self.bytes - 1);
        let bytes = (to - from) as usize;
        let first = bytes.min(self.bytes - start);
        chunk.reserve(bytes)?;
        let data = self.data().as_ptr().cast::<u8>();
        // SAFETY: the run is committed, so the kernel leaves it alone until the consumer position passes it. Both parts
        // lie inside the data, and the chunk has just reserved room for them.
        unsafe {
            let target = chunk.end();
            ptr::copy_nonoverlapping(data.add(start), target, first);
            ptr::copy_nonoverlapping(data, target.add(first), bytes - first);
            chunk.advance(bytes);
        }
        Ok(())
    }

    /// Moves committed records into the chunk until it is full or the ring is empty.
    ///
    /// # Errors
    ///
    /// [`Malformed`], see [`scan`]. [`Error::Memory`] when the chunk has less room than [`CHUNK_BYTES`], and gets no more.
    pub fn drain(&mut self, chunk: &mut Chunk) -> Result<Drained> {
        let mut position = self.drained();
        let written = self.written();
        loop {
            let producer = written.position();
            let room = CHUNK_BYTES - chunk.bytes.len();
            let mut run = scan(self.data(), position, producer, room.min(PUBLISH_BYTES))?;
            if run.end == position {
                run = scan(self.data(), position, producer, room)?;
            }
            if run.end == position {
                let busy = producer == position
                    || self.data()[(position / 4) as usize & (self.bytes / 4 - 1)].load(Ordering::Relaxed) & BUSY != 0;
                return Ok(if busy { Drained::All } else { Drained::ChunkFull });
            }
            self.copy(position, run.end, &mut chunk.bytes).map_err(Error::memory("copy records out of the ring"))?;
            chunk.events += run.events;
            chunk.reports += run.reports;
            position = run.end;
            self.consumer_position().store(position, Ordering::Release);
            // The kernel wakes us only if it sees that we had caught up with the record it commits. So our store must
            // be visible to it before we look for more records.
            fence(Ordering::SeqCst);
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(words: &[u32], size: usize) -> Vec<AtomicU32> {
        let mut data: Vec<AtomicU32> = words.iter().copied().map(AtomicU32::new).collect();
        data.resize_with(size, || AtomicU32::new(0));
        data
    }

    #[test]
    fn scans_up_to_the_producer_and_counts_enter_records() {
        let data = ring(&[8, 0, 1, 7, 8, 0, 2, 7, 8 | DISCARDED, 0, 1, 7, 8, 0, 1, 7], 16);
        assert_eq!(scan(&data, 0, 48, 1 << 16).unwrap(), Run { end: 48, events: 1, reports: 0 });
        assert_eq!(scan(&data, 0, 64, 1 << 16).unwrap(), Run { end: 64, events: 2, reports: 0 });
        assert_eq!(scan(&data, 0, 64, 40).unwrap(), Run { end: 32, events: 1, reports: 0 });
    }

    #[test]
    fn counts_cgroup_records_and_events() {
        let data = ring(&[8, 0, 4, 7, 8, 0, 1, 7, 8 | DISCARDED, 0, 4, 7, 8, 0, 4, 7], 16);
        assert_eq!(scan(&data, 0, 64, 1 << 16).unwrap(), Run { end: 64, events: 1, reports: 2 });
    }

    #[test]
    fn stops_at_a_record_that_is_being_written() {
        let data = ring(&[8, 0, 1, 7, 8 | BUSY, 0, 1, 7], 16);
        assert_eq!(scan(&data, 0, 32, 1 << 16).unwrap(), Run { end: 16, events: 1, reports: 0 });
    }

    #[test]
    fn wraps() {
        let data = ring(&[1, 7, 0, 0, 0, 0, 12, 0], 8);
        assert_eq!(scan(&data, 24, 48, 1 << 16).unwrap(), Run { end: 48, events: 1, reports: 0 });
    }

    #[test]
    fn a_hostile_length_is_refused() {
        for length in [9, 0xffff, 0x3fff_ffff] {
            let data = ring(&[length, 0, 1, 7], 8);
            let error = scan(&data, 0, 16, 1 << 16).unwrap_err();
            assert_eq!(error.to_string(), "malformed record: a length that reaches beyond what was written");
        }
    }
}
