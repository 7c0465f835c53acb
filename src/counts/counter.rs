//! Loads and attaches the programs, and reads what they have counted.

use std::collections::BTreeMap;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::btf::vmlinux::VmlinuxBtf;
use crate::config::filters::Filters;
use crate::counts::slots::Slots;
use crate::counts::{BUCKETS, COMM_BYTES, Process, Row, Times};
use crate::error::{Error, Malformed, Result};
use crate::load::diagnose::{LOAD_BYTES, LOADING, diagnose};
use crate::load::exit_target::{handle_exit_program, set_exit_target};
use crate::load::libbpf_log::{keep_off_stderr, with_log};
use crate::load::preemptible::is_preemptible;
use crate::load::thread_ids;
use crate::memory::probe;
use crate::skel::counts::types::{call_count, call_times, process_count, process_key};
use crate::skel::counts::{CountsSkel, CountsSkelBuilder, OpenCountsSkel};
use crate::sys::bpf::attach_raw;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::mmap::{Mapping, page_bytes, probe_mapping};
use crate::sys::signals::{Interrupted, uninterrupted};
use crate::sys::tracepoint::attach_tracepoint;

/// The block of thread ids within which `starts` puts neighbours apart (`start_of`).
const TIDS_BLOCK: u32 = 512;

/// How many elements of the hash are read by one call.
const AT_ONCE: u32 = 4096;

/// The memory that the row of a process takes, about.
const ROW_BYTES: usize = 1024;

/// What is counted, and how.
#[derive(Debug)]
pub struct Options {
    /// The calls.
    pub slots: Slots,
    /// Whose calls.
    pub filters: Filters,
    /// Whether by process.
    pub by_process: bool,
    /// Whether times are measured.
    pub latency: bool,
    /// The most rows of processes. What does not fit is counted by call alone.
    pub max_rows: u32,
}

/// What was counted up to a moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The rows, by slot, and those of processes last.
    pub rows: Vec<Row>,
    /// How often the kernel skipped a program because another task was in it.
    pub missed: u64,
    /// Processes that are not followed although their parent is.
    pub unfollowed: u64,
}

/// Programs that count, attached until they are dropped or detached.
#[derive(Debug)]
pub struct Counter {
    slots: Slots,
    cpus: usize,
    counts: Mapping,
    times: Option<Mapping>,
    processes: Option<MapHandle>,
    variables: MapHandle,
    programs: Vec<OwnedFd>,
    links: Vec<CloseOnForkFd>,
}

