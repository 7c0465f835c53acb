//! What the programs count, read from memory that they write.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::Result;
use crate::mapping::Mapping;
use crate::skel::types::{enter_state, exit_state};

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
}

/// The mapped state of the programs.
#[derive(Debug)]
pub struct Counters {
    enter: Mapping,
    exit: Mapping,
    slots: usize,
    cpus: usize,
}

impl Counters {
    /// Maps the two arrays, which have an element for each of `slots` and `cpus`.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`] when mmap(2) refuses.
    pub fn new(enter_states: impl AsFd, exit_states: impl AsFd, slots: usize, cpus: usize) -> Result<Self> {
        Ok(Self {
            enter: Mapping::new(enter_states, slots * size_of::<enter_state>(), 0, true)?,
            exit: Mapping::new(exit_states, cpus * size_of::<exit_state>(), 0, false)?,
            slots,
            cpus,
        })
    }

    fn enter(&self, slot: usize, field: usize) -> u64 {
        let at = self.enter.at::<u64>(slot * size_of::<enter_state>() + field);
        // SAFETY: an aligned counter inside the mapping, which the program writes whole; we only load it.
        unsafe { AtomicU64::from_ptr(at.as_ptr()) }.load(Ordering::Acquire)
    }

    /// Ends the counting: a program that begins once this is seen by its CPU counts and sends nothing more.
    pub fn close(&self) {
        for slot in 0..self.slots {
            let at = self.enter.at::<u32>(slot * size_of::<enter_state>() + offset_of!(enter_state, is_closed));
            // SAFETY: an aligned word inside the mapping, which the programs only read.
            unsafe { AtomicU32::from_ptr(at.as_ptr()) }.store(1, Ordering::Release);
        }
    }

    /// Adds up all slots.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for slot in 0..self.slots {
            totals.filtered += self.enter(slot, offset_of!(enter_state, filtered));
            totals.submitted += self.enter(slot, offset_of!(enter_state, submitted));
            totals.lost_ring += self.enter(slot, offset_of!(enter_state, lost_ring));
            totals.unfollowed += self.enter(slot, offset_of!(enter_state, unfollowed));
            totals.matched += self.enter(slot, offset_of!(enter_state, matched));
            let lost = self.enter.at::<u32>(slot * size_of::<enter_state>() + offset_of!(enter_state, lost));
            // SAFETY: as in `enter`.
            totals.tail_lost += u64::from(unsafe { AtomicU32::from_ptr(lost.as_ptr()) }.load(Ordering::Relaxed));
        }
        for cpu in 0..self.cpus {
            let exits = self.exit.at::<u64>(cpu * size_of::<exit_state>() + offset_of!(exit_state, lost_exits));
            // SAFETY: as in `enter`.
            totals.lost_exits += unsafe { AtomicU64::from_ptr(exits.as_ptr()) }.load(Ordering::Relaxed);
        }
        totals
    }
}
