//! bpf(2): creates maps, loads programs, and attaches those of raw tracepoints.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use libbpf_sys::{
    BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_insn, bpf_map_create_opts, bpf_map_type, bpf_prog_load, bpf_prog_load_opts,
    bpf_prog_type,
};

use crate::sys::fd::owned;
use crate::sys::signals::uninterrupted;

/// Returns the instructions of a program that does nothing.
pub(crate) fn nothing() -> [bpf_insn; 2] {
    // r0 = 0; exit (include/uapi/linux/bpf_common.h: BPF_ALU64 | BPF_MOV | BPF_K, BPF_JMP | BPF_EXIT).
    [0xb7, 0x95].map(|code| bpf_insn { code, ..Default::default() })
}

/// Creates a map. `sizes` are those of a key and of a value, and the number of entries.
pub(crate) fn create_map(kind: bpf_map_type, name: &CStr, sizes: [u32; 3], map_flags: u32) -> io::Result<OwnedFd> {
    let options = bpf_map_create_opts { sz: size_of::<bpf_map_create_opts>() as u64, map_flags, ..Default::default() };
    let [key_bytes, value_bytes, entries] = sizes;
    // SAFETY: a C string and options that outlive the call.
    owned(
        unsafe { libbpf_sys::bpf_map_create(kind, name.as_ptr(), key_bytes, value_bytes, entries, &raw const options) }
            .into(),
    )
}

/// Leaves the content of a map to programs alone.
pub(crate) fn freeze(map: &OwnedFd) -> io::Result<()> {
    // SAFETY: a descriptor.
    match unsafe { libbpf_sys::bpf_map_freeze(map.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Loads a program for raw tracepoints.
pub(crate) fn load(instructions: &[bpf_insn], prog_flags: u32) -> io::Result<OwnedFd> {
    let options = bpf_prog_load_opts { prog_flags, ..Default::default() };
    load_as(BPF_PROG_TYPE_RAW_TRACEPOINT, instructions, options)
}

/// Loads a program of any type.
pub(crate) fn load_as(
    kind: bpf_prog_type,
    instructions: &[bpf_insn],
    mut options: bpf_prog_load_opts,
) -> io::Result<OwnedFd> {
    options.sz = size_of::<bpf_prog_load_opts>() as u64;
    uninterrupted(|| {
        // SAFETY: all pointers are to values that outlive the call; the license is a C string, and NULL means no name.
        let fd = unsafe {
            bpf_prog_load(
                kind,
                ptr::null(),
                c"Dual BSD/GPL".as_ptr(),
                instructions.as_ptr(),
                instructions.len() as _,
                &raw mut options,
            )
        };
        owned(fd.into())
    })
}

/// Attaches a program to a raw tracepoint for as long as the returned descriptor is open. A `tp_btf` program was loaded
/// for one tracepoint, so it takes no name.
///
/// # Errors
///
/// Those of `bpf(2)`.
pub fn attach_raw(program: BorrowedFd<'_>, tracepoint: Option<&CStr>) -> io::Result<OwnedFd> {
    let name = tracepoint.map_or_else(ptr::null, CStr::as_ptr);
    // SAFETY: a C string or NULL, and a descriptor.
    owned(unsafe { libbpf_sys::bpf_raw_tracepoint_open(name, program.as_raw_fd()) }.into())
}
