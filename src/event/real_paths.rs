//! The paths and places of the files that the kernel worked on, through all symbolic links and mounts.
//!
//! What the kernel saw comes first: the name that it found, the file that it opened, or the directory of a name of one
//! component. For other names the directory is looked up, in the kernel's cache alone (see [`cached_path`]).

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::event::Event;
use crate::memory::probe_step;
use crate::mounts::snapshots::Snapshots;
use crate::mounts::table::{MountTable, Place, push_upwards};
use crate::path::resolve::Paths;
use crate::record::Exit;
use crate::record::segments::{self, Directory, Name, NameStatus, WalkStatus};
use crate::skel::types::call_trait;
use crate::sys::cached_path::{self, Follow, NotFound, look_up, push_path_of};

/// How long a look-up serves other events, by their own times. Links and mounts can change without an event.
const LIFE_NS: u64 = 5_000_000;
/// The most look-ups that are kept.
const LOOK_UPS: usize = 1024;

/// What is known of one name of an event.
#[derive(Debug, Default)]
pub struct RealName {
    place: Place,
    path: Vec<u8>,
    has_path: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The name surely leads to no file that has a path.
    Nowhere,
    /// The kernel's own structures showed it.
    Kernel,
    /// It was looked up.
    LookUp,
}

impl RealName {
    fn clear(&mut self) {
        self.path.clear();
        self.has_path = false;
        self.state = State::Unknown;
    }

    /// Takes over a look-up, and the name in the directory that was found.
    fn take(&mut self, found: &Found, own: &MountTable, entry: Option<&[u8]>) {
        self.place.clone_from(&found.place);
        self.state = State::LookUp;
        if let Some(path) = &found.path {
            self.path.extend_from_slice(path);
            self.has_path = true;
        }
        let Some(entry) = entry else { return };
        push_name(self, entry);
        // A mount can show a file without showing its directory.
        if !self.has_path
            && let Some(path) = own.paths_of(&self.place).next()
        {
            self.path = path;
            self.has_path = true;
        }
    }

    /// The place of the file in its file system, if it is known.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        matches!(self.state, State::Kernel | State::LookUp).then_some(&self.place)
    }

    /// The path of the file on this host, if it is known and a mount shows the file.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.has_path.then_some(if self.path.is_empty() { b"/" } else { &self.path })
    }

    /// Whether the name surely leads to no file that has a path.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.state == State::Nowhere
    }

    /// The way in which the path was found: an event's `real_path_by`.
    #[must_use]
    pub fn by(&self) -> Option<&'static str> {
        match self.state {
            State::Kernel => self.path().and(Some("kernel")),
            State::LookUp => self.path().and(Some("lookup")),
            State::Unknown | State::Nowhere => None,
        }
    }
}

/// A directory, or a file whose link is followed, that was looked up.
#[derive(Debug, Clone)]
struct Found {
    place: Place,
    /// The path on this host.
    path: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Kept {
    found: Option<Found>,
    ts_ns: u64,
}

/// The look-up of the last name. It is known by what the record says, which costs less than to put a path together.
#[derive(Debug, Default)]
struct Last {
    is_set: bool,
    ts_ns: u64,
    mnt_ns: u32,
    prefix: Vec<u8>,
    directory: Walked,
    root: Walked,
    found: Option<Found>,
}

/// A copy of a walk.
#[derive(Debug, Default)]
struct Walked(Option<(WalkStatus, Option<u32>)>, Vec<u8>);

impl Walked {
    fn set(&mut self, walk: Option<Directory<'_>>) {
        self.0 = walk.map(|walk| (walk.status, walk.root_bytes));
        self.1.clear();
        self.1.extend_from_slice(walk.map_or(&[], |walk| walk.names));
    }

    fn is(&self, walk: Option<Directory<'_>>) -> bool {
        self.0 == walk.map(|walk| (walk.status, walk.root_bytes)) && self.1 == walk.map_or(&[][..], |walk| walk.names)
    }
}

impl Last {
    fn is_of(
        &self,
        event: &Event<'_>,
        prefix: &[u8],
        directory: Option<Directory<'_>>,
        root: Option<Directory<'_>>,
    ) -> bool {
        let record = event.enter.record;
        self.is_set
            && self.mnt_ns == record.mnt_ns
            && self.ts_ns.abs_diff(record.ts_ns) <= LIFE_NS
            && self.prefix == prefix
            && self.directory.is(directory)
            && self.root.is(root)
    }

