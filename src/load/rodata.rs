//! Writes the configuration into the opened object: constants, sizes of maps, and which programs to load.

use std::fs;
use std::os::unix::fs::MetadataExt;

use libbpf_rs::AsRawLibbpf;
use libbpf_rs::skel::OpenSkel;

use crate::btf::vmlinux::VmlinuxBtf;
use crate::cgroup::mounts::controller;
use crate::config::Config;
use crate::config::filter_values::PID_MAX;
use crate::config::filters::INITIAL_PID_NS;
use crate::fields::{self, Key};
use crate::load::argument_rules;
use crate::load::attach::Plan;
use crate::load::exit_target::set_exit_target;
use crate::load::functions::FunctionPrograms;
use crate::load::rdonly_cast::{cast, patch_calls};
use crate::skel::OpenRawtpSkel;
use crate::skel::types::{self, call_condition, call_trait, cgroup_v1, decisions};
use crate::syscall::{MOUNTING, Work, by_name, numbers_of, places, requests, unnamed_places, unnamed_shape};

/// The most ancestors that the programs send (`ANCESTORS_MAX`).
const ANCESTORS_MAX: u32 = 16;

/// The slots of the programs' counters and states: one per CPU for each of these groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    cpus: u32,
    has_requests: bool,
    has_kernel: bool,
}

impl Slots {
    pub(super) fn new(plan: &Plan, cpus: u32, functions: &FunctionPrograms) -> Self {
        let has_requests = plan.without_requests.is_none() || plan.by_functions;
        Self { cpus, has_requests, has_kernel: functions.has_kernel() }
    }

    /// Returns the first slot of kernel threads, which come after system calls and requests.
    fn kernel(self) -> u32 {
        if self.has_requests { 2 * self.cpus } else { self.cpus }
    }

    /// Returns the number of slots of `counters`, after which come those of exits and of truths.
    pub(super) fn counters(self) -> u32 {
        self.kernel() + if self.has_kernel { self.cpus } else { 0 }
    }
}

/// Returns the number of possible thread ids. Each has a byte in the programs' `in_flight`.
pub(crate) fn thread_ids() -> u32 {
    // In a pid namespace of its own, a process may read a limit that is only valid there (since Linux 6.14).
    let inner = fs::metadata("/proc/self/ns/pid").map_or(true, |namespace| namespace.ino() != INITIAL_PID_NS);
    let shown = fs::read_to_string("/proc/sys/kernel/pid_max").ok().filter(|_| !inner);
    shown.and_then(|shown| shown.trim().parse().ok()).unwrap_or(PID_MAX).min(PID_MAX)
}

/// Writes the watched calls into the programs.
fn watch(rodata: &mut types::rodata, config: &Config) {
    for syscall in &config.syscalls {
        for (table, nr) in places(syscall) {
            rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
            rodata.cfg_calls[table][nr] = config.when.shape(syscall);
        }
        for (opcode, request) in requests(syscall) {
            rodata.cfg_requests[opcode] = config.when.request(request);
        }
    }
    rodata.cfg_unnamed = config.are_all;
    for (table, nr) in unnamed_places().filter(|_| config.are_all) {
        rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
        rodata.cfg_calls[table][nr] = unnamed_shape();
    }
}

/// Watches both calls that exec. A successful one ends with the number of execve(2), whichever it was (`call_of`),
/// and one that is not watched must not look like the other.
fn watch_ends_of_execs(rodata: &mut types::rodata) {
    rodata.cfg_execs = true;
    for (table, nr) in ["execve", "execveat"].into_iter().filter_map(by_name).flat_map(places) {
        rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
        let shape = &mut rodata.cfg_calls[table][nr];
        if shape.condition == call_condition::CALL_NEVER.0 as u8 {
            shape.traits |= call_trait::CALL_EXECS.0 as u16;
            shape.condition = call_condition::CALL_ENDS.0 as u8;
        }
    }
}

/// Chooses what finds an exec again whose thread's id has changed.
fn load_execs(open: &mut OpenRawtpSkel<'_>, with_execs: bool) -> libbpf_rs::Result<()> {
    open.progs.handle_thread_exit.set_autoload(with_execs);
    if with_execs { Ok(()) } else { open.maps.execs.set_max_entries(1) }
}

