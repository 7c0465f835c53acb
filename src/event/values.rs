//! The value of each key of an event. Dicts and columns use this one table.

use std::sync::Arc;

use crate::cgroup::path::Workload;
use crate::cgroup::reports::CgroupReports;
use crate::cgroup::resolver::WorkloadResolver;
use crate::event::args::Args;
use crate::event::file_facts::{FileFacts, FileInfo};
use crate::event::ints::IntItem;
use crate::event::names::UserNames;
use crate::event::real_paths::{RealPaths, missed_its_file};
use crate::event::{Event, command};
use crate::fields::{CGROUP, Fields, Key, LINEAGE, PATHS, REAL_PATHS, Scope, TRUTH};
use crate::lineage::chain::Chain;
use crate::lineage::processes::Processes;
use crate::mounts::snapshots::Snapshots;
use crate::path::resolve::{PathKind, Paths};
use crate::record::segments::{Name, NameStatus, images};
use crate::sys::errno;
use crate::syscall::Action;

/// The value of a key. [`crate::fields::ValueType`] says which variant a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what it holds")]
pub enum Value<'a> {
    None,
    I32(i32),
    I64(i64),
    U32(u32),
    U64(u64),
    Bool(bool),
    Keyword(&'a str),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Texts, each followed by a NUL.
    BytesList(&'a [u8]),
    /// Processes, as [`crate::lineage::chain::ancestors`] reads them.
    Ancestors(&'a [u8]),
    /// Bytes that are no text.
    Blob(&'a [u8]),
    /// The arguments of a call.
    Args(Args<'a>),
    /// Integers that lie one after the other.
    Ints(IntItem, &'a [u8]),
}

/// Returns the single texts of [`Value::BytesList`].
pub fn texts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    bytes.strip_suffix(&[0]).unwrap_or(bytes).split(|byte| *byte == 0)
}

macro_rules! into_value {
    ($($type:ty => $value:ident),*) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$value(value)
            }
        })*
    };
}

into_value!(i32 => I32, i64 => I64, u32 => U32, u64 => U64, bool => Bool, &'a str => Keyword, &'a [u8] => Bytes);

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// Computes the values of events. It keeps its buffers and caches.
#[derive(Debug)]
pub struct Values {
    fields: Fields,
    /// The wanted keys, by scope.
    keys: [Vec<Key>; Scope::COUNT],
    paths: Paths,
    new_paths: Paths,
    exe: Paths,
    workloads: WorkloadResolver,
    workload: Workload,
    /// The name of a call that no table has.
    unnamed: Option<String>,
    real_paths: RealPaths,
    facts: FileFacts,
    processes: Arc<Processes>,
    chain: Chain,
    cwd: Paths,
    users: UserNames,
}

impl Values {
    /// Creates the values of these keys.
    #[must_use]
    pub fn new(fields: Fields) -> Self {
        let keys = Scope::ALL.map(|scope| fields.keys().filter(|key| key.scope() == scope).collect());
        Self {
            fields,
            keys,
            paths: Paths::default(),
            new_paths: Paths::default(),
            exe: Paths::default(),
            workloads: WorkloadResolver::default(),
            workload: Workload::default(),
            unnamed: None,
            real_paths: RealPaths::default(),
            facts: FileFacts::default(),
            processes: Arc::new(Processes::new(|| 0)),
            chain: Chain::default(),
            cwd: Paths::default(),
            users: UserNames::default(),
        }
    }

    /// Takes the kernel's reports about cgroups from `reports`.
    pub fn learn_from(&mut self, reports: Arc<CgroupReports>) {
        self.workloads.learn_from(reports);
    }

    /// Takes the mounts of other namespaces from `snapshots`.
    pub fn learn_mounts_from(&mut self, snapshots: Arc<Snapshots>) {
        self.users.look_up_on(snapshots.host_root().clone());
        self.real_paths.learn_from(snapshots);
    }

    /// Looks up what processes run in this table.
    pub fn look_up_in(&mut self, processes: Arc<Processes>) {
        self.processes = processes;
    }

