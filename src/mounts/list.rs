//! Lists of mounts in `/proc`, each of which tells what a process's root shows.

use std::fs::File;
use std::io::Read;

use crate::mounts::table::MountTable;
use crate::sys::cached_path::{open_root_of, push_path_of};

/// The most bytes of another namespace's `mountinfo` that are read: some 5,000 mounts.
const MOUNTINFO_BYTES: u64 = 1 << 20;
/// A process's list of the mounts below its root.
#[derive(Debug)]
pub(super) struct List {
    file: File,
    /// The path of that root in its namespace; "" for the namespace's own.
    pub(super) root: Vec<u8>,
}

/// Opens a list of a namespace's mounts, through that of some processes in it whose root is the highest. `None` when
/// none is in it any more.
pub(super) fn open(mnt_ns: u32, processes: impl IntoIterator<Item = u32>) -> Option<List> {
    let mut highest: Option<List> = None;
    for pid in processes {
        if let Some(list) = open_of(mnt_ns, pid)
            && highest.as_ref().is_none_or(|highest| list.root.len() < highest.root.len())
        {
            let is_whole = list.root.is_empty();
            highest = Some(list);
            if is_whole {
                break;
            }
        }
    }
    highest
}

pub(super) fn open_of(mnt_ns: u32, pid: u32) -> Option<List> {
    let root_path = || {
        let mut path = Vec::new();
        push_path_of(&open_root_of(pid, mnt_ns)?, &mut path).ok().map(|()| path)
    };
    let root = root_path()?;
    let file = File::open(format!("/proc/{pid}/mountinfo")).ok()?;
    // The id can have become another process's before the file was opened, and the process can have changed its root.
    (root_path().as_ref() == Some(&root)).then_some(List { file, root })
}

/// Reads a list of mounts; `None` when it is too long.
pub(super) fn read(list: List) -> Option<MountTable> {
    let mut text = Vec::new();
    list.file.take(MOUNTINFO_BYTES + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MOUNTINFO_BYTES).then(|| MountTable::parse_below(&text, &list.root))
}
