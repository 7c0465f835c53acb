//! The system calls: names and numbers of every table, and the calls that can be watched, with the positions of their
//! arguments.

use std::sync::OnceLock;

use syscalls::{aarch64, arm, x86, x86_64};

use crate::skel::types::{self, call, call_condition, call_trait, request_call};

/// A system call table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 64-bit x86 with 32-bit pointers. Its numbers have bit 30 set.
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

/// A bound on the numbers of all tables. The longest table includes the numbers that only x32 has.
const NUMBERS: u32 = 600;

/// A bound on the tables in the BPF programs (`SYSCALLS_MAX`).
const TABLE: usize = 512;

impl Abi {
    /// All tables.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X32, Self::I386, Self::Aarch64, Self::Arm];

    /// The table of the architecture that this is compiled for.
    pub const NATIVE: Self = if cfg!(target_arch = "x86_64") { Self::X86_64 } else { Self::Aarch64 };

    /// The 32-bit table of the same machine.
    pub const COMPAT: Self = if cfg!(target_arch = "x86_64") { Self::I386 } else { Self::Arm };

    /// The text in an event.
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

    /// Returns the table of a record's `abi`.
    #[must_use]
    pub fn of_record(value: u32) -> Self {
        match types::abi(value) {
            types::abi::ABI_COMPAT => Self::COMPAT,
            types::abi::ABI_X32 => Self::X32,
            _ => Self::NATIVE,
        }
    }

    /// Returns the number of a call; `None` where the table does not have it.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let x32 = if self == Self::X32 { X32_BIT } else { 0 };
        // The crate's own parsers also compare with each name, but take 55 KB of code.
        let is_named = |spelled: &str| spelled.ends_with(name) && plain(spelled) == name;
        (0..NUMBERS).map(|number| number | x32).find(|&number| self.spelled(number).is_some_and(is_named))
    }

    /// Returns the name of a number.
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

/// Strips the prefix of a name that is a keyword of Rust (`break`), which the crate must spell as a raw identifier.
fn plain(spelled: &str) -> &str {
    spelled.trim_start_matches("r#")
}

/// An event's `action`, as far as the call alone determines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The call removes a name, or a directory if the flags say so.
    Delete,
    /// The call removes a directory.
    Rmdir,
    /// The call gives a file another name, and may replace the file that had it.
    Rename,
    /// The call removes the content of a file, or its end.
    Truncate,
}

impl Action {
    /// The text in an event.
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

/// A call that can be watched. Arguments are numbered from 1; 0 means that the call has no such argument.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The name in the man page.
    pub name: &'static str,
    /// The action of the call.
    pub action: Action,
    /// The positions of its arguments, for the BPF programs.
    pub shape: call,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn watched(name: &'static str, action: Action, condition: call_condition, at: [u8; 5]) -> Call {
    let [dfd, path, flags, new_dfd, new_path] = at;
    let shape = call { condition: condition.0 as u8, dfd, path, flags, new_dfd, new_path, length: 0, traits: 0 };
    Call { name, action, shape }
}

/// A call that opens the file and returns its descriptor.
const fn opening(mut opened: Call) -> Call {
    opened.shape.traits = (call_trait::CALL_OPENS.0 | call_trait::CALL_FOLLOWS.0) as u8;
    opened
}

/// A call that follows a symbolic link as the last component of its name.
const fn following(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_FOLLOWS.0 as u8;
    call
}

/// A call with the file's new size as its argument at `length`.
const fn sizing(mut sized: Call, length: u8) -> Call {
    sized.shape.length = length;
    sized
}

/// A call whose new size takes two arguments, as 32-bit programs pass 64 bits. On arm the first of them is one with an
/// odd number.
const fn sizing_in_halves(mut sized: Call) -> Call {
    sized.shape.length = if cfg!(target_arch = "x86_64") { 2 } else { 3 };
    sized.shape.traits |= call_trait::CALL_SPLITS_LENGTH.0 as u8;
    sized
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
        following(sizing(watched("truncate", Truncate, ALWAYS, [0, 1, 0, 0, 0]), 2)),
        following(sizing_in_halves(watched("truncate64", Truncate, ALWAYS, [0, 1, 0, 0, 0]))),
        sizing(watched("ftruncate", Truncate, ALWAYS, [1, 0, 0, 0, 0]), 2),
        sizing_in_halves(watched("ftruncate64", Truncate, ALWAYS, [1, 0, 0, 0, 0])),
        opening(watched("open", Truncate, O_TRUNC, [0, 1, 2, 0, 0])),
        opening(watched("openat", Truncate, O_TRUNC, [1, 2, 3, 0, 0])),
        opening(watched("openat2", Truncate, HOW, [1, 2, 3, 0, 0])),
        opening(watched("creat", Truncate, ALWAYS, [0, 1, 0, 0, 0])),
    ]
};

/// The calls that delete a name. They are the default of `Tracer(syscalls=)`.
pub const DELETE: &[&str] = &["unlink", "unlinkat", "rmdir"];
/// The calls that rename a file, and may delete the file that had the new name.
pub const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
/// The calls that delete content. Those with 64 in the name exist only in 32-bit tables.
pub const TRUNCATE: &[&str] =
    &["truncate", "truncate64", "ftruncate", "ftruncate64", "open", "openat", "openat2", "creat"];

/// The groups of calls, by their names.
pub const GROUPS: &[(&str, &[&str])] = &[("delete", DELETE), ("rename", RENAME), ("truncate", TRUNCATE)];

/// The calls that change what paths lead to in a mount namespace, or change the namespace: mount(2), umount(2),
/// `move_mount(2)`, `pivot_root(2)`, unshare(2), setns(2). They are no events.
pub const MOUNTING: &[&str] = &["mount", "umount2", "move_mount", "pivot_root", "unshare", "setns"];

/// Finds a call that can be watched by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

/// Returns the call's numbers on this machine, in the native and the 32-bit table.
#[must_use]
pub fn numbers(call: &Call) -> [Option<u32>; 2] {
    numbers_of(call.name)
}

/// Returns the numbers of a call of this name, in the native and the 32-bit table.
#[must_use]
pub fn numbers_of(name: &str) -> [Option<u32>; 2] {
    [Abi::NATIVE, Abi::COMPAT].map(|abi| abi.number(name))
}

/// The `io_uring` requests that can be watched: opcode (`include/uapi/linux/io_uring.h`), the call that does the same,
/// and the condition.
const REQUESTS: &[(usize, &str, call_condition)] = &[
    (18, "openat", call_condition::CALL_O_TRUNC),
    // The kernel has already copied its structure when the request is seen.
    (28, "openat2", call_condition::CALL_O_TRUNC),
    (35, "renameat2", call_condition::CALL_ALWAYS),
    (36, "unlinkat", call_condition::CALL_ALWAYS),
    (55, "ftruncate", call_condition::CALL_ALWAYS),
];

/// Returns the requests that do the same as the call, with their opcodes.
pub fn requests(call: &Call) -> impl Iterator<Item = (usize, request_call)> {
    let nr = Abi::NATIVE.number(call.name);
    REQUESTS.iter().filter(|(_, name, _)| *name == call.name).filter_map(move |(opcode, _, condition)| {
        Some((*opcode, request_call { nr: nr?, condition: condition.0 as u8, ..Default::default() }))
    })
}

/// Finds a call that can be watched by a record's `abi` and `nr`.
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
