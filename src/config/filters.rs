//! The filters: checked before anything is loaded, then written into the programs.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags};

use crate::cgroup::lookup::CgroupLookup;
use crate::cgroup::mounts::Hierarchy;
use crate::config::outcome::Outcome;
use crate::config::path_filter::PathFilter;
use crate::error::{Error, Result};
use crate::mounts::host_root::HostRoot;
use crate::skel::counts::{CountsSkel, OpenCountsSkel};
use crate::skel::types::comm_filter;
use crate::skel::{OpenRawtpSkel, RawtpSkel};

/// The largest pid limit of Linux (`PID_MAX_LIMIT`, include/linux/threads.h).
pub(crate) const PID_MAX: u32 = 4 << 20;

/// The inode of the initial pid namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
pub(crate) const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;

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

/// The filters that decide which calls are events. The values of one filter are alternatives. All filters given must
/// match.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pids: Vec<u32>,
    follow: bool,
    /// The process of the filter whose own calls before its next exec are left out.
    launcher: Option<u32>,
    uids: Vec<u32>,
    comms: Vec<comm_filter>,
    cgroups: Vec<Arc<OwnedFd>>,
    paths: Vec<PathFilter>,
    outcome: Outcome,
    /// The process whose calls are left out.
    without: Option<Process>,
    /// The only user whose calls are seen.
    owner: Option<u32>,
}

/// Writes the filters into an opened object. The skeletons have no type in common, but the same names
/// (`bpf/lib/filter_task.bpf.h`).
macro_rules! configure_filters {
    ($filters:expr, $open:expr) => {{
        let (filters, open) = ($filters, $open);
        let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section");
        fill(&mut rodata.cfg_pids, &mut rodata.cfg_pid_count, &filters.pids);
        fill(&mut rodata.cfg_uids, &mut rodata.cfg_uid_count, &filters.uids);
        for (slot, comm) in rodata.cfg_comms.iter_mut().zip(&filters.comms) {
            (slot.words, slot.masks) = (comm.words, comm.masks);
        }
        rodata.cfg_comm_count = filters.comms.len() as u32;
        rodata.cfg_cgroup_count = filters.cgroups.len() as u32;
        rodata.cfg_follow = filters.follow;
        rodata.cfg_launcher = filters.launcher.unwrap_or_default();
        rodata.cfg_is_limited = filters.owner.is_some();
        rodata.cfg_owner = filters.owner.unwrap_or_default();
        if let Some(Process { pid, namespace }) = filters.without {
            rodata.cfg_self = pid;
            (rodata.cfg_self_dev, rodata.cfg_self_ino) = namespace.unwrap_or_default();
        }
        open.progs.handle_fork.set_autoload(filters.follow);
        open.progs.handle_process_exit.set_autoload(filters.follow);
        open.maps.followed.set_autocreate(filters.follow)?;
        open.maps.cgroups.set_autocreate(!filters.cgroups.is_empty())
    }};
}

