//! The counters that the BPF programs write, read from shared memory.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::Result;
use crate::skel::types::counters;
use crate::sys::mmap::Mapping;

/// The sums over all CPUs and programs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Calls with a watched number.
    pub matched: u64,
    /// Matched calls that the filters left out.
    pub filtered: u64,
    /// Matched calls whose record is or was in the ring.
    pub submitted: u64,
    /// Matched calls that found no room in the ring.
    pub lost_ring: u64,
    /// Lost calls after which no record came on the same CPU.
    pub tail_lost: u64,
    /// Exit records that found no room.
    pub lost_exits: u64,
    /// Processes that are not followed although their parent is.
    pub unfollowed: u64,
    /// Cgroup records that found no room.
    pub lost_cgroups: u64,
    /// Runs of a program that began in the middle of another one's.
    pub missed: u64,
    /// Truth records that found no room.
    pub lost_truths: u64,
}

/// The size of one element of the counters' map.
pub const COUNTERS_BYTES: usize = size_of::<counters>();

/// The counters of the programs, and the switch that stops them.
#[derive(Debug)]
pub struct KernelCounters {
    counted: Mapping,
    switch: Mapping,
    slots: usize,
}

impl KernelCounters {
    /// Maps the counters, which have one element per slot, and the switch, which is one word.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`] when mmap(2) refuses.
    pub fn new(counters: impl AsFd, switch: impl AsFd, slots: usize) -> Result<Self> {
        Ok(Self {
            counted: Mapping::new(counters, slots * COUNTERS_BYTES, 0, false)?,
            switch: Mapping::new(switch, size_of::<u32>(), 0, true)?,
            slots,
        })
    }

    fn one(&self, slot: usize, field: usize) -> u64 {
        let at = self.counted.at::<u64>(slot * COUNTERS_BYTES + field);
        // SAFETY: an aligned counter inside the mapping. The program writes it whole, and we only load it.
        unsafe { AtomicU64::from_ptr(at.as_ptr()) }.load(Ordering::Acquire)
    }

    fn one_word(&self, slot: usize, field: usize) -> u64 {
        let at = self.counted.at::<u32>(slot * COUNTERS_BYTES + field);
        // SAFETY: as in `one`.
        unsafe { AtomicU32::from_ptr(at.as_ptr()) }.load(Ordering::Relaxed).into()
    }

    /// Stops the counting. A program that starts once its CPU sees the switch neither counts nor sends anything.
    pub fn close(&self) {
        let at = self.switch.at::<u32>(0);
        // SAFETY: an aligned word inside the mapping, which the programs only read.
        unsafe { AtomicU32::from_ptr(at.as_ptr()) }.store(1, Ordering::Release);
    }

    /// Returns the sums over all slots.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for slot in 0..self.slots {
            totals.filtered += self.one(slot, offset_of!(counters, filtered));
            totals.submitted += self.one(slot, offset_of!(counters, submitted));
            totals.lost_ring += self.one(slot, offset_of!(counters, lost_ring));
            totals.unfollowed += self.one(slot, offset_of!(counters, unfollowed));
            totals.matched += self.one(slot, offset_of!(counters, matched));
            totals.lost_exits += self.one(slot, offset_of!(counters, lost_exits));
            totals.tail_lost += self.one_word(slot, offset_of!(counters, lost));
            totals.missed += self.one(slot, offset_of!(counters, missed));
            totals.lost_truths += self.one(slot, offset_of!(counters, lost_truths));
            totals.lost_cgroups += self.one_word(slot, offset_of!(counters, lost_cgroups));
        }
        totals
    }
}
