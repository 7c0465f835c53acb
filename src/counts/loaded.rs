//! Loads and attaches the programs, in this process or in another one.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::MapHandle;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};

use crate::btf::vmlinux::VmlinuxBtf;
use crate::config::filters::Filters;
use crate::counts::slots::Slots;
use crate::error::{Error, Result};
use crate::load::diagnose::{LOAD_BYTES, LOADING, diagnose};
use crate::load::exit_target::{handle_exit_program, set_exit_target};
use crate::load::filters;
use crate::load::libbpf_log::{keep_off_stderr, with_log};
use crate::load::preemptible::is_preemptible;
use crate::load::thread_ids;
use crate::skel::counts::types::{call_count, call_errnos, call_times, process_count};
use crate::skel::counts::{CountsSkel, CountsSkelBuilder, OpenCountsSkel};
use crate::sys::bpf::{attach_raw, freeze};
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::fdinfo::Fdinfo;
use crate::sys::mmap::probe_mapping;
use crate::sys::signals::{Interrupted, uninterrupted};
use crate::sys::tracepoint::{attach_event, open_tracepoint};

/// The block of thread ids within which `starts` puts neighbours apart (`start_of`).
const TIDS_BLOCK: u32 = 512;

/// A bound on the CPUs that no machine exceeds.
const CPUS_MAX: usize = 1 << 16;

/// `BPF_MAP_TYPE_ARRAY`, as fdinfo shows it.
const ARRAY: u64 = libbpf_sys::BPF_MAP_TYPE_ARRAY as u64;

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

/// All descriptors that counting needs. libbpf's own copies are closed.
#[derive(Debug)]
pub struct LoadedCounts {
    /// The number of possible CPUs.
    pub cpus: usize,
    /// The calls and errors by CPU and slot. This map and the next two are frozen: only the programs write them.
    pub counts: OwnedFd,
    /// The errors by number.
    pub errnos: OwnedFd,
    /// The times.
    pub times: Option<OwnedFd>,
    /// The counts by process, and the errors by number. Each read of them takes privilege.
    pub processes: Option<[MapHandle; 2]>,
    /// The programs.
    pub programs: Vec<OwnedFd>,
    /// What keeps them attached.
    pub links: Vec<CloseOnForkFd>,
}

impl LoadedCounts {
    /// Loads and attaches the programs. Signals do not interrupt it.
    ///
    /// # Errors
    ///
    /// Those of [`crate::load::load`].
    pub fn new(options: &Options) -> Result<Self> {
        keep_off_stderr();
        let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))?;
        probe_mapping(LOAD_BYTES).map_err(Error::memory(LOADING))?;
        // As a tracer does: a tracepoint whose programs the kernel does not preempt misses nothing.
        let classic = is_preemptible();
        match uninterrupted(|| load(options, cpus, classic)) {
            Err(error) if classic && !error.is_interrupted() => {
                uninterrupted(|| load(options, cpus, false)).map_err(|_| error)
            }
            loaded => loaded,
        }
    }

    /// Checks descriptors from another process by the kernel's own description, as [`crate::load::loaded::Loaded`]
    /// does.
    ///
    /// # Errors
    ///
    /// [`Error::HandedOver`], or [`Error::Os`] where `/proc` cannot be read.
    pub fn check(&self, slots: &Slots) -> Result<()> {
        if self.cpus == 0 || self.cpus > CPUS_MAX {
            return Err(Error::HandedOver(format!("{} CPUs", self.cpus)));
        }
        let entries = (self.cpus * slots.calls.len()) as u64;
        let maps = [
            ("counts", Some(&self.counts), size_of::<call_count>()),
            ("errors", Some(&self.errnos), size_of::<call_errnos>()),
            ("times", self.times.as_ref(), size_of::<call_times>()),
        ];
        for (name, map, bytes) in maps {
            let Some(map) = map else { continue };
            let info = Fdinfo::read(map)?;
            let wanted = [("map_type", ARRAY), ("value_size", bytes as u64), ("max_entries", entries), ("frozen", 1)];
            for (key, value) in wanted {
                let found = info.number(key);
                if found != Some(value) {
                    return Err(Error::HandedOver(format!("the map of {name} has {key} {found:?}, not {value}")));
                }
            }
        }
        Ok(())
    }
}

/// Returns a bound on the bytes of the kernel's memory that counting by call takes, besides filters and programs.
///
/// # Errors
///
/// Those of libbpf, when it cannot tell the number of CPUs.
pub fn kernel_bytes(slots: &Slots, latency: bool) -> Result<u64> {
    let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))? as u64;
    let of_slot =
        size_of::<call_count>() + size_of::<call_errnos>() + if latency { size_of::<call_times>() } else { 0 };
    let starts = if latency { 8 * u64::from(thread_ids().next_multiple_of(TIDS_BLOCK)) } else { 0 };
    Ok(cpus * slots.calls.len() as u64 * of_slot as u64 + starts)
}

