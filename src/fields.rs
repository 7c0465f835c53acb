//! The keys of an event, and the set of keys a tracer was asked for.

use crate::error::{Error, Result};

/// The scope in which a key's value is constant. It is converted once per scope, not once per event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Constant for one event only. Most events have another value.
    Event,
    /// Constant for one kind of call: the CPU, the numeric arguments, the result.
    Call,
    /// Constant for a thread and its system call. See [`crate::record::Identity`].
    Thread,
    /// Constant for a program that a process executes, and for the parent of the process.
    Exec,
    /// Constant for one file. Events without a known file have the same values.
    File,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; Self::COUNT] = [Self::Event, Self::Call, Self::Thread, Self::Exec, Self::File];

    /// The number of scopes.
    pub const COUNT: usize = 5;
}

/// The type of a key's values. The values of some keys may also be `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Unix time in nanoseconds.
    Time,
    /// A signed 32-bit number.
    I32,
    /// A signed 64-bit number.
    I64,
    /// An unsigned 32-bit number.
    U32,
    /// An unsigned 64-bit number.
    U64,
    /// A boolean.
    Bool,
    /// One of few texts that rawtp defines.
    Keyword,
    /// One of few byte strings that are usually text.
    DictBytes,
    /// A byte string that is usually text and differs for most events.
    Bytes,
    /// A list of byte strings that are usually text.
    BytesList,
    /// A list of processes, each an id, a command and its arguments.
    Ancestors,
    /// A byte string that is no text.
    Blob,
    /// The arguments of a call, by name.
    Args,
    /// A list of signed 64-bit numbers.
    I64List,
    /// A list of unsigned 64-bit numbers.
    U64List,
}

macro_rules! keys {
    ($($key:ident = $name:literal: $scope:ident $kind:ident $($none:ident)?),* $(,)?) => {
        /// A key of an event, in the order of the dict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "event.py documents each")]
        pub enum Key { $($key),* }

        impl Key {
            /// All keys, in the order of the dict.
            pub const ALL: &[Self] = &[$(Self::$key),*];

            /// The key's name in the dict.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }

            /// The scope in which its value is constant.
            #[must_use]
            pub fn scope(self) -> Scope {
                match self { $(Self::$key => Scope::$scope),* }
            }

            /// The type of its values.
            #[must_use]
            pub fn value_type(self) -> ValueType {
                match self { $(Self::$key => ValueType::$kind),* }
            }

            /// Whether the value may be `None`.
            #[must_use]
            pub fn or_none(self) -> bool {
                match self { $(Self::$key => !stringify!($($none)?).is_empty()),* }
            }
        }
    };
}

// Each row has all that the columns need to know of a key. `event/values.rs` has its value.
keys! {
    TsNs = "ts_ns": Event Time,
    DurationNs = "duration_ns": Event U64 or_none,
    Cpu = "cpu": Call U32,
    Seq = "seq": Event U64,
    Lost = "lost": Call U32,
    Pid = "pid": Thread U32,
    Tid = "tid": Thread U32,
    Ppid = "ppid": Thread U32,
    Uid = "uid": Thread U32,
    Gid = "gid": Thread U32,
    Comm = "comm": Thread DictBytes,
    ParentComm = "parent_comm": Thread DictBytes,
    Exe = "exe": Exec DictBytes or_none,
    Argv = "argv": Exec BytesList or_none,
    ArgvTruncated = "argv_truncated": Exec Bool or_none,
    Euid = "euid": Thread U32,
    Fsuid = "fsuid": Thread U32,
    Fsgid = "fsgid": Thread U32,
    Auid = "auid": Thread U32 or_none,
    SessionId = "session_id": Thread U32 or_none,
    StartNs = "start_ns": Thread I64,
    NsPid = "ns_pid": Thread U32,
    PidNs = "pid_ns": Thread U32,
    MntNs = "mnt_ns": Thread U32,
    CgroupId = "cgroup_id": Thread U64,
    ContainerId = "container_id": Thread Keyword or_none,
    PodId = "pod_id": Thread Keyword or_none,
    Unit = "unit": Thread Keyword or_none,
    Syscall = "syscall": Thread Keyword or_none,
    Abi = "abi": Thread Keyword,
    Via = "via": Thread Keyword,
    Action = "action": Call Keyword or_none,
    Dfd = "dfd": Call I32 or_none,
    Flags = "flags": Call U32 or_none,
    RangeStart = "range_start": Event I64 or_none,
    RangeLength = "range_length": Event I64 or_none,
    Filename = "filename": Event Bytes or_none,
    NewFilename = "new_filename": Event Bytes or_none,
    Path = "path": Event Bytes or_none,
    NewPath = "new_path": Event Bytes or_none,
    PathKind = "path_kind": Event Keyword or_none,
    HostPath = "host_path": Event Bytes or_none,
    RealPath = "real_path": Event Bytes or_none,
    NewRealPath = "new_real_path": Event Bytes or_none,
    RealPathBy = "real_path_by": Event Keyword or_none,
    Dev = "dev": File U64 or_none,
    Ino = "ino": File U64 or_none,
    Generation = "generation": File U32 or_none,
    Nlink = "nlink": File U32 or_none,
    Size = "size": File I64 or_none,
    Mode = "mode": File U32 or_none,
    FileType = "file_type": File Keyword or_none,
    Owner = "owner": File U32 or_none,
    MtimeNs = "mtime_ns": File I64 or_none,
    Replaced = "replaced": File Bool or_none,
    ReplacedIno = "replaced_ino": File U64 or_none,
    ReplacedSize = "replaced_size": File I64 or_none,
    ReplacedNlink = "replaced_nlink": File U32 or_none,
    Length = "length": File I64 or_none,
    Exchange = "exchange": Call Bool,
    NameStatus = "name_status": Call Keyword,
    Ret = "ret": Call I64 or_none,
    Errno = "errno": Call Keyword or_none,
    Ancestors = "ancestors": Exec Ancestors,
    ParentArgv = "parent_argv": Exec BytesList or_none,
    Cwd = "cwd": Event Bytes or_none,
    User = "user": Thread DictBytes or_none,
    Login = "login": Thread DictBytes or_none,
    Freed = "freed": Event Bool or_none,
    Args = "args": Event Args or_none,
}

