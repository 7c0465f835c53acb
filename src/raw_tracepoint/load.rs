//! Creates the maps, loads the program and attaches it.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libbpf_sys::{
    BPF_F_MMAPABLE, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_RINGBUF, BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_map_type,
    bpf_prog_load_opts,
};

use crate::error::{Error, Result};
use crate::load::attach::Attached;
use crate::load::coverage::{HookCoverage, RAW_TRACEPOINT};
use crate::load::diagnose::{LOAD_BYTES, LOADING, diagnose};
use crate::load::libbpf_log::keep_off_stderr;
use crate::load::loaded::Loaded;
use crate::load::preemptible::is_preemptible;
use crate::memory::with_capacity;
use crate::raw_tracepoint::layout::Layout;
use crate::raw_tracepoint::program::{Maps, assemble};
use crate::ring::counters::{COUNTERS_BYTES, LIVE_BYTES};
use crate::sys::bpf::{attach_raw, create_map, freeze, load_as};
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::mmap::probe_mapping;
use crate::sys::signals::uninterrupted;

/// A cache line for each CPU: the programs of others must not slow this one down.
const USERS_BYTES: u32 = 64;

/// Enough for the verifier's reasons; what comes before is cut off.
const LOG_BYTES: usize = 1 << 20;

/// The reason for events that are missed, where the kernel preempts programs.
const PREEMPTIBLE: &str = "this kernel preempts programs of raw tracepoints, and skips them meanwhile for other tasks: \
                           stats().missed counts that";

/// Loads and attaches the program for the fields. Events are seen from here on, those of the processes `pids` alone if
/// there are any. Signals do not interrupt it.
///
/// # Errors
///
/// Those of [`crate::load::load`]; [`Error::Value`] when the tracepoint cannot be attached to.
pub fn load(layout: &Layout, ring_bytes: u32, pids: &[u32]) -> Result<Loaded> {
    keep_off_stderr();
    let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))? as u32;
    probe_mapping(LOAD_BYTES + ring_bytes as usize).map_err(Error::memory(LOADING))?;
    let map = |kind: bpf_map_type, name: &CStr, value_bytes, entries, flags| {
        let key_bytes = if kind == BPF_MAP_TYPE_ARRAY { 4 } else { 0 };
        create_map(kind, name, [key_bytes, value_bytes, entries], flags).map_err(|error| refused(&error, ""))
    };
    let ring = map(BPF_MAP_TYPE_RINGBUF, c"rawtp_events", 0, ring_bytes, 0)?;
    let counters = map(BPF_MAP_TYPE_ARRAY, c"rawtp_counters", COUNTERS_BYTES as u32, cpus, BPF_F_MMAPABLE)?;
    let users = map(BPF_MAP_TYPE_ARRAY, c"rawtp_users", USERS_BYTES, cpus, 0)?;
    let live = map(BPF_MAP_TYPE_ARRAY, c"rawtp_live", LIVE_BYTES as u32, 1, BPF_F_MMAPABLE)?;
    freeze(&counters).map_err(Error::os("cannot freeze the counters"))?;
    let maps = Maps {
        ring: ring.as_raw_fd(),
        counters: counters.as_raw_fd(),
        users: users.as_raw_fd(),
        live: live.as_raw_fd(),
    };
    let instructions = assemble(layout, maps, pids)?;
    let program = uninterrupted(|| load_program(&instructions))?;
    let link = attach(&program, &layout.tracepoint)?;
    let coverage = HookCoverage {
        name: RAW_TRACEPOINT,
        hook: Some(format!("raw_tp/{}", layout.tracepoint)),
        reason: is_preemptible().then(|| PREEMPTIBLE.into()),
    };
    let attached =
        Attached { links: vec![CloseOnForkFd::new(link)?], programs: vec![copy(&program)?], coverage: vec![coverage] };
    Ok(Loaded { ring, counters, live, ring_bytes: ring_bytes as usize, slots: cpus as usize, attached })
}

/// Loads the program. Only a second try, after the first was refused, asks the verifier for its reasons.
fn load_program(instructions: &[libbpf_sys::bpf_insn]) -> Result<OwnedFd> {
    let load = |options| load_as(BPF_PROG_TYPE_RAW_TRACEPOINT, instructions, options);
    let refusal = match load(bpf_prog_load_opts::default()) {
        Ok(program) => return Ok(program),
        Err(refusal) => refusal,
    };
    let mut log: Vec<u8> = with_capacity(LOG_BYTES).map_err(Error::memory(LOADING))?;
    log.resize(LOG_BYTES, 0);
    let options = bpf_prog_load_opts {
        log_level: 1,
        log_size: LOG_BYTES as u32,
        log_buf: log.as_mut_ptr().cast(),
        ..Default::default()
    };
    load(options).map_err(|_| {
        let text = CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy();
        refused(&refusal, &text)
    })
}

/// Explains a refusal as that of a tracer's programs is.
fn refused(error: &io::Error, log: &str) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let framed = format!("-- BEGIN PROG LOAD LOG --\n{log}\n-- END PROG LOAD LOG --\n");
    diagnose(&libbpf_rs::Error::from_raw_os_error(errno), if log.is_empty() { "" } else { &framed })
}

fn attach(program: &OwnedFd, tracepoint: &str) -> Result<OwnedFd> {
    let name = CString::new(tracepoint).map_err(|_| Error::Value("a tracepoint's name has no NUL".into()))?;
    attach_raw(program.as_fd(), Some(&name)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Value(format!(
            "this kernel's types name the raw tracepoint {tracepoint:?}, but nothing can be attached to it"
        )),
        _ => Error::os("cannot attach to the raw tracepoint")(error),
    })
}
