//! The counters that the BPF programs write, read from shared memory.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::Result;
use crate::skel::types::{counters, live_config, place_filter};
use crate::sys::membarrier::wait_for_programs;
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
    /// Reports about processes that found no room.
    pub lost_processes: u64,
    /// Runs of a program that began in the middle of another one's.
    pub missed: u64,
    /// Truth records that found no room.
    pub lost_truths: u64,
}

/// The size of one element of the counters' map.
pub const COUNTERS_BYTES: usize = size_of::<counters>();

/// The size of the programs' live configuration.
pub const LIVE_BYTES: usize = size_of::<live_config>();

/// The most places that the programs compare.
const PLACES_MAX: usize = (LIVE_BYTES - offset_of!(live_config, places)) / size_of::<place_filter>();

/// The counters of the programs, and their live configuration.
#[derive(Debug)]
pub struct KernelCounters {
    counted: Mapping,
    live: Mapping,
    slots: usize,
}

impl KernelCounters {
    /// Maps the counters, which have one element per slot, and the live configuration.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`] when mmap(2) refuses.
    pub fn new(counters: impl AsFd, live: impl AsFd, slots: usize) -> Result<Self> {
        Ok(Self {
            counted: Mapping::new(counters, slots * COUNTERS_BYTES, 0, false)?,
            live: Mapping::new(live, LIVE_BYTES, 0, true)?,
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
        self.word(offset_of!(live_config, is_closed)).store(1, Ordering::Release);
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: an aligned word inside the mapping, which the programs only read.
        unsafe { AtomicU32::from_ptr(self.live.at::<u32>(at).as_ptr()) }
    }

    /// Sets the places that are wanted. Too many for the programs are none, and then they let everything through.
    pub fn set_places(&self, places: &[place_filter]) {
        let count = self.word(offset_of!(live_config, place_count));
        if count.swap(0, Ordering::SeqCst) != 0 {
            // A program may be in the middle of comparing the old ones.
            wait_for_programs();
        }
        if places.len() > PLACES_MAX {
            return;
        }
        for (at, place) in places.iter().enumerate() {
            let at = offset_of!(live_config, places) + at * size_of::<place_filter>();
            // SAFETY: an aligned place inside the mapping, which no program reads while the count is 0.
            unsafe { self.live.at::<place_filter>(at).as_ptr().write(*place) };
        }
        count.store(places.len() as u32, Ordering::Release);
    }

    /// Returns the number of reports about processes that found no room.
    #[must_use]
    pub fn lost_processes(&self) -> u64 {
        (0..self.slots).map(|slot| self.one(slot, offset_of!(counters, lost_processes))).sum()
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
            totals.lost_processes += self.one(slot, offset_of!(counters, lost_processes));
            totals.missed += self.one(slot, offset_of!(counters, missed));
            totals.lost_truths += self.one(slot, offset_of!(counters, lost_truths));
            totals.lost_cgroups += self.one_word(slot, offset_of!(counters, lost_cgroups));
        }
        totals
    }
}
