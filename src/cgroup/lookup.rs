//! A cache from a cgroup's id to its workload. It asks the kernel for the path once per cgroup.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, mem};

use rustc_hash::FxHashMap;

use crate::cgroup::CACHE_ENTRIES;
use crate::cgroup::mounts::Hierarchy;
use crate::cgroup::path::{Workload, parse};
use crate::cgroup::reports::Report;
use crate::sys::fd::owned;

/// How long an id that was not found is not looked up again. The kernel does not reuse ids, but an invisible cgroup may
/// become visible, because a mount appears or descriptors are free again.
const NOT_FOUND: Duration = Duration::from_secs(1);

/// The bound of a walk through the mount, which replaces refused file handles. It limits the walk's time and memory.
const WALK_DIRECTORIES: usize = 16_384;

/// The type of a file handle whose 8 bytes are the id of a kernfs node. It comes from the kernel's `exportfs.h`, which
/// is not uapi.
const FILEID_KERNFS: i32 = 0xfe;

/// A cache of the workloads of one hierarchy's cgroups, by id.
///
/// A new id costs a few system calls; a known one, or one that the kernel has reported, costs a hash look-up. A cgroup
/// of version 2 cannot be renamed, and one of version 1 hardly ever is. Ids are not reused before the hierarchy is
/// unmounted. So an entry stays true even after the cgroup is gone.
#[derive(Debug)]
pub struct CgroupLookup {
    hierarchy: Hierarchy,
    // Two generations, each of half the bound. A used entry moves to the young generation. When that is full, it
    // replaces the old one. A strict order by use would need a list that changes on every hit.
    young: FxHashMap<u64, Entry>,
    old: FxHashMap<u64, Entry>,
    nothing: Arc<Workload>,
    mount: Option<Mount>,
    no_mount_before: Option<Instant>,
    handles_refused: bool,
    walked: FxHashMap<u64, PathBuf>,
    no_walk_before: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    workload: Arc<Workload>,
    /// The time until which an id counts as not found. `None` for an id that was found.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Mount {
    dir: File,
    point: PathBuf,
    /// The cgroup mounted there. It is not "/" for a part of the tree, as containers see it.
    root: OsString,
}

#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

impl CgroupLookup {
    /// Creates an empty cache. It makes no system call before the first [`workload`](Self::workload).
    #[must_use]
    pub fn new(hierarchy: Hierarchy) -> Self {
        Self {
            hierarchy,
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            nothing: Arc::default(),
            mount: None,
            no_mount_before: None,
            handles_refused: false,
            walked: FxHashMap::default(),
            no_walk_before: None,
        }
    }

    /// Returns the workload of a cgroup by its id in the hierarchy: the inode number of its directory.
    ///
    /// All fields are `None` for an id that is not found, for example because the cgroup was removed before the
    /// look-up. File handles need `CAP_DAC_READ_SEARCH`. Where the kernel refuses them, the tree is walked instead, for
    /// at most a tenth of the time.
    pub fn workload(&mut self, cgroup_id: u64) -> Arc<Workload> {
        if let Some(entry) = self.young.get(&cgroup_id)
            && entry.holds()
        {
            return Arc::clone(&entry.workload);
        }
        let entry = self.old.remove(&cgroup_id).filter(Entry::holds).unwrap_or_else(|| self.look_up(cgroup_id));
        let workload = Arc::clone(&entry.workload);
        self.keep(cgroup_id, entry);
        workload
    }

    /// Adds a cgroup that the kernel reported. A new cgroup replaces an older one with its id. Otherwise an existing
    /// entry stays.
    pub fn learn(&mut self, report: &Report) {
        let is_known =
            || [&self.young, &self.old].iter().any(|known| known.get(&report.id).is_some_and(Entry::is_found));
        if report.is_new || !is_known() {
            self.keep(report.id, Entry { workload: Arc::new(parse(&report.path)), until: None });
        }
    }

    fn keep(&mut self, id: u64, entry: Entry) {
        if self.young.len() >= CACHE_ENTRIES / 2 {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, entry);
    }

    fn look_up(&mut self, id: u64) -> Entry {
        match self.path(id) {
            Some(path) => Entry { workload: Arc::new(parse(&path)), until: None },
            None => Entry { workload: Arc::clone(&self.nothing), until: Some(Instant::now() + NOT_FOUND) },
        }
    }

    fn path(&mut self, id: u64) -> Option<Vec<u8>> {
        let directory = self.directory(id)?;
        self.mount.as_ref().map(|mount| mount.cgroup(&directory))
    }

