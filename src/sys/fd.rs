//! Ownership of file descriptors that the kernel returned.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, Result};

/// Owns the descriptor that a system call returned.
///
/// # Errors
///
/// `errno`, for a negative result.
pub(crate) fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(result).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Duplicates a descriptor.
///
/// # Errors
///
/// [`Error::Os`].
pub(crate) fn copy(of: &dyn AsFd) -> Result<OwnedFd> {
    of.as_fd().try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"))
}
