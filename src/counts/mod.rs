//! Counts system calls in the kernel: the programs of `bpf/counts.bpf.c`.
//!
//! * `columns`: rows to Arrow's columns
//! * `counter`: reads what was counted
//! * `loaded`: loads and attaches the programs
//! * `slots`: the numbers of calls to the places where they are counted

pub mod columns;
pub mod counter;
pub mod loaded;
pub mod slots;

use crate::skel::counts::types::{call_errnos, call_times, process_key};

/// The number of buckets of a histogram (`BUCKETS`).
pub const BUCKETS: usize = {
    let times = call_times { total_ns: 0, max_ns: 0, buckets: [0; 32] };
    times.buckets.len()
};

/// The number of different errors that are told apart for each call and CPU (`ERRNOS`).
pub const ERRNOS: usize = {
    let errnos = call_errnos { counts: [0; 12], errnos: [0; 12] };
    errnos.errnos.len()
};

/// Errors by number, each with its count, the most frequent first.
pub type Errnos = Vec<(u16, u64)>;

/// The bytes of a process's name.
pub const COMM_BYTES: usize = size_of::<process_key>() - 8;

/// The upper bound of a bucket in nanoseconds, which is not in it; `None` for the last one, which has none.
#[must_use]
pub fn upper_ns(bucket: usize) -> Option<u64> {
    // FIRST_BITS of bpf/counts.h.
    (bucket + 1 < BUCKETS).then(|| 1 << (6 + bucket))
}

/// The time that calls took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The sum, in nanoseconds.
    pub total_ns: u64,
    /// The longest, in nanoseconds.
    pub max_ns: u64,
    /// How many took how long: see [`upper_ns`].
    pub buckets: [u64; BUCKETS],
}

/// A process by its id and the name of its main thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// The id, in the host's pid namespace.
    pub pid: u32,
    /// The name, without a NUL.
    pub comm: Vec<u8>,
}

/// The calls of one slot, by one process or by all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The place of the call in [`slots::Slots::calls`].
    pub slot: usize,
    /// The process; `None` for all, or for those that there was no room for.
    pub process: Option<Process>,
    /// The calls that began.
    pub calls: u64,
    /// The calls that returned an error.
    pub errors: u64,
    /// Them by number. What the programs had no room for is missing here.
    pub errnos: Errnos,
    /// The times, if they are measured.
    pub times: Option<Times>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double() {
        assert_eq!([0, 1, 30].map(upper_ns), [Some(64), Some(128), Some(1 << 36)]);
        assert_eq!(upper_ns(BUCKETS - 1), None);
    }
}