impl Counter {
    /// Loads and attaches the programs. Signals do not interrupt it.
    ///
    /// # Errors
    ///
    /// Those of [`crate::load::load`].
    pub fn new(options: Options) -> Result<Self> {
        keep_off_stderr();
        let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))?;
        probe_mapping(LOAD_BYTES).map_err(Error::memory(LOADING))?;
        // As a tracer does: a tracepoint whose programs the kernel does not preempt misses nothing.
        let classic = is_preemptible();
        let (programs, links, maps) = match uninterrupted(|| load(&options, cpus, classic)) {
            Err(error) if classic && !error.is_interrupted() => {
                uninterrupted(|| load(&options, cpus, false)).map_err(|_| error)?
            }
            loaded => loaded?,
        };
        let bytes = |each: usize| (cpus * options.slots.calls.len() * each).next_multiple_of(page_bytes());
        Ok(Self {
            cpus,
            counts: Mapping::new(&maps.counts, bytes(size_of::<call_count>()), 0, false)?,
            times: maps.times.map(|map| Mapping::new(&map, bytes(size_of::<call_times>()), 0, false)).transpose()?,
            processes: maps.processes,
            variables: maps.variables,
            slots: options.slots,
            programs,
            links,
        })
    }

    /// What the slots count.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Detaches the programs. What they have counted can still be read.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Reads what was counted.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when a map cannot be read.
    pub fn read(&self) -> Result<Snapshot> {
        let mut rows = self.by_call();
        rows.extend(self.by_process()?);
        let missed = self.programs.iter().map(recursion_misses).sum();
        let bytes = self.variables.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY).map_err(|error| diagnose(&error, ""))?;
        // The first of the programs' variables (bpf/counts.bpf.c).
        let unfollowed = bytes.as_deref().and_then(|bytes| bytes.first_chunk()).copied();
        let unfollowed = unfollowed.map(u64::from_ne_bytes).ok_or(Malformed("the programs' own count"))?;
        Ok(Snapshot { rows, missed, unfollowed })
    }

    fn by_call(&self) -> Vec<Row> {
        let slots = self.slots.calls.len();
        let sum = |mapping: &Mapping, slot: usize, bytes: usize, field: usize| {
            (0..self.cpus)
                .fold(0_u64, |sum, cpu| sum.wrapping_add(load_u64(mapping, (cpu * slots + slot) * bytes + field)))
        };
        let mut rows = Vec::new();
        for slot in 1..slots {
            let count = |field| sum(&self.counts, slot, size_of::<call_count>(), field);
            let times = self.times.as_ref().map(|mapping| {
                let time = |field| sum(mapping, slot, size_of::<call_times>(), field);
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
                times,
            };
            if is_seen(&row) {
                rows.push(row);
            }
        }
        rows
    }

    fn by_process(&self) -> Result<Vec<Row>> {
        let Some(map) = &self.processes else { return Ok(Vec::new()) };
        let elements = map.lookup_batch(AT_ONCE, MapFlags::ANY, MapFlags::ANY).map_err(|error| diagnose(&error, ""))?;
        let mut rows: BTreeMap<(Process, usize), Row> = BTreeMap::new();
        for (number, (key, value)) in elements.enumerate() {
            if number.is_multiple_of(AT_ONCE as usize) {
                probe(AT_ONCE as usize * ROW_BYTES).map_err(Error::memory("read counts"))?;
            }
            let malformed = || Error::from(Malformed("a process's count"));
            let (pid, slot, comm) = key_of(&key).ok_or_else(malformed)?;
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
            // What is left behind a name's end of an earlier name makes other keys of the same process.
            let comm: Vec<u8> = comm.iter().copied().take_while(|byte| *byte != 0).collect();
            let process = Process { pid, comm };
            let empty = Row {
                slot,
                process: Some(process.clone()),
                calls: 0,
                errors: 0,
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
        Ok(rows.into_values().filter(is_seen).collect())
    }
}

fn is_seen(row: &Row) -> bool {
    row.calls > 0 || row.errors > 0 || row.times.is_some_and(|times| times.buckets != [0; BUCKETS])
}

fn key_of(key: &[u8]) -> Option<(u32, usize, &[u8; COMM_BYTES])> {
    let word = |at: usize| key.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word));
    let comm = key.get(offset_of!(process_key, comm)..)?.first_chunk()?;
    Some((word(offset_of!(process_key, pid))?, word(offset_of!(process_key, slot))? as usize, comm))
}

fn load_u64(mapping: &Mapping, offset: usize) -> u64 {
    // SAFETY: an aligned counter inside the mapping. The programs write it whole, and we only load it.
    unsafe { AtomicU64::from_ptr(mapping.at::<u64>(offset).as_ptr()) }.load(Ordering::Relaxed)
}

/// How often the kernel has skipped a program because it was in the middle of it: since Linux 5.12. Before, it
/// preempted none.
fn recursion_misses(program: &OwnedFd) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: a descriptor, and a structure of that size without pointers to fill.
    let failed = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut bytes) };
    if failed == 0 { info.recursion_misses } else { 0 }
}

struct Maps {
    counts: OwnedFd,
    times: Option<OwnedFd>,
    processes: Option<MapHandle>,
    variables: MapHandle,
}

