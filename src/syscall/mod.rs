//! The system calls: names and numbers of every table, and what the programs must know of each call.
//!
//! * `arguments`: the arguments of calls, as the man pages name them
//! * `call`: what is known of a call
//! * `calls`: the calls with arguments that events have keys for
//! * `groups`: groups of calls, as strace(1) has them

mod call;
mod calls;

pub mod arguments;
pub mod groups;

use std::sync::OnceLock;

use syscalls::{aarch64, arm, x86, x86_64};

use crate::skel::types::{self, call_condition, request_call};
pub use crate::syscall::call::{Action, Call, Work};
use crate::syscall::calls::{CHANGES, LOSSES, OTHERS, changing, names_of};

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
const TABLE: usize = 1024;

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

impl Work {
    /// Returns the number of the native call that the work is reported as where there is no call.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        Abi::NATIVE.number(match self {
            Self::Remove => "unlinkat",
            Self::Rename => "renameat2",
            Self::Truncate => "ftruncate",
        })
    }
}

/// Every call of any table: those of `calls`, and all others.
fn all() -> &'static [Call] {
    static ALL: OnceLock<Vec<Call>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = [LOSSES, CHANGES, OTHERS].concat();
        // Those of other machines too: their names are known here, and passed over.
        for abi in [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm] {
            for name in (0..NUMBERS).filter_map(|number| abi.name(number)) {
                if !all.iter().any(|call| call.name == name) {
                    all.push(changing(name, [0; 5]));
                }
            }
        }
        all
    })
}

/// The calls that delete a name. They are the default of `Tracer(syscalls=)`.
pub const DELETE: &[&str] = &["unlink", "unlinkat", "rmdir"];
/// The calls that rename a file, and may delete the file that had the new name.
pub const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
/// The calls that delete content. Those with 64 in the name exist only in 32-bit tables.
pub const TRUNCATE: &[&str] =
    &["truncate", "truncate64", "ftruncate", "ftruncate64", "open", "openat", "openat2", "creat", "open_by_handle_at"];
/// The calls that make names or content go. They are the default of the command line.
pub const LOSS: &[&str] = &names_of::<{ LOSSES.len() }>(&[LOSSES]);
/// The calls that change files otherwise than by writing into them: their names, their content by way of losses, what
/// is written about them, and what paths lead to.
pub const FILE_CHANGES: &[&str] = &names_of::<{ LOSSES.len() + CHANGES.len() }>(&[LOSSES, CHANGES]);

/// The groups of calls, by their names.
pub const GROUPS: &[(&str, &[&str])] =
    &[("delete", DELETE), ("rename", RENAME), ("truncate", TRUNCATE), ("loss", LOSS), ("file_changes", FILE_CHANGES)];

/// The word for every call of the machine's tables.
pub const ALL_CALLS: &str = "all";

/// The names of every call of the machine's tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().filter(|call| numbers(call).iter().any(Option::is_some)).map(|call| call.name)
}

/// The calls that change what paths lead to in a mount namespace, or change the namespace: mount(2), umount(2),
/// `move_mount(2)`, `pivot_root(2)`, unshare(2), setns(2). They are no events.
pub const MOUNTING: &[&str] = &["mount", "umount2", "move_mount", "pivot_root", "unshare", "setns"];

/// Finds a call that can be watched by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Call> {
    all().iter().find(|call| call.name == name)
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

/// The calls that have numbers of their own in x32, beside those of the table that it shares, from the first number on
/// (`arch/x86/entry/syscalls/syscall_64.tbl`).
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The first of x32's own numbers, without its bit (`X32_FIRST`).
const X32_FIRST: u32 = 512;

/// Returns the places of the call in the two tables of the BPF programs, each as table and index. x32 shares the native
/// table, in which some of its calls have numbers of their own.
pub fn places(call: &Call) -> impl Iterator<Item = (usize, usize)> {
    let [native, compat] = numbers(call);
    let own = || (X32_FIRST..).zip(X32_OWN).find(|(_, name)| *name == call.name).map(|(number, _)| number);
    let x32 = cfg!(target_arch = "x86_64").then(own).flatten();
    [(0, native), (0, x32), (1, compat)].into_iter().filter_map(|(table, nr)| Some((table, nr? as usize)))
}

/// The `io_uring` requests that can be watched: opcode (`include/uapi/linux/io_uring.h`), the call that does the same,
/// and the condition.
const REQUESTS: &[(usize, &str, call_condition)] = &[
    (17, "fallocate", call_condition::CALL_FALLOCATE),
    (18, "openat", call_condition::CALL_O_TRUNC),
    // The kernel has already copied its structure when the request is seen.
    (28, "openat2", call_condition::CALL_O_TRUNC),
    (35, "renameat2", call_condition::CALL_ALWAYS),
    (36, "unlinkat", call_condition::CALL_ALWAYS),
    (37, "mkdirat", call_condition::CALL_ALWAYS),
    (38, "symlinkat", call_condition::CALL_ALWAYS),
    (39, "linkat", call_condition::CALL_ALWAYS),
    (55, "ftruncate", call_condition::CALL_ALWAYS),
];

/// Returns the requests that do the same as the call, with their opcodes.
pub fn requests(call: &Call) -> impl Iterator<Item = (usize, request_call)> {
    let nr = Abi::NATIVE.number(call.name);
    REQUESTS.iter().filter(|(_, name, _)| *name == call.name).filter_map(move |(opcode, _, condition)| {
        Some((*opcode, request_call { nr: nr?, condition: condition.0 as u8, ..Default::default() }))
    })
}

/// The place in each table that stands for all numbers that cannot be in it (`UNNAMED_NR`).
const UNNAMED: usize = TABLE - 1;

/// Returns the places of numbers without a name in the two tables of the BPF programs, each as table and index.
pub fn unnamed_places() -> impl Iterator<Item = (usize, usize)> {
    let is_unnamed = |&(table, nr): &(usize, usize)| {
        let abi = if table == 0 { types::abi::ABI_X32 } else { types::abi::ABI_COMPAT };
        nr == UNNAMED || of_record(abi.0, nr as u32).is_none()
    };
    (0..2).flat_map(|table| (0..TABLE).map(move |nr| (table, nr))).filter(is_unnamed)
}

/// Returns what the programs know of a call without a name.
#[must_use]
pub fn unnamed_shape() -> types::call {
    changing("", [0; 5]).shape
}

/// Returns the name of a number that no table has, by a record's `abi` and `nr`, as strace(1) has it.
#[must_use]
pub fn unnamed(abi: u32, nr: u32) -> String {
    let x32 = if abi == types::abi::ABI_X32.0 { X32_BIT } else { 0 };
    format!("syscall_{:#x}", nr | x32)
}

/// Finds a call that can be watched by a record's `abi` and `nr`.
#[must_use]
pub fn of_record(abi: u32, nr: u32) -> Option<&'static Call> {
    static TABLES: OnceLock<[Vec<Option<&'static Call>>; 2]> = OnceLock::new();
    // x32's own numbers share the native table.
    if abi == types::abi::ABI_NATIVE.0 && nr >= X32_FIRST {
        return None;
    }
    let tables = TABLES.get_or_init(|| {
        let mut tables = [vec![None; TABLE], vec![None; TABLE]];
        for call in all() {
            for (table, nr) in places(call) {
                tables[table][nr] = Some(call);
            }
        }
        tables
    });
    *tables[usize::from(abi == types::abi::ABI_COMPAT.0)].get(nr as usize)?
}

#[cfg(test)]
mod tests;
