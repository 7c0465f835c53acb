//! The ledger, which accounts for every matched call. `py::stats` shows it to Python.

/// The counters of one tracer since its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Calls with a watched number, before any filter.
    pub matched: u64,
    /// Matched calls that a filter left out, in the kernel or in user space.
    pub filtered: u64,
    /// Matched calls that found no room in the ring.
    pub lost_ring: u64,
    /// Matched calls that found no room in the kernel's tables. This version has no such table.
    pub lost_state: u64,
    /// Calls whose enter record was read and whose exit record was not.
    pub pending: u64,
    /// Calls that wait in the ring or in the queue.
    pub buffered: u64,
    /// Calls that were handed to the caller.
    pub delivered: u64,
    /// Calls that nobody had read at the close.
    pub discarded: u64,
    /// Program runs that the kernel skipped, or that had to give way to another one. `None` where the kernel does not
    /// count the former.
    pub missed: Option<u64>,
    /// Exit records of calls that were already delivered.
    pub unpaired: u64,
    /// Exit records that found no room.
    pub lost_exits: u64,
    /// Events whose name could not be read.
    pub name_faults: u64,
    /// Events whose name is longer than the buffer.
    pub truncated: u64,
    /// Losses after the last event of each CPU.
    pub tail_lost: u64,
    /// Processes that were not followed because there was no room.
    pub unfollowed: u64,
    /// Cgroup reports that found no room.
    pub lost_cgroups: u64,
    /// Reports about forks and execs that found no room, and processes that were forgotten while they lived.
    pub lost_processes: u64,
    /// Records of the kernel's own functions that found no room.
    pub lost_truths: u64,
    /// Mount namespaces that were not read because too many waited.
    pub lost_mounts: u64,
}
