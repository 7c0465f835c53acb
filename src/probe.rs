//! Open, set rodata, load, attach.

use std::cell::RefCell;
use std::fs;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Once;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ErrorKind, ObjectBuilder, PrintLevel, ProgramMut, set_print};

use crate::cgroup_mounts::controller;
use crate::config::Config;
use crate::coverage::{self, Part};
use crate::error::{Error, Result};
use crate::fields::{self, Key};
use crate::fork::Link;
use crate::refused::explain;
use crate::skel::types::cgroup_v1;
use crate::skel::{GUIDE_REJECTED, OpenRawtpSkel, RawtpSkel, RawtpSkelBuilder};
use crate::syscalls::{numbers, requests};

/// What keeps the programs alive and attached.
#[derive(Debug)]
pub struct Attached {
    /// Those of entries, then those of what ends.
    pub links: Vec<Link>,
    /// The same order.
    pub programs: Vec<OwnedFd>,
}

/// Descriptors of all that a session needs; libbpf's own copies are gone.
#[derive(Debug)]
pub struct Loaded {
    /// The ring buffer map.
    pub ring: OwnedFd,
    /// The state of the programs that see entries: one element for each slot.
    pub enter_states: OwnedFd,
    /// The exit program's state: one element for each CPU.
    pub exit_states: OwnedFd,
    /// How many elements `exit_states` has.
    pub cpus: usize,
    /// How many elements `enter_states` has.
    pub slots: usize,
    /// The programs.
    pub attached: Attached,
    /// What they see.
    pub coverage: Vec<Part>,
}

/// A verifier's log can be megabytes; its end tells why.
const LOG_BYTES: usize = 1 << 20;

thread_local! {
    /// What libbpf prints on this thread, while it is wanted.
    static LOG: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is libbpf-rs's")]
fn capture(_level: PrintLevel, text: String) {
    LOG.with_borrow_mut(|log| {
        if let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES) {
            log.push_str(&text);
        }
    });
}

/// Runs a load with libbpf's messages kept for the error, and off the terminal in any case.
fn logged<T>(load: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T> {
    LOG.set(Some(String::new()));
    let loaded = quietly(load);
    let log = LOG.take().unwrap_or_default();
    loaded.map_err(|error| explain(&error, &log))
}

/// The same for what may fail.
fn quietly<T>(load: impl FnOnce() -> T) -> T {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        set_print(Some((PrintLevel::Info, capture)));
    });
    load()
}

/// The calls that are watched, and what a record of them holds.
fn configure(open: &mut OpenRawtpSkel<'_>, config: &Config, with_requests: bool, cpus: u32) -> libbpf_rs::Result<()> {
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    for syscall in &config.syscalls {
        for (table, nr) in numbers(syscall).into_iter().enumerate() {
            let Some(nr) = nr.map(|nr| nr as usize) else { continue };
            rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
            rodata.cfg_calls[table][nr] = syscall.shape;
        }
        for (opcode, request) in requests(syscall) {
            rodata.cfg_requests[opcode] = request;
        }
    }
    rodata.cfg_cpus = cpus;
    rodata.cfg_paths = config.fields.any(&fields::PATHS);
    rodata.cfg_identity = config.fields.any(&fields::IDENTITY);
    rodata.cfg_exe = config.fields.has(Key::Exe);
    rodata.cfg_argv = config.fields.any(&fields::ARGV);
    rodata.cfg_ancestors = config.fields.has(Key::Ancestors);
    if config.fields.any(&fields::CGROUP) {
        rodata.cfg_cgroup_v1 = controller().map_or(cgroup_v1::CGROUP_V1_NONE, |controller| controller.cgroup_v1);
    }
    rodata.cfg_pid = config.pid.unwrap_or(0);
    rodata.cfg_results = config.results;
    let ring_bytes = u64::from(config.ring_bytes);
    rodata.cfg_enter_bytes = if config.results { ring_bytes - ring_bytes / 8 } else { ring_bytes };
    let slots = if with_requests { 2 * cpus } else { cpus };
    open.maps.events.set_max_entries(config.ring_bytes)?;
    open.maps.enter_states.set_max_entries(slots)?;
    open.maps.walks.set_max_entries(slots)?;
    open.maps.exit_states.set_max_entries(cpus)?;
    open.progs.handle_sys_exit.set_autoload(config.results);
    open.progs.handle_request.set_autoload(with_requests);
    open.progs.handle_completion.set_autoload(with_requests && config.results);
    if !with_requests || !config.results {
        // A map that no program uses is made all the same.
        open.maps.requests.set_max_entries(1)?;
    }
    Ok(())
}

impl Attached {
    fn add(&mut self, program: &ProgramMut<'_>, link: &libbpf_rs::Link) -> Result<()> {
        let copy =
            |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"));
        self.links.push(Link::new(copy(link.as_fd())?)?);
        self.programs.push(copy(program.as_fd())?);
        Ok(())
    }

    /// What a kernel may do without: the first of the tracepoints that is there; else the reason.
    fn add_first(
        &mut self,
        program: &ProgramMut<'_>,
        names: &[&'static str],
    ) -> Result<std::result::Result<&'static str, String>> {
        for name in names {
            match quietly(|| program.attach_raw_tracepoint(name)) {
                Ok(link) => return self.add(program, &link).map(|()| Ok(*name)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // What the program does where it knows none of the arguments (UNKNOWN_ARGUMENTS).
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    return Ok(Err(format!("this kernel's tracepoint {name} has arguments that rawtp does not know")));
                }
                Err(error) => return Ok(Err(format!("cannot attach to the tracepoint {name}: {error}"))),
            }
        }
        Ok(Err(format!("this kernel has no tracepoint {}", names.join(" or "))))
    }
}

