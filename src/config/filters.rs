//! The filters, checked before anything is loaded.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use crate::config::filter_values::{
    Cgroup, check_cgroup, check_comm, check_many, check_pid, check_uid, is_any_comm, is_root_cgroup,
};
use crate::config::outcome::Outcome;
use crate::config::path_filter::PathFilter;
use crate::error::{Error, Result};
use crate::mounts::host_root::HostRoot;
use crate::skel::types::comm_filter;

/// The inode of the initial pid namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
pub(crate) const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;

/// The filters that decide which calls are events. The values of one filter are alternatives. All filters given must
/// match.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pub(crate) pids: Vec<u32>,
    pub(crate) follow: bool,
    /// The process of the filter whose own calls before its next exec are left out.
    pub(crate) launcher: Option<u32>,
    pub(crate) uids: Vec<u32>,
    pub(crate) comms: Vec<comm_filter>,
    pub(crate) cgroups: Vec<Arc<OwnedFd>>,
    pub(crate) paths: Vec<PathFilter>,
    pub(crate) outcome: Outcome,
    /// The process whose calls are left out.
    pub(crate) without: Option<Process>,
    /// The only user whose calls are seen.
    pub(crate) owner: Option<u32>,
}

/// A process by its pid in its own pid namespace, which need not be the host's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Device and inode number of the namespace; `None` for the initial one.
    pub(crate) namespace: Option<(u64, u64)>,
}

impl Process {
    fn this() -> Result<Self> {
        let namespace = fs::metadata("/proc/self/ns/pid")
            .map_err(Error::os("cannot tell which pid namespace this process is in"))?;
        let inner = namespace.ino() != INITIAL_PID_NS;
        Ok(Self { pid: std::process::id(), namespace: inner.then(|| (namespace.dev(), namespace.ino())) })
    }
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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::filter_values::PID_MAX;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
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
        let follow = Filters::new(FilterArgs { follow: true, ..FilterArgs::default() });
        assert_eq!(message(follow), "follow=True needs a pid: whose descendants are to be followed?");
    }
}
