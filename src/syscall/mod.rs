//! The system calls: names and numbers of every table, and those that can be watched, with what their arguments are.

use std::sync::OnceLock;

use syscalls::{aarch64, arm, x86, x86_64};

use crate::skel::types::{self, call, call_condition, request_call};

/// A system call table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// The same with 32-bit pointers: its numbers have bit 30 set.
    X32,
    /// 32-bit x86.
    I386,
    /// 64-bit arm.
    Aarch64,
    /// 32-bit arm, EABI.
    Arm,
}

/// `__X32_SYSCALL_BIT` of arch/x86/include/uapi/asm/unistd.h.
const X32_BIT: u32 = 1 << 30;

/// Bound of all tables: the longest has what x32 alone has.
const NUMBERS: u32 = 600;

/// Bound of the tables that the BPF programs hold (`SYSCALLS_MAX`).
const TABLE: usize = 512;

impl Abi {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X32, Self::I386, Self::Aarch64, Self::Arm];

    /// The table of the architecture that this is compiled for.
    pub const NATIVE: Self = if cfg!(target_arch = "x86_64") { Self::X86_64 } else { Self::Aarch64 };

    /// The 32-bit table of the same machine.
    pub const COMPAT: Self = if cfg!(target_arch = "x86_64") { Self::I386 } else { Self::Arm };

    /// As it stands in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::X32 => "x32",
            Self::I386 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
        }
    }

    /// A record's `abi`.
    #[must_use]
    pub fn of_record(value: u32) -> Self {
        match types::abi(value) {
            types::abi::ABI_COMPAT => Self::COMPAT,
            types::abi::ABI_X32 => Self::X32,
            _ => Self::NATIVE,
        }
    }

    /// The number of a call; `None` where the table does not have it.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let x32 = if self == Self::X32 { X32_BIT } else { 0 };
        // The crate's own parsers compare with each as well, in 55 KB of code.
        let is_named = |spelled: &str| spelled.ends_with(name) && plain(spelled) == name;
        (0..NUMBERS).map(|number| number | x32).find(|&number| self.spelled(number).is_some_and(is_named))
    }

    /// The name of a number.
    #[must_use]
    pub fn name(self, number: u32) -> Option<&'static str> {
        self.spelled(number).map(plain)
    }

    fn spelled(self, number: u32) -> Option<&'static str> {
        let id = if self == Self::X32 { number.checked_sub(X32_BIT)? } else { number } as usize;
        Some(match self {
            Self::X86_64 | Self::X32 => x86_64::Sysno::new(id)?.name(),
            Self::I386 => x86::Sysno::new(id)?.name(),
            Self::Aarch64 => aarch64::Sysno::new(id)?.name(),
            Self::Arm => arm::Sysno::new(id)?.name(),
        })
    }
}

/// The crate spells a name that is a word of Rust's (`break`) as Rust must.
fn plain(spelled: &str) -> &str {
    spelled.trim_start_matches("r#")
}

/// An event's `action`, as far as the call alone tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A name is removed, or a directory when the flags say so.
    Delete,
    /// A directory is removed.
    Rmdir,
    /// A name becomes another one, and may replace it.
    Rename,
    /// The content is removed, or its end.
    Truncate,
}

impl Action {
    /// As it stands in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Rmdir => "rmdir",
            Self::Rename => "rename",
            Self::Truncate => "truncate",
        }
    }
}

/// A call that can be watched. Arguments count from 1; 0 is none.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// As in the man page.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
    /// What it is to the BPF programs.
    pub shape: call,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn watched(name: &'static str, action: Action, condition: call_condition, at: [u8; 5]) -> Call {
    let [dfd, path, flags, new_dfd, new_path] = at;
    let shape = call { condition: condition.0 as u8, dfd, path, flags, new_dfd, new_path, reserved: [0; 2] };
    Call { name, action, shape }
}

/// Every call that can be watched: unlink(2), rmdir(2), rename(2), truncate(2), open(2), openat2(2).
pub const CALLS: &[Call] = {
    use Action::{Delete, Rename, Rmdir, Truncate};
    const ALWAYS: call_condition = call_condition::CALL_ALWAYS;
    const O_TRUNC: call_condition = call_condition::CALL_O_TRUNC;
    const HOW: call_condition = call_condition::CALL_HOW_O_TRUNC;
    &[
        watched("unlink", Delete, ALWAYS, [0, 1, 0, 0, 0]),
        watched("unlinkat", Delete, ALWAYS, [1, 2, 3, 0, 0]),
        watched("rmdir", Rmdir, ALWAYS, [0, 1, 0, 0, 0]),
        watched("rename", Rename, ALWAYS, [0, 1, 0, 0, 2]),
        watched("renameat", Rename, ALWAYS, [1, 2, 0, 3, 4]),
        watched("renameat2", Rename, ALWAYS, [1, 2, 5, 3, 4]),
        watched("truncate", Truncate, ALWAYS, [0, 1, 0, 0, 0]),
        watched("truncate64", Truncate, ALWAYS, [0, 1, 0, 0, 0]),
        watched("ftruncate", Truncate, ALWAYS, [1, 0, 0, 0, 0]),
        watched("ftruncate64", Truncate, ALWAYS, [1, 0, 0, 0, 0]),
        watched("open", Truncate, O_TRUNC, [0, 1, 2, 0, 0]),
        watched("openat", Truncate, O_TRUNC, [1, 2, 3, 0, 0]),
        watched("openat2", Truncate, HOW, [1, 2, 3, 0, 0]),
        watched("creat", Truncate, ALWAYS, [0, 1, 0, 0, 0]),
    ]
};

