//! Chooses, configures and loads the programs.
//!
//! * `argument_rules`: what the programs read of calls' arguments
//! * `attach`: attaches the loaded programs
//! * `coverage`: which hook sees each kind of event
//! * `cve_2024_41009`: tests whether rings are safe on this kernel
//! * `diagnose`: finds out why the kernel refused a load
//! * `exit_target`: spares libbpf the search for the exit program's target
//! * `filters`: writes the filters into the programs
//! * `function_kind`: the kinds of hooks on functions
//! * `function_programs`: the programs for them, by purpose and function
//! * `function_switches`: the variables of these programs
//! * `function_trial`: a call that shows whether they run
//! * `functions`: hooks on the kernel's functions that remove
//! * `libbpf_log`: captures libbpf's output
//! * `live_maps`: lists the host's BPF maps
//! * `loaded`: the descriptors a session needs
//! * `parallel`: loads programs in parallel
//! * `preemptible`: whether the kernel preempts programs
//! * `probe`: tries single steps of a load
//! * `program_copy`: copies of programs, which load beside their object
//! * `rdonly_cast`: patches calls of `bpf_rdonly_cast`
//! * `rodata`: writes the configuration into the opened object

mod argument_rules;
pub mod attach;
pub mod coverage;
pub mod cve_2024_41009;
pub mod diagnose;
pub mod exit_target;
pub mod filters;
mod function_kind;
mod function_programs;
mod function_switches;
mod function_trial;
pub mod functions;
pub mod libbpf_log;
pub mod live_maps;
pub mod loaded;
pub mod parallel;
pub mod preemptible;
pub mod probe;
mod program_copy;
pub mod rdonly_cast;
mod rodata;

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use libbpf_rs::ObjectBuilder;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};

use crate::btf::vmlinux::VmlinuxBtf;
use crate::config::Config;
use crate::config::hook::Hook;
use crate::error::{Error, Result};
use crate::fields::{self, Key};
use crate::load::attach::{Attached, Plan};
use crate::load::diagnose::{LOAD_BYTES, LOADING, diagnose, verifier_reason};
use crate::load::exit_target::handle_exit_program;
use crate::load::functions::{FunctionPrograms, no_function_hook};
use crate::load::libbpf_log::{keep_off_stderr, with_log};
use crate::load::loaded::Loaded;
use crate::load::parallel::{ParallelPrograms, load_parallel};
use crate::load::preemptible::is_preemptible;
pub(crate) use crate::load::rodata::thread_ids;
use crate::load::rodata::{Slots, configure, patch};
use crate::memory::OutOfMemory;
use crate::skel::{RawtpSkelBuilder, VERIFIER_REJECTS};
use crate::sys::bpf::{self, nothing};
use crate::sys::fd::copy;
use crate::sys::mmap::probe_mapping;
use crate::sys::signals::{Interrupted, uninterrupted};
use crate::syscall::requests;

/// The peak number of descriptors of a load, and some to spare.
const DESCRIPTORS: usize = 32;

/// Checks for free descriptors. Without them every libbpf feature probe fails, and the final error names a wrong cause.
fn check_descriptors() -> Result<()> {
    let null = fs::File::open("/dev/null").map_err(Error::os("cannot load the BPF programs"))?;
    let spare: std::io::Result<Vec<fs::File>> = (0..DESCRIPTORS).map(|_| null.try_clone()).collect();
    spare.map(drop).map_err(Error::os("cannot load the BPF programs"))
}

/// Checks for free memory in the same way, including the ring that is mapped at the end. Under `RLIMIT_AS`, address
/// space runs out.
fn check_memory(ring_bytes: usize) -> Result<()> {
    probe_mapping(LOAD_BYTES + ring_bytes).map_err(Error::memory(LOADING))
}

/// Returns the reason to leave out the `io_uring` programs, if there is one.
fn no_requests(config: &Config) -> Option<String> {
    let none = config.syscalls.iter().all(|syscall| requests(syscall).next().is_none());
    none.then(|| "io_uring has no request that does what the chosen syscalls do".into())
}

