//! The keys of an event, and which of them a tracer was asked for.

use crate::error::{Error, Result};

macro_rules! keys {
    ($($key:ident = $name:literal),* $(,)?) => {
        /// A key of an event, in the order of the dict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "event.py documents each")]
        pub enum Key { $($key),* }

        impl Key {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$key),*];

            /// As it stands in the dict.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }
        }
    };
}

keys! {
    TsNs = "ts_ns",
    DurationNs = "duration_ns",
    Cpu = "cpu",
    Seq = "seq",
    Lost = "lost",
    Pid = "pid",
    Tid = "tid",
    Ppid = "ppid",
    Uid = "uid",
    Gid = "gid",
    Comm = "comm",
    ParentComm = "parent_comm",
    Exe = "exe",
    Argv = "argv",
    ArgvTruncated = "argv_truncated",
    Euid = "euid",
    Auid = "auid",
    SessionId = "session_id",
    StartNs = "start_ns",
    NsPid = "ns_pid",
    PidNs = "pid_ns",
    MntNs = "mnt_ns",
    CgroupId = "cgroup_id",
    ContainerId = "container_id",
    PodId = "pod_id",
    Unit = "unit",
    Syscall = "syscall",
    Abi = "abi",
    Via = "via",
    Action = "action",
    Dfd = "dfd",
    Flags = "flags",
    Filename = "filename",
    NewFilename = "new_filename",
    Path = "path",
    NewPath = "new_path",
    PathKind = "path_kind",
    HostPath = "host_path",
    NameStatus = "name_status",
    Ret = "ret",
    Errno = "errno",
    Ancestors = "ancestors",
}

/// The keys that need the directories walked in the kernel.
pub const PATHS: [Key; 4] = [Key::Path, Key::NewPath, Key::PathKind, Key::HostPath];

/// The keys that need more of the task's structures than every event does.
pub const IDENTITY: [Key; 12] = [
    Key::ParentComm,
    Key::Euid,
    Key::Auid,
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

/// The keys that need the cgroup's path, which user space looks up once for each cgroup.
pub const CGROUP: [Key; 3] = [Key::ContainerId, Key::PodId, Key::Unit];

/// The keys of what the process runs with.
pub const ARGV: [Key; 2] = [Key::Argv, Key::ArgvTruncated];

/// A set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields(u64);

impl Fields {
    /// Every key but those that must be asked for by name.
    pub const ALL: Self = Self((1 << Key::Ancestors as u32) - 1);

    /// Whether the key is in it.
    #[must_use]
    pub fn has(self, key: Key) -> bool {
        self.0 >> key as u32 & 1 == 1
    }

    /// Whether any of the keys is.
    #[must_use]
    pub fn any(self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.has(*key))
    }

    /// The set of these names.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for none at all, and for one that is no key.
    pub fn of(names: &[String]) -> Result<Self> {
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
        let fields = Fields::of(&["pid".into(), "path".into()]).unwrap();
        assert!(fields.has(Key::Pid) && fields.has(Key::Path) && !fields.has(Key::Comm));
        assert!(fields.any(&PATHS) && !Fields::of(&["pid".into()]).unwrap().any(&PATHS));
        assert!(Key::ALL.iter().all(|key| Fields::ALL.has(*key) == (*key != Key::Ancestors)));
        let error = Fields::of(&["pidd".into()]).unwrap_err().to_string();
        assert!(error.starts_with("unknown field \"pidd\": an event has ts_ns, duration_ns, "), "{error}");
        assert!(Fields::of(&[]).unwrap_err().to_string().starts_with("fields is empty"));
    }
}
