//! Looks up paths in the kernel's cache of directory entries, and nowhere else.
//!
//! Whoever reads events looks at paths that other processes chose. With `RESOLVE_CACHED` (openat2(2), since Linux 5.12)
//! such a look can neither wait for a file system that does not answer, nor mount anything, nor open a device. The
//! kernel has just walked the path for the call, so it is usually in the cache.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use crate::sys::in_root::{RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, open_path, open_resolved};

/// Flags of include/uapi/linux/openat2.h.
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_CACHED: u64 = 0x20;

/// How often a path is looked up that is not found in the cache. Any rename and any mount of the host meanwhile gives the
/// same error (`EAGAIN`, openat2(2)), and any user can make them.
const ATTEMPTS: usize = 4;

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
    /// Something else than a directory is on its way.
    NoDirectory,
    /// It is not in the cache, or this process may not look at it, or the kernel cannot look at the cache alone.
    Unknown,
}

fn not_found(error: &io::Error) -> NotFound {
    match error.raw_os_error() {
        Some(libc::ENOENT) => NotFound::Gone,
        Some(libc::ENOTDIR) => NotFound::NoDirectory,
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
    let open = || open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_CACHED | links);
    let is_disturbed =
        |found: &io::Result<OwnedFd>| found.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EAGAIN));
    let mut found = open();
    for _ in 1..ATTEMPTS {
        if !is_disturbed(&found) {
            break;
        }
        found = open();
    }
    match found {
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

/// Returns a file's device and inode.
///
/// # Errors
///
/// Those of fstat(2).
pub fn identity(fd: OwnedFd) -> io::Result<(u64, u64)> {
    let found = File::from(fd).metadata()?;
    Ok((found.dev(), found.ino()))
}

/// The suffix of a file that is gone (`d_path`, `fs/d_path.c`).
const DELETED: &[u8] = b" (deleted)";

/// Whether a file's name itself ends like that of one that is gone.
fn is_named_so(fd: &OwnedFd, path: &[u8]) -> bool {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    // `..` of a directory is in its own mount namespace, whose paths may lead elsewhere from this one's root.
    let parent = open_resolved(fd.as_fd(), b"..", libc::O_PATH | libc::O_DIRECTORY, RESOLVE_CACHED);
    let found = match &parent {
        Ok(parent) => look_up_below(parent.as_fd(), &path[end..]),
        Err(_) => open_root().map_err(|error| not_found(&error)).and_then(|root| look_up_below(root.as_fd(), path)),
    };
    let identity_of = |fd: OwnedFd| identity(fd).ok();
    let own = fd.try_clone().ok().and_then(identity_of);
    own.is_some() && found.ok().and_then(identity_of) == own
}

fn look_up_below(directory: BorrowedFd<'_>, path: &[u8]) -> std::result::Result<OwnedFd, NotFound> {
    look_up(directory, path, Follow::Nothing, false)
}

/// Appends the path of an open file without any symbolic link; the root is "".
///
/// # Errors
///
/// [`NotFound::Gone`] for a file that was deleted meanwhile.
pub fn push_path_of(fd: &OwnedFd, path: &mut Vec<u8>) -> std::result::Result<(), NotFound> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|error| not_found(&error))?;
    let found = std::os::unix::ffi::OsStrExt::as_bytes(link.as_os_str());
    if found.first() != Some(&b'/') {
        return Err(NotFound::Unknown);
    }
    if found.ends_with(DELETED) && !is_named_so(fd, found) {
        return Err(NotFound::Gone);
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
        let no_directory = look_up(root.as_fd(), format!("{base}/real/x").as_bytes(), Follow::All, true);
        assert_eq!(no_directory.unwrap_err(), NotFound::NoDirectory);
        // A magic link leads to this process's files, whoever named it.
        assert_eq!(found(&root, b"/proc/self/cwd/x", Follow::All), Err(NotFound::Unknown));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_name_can_end_like_that_of_a_deleted_file() {
        let directory = std::env::temp_dir().join(format!("rawtp-deleted-{}", std::process::id()));
        let base = directory.to_str().unwrap().to_owned();
        for name in ["kept (deleted)", "gone", "gone (deleted)"] {
            std::fs::create_dir_all(directory.join(name)).unwrap();
        }
        std::fs::write(directory.join("file (deleted)"), "").unwrap();
        let path_of = |fd: &OwnedFd| {
            let mut path = Vec::new();
            push_path_of(fd, &mut path).map(|()| String::from_utf8(path).unwrap())
        };
        let opened = |name: &str| open_path(directory.join(name).to_str().unwrap().as_bytes(), libc::O_PATH).unwrap();
        for name in ["kept (deleted)", "gone (deleted)", "file (deleted)"] {
            assert_eq!(path_of(&opened(name)), Ok(format!("{base}/{name}")));
        }
        let (gone, file) = (opened("gone"), opened("file (deleted)"));
        std::fs::remove_dir(directory.join("gone")).unwrap();
        std::fs::remove_file(directory.join("file (deleted)")).unwrap();
        // Another directory has the name that the kernel gives the one that is gone.
        assert_eq!((path_of(&gone), path_of(&file)), (Err(NotFound::Gone), Err(NotFound::Gone)));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