/// Returns the reason to leave out the cgroup programs, if there is one.
fn no_cgroups(config: &Config) -> Option<String> {
    if !config.fields.any(&fields::CGROUP) {
        return Some("fields names none of container_id, pod_id, unit".into());
    }
    (!config.tell_cgroups).then(|| "the broker does not tell which cgroups others have".into())
}

const PREEMPTIBLE: &str = "this kernel preempts programs of raw tracepoints, and skips them meanwhile for other tasks";

/// Why `hook="vfs"` loads no programs for `io_uring` requests.
const BY_FUNCTIONS: &str = "hook=\"vfs\" sees what the kernel's functions do";

/// Checks that this process may load programs at all. Otherwise each kind of hook would be refused for the same reason.
fn check_permission() -> Result<()> {
    match bpf::load(&nothing(), 0) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(diagnose(&libbpf_rs::Error::from_raw_os_error(libc::EPERM), ""))
        }
        _ => Ok(()),
    }
}

/// Checks for the helper that classic tracepoints need: `bpf_task_pt_regs`, since Linux 5.15.
fn check_classic() -> Result<()> {
    let (kind, helper) = (libbpf_sys::BPF_PROG_TYPE_TRACEPOINT, libbpf_sys::BPF_FUNC_task_pt_regs);
    // SAFETY: no options.
    match unsafe { libbpf_sys::libbpf_probe_bpf_helper(kind, helper, ptr::null()) } {
        0 => Err(Error::UnsupportedKernel(
            "hook=\"tracepoint\" needs a kernel with bpf_task_pt_regs, Linux 5.15 or later; hook=\"raw_tp\" works here"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// Loads and attaches the programs that the configuration asks for. Signals do not interrupt it.
///
/// # Errors
///
/// [`Error::Permission`], [`Error::UnsupportedKernel`], [`Error::Load`], or [`Error::Os`] when descriptors run out or
/// the load was interrupted all the same.
pub fn load(config: &Config) -> Result<Loaded> {
    uninterrupted(|| load_best(config))
}

fn load_best(config: &Config) -> Result<Loaded> {
    keep_off_stderr();
    let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))? as u32;
    check_descriptors()?;
    check_memory(config.ring_bytes as usize)?;
    let mut plan = Plan {
        by_functions: config.hook == Hook::Vfs,
        classic: false,
        reason: None,
        is_preemptible: false,
        without_requests: no_requests(config),
        without_cgroups: no_cgroups(config),
    };
    match config.hook {
        Hook::Tracepoint => {
            plan.classic = true;
            return load_optional(config, cpus, &plan).or_else(|error| check_classic().and(Err(error)));
        }
        Hook::Vfs => {
            plan.without_requests = Some(BY_FUNCTIONS.into());
            check_permission()?;
        }
        Hook::RawTp => plan.is_preemptible = is_preemptible(),
        Hook::Auto if is_preemptible() => {
            let exact = Plan { classic: true, reason: Some(PREEMPTIBLE.into()), ..plan.clone() };
            plan.is_preemptible = true;
            match load_optional(config, cpus, &exact) {
                Err(error) if !error.is_interrupted() => {
                    plan.reason = Some(format!("{PREEMPTIBLE} (stats().missed counts that); {error}"));
                }
                loaded => return loaded,
            }
        }
        Hook::Auto => {}
    }
    load_optional(config, cpus, &plan)
}

/// Loads with the optional programs, or without those the verifier rejects. A tracer must see system calls; it does not
/// fail because of the rest.
fn load_optional(config: &Config, cpus: u32, plan: &Plan) -> Result<Loaded> {
    let (message, verifier_log) = match load_with(config, cpus, plan) {
        Err(Error::Load { message, verifier_log }) => (message, verifier_log),
        loaded => return loaded,
    };
    let why = verifier_reason(&verifier_log).map_or(message.clone(), |line| format!("the kernel's verifier: {line}"));
    let (requests, cgroups) = (plan.without_requests.is_none(), plan.without_cgroups.is_none());
    let mut refusal = Error::Load { message, verifier_log };
    // Only leaving programs out shows which one was rejected.
    for (drop_requests, drop_cgroups) in [(true, false), (false, true), (true, true)] {
        if drop_requests && !requests || drop_cgroups && !cgroups {
            continue;
        }
        let mut less = plan.clone();
        if drop_requests {
            less.without_requests = Some(why.clone());
        }
        if drop_cgroups {
            less.without_cgroups = Some(why.clone());
        }
        match load_with(config, cpus, &less) {
            Err(error @ Error::Load { .. }) => refusal = error,
            loaded => return loaded,
        }
    }
    Err(refusal)
}

/// Loads programs in parallel where that works, otherwise in sequence.
fn load_with(config: &Config, cpus: u32, plan: &Plan) -> Result<Loaded> {
    let modes: &[bool] = if plan.without_requests.is_none() || config.results { &[true, false] } else { &[false] };
    let loaded = modes.iter().find_map(|&in_parallel| load_once(config, cpus, plan, in_parallel).transpose());
    loaded.expect("the last of the ways leaves no program out")
}

/// Loads once. `None` when a program that was to load in parallel could not.
fn load_once(config: &Config, cpus: u32, plan: &Plan, in_parallel: bool) -> Result<Option<Loaded>> {
    let (mut storage, mut another) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let mut btf = VmlinuxBtf::new();
    let mut is_short = false;
    let mut refusals = None;
    let loaded = with_log(|| {
        handle_exit_program();
        let mut builder = RawtpSkelBuilder::default();
        if let Some(btf) = &btf {
            builder.object_builder_mut().btf_custom_path(btf.path())?;
        }
        let mut open = builder.open(&mut storage)?;
        let filled = btf.as_mut().map(|btf| btf.fill(open.open_object())).transpose();
        let filled = filled.map_err(|OutOfMemory| {
            is_short = true;
            libbpf_rs::Error::from_raw_os_error(libc::ENOMEM)
        })?;
        if filled == Some(false) {
            drop(open);
            open = RawtpSkelBuilder::default().open(&mut another)?;
        }
        let mut functions = FunctionPrograms::new(config);
        if plan.by_functions && !functions.has_kinds() {
            refusals = Some(functions.refusals());
            return Ok(None);
        }
        let slots = Slots::new(plan, cpus, &functions);
        configure(&mut open, config, plan, slots, &functions)?;
        filters::configure(&config.filters, &mut open)?;
        patch(&mut open)?;
        functions.take(&mut open);
        let none = ParallelPrograms { request: None, exit: None };
        let loaded = if in_parallel { load_parallel(open, &mut functions)? } else { Some((open.load()?, none)) };
        if let Some((skel, _)) = &loaded {
            filters::fill(&config.filters, skel)?;
            if config.fields.contains(Key::Args) {
                argument_rules::fill(skel, config)?;
            }
        }
        Ok(loaded.map(|(skel, parallel)| (skel, parallel, functions, slots)))
    });
    if is_short {
        return Err(Error::Memory(LOADING));
    }
    let loaded = loaded?;
    if let Some(refusals) = refusals {
        return Err(no_function_hook(&refusals));
    }
    let Some((skel, parallel, functions, slots)) = loaded else {
        return Ok(None);
    };
    freeze(skel.maps.counters.as_fd())?;
    Ok(Some(Loaded {
        attached: Attached::new(&skel, &parallel, functions, config, plan)?,
        ring: copy(&skel.maps.events)?,
        counters: copy(&skel.maps.counters)?,
        live: copy(&skel.maps.data_live)?,
        ring_bytes: config.ring_bytes as usize,
        slots: slots.counters() as usize,
    }))
}

/// Makes the map read-only for every process. The programs can still write it.
fn freeze(map: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: a descriptor.
    match unsafe { libbpf_sys::bpf_map_freeze(map.as_raw_fd()) } {
        0 => Ok(()),
        failed => Err(Error::os("cannot freeze the map of counters")(io::Error::from_raw_os_error(-failed))),
    }
}

/// Loads the guide's program that the verifier refuses.
///
/// # Errors
///
/// [`Error::Load`] always, unless the kernel already refuses an earlier step.
pub fn load_rejected() -> Result<()> {
    uninterrupted(|| with_log(|| ObjectBuilder::default().open_memory(VERIFIER_REJECTS)?.load().map(drop)))
}
