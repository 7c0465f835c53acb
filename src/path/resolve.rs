//! Makes absolute paths from a name as it was passed and the walk from its directory to the root, which the programs
//! did.
//!
//! It is purely lexical. `.`, `..` and `//` are removed, and symbolic links inside the passed name are not followed. So
//! the path is the one the call was aimed at, as the process spelled it.

use crate::mounts::table::push_upwards;
use crate::path::lexical::push_lexically;
use crate::record::segments::{Directory, Name, NameStatus, WalkStatus};

/// How a path was found: an event's `path_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathKind {
    /// There is no path.
    #[default]
    Unknown,
    /// The name was absolute.
    Absolute,
    /// Relative to the working directory.
    Cwd,
    /// Relative to a directory's descriptor, or the path of a descriptor itself.
    Dirfd,
    /// The beginning or the end of the path is missing, or the directory is deleted, or it is the directory at the
    /// submission of an `io_uring` request. Without its beginning, the path has no leading slash.
    Partial,
}

impl PathKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Absolute, Self::Cwd, Self::Dirfd, Self::Partial];

    /// The text in an event.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Absolute => Some("absolute"),
            Self::Cwd => Some("cwd"),
            Self::Dirfd => Some("dirfd"),
            Self::Partial => Some("partial"),
        }
    }
}

/// The suffix that the kernel gives the path of a deleted file (`d_path`, `fs/d_path.c`).
pub const DELETED: &[u8] = b" (deleted)";

/// How much is known about the file that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Known {
    #[default]
    Whole,
    InPart,
    /// The name leads to no file that has a path.
    Nowhere,
}

/// The paths of one name. The buffers are reused.
#[derive(Debug, Default)]
pub struct Paths {
    path: Vec<u8>,
    host_path: Vec<u8>,
    kind: PathKind,
    differs: bool,
    nameless: bool,
    known: Known,
    /// The names below the process's root of the last directory, and their path. The next name usually has the same
    /// directory.
    below: Vec<u8>,
    below_path: Vec<u8>,
}

fn or_root(path: &mut Vec<u8>) {
    if path.is_empty() {
        path.push(b'/');
    }
}

impl Paths {
    /// Resolves the path of a file from the walk from the file itself, in the form that `/proc` shows. See
    /// [`Paths::file_path`]. The path of a file that is deleted, or in no directory, ends with [`DELETED`].
    pub fn resolve_file(&mut self, file: Option<Directory<'_>>, is_deleted: bool) {
        self.clear();
        let Some(file) = file else { return };
        if file.status == WalkStatus::Pseudo {
            self.kind = PathKind::Dirfd;
            self.path.extend([b"/", file.names, DELETED].concat());
            return;
        }
        // The path begins at a detached mount's root, because nothing is above it.
        let status = if file.status == WalkStatus::Detached { WalkStatus::Whole } else { file.status };
        let file = Directory { status, ..file };
        self.resolve(None, Some(file), None, false);
        // A deleted executable still has its name. Only a missing beginning makes the path useless.
        self.nameless = file.is_cut() && self.kind == PathKind::Partial;
        if is_deleted {
            let is_own = self.kind != PathKind::Unknown;
            if is_own { &mut self.path } else { &mut self.host_path }.extend_from_slice(DELETED);
        }
    }

    /// Resolves a directory's path from the root of its mount namespace: see [`Paths::host_path`]. There is none of a
    /// directory that is deleted, or whose walk did not reach that root.
    pub fn resolve_directory(&mut self, directory: Option<Directory<'_>>) {
        self.clear();
        if let Some(directory) = directory.filter(|directory| directory.status == WalkStatus::Whole) {
            push_upwards(&mut self.host_path, directory.names);
            or_root(&mut self.host_path);
            self.differs = true;
        }
    }

    /// Clears the results.
    pub fn clear(&mut self) {
        self.path.clear();
        self.host_path.clear();
        self.kind = PathKind::Unknown;
        self.differs = false;
        self.nameless = false;
        self.known = Known::Whole;
    }

