//! The values of the filters, checked one by one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::cgroup::lookup::CgroupLookup;
use crate::cgroup::mounts::Hierarchy;
use crate::error::{Error, Result};
use crate::skel::types::comm_filter;

/// The largest pid limit of Linux (`PID_MAX_LIMIT`, include/linux/threads.h).
pub(crate) const PID_MAX: u32 = 4 << 20;

/// The bytes of a command's name in the kernel, including its NUL.
const COMM_BYTES: usize = 16;

/// The most values a filter takes (`FILTER_MAX`).
pub const FILTER_MAX: usize = 32;

/// A cgroup, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    /// An event's `cgroup_id`.
    Id(u64),
    /// The cgroup's directory, or its path as in `/proc/PID/cgroup`.
    Path(OsString),
}

pub(super) fn check_many<T, R>(name: &str, values: Option<Vec<T>>, check: impl Fn(T) -> Result<R>) -> Result<Vec<R>> {
    let Some(values) = values else { return Ok(Vec::new()) };
    match values.len() {
        0 => Err(Error::Value(format!("{name} is empty: give at least one, or None"))),
        1..=FILTER_MAX => values.into_iter().map(check).collect(),
        more => Err(Error::Value(format!("{name} takes at most {FILTER_MAX} values, not {more}"))),
    }
}

pub(super) fn check_pid(value: i64) -> Result<u32> {
    let pid = u32::try_from(value).ok().filter(|pid| (1..=PID_MAX).contains(pid));
    pid.ok_or_else(|| Error::Value(format!("pid must be a process id from 1 to {PID_MAX}, not {value}")))
}

pub(super) fn check_uid(value: i64) -> Result<u32> {
    // The last one means "no user" to every system call that takes a uid.
    let uid = u32::try_from(value).ok().filter(|uid| *uid < u32::MAX);
    uid.ok_or_else(|| Error::Value(format!("uid must be a user id from 0 to {}, not {value}", u32::MAX - 1)))
}

pub(super) fn check_comm(value: &OsStr) -> Result<comm_filter> {
    let bytes = value.as_bytes();
    let (name, is_prefix) = bytes.strip_suffix(b"*").map_or((bytes, false), |start| (start, true));
    let shown = value.to_string_lossy();
    let wrong = |rule: String| Err(Error::Value(format!("comm {shown:?} can match no process: {rule}")));
    if bytes.is_empty() || name.contains(&0) {
        return wrong("a name is not empty, and has no NUL".into());
    }
    if name.contains(&b'*') {
        return wrong("a * stands only at the end".into());
    }
    if name.len() >= COMM_BYTES {
        let kept = String::from_utf8_lossy(&name[..COMM_BYTES - 1]);
        return wrong(format!("the kernel keeps the first 15 bytes of a name, here {kept:?}"));
    }
    let (mut word, mut mask) = ([0_u8; COMM_BYTES], [0_u8; COMM_BYTES]);
    word[..name.len()].copy_from_slice(name);
    // The NUL belongs to a whole name. The bytes behind it may be left over from an earlier name.
    mask[..name.len() + usize::from(!is_prefix)].fill(0xff);
    let words = |bytes: [u8; COMM_BYTES]| {
        let (first, second) = bytes.split_at(COMM_BYTES / 2);
        [first, second].map(|half| half.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half)))
    };
    Ok(comm_filter { words: words(word), masks: words(mask) })
}

/// Whether every name matches: `*` alone.
pub(super) fn is_any_comm(filter: &comm_filter) -> bool {
    filter.masks.iter().all(|mask| *mask == 0)
}

/// The inode of the directory that every process is below: kernfs numbers from 1 on (fs/kernfs/dir.c).
const ROOT_CGROUP: u64 = 1;

pub(super) fn is_root_cgroup(directory: &OwnedFd) -> bool {
    let found = directory.try_clone().and_then(|directory| File::from(directory).metadata());
    found.is_ok_and(|metadata| metadata.ino() == ROOT_CGROUP)
}

fn open_cgroup(path: &Path) -> std::io::Result<Option<OwnedFd>> {
    let dir = File::open(path)?;
    Ok(Hierarchy::V2.has(&dir).then(|| dir.into()))
}

pub(super) fn check_cgroup(value: Cgroup) -> Result<Arc<OwnedFd>> {
    let path = match value {
        Cgroup::Id(id) => CgroupLookup::new(Hierarchy::V2)
            .directory(id)
            .ok_or_else(|| Error::Value(format!("cgroup {id} is not there: no cgroup of version 2 has this id")))?,
        Cgroup::Path(path) if path.as_bytes().first() == Some(&b'/') => path.into(),
        Cgroup::Path(path) => {
            return Err(Error::Value(format!("cgroup {} must be an absolute path, or an id", path.display())));
        }
    };
    match open_cgroup(&path) {
        Ok(Some(dir)) => return Ok(Arc::new(dir)),
        Ok(None) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::Value(format!("cgroup {}: {error}", path.display()))),
    }
    // Paths from /proc/PID/cgroup and systemctl begin at the mount point.
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let below = path.strip_prefix("/").unwrap_or(&path);
    let found =
        Hierarchy::V2.mounts(&mountinfo).into_iter().find_map(|(_, mount)| open_cgroup(&mount.join(below)).ok()?);
    found.map(Arc::new).ok_or_else(|| {
        Error::Value(format!("cgroup {} is not there: no such directory in a hierarchy of version 2", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    fn comm(value: &str) -> Result<comm_filter> {
        check_comm(OsStr::new(value))
    }

    fn matches(filter: &comm_filter, comm: &[u8; COMM_BYTES]) -> bool {
        let words = [0, 8].map(|at| u64::from_ne_bytes(*comm[at..].first_chunk().unwrap()));
        (0..2).all(|at| (words[at] ^ filter.words[at]) & filter.masks[at] == 0)
    }

    #[test]
    fn a_command_is_compared_as_a_whole_or_by_its_beginning() {
        let [rm, prefix, longest] = ["rm", "rm*", "fifteen bytes a"].map(|name| comm(name).unwrap());
        let name = |start: &[u8]| {
            let mut comm = [0; COMM_BYTES];
            comm[..start.len()].copy_from_slice(start);
            comm
        };
        assert!(matches(&rm, &name(b"rm")) && matches(&rm, &name(b"rm\0left")) && !matches(&rm, &name(b"rmdir")));
        assert!(matches(&prefix, &name(b"rm")) && matches(&prefix, &name(b"rmdir")) && !matches(&prefix, &name(b"r")));
        assert!(matches(&longest, &name(b"fifteen bytes a")) && !matches(&longest, &name(b"fifteen bytes b")));
        assert!(matches(&comm("*").unwrap(), &name(b"anything")));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        assert_eq!(
            message(comm("systemd-journald")),
            "comm \"systemd-journald\" can match no process: the kernel keeps the first 15 bytes of a name, here \
             \"systemd-journal\""
        );
        assert_eq!(message(comm("a*b")), "comm \"a*b\" can match no process: a * stands only at the end");
        assert_eq!(message(comm("")), "comm \"\" can match no process: a name is not empty, and has no NUL");
        let cgroup = |value: &str| check_cgroup(Cgroup::Path(value.into()));
        assert_eq!(message(cgroup("user.slice")), "cgroup user.slice must be an absolute path, or an id");
        assert_eq!(
            message(cgroup("/proc/self")),
            "cgroup /proc/self is not there: no such directory in a hierarchy of version 2"
        );
    }
}
