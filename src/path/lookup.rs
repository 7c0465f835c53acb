//! Looks up paths that a caller asked for in the file system. A result is true only at the moment of the look-up.

use std::ffi::OsStr;
use std::fs::{canonicalize, metadata, symlink_metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// Whether files with exactly these special names exist. The rest of the path, below the last special name, may be
/// created later.
pub(crate) fn is_there(path: &[u8], is_special: impl Fn(&[u8]) -> bool) -> bool {
    let special = beginnings(path).filter(|beginning| is_special(last(beginning))).last();
    special.is_some_and(|special| symlink_metadata(OsStr::from_bytes(special)).is_ok())
}

/// Whether a user other than root and this one may have chosen the special names.
pub(crate) fn is_others(path: &[u8], is_special: impl Fn(&[u8]) -> bool) -> bool {
    // SAFETY: geteuid(2) has no preconditions.
    let own = unsafe { libc::geteuid() };
    let mut special = beginnings(path).filter(|beginning| is_special(last(beginning)));
    special.any(|special| {
        metadata(OsStr::from_bytes(parent(special)))
            .map_or(true, |directory| ![0, own].contains(&directory.uid()) || directory.mode() & 0o022 != 0)
    })
}

/// A symbolic link on a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The link itself.
    pub(crate) link: PathBuf,
    /// The path without links, as far as that can be found out.
    pub(crate) real: Option<PathBuf>,
}

/// Returns the first symbolic link among the path's beginnings and the path itself.
pub(crate) fn link_on(path: &[u8]) -> Option<Link> {
    let is_link = |path: &[u8]| symlink_metadata(OsStr::from_bytes(path)).is_ok_and(|it| it.is_symlink());
    let link = beginnings(path).find(|beginning| is_link(beginning))?;
    Some(Link { link: OsStr::from_bytes(link).into(), real: real(Path::new(OsStr::from_bytes(path))) })
}

/// Follows the links in the part of the path that exists. The rest stays as it is.
fn real(path: &Path) -> Option<PathBuf> {
    let (there, real) = path.ancestors().find_map(|there| Some((there, canonicalize(there).ok()?)))?;
    let rest = path.strip_prefix(there).ok()?;
    let Some(next) = rest.components().next() else { return Some(real) };
    // A link that exists but cannot be followed leads nowhere, or this user may not look at it.
    symlink_metadata(there.join(next)).is_err().then(|| real.join(rest))
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
        assert!(!is_there(b"/proc/self/[x]", is_special) && !is_there(b"/proc/self", is_special));
        assert!(is_others(b"/nonexistent/[x]/y", is_special) && !is_others(b"/nonexistent/x", is_special));
        // Only root makes names in the root directory.
        assert!(!is_others(b"/[x]/y", is_special));
    }

    #[test]
    fn a_link_is_found_and_followed() {
        // The kernel makes this link on every host.
        let found = link_on(b"/proc/self/fd/not/there").unwrap();
        assert_eq!(found.link, Path::new("/proc/self"));
        assert_eq!(found.real.unwrap(), Path::new(&format!("/proc/{}/fd/not/there", std::process::id())));
        assert_eq!(link_on(b"/proc/sys/kernel"), None);
        assert_eq!(link_on(b"/"), None);
    }
}
