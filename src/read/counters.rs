//! The counters of the readers.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one tracer's readers. Only the thread with the reader's lock writes them; any thread may read.
#[derive(Debug, Default)]
pub struct ReaderCounters {
    /// Events whose enter record was decoded.
    pub decoded: AtomicU64,
    /// Decoded events that wait for their exit.
    pub pending: AtomicU64,
    /// Decoded events that were handed to the caller.
    pub delivered: AtomicU64,
    /// Decoded events that could not be delivered, because an exception came while they were made into objects.
    pub discarded: AtomicU64,
    /// Decoded events that the filters left out.
    pub filtered: AtomicU64,
    /// Events lost before filtered ones that no delivered event has reported.
    pub unreported_losses: AtomicU64,
    /// Exit records of events that were already delivered without them.
    pub unpaired: AtomicU64,
    /// Truth records that there was no room to keep.
    pub lost_truths: AtomicU64,
    /// Events whose name could not be read.
    pub name_faults: AtomicU64,
    /// Events whose name was longer than a path can be.
    pub truncated: AtomicU64,
}

impl ReaderCounters {
    /// Counts this many delivered events as discarded instead.
    pub fn take_back(&self, events: u64) {
        self.delivered.store(self.delivered.load(Ordering::Relaxed).saturating_sub(events), Ordering::Relaxed);
        add(&self.discarded, events);
    }
}

/// Adds to a counter that has a single writer. It is cheaper than an atomic addition.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// Subtracts from a counter that has a single writer.
pub(super) fn take_off(counter: &AtomicU64, less: u64) {
    counter.store(counter.load(Ordering::Relaxed) - less, Ordering::Relaxed);
}
