//! A call that shows whether the programs for the kernel's functions run.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use crate::sys::fd::owned;
use crate::sys::fdinfo::is_of_proc;
use crate::syscall::Work;

/// Makes a call that reaches one of the functions and removes nothing: it empties an empty file in memory, removes a
/// symbolic link as a directory, or renames it to itself. The link is one of procfs, which allows neither. Returns the
/// call's error, which most of these calls have to give.
pub(super) fn try_work(is_hooked: impl Fn(Work) -> bool) -> io::Result<()> {
    if is_hooked(Work::Truncate) {
        // SAFETY: a name that outlives the call.
        let file = owned(unsafe { libc::memfd_create(c"rawtp".as_ptr(), libc::MFD_CLOEXEC) }.into())?;
        return File::from(file).set_len(0);
    }
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let process = File::options().read(true).custom_flags(flags).open("/proc/self")?;
    if !is_of_proc(&process) {
        return Err(io::Error::other("/proc is not procfs"));
    }
    let (fd, exe) = (process.as_raw_fd(), c"exe".as_ptr());
    // SAFETY: descriptors and names that outlive the calls.
    let result = unsafe {
        if is_hooked(Work::Remove) {
            libc::unlinkat(fd, exe, libc::AT_REMOVEDIR)
        } else {
            libc::renameat(fd, exe, fd, exe)
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_removes_nothing() {
        for work in Work::ALL {
            let errno = try_work(|hooked| hooked == work).map_or_else(|error| error.raw_os_error(), |()| Some(0));
            assert!([Some(0), Some(libc::EPERM), Some(libc::ENOTDIR)].contains(&errno), "{errno:?}");
        }
        assert!(std::fs::read_link("/proc/self/exe").unwrap().exists());
    }
}
