//! The paths and places of the files that the kernel worked on, through all symbolic links and mounts.
//!
//! What the kernel saw comes first: the name that it found, the file that it opened, or the directory of a name of one
//! component. For other names the directory is looked up.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::event::Event;
use crate::event::directory_lookup::{DirectoryLookup, Sought};
use crate::event::real_name::{RealName, State};
use crate::mounts::host_mounts::HostMounts;
use crate::mounts::snapshots::Snapshots;
use crate::mounts::table::push_upwards;
use crate::record::Exit;
use crate::record::segments::{self, Directory, Name, NameStatus, WalkStatus};

/// Finds real paths. It keeps its buffers, and look-ups for a short time.
#[derive(Debug, Default)]
pub struct RealPaths {
    name: RealName,
    new_name: RealName,
    lookup: DirectoryLookup,
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
        self.lookup.snapshots = snapshots;
    }

    /// Reads this process's own mounts, if they may have changed until an event at `ts_ns`. Returns true if they have.
    pub fn refresh(&mut self, ts_ns: u64) -> bool {
        self.lookup.refresh(ts_ns)
    }

    /// The mounts of other namespaces.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.lookup.snapshots
    }

    /// This process's own mounts.
    #[must_use]
    pub fn own(&self) -> &HostMounts {
        self.lookup.own()
    }

    /// The host's root.
    pub fn host_root(&mut self) -> Option<Arc<OwnedFd>> {
        self.lookup.host_root()
    }

    /// Finds both names of an event.
    pub fn resolve(&mut self, event: &Event<'_>) {
        self.refresh(event.enter.record.ts_ns);
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
            follows: event.follows(),
        };
        find(&mut self.lookup, &mut self.name, event, &passed);
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
            find(&mut self.lookup, &mut self.new_name, event, &passed);
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

/// Finds one name.
fn find(lookup: &mut DirectoryLookup, out: &mut RealName, event: &Event<'_>, passed: &Passed<'_>) {
    out.clear();
    let file =
        passed.real.or_else(|| passed.directory.map(|file| (file, passed.place)).filter(|_| passed.name.is_none()));
    if let Some((file, place)) = file {
        return take_file(lookup, out, event, file, place);
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
                take_file(lookup, out, event, directory, Some(place));
                out.push(name.bytes);
                return;
            }
            (Some(directory), _) if directory.status == WalkStatus::Internal => {
                out.state = State::Nowhere;
                return;
            }
            _ => {}
        }
    }
    let sought = Sought { name, directory: passed.directory, follows: passed.follows };
    lookup.look_up_name(out, event, &sought);
}

/// Takes the path of a walk that began at the file itself.
fn take_file(
    lookup: &DirectoryLookup,
    out: &mut RealName,
    event: &Event<'_>,
    file: Directory<'_>,
    place: Option<segments::Place<'_>>,
) {
    match (file.status, place) {
        (WalkStatus::Whole, Some(place)) => {
            out.place.set(&place);
            out.state = State::Kernel;
            let mnt_ns = event.enter.record.mnt_ns;
            let is_host = lookup.snapshots.is_host(mnt_ns);
            // What the kernel does by itself need not go through any mount.
            if (is_host || mnt_ns == lookup.snapshots.own_ns()) && !event.is_by_kernel() {
                push_upwards(&mut out.path, file.names);
                out.has_path = is_host || lookup.own().strip_root(&mut out.path);
            }
            if !out.has_path {
                out.take_path_of_place(lookup.own());
            }
        }
        (WalkStatus::Internal | WalkStatus::Deleted, _) => out.state = State::Nowhere,
        _ => {}
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
    }
}
