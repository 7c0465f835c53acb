//! Look-ups of directories in user space, in the kernel's cache of names alone (see [`cached_path`]).
//!
//! A process's name is looked up from its own root, in its own mount namespace, as far as that can be reached.

mod found;
mod last;

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::event::Event;
use crate::event::directory_lookup::found::Found;
use crate::event::directory_lookup::last::{Last, Served};
use crate::event::real_name::RealName;
use crate::memory::probe_step;
use crate::mounts::host_mounts::HostMounts;
use crate::mounts::own_mounts::OwnMounts;
use crate::mounts::snapshots::Snapshots;
use crate::mounts::table::push_upwards;
use crate::path::resolve::Paths;
use crate::record::segments::{Directory, Name, WalkStatus};
use crate::sys::cached_path::{self, Follow, NotFound, look_up, push_path_of};
use crate::sys::clock::since_boot_ns;

/// The most look-ups that are kept.
const LOOK_UPS: usize = 1024;

/// A name whose directory is looked up.
pub(super) struct Sought<'a> {
    /// The name as it was passed. It is not empty.
    pub(super) name: Name<'a>,
    /// The walk from the working directory, or from the descriptor's.
    pub(super) directory: Option<Directory<'a>>,
    /// Whether the call follows a symbolic link at the end.
    pub(super) follows: bool,
}

/// What was found, and which events that serves.
type Answer = (Arc<Found>, Served);

#[derive(Debug)]
struct Kept {
    found: Option<Arc<Found>>,
    served: Served,
}

/// Looks up directories, and keeps what it finds for a short time.
#[derive(Debug, Default)]
pub(super) struct DirectoryLookup {
    pub(super) snapshots: Arc<Snapshots>,
    own_mounts: OwnMounts,
    root: Option<Arc<OwnedFd>>,
    host_root: Option<Arc<OwnedFd>>,
    kept: FxHashMap<Box<[u8]>, Kept>,
    key: Vec<u8>,
    /// Memory for the paths of one look-up.
    chroot: Vec<u8>,
    target: Vec<u8>,
    last: Last,
    outside: Paths,
}

