//! Loads programs in parallel. A load spends most of its time in the kernel's verifier, which can run on several CPUs.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::slice;
use std::thread;

use libbpf_rs::skel::OpenSkel;
use libbpf_rs::{AsRawLibbpf, OpenProgramMut};
use libbpf_sys::{
    BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, bpf_func_info,
    bpf_insn, bpf_line_info, bpf_prog_load_opts, bpf_prog_type,
};

use crate::load::exit_target::exit_target;
use crate::load::truth::TruthPrograms;
use crate::skel::{OpenRawtpSkel, RawtpSkel};
use crate::sys::fd::owned;
use crate::sys::signals::Blocked;

/// The programs loaded in parallel to the skeleton's, in place of its own of the same name.
#[derive(Debug)]
pub struct ParallelPrograms {
    /// The program for `io_uring` requests.
    pub request: Option<OwnedFd>,
    /// The program for exits of system calls.
    pub exit: Option<OwnedFd>,
}

/// The kernel's parameters of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static CStr,
    pub(super) program: bpf_prog_type,
    pub(super) attach: u32,
    pub(super) target: u32,
}

/// A copy of everything that the kernel needs of a program. libbpf uses the object meanwhile.
#[derive(Debug)]
pub(super) struct ProgramCopy {
    kind: Kind,
    instructions: Vec<bpf_insn>,
    functions: Vec<bpf_func_info>,
    lines: Vec<bpf_line_info>,
    btf_fd: i32,
}

/// # Safety
///
/// `start` points to `count` elements, or is NULL.
unsafe fn copied<T: Copy>(start: *const T, count: u32) -> Vec<T> {
    let start = NonNull::new(start.cast_mut());
    // SAFETY: the caller guarantees `count` elements.
    start.map_or_else(Vec::new, |start| unsafe { slice::from_raw_parts(start.as_ptr(), count as usize) }.to_vec())
}

impl ProgramCopy {
    /// Copies a program of a prepared object, whose instructions are final.
    fn new(program: &OpenProgramMut<'_>, kind: Kind, btf_fd: i32) -> Self {
        let raw = program.as_libbpf_object().as_ptr();
        // SAFETY: the pointers are the program's own, and it does not change while it is borrowed.
        unsafe {
            Self {
                kind,
                instructions: program.insns().to_vec(),
                functions: copied(libbpf_sys::bpf_program__func_info(raw), libbpf_sys::bpf_program__func_info_cnt(raw)),
                lines: copied(libbpf_sys::bpf_program__line_info(raw), libbpf_sys::bpf_program__line_info_cnt(raw)),
                btf_fd,
            }
        }
    }

    fn load(&self) -> Option<OwnedFd> {
        self.load_as(self.kind).ok()
    }

    /// Loads it with other parameters than those it was copied with.
    pub(super) fn load_as(&self, kind: Kind) -> io::Result<OwnedFd> {
        let mut options = bpf_prog_load_opts {
            sz: size_of::<bpf_prog_load_opts>() as _,
            expected_attach_type: kind.attach,
            attach_btf_id: kind.target,
            prog_btf_fd: self.btf_fd.cast_unsigned(),
            func_info: self.functions.as_ptr().cast(),
            func_info_cnt: self.functions.len() as u32,
            func_info_rec_size: size_of::<bpf_func_info>() as u32,
            line_info: self.lines.as_ptr().cast(),
            line_info_cnt: self.lines.len() as u32,
            line_info_rec_size: size_of::<bpf_line_info>() as u32,
            ..Default::default()
        };
        // SAFETY: all pointers are to values that outlive the call, with their true sizes.
        let program = unsafe {
            libbpf_sys::bpf_prog_load(
                kind.program,
                kind.name.as_ptr(),
                c"Dual BSD/GPL".as_ptr(),
                self.instructions.as_ptr(),
                self.instructions.len() as _,
                &raw mut options,
            )
        };
        owned(program.into())
    }
}

/// Loads the prepared object. The programs for `io_uring` requests and for exits load in threads of their own, if the
/// plan has them, and so do those of the truth. `None` when a thread cannot be started or the kernel refuses its program; libbpf gives the reason
/// when it loads that program itself.
///
/// # Errors
///
/// Those of libbpf.
pub fn load_parallel<'a>(
    mut open: OpenRawtpSkel<'a>,
    truth: &mut TruthPrograms,
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
        let truth = truth.is_wanted().then(|| {
            let thread = thread::Builder::new().name("rawtp-load".into());
            thread.spawn_scoped(scope, || truth.load_first())
        });
        drop(blocked);
        let skel = open.load()?;
        drop(truth);
        // The descriptor of the BTF is open until the skeleton is dropped.
        let loaded = threads.map(|thread| thread.map(|thread| thread.ok().and_then(|thread| thread.join().ok()?)));
        let all_loaded = loaded.iter().flatten().all(Option::is_some);
        let [request, exit] = loaded.map(Option::flatten);
        Ok(all_loaded.then_some((skel, ParallelPrograms { request, exit })))
    })
}

/// Returns the descriptor of a prepared object's own types. It is open until the skeleton is dropped.
pub(super) fn btf_fd(open: &OpenRawtpSkel<'_>) -> i32 {
    // SAFETY: the object is open.
    unsafe { libbpf_sys::bpf_object__btf_fd(open.open_object().as_libbpf_object().as_ptr()) }
}

/// Takes a program out of libbpf's load. `None` when libbpf would not load it.
pub(super) fn take(program: &mut OpenProgramMut<'_>, kind: Kind, btf_fd: i32) -> Option<ProgramCopy> {
    let copied = program.autoload().then(|| ProgramCopy::new(program, kind, btf_fd))?;
    program.set_autoload(false);
    Some(copied)
}
