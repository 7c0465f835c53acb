//! What the programs count, read from memory that they write.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::Result;
use crate::skel::types::counters;
use crate::sys::mmap::Mapping;

/// The sums over all CPUs and programs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Calls of a watched number.
    pub matched: u64,
    /// Of them, those that the filters left out.
    pub filtered: u64,
    /// Of them, those whose record is or was in the ring.
    pub submitted: u64,
    /// Of them, those that found no room in the ring.
    pub lost_ring: u64,
    /// Of the lost, those after which no record came on the same CPU.
    pub tail_lost: u64,
    /// Exit records that found no room.
    pub lost_exits: u64,
    /// Processes that are not followed, although one that is gave birth to them.
    pub unfollowed: u64,
    /// Cgroup records that found no room.
    pub lost_cgroups: u64,
}

/// The size of an element.
pub const COUNTERS_BYTES: usize = size_of::<counters>();

/// What the programs count, and the switch that ends it.
#[derive(Debug)]
pub struct KernelCounters {
    counted: Mapping,
    switch: Mapping,
    slots: usize,
}

impl KernelCounters {
    /// Maps the counters, an element for each of `slots`, and the switch, which is a word.
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
        // SAFETY: an aligned counter inside the mapping, which the program writes whole; we only load it.
        unsafe { AtomicU64::from_ptr(at.as_ptr()) }.load(Ordering::Acquire)
    }

    fn one_word(&self, slot: usize, field: usize) -> u64 {
        let at = self.counted.at::<u32>(slot * COUNTERS_BYTES + field);
        // SAFETY: as in `one`.
        unsafe { AtomicU32::from_ptr(at.as_ptr()) }.load(Ordering::Relaxed).into()
    }

    /// Ends the counting: a program that begins once this is seen by its CPU counts and sends nothing more.
    pub fn close(&self) {
        let at = self.switch.at::<u32>(0);
        // SAFETY: an aligned word inside the mapping, which the programs only read.
        unsafe { AtomicU32::from_ptr(at.as_ptr()) }.store(1, Ordering::Release);
    }

    /// Adds up all slots.
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
            totals.lost_cgroups += self.one_word(slot, offset_of!(counters, lost_cgroups));
        }
        totals
    }
}