    /// Returns the directory of a cgroup by its id; `None` for an id that is not found.
    pub fn directory(&mut self, id: u64) -> Option<PathBuf> {
        if self.mount.is_none() && is_due(self.no_mount_before) {
            self.mount = Mount::open(&self.hierarchy);
            self.no_mount_before = Some(Instant::now() + NOT_FOUND);
        }
        let mount = self.mount.as_ref()?;
        if !self.handles_refused {
            match mount.by_handle(id) {
                Ok(path) => return Some(path),
                Err(error) if is_refusal(&error) => self.handles_refused = true,
                Err(_) => return None,
            }
        }
        if !self.walked.contains_key(&id) && is_due(self.no_walk_before) {
            let start = Instant::now();
            self.walked = walk(&mount.point);
            self.no_walk_before = Some(Instant::now() + start.elapsed() * 9);
        }
        self.walked.get(&id).cloned()
    }
}

impl Entry {
    fn is_found(&self) -> bool {
        self.until.is_none()
    }

    fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl Mount {
    fn open(hierarchy: &Hierarchy) -> Option<Self> {
        let mountinfo = fs::read("/proc/self/mountinfo").ok()?;
        hierarchy.mounts(&mountinfo).into_iter().find_map(|(root, point)| {
            let dir = File::open(&point).ok()?;
            // Another file system may have been mounted over it since.
            hierarchy.has(&dir).then_some(Self { dir, point, root })
        })
    }

    fn by_handle(&self, id: u64) -> io::Result<PathBuf> {
        let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the handle has the layout of `struct file_handle` with 8 bytes, and outlives the call.
        let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, self.dir.as_raw_fd(), &raw mut handle, flags) };
        let fd = owned(fd)?;
        fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
    }

    /// Converts a path in the file system to the cgroup's path. A path that is not below the mount point is the
    /// cgroup's already: that of a cgroup outside the mounted part.
    fn cgroup(&self, path: &Path) -> Vec<u8> {
        let Ok(below) = path.strip_prefix(&self.point) else { return path.as_os_str().as_bytes().to_vec() };
        [self.root.as_bytes(), b"/", below.as_os_str().as_bytes()].concat()
    }
}

/// Returns every cgroup below a directory by its id. If there are more than [`WALK_DIRECTORIES`], the upper levels come
/// first.
fn walk(top: &Path) -> FxHashMap<u64, PathBuf> {
    let mut found = FxHashMap::default();
    let mut todo = VecDeque::from([top.to_owned()]);
    if let Ok(metadata) = fs::metadata(top) {
        found.insert(metadata.ino(), top.to_owned());
    }
    while let Some(dir) = todo.pop_front() {
        // Cgroups come and go meanwhile, so unreadable directories are skipped.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if found.len() >= WALK_DIRECTORIES {
                    return found;
                }
                found.insert(entry.ino(), entry.path());
                todo.push_back(entry.path());
            }
        }
    }
    found
}

/// Whether file handles will fail for every id, because of a missing capability or a seccomp filter.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EOPNOTSUPP))
}

