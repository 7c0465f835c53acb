//! Loading one program beside the others. The kernel's verifier is what a load waits for, and it can run on two CPUs.

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::thread;

use libbpf_rs::skel::OpenSkel;
use libbpf_rs::{AsRawLibbpf, OpenProgramMut};
use libbpf_sys::{BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_load_opts};

use crate::signals::Blocked;
use crate::skel::{OpenRawtpSkel, RawtpSkel};

/// All that the kernel takes of a raw tracepoint's program, copied: libbpf goes on with the object meanwhile.
struct Copied {
    instructions: Vec<bpf_insn>,
    functions: Vec<bpf_func_info>,
    lines: Vec<bpf_line_info>,
    types: i32,
}

/// # Safety
///
/// `start` is of `count` elements, or NULL.
unsafe fn copied<T: Copy>(start: *const T, count: u32) -> Vec<T> {
    let start = NonNull::new(start.cast_mut());
    // SAFETY: the caller's promise.
    start.map_or_else(Vec::new, |start| unsafe { slice::from_raw_parts(start.as_ptr(), count as usize) }.to_vec())
}

impl Copied {
    /// Of a prepared object, where nothing is left to be written into the program.
    fn new(program: &OpenProgramMut<'_>, types: i32) -> Self {
        let raw = program.as_libbpf_object().as_ptr();
        // SAFETY: the program's own, unchanged while it is borrowed.
        unsafe {
            Self {
                instructions: program.insns().to_vec(),
                functions: copied(libbpf_sys::bpf_program__func_info(raw), libbpf_sys::bpf_program__func_info_cnt(raw)),
                lines: copied(libbpf_sys::bpf_program__line_info(raw), libbpf_sys::bpf_program__line_info_cnt(raw)),
                types,
            }
        }
    }

    fn load(&self) -> Option<OwnedFd> {
        let mut options = bpf_prog_load_opts {
            sz: size_of::<bpf_prog_load_opts>() as _,
            prog_btf_fd: self.types.cast_unsigned(),
            func_info: self.functions.as_ptr().cast(),
            func_info_cnt: self.functions.len() as u32,
            func_info_rec_size: size_of::<bpf_func_info>() as u32,
            line_info: self.lines.as_ptr().cast(),
            line_info_cnt: self.lines.len() as u32,
            line_info_rec_size: size_of::<bpf_line_info>() as u32,
            ..Default::default()
        };
        // SAFETY: all pointers are to values that outlive the call, with the sizes that they have.
        let fd = unsafe {
            libbpf_sys::bpf_prog_load(
                BPF_PROG_TYPE_RAW_TRACEPOINT,
                c"handle_request".as_ptr(),
                c"Dual BSD/GPL".as_ptr(),
                self.instructions.as_ptr(),
                self.instructions.len() as _,
                &raw mut options,
            )
        };
        // SAFETY: the kernel has just given us this descriptor.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// Loads the object, the program for `io_uring`'s requests in a thread of its own. Without that program when there is no
/// such thread, or when the kernel refuses it: why, libbpf says when it loads it.
///
/// # Errors
///
/// Those of libbpf.
pub fn load_beside(mut open: OpenRawtpSkel<'_>) -> libbpf_rs::Result<(RawtpSkel<'_>, Option<OwnedFd>)> {
    let object = open.open_object().as_libbpf_object().as_ptr();
    // SAFETY: the object is open.
    let types = unsafe { libbpf_sys::bpf_object__btf_fd(object) };
    let request = Copied::new(&open.progs.handle_request, types);
    open.progs.handle_request.set_autoload(false);
    thread::scope(|scope| {
        // Python's signal handlers belong to Python's threads.
        let blocked = Blocked::new();
        let beside = thread::Builder::new().name("rawtp-load".into()).spawn_scoped(scope, || request.load());
        drop(blocked);
        let skel = open.load()?;
        // The descriptor of the types is open until the skeleton is dropped.
        let request = beside.ok().and_then(|beside| beside.join().ok()?);
        Ok((skel, request))
    })
}