fn load(options: &Options, cpus: usize, classic: bool) -> Result<LoadedCounts> {
    let mut storage = MaybeUninit::uninit();
    let skel = with_log(|| {
        handle_exit_program();
        let mut open = CountsSkelBuilder::default().open(&mut storage)?;
        configure(&mut open, options, cpus as u32, classic)?;
        let skel = open.load()?;
        filters::fill_counts(&options.filters, &skel)?;
        Ok(skel)
    })?;
    let (programs, links) = attach(&skel, options, classic)?;
    let handle = |map| MapHandle::try_from(map).map_err(|error| diagnose(&error, ""));
    let frozen = |map: &dyn AsFd| {
        let map = copy(map)?;
        freeze(&map).map_err(Error::os("cannot freeze the counters"))?;
        Ok::<_, Error>(map)
    };
    let processes = if options.by_process {
        Some([handle(&skel.maps.process_counts)?, handle(&skel.maps.process_errnos)?])
    } else {
        None
    };
    Ok(LoadedCounts {
        cpus,
        counts: frozen(&skel.maps.call_counts)?,
        errnos: frozen(&skel.maps.call_errnos)?,
        times: options.latency.then(|| frozen(&skel.maps.call_times)).transpose()?,
        processes,
        programs,
        links,
    })
}

fn configure(open: &mut OpenCountsSkel<'_>, options: &Options, cpus: u32, classic: bool) -> libbpf_rs::Result<()> {
    filters::configure_counts(&options.filters, open)?;
    let slots = options.slots.calls.len() as u32;
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    rodata.cfg_slots = *options.slots.numbers;
    for (to, of) in rodata.cfg_traits.iter_mut().zip(&options.slots.traits) {
        *to = *of;
    }
    rodata.cfg_slot_count = slots;
    rodata.cfg_is_filtered = options.filters.are_by_process() || options.filters.are_limited();
    rodata.cfg_by_process = options.by_process;
    rodata.cfg_latency = options.latency;
    let maps = &mut open.maps;
    maps.call_counts.set_max_entries(cpus * slots)?;
    maps.call_errnos.set_max_entries(cpus * slots)?;
    maps.call_times.set_max_entries(if options.latency { cpus * slots } else { 1 })?;
    maps.process_counts.set_max_entries(if options.by_process { options.max_rows } else { 1 })?;
    maps.process_errnos.set_max_entries(if options.by_process { options.max_rows } else { 1 })?;
    let process_bytes = if options.latency { size_of::<process_count>() } else { size_of::<call_count>() } as u32;
    maps.process_counts.set_value_size(process_bytes)?;
    maps.nothing.set_value_size(process_bytes)?;
    maps.starts.set_max_entries(if options.latency { thread_ids().next_multiple_of(TIDS_BLOCK) } else { 1 })?;
    if !(options.latency && options.by_process) {
        maps.names.set_max_entries(1)?;
    }
    let has_execs = options.slots.have_execs();
    if !has_execs {
        maps.execs.set_max_entries(1)?;
    }
    let progs = &mut open.progs;
    progs.count_enter.set_autoload(!classic);
    progs.count_exit.set_autoload(!classic);
    progs.trace_enter.set_autoload(classic);
    progs.trace_exit.set_autoload(classic);
    progs.handle_fork.set_autoload(options.filters.follow() || options.latency);
    progs.handle_process_exit.set_autoload(options.filters.follow() || has_execs);
    progs.handle_exec.set_autoload(has_execs && !options.latency);
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
    let has_execs = options.slots.have_execs();
    if options.filters.follow() || has_execs {
        keep(&progs.handle_process_exit, copy(&with_log(|| progs.handle_process_exit.attach())?)?)?;
    }
    if has_execs && !options.latency {
        keep(&progs.handle_exec, copy(&with_log(|| progs.handle_exec.attach())?)?)?;
    }
    if options.filters.follow() || options.latency {
        keep(&progs.handle_fork, copy(&with_log(|| progs.handle_fork.attach())?)?)?;
    }
    if classic {
        // Both are looked up first, because that makes calls, which would be counted.
        let both = || {
            let (enter, exit) = (open_tracepoint("raw_syscalls/sys_enter")?, open_tracepoint("raw_syscalls/sys_exit")?);
            let enter = attach_event(progs.trace_enter.as_fd(), &enter)?;
            Ok::<_, io::Error>([
                (&progs.trace_enter, enter),
                (&progs.trace_exit, attach_event(progs.trace_exit.as_fd(), &exit)?),
            ])
        };
        for (program, link) in both().map_err(Error::os("cannot attach to the tracepoints raw_syscalls"))? {
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
