//! Looks up paths in the kernel's cache of directory entries, and nowhere else.
//!
//! Whoever reads events looks at paths that other processes chose. With `RESOLVE_CACHED` (openat2(2), since Linux 5.12)
//! such a look can neither wait for a file system that does not answer, nor mount anything, nor open a device. The
//! kernel has just walked the path for the call, so it is usually in the cache.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use crate::sys::in_root::{RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, open_path, open_resolved};

/// Flags of include/uapi/linux/openat2.h.
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_CACHED: u64 = 0x20;

/// What a look-up may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// All symbolic links on the path and the one at its end.
    All,
    /// No link at all.
    Nothing,
}

/// Why a path was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// There is no such file any more.
    Gone,
    /// It is not in the cache, or this process may not look at it, or the kernel cannot look at the cache alone.
    Unknown,
}

fn not_found(error: &io::Error) -> NotFound {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => NotFound::Gone,
        _ => NotFound::Unknown,
    }
}

/// Looks up a path that begins at `root`, which stays its root whatever links and `..` it has. `is_directory` asks for a
/// directory.
///
/// # Errors
///
/// See [`NotFound`].
pub fn look_up(
    root: BorrowedFd<'_>,
    path: &[u8],
    follow: Follow,
    is_directory: bool,
) -> std::result::Result<OwnedFd, NotFound> {
    let links = if follow == Follow::All { RESOLVE_NO_MAGICLINKS } else { RESOLVE_NO_SYMLINKS };
    let flags = libc::O_PATH | if is_directory { libc::O_DIRECTORY } else { 0 };
    match open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_CACHED | links) {
        // No file's path has a NUL.
        Err(_) if path.contains(&0) => Err(NotFound::Gone),
        found => found.map_err(|error| not_found(&error)),
    }
}

/// Whether the kernel can look at its cache alone: `RESOLVE_CACHED` is known since Linux 5.12.
#[must_use]
pub fn is_supported() -> bool {
    static IS_SUPPORTED: OnceLock<bool> = OnceLock::new();
    *IS_SUPPORTED
        .get_or_init(|| open_root().is_ok_and(|root| look_up(root.as_fd(), b"", Follow::Nothing, true).is_ok()))
}

/// Opens this process's root.
///
/// # Errors
///
/// Those of open(2).
pub fn open_root() -> io::Result<OwnedFd> {
    open_directory(b"/")
}

/// Opens the root of a thread, by its id in this process's pid namespace. `None` unless it is in this mount namespace.
#[must_use]
pub fn open_root_of(tid: u32, mnt_ns: u32) -> Option<OwnedFd> {
    let is_there = || std::fs::metadata(format!("/proc/{tid}/ns/mnt")).is_ok_and(|it| it.ino() == u64::from(mnt_ns));
    if !is_there() {
        return None;
    }
    // The link is a magic one, which leads to the directory itself and walks no path.
    let root = open_directory(format!("/proc/{tid}/root").as_bytes()).ok()?;
    // The id can have become another thread's before that.
    is_there().then_some(root)
}

fn open_directory(path: &[u8]) -> io::Result<OwnedFd> {
    open_path(path, libc::O_PATH | libc::O_DIRECTORY)
}

/// The suffix of a file that is gone (`d_path`, `fs/d_path.c`).
const DELETED: &[u8] = b" (deleted)";

/// Appends the path of an open file without any symbolic link; the root is "".
///
/// # Errors
///
/// [`NotFound::Gone`] for a file that was deleted meanwhile.
pub fn push_path_of(fd: &OwnedFd, path: &mut Vec<u8>) -> std::result::Result<(), NotFound> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|error| not_found(&error))?;
    let found = std::os::unix::ffi::OsStrExt::as_bytes(link.as_os_str());
    if found.ends_with(DELETED) {
        return Err(NotFound::Gone);
    }
    if found.first() != Some(&b'/') {
        return Err(NotFound::Unknown);
    }
    path.extend_from_slice(if found == b"/" { b"" } else { found });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(root: &OwnedFd, path: &[u8], follow: Follow) -> std::result::Result<Vec<u8>, NotFound> {
        let mut text = Vec::new();
        push_path_of(&look_up(root.as_fd(), path, follow, false)?, &mut text)?;
        Ok(text)
    }

    #[test]
    fn links_are_followed_or_refused() {
        let directory = std::env::temp_dir().join(format!("rawtp-cached-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("real")).unwrap();
        std::os::unix::fs::symlink("real", directory.join("link")).unwrap();
        std::fs::write(directory.join("real/x"), "").unwrap();
        let directory = directory.canonicalize().unwrap();
        // The kernel has them in its cache once somebody went there.
        std::fs::metadata(directory.join("link/x")).unwrap();
        let (root, base) = (open_root().unwrap(), directory.to_str().unwrap().to_owned());
        let at = |name: &str, follow| found(&root, format!("{base}/{name}").as_bytes(), follow);
        assert_eq!(at("link/x", Follow::All), Ok(format!("{base}/real/x").into_bytes()));
        assert_eq!(at("link/../real/x", Follow::All), Ok(format!("{base}/real/x").into_bytes()));
        assert_eq!(at("link/x", Follow::Nothing), Err(NotFound::Unknown));
        assert_eq!(at("real/x", Follow::Nothing), Ok(format!("{base}/real/x").into_bytes()));
        let missing = at("real/nothing", Follow::All);
        assert!(missing.is_err(), "{missing:?}");
        assert_eq!(found(&root, b"", Follow::All), Ok(Vec::new()));
        assert_eq!(found(&root, b"/../..", Follow::All), Ok(Vec::new()));
        // A magic link leads to this process's files, whoever named it.
        assert_eq!(found(&root, b"/proc/self/cwd/x", Follow::All), Err(NotFound::Unknown));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
