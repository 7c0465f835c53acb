//! Tries the first steps of a tracer one by one, to find the one that the kernel refuses.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;

use libbpf_sys::{BPF_MAP_TYPE_RINGBUF, bpf_map_create};

use crate::sys::bpf::{attach_raw, load, nothing};
use crate::sys::fd::owned;
use crate::sys::signals::Blocked;

/// A command of `bpf(2)` that no kernel has. Since Linux 7 the bits above are flags.
const NO_COMMAND: libc::c_long = 0x7fff;

/// Returns the steps, each with 0 or its `errno`. Every step is undone.
///
/// The step `"bpf"` calls `bpf(2)` with an invalid command. `EINVAL` means that the call reached the kernel; any other
/// errno comes from a seccomp filter.
#[must_use]
pub fn attempts(ring_bytes: u32) -> Vec<(&'static str, i32)> {
    let _blocked = Blocked::new();
    let program = load(&nothing(), 0);
    let attached = program.as_ref().ok().map(|program| attach_raw(program.as_fd(), Some(c"sys_enter")));
    let mut steps = vec![
        ("bpf", errno(&no_command())),
        ("ring_buffer", errno(&ring_buffer(ring_bytes))),
        ("raw_tp_load", errno(&program)),
    ];
    steps.extend(attached.map(|link| ("raw_tp_attach", errno(&link))));
    steps
}

fn errno(made: &io::Result<OwnedFd>) -> i32 {
    // Each of these errors is an errno of the kernel.
    made.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO))
}

fn no_command() -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads no attributes when their size is 0.
    owned(unsafe { libc::syscall(libc::SYS_bpf, NO_COMMAND, ptr::null::<libc::c_void>(), 0) })
}

fn ring_buffer(bytes: u32) -> io::Result<OwnedFd> {
    // SAFETY: NULL means no name and no options.
    owned(unsafe { bpf_map_create(BPF_MAP_TYPE_RINGBUF, ptr::null(), 0, 0, bytes, ptr::null()) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_an_impossible_size_is_refused() {
        // Without the privilege the errno is EPERM, with it EINVAL.
        let refused = ring_buffer(12345).unwrap_err().raw_os_error();
        assert!([Some(libc::EPERM), Some(libc::EINVAL)].contains(&refused), "{refused:?}");
        assert_eq!(attempts(12345)[1], ("ring_buffer", refused.unwrap()));
    }
}