    /// Resolves the paths of one name. `name` is `None` for calls that only have a descriptor. `root` is the process's
    /// own root, if the directory is not below it.
    pub fn resolve(
        &mut self,
        name: Option<Name<'_>>,
        directory: Option<Directory<'_>>,
        root: Option<Directory<'_>>,
        is_cwd: bool,
    ) {
        self.clear();
        if let Some(name) = name {
            self.known = match name {
                Name { status: NameStatus::Fault, .. } => Known::InPart,
                // Every call fails with ENOENT for the empty name.
                Name { bytes: [], .. } => Known::Nowhere,
                _ => Known::Whole,
            };
            if self.known != Known::Whole {
                return;
            }
        }
        let bytes = name.map_or(b"".as_slice(), |name| name.bytes);
        match directory {
            _ if bytes.first() == Some(&b'/') => self.resolve_absolute(bytes, directory, root),
            None => self.known = Known::InPart,
            Some(directory) if directory.status == WalkStatus::Internal => self.known = Known::Nowhere,
            Some(directory) => {
                self.resolve_relative(bytes, directory, root, is_cwd);
                if name.is_none() && directory.status == WalkStatus::Deleted && directory.is_unnamed() {
                    self.known = Known::Nowhere;
                }
            }
        }
        if self.kind != PathKind::Unknown && name.is_some_and(|name| name.status == NameStatus::Truncated) {
            self.kind = PathKind::Partial;
            self.known = Known::InPart;
        }
    }

    /// Resolves an absolute name. `directory` is the process's root. For a name that could only be read at the exit, it
    /// is the directory that a relative name would have had, and only its part above the root is used.
    fn resolve_absolute(&mut self, bytes: &[u8], directory: Option<Directory<'_>>, root: Option<Directory<'_>>) {
        self.kind = PathKind::Absolute;
        push_lexically(&mut self.path, bytes, 0);
        match root.or(directory).filter(|known| !known.is_cut()).map(|known| known.split()) {
            Some((Some(_), above)) => self.set_host_path(above),
            // The position of that root is unknown.
            _ => self.known = Known::InPart,
        }
        or_root(&mut self.path);
    }

    fn resolve_relative(&mut self, bytes: &[u8], directory: Directory<'_>, root: Option<Directory<'_>>, is_cwd: bool) {
        let (below, above) = directory.split();
        let Some(below) = below else {
            push_upwards(&mut self.host_path, above);
            if directory.is_cut() {
                push_lexically(&mut self.host_path, bytes, 0);
                self.known = Known::InPart;
                self.path.extend_from_slice(self.host_path.strip_prefix(b"/").unwrap_or_default());
                self.host_path.clear();
                // `..` may lead up to unknown directories.
                self.kind = if self.path.is_empty() { PathKind::Unknown } else { PathKind::Partial };
            } else {
                self.resolve_outside(bytes, root);
            }
            return;
        };
        self.push_below(below);
        push_lexically(&mut self.path, bytes, 0);
        self.kind = match directory.status {
            WalkStatus::Deleted => PathKind::Partial,
            _ if is_cwd => PathKind::Cwd,
            _ => PathKind::Dirfd,
        };
        if directory.is_cut() {
            // The directory is below the process's own root, whose position is unknown.
            self.known = Known::InPart;
        } else {
            self.set_host_path(above);
        }
        or_root(&mut self.path);
    }

    /// Resolves a name of a process that works outside its root and has no path of its own for that directory. `..`
    /// leads up to the root of the namespace, but where a name leads down to the process's root, `..` stays there.
    fn resolve_outside(&mut self, bytes: &[u8], root: Option<Directory<'_>>) {
        let is_known = root.is_some_and(|root| root.status != WalkStatus::Partial);
        let is_in_tree = |root: &Directory<'_>| matches!(root.status, WalkStatus::Whole | WalkStatus::Deleted);
        let root_path = root.filter(is_in_tree).map(|root| {
            let mut path = Vec::new();
            push_upwards(&mut path, root.names);
            path
        });
        for part in bytes.split(|byte| *byte == b'/') {
            if part != b".." {
                push_lexically(&mut self.host_path, part, 0);
            } else if !is_known {
                self.host_path.clear();
                self.known = Known::InPart;
                return;
            } else if root_path.as_ref() != Some(&self.host_path) {
                push_lexically(&mut self.host_path, part, 0);
            }
        }
        or_root(&mut self.host_path);
        self.differs = true;
    }

    fn push_below(&mut self, below: &[u8]) {
        if below.is_empty() {
            return;
        }
        if self.below != below {
            self.below.clear();
            self.below.extend_from_slice(below);
            self.below_path.clear();
            push_upwards(&mut self.below_path, below);
        }
        self.path.extend_from_slice(&self.below_path);
    }