fn load(options: &Options, cpus: usize, classic: bool) -> Result<(Vec<OwnedFd>, Vec<CloseOnForkFd>, Maps)> {
    let mut storage = MaybeUninit::uninit();
    let skel = with_log(|| {
        handle_exit_program();
        let mut open = CountsSkelBuilder::default().open(&mut storage)?;
        configure(&mut open, options, cpus as u32, classic)?;
        let skel = open.load()?;
        options.filters.fill_counts(&skel)?;
        Ok(skel)
    })?;
    let (programs, links) = attach(&skel, options, classic)?;
    let handle = |map| MapHandle::try_from(map).map_err(|error| diagnose(&error, ""));
    let maps = Maps {
        counts: copy(&skel.maps.call_counts.as_fd())?,
        times: options.latency.then(|| copy(&skel.maps.call_times.as_fd())).transpose()?,
        processes: options.by_process.then(|| handle(&skel.maps.process_counts)).transpose()?,
        variables: handle(&skel.maps.bss)?,
    };
    Ok((programs, links, maps))
}

fn configure(open: &mut OpenCountsSkel<'_>, options: &Options, cpus: u32, classic: bool) -> libbpf_rs::Result<()> {
    options.filters.configure_counts(open)?;
    let slots = options.slots.calls.len() as u32;
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    rodata.cfg_slots = *options.slots.numbers;
    for (to, of) in rodata.cfg_traits.iter_mut().zip(options.slots.traits()) {
        *to = of;
    }
    rodata.cfg_slot_count = slots;
    rodata.cfg_is_filtered = options.filters.are_by_process();
    rodata.cfg_by_process = options.by_process;
    rodata.cfg_latency = options.latency;
    let maps = &mut open.maps;
    maps.call_counts.set_max_entries(cpus * slots)?;
    maps.call_times.set_max_entries(if options.latency { cpus * slots } else { 1 })?;
    maps.process_counts.set_max_entries(if options.by_process { options.max_rows } else { 1 })?;
    let process_bytes = if options.latency { size_of::<process_count>() } else { size_of::<call_count>() } as u32;
    maps.process_counts.set_value_size(process_bytes)?;
    maps.nothing.set_value_size(process_bytes)?;
    maps.starts.set_max_entries(if options.latency { thread_ids().next_multiple_of(TIDS_BLOCK) } else { 1 })?;
    if !(options.latency && options.by_process) {
        maps.names.set_max_entries(1)?;
    }
    let progs = &mut open.progs;
    progs.count_enter.set_autoload(!classic);
    progs.count_exit.set_autoload(!classic);
    progs.trace_enter.set_autoload(classic);
    progs.trace_exit.set_autoload(classic);
    progs.handle_fork.set_autoload(options.filters.follow() || options.latency);
    if !classic {
        set_exit_target(&mut progs.count_exit, VmlinuxBtf::type_ids())?;
    }
    Ok(())
}

/// Attaches the programs. Exits come last: one without an entry would be an error without a call.
fn attach(skel: &CountsSkel<'_>, options: &Options, classic: bool) -> Result<(Vec<OwnedFd>, Vec<CloseOnForkFd>)> {
    let progs = &skel.progs;
    let (mut programs, mut links) = (Vec::new(), Vec::new());
    let mut keep = |program: &dyn AsFd, link: OwnedFd| {
        programs.push(copy(program)?);
        links.push(CloseOnForkFd::new(link)?);
        Ok::<_, Error>(())
    };
    if options.filters.follow() {
        keep(&progs.handle_process_exit, copy(&with_log(|| progs.handle_process_exit.attach())?)?)?;
    }
    if options.filters.follow() || options.latency {
        keep(&progs.handle_fork, copy(&with_log(|| progs.handle_fork.attach())?)?)?;
    }
    if classic {
        for (program, name) in
            [(&progs.trace_enter, "raw_syscalls/sys_enter"), (&progs.trace_exit, "raw_syscalls/sys_exit")]
        {
            let link = attach_tracepoint(program.as_fd(), name)
                .map_err(Error::os("cannot attach to the tracepoints raw_syscalls"))?;
            keep(program, link)?;
        }
        return Ok((programs, links));
    }
    for (program, name) in [(&progs.count_enter, Some(c"sys_enter")), (&progs.count_exit, None)] {
        let link = attach_raw(program.as_fd(), name)
            .map_err(Error::os("cannot attach to the raw tracepoints of system calls"))?;
        keep(program, link)?;
    }
    Ok((programs, links))
}
