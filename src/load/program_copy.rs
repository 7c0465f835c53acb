//! Copies of programs, which load beside the object that they come from.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::slice;

use libbpf_rs::skel::OpenSkel;
use libbpf_rs::{AsRawLibbpf, OpenProgramMut};
use libbpf_sys::{bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_load_opts, bpf_prog_type};

use crate::skel::OpenRawtpSkel;
use crate::sys::fd::owned;

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

    pub(super) fn load(&self) -> Option<OwnedFd> {
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
