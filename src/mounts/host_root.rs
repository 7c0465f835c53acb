//! The directory at which the host's root is mounted: `root=`.
//!
//! A recorder in a container has the host's file systems at `/host`, and the paths that it tells are the host's. Links
//! and `..` below that directory never lead out of it, as they do not on the host.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sys::cached_path::{self, Follow, NotFound, identity, look_up, push_path_of};
use crate::sys::in_root::{open_in, open_path};

/// The directory, which is this process's own root unless another one was asked for.
#[derive(Debug, Clone, Default)]
pub struct HostRoot(Option<Arc<Directory>>);

#[derive(Debug)]
struct Directory {
    /// The path in this process's mount namespace, without symbolic links.
    path: Vec<u8>,
    identity: (u64, u64),
}

impl HostRoot {
    /// Checks the caller's argument. `/` is this process's own root.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a path that is relative, has a NUL or leads into another mount namespace. [`Error::Os`] for
    /// one that is no directory or cannot be opened.
    pub fn open(value: &Path) -> Result<Self> {
        let bytes = value.as_os_str().as_bytes();
        let shown = || value.to_string_lossy().into_owned();
        if bytes.first() != Some(&b'/') || bytes.contains(&0) {
            return Err(Error::Value(format!("root must be absolute, and without NUL, not {:?}", shown())));
        }
        let opened = |path: &[u8]| open_path(path, libc::O_PATH | libc::O_DIRECTORY);
        let fd = opened(bytes).map_err(Error::os("cannot open root"))?;
        let mut path = Vec::new();
        let found = push_path_of(&fd, &mut path);
        let identity = identity(fd).map_err(Error::os("cannot look at root"))?;
        // A path such as /proc/1/root leads to mounts that this process's own list does not have.
        let again = opened(&path).and_then(cached_path::identity);
        if found.is_err() || again.ok() != Some(identity) {
            return Err(Error::Value(format!(
                "root {:?} leads out of this process's mount namespace: mount the host's root in it",
                shown()
            )));
        }
        Ok(if path.is_empty() { Self::default() } else { Self(Some(Arc::new(Directory { path, identity }))) })
    }

    /// Whether it is this process's own root.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.0.is_none()
    }

    /// The path in this process's mount namespace, without symbolic links; "" for its own root.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |directory| &directory.path)
    }

    /// Opens the directory in the kernel's cache alone. `own` is this process's root.
    ///
    /// # Errors
    ///
    /// [`NotFound::Gone`] or [`NotFound::NoDirectory`] while something else, or nothing, is at its path.
    pub fn look_up(&self, own: &Arc<OwnedFd>) -> std::result::Result<Arc<OwnedFd>, NotFound> {
        let Some(directory) = &self.0 else { return Ok(Arc::clone(own)) };
        let found = look_up(own.as_fd(), &directory.path, Follow::Nothing, true)?;
        match found.try_clone().and_then(identity) {
            Ok(identity) if identity == directory.identity => Ok(Arc::new(found)),
            Ok(_) => Err(NotFound::Gone),
            Err(_) => Err(NotFound::Unknown),
        }
    }

    /// Opens a file by its path on the host, with flags of open(2). It may wait for a file system that does not answer.
    ///
    /// # Errors
    ///
    /// Those of openat2(2).
    pub fn open_file(&self, path: &[u8], flags: i32) -> io::Result<OwnedFd> {
        let Some(directory) = &self.0 else { return open_path(path, flags) };
        let root = open_path(&directory.path, libc::O_PATH | libc::O_DIRECTORY)?;
        if identity(root.try_clone()?)? != directory.identity {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        open_in(root.as_fd(), path, flags)
    }

    /// Has the kernel walk a path of the host, so that it is in its cache from then on.
    pub fn walk(&self, path: &[u8]) {
        if self.is_own() {
            let _ = fs::metadata(OsStr::from_bytes(path));
        } else {
            let _ = self.open_file(path, libc::O_PATH);
        }
    }

    /// Reads a regular file by its path on the host, up to `most` bytes. `None` where it cannot be read.
    #[must_use]
    pub fn read(&self, path: &[u8], most: u64) -> Option<Vec<u8>> {
        // Nobody can be kept waiting by a FIFO there.
        let file = File::from(self.open_file(path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY).ok()?);
        let mut content = Vec::new();
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        file.take(most).read_to_end(&mut content).ok()?;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::cached_path::open_root;

    fn message(value: &str) -> String {
        HostRoot::open(Path::new(value)).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        assert_eq!(message("host"), "root must be absolute, and without NUL, not \"host\"");
        assert_eq!(message(""), "root must be absolute, and without NUL, not \"\"");
        let errno = |value: &str| HostRoot::open(Path::new(value)).unwrap_err().errno();
        assert_eq!(errno("/nonexistent-rawtp"), Some(libc::ENOENT));
        assert_eq!(errno("/proc/self/status"), Some(libc::ENOTDIR));
    }

    #[test]
    fn the_own_root_is_the_default() {
        for same in ["/", "//", "/proc/..", "/proc/self/root"] {
            assert!(HostRoot::open(Path::new(same)).unwrap().is_own(), "{same}");
        }
        assert_eq!(HostRoot::default().path(), b"");
    }

    #[test]
    fn links_stay_below_it() {
        let directory = std::env::temp_dir().join(format!("rawtp-host-root-{}", std::process::id()));
        fs::create_dir_all(directory.join("root/etc")).unwrap();
        fs::write(directory.join("root/etc/machine-id"), "the host's\n").unwrap();
        std::os::unix::fs::symlink("/etc/machine-id", directory.join("root/absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/machine-id", directory.join("root/upwards")).unwrap();
        std::os::unix::fs::symlink("root", directory.join("link")).unwrap();
        let directory = directory.canonicalize().unwrap();
        let root = HostRoot::open(&directory.join("link")).unwrap();
        assert_eq!(root.path(), directory.join("root").as_os_str().as_bytes());
        for name in ["/absolute", "/upwards", "/etc/machine-id", "/../etc/machine-id"] {
            assert_eq!(root.read(name.as_bytes(), 100).as_deref(), Some(b"the host's\n".as_slice()), "{name}");
        }
        assert_eq!(root.read(b"/absolute", 3).as_deref(), Some(b"the".as_slice()));
        let own = Arc::new(open_root().unwrap());
        assert!(root.look_up(&own).is_ok());
        assert_eq!((root.read(b"/etc", 9), root.read(b"/nothing", 9)), (None, None));
        // Something else in its place is not the host's.
        fs::rename(directory.join("root"), directory.join("moved")).unwrap();
        fs::create_dir_all(directory.join("root/etc")).unwrap();
        fs::write(directory.join("root/etc/machine-id"), "another's\n").unwrap();
        assert_eq!(root.read(b"/etc/machine-id", 100), None);
        assert_eq!(root.look_up(&own).unwrap_err(), NotFound::Gone);
        fs::remove_dir_all(&directory).unwrap();
    }
}
