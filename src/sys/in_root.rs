//! Opens paths below a directory that stays their root, whatever links and `..` they have (openat2(2), since Linux 5.6).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Flags of include/uapi/linux/openat2.h.
pub(super) const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub(super) const RESOLVE_IN_ROOT: u64 = 0x10;

fn c_string(path: &[u8]) -> io::Result<CString> {
    CString::new(if path.is_empty() { b"/" } else { path }).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Opens a path with flags of open(2), and close-on-exec.
///
/// # Errors
///
/// Those of open(2), and `EINVAL` for a NUL.
pub fn open_path(path: &[u8], flags: i32) -> io::Result<OwnedFd> {
    let path = c_string(path)?;
    // SAFETY: a C string and flags.
    own(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }.into())
}

/// Opens a path that begins at `root`, with flags of open(2), and close-on-exec. No magic link is followed.
///
/// # Errors
///
/// Those of openat2(2), and `EINVAL` for a NUL.
pub fn open_in(root: BorrowedFd<'_>, path: &[u8], flags: i32) -> io::Result<OwnedFd> {
    open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
}

/// Opens a path as openat2(2) resolves it.
pub(super) fn open_resolved(root: BorrowedFd<'_>, path: &[u8], flags: i32, resolve: u64) -> io::Result<OwnedFd> {
    let path = c_string(path)?;
    // SAFETY: all zeroes is a valid value of this struct of numbers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC).cast_unsigned().into();
    how.resolve = resolve;
    // SAFETY: an open descriptor, a C string, and a struct with its size.
    own(unsafe {
        libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size_of::<libc::open_how>())
    })
}

fn own(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the call has just opened it for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
