//! A hold on the recorder's directory, which stays on it whatever becomes of its name.
//!
//! The files of a recorder are reached through the descriptor. So a directory that is renamed goes on being recorded
//! into, and nothing is written to what somebody else puts into its place, such as a symbolic link.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::history::files::{make_directory, open_or_create, sync_directory, try_lock};
use crate::history::layout::Layout;
use crate::sys::close_on_fork::CloseOnForkFd;

/// The relation of the directory to the name that it was opened by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whereabouts {
    /// The name leads to the directory.
    #[default]
    Here,
    /// The directory exists, and the name leads elsewhere or nowhere.
    Moved,
    /// The directory was removed, or the files that a recorder holds in it.
    Removed,
}

impl Whereabouts {
    /// The word for users.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Moved => "moved",
            Self::Removed => "removed",
        }
    }
}

/// An open directory, and its name.
#[derive(Debug)]
pub(crate) struct Anchor {
    fd: CloseOnForkFd,
    name: PathBuf,
    id: (u64, u64),
    /// The file that a lock was taken on.
    lock_id: Option<(u64, u64)>,
}

/// The device and the inode.
fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Anchor {
    /// Opens a directory, and makes it if it is not there.
    pub(crate) fn open(name: &Path) -> Result<Self> {
        let os = Error::os::<io::Error>;
        make_directory(name).map_err(os("cannot make the recorder's directory"))?;
        if let Some(parent) = name.parent() {
            // Who may not read the parent cannot flush it, and has not made the directory just now.
            let _ = sync_directory(parent);
        }
        let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(name);
        let file = file.map_err(os("cannot open the recorder's directory"))?;
        let id = id(&file.metadata().map_err(os("cannot open the recorder's directory"))?);
        let anchor = Self { fd: CloseOnForkFd::new(file.into())?, name: name.to_owned(), id, lock_id: None };
        if !std::fs::metadata(anchor.root()).is_ok_and(|metadata| self::id(&metadata) == id) {
            let missing = io::Error::from_raw_os_error(libc::ENOENT);
            return Err(os("a recorder needs /proc to hold its directory")(missing));
        }
        Ok(anchor)
    }

    fn root(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd()).into()
    }

    /// The paths in the directory, through the descriptor.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.root())
    }

    /// The name that the directory was opened by.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Opens the directory once more, by what is held and not by its name.
    pub(crate) fn reopen(&self) -> io::Result<OwnedFd> {
        self.fd.as_fd().try_clone_to_owned()
    }

    /// Takes the lock of a recorder. `None` when another recorder has it.
    pub(crate) fn lock(&mut self) -> Result<Option<CloseOnForkFd>> {
        let os = Error::os::<io::Error>;
        let file = open_or_create(&self.layout().lock()).map_err(os("cannot open the lock"))?;
        if !try_lock(&file).map_err(os("cannot take the lock"))? {
            return Ok(None);
        }
        self.lock_id = Some(id(&file.metadata().map_err(os("cannot take the lock"))?));
        CloseOnForkFd::new(file.into()).map(Some)
    }

    /// Looks where the directory is now.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        // A descriptor that somebody else in this process has closed may lead to another directory by now.
        if is_gone(std::fs::metadata(self.root()), self.id) {
            return Whereabouts::Removed;
        }
        // Without the lock's file another recorder could take a lock of its own.
        if self.lock_id.is_some_and(|held| is_gone(std::fs::symlink_metadata(self.layout().lock()), held)) {
            return Whereabouts::Removed;
        }
        if is_gone(std::fs::metadata(&self.name), self.id) { Whereabouts::Moved } else { Whereabouts::Here }
    }
}

/// Whether a path leads to something else than it did, or to nothing. A disk that fails does not tell, and a failure is
/// no removal.
fn is_gone(found: io::Result<Metadata>, held: (u64, u64)) -> bool {
    match found {
        Ok(metadata) => id(&metadata) != held || metadata.nlink() == 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

/// Whether an open file has no name any more.
pub(crate) fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::files::create_file;
    use crate::history::files::testing::Scratch;

    #[test]
    fn a_failure_is_no_removal() {
        let scratch = Scratch::new("anchor-gone");
        let found = || std::fs::metadata(&scratch.0);
        let held = id(&found().unwrap());
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        assert!(!is_gone(found(), held) && is_gone(found(), (held.0, held.1 + 1)));
        assert!(!is_gone(failed(libc::EIO), held) && !is_gone(failed(libc::EUCLEAN), held));
        assert!(is_gone(failed(libc::ENOENT), held) && is_gone(failed(libc::ENOTDIR), held));
    }

    #[test]
    fn a_directory_is_followed_and_its_name_is_not() {
        let scratch = Scratch::new("anchor");
        let [name, other] = ["h", "other"].map(|name| scratch.0.join(name));
        let mut anchor = Anchor::open(&name).unwrap();
        let lock = anchor.lock().unwrap();
        assert!(lock.is_some() && Anchor::open(&name).unwrap().lock().unwrap().is_none());
        assert_eq!((anchor.whereabouts(), anchor.name()), (Whereabouts::Here, name.as_path()));
        std::fs::rename(&name, &other).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Moved);
        let aside = scratch.0.join("aside");
        std::fs::create_dir(&aside).unwrap();
        std::os::unix::fs::symlink(&aside, &name).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Moved);
        create_file(&anchor.layout().journal()).unwrap();
        assert!(other.join("journal.jsonl").exists() && std::fs::read_dir(&aside).unwrap().next().is_none());
        std::fs::remove_file(&name).unwrap();
        std::fs::rename(&other, &name).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Here);
        std::fs::remove_file(name.join("lock")).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Removed);
        create_file(&name.join("lock")).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Removed);
        std::fs::remove_dir_all(&name).unwrap();
        assert_eq!(anchor.whereabouts(), Whereabouts::Removed);
        assert!(create_file(&anchor.layout().lock()).is_err());
    }
}
