//! By which tracepoints system calls are seen.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libbpf_rs::btf::{Btf, types::Struct};
use libbpf_sys::{BPF_F_SLEEPABLE, BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_insn, bpf_prog_load, bpf_prog_load_opts};

use crate::error::{Error, Result};
use crate::load::libbpf_log::keep_off_stderr;
use crate::sys::signals::uninterrupted;

/// What the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hook {
    /// Raw tracepoints where they are exact, classic ones where they are not.
    #[default]
    Auto,
    /// `raw_tp/sys_enter` and `tp_btf/sys_exit`: the cheapest.
    RawTp,
    /// `tracepoint/raw_syscalls`.
    Tracepoint,
}

impl Hook {
    /// The hook of this name.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], with the names that there are.
    pub fn of(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "raw_tp" => Ok(Self::RawTp),
            "tracepoint" => Ok(Self::Tracepoint),
            _ => Err(Error::Value(format!("hook must be \"auto\", \"raw_tp\" or \"tracepoint\", not {name:?}"))),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::RawTp => "raw_tp",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// Whether a raw tracepoint's program can be preempted here. While one is, the kernel skips it for whatever else runs on
/// the CPU, and says so nowhere but in the program's own count.
///
/// Such a kernel lets these programs sleep (`BPF_F_SLEEPABLE`), and has the preemptible RCU that protects them then.
#[must_use]
pub fn is_preemptible() -> bool {
    keep_off_stderr();
    sleeps() && has_preemptible_rcu()
}

fn sleeps() -> bool {
    load(&nothing(), BPF_F_SLEEPABLE).is_ok()
}

/// A program that does nothing.
pub(crate) fn nothing() -> [bpf_insn; 2] {
    // r0 = 0; exit (include/uapi/linux/bpf_common.h: BPF_ALU64 | BPF_MOV | BPF_K, BPF_JMP | BPF_EXIT).
    [0xb7, 0x95].map(|code| bpf_insn { code, ..Default::default() })
}

/// Loads a raw tracepoint's program.
pub(crate) fn load(instructions: &[bpf_insn], prog_flags: u32) -> io::Result<OwnedFd> {
    let mut options =
        bpf_prog_load_opts { sz: size_of::<bpf_prog_load_opts>() as u64, prog_flags, ..Default::default() };
    uninterrupted(|| {
        // SAFETY: all pointers are to values that outlive the call; the license is a C string, and NULL is no name.
        let fd = unsafe {
            bpf_prog_load(
                BPF_PROG_TYPE_RAW_TRACEPOINT,
                ptr::null(),
                c"Dual BSD/GPL".as_ptr(),
                instructions.as_ptr(),
                instructions.len() as _,
                &raw mut options,
            )
        };
        descriptor(fd.into())
    })
}

fn has_preemptible_rcu() -> bool {
    let Ok(btf) = Btf::from_vmlinux() else { return false };
    btf.type_by_name::<Struct<'_>>("task_struct")
        .is_some_and(|task| task.iter().any(|member| member.name.is_some_and(|name| name == "rcu_read_lock_nesting")))
}

/// Attaches a program to a raw tracepoint, for as long as the descriptor is open. A typed one (`tp_btf`) was loaded for its
/// own, and takes no name.
///
/// # Errors
///
/// Those of `bpf(2)`.
pub fn attach_raw(program: BorrowedFd<'_>, tracepoint: Option<&CStr>) -> io::Result<OwnedFd> {
    let name = tracepoint.map_or_else(ptr::null, CStr::as_ptr);
    // SAFETY: a C string or NULL, and a descriptor.
    descriptor(unsafe { libbpf_sys::bpf_raw_tracepoint_open(name, program.as_raw_fd()) }.into())
}

/// Attaches a program to a classic tracepoint, for as long as the descriptor is open.
///
/// # Errors
///
/// Those of `perf_event_open(2)` and `bpf(2)`, and of looking the tracepoint up.
pub fn attach_tracepoint(program: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let event = open_tracepoint(name)?;
    let (program, event) = (program.as_raw_fd(), event.as_raw_fd());
    // SAFETY: two descriptors, and no options.
    let link = unsafe { libbpf_sys::bpf_link_create(program, event, libbpf_sys::BPF_PERF_EVENT, ptr::null()) };
    descriptor(link.into())
}

/// Disabled: it counts nothing. The programs attached to it run all the same.
fn open_tracepoint(name: &str) -> io::Result<OwnedFd> {
    // SAFETY: a structure of integers, all of which may be zero.
    let mut attributes: libbpf_sys::perf_event_attr = unsafe { mem::zeroed() };
    attributes.type_ = libbpf_sys::PERF_TYPE_TRACEPOINT;
    attributes.size = size_of_val(&attributes) as u32;
    attributes.config = tracepoint_id(name)?;
    attributes.set_disabled(1);
    // Of every process; a tracepoint's programs run on every CPU, whichever the event is of.
    let (pid, cpu, group) = (-1, 0, -1);
    // SAFETY: the attributes outlive the call, and have the size that they say.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            pid,
            cpu,
            group,
            libc::c_ulong::from(libbpf_sys::PERF_FLAG_FD_CLOEXEC),
        )
    })
}

/// The descriptor that a system call gave, or `errno`.
pub(crate) fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(result).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// From tracefs, wherever it is mounted; else from a mount of our own, which nobody else sees.
fn tracepoint_id(name: &str) -> io::Result<u64> {
    let text = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .find_map(|mount| fs::read_to_string(format!("{mount}/events/{name}/id")).ok())
        .map_or_else(|| read_unmounted(&format!("events/{name}/id")), Ok)?;
    text.trim().parse().map_err(|_| io::Error::other(format!("tracefs has no id for {name}, but {text:?}")))
}

/// `fsopen(2)`, `fsconfig(2)` and `fsmount(2)` give a descriptor of a mount that has no place.
fn read_unmounted(path: &str) -> io::Result<String> {
    const FSOPEN_CLOEXEC: libc::c_long = 1;
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    const FSMOUNT_CLOEXEC: libc::c_long = 1;
    let null = ptr::null::<libc::c_char>();
    // SAFETY: a C string, and flags.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, c"tracefs".as_ptr(), FSOPEN_CLOEXEC) })?;
    // SAFETY: the command takes neither key nor value.
    if unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0_i64) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor and flags.
    let mount = descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0_i64) })?;
    let path = std::ffi::CString::new(path).map_err(io::Error::other)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a descriptor, a C string and flags.
    let file = descriptor(unsafe { libc::openat(mount.as_raw_fd(), path.as_ptr(), flags) }.into())?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            ["auto", "raw_tp", "tracepoint"].map(|name| Hook::of(name).unwrap()),
            [Hook::Auto, Hook::RawTp, Hook::Tracepoint]
        );
        assert_eq!(
            Hook::of("kprobe").unwrap_err().to_string(),
            "hook must be \"auto\", \"raw_tp\" or \"tracepoint\", not \"kprobe\""
        );
    }
}