/// The keys for which the programs walk up the directories.
pub const PATHS: [Key; 4] = [Key::Path, Key::NewPath, Key::PathKind, Key::HostPath];

/// The keys with the paths that the kernel found.
pub const REAL_PATHS: [Key; 3] = [Key::RealPath, Key::NewRealPath, Key::RealPathBy];

/// The keys that tell what the kernel did.
pub const TRUTH: [Key; 18] = [
    Key::RealPath,
    Key::NewRealPath,
    Key::RealPathBy,
    Key::Dev,
    Key::Ino,
    Key::Generation,
    Key::Nlink,
    Key::Size,
    Key::Mode,
    Key::FileType,
    Key::Owner,
    Key::MtimeNs,
    Key::Replaced,
    Key::ReplacedIno,
    Key::ReplacedSize,
    Key::ReplacedNlink,
    Key::Length,
    Key::Freed,
];

/// The keys that need more of the task's structures than every event reads.
pub const IDENTITY: [Key; 15] = [
    Key::ParentComm,
    Key::Euid,
    Key::Fsuid,
    Key::Fsgid,
    Key::Auid,
    Key::Login,
    Key::SessionId,
    Key::StartNs,
    Key::NsPid,
    Key::PidNs,
    Key::MntNs,
    Key::CgroupId,
    Key::ContainerId,
    Key::PodId,
    Key::Unit,
];

/// The keys that need the cgroup's path. User space looks it up once per cgroup.
pub const CGROUP: [Key; 3] = [Key::ContainerId, Key::PodId, Key::Unit];

/// The keys that come from the process's arguments.
pub const ARGV: [Key; 2] = [Key::Argv, Key::ArgvTruncated];

/// The keys that need to know what processes run that may have ended, and who forked them. The programs report that for
/// every process, at its fork and exec.
pub const LINEAGE: [Key; 2] = [Key::Ancestors, Key::ParentArgv];

/// The first key that must be asked for by name. Those after it must be, too.
const FIRST_OPT_IN: Key = Key::Ancestors;

/// A set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields(u128);

impl Fields {
    /// Every key except those that must be asked for by name.
    pub const ALL: Self = Self((1 << FIRST_OPT_IN as u32) - 1);

    /// Whether the set contains the key.
    #[must_use]
    pub fn contains(self, key: Key) -> bool {
        self.0 >> key as u32 & 1 == 1
    }

    /// The keys in the set, in the order of the dict.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        Key::ALL.iter().copied().filter(move |key| self.contains(*key))
    }

    /// Whether the set contains any of the keys.
    #[must_use]
    pub fn any(self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.contains(*key))
    }

    /// Makes the set of these names.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for an empty list, and for a name that is no key.
    pub fn from_names(names: &[String]) -> Result<Self> {
        if names.is_empty() {
            return Err(Error::Value("fields is empty: name at least one key of rawtp.ALL_FIELDS".into()));
        }
        names.iter().try_fold(Self(0), |fields, name| {
            let key = Key::ALL.iter().find(|key| key.as_str() == name);
            key.map(|key| Self(fields.0 | 1 << *key as u32)).ok_or_else(|| {
                let known: Vec<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
                Error::Value(format!("unknown field {name:?}: an event has {}", known.join(", ")))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_names() {
        let fields = Fields::from_names(&["pid".into(), "path".into()]).unwrap();
        assert!(fields.contains(Key::Pid) && fields.contains(Key::Path) && !fields.contains(Key::Comm));
        assert!(fields.any(&PATHS) && !Fields::from_names(&["pid".into()]).unwrap().any(&PATHS));
        assert!(Key::ALL.iter().all(|key| Fields::ALL.contains(*key) == ((*key as u32) < FIRST_OPT_IN as u32)));
        let error = Fields::from_names(&["pidd".into()]).unwrap_err().to_string();
        assert!(error.starts_with("unknown field \"pidd\": an event has ts_ns, duration_ns, "), "{error}");
        assert!(Fields::from_names(&[]).unwrap_err().to_string().starts_with("fields is empty"));
    }
}