/// The calls that delete a name: the default of `Tracer(syscalls=)`.
pub const DELETE: &[&str] = &["unlink", "unlinkat", "rmdir"];
/// Those that rename one, and may delete what had the new name.
pub const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
/// Those that delete content. The 64-bit ones of the name exist in 32-bit tables.
pub const TRUNCATE: &[&str] =
    &["truncate", "truncate64", "ftruncate", "ftruncate64", "open", "openat", "openat2", "creat"];

/// These by the words that stand for them.
pub const GROUPS: &[(&str, &[&str])] = &[("delete", DELETE), ("rename", RENAME), ("truncate", TRUNCATE)];

/// Looks a call that can be watched up by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

/// Its numbers on this machine, in the native and the 32-bit table.
#[must_use]
pub fn numbers(call: &Call) -> [Option<u32>; 2] {
    [Abi::NATIVE, Abi::COMPAT].map(|abi| abi.number(call.name))
}

/// The requests of `io_uring`'s that can be watched, by opcode (`include/uapi/linux/io_uring.h`): the call that does the
/// same.
const REQUESTS: &[(usize, &str, call_condition)] = &[
    (18, "openat", call_condition::CALL_O_TRUNC),
    // Its structure is in the kernel by the time that the request is seen.
    (28, "openat2", call_condition::CALL_O_TRUNC),
    (35, "renameat2", call_condition::CALL_ALWAYS),
    (36, "unlinkat", call_condition::CALL_ALWAYS),
    (55, "ftruncate", call_condition::CALL_ALWAYS),
];

/// The requests that do what the call does, by opcode.
pub fn requests(call: &Call) -> impl Iterator<Item = (usize, request_call)> {
    let nr = Abi::NATIVE.number(call.name);
    REQUESTS.iter().filter(|(_, name, _)| *name == call.name).filter_map(move |(opcode, _, condition)| {
        Some((*opcode, request_call { nr: nr?, condition: condition.0 as u8, ..Default::default() }))
    })
}

/// Looks a call that can be watched up by a record's `abi` and `nr`.
#[must_use]
pub fn of_record(abi: u32, nr: u32) -> Option<&'static Call> {
    static TABLES: OnceLock<[Vec<Option<&'static Call>>; 2]> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        [0, 1].map(|table| {
            let mut calls = vec![None; TABLE];
            for call in CALLS {
                if let Some(nr) = numbers(call)[table] {
                    calls[nr as usize] = Some(call);
                }
            }
            calls
        })
    });
    *tables[usize::from(abi == types::abi::ABI_COMPAT.0)].get(nr as usize)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernels_tables() {
        let table = |abi: Abi| ["unlink", "unlinkat", "rmdir", "renameat2", "openat2"].map(|name| abi.number(name));
        assert_eq!(table(Abi::X86_64), [Some(87), Some(263), Some(84), Some(316), Some(437)]);
        assert_eq!(table(Abi::I386), [Some(10), Some(301), Some(40), Some(353), Some(437)]);
        assert_eq!(table(Abi::Aarch64), [None, Some(35), None, Some(276), Some(437)]);
        assert_eq!(table(Abi::Arm), [Some(10), Some(328), Some(40), Some(382), Some(437)]);
        assert_eq!(Abi::X32.number("unlinkat"), Some(0x4000_0107));
        assert_eq!(Abi::I386.name(263), Some("timer_delete"));
        assert_eq!(Abi::X32.name(263), None);
        assert_eq!(Abi::X86_64.name(100_000), None);
        assert_eq!(Abi::X86_64.number("timer_remove"), None);
    }

    #[test]
    fn names_and_numbers_are_each_other() {
        for abi in Abi::ALL {
            for number in (0..600).map(|number| if abi == Abi::X32 { number | X32_BIT } else { number }) {
                if let Some(name) = abi.name(number) {
                    assert_eq!(abi.number(name), Some(number), "{name} of {}", abi.as_str());
                }
            }
        }
    }

    #[test]
    fn records_find_their_call_by_table() {
        for call in CALLS {
            for (abi, nr) in numbers(call).into_iter().enumerate() {
                assert!(nr.is_none_or(|nr| of_record(abi as u32, nr) == Some(call) && (nr as usize) < TABLE));
            }
        }
        assert_eq!(of_record(0, u32::MAX), None);
        let groups = [DELETE, RENAME, TRUNCATE].concat();
        assert!(groups.iter().all(|name| by_name(name).is_some()));
        assert_eq!(groups.len(), CALLS.len());
    }
}
