//! Loads programs in parallel. A load spends most of its time in the kernel's verifier, which can run on several CPUs.

use std::os::fd::OwnedFd;
use std::thread;

use libbpf_rs::skel::OpenSkel;
use libbpf_sys::{BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP};

use crate::load::exit_target::exit_target;
use crate::load::functions::FunctionPrograms;
use crate::load::program_copy::{Kind, btf_fd, take};
use crate::skel::{OpenRawtpSkel, RawtpSkel};
use crate::sys::signals::Blocked;

/// The programs loaded in parallel to the skeleton's, in place of its own of the same name.
#[derive(Debug)]
pub struct ParallelPrograms {
    /// The program for `io_uring` requests.
    pub request: Option<OwnedFd>,
    /// The program for exits of system calls.
    pub exit: Option<OwnedFd>,
}

/// Loads the prepared object. The programs for `io_uring` requests and for exits load in threads of their own, if the
/// plan has them, and so do those for functions. `None` when a thread cannot be started or the kernel refuses its program; libbpf gives the reason
/// when it loads that program itself.
///
/// # Errors
///
/// Those of libbpf.
pub fn load_parallel<'a>(
    mut open: OpenRawtpSkel<'a>,
    functions: &mut FunctionPrograms,
) -> libbpf_rs::Result<Option<(RawtpSkel<'a>, ParallelPrograms)>> {
    let btf_fd = btf_fd(&open);
    let raw = BPF_PROG_TYPE_RAW_TRACEPOINT;
    let request = Kind { name: c"handle_request", program: raw, attach: 0, target: 0 };
    let request = take(&mut open.progs.handle_request, request, btf_fd);
    // If libbpf has to look the target up, libbpf must load the program.
    let target = exit_target().filter(|_| open.progs.handle_sys_exit.autoload());
    let exit = if let Some(target) = target {
        let (program, attach) = (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP);
        take(&mut open.progs.handle_sys_exit, Kind { name: c"handle_sys_exit", program, attach, target }, btf_fd)
    } else {
        let kind = Kind { name: c"trace_sys_exit", program: BPF_PROG_TYPE_TRACEPOINT, attach: 0, target: 0 };
        take(&mut open.progs.trace_sys_exit, kind, btf_fd)
    };
    thread::scope(|scope| {
        // Python's signal handlers belong to Python's threads.
        let blocked = Blocked::new();
        let threads = [&request, &exit].map(|copied| {
            let copied = copied.as_ref()?;
            Some(thread::Builder::new().name("rawtp-load".into()).spawn_scoped(scope, || copied.load()))
        });
        // It is no matter if this thread cannot start: those programs are loaded later then.
        let functions = functions.has_kinds().then(|| {
            let thread = thread::Builder::new().name("rawtp-load".into());
            thread.spawn_scoped(scope, || functions.load_first())
        });
        drop(blocked);
        let skel = open.load()?;
        drop(functions);
        // The descriptor of the BTF is open until the skeleton is dropped.
        let loaded = threads.map(|thread| thread.map(|thread| thread.ok().and_then(|thread| thread.join().ok()?)));
        let all_loaded = loaded.iter().flatten().all(Option::is_some);
        let [request, exit] = loaded.map(Option::flatten);
        Ok(all_loaded.then_some((skel, ParallelPrograms { request, exit })))
    })
}