/// Writes the watched calls and the contents of their records into the programs.
pub(super) fn configure(
    open: &mut OpenRawtpSkel<'_>,
    config: &Config,
    plan: &Plan,
    slots: Slots,
    functions: &FunctionPrograms,
) -> libbpf_rs::Result<()> {
    let cpus = slots.cpus;
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    watch(rodata, config);
    if config.wants_places() && config.results && !plan.by_functions {
        for (table, nr) in MOUNTING.iter().flat_map(|name| numbers_of(name).into_iter().enumerate()) {
            let Some(nr) = nr.map(|nr| nr as usize) else { continue };
            rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
            let shape = &mut rodata.cfg_calls[table][nr];
            shape.traits |= call_trait::CALL_REMOUNTS.0 as u16;
            if shape.condition == call_condition::CALL_NEVER.0 as u8 {
                shape.condition = call_condition::CALL_MOUNTS.0 as u8;
            }
        }
    }
    let with_execs = config.wants_ends_of_execs() && !plan.by_functions;
    if with_execs {
        watch_ends_of_execs(rodata);
    }
    rodata.cfg_args = config.fields.contains(Key::Args);
    let ids = VmlinuxBtf::type_ids();
    rodata.cfg_task_type = ids.map_or(0, |ids| ids.task_struct);
    if let Some(ids) = ids.filter(|&ids| cast(ids).is_some()) {
        rodata.cfg_regs_type = ids.pt_regs.unwrap_or(0);
        rodata.cfg_dentry_type = ids.dentry.unwrap_or(0);
        rodata.cfg_mount_type = ids.mount.unwrap_or(0);
        rodata.cfg_inode_type = ids.inode.unwrap_or(0);
    }
    rodata.cfg_cpus = cpus;
    rodata.cfg_paths = config.fields.any(&fields::PATHS) || config.wants_places();
    rodata.cfg_files = config.wants_places() || config.leaves_out().is_some();
    rodata.cfg_places = config.wants_places();
    rodata.cfg_identity = config.fields.any(&fields::IDENTITY);
    rodata.cfg_exe = config.fields.contains(Key::Exe);
    rodata.cfg_argv = config.fields.any(&fields::ARGV);
    rodata.cfg_cwd = config.fields.contains(Key::Cwd);
    // The first one is the process itself.
    rodata.cfg_ancestors = match () {
        () if config.fields.contains(Key::Ancestors) => 1 + ANCESTORS_MAX,
        () if config.fields.any(&fields::LINEAGE) => 2,
        () => 0,
    };
    if config.fields.any(&fields::CGROUP) {
        rodata.cfg_cgroup_v1 = controller().map_or(cgroup_v1::CGROUP_V1_NONE, |controller| controller.cgroup_v1);
    }
    rodata.cfg_results = config.results;
    rodata.cfg_is_preemptible = plan.is_preemptible;
    rodata.cfg_by_functions = plan.by_functions;
    rodata.cfg_kernel_slots = slots.kernel();
    rodata.cfg_exit_slots = slots.counters();
    rodata.cfg_truth_slots = slots.counters() + cpus;
    rodata.cfg_setattr_dentry = functions.setattr_dentry();
    for (at, work) in Work::ALL.into_iter().enumerate() {
        let mut calls = config.syscalls.iter().filter(|call| call.work() == Some(work)).peekable();
        let Some(nr) = work.number().filter(|_| calls.peek().is_some()) else { continue };
        rodata.cfg_kernel_nrs[at] = nr;
        if calls.any(|call| requests(call).next().is_some()) {
            rodata.cfg_request_nrs[at] = nr;
        }
    }
    let ring_bytes = u64::from(config.ring_bytes);
    rodata.cfg_enter_bytes = if config.results { ring_bytes - ring_bytes / 8 } else { ring_bytes };
    let with_requests = plan.without_requests.is_none();
    let with_cgroups = plan.without_cgroups.is_none();
    open.progs.handle_cgroup_made.set_autoload(with_cgroups);
    open.progs.handle_cgroup_left.set_autoload(with_cgroups);
    open.maps.cgroup_states.set_autocreate(with_cgroups)?;
    open.maps.cgroup_states.set_max_entries(cpus)?;
    let with_lineage = config.fields.any(&fields::LINEAGE);
    open.progs.report_fork.set_autoload(with_lineage);
    open.progs.report_exec.set_autoload(with_lineage);
    open.maps.exec_states.set_autocreate(with_lineage)?;
    open.maps.exec_states.set_max_entries(cpus)?;
    open.maps.events.set_max_entries(config.ring_bytes)?;
    open.maps.counters.set_max_entries(slots.counters())?;
    let states = slots.counters() + cpus * (u32::from(config.results) + u32::from(functions.has_kinds()));
    open.maps.call_states.set_max_entries(states)?;
    open.maps.walks.set_max_entries(states)?;
    if config.results {
        open.maps.in_flight.set_max_entries(thread_ids().div_ceil(size_of::<decisions>() as u32))?;
    }
    load_execs(open, with_execs)?;
    let raw = !plan.classic && !plan.by_functions;
    open.progs.handle_sys_enter.set_autoload(raw);
    open.progs.handle_sys_exit.set_autoload(raw && config.results);
    open.progs.trace_sys_enter.set_autoload(plan.classic);
    open.progs.trace_sys_exit.set_autoload(plan.classic && config.results);
    open.progs.handle_request.set_autoload(with_requests);
    open.progs.handle_completion.set_autoload(with_requests && config.results);
    open.progs.handle_cancelled.set_autoload(with_requests && config.results);
    if raw && config.results {
        set_exit_target(&mut open.progs.handle_sys_exit, ids)?;
    }
    functions.configure(open);
    if config.fields.contains(Key::Args) {
        open.maps.argument_rules.set_max_entries(argument_rules::SLOTS)?;
    }
    if !with_requests || !config.results {
        // A map is created even if no program uses it.
        open.maps.requests.set_max_entries(1)?;
    }
    Ok(())
}

/// Patches the instructions that libbpf cannot resolve quickly, once it has appended the programs' functions to them.
pub(super) fn patch(open: &mut OpenRawtpSkel<'_>) -> libbpf_rs::Result<()> {
    let object = open.open_object().as_libbpf_object().as_ptr();
    // SAFETY: the object is open, and borrowed by nobody else.
    let failed = unsafe { libbpf_sys::bpf_object__prepare(object) };
    if failed != 0 {
        return Err(libbpf_rs::Error::from_raw_os_error(-failed));
    }
    patch_calls(open.open_object_mut(), VmlinuxBtf::type_ids())
}
