//! Kprobes: attaches programs to functions of the kernel.

use std::ffi::{CStr, c_char};
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use libbpf_sys::{
    BPF_F_KPROBE_MULTI_RETURN, BPF_PERF_EVENT, BPF_TRACE_KPROBE_MULTI, bpf_link_create, bpf_link_create_opts,
};

use crate::sys::fd::owned;
use crate::sys::tracepoint::open_event;

/// The number by which `perf_event_open(2)` knows kprobes on this machine.
const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";

/// The point of a function at which a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// When the function is called.
    Entry,
    /// When it returns.
    Return,
}

/// Returns that number.
///
/// # Errors
///
/// Those of reading it. A kernel without such events has no such file.
pub fn kprobe_type() -> io::Result<u32> {
    fs::read_to_string(KPROBE_TYPE)?.trim().parse().map_err(io::Error::other)
}

/// The bit of an event's `config` that makes it one of the function's return (`PERF_PROBE_CONFIG_IS_RETPROBE`,
/// kernel/events/core.c; also in the events' directory, `format/retprobe`).
const IS_RETURN: u64 = 1 << 0;

/// Attaches a program to all of the functions for as long as the returned descriptor is open (`kprobe.multi`).
///
/// # Errors
///
/// Those of `bpf(2)`. It fails if any of the functions is missing.
pub fn attach_kprobe_multi(program: BorrowedFd<'_>, functions: &[&CStr], point: Point) -> io::Result<OwnedFd> {
    let mut names: Vec<*const c_char> = functions.iter().map(|function| function.as_ptr()).collect();
    // Without cookies, Linux 6.17 and later ones follow a null pointer when anybody reads the link's fdinfo
    // (bpf_kprobe_multi_show_fdinfo, kernel/trace/bpf_trace.c).
    let cookies = vec![0; names.len()];
    let mut options = bpf_link_create_opts { sz: size_of::<bpf_link_create_opts>() as _, ..Default::default() };
    options.__bindgen_anon_1.kprobe_multi.cnt = names.len() as u32;
    options.__bindgen_anon_1.kprobe_multi.syms = names.as_mut_ptr();
    options.__bindgen_anon_1.kprobe_multi.cookies = cookies.as_ptr();
    options.__bindgen_anon_1.kprobe_multi.flags = if point == Point::Return { BPF_F_KPROBE_MULTI_RETURN } else { 0 };
    // SAFETY: a descriptor, and options whose names and cookies outlive the call.
    owned(unsafe { bpf_link_create(program.as_raw_fd(), 0, BPF_TRACE_KPROBE_MULTI, &raw const options) }.into())
}

/// Attaches a program to a function for as long as the returned descriptor is open.
///
/// # Errors
///
/// Those of `perf_event_open(2)` and `bpf(2)`, and those of reading the number of kprobes.
pub fn attach_kprobe(program: BorrowedFd<'_>, function: &CStr, point: Point) -> io::Result<OwnedFd> {
    // SAFETY: a structure of integers, all of which may be zero.
    let mut attributes: libbpf_sys::perf_event_attr = unsafe { mem::zeroed() };
    attributes.type_ = kprobe_type()?;
    attributes.config = if point == Point::Return { IS_RETURN } else { 0 };
    attributes.__bindgen_anon_3.kprobe_func = function.as_ptr().expose_provenance() as u64;
    let event = open_event(&mut attributes)?;
    // SAFETY: two descriptors, and no options.
    owned(unsafe { bpf_link_create(program.as_raw_fd(), event.as_raw_fd(), BPF_PERF_EVENT, ptr::null()) }.into())
}