    fn set(
        &mut self,
        event: &Event<'_>,
        ts_ns: u64,
        prefix: &[u8],
        directory: Option<Directory<'_>>,
        root: Option<Directory<'_>>,
        found: Option<Found>,
    ) {
        self.is_set = true;
        self.ts_ns = ts_ns;
        self.mnt_ns = event.enter.record.mnt_ns;
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.directory.set(directory);
        self.root.set(root);
        self.found = found;
    }
}

/// Finds real paths. It keeps its buffers, and look-ups for a short time.
#[derive(Debug, Default)]
pub struct RealPaths {
    name: RealName,
    new_name: RealName,
    looker: Looker,
}

/// Looks up directories.
#[derive(Debug, Default)]
struct Looker {
    snapshots: Arc<Snapshots>,
    own: MountTable,
    own_changes: Option<u64>,
    root: Option<Arc<OwnedFd>>,
    kept: FxHashMap<Box<[u8]>, Kept>,
    key: Vec<u8>,
    last: Last,
    outside: Paths,
}

/// Returns the components of a name, without empty ones and `.`.
fn parts(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// Whether the name is one of the directory itself, whatever links there are.
fn is_entry(name: &[u8]) -> bool {
    !name.contains(&b'/') && !matches!(name, b"" | b"." | b"..")
}

/// Whether the call failed before it reached a file.
#[must_use]
pub fn missed_its_file(event: &Event<'_>) -> bool {
    let errno = event.errno().map(i32::from);
    errno.is_some_and(|errno| {
        [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG, libc::EFAULT, libc::EBADF, libc::EINVAL]
            .contains(&errno)
    })
}

impl RealPaths {
    /// Takes the mounts of other namespaces from `snapshots`.
    pub fn learn_from(&mut self, snapshots: Arc<Snapshots>) {
        self.looker.snapshots = snapshots;
    }

    /// Reads this process's own mounts if they have changed. Returns true if it did.
    pub fn refresh(&mut self) -> bool {
        self.looker.refresh()
    }

    /// The mounts of other namespaces.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.looker.snapshots
    }

    /// This process's own mounts.
    #[must_use]
    pub fn own(&self) -> &MountTable {
        &self.looker.own
    }

    /// This process's own root.
    pub fn root(&mut self) -> Option<Arc<OwnedFd>> {
        self.looker.root()
    }

    /// Finds both names of an event.
    pub fn resolve(&mut self, event: &Event<'_>) {
        self.refresh();
        if event.has_pathless_name() {
            self.name.clear();
            self.new_name.clear();
            return;
        }
        let (enter, exit) = (&event.enter.segments, event.exit.map(Exit::segments));
        let opened =
            || exit.filter(|exit| exit.real().is_some()).or_else(|| Some(*enter).filter(|_| event.enter.is_at_exit()));
        let seen = event.truth.copied().or_else(opened);
        let passed = Passed {
            name: event.filename(),
            directory: enter.directory(),
            place: enter.directory_place(),
            real: seen.and_then(|seen| Some((seen.real()?, seen.real_place()))),
            follows: event.call().is_some_and(|call| u32::from(call.shape.traits) & call_trait::CALL_FOLLOWS.0 != 0),
        };
        self.looker.find(&mut self.name, event, &passed);
        self.new_name.clear();
        let new_real = event.truth.and_then(|truth| Some((truth.new_real()?, truth.new_real_place())));
        let new_filename = event.new_filename();
        if new_filename.is_some() || new_real.is_some() {
            let passed = Passed {
                name: new_filename,
                directory: enter.new_directory(),
                place: enter.new_directory_place(),
                real: new_real,
                follows: false,
            };
            self.looker.find(&mut self.new_name, event, &passed);
        }
    }

    /// The first name, wherever it leads. It may lead to no file.
    #[must_use]
    pub fn name(&self) -> &RealName {
        &self.name
    }

    /// The second name, of a rename.
    #[must_use]
    pub fn new_name(&self) -> &RealName {
        &self.new_name
    }

    /// The path of the file that the call reached.
    #[must_use]
    pub fn path(&self, event: &Event<'_>) -> Option<&[u8]> {
        self.name.path().filter(|_| !missed_its_file(event))
    }

    /// The new path of a renamed file.
    #[must_use]
    pub fn new_path(&self, event: &Event<'_>) -> Option<&[u8]> {
        self.new_name.path().filter(|_| !missed_its_file(event))
    }

    /// The way in which the paths were found. If one was looked up, neither is surer than that.
    #[must_use]
    pub fn by(&self, event: &Event<'_>) -> Option<&'static str> {
        let looked_up = self.new_name.by().filter(|by| *by == "lookup");
        looked_up.or(self.name.by()).filter(|_| !missed_its_file(event))
    }
}

/// One name of an event, as the records have it.
struct Passed<'a> {
    name: Option<Name<'a>>,
    directory: Option<Directory<'a>>,
    place: Option<segments::Place<'a>>,
    /// The walk from the file itself, where the kernel showed it.
    real: Option<(Directory<'a>, Option<segments::Place<'a>>)>,
    /// Whether the call follows a symbolic link at the end.
    follows: bool,
}

impl Looker {
    fn root(&mut self) -> Option<Arc<OwnedFd>> {
        if self.root.is_none() {
            self.root = cached_path::open_root().ok().map(Arc::new);
        }
        self.root.clone()
    }