/// Fills the filters' maps of a loaded object.
macro_rules! fill_filters {
    ($filters:expr, $skel:expr) => {{
        let (filters, skel) = ($filters, $skel);
        for pid in filters.pids.iter().filter(|_| filters.follow) {
            skel.maps.followed.update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)?;
        }
        for (at, cgroup) in (0_u32..).zip(&filters.cgroups) {
            skel.maps.cgroups.update(&at.to_ne_bytes(), &cgroup.as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(())
    }};
}

/// A process by its pid in its own pid namespace, which need not be the host's.
#[derive(Debug, Clone, Copy)]
struct Process {
    pid: u32,
    /// Device and inode number of the namespace; `None` for the initial one.
    namespace: Option<(u64, u64)>,
}

impl Process {
    fn this() -> Result<Self> {
        let namespace = fs::metadata("/proc/self/ns/pid")
            .map_err(Error::os("cannot tell which pid namespace this process is in"))?;
        let inner = namespace.ino() != INITIAL_PID_NS;
        Ok(Self { pid: std::process::id(), namespace: inner.then(|| (namespace.dev(), namespace.ino())) })
    }
}

fn check_many<T, R>(name: &str, values: Option<Vec<T>>, check: impl Fn(T) -> Result<R>) -> Result<Vec<R>> {
    let Some(values) = values else { return Ok(Vec::new()) };
    match values.len() {
        0 => Err(Error::Value(format!("{name} is empty: give at least one, or None"))),
        1..=FILTER_MAX => values.into_iter().map(check).collect(),
        more => Err(Error::Value(format!("{name} takes at most {FILTER_MAX} values, not {more}"))),
    }
}

fn check_pid(value: i64) -> Result<u32> {
    let pid = u32::try_from(value).ok().filter(|pid| (1..=PID_MAX).contains(pid));
    pid.ok_or_else(|| Error::Value(format!("pid must be a process id from 1 to {PID_MAX}, not {value}")))
}

fn check_uid(value: i64) -> Result<u32> {
    // The last one means "no user" to every system call that takes a uid.
    let uid = u32::try_from(value).ok().filter(|uid| *uid < u32::MAX);
    uid.ok_or_else(|| Error::Value(format!("uid must be a user id from 0 to {}, not {value}", u32::MAX - 1)))
}

fn check_comm(value: &OsStr) -> Result<comm_filter> {
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
fn is_any_comm(filter: &comm_filter) -> bool {
    filter.masks.iter().all(|mask| *mask == 0)
}

/// The inode of the directory that every process is below: kernfs numbers from 1 on (fs/kernfs/dir.c).
const ROOT_CGROUP: u64 = 1;

fn is_root_cgroup(directory: &OwnedFd) -> bool {
    let found = directory.try_clone().and_then(|directory| File::from(directory).metadata());
    found.is_ok_and(|metadata| metadata.ino() == ROOT_CGROUP)
}

fn open_cgroup(path: &Path) -> std::io::Result<Option<OwnedFd>> {
    let dir = File::open(path)?;
    Ok(Hierarchy::V2.has(&dir).then(|| dir.into()))
}

fn check_cgroup(value: Cgroup) -> Result<Arc<OwnedFd>> {
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

/// The caller's arguments. `None` stands for an argument that was not passed.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "each is the argument of that name")]
#[expect(clippy::struct_excessive_bools, reason = "they are Python's keyword arguments")]
pub struct FilterArgs {
    pub pid: Option<Vec<i64>>,
    pub follow: bool,
    /// Whether `pid` is the launcher of a command, whose own calls before it executes that are left out.
    pub from_exec: bool,
    pub uid: Option<Vec<i64>>,
    pub comm: Option<Vec<OsString>>,
    pub cgroup: Option<Vec<Cgroup>>,
    pub path: Option<Vec<OsString>>,
    pub exclude_self: bool,
    pub outcome: Outcome,
    /// Whether a path with special characters is looked up in the file system to find out what it means: see
    /// [`PathFilter::found`].
    pub looks_up: bool,
    /// Where the host's files are, of which it looks at those.
    pub host_root: HostRoot,
}

impl Display for FilterArgs {
    /// Formats each argument that was passed, with a space before it, as ` pid=1,2 path="/srv"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type To<'a, 'b> = &'a mut fmt::Formatter<'b>;
        fn many<T>(f: To<'_, '_>, name: &str, values: Option<&Vec<T>>, shown: impl Fn(&T) -> String) -> fmt::Result {
            let Some(values) = values else { return Ok(()) };
            write!(f, " {name}={}", values.iter().map(shown).collect::<Vec<_>>().join(","))
        }
        let text = |value: &OsString| format!("{:?}", value.to_string_lossy());
        many(f, "pid", self.pid.as_ref(), i64::to_string)?;
        f.write_str(if self.follow { " follow=True" } else { "" })?;
        many(f, "uid", self.uid.as_ref(), i64::to_string)?;
        many(f, "comm", self.comm.as_ref(), text)?;
        many(f, "cgroup", self.cgroup.as_ref(), |cgroup| match cgroup {
            Cgroup::Id(id) => id.to_string(),
            Cgroup::Path(path) => text(path),
        })?;
        many(f, "path", self.path.as_ref(), text)?;
        f.write_str(if self.exclude_self { " exclude_self=True" } else { "" })?;
        match self.outcome {
            Outcome::Any => {}
            outcome => write!(f, " outcome={:?}", outcome.as_str())?,
        }
        if self.host_root.is_own() {
            return Ok(());
        }
        write!(f, " root={:?}", String::from_utf8_lossy(self.host_root.path()))
    }
}

impl Filters {
    /// Checks the caller's arguments.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which names the argument, its value and the rule.
    pub fn new(args: FilterArgs) -> Result<Self> {
        if args.follow && args.pid.is_none() {
            return Err(Error::Value("follow=True needs a pid: whose descendants are to be followed?".into()));
        }
        let pids = check_many("pid", args.pid, check_pid)?;
        let launcher = pids.first().copied().filter(|_| args.from_exec);
        Ok(Self {
            pids,
            follow: args.follow,
            launcher,
            uids: check_many("uid", args.uid, check_uid)?,
            comms: check_many("comm", args.comm, |comm| check_comm(&comm))?,
            cgroups: check_many("cgroup", args.cgroup, check_cgroup)?,
            paths: check_many("path", args.path, |path| {
                if args.looks_up { PathFilter::found(&path, &args.host_root) } else { PathFilter::new(&path) }
            })?,
            outcome: args.outcome,
            without: args.exclude_self.then(Process::this).transpose()?,
            owner: None,
        })
    }

    /// The pids of the filter.
    #[must_use]
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Limits the programs to tasks that act for one user alone, by their real, effective and file-system user.
    pub fn limit_to(&mut self, uid: u32) {
        self.owner = Some(uid);
    }

    /// Whether they are limited to what one user does.
    #[must_use]
    pub fn are_limited(&self) -> bool {
        self.owner.is_some()
    }

    /// Leaves out another process than this one, by its pid in this process's namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] where `/proc` is not mounted.
    pub fn leave_out(&mut self, pid: u32) -> Result<()> {
        self.without = Some(Process { pid, ..Process::this()? });
        Ok(())
    }

    /// Returns the ids of the filter's cgroups.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when a directory's id cannot be read.
    pub fn cgroup_ids(&self) -> Result<Vec<u64>> {
        let id = |directory: &Arc<OwnedFd>| Ok(File::from(directory.try_clone()?).metadata()?.ino());
        self.cgroups.iter().map(id).collect::<std::io::Result<_>>().map_err(Error::os("cannot tell a cgroup's id"))
    }

    /// Whether the descendants of these processes are followed too.
    #[must_use]
    pub fn follow(&self) -> bool {
        self.follow
    }

    /// Whether they choose by process.
    #[must_use]
    pub fn are_by_process(&self) -> bool {
        let by_comm = !self.comms.is_empty() && !self.comms.iter().any(is_any_comm);
        let by_cgroup = !self.cgroups.is_empty() && !self.cgroups.iter().any(|directory| is_root_cgroup(directory));
        !self.pids.is_empty() || !self.uids.is_empty() || by_comm || by_cgroup
    }

    /// The filters by process that every process passes, as a caller writes them.
    #[must_use]
    pub fn passing_all(&self) -> Vec<&'static str> {
        let by_comm = self.comms.iter().any(is_any_comm).then_some("comm=\"*\"");
        let by_cgroup = self.cgroups.iter().any(|directory| is_root_cgroup(directory)).then_some("the root cgroup");
        by_comm.into_iter().chain(by_cgroup).collect()
    }

    /// The filter by result.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether there is a path filter. The programs must then read paths, whatever fields are asked for.
    #[must_use]
    pub fn has_paths(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Returns the paths as patterns that mean the same where nothing is looked up. `None` without path filters.
    #[must_use]
    pub fn path_patterns(&self) -> Option<Vec<OsString>> {
        self.has_paths().then(|| self.paths.iter().map(PathFilter::pattern).collect())
    }

    /// The path filters. An empty slice lets every path through.
    #[must_use]
    pub fn paths(&self) -> &[PathFilter] {
        &self.paths
    }

    /// Writes the filters into the programs of a tracer. Call it before the load.
    pub(crate) fn configure(&self, open: &mut OpenRawtpSkel<'_>) -> libbpf_rs::Result<()> {
        let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section");
        rodata.cfg_has_paths = self.has_paths();
        configure_filters!(self, open)
    }

    /// Fills the filters' maps. Call it before the programs are attached.
    pub(crate) fn fill(&self, skel: &RawtpSkel<'_>) -> libbpf_rs::Result<()> {
        fill_filters!(self, skel)
    }

    /// Writes the filters into the programs that count. Call it before the load.
    pub(crate) fn configure_counts(&self, open: &mut OpenCountsSkel<'_>) -> libbpf_rs::Result<()> {
        configure_filters!(self, open)
    }

    /// Fills the maps of the programs that count. Call it before they are attached.
    pub(crate) fn fill_counts(&self, skel: &CountsSkel<'_>) -> libbpf_rs::Result<()> {
        fill_filters!(self, skel)
    }
}

fn fill<T: Copy>(slots: &mut [T; FILTER_MAX], count: &mut u32, values: &[T]) {
    slots[..values.len()].copy_from_slice(values);
    *count = values.len() as u32;
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
    fn what_every_process_passes_chooses_none() {
        let filters = |comm: &[&str], pid: Option<Vec<i64>>| {
            let comm = Some(comm.iter().map(OsString::from).collect());
            Filters::new(FilterArgs { pid, comm, ..FilterArgs::default() }).unwrap()
        };
        assert!(filters(&["rm*", "make"], None).are_by_process());
        assert!(!filters(&["rm", "*"], None).are_by_process());
        assert!(filters(&["*"], Some(vec![1])).are_by_process());
        assert_eq!(filters(&["rm", "*"], None).passing_all(), ["comm=\"*\""]);
        assert!(filters(&["rm"], None).passing_all().is_empty());
        assert!(!Filters::default().are_by_process());
    }

    #[test]
    fn arguments_are_formatted() {
        assert_eq!(FilterArgs::default().to_string(), "");
        let asked = FilterArgs {
            pid: Some(vec![1, 22]),
            follow: true,
            from_exec: true,
            uid: Some(vec![0]),
            comm: Some(vec!["rm*".into()]),
            cgroup: Some(vec![Cgroup::Id(7), Cgroup::Path("/a".into())]),
            path: Some(vec!["/a b\u{1b}".into()]),
            exclude_self: true,
            outcome: Outcome::Ok,
            looks_up: true,
            host_root: HostRoot::open(Path::new("/proc")).unwrap(),
        };
        let shown = " pid=1,22 follow=True uid=0 comm=\"rm*\" cgroup=7,\"/a\" path=\"/a b\\u{1b}\" exclude_self=True \
                     outcome=\"ok\" root=\"/proc\"";
        assert_eq!(asked.to_string(), shown);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        let asked = |pid: &[i64]| Filters::new(FilterArgs { pid: Some(pid.to_vec()), ..FilterArgs::default() });
        for bad in [0, -5, i64::from(PID_MAX) + 1] {
            let rule = format!("pid must be a process id from 1 to 4194304, not {bad}");
            assert_eq!(message(asked(&[1, bad])), rule);
        }
        assert_eq!(asked(&[7, 8]).unwrap().pids(), [7, 8]);
        assert_eq!(message(asked(&[])), "pid is empty: give at least one, or None");
        assert_eq!(message(asked(&[1; 33])), "pid takes at most 32 values, not 33");
        for bad in [-1, i64::from(u32::MAX)] {
            let error = message(Filters::new(FilterArgs { uid: Some(vec![bad]), ..FilterArgs::default() }));
            assert_eq!(error, format!("uid must be a user id from 0 to 4294967294, not {bad}"));
        }
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
        let follow = Filters::new(FilterArgs { follow: true, ..FilterArgs::default() });
        assert_eq!(message(follow), "follow=True needs a pid: whose descendants are to be followed?");
    }
}