/// Returns the components of a name, without empty ones and `.`.
fn parts(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

impl DirectoryLookup {
    /// This process's own root.
    fn root(&mut self) -> Option<Arc<OwnedFd>> {
        if self.root.is_none() {
            self.root = cached_path::open_root().ok().map(Arc::new);
        }
        self.root.clone()
    }

    /// The host's root. `None` while something else is mounted there.
    pub(super) fn host_root(&mut self) -> Option<Arc<OwnedFd>> {
        if self.host_root.is_none() {
            let root = self.root()?;
            self.host_root = self.snapshots.host_root().look_up(&root).ok();
        }
        self.host_root.clone()
    }

    /// This process's own mounts.
    pub(super) fn own(&self) -> &HostMounts {
        self.own_mounts.mounts()
    }

    /// Reads this process's own mounts, if they may have changed until an event. Returns true if they have.
    pub(super) fn refresh(&mut self, ts_ns: u64) -> bool {
        if !self.own_mounts.is_due(&self.snapshots, ts_ns) {
            return false;
        }
        let root = if self.snapshots.host_root().is_own() { None } else { self.root() };
        if !self.own_mounts.refresh(&self.snapshots, root.as_ref(), ts_ns) {
            return false;
        }
        self.host_root = None;
        self.kept.clear();
        self.last.is_set = false;
        true
    }

    /// Looks up a name. Most have the directory of the name before.
    pub(super) fn look_up_name(&mut self, out: &mut RealName, event: &Event<'_>, sought: &Sought<'_>) {
        let name = sought.name.bytes;
        let (prefix, entry) = name.split_at(name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1));
        let is_plain = !sought.follows && !matches!(entry, b"" | b"." | b"..");
        let root = event.enter.segments.root();
        if is_plain && self.last.is_of(event, prefix, sought.directory, root) {
            if let Some(found) = &self.last.found {
                found.give(out, self.own_mounts.mounts(), Some(entry));
            }
            return;
        }
        let (answer, entry) = self.look_up_directory(event, sought).unzip();
        let (found, served) = answer.unzip();
        if let Some(found) = &found {
            found.give(out, self.own_mounts.mounts(), entry.flatten());
        }
        if is_plain {
            let served = served.unwrap_or_else(|| Served::near(event.enter.record.ts_ns));
            self.last.set(event, served, prefix, sought.directory, root, found);
        }
    }

    /// Looks up the directory of a name. Returns it with the name's last component, or without if the name is that of
    /// the directory, or of a file whose link is followed.
    fn look_up_directory<'n>(&mut self, event: &Event<'_>, sought: &Sought<'n>) -> Option<(Answer, Option<&'n [u8]>)> {
        let (mut root, mut target) = (mem::take(&mut self.chroot), mem::take(&mut self.target));
        root.clear();
        target.clear();
        let found = self.look_up_directory_in(event, sought, &mut root, &mut target);
        (self.chroot, self.target) = (root, target);
        found
    }

    fn look_up_directory_in<'n>(
        &mut self,
        event: &Event<'_>,
        sought: &Sought<'n>,
        root: &mut Vec<u8>,
        target: &mut Vec<u8>,
    ) -> Option<(Answer, Option<&'n [u8]>)> {
        let name = sought.name.bytes;
        let is_known = |walk: &Directory<'_>| !walk.is_cut() && walk.status != WalkStatus::Internal;
        let (below, above) = event.enter.segments.root().or(sought.directory).filter(is_known)?.split();
        below?;
        push_upwards(root, above);
        let outside;
        let mut spelled = name;
        if name[0] != b'/' {
            if let (Some(below), _) = sought.directory.filter(is_known)?.split() {
                push_upwards(target, below);
            } else {
                // The process works outside of its root, and no call that looks a path up can. Where `..` leads is
                // known without one.
                self.outside.resolve(Some(sought.name), sought.directory, event.enter.segments.root(), false);
                root.clear();
                outside = self.outside.host_path()?.to_vec();
                spelled = &outside;
            }
        }
        // A name that ends with `.` or `..` is that of the directory it leads to.
        let last = parts(name).next_back();
        let is_whole = sought.follows || matches!(last, None | Some(b"..")) || name.ends_with(b"/.") || name == b".";
        let entry = last.filter(|_| !is_whole);
        let count = parts(spelled).count() - usize::from(entry.is_some());
        for part in parts(spelled).take(count) {
            target.push(b'/');
            target.extend_from_slice(part);
        }
        let request = Request {
            tid: event.enter.record.tid,
            mnt_ns: event.enter.record.mnt_ns,
            root,
            target,
            is_directory: !sought.follows,
        };
        Some((self.look_up_kept(&request, event.enter.record.ts_ns)?, entry))
    }

    /// Returns what is found for an event of this time, and which others that serves.
    fn look_up_kept(&mut self, request: &Request<'_>, ts_ns: u64) -> Option<Answer> {
        let mut key = mem::take(&mut self.key);
        key.clear();
        key.extend(request.mnt_ns.to_ne_bytes());
        key.push(request.is_directory.into());
        key.extend_from_slice(request.root);
        key.push(0);
        key.extend_from_slice(request.target);
        if !self.kept.get(&*key).is_some_and(|kept| kept.served.has(ts_ns)) {
            let (found, served) = self.look_up(request, ts_ns);
            if self.kept.len() >= LOOK_UPS {
                self.kept.clear();
            }
            // It stays, so its memory must not come from the reserve.
            if probe_step().is_err() {
                self.key = key;
                return None;
            }
            self.kept.insert(key.clone().into(), Kept { found: found.map(Arc::new), served });
        }
        self.key = key;
        let kept = self.kept.get(&*self.key)?;
        Some((Arc::clone(kept.found.as_ref()?), kept.served))
    }

    /// Looks up a target for an event. Returns what is found, and which events that serves.
    fn look_up(&mut self, request: &Request<'_>, ts_ns: u64) -> (Option<Found>, Served) {
        let at_ns = since_boot_ns();
        let is_here = request.mnt_ns == self.snapshots.own_ns();
        let found = if is_here {
            self.look_up_here(request)
        } else if self.snapshots.is_host(request.mnt_ns) {
            self.look_up_on_host(request)
        } else {
            None
        };
        if found.is_some() {
            return (found, Served::found(at_ns));
        }
        let found = if is_here { None } else { self.look_up_there(request) };
        // What is found there hangs on the thread: others that live may have a better answer.
        (found, Served::near(ts_ns))
    }

    /// Looks up a target in this process's own namespace.
    fn look_up_here(&mut self, request: &Request<'_>) -> Option<Found> {
        let mut path = find_in(self.root()?.as_fd(), request)?;
        let place = self.own().table().place_of(&path)?;
        let path = if self.own().strip_root(&mut path) { Some(path) } else { self.own().paths_of(&place).next() };
        Some(Found { place, path })
    }

    /// Looks up a target in the namespace of the host's first process, which outlives those that call.
    fn look_up_on_host(&self, request: &Request<'_>) -> Option<Found> {
        let table = self.snapshots.table(request.mnt_ns, request.tid)?;
        let root = cached_path::open_root_of(1, request.mnt_ns)?;
        let path = find_in(root.as_fd(), request)?;
        Some(Found { place: table.place_of(&path)?, path: Some(path) })
    }

    /// Looks up a target in another namespace: from the root of the thread, if it still lives, else by the namespace's
    /// mounts and this namespace's view of the same file systems.
    fn look_up_there(&mut self, request: &Request<'_>) -> Option<Found> {
        let table = self.snapshots.table(request.mnt_ns, request.tid)?;
        if let Some(path) = find_by_thread(request) {
            let place = table.place_of(&path)?;
            let path =
                if self.snapshots.is_host(request.mnt_ns) { Some(path) } else { self.own().paths_of(&place).next() };
            return Some(Found { place, path });
        }
        if parts(request.target).any(|part| part == b"..") {
            return None;
        }
        let path = [request.root, request.target].concat();
        let place = table.place_of(&path)?;
        // Where no mount here shows the file system, nobody knows what links the path has.
        let path = if self.snapshots.is_host(request.mnt_ns) { path } else { self.own().paths_of(&place).next()? };
        match look_up(self.host_root()?.as_fd(), &path, Follow::Nothing, false) {
            Ok(_) | Err(NotFound::Gone) => Some(Found { place, path: Some(path) }),
            // It runs through a link, which means another path there.
            Err(NotFound::Unknown | NotFound::NoDirectory) => None,
        }
    }
}