    fn refresh(&mut self) -> bool {
        let changes = self.snapshots.own_changes();
        if self.own_changes == Some(changes) {
            return false;
        }
        self.own_changes = Some(changes);
        self.own = MountTable::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
        self.kept.clear();
        self.last.is_set = false;
        true
    }

    fn find(&mut self, out: &mut RealName, event: &Event<'_>, passed: &Passed<'_>) {
        out.clear();
        let file =
            passed.real.or_else(|| passed.directory.map(|file| (file, passed.place)).filter(|_| passed.name.is_none()));
        if let Some((file, place)) = file {
            return self.take_file(out, event, file, place);
        }
        let Some(name) = passed.name.filter(|name| name.status == NameStatus::Ok) else { return };
        if name.bytes.is_empty() {
            out.state = State::Nowhere;
            return;
        }
        let is_absolute = name.bytes[0] == b'/';
        // The kernel resolves the relative name of a request later.
        if event.is_request() && !is_absolute {
            return;
        }
        if is_entry(name.bytes) && !passed.follows {
            match (passed.directory, passed.place) {
                (Some(directory), Some(place)) if directory.status == WalkStatus::Whole => {
                    self.take_file(out, event, directory, Some(place));
                    push_name(out, name.bytes);
                    return;
                }
                (Some(directory), _) if directory.status == WalkStatus::Internal => {
                    out.state = State::Nowhere;
                    return;
                }
                _ => {}
            }
        }
        self.look_up_name(out, event, passed, name.bytes);
    }

    /// Takes the path of a walk that began at the file itself.
    fn take_file(
        &mut self,
        out: &mut RealName,
        event: &Event<'_>,
        file: Directory<'_>,
        place: Option<segments::Place<'_>>,
    ) {
        match (file.status, place) {
            (WalkStatus::Whole, Some(place)) => {
                out.place.set(&place);
                out.state = State::Kernel;
                // What the kernel does by itself need not go through any mount.
                if event.enter.record.mnt_ns == self.snapshots.own_ns() && !event.is_by_kernel() {
                    push_upwards(&mut out.path, file.names);
                    out.has_path = true;
                } else if let Some(path) = self.own.paths_of(&out.place).next() {
                    out.path = path;
                    out.has_path = true;
                }
            }
            (WalkStatus::Internal | WalkStatus::Deleted, _) => out.state = State::Nowhere,
            _ => {}
        }
    }

    /// Looks up a name. Most have the directory of the name before.
    fn look_up_name(&mut self, out: &mut RealName, event: &Event<'_>, passed: &Passed<'_>, name: &[u8]) {
        let (prefix, entry) = name.split_at(name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1));
        let is_plain = !passed.follows && !matches!(entry, b"" | b"." | b"..");
        let root = event.enter.segments.root();
        if is_plain && self.last.is_of(event, prefix, passed.directory, root) {
            if let Some(found) = &self.last.found {
                out.take(found, &self.own, Some(entry));
            }
            return;
        }
        let found = self.look_up_directory(event, passed, name);
        if let Some((found, _, entry)) = &found {
            out.take(found, &self.own, *entry);
        }
        if is_plain {
            let ts_ns = found.as_ref().map_or(event.enter.record.ts_ns, |(_, ts_ns, _)| *ts_ns);
            self.last.set(event, ts_ns, prefix, passed.directory, root, found.map(|(found, ..)| found));
        }
    }