    /// Sets the host path to the position of the process's root, followed by the path.
    fn set_host_path(&mut self, root: &[u8]) {
        if !root.is_empty() {
            push_upwards(&mut self.host_path, root);
            self.host_path.extend_from_slice(&self.path);
            or_root(&mut self.host_path);
            self.differs = true;
        }
    }

    /// The absolute path, as the process sees it.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        (self.kind != PathKind::Unknown).then_some(&self.path)
    }

    /// The path from the root of the process's mount namespace, if it differs from [`Paths::path`].
    #[must_use]
    pub fn host_path(&self) -> Option<&[u8]> {
        self.differs.then_some(&self.host_path)
    }

    /// The path of a file as its process sees it, or else from the root of the namespace.
    #[must_use]
    pub fn file_path(&self) -> Option<&[u8]> {
        self.path().or(self.host_path()).filter(|_| !self.nameless)
    }

    /// Notes that the kernel resolves a relative name later than its directory was recorded.
    pub fn doubt(&mut self) {
        if matches!(self.kind, PathKind::Cwd | PathKind::Dirfd) {
            self.kind = PathKind::Partial;
            self.known = Known::InPart;
        }
    }

    /// Whether the path, its beginning or its end is unknown, so that it could be any path.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.known == Known::InPart
    }

    /// Whether the name surely leads to no file that has a path, whatever its bytes are.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.known == Known::Nowhere
    }

    /// How the path was found.
    #[must_use]
    pub fn kind(&self) -> PathKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(name: &str, names: &[u8], root_bytes: Option<u32>, status: WalkStatus) -> (String, String, PathKind) {
        let mut paths = Paths::default();
        let name = Name { status: NameStatus::Ok, bytes: name.as_bytes() };
        let root = Directory { status: WalkStatus::Whole, root_bytes: Some(0), names: b"jail\0srv\0" };
        let root = root_bytes.is_none().then_some(root).filter(|_| status != WalkStatus::Partial);
        paths.resolve(Some(name), Some(Directory { status, root_bytes, names }), root, true);
        let text = |path: Option<&[u8]>| path.map_or("None".into(), |path| String::from_utf8_lossy(path).into_owned());
        (text(paths.path()), text(paths.host_path()), paths.kind())
    }

    fn below(name: &str, names: &[u8]) -> (String, PathKind) {
        let (path, host_path, kind) = resolved(name, names, Some(names.len() as u32), WalkStatus::Whole);
        assert_eq!(host_path, "None");
        (path, kind)
    }

    #[test]
    fn relative_names() {
        assert_eq!(below("file", b"b\0a\0"), ("/a/b/file".into(), PathKind::Cwd));
        assert_eq!(below("../x//./y/", b"b\0a\0"), ("/a/x/y".into(), PathKind::Cwd));
        assert_eq!(below("../../../../x", b"b\0a\0"), ("/x".into(), PathKind::Cwd));
        assert_eq!(below("..", b"a\0"), ("/".into(), PathKind::Cwd));
        assert_eq!(below("x", b""), ("/x".into(), PathKind::Cwd));
        assert_eq!(below("...", b""), ("/...".into(), PathKind::Cwd));
    }

    #[test]
    fn absolute_names() {
        assert_eq!(below("/a/../b", b""), ("/b".into(), PathKind::Absolute));
        assert_eq!(below("//", b""), ("/".into(), PathKind::Absolute));
    }

    #[test]
    fn in_another_root() {
        let late = resolved("/x", b"in\0jail\0srv\0", Some(3), WalkStatus::Whole);
        assert_eq!(late, ("/x".into(), "/srv/jail/x".into(), PathKind::Absolute));
        let at = |name, names, root| resolved(name, names, Some(root), WalkStatus::Whole);
        assert_eq!(at("/x", b"jail\0srv\0", 0), ("/x".into(), "/srv/jail/x".into(), PathKind::Absolute));
        assert_eq!(at("x", b"in\0jail\0srv\0", 3), ("/in/x".into(), "/srv/jail/in/x".into(), PathKind::Cwd));
        assert_eq!(at("../../x", b"in\0jail\0srv\0", 3), ("/x".into(), "/srv/jail/x".into(), PathKind::Cwd));
        let outside = resolved("x", b"out\0", None, WalkStatus::Whole);
        assert_eq!(outside, ("None".into(), "/out/x".into(), PathKind::Unknown));
        let above = resolved("../x", b"out\0", None, WalkStatus::Whole);
        assert_eq!(above, ("None".into(), "/x".into(), PathKind::Unknown));
    }

    #[test]
    fn partial_paths_are_marked() {
        let tail = resolved("x", b"c\0b\0", None, WalkStatus::Partial);
        assert_eq!(tail, ("b/c/x".into(), "None".into(), PathKind::Partial));
        let higher = resolved("../x", b"c\0b\0", None, WalkStatus::Partial);
        assert_eq!(higher, ("b/x".into(), "None".into(), PathKind::Partial));
        let unknown = resolved("..", b"c\0", None, WalkStatus::Partial);
        assert_eq!(unknown, ("None".into(), "None".into(), PathKind::Unknown));
        let met_root = resolved("x", b"c\0b\0z\0", Some(4), WalkStatus::Partial);
        assert_eq!(met_root, ("/b/c/x".into(), "None".into(), PathKind::Cwd));
        let deleted = resolved("x", b"gone\0", Some(5), WalkStatus::Deleted);
        assert_eq!((deleted.0.as_str(), deleted.2), ("/gone/x", PathKind::Partial));
    }

    #[test]
    fn files_as_proc_shows_them() {
        let file = |names, root_bytes, status, is_deleted| {
            let mut paths = Paths::default();
            paths.resolve_file(Some(Directory { status, root_bytes, names }), is_deleted);
            paths.file_path().map(|path| String::from_utf8_lossy(path).into_owned())
        };
        let whole = |names: &'static [u8], is_deleted| {
            let status = if is_deleted { WalkStatus::Deleted } else { WalkStatus::Whole };
            file(names, Some(names.len() as u32), status, is_deleted)
        };
        assert_eq!(whole(b"sh\0bin\0", false).as_deref(), Some("/bin/sh"));
        assert_eq!(whole(b"sh\0bin\0", true).as_deref(), Some("/bin/sh (deleted)"));
        assert_eq!(whole(b"x (deleted)\0tmp\0", false).as_deref(), Some("/tmp/x (deleted)"));
        assert_eq!(whole(b"x (deleted)\0tmp\0", true).as_deref(), Some("/tmp/x (deleted) (deleted)"));
        let outside = |is_deleted, status| file(b"sh\0bin\0", None, status, is_deleted);
        assert_eq!(outside(false, WalkStatus::Whole).as_deref(), Some("/bin/sh"));
        assert_eq!(outside(true, WalkStatus::Deleted).as_deref(), Some("/bin/sh (deleted)"));
        assert_eq!(outside(false, WalkStatus::Partial), None);
        assert_eq!(outside(true, WalkStatus::Partial), None);
        assert_eq!(outside(false, WalkStatus::Detached).as_deref(), Some("/bin/sh"));
        assert_eq!(outside(true, WalkStatus::Detached).as_deref(), Some("/bin/sh (deleted)"));
        assert_eq!(outside(false, WalkStatus::Internal), None);
        // The process's root was met, and the way from there to the host's is too long.
        let deep = |is_deleted| file(b"sh\0bin\0srv\0", Some(7), WalkStatus::Partial, is_deleted);
        assert_eq!(deep(false).as_deref(), Some("/bin/sh"));
        assert_eq!(deep(true).as_deref(), Some("/bin/sh (deleted)"));
        let pseudo = |name| file(name, None, WalkStatus::Pseudo, false);
        assert_eq!(pseudo(b"memfd:hidden").as_deref(), Some("/memfd:hidden (deleted)"));
        assert_eq!(pseudo(b"memfd:a/../b//").as_deref(), Some("/memfd:a/../b// (deleted)"));
        assert_eq!(pseudo(b"memfd:").as_deref(), Some("/memfd: (deleted)"));
        let mut paths = Paths::default();
        paths.resolve_file(None, false);
        assert_eq!(paths.file_path(), None);
    }

    #[test]
    fn a_directory_from_the_root_of_the_namespace() {
        let mut paths = Paths::default();
        let mut of = |status, root_bytes, names: &'static [u8]| {
            paths.resolve_directory(Some(Directory { status, root_bytes, names }));
            assert_eq!((paths.path(), paths.kind()), (None, PathKind::Unknown));
            paths.host_path().map(|path| String::from_utf8_lossy(path).into_owned())
        };
        assert_eq!(of(WalkStatus::Whole, Some(3), b"in\0jail\0srv\0").as_deref(), Some("/srv/jail/in"));
        assert_eq!(of(WalkStatus::Whole, None, b"out\0").as_deref(), Some("/out"));
        assert_eq!(of(WalkStatus::Whole, Some(0), b"").as_deref(), Some("/"));
        for status in [WalkStatus::Deleted, WalkStatus::Partial, WalkStatus::Detached, WalkStatus::None] {
            assert_eq!(of(status, Some(2), b"a\0b\0"), None, "{status:?}");
        }
        paths.resolve_directory(None);
        assert_eq!(paths.host_path(), None);
    }

    #[test]
    fn a_name_that_leads_nowhere_has_no_path() {
        let mut paths = Paths::default();
        let whole = Directory { status: WalkStatus::Whole, root_bytes: Some(0), names: b"" };
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: b"" }), Some(whole), None, true);
        assert_eq!((paths.path(), paths.kind()), (None, PathKind::Unknown));
        paths.resolve(Some(Name { status: NameStatus::Fault, bytes: b"" }), Some(whole), None, true);
        assert_eq!(paths.path(), None);
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: b"x" }), None, None, false);
        assert_eq!(paths.path(), None);
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: b"/x/../y" }), None, None, false);
        assert_eq!((paths.path(), paths.kind()), (Some(b"/y".as_slice()), PathKind::Absolute));
        let file = |status, names| Some(Directory { status, root_bytes: Some(2), names });
        paths.resolve(None, file(WalkStatus::Whole, b"f\0"), None, false);
        assert_eq!((paths.path(), paths.kind()), (Some(b"/f".as_slice()), PathKind::Dirfd));
    }

    #[test]
    fn an_unknown_path_could_be_any_and_a_name_that_leads_nowhere_is_none() {
        let mut paths = Paths::default();
        let [whole, deleted, detached, internal] =
            [WalkStatus::Whole, WalkStatus::Deleted, WalkStatus::Detached, WalkStatus::Internal]
                .map(|status| move |names| Some(Directory { status, root_bytes: None, names }));
        let root = Some(Directory { status: WalkStatus::Whole, root_bytes: Some(0), names: b"" });
        let mut told = |name: Option<&str>, status, directory, root| {
            let name = name.map(|name| Name { status, bytes: name.as_bytes() });
            paths.resolve(name, directory, root, false);
            let path = paths.path().map(|path| String::from_utf8_lossy(path).into_owned());
            (path, paths.host_path().is_some(), paths.is_cut(), paths.is_nowhere())
        };
        let ok = NameStatus::Ok;
        assert_eq!(told(Some("x"), ok, detached(b"d\0".as_slice()), root), (Some("d/x".into()), false, true, false));
        assert_eq!(told(Some("/x"), ok, detached(b"".as_slice()), None), (Some("/x".into()), false, true, false));
        assert_eq!(told(Some("x"), ok, None, root), (None, false, true, false));
        assert_eq!(told(Some(""), NameStatus::Fault, whole(b"d\0".as_slice()), root), (None, false, true, false));
        assert_eq!(told(Some(""), ok, whole(b"d\0".as_slice()), root), (None, false, false, true));
        assert_eq!(told(None, ok, internal(b"".as_slice()), root), (None, false, false, true));
        assert_eq!(told(None, ok, deleted(b"#123\0tmp\0".as_slice()), root), (None, true, false, true));
        assert_eq!(told(None, ok, deleted(b"#12a\0tmp\0".as_slice()), root), (None, true, false, false));
    }

    #[test]
    fn outside_its_root_a_process_goes_up_but_not_out_of_its_root() {
        let outside = |name, names| resolved(name, names, None, WalkStatus::Whole).1;
        assert_eq!(outside("../x", b"out\0srv\0"), "/srv/x");
        assert_eq!(outside("../jail/../../x", b"out\0srv\0"), "/srv/jail/x");
        assert_eq!(outside("jail/a/../../../x", b"srv\0"), "/srv/jail/x");
        assert_eq!(outside("jailhouse/../x", b"srv\0"), "/srv/x");
        assert_eq!(outside("../../../x", b"srv\0"), "/x");
        let mut paths = Paths::default();
        let directory = Some(Directory { status: WalkStatus::Whole, root_bytes: None, names: b"srv\0" });
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: b"jail/../x" }), directory, None, true);
        assert_eq!((paths.path(), paths.host_path(), paths.is_cut()), (None, None, true));
    }
}