    /// The wanted keys.
    #[must_use]
    pub fn fields(&self) -> Fields {
        self.fields
    }

    /// The wanted keys of a scope, in the order of [`Values::visit`].
    #[must_use]
    pub fn keys(&self, scope: Scope) -> &[Key] {
        &self.keys[scope as usize]
    }

    /// Calls `take` with each wanted key of a scope and its value.
    ///
    /// # Errors
    ///
    /// The first error of `take`.
    #[inline]
    pub fn visit<E>(
        &mut self,
        scope: Scope,
        event: &Event<'_>,
        mut take: impl FnMut(Key, Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match scope {
            Scope::Event => self.prepare_event(event),
            Scope::Thread => self.prepare_thread(event),
            Scope::Exec => self.prepare_exec(event),
            Scope::File if self.fields.any(&TRUTH) => self.facts = event.file_facts(),
            Scope::Call | Scope::File => {}
        }
        self.keys[scope as usize].iter().try_for_each(|key| take(*key, self.get(*key, event)))
    }

    fn file(&self) -> Option<&FileInfo> {
        self.facts.file.as_ref()
    }

    fn replaced(&self) -> Option<&FileInfo> {
        self.facts.replaced.as_ref()
    }

    fn prepare_event(&mut self, event: &Event<'_>) {
        if self.fields.any(&PATHS) || self.fields.any(&REAL_PATHS) {
            self.resolve(event);
        }
        if self.fields.contains(Key::Cwd) {
            self.cwd.resolve_directory(event.enter.segments.cwd());
        }
    }

    fn prepare_thread(&mut self, event: &Event<'_>) {
        let record = event.enter.record;
        self.unnamed = event.unnamed();
        if self.fields.any(&CGROUP) {
            self.workload = self.workloads.workload(record.cgroup_id, record.cgroup_v1_id);
        }
        if self.fields.contains(Key::User) {
            self.users.learn(record.uid);
        }
        if let Some(auid) = event.auid().filter(|_| self.fields.contains(Key::Login)) {
            self.users.learn(auid);
        }
    }

    fn prepare_exec(&mut self, event: &Event<'_>) {
        if self.fields.contains(Key::Exe) {
            self.exe.resolve_file(event.exe(), event.is_exe_deleted());
        }
        if self.fields.any(&LINEAGE) {
            let images = images(event.enter.segments.ancestors());
            self.chain.find(images, event.enter.record.ts_ns, &self.processes);
        }
    }

    fn resolve(&mut self, event: &Event<'_>) {
        // A call that reached no file has no real path.
        if self.fields.any(&REAL_PATHS) && !missed_its_file(event) {
            self.real_paths.resolve(event);
        }
        if !self.fields.any(&PATHS) {
            return;
        }
        let segments = &event.enter.segments;
        let (root, is_cwd) = (segments.root(), event.enter.record.dfd == libc::AT_FDCWD);
        self.paths.resolve(event.filename(), segments.directory(), root, is_cwd);
        match event.new_filename() {
            None => self.new_paths.clear(),
            new_filename => self.new_paths.resolve(new_filename, segments.new_directory(), root, true),
        }
        if event.is_request() {
            self.paths.doubt();
            self.new_paths.doubt();
        }
        if event.has_pathless_name() {
            self.paths.clear();
        }
    }

    /// Returns one kind for both paths. If one is partial, neither can be trusted as a whole.
    fn path_kind(&self) -> PathKind {
        let partial = self.new_paths.kind() == PathKind::Partial;
        if partial { PathKind::Partial } else { self.paths.kind() }
    }

    #[inline(always)]
    fn get<'a>(&'a self, key: Key, event: &'a Event<'_>) -> Value<'a> {
        let record = event.enter.record;
        match key {
            Key::TsNs => event.ts_ns().into(),
            Key::DurationNs => event.duration_ns().into(),
            Key::Cpu => record.cpu.into(),
            Key::Seq => record.seq.into(),
            Key::Lost => event.lost().into(),
            Key::Pid => record.pid.into(),
            Key::Tid => record.tid.into(),
            Key::Ppid => record.ppid.into(),
            Key::Uid => record.uid.into(),
            Key::Gid => record.gid.into(),
            Key::Comm => command(&record.comm).into(),
            Key::ParentComm => command(&record.parent_comm).into(),
            Key::Exe => self.exe.file_path().into(),
            Key::Argv => event.argv().map_or(Value::None, |argv| Value::BytesList(argv.bytes)),
            Key::ArgvTruncated => event.argv().map(|argv| argv.status == NameStatus::Truncated).into(),
            Key::Euid => record.euid.into(),
            Key::Fsuid => record.fsuid.into(),
            Key::Fsgid => record.fsgid.into(),
            Key::Auid => event.auid().into(),
            Key::SessionId => event.session_id().into(),
            Key::StartNs => event.start_ns().into(),
            Key::NsPid => record.ns_pid.into(),
            Key::PidNs => record.pid_ns.into(),
            Key::MntNs => record.mnt_ns.into(),
            Key::CgroupId => record.cgroup_id.into(),
            Key::ContainerId => self.workload.container_id.as_deref().into(),
            Key::PodId => self.workload.pod_id.as_deref().into(),
            Key::Unit => self.workload.unit.as_deref().into(),
            Key::Syscall => event.syscall().or(self.unnamed.as_deref()).into(),
            Key::Abi => event.abi().as_str().into(),
            Key::Via => event.via().into(),
            Key::Action => event.action().map(Action::as_str).into(),
            Key::Dfd => event.dfd().into(),
            Key::Flags => event.flags().into(),
            Key::RangeStart => event.range().map(|range| range.start).into(),
            Key::RangeLength => event.range().map(|range| range.length).into(),
            Key::Filename => event.filename().and_then(Name::readable).into(),
            Key::NewFilename => event.new_filename().and_then(Name::readable).into(),
            Key::Path => self.paths.path().into(),
            Key::NewPath => self.new_paths.path().into(),
            Key::PathKind => self.path_kind().as_str().into(),
            Key::HostPath => self.paths.host_path().into(),
            Key::RealPath => self.real_paths.path(event).into(),
            Key::NewRealPath => self.real_paths.new_path(event).into(),
            Key::RealPathBy => self.real_paths.by(event).into(),
            Key::Dev => self.file().map(FileInfo::dev).into(),
            Key::Ino => self.file().map(|file| file.ino).into(),
            Key::Generation => self.file().map(|file| file.generation).into(),
            Key::Nlink => self.file().map(|file| file.nlink).into(),
            Key::Size => self.file().and_then(|file| file.size).into(),
            Key::Mode => self.file().map(|file| file.mode).into(),
            Key::FileType => self.file().and_then(FileInfo::file_type).into(),
            Key::Owner => self.file().map(|file| file.owner).into(),
            Key::MtimeNs => self.file().and_then(|file| file.mtime_ns).into(),
            Key::Replaced => self.facts.is_replacing.into(),
            Key::ReplacedIno => self.replaced().map(|file| file.ino).into(),
            Key::ReplacedSize => self.replaced().and_then(|file| file.size).into(),
            Key::ReplacedNlink => self.replaced().map(|file| file.nlink).into(),
            Key::Length => self.facts.length.into(),
            Key::Exchange => event.is_exchange().into(),
            Key::NameStatus => event.name_status().as_str().into(),
            Key::Ret => event.ret().into(),
            Key::Errno => event.errno().map(errno::name).into(),
            Key::Ancestors => Value::Ancestors(self.chain.ancestors()),
            Key::ParentArgv => self.chain.parent_argv().map_or(Value::None, Value::BytesList),
            Key::Cwd => self.cwd.host_path().into(),
            Key::User => self.users.get(record.uid).into(),
            Key::Login => event.auid().and_then(|auid| self.users.get(auid)).into(),
            Key::Freed => event.freed().into(),
            Key::Args => Args::of(event).map_or(Value::None, Value::Args),
        }
    }
}
