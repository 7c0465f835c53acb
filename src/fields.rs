//! The keys of an event, and which of them a tracer was asked for.

use crate::error::{Error, Result};

/// What a key's value stays the same with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One event: most often another for the next.
    Each,
    /// One way of calling: the CPU, the arguments that are numbers, the result.
    Call,
    /// Who calls what: see [`crate::record::Identity`].
    Caller,
    /// What the process runs, and whose child it is.
    Program,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Each, Self::Call, Self::Caller, Self::Program];
}

/// What a key's values are, `None` aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unix time in nanoseconds.
    Time,
    /// A number of 32 bits with a sign.
    I32,
    /// One of 64 bits.
    I64,
    /// A number of 32 bits.
    U32,
    /// One of 64 bits.
    U64,
    /// Yes or no.
    Bool,
    /// Text of our own: one out of few.
    Word,
    /// Bytes that are text as a rule, one out of few.
    Name,
    /// Bytes that are text as a rule, another one for most events.
    Text,
    /// A list of bytes that are text as a rule.
    Texts,
    /// A list of processes: id and command.
    Ancestors,
}

macro_rules! keys {
    ($($key:ident = $name:literal: $part:ident $kind:ident $($none:ident)?),* $(,)?) => {
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

            /// With what it stays the same.
            #[must_use]
            pub fn part(self) -> Part {
                match self { $(Self::$key => Part::$part),* }
            }

            /// What its values are.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$key => Kind::$kind),* }
            }

            /// Whether there may be none.
            #[must_use]
            pub fn or_none(self) -> bool {
                match self { $(Self::$key => !stringify!($($none)?).is_empty()),* }
            }
        }
    };
}

// A row is all that columns need to know of a key. What its value is stands in `value.rs`.
keys! {
    TsNs = "ts_ns": Each Time,
    DurationNs = "duration_ns": Each U64 or_none,
    Cpu = "cpu": Call U32,
    Seq = "seq": Each U64,
    Lost = "lost": Call U32,
    Pid = "pid": Caller U32,
    Tid = "tid": Caller U32,
    Ppid = "ppid": Caller U32,
    Uid = "uid": Caller U32,
    Gid = "gid": Caller U32,
    Comm = "comm": Caller Name,
    ParentComm = "parent_comm": Caller Name,
    Exe = "exe": Program Name or_none,
    Argv = "argv": Program Texts or_none,
    ArgvTruncated = "argv_truncated": Program Bool or_none,
    Euid = "euid": Caller U32,
    Auid = "auid": Caller U32 or_none,
    SessionId = "session_id": Caller U32 or_none,
    StartNs = "start_ns": Caller I64,
    NsPid = "ns_pid": Caller U32,
    PidNs = "pid_ns": Caller U32,
    MntNs = "mnt_ns": Caller U32,
    CgroupId = "cgroup_id": Caller U64,
    ContainerId = "container_id": Caller Word or_none,
    PodId = "pod_id": Caller Word or_none,
    Unit = "unit": Caller Word or_none,
    Syscall = "syscall": Caller Word or_none,
    Abi = "abi": Caller Word,
    Via = "via": Caller Word,
    Action = "action": Call Word,
    Dfd = "dfd": Call I32 or_none,
    Flags = "flags": Call U32 or_none,
    Filename = "filename": Each Text or_none,
    NewFilename = "new_filename": Each Text or_none,
    Path = "path": Each Text or_none,
    NewPath = "new_path": Each Text or_none,
    PathKind = "path_kind": Each Word or_none,
    HostPath = "host_path": Each Text or_none,
    NameStatus = "name_status": Call Word,
    Ret = "ret": Call I64 or_none,
    Errno = "errno": Call Word or_none,
    Ancestors = "ancestors": Program Ancestors,
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

    /// The keys in it, in the order of the dict.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        Key::ALL.iter().copied().filter(move |key| self.has(*key))
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