    /// Looks up the directory of a name. Returns it with the name's last component, or without if the name is that of
    /// the directory, or of a file whose link is followed.
    fn look_up_directory<'n>(
        &mut self,
        event: &Event<'_>,
        passed: &Passed<'_>,
        name: &'n [u8],
    ) -> Option<(Found, u64, Option<&'n [u8]>)> {
        let is_known = |walk: &Directory<'_>| !walk.is_cut() && walk.status != WalkStatus::Internal;
        let (below, above) = event.enter.segments.root().or(passed.directory).filter(is_known)?.split();
        below?;
        let (mut root, mut target) = (Vec::new(), Vec::new());
        push_upwards(&mut root, above);
        let outside;
        let mut spelled = name;
        if name[0] != b'/' {
            if let (Some(below), _) = passed.directory.filter(is_known)?.split() {
                push_upwards(&mut target, below);
            } else {
                // The process works outside of its root, and no call that looks a path up can. Where `..` leads is
                // known without one.
                self.outside.resolve(passed.name, passed.directory, event.enter.segments.root(), false);
                root.clear();
                outside = self.outside.host_path()?.to_vec();
                spelled = &outside;
            }
        }
        // A name that ends with `.` or `..` is that of the directory it leads to.
        let last = parts(name).next_back();
        let is_whole = passed.follows || matches!(last, None | Some(b"..")) || name.ends_with(b"/.") || name == b".";
        let entry = last.filter(|_| !is_whole);
        let count = parts(spelled).count() - usize::from(entry.is_some());
        for part in parts(spelled).take(count) {
            target.push(b'/');
            target.extend_from_slice(part);
        }
        let request = Request {
            tid: event.enter.record.tid,
            mnt_ns: event.enter.record.mnt_ns,
            root: &root,
            target: &target,
            is_directory: !passed.follows,
        };
        let (found, ts_ns) = self.look_up_kept(&request, event.enter.record.ts_ns);
        Some((found?.clone(), ts_ns, entry))
    }

    /// Returns a look-up, and the time of the event for which it was made.
    fn look_up_kept(&mut self, request: &Request<'_>, ts_ns: u64) -> (Option<&Found>, u64) {
        let mut key = mem::take(&mut self.key);
        key.clear();
        key.extend(request.mnt_ns.to_ne_bytes());
        key.push(request.is_directory.into());
        key.extend_from_slice(request.root);
        key.push(0);
        key.extend_from_slice(request.target);
        let is_fresh = self.kept.get(&*key).is_some_and(|kept| kept.ts_ns.abs_diff(ts_ns) <= LIFE_NS);
        if !is_fresh {
            let found = self.look_up(request);
            if self.kept.len() >= LOOK_UPS {
                self.kept.clear();
            }
            // It stays, so its memory must not come from the reserve.
            if probe_step().is_err() {
                self.key = key;
                return (None, ts_ns);
            }
            self.kept.insert(key.clone().into(), Kept { found, ts_ns });
        }
        self.key = key;
        self.kept.get(&*self.key).map_or((None, ts_ns), |kept| (kept.found.as_ref(), kept.ts_ns))
    }

    fn look_up(&mut self, request: &Request<'_>) -> Option<Found> {
        if request.mnt_ns == self.snapshots.own_ns() { self.look_up_here(request) } else { self.look_up_there(request) }
    }

    /// Looks up a target in this process's own namespace.
    fn look_up_here(&mut self, request: &Request<'_>) -> Option<Found> {
        let own_root = self.root()?;
        let chroot = match request.root {
            b"" => None,
            root => Some(look_up(own_root.as_fd(), root, Follow::Nothing, true).ok()?),
        };
        let path = find_from(chroot.as_ref().unwrap_or(&own_root).as_fd(), request)?;
        Some(Found { place: self.own.place_of(&path)?, path: Some(path) })
    }

    /// Looks up a target in another namespace: from the root of the thread, if it still lives, else by the namespace's
    /// mounts and this namespace's view of the same file systems.
    fn look_up_there(&mut self, request: &Request<'_>) -> Option<Found> {
        let table = self.snapshots.table(request.mnt_ns)?;
        if let Some(path) =
            cached_path::open_root_of(request.tid, request.mnt_ns).and_then(|root| find_from(root.as_fd(), request))
        {
            let place = table.place_of(&path)?;
            let path = self.own.paths_of(&place).next();
            return Some(Found { place, path });
        }
        if parts(request.target).any(|part| part == b"..") {
            return None;
        }
        let place = table.place_of(&[request.root, request.target].concat())?;
        let path = self.own.paths_of(&place).next();
        if let Some(path) = &path {
            match look_up(self.root()?.as_fd(), path, Follow::Nothing, false) {
                Ok(_) | Err(NotFound::Gone) => {}
                // It runs through a link, which means another path there.
                Err(NotFound::Unknown) => return None,
            }
        }
        Some(Found { place, path })
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
            Err(NotFound::Unknown) => return None,
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

fn push_name(out: &mut RealName, name: &[u8]) {
    for path in [&mut out.place.path, &mut out.path] {
        path.push(b'/');
        path.extend_from_slice(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::segments::Segments;
    use crate::record::testing::{add_segment, placed};
    use crate::record::{Enter, enter_record, exit_record};
    use crate::skel::types::{name_status, segment_kind, walk_status};
    use crate::syscall::{by_name, numbers};

    /// What is found of a call with this name, in a directory with this content.
    fn found(
        call: &str,
        name: &[u8],
        directory: &[u8],
        status: walk_status,
        ret: i64,
    ) -> (String, String, Option<&'static str>) {
        let nr = numbers(by_name(call).unwrap())[0].unwrap();
        let mut run = Vec::new();
        add_segment(&mut run, segment_kind::SEGMENT_FILENAME.0, name_status::NAME_OK.0, name);
        add_segment(&mut run, segment_kind::SEGMENT_DIRECTORY.0, status.0, directory);
        let mut real_paths = RealPaths::default();
        let record = enter_record { nr, mnt_ns: 0, dfd: libc::AT_FDCWD, ..Default::default() };
        let exit = exit_record { ret, ..Default::default() };
        let event = Event {
            enter: &Enter { record: &record, segments: Segments::read(&run).unwrap() },
            exit: Some(&Exit::new(&exit)),
            offset_ns: 0,
            exec: None,
            lost_before: 0,
            truth: None,
        };
        real_paths.resolve(&event);
        let text =
            |bytes: Option<&[u8]>| bytes.map_or("None".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let place =
            real_paths.name().place().map(|place| format!("{}:{}", place.dev, String::from_utf8_lossy(&place.path)));
        (place.unwrap_or("None".into()), text(real_paths.path(&event)), real_paths.by(&event))
    }

    const WHOLE: walk_status = walk_status::WALK_WHOLE;

    #[test]
    fn one_component_is_where_the_kernel_walked() {
        let in_bind = placed(9, 2, b"b\0point\0", b"mounted\0srv\0");
        let unlink = |name, ret| found("unlinkat", name, &in_bind, WHOLE, ret);
        assert_eq!(unlink(b"x", 0), ("9:/srv/mounted/b/x".into(), "/point/b/x".into(), Some("kernel")));
        assert_eq!(unlink(b"...", 0).0, "9:/srv/mounted/b/...");
        // Nothing was there to be reached, and yet that is where it would have been.
        assert_eq!(unlink(b"x", -2), ("9:/srv/mounted/b/x".into(), "None".into(), None));
        assert_eq!(unlink(b"x", -13).2, Some("kernel"));
        let cut = found("unlinkat", b"x", &in_bind, walk_status::WALK_PARTIAL, 0);
        assert_eq!(cut.0, "None");
        let unknown = placed(0, 0, b"b\0", b"");
        assert_ne!(found("unlinkat", b"x", &unknown, WHOLE, 0).2, Some("kernel"), "an unknown file system");
    }

    #[test]
    fn a_link_at_the_end_may_be_followed() {
        let top = placed(9, 0, b"", b"");
        assert_eq!(found("unlinkat", b"x", &top, WHOLE, 0).2, Some("kernel"));
        assert_ne!(found("truncate", b"x", &top, WHOLE, 0).2, Some("kernel"));
    }

    #[test]
    fn names_that_are_no_entry_of_their_directory() {
        for name in [b"".as_slice(), b".", b"..", b"a/b", b"/x", b"x/"] {
            assert!(!is_entry(name), "{name:?}");
        }
        assert!([b"x".as_slice(), b"...", b".x", b"\xff"].iter().all(|name| is_entry(name)));
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
