//! What is known of the file itself that a call is about, and of a file that a rename replaces.

use crate::event::Event;
use crate::record::segments::Segments;
use crate::skel::types::{file_info, freed};
use crate::syscall::Action;

/// `RENAME_EXCHANGE` of include/uapi/linux/fs.h.
const RENAME_EXCHANGE: u32 = 1 << 1;

/// What is known of the files of one event. What is not known is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// The file.
    pub file: Option<FileInfo>,
    /// Whether a rename replaces another file.
    pub is_replacing: Option<bool>,
    /// The replaced file.
    pub replaced: Option<FileInfo>,
    /// The size that a truncation leaves.
    pub length: Option<i64>,
}

/// What an inode tells about its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// The file system, as the kernel numbers devices.
    kernel_dev: u32,
    /// The inode number.
    pub ino: u64,
    /// The inode's generation. A file system raises it when it uses the number again.
    pub generation: u32,
    /// The number of hard links.
    pub nlink: u32,
    /// The permissions and the type, as in stat(2).
    pub mode: u32,
    /// The user who owns the file.
    pub owner: u32,
    /// The size in bytes before the call.
    pub size: Option<i64>,
    /// The time of the last change of the content before the call.
    pub mtime_ns: Option<i64>,
}

impl FileInfo {
    /// Reads a file as it was before the call, or without what the call has changed.
    fn new(info: &file_info, is_before: bool) -> Self {
        Self {
            kernel_dev: info.dev,
            ino: info.ino,
            generation: info.generation,
            nlink: info.nlink,
            mode: info.mode,
            owner: info.owner,
            size: is_before.then_some(info.size),
            mtime_ns: is_before.then_some(info.mtime_ns),
        }
    }

    /// The device as stat(2) gives it.
    #[must_use]
    pub fn dev(&self) -> u64 {
        libc::makedev(self.kernel_dev >> 20, self.kernel_dev & 0xf_ffff)
    }

    /// The type of the file, in the words of find(1) and stat(1).
    #[must_use]
    pub fn file_type(&self) -> Option<&'static str> {
        Some(match self.mode & libc::S_IFMT {
            libc::S_IFREG => "file",
            libc::S_IFDIR => "directory",
            libc::S_IFLNK => "symlink",
            libc::S_IFIFO => "fifo",
            libc::S_IFSOCK => "socket",
            libc::S_IFCHR => "character device",
            libc::S_IFBLK => "block device",
            _ => return None,
        })
    }
}

impl Event<'_> {
    /// Whether the call renames.
    #[must_use]
    pub fn is_rename(&self) -> bool {
        self.call().is_some_and(|call| call.action == Some(Action::Rename))
    }

    /// Whether both names of a rename remain.
    #[must_use]
    pub fn is_exchange(&self) -> bool {
        self.is_rename() && self.flags().is_some_and(|flags| flags & RENAME_EXCHANGE != 0)
    }

    /// Whether the call freed the file that lost its last link. `None` for a call that frees content alone.
    #[must_use]
    pub fn freed(&self) -> Option<bool> {
        let removes_name = matches!(self.action(), Some(Action::Delete | Action::Rmdir | Action::Rename));
        match freed(self.exit.filter(|_| removes_name)?.record.freed.into()) {
            freed::FREED_NOTHING => Some(false),
            freed::FREED_FILE => Some(true),
            _ => None,
        }
    }

    /// Returns what is known of the event's files.
    #[must_use]
    pub fn file_facts(&self) -> FileFacts {
        let before = |segments: &Segments<'_>| segments.file().map(|info| FileInfo::new(&info, true));
        let after = || self.exit?.segments().file().map(|info| FileInfo::new(&info, false));
        let enter = &self.enter.segments;
        let file = self.truth.and_then(before).or_else(|| {
            // Written at the exit, the record has the file as the call left it.
            if self.enter.is_at_exit() { enter.file().map(|info| FileInfo::new(&info, false)) } else { before(enter) }
        });
        let replaced = self.truth.and_then(Segments::replaced).map(|info| FileInfo::new(&info, true));
        let file = file.or_else(after);
        let is_rename = self.is_rename();
        let is_same = || replaced.zip(file).is_some_and(|(one, other)| one.ino == other.ino);
        let is_replacing =
            (is_rename && self.truth.is_some()).then(|| replaced.is_some() && !self.is_exchange() && !is_same());
        let length = enter.length().or_else(|| self.opens_to_truncate().then_some(0));
        FileFacts { file, is_replacing, replaced: replaced.filter(|_| is_replacing == Some(true)), length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Enter, Exit, enter_record, exit_record};
    use crate::syscall::Abi;

    #[test]
    fn freed_is_known_of_removals_only() {
        let of = |name, value: freed| {
            let record = enter_record { nr: Abi::NATIVE.number(name).unwrap(), ..Default::default() };
            let enter = Enter { record: &record, segments: Segments::default() };
            let exit = exit_record { freed: value.0 as u16, ..Default::default() };
            let exit = Some(Exit::new(&exit));
            let event =
                Event { enter: &enter, exit: exit.as_ref(), offset_ns: 0, exec: None, lost_before: 0, truth: None };
            (event.freed(), Event { exit: None, ..event }.freed())
        };
        assert_eq!(of("unlinkat", freed::FREED_FILE), (Some(true), None));
        assert_eq!(of("renameat2", freed::FREED_NOTHING), (Some(false), None));
        assert_eq!(of("unlinkat", freed::FREED_UNKNOWN), (None, None));
        assert_eq!(of("unlinkat", freed(9)), (None, None));
        assert_eq!(of("truncate", freed::FREED_FILE), (None, None));
    }
}
