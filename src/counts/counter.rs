//! Reads what the programs have counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::counts::loaded::LoadedCounts;
use crate::counts::slots::Slots;
use crate::counts::{BUCKETS, COMM_BYTES, ERRNOS, Errnos, Process, Row, Times};
use crate::error::{Error, Malformed, Result};
use crate::load::diagnose::diagnose;
use crate::memory::probe;
use crate::ring::broker_lease;
use crate::skel::counts::types::{call_count, call_errnos, call_times, process_count, process_errno, process_key};
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fdinfo::missed;
use crate::sys::mmap::{Mapping, page_bytes};

/// How many elements of the hash are read by one call.
const AT_ONCE: u32 = 4096;

/// The memory that the row of a process takes, about.
const ROW_BYTES: usize = 1024;

/// The slot whose calls are processes that are not followed (`SLOT_OF_UNFOLLOWED`).
const UNFOLLOWED: usize = 0;

/// What was counted up to a moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The rows, by slot, and those of processes last.
    pub rows: Vec<Row>,
    /// How often the kernel skipped a program because another task was in it; `None` where that is not known.
    pub missed: Option<u64>,
    /// Processes that are not followed although their parent is.
    pub unfollowed: u64,
    /// The reason why the counting has ended, if a broker has ended it.
    pub ended: Option<String>,
}

/// Programs that count, attached until they are dropped or detached.
#[derive(Debug)]
pub struct Counter {
    slots: Slots,
    cpus: usize,
    counts: Mapping,
    errnos: Mapping,
    times: Option<Mapping>,
    processes: Option<[MapHandle; 2]>,
    programs: Vec<OwnedFd>,
    links: Vec<CloseOnForkFd>,
    /// The connection to a broker, which keeps the programs attached for as long as it is open.
    lease: Option<CloseOnForkFd>,
    ended: OnceLock<String>,
}

impl Counter {
    /// Takes loaded programs over, and the connection to the broker that has loaded them.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when a map cannot be mapped.
    pub fn new(loaded: LoadedCounts, slots: Slots, broker: Option<OwnedFd>) -> Result<Self> {
        let bytes = |each: usize| (loaded.cpus * slots.calls.len() * each).next_multiple_of(page_bytes());
        let map = |map: &OwnedFd, each: usize| Mapping::new(map, bytes(each), 0, false);
        Ok(Self {
            counts: map(&loaded.counts, size_of::<call_count>())?,
            errnos: map(&loaded.errnos, size_of::<call_errnos>())?,
            times: loaded.times.as_ref().map(|times| map(times, size_of::<call_times>())).transpose()?,
            cpus: loaded.cpus,
            processes: loaded.processes,
            programs: loaded.programs,
            links: loaded.links,
            lease: broker.map(CloseOnForkFd::new).transpose()?,
            ended: OnceLock::new(),
            slots,
        })
    }

    /// What the slots count.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Detaches the programs. What they have counted can still be read.
    pub fn detach(&mut self) {
        self.note_end();
        self.links.clear();
        self.lease = None;
    }

    /// Notes the reason of a broker that has ended the counting.
    fn note_end(&self) {
        if let Some(lease) = self.lease.as_ref().filter(|lease| broker_lease::is_over(lease.as_fd())) {
            self.ended.get_or_init(|| broker_lease::last_word(lease.as_fd()));
        }
    }

    /// Reads what was counted.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when a map cannot be read.
    pub fn read(&self) -> Result<Snapshot> {
        self.note_end();
        let mut rows = self.by_call();
        rows.extend(self.by_process()?);
        // Where nothing is known of the programs, nothing is known of what they missed. A kernel that does not count
        // that misses nothing.
        let missed = (!self.programs.is_empty()).then(|| missed(&self.programs).unwrap_or_default());
        let unfollowed = self.sum(&self.counts, UNFOLLOWED, size_of::<call_count>(), offset_of!(call_count, calls));
        Ok(Snapshot { rows, missed, unfollowed, ended: self.ended.get().cloned() })
    }

    /// The sum of a number of all CPUs.
    fn sum(&self, mapping: &Mapping, slot: usize, bytes: usize, field: usize) -> u64 {
        let slots = self.slots.calls.len();
        (0..self.cpus).fold(0, |sum, cpu| sum.wrapping_add(load_u64(mapping, (cpu * slots + slot) * bytes + field)))
    }

    /// The errors of a slot by number.
    fn errnos_of(&self, slot: usize) -> Errnos {
        let slots = self.slots.calls.len();
        let mut sums: BTreeMap<u16, u64> = BTreeMap::new();
        for cpu in 0..self.cpus {
            let start = (cpu * slots + slot) * size_of::<call_errnos>();
            for place in 0..ERRNOS {
                let errno = load_u16(&self.errnos, start + offset_of!(call_errnos, errnos) + 2 * place);
                if errno == 0 {
                    break;
                }
                let count = load_u64(&self.errnos, start + offset_of!(call_errnos, counts) + 8 * place);
                *sums.entry(errno).or_default() += count;
            }
        }
        most_first(sums)
    }

