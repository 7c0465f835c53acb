//! Looks up paths that a caller asked for in the file system. A result is true only at the moment of the look-up.

use std::ffi::OsStr;
use std::fs::{File, Metadata, metadata, symlink_metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use crate::mounts::host_root::HostRoot;

/// Returns the path's beginnings, each one component longer: `/a`, `/a/b`.
fn beginnings(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end]).filter(|beginning| !beginning.ends_with(b"/"))
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    &path[..end.max(1)]
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Looks at a file of the host. `flags` can keep a symbolic link from being followed.
fn look_at(path: &[u8], flags: i32, host_root: &HostRoot) -> io::Result<Metadata> {
    if !host_root.is_own() {
        return File::from(host_root.open_file(path, libc::O_PATH | flags)?).metadata();
    }
    let path = OsStr::from_bytes(path);
    if flags & libc::O_NOFOLLOW == 0 { metadata(path) } else { symlink_metadata(path) }
}

/// Whether files with exactly these special names exist on the host. The rest of the path, below the last special name,
/// may be created later.
pub(crate) fn is_there(path: &[u8], is_special: impl Fn(&[u8]) -> bool, host_root: &HostRoot) -> bool {
    let special = beginnings(path).filter(|beginning| is_special(last(beginning))).last();
    special.is_some_and(|special| look_at(special, libc::O_NOFOLLOW, host_root).is_ok())
}

/// Whether a user other than root and this one may have chosen the special names.
pub(crate) fn is_others(path: &[u8], is_special: impl Fn(&[u8]) -> bool, host_root: &HostRoot) -> bool {
    // SAFETY: geteuid(2) has no preconditions.
    let own = unsafe { libc::geteuid() };
    let mut special = beginnings(path).filter(|beginning| is_special(last(beginning)));
    special.any(|special| {
        look_at(parent(special), 0, host_root)
            .map_or(true, |directory| ![0, own].contains(&directory.uid()) || directory.mode() & 0o022 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_special(part: &[u8]) -> bool {
        part.contains(&b'[')
    }

    #[test]
    fn beginnings_and_their_parents() {
        let all: Vec<_> = beginnings(b"/a//b/").collect();
        assert_eq!(all, [b"/a".as_slice(), b"/a//b"]);
        assert_eq!([parent(b"/a"), parent(b"/a/b"), last(b"/a/b")], [b"/".as_slice(), b"/a", b"b"]);
        assert_eq!(beginnings(b"/").count(), 0);
    }

    #[test]
    fn a_missing_path_has_no_special_name() {
        let is_there = |path: &[u8]| is_there(path, is_special, &HostRoot::default());
        let is_others = |path: &[u8]| is_others(path, is_special, &HostRoot::default());
        assert!(!is_there(b"/proc/self/[x]") && !is_there(b"/proc/self"));
        assert!(is_others(b"/nonexistent/[x]/y") && !is_others(b"/nonexistent/x"));
        // Only root makes names in the root directory.
        assert!(!is_others(b"/[x]/y"));
    }

    #[test]
    fn names_are_the_hosts() {
        let directory = std::env::temp_dir().join(format!("rawtp-lookup-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("data/[x]")).unwrap();
        std::os::unix::fs::symlink("/data", directory.join("srv")).unwrap();
        let root = HostRoot::open(&directory).unwrap();
        assert!(is_there(b"/srv/[x]", is_special, &root) && !is_there(b"/srv/[y]", is_special, &root));
        assert!(!is_there(b"/srv/[x]", is_special, &HostRoot::default()));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
