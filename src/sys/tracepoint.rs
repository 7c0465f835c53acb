//! Classic tracepoints: attaches programs by `perf_event_open(2)` and reads the tracepoints' ids from tracefs.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use crate::sys::fd::owned;

/// Attaches a program to a classic tracepoint for as long as the returned descriptor is open.
///
/// # Errors
///
/// Those of [`open_tracepoint`] and of `bpf(2)`.
pub fn attach_tracepoint(program: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    attach_event(program, &open_tracepoint(name)?)
}

/// Attaches a program to what [`open_tracepoint`] opened, for as long as the returned descriptor is open.
///
/// # Errors
///
/// Those of `bpf(2)`.
pub fn attach_event(program: BorrowedFd<'_>, event: &OwnedFd) -> io::Result<OwnedFd> {
    let (program, event) = (program.as_raw_fd(), event.as_raw_fd());
    // SAFETY: two descriptors, and no options.
    let link = unsafe { libbpf_sys::bpf_link_create(program, event, libbpf_sys::BPF_PERF_EVENT, ptr::null()) };
    owned(link.into())
}

/// Opens a perf event of the tracepoint. That opens files, which a program that is attached already would see.
///
/// # Errors
///
/// Those of `perf_event_open(2)`, and those of reading the tracepoint's id.
pub fn open_tracepoint(name: &str) -> io::Result<OwnedFd> {
    // SAFETY: a structure of integers, all of which may be zero.
    let mut attributes: libbpf_sys::perf_event_attr = unsafe { mem::zeroed() };
    attributes.type_ = libbpf_sys::PERF_TYPE_TRACEPOINT;
    attributes.config = tracepoint_id(name)?;
    open_event(&mut attributes)
}

/// Opens a perf event. It is disabled, so it counts nothing, but programs attached to it run all the same.
pub(super) fn open_event(attributes: &mut libbpf_sys::perf_event_attr) -> io::Result<OwnedFd> {
    attributes.size = size_of_val(attributes) as u32;
    attributes.set_disabled(1);
    // The event is of every process. The programs run on every CPU, no matter which CPU the event names.
    let (pid, cpu, group) = (-1, 0, -1);
    // SAFETY: the attributes outlive the call, and have the size that they say.
    owned(unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const *attributes,
            pid,
            cpu,
            group,
            libc::c_ulong::from(libbpf_sys::PERF_FLAG_FD_CLOEXEC),
        )
    })
}

/// Reads the tracepoint's id from tracefs where it is mounted, or else from a private mount that nobody else sees.
fn tracepoint_id(name: &str) -> io::Result<u64> {
    let text = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .find_map(|mount| fs::read_to_string(format!("{mount}/events/{name}/id")).ok())
        .map_or_else(|| read_unmounted(&format!("events/{name}/id")), Ok)?;
    text.trim().parse().map_err(|_| io::Error::other(format!("tracefs has no id for {name}, but {text:?}")))
}

/// Reads a file of a tracefs that is not mounted anywhere. `fsopen(2)`, `fsconfig(2)` and `fsmount(2)` give a
/// descriptor of a mount without a mount point.
fn read_unmounted(path: &str) -> io::Result<String> {
    const FSOPEN_CLOEXEC: libc::c_long = 1;
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    const FSMOUNT_CLOEXEC: libc::c_long = 1;
    let null = ptr::null::<libc::c_char>();
    // SAFETY: a C string, and flags.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"tracefs".as_ptr(), FSOPEN_CLOEXEC) })?;
    // SAFETY: the command takes neither key nor value.
    if unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0_i64) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor and flags.
    let mount = owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0_i64) })?;
    let path = CString::new(path).map_err(io::Error::other)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a descriptor, a C string and flags.
    let file = owned(unsafe { libc::openat(mount.as_raw_fd(), path.as_ptr(), flags) }.into())?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(text)
}