    fn by_call(&self) -> Vec<Row> {
        let slots = self.slots.calls.len();
        let mut rows = Vec::new();
        for slot in 1..slots {
            // Before the sum of them, which the programs count first: so it is never less.
            let errnos = self.errnos_of(slot);
            let count = |field| self.sum(&self.counts, slot, size_of::<call_count>(), field);
            let times = self.times.as_ref().map(|mapping| {
                let time = |field| self.sum(mapping, slot, size_of::<call_times>(), field);
                let longest = (0..self.cpus).map(|cpu| {
                    load_u64(mapping, (cpu * slots + slot) * size_of::<call_times>() + offset_of!(call_times, max_ns))
                });
                Times {
                    total_ns: time(offset_of!(call_times, total_ns)),
                    max_ns: longest.max().unwrap_or_default(),
                    buckets: std::array::from_fn(|at| time(offset_of!(call_times, buckets) + 8 * at)),
                }
            });
            let row = Row {
                slot,
                process: None,
                calls: count(offset_of!(call_count, calls)),
                errors: count(offset_of!(call_count, errors)),
                errnos,
                times,
            };
            if is_seen(&row) {
                rows.push(row);
            }
        }
        rows
    }

    fn by_process(&self) -> Result<Vec<Row>> {
        let Some([counts, errnos]) = &self.processes else { return Ok(Vec::new()) };
        let malformed = || Error::from(Malformed("a process's count"));
        let mut errors: BTreeMap<(Process, usize), BTreeMap<u16, u64>> = BTreeMap::new();
        for element in elements(errnos)? {
            let (key, value) = element?;
            let of_call = key_of(&key).ok_or_else(malformed)?;
            let word = |bytes: &[u8]| bytes.first_chunk().map(|word| u64::from_ne_bytes(*word));
            let errno = key.get(offset_of!(process_errno, errno)..).and_then(word).ok_or_else(malformed)?;
            *errors.entry(of_call).or_default().entry(errno as u16).or_default() += word(&value).unwrap_or_default();
        }
        let mut rows: BTreeMap<(Process, usize), Row> = BTreeMap::new();
        for element in elements(counts)? {
            let (key, value) = element?;
            let (process, slot) = key_of(&key).ok_or_else(malformed)?;
            let word = |at: usize| value.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word));
            let calls = word(offset_of!(call_count, calls)).ok_or_else(malformed)?;
            let errors = word(offset_of!(call_count, errors)).ok_or_else(malformed)?;
            let times = self.times.is_some().then(|| {
                let at = |field: usize| word(offset_of!(process_count, times) + field).unwrap_or_default();
                Times {
                    total_ns: at(offset_of!(call_times, total_ns)),
                    max_ns: at(offset_of!(call_times, max_ns)),
                    buckets: std::array::from_fn(|bucket| at(offset_of!(call_times, buckets) + 8 * bucket)),
                }
            });
            let empty = Row {
                slot,
                process: Some(process.clone()),
                calls: 0,
                errors: 0,
                errnos: Vec::new(),
                times: times.map(|_| Times::default()),
            };
            let row = rows.entry((process, slot)).or_insert(empty);
            row.calls += calls;
            row.errors += errors;
            if let (Some(sum), Some(times)) = (&mut row.times, times) {
                sum.total_ns = sum.total_ns.wrapping_add(times.total_ns);
                sum.max_ns = sum.max_ns.max(times.max_ns);
                sum.buckets.iter_mut().zip(times.buckets).for_each(|(sum, more)| *sum += more);
            }
        }
        for (of_call, errnos) in errors {
            if let Some(row) = rows.get_mut(&of_call) {
                row.errnos = most_first(errnos);
            }
        }
        Ok(rows.into_values().filter(is_seen).collect())
    }
}

/// All elements of a hash.
fn elements(map: &MapHandle) -> Result<impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>> {
    let all = map.lookup_batch(AT_ONCE, MapFlags::ANY, MapFlags::ANY).map_err(|error| diagnose(&error, ""))?;
    Ok(all.enumerate().map(|(number, element)| {
        if number.is_multiple_of(AT_ONCE as usize) {
            probe(AT_ONCE as usize * ROW_BYTES).map_err(Error::memory("read counts"))?;
        }
        Ok(element)
    }))
}

fn most_first(errnos: BTreeMap<u16, u64>) -> Errnos {
    let mut all: Errnos = errnos.into_iter().filter(|(_, count)| *count > 0).collect();
    all.sort_by_key(|(errno, count)| (Reverse(*count), *errno));
    all
}

fn is_seen(row: &Row) -> bool {
    row.calls > 0 || row.errors > 0 || row.times.is_some_and(|times| times.buckets != [0; BUCKETS])
}

/// The process and the slot of a key, which is a `struct process_key`, or begins with one.
fn key_of(key: &[u8]) -> Option<(Process, usize)> {
    let word = |at: usize| key.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word));
    let comm: &[u8; COMM_BYTES] = key.get(offset_of!(process_key, comm)..)?.first_chunk()?;
    // What is left behind a name's end of an earlier name makes other keys of the same process.
    let comm = comm.iter().copied().take_while(|byte| *byte != 0).collect();
    let process = Process { pid: word(offset_of!(process_key, pid))?, comm };
    Some((process, word(offset_of!(process_key, slot))? as usize))
}

fn load_u64(mapping: &Mapping, offset: usize) -> u64 {
    // SAFETY: an aligned counter inside the mapping. The programs write it whole, and we only load it.
    unsafe { AtomicU64::from_ptr(mapping.at::<u64>(offset).as_ptr()) }.load(Ordering::Relaxed)
}

fn load_u16(mapping: &Mapping, offset: usize) -> u16 {
    // SAFETY: as above.
    unsafe { AtomicU16::from_ptr(mapping.at::<u16>(offset).as_ptr()) }.load(Ordering::Relaxed)
}