fn is_due(not_before: Option<Instant>) -> bool {
    not_before.is_none_or(|instant| Instant::now() >= instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::mounts::CONTROLLERS;
    use std::time::{SystemTime, UNIX_EPOCH};

    const HIERARCHIES: [Hierarchy; 2] = [Hierarchy::V2, Hierarchy::V1(CONTROLLERS[1])];

    /// A new cgroup with a container's name. It is removed on drop.
    struct Container {
        dir: PathBuf,
        name: String,
        id: u64,
    }

    impl Container {
        /// Creates it. `None` where the hierarchy is not mounted or this process may not create cgroups in it; then there
        /// is nothing to test.
        fn create(hierarchy: &Hierarchy) -> Option<Self> {
            let mount = Mount::open(hierarchy)?;
            let nonce = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
            let name = format!("{:032x}{nonce:032x}", std::process::id());
            let dir = mount.point.join(format!("rawtp-{name}")).join(format!("docker-{name}.scope"));
            fs::create_dir(dir.parent()?).ok()?;
            let mut container = Self { dir, name, id: 0 };
            fs::create_dir(&container.dir).ok()?;
            container.id = fs::metadata(&container.dir).unwrap().ino();
            Some(container)
        }
    }

    impl Drop for Container {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.dir);
            let _ = self.dir.parent().map(fs::remove_dir);
        }
    }

    fn check(cgroups: &mut CgroupLookup) {
        let Some(container) = Container::create(&cgroups.hierarchy) else { return };
        let workload = cgroups.workload(container.id);
        assert_eq!(workload.container_id.as_deref(), Some(&*container.name));
        assert_eq!(workload.unit.as_deref(), container.dir.file_name().unwrap().to_str());
        assert_eq!(workload.pod_id, None);
        assert!(Arc::ptr_eq(&workload, &cgroups.workload(container.id)), "looked up twice");

        let id = container.id;
        drop(container);
        assert_eq!(cgroups.workload(id), workload, "forgotten with the cgroup");
        assert_eq!(
            *CgroupLookup::new(cgroups.hierarchy).workload(id),
            Workload::default(),
            "found after it was removed"
        );
    }

    #[test]
    fn a_live_cgroup_is_found_by_its_handle() {
        for hierarchy in HIERARCHIES {
            let mut cgroups = CgroupLookup::new(hierarchy);
            check(&mut cgroups);
            assert!(cgroups.handles_refused || cgroups.walked.is_empty());
        }
    }

    #[test]
    fn a_live_cgroup_is_found_by_a_walk() {
        for hierarchy in HIERARCHIES {
            let mut cgroups = CgroupLookup { handles_refused: true, ..CgroupLookup::new(hierarchy) };
            check(&mut cgroups);
            assert!(cgroups.mount.is_none() || cgroups.no_walk_before.is_some());
        }
    }

    #[test]
    fn a_failure_is_remembered_only_briefly() {
        let Some(container) = Container::create(&Hierarchy::V2) else { return };
        let mut cgroups = CgroupLookup::new(Hierarchy::V2);
        let mut workload = |is_old, until| {
            let failure = Entry { workload: Arc::default(), until: Some(until) };
            cgroups.young.clear();
            if is_old { &mut cgroups.old } else { &mut cgroups.young }.insert(container.id, failure);
            cgroups.workload(container.id)
        };
        for is_old in [false, true] {
            assert_eq!(workload(is_old, Instant::now() + Duration::from_secs(600)).container_id, None);
            assert_eq!(workload(is_old, Instant::now()).container_id.as_deref(), Some(&*container.name));
        }
    }

    fn report(id: u64, is_new: bool, path: &str) -> Report {
        Report { version: 2, id, is_new, path: path.as_bytes().into() }
    }

    /// A lookup that finds no mount.
    fn blind() -> CgroupLookup {
        let later = Instant::now() + Duration::from_secs(600);
        CgroupLookup { no_mount_before: Some(later), ..CgroupLookup::new(Hierarchy::V2) }
    }

    #[test]
    fn a_reported_cgroup_needs_no_look_up() {
        let mut cgroups = blind();
        let mut unit = |report: Option<Report>| {
            if let Some(report) = report {
                cgroups.learn(&report);
            }
            cgroups.workload(7).unit.clone().unwrap_or_default()
        };
        assert_eq!(unit(None), "");
        assert_eq!(unit(Some(report(7, false, "/a.service"))), "a.service", "a failure is forgotten");
        assert_eq!(unit(Some(report(7, false, "/b.service"))), "a.service", "what is known stays");
        assert_eq!(unit(Some(report(7, true, "/c.service"))), "c.service", "a new one has the id of an old one");
        assert_eq!(unit(Some(report(8, true, "/d.service"))), "c.service");
    }

    #[test]
    fn the_newest_entry_counts_in_either_generation() {
        let mut cgroups = blind();
        cgroups.learn(&report(7, true, "/a.service"));
        let fill = |cgroups: &mut CgroupLookup, from: u64| {
            (from..from + CACHE_ENTRIES as u64 / 2).for_each(|id| cgroups.learn(&report(id, true, "/x.service")));
        };
        fill(&mut cgroups, 1000);
        assert!(cgroups.old.contains_key(&7));
        cgroups.learn(&report(7, true, "/b.service"));
        assert_eq!(cgroups.workload(7).unit.as_deref(), Some("b.service"));
        fill(&mut cgroups, 100_000);
        fill(&mut cgroups, 200_000);
        assert_eq!(*cgroups.workload(7), Workload::default(), "forgotten, and not the older one");
        assert!(cgroups.young.len() + cgroups.old.len() <= CACHE_ENTRIES);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        // It has no mount and looks for none, so every id fails at no cost.
        let later = Instant::now() + Duration::from_secs(600);
        let mut cgroups = CgroupLookup { no_mount_before: Some(later), ..CgroupLookup::new(Hierarchy::V2) };
        let used = Arc::new(parse(b"/init.scope"));
        cgroups.young.insert(u64::MAX, Entry { workload: Arc::clone(&used), until: None });
        for id in 0..3 * CACHE_ENTRIES as u64 {
            assert_eq!(*cgroups.workload(id), Workload::default());
            assert!(Arc::ptr_eq(&used, &cgroups.workload(u64::MAX)));
            assert!(cgroups.young.len() + cgroups.old.len() <= CACHE_ENTRIES);
        }
    }

    #[test]
    fn a_path_begins_at_the_hierarchys_root() {
        let dir = File::open("/").unwrap();
        let mount = Mount { dir, point: "/sys/fs/cgroup".into(), root: "/docker".into() };
        assert_eq!(mount.cgroup(Path::new("/sys/fs/cgroup/a/b")), b"/docker/a/b");
        assert_eq!(mount.cgroup(Path::new("/sys/fs/cgroup")), b"/docker/");
        assert_eq!(mount.cgroup(Path::new("/system.slice")), b"/system.slice");
    }
}