/// Why no program for `io_uring` is to be loaded, if none is.
fn no_requests(config: &Config) -> Option<String> {
    let none = config.syscalls.iter().all(|syscall| requests(syscall).next().is_none());
    none.then(|| "io_uring has no request that does what the chosen syscalls do".into())
}

fn attach_all(
    skel: &RawtpSkel<'_>,
    config: &Config,
    without_requests: Option<String>,
) -> Result<(Attached, Vec<Part>)> {
    let no_results = || "results=False".to_owned();
    let mut attached = Attached { links: Vec::new(), programs: Vec::new() };
    let mut parts = Vec::new();
    // The ends first: an end without a beginning is dropped, a beginning without an end would wait for it.
    parts.push(match &without_requests {
        Some(reason) => Part::absent(coverage::IO_URING_RESULTS, reason),
        None if !config.results => Part::absent(coverage::IO_URING_RESULTS, no_results()),
        None => {
            part(coverage::IO_URING_RESULTS, attached.add_first(&skel.progs.handle_completion, &["io_uring_complete"])?)
        }
    });
    if config.results {
        attached.add(&skel.progs.handle_sys_exit, &logged(|| skel.progs.handle_sys_exit.attach())?)?;
        parts.push(Part::live(coverage::SYSCALL_RESULTS, "tp_btf/sys_exit"));
    } else {
        parts.push(Part::absent(coverage::SYSCALL_RESULTS, no_results()));
    }
    parts.push(match without_requests {
        Some(reason) => Part::absent(coverage::IO_URING, reason),
        None => part(
            coverage::IO_URING,
            attached.add_first(&skel.progs.handle_request, &["io_uring_submit_req", "io_uring_submit_sqe"])?,
        ),
    });
    attached.add(&skel.progs.handle_sys_enter, &logged(|| skel.progs.handle_sys_enter.attach())?)?;
    parts.push(Part::live(coverage::SYSCALLS, "raw_tp/sys_enter"));
    attached.links.reverse();
    attached.programs.reverse();
    parts.reverse();
    Ok((attached, parts))
}

fn part(name: &'static str, attached: std::result::Result<&'static str, String>) -> Part {
    match attached {
        Ok(tracepoint) => Part::live(name, format!("raw_tp/{tracepoint}")),
        Err(reason) => Part::absent(name, reason),
    }
}

/// Descriptors that a load takes at its height, and some to spare.
const DESCRIPTORS: usize = 32;

/// Out of descriptors, libbpf's probing takes every feature for missing, and what fails in the end names anything but the
/// reason.
fn check_descriptors() -> Result<()> {
    let null = fs::File::open("/dev/null").map_err(Error::os("cannot load the BPF programs"))?;
    let spare: std::io::Result<Vec<fs::File>> = (0..DESCRIPTORS).map(|_| null.try_clone()).collect();
    spare.map(drop).map_err(Error::os("cannot load the BPF programs"))
}

/// Loads and attaches what the configuration asks for.
///
/// # Errors
///
/// [`Error::Permission`], [`Error::UnsupportedKernel`], [`Error::Load`], or [`Error::Os`] when descriptors run out.
pub fn load(config: &Config) -> Result<Loaded> {
    let cpus = libbpf_rs::num_possible_cpus().map_err(|error| explain(&error, ""))?;
    check_descriptors()?;
    match no_requests(config) {
        Some(reason) => load_with(config, cpus, Some(reason)),
        None => load_with(config, cpus, None).or_else(|error| match error {
            // To see system calls is what a tracer is for; it does not fail for what comes on top.
            Error::Load { message, .. } => load_with(config, cpus, Some(message)),
            error => Err(error),
        }),
    }
}

fn load_with(config: &Config, cpus: usize, without_requests: Option<String>) -> Result<Loaded> {
    let with_requests = without_requests.is_none();
    let mut storage = MaybeUninit::uninit();
    let skel = logged(|| {
        let mut open = RawtpSkelBuilder::default().open(&mut storage)?;
        configure(&mut open, config, with_requests, cpus as u32)?;
        open.load()
    })?;
    let copy = |map: &dyn AsFd| map.as_fd().try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"));
    let (attached, coverage) = attach_all(&skel, config, without_requests)?;
    Ok(Loaded {
        ring: copy(&skel.maps.events)?,
        enter_states: copy(&skel.maps.enter_states)?,
        exit_states: copy(&skel.maps.exit_states)?,
        cpus,
        slots: if with_requests { 2 * cpus } else { cpus },
        attached,
        coverage,
    })
}

/// Loads the guide's program that the verifier refuses.
///
/// # Errors
///
/// [`Error::Load`], always, unless the kernel does not let us come that far.
pub fn load_rejected() -> Result<()> {
    logged(|| ObjectBuilder::default().open_memory(GUIDE_REJECTED)?.load().map(drop))
}

/// How often the kernel skipped the programs because one was already running on the CPU (`recursion_misses`).
#[must_use]
pub fn missed(programs: &[OwnedFd]) -> Option<u64> {
    programs.iter().map(missed_one).sum()
}

fn missed_one(program: &OwnedFd) -> Option<u64> {
    // SAFETY: a structure of integers and addresses, all of which may be zero.
    let mut info: libbpf_sys::bpf_prog_info = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `bytes` of info, and says in `bytes` how many.
    let failed = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut bytes) };
    let end = offset_of!(libbpf_sys::bpf_prog_info, recursion_misses) + size_of_val(&info.recursion_misses);
    (failed == 0 && bytes as usize >= end).then_some(info.recursion_misses)
}