/// Returns the path of a target from the root of the thread that called. `None` if that has ended, or changed its root.
fn find_by_thread(request: &Request<'_>) -> Option<Vec<u8>> {
    let root = cached_path::open_root_of(request.tid, request.mnt_ns)?;
    let mut path = Vec::new();
    push_path_of(&root, &mut path).ok()?;
    if path == request.root { find_from(root.as_fd(), request) } else { None }
}

/// Returns the path of a target in the namespace that `root` is the root of.
fn find_in(root: BorrowedFd<'_>, request: &Request<'_>) -> Option<Vec<u8>> {
    match request.root {
        b"" => find_from(root, request),
        chroot => find_from(look_up(root, chroot, Follow::Nothing, true).ok()?.as_fd(), request),
    }
}

/// Returns the path of a target, from the root of the namespace that `root` is in. Directories can be gone when the
/// event is read. What is left of the path tells the rest, unless `..` is in that.
fn find_from(root: BorrowedFd<'_>, request: &Request<'_>) -> Option<Vec<u8>> {
    let mut left = request.target;
    let mut path = Vec::new();
    let mut is_directory = request.is_directory;
    loop {
        let found = look_up(root, left, Follow::All, is_directory).and_then(|fd| push_path_of(&fd, &mut path));
        match found {
            Ok(()) => break,
            // What is no directory now was one, or a link to one.
            Err(NotFound::Unknown | NotFound::NoDirectory) => return None,
            Err(NotFound::Gone) => {}
        }
        path.clear();
        is_directory = true;
        let end = left.iter().rposition(|byte| *byte == b'/')?;
        if &left[end..] == b"/.." {
            return None;
        }
        left = &left[..end];
    }
    path.extend_from_slice(&request.target[left.len()..]);
    Some(path)
}

/// What is to be looked up.
struct Request<'a> {
    tid: u32,
    mnt_ns: u32,
    /// The process's own root; "" for that of its namespace.
    root: &'a [u8],
    /// The path from there; "" for the root itself.
    target: &'a [u8],
    is_directory: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_without_empty_ones_and_dots() {
        assert_eq!(parts(b"//a/./b/../c/").collect::<Vec<_>>(), [b"a".as_slice(), b"b", b"..", b"c"]);
    }

    #[test]
    fn what_is_gone_is_told_by_what_is_left() {
        let root = cached_path::open_root().unwrap();
        let find = |target: &[u8]| {
            find_from(root.as_fd(), &Request { tid: 1, mnt_ns: 1, root: b"", target, is_directory: true })
        };
        // The kernel keeps in its cache that there is no such name.
        std::fs::metadata("/nonexistent-rawtp").unwrap_err();
        assert_eq!(find(b"/nonexistent-rawtp/a/b").as_deref(), Some(b"/nonexistent-rawtp/a/b".as_slice()));
        assert_eq!(find(b"/nonexistent-rawtp/a/../b"), None);
        assert_eq!(find(b"").as_deref(), Some(b"".as_slice()));
    }
}
