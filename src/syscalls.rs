//! The system calls that can be watched: name, number, and where the arguments are.

use crate::skel::types::syscall_shape;

/// One call of the native table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syscall {
    /// As in the man page.
    pub name: &'static str,
    /// In the native table; `None` where the architecture never had the call (aarch64 has neither unlink nor rmdir).
    pub nr: Option<u32>,
    /// How the arguments lie.
    pub shape: syscall_shape,
    /// Whether the call removes directories whatever its flags are.
    pub removes_directory: bool,
}

const fn native(nr: libc::c_long) -> u32 {
    nr.cast_unsigned() as u32
}

/// The table, from libc's numbers for the architecture that is being compiled for.
pub const SYSCALLS: &[Syscall] = &[
    Syscall {
        name: "unlink",
        #[cfg(target_arch = "x86_64")]
        nr: Some(native(libc::SYS_unlink)),
        #[cfg(not(target_arch = "x86_64"))]
        nr: None,
        shape: syscall_shape::SHAPE_PATH,
        removes_directory: false,
    },
    Syscall {
        name: "unlinkat",
        nr: Some(native(libc::SYS_unlinkat)),
        shape: syscall_shape::SHAPE_AT,
        removes_directory: false,
    },
    Syscall {
        name: "rmdir",
        #[cfg(target_arch = "x86_64")]
        nr: Some(native(libc::SYS_rmdir)),
        #[cfg(not(target_arch = "x86_64"))]
        nr: None,
        shape: syscall_shape::SHAPE_PATH,
        removes_directory: true,
    },
];

/// The calls that delete a name: the default of `Tracer(syscalls=)`.
pub const DELETE: (&str, &str, &str) = ("unlink", "unlinkat", "rmdir");

/// What the native table is called in an event's `abi`.
pub const NATIVE_ABI: &str = if cfg!(target_arch = "x86_64") { "x86_64" } else { "aarch64" };

/// Looks a call up by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Syscall> {
    SYSCALLS.iter().find(|syscall| syscall.name == name)
}

/// Looks a call up by its native number.
#[must_use]
pub fn by_nr(nr: u32) -> Option<&'static Syscall> {
    SYSCALLS.iter().find(|syscall| syscall.nr == Some(nr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_each_other() {
        for syscall in SYSCALLS {
            assert_eq!(by_name(syscall.name), Some(syscall));
            if let Some(nr) = syscall.nr {
                assert_eq!(by_nr(nr), Some(syscall));
            }
        }
        assert_eq!(by_name("timer_delete"), None);
        assert_eq!(by_nr(u32::MAX), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn numbers_are_those_of_the_kernels_table() {
        let numbers: Vec<_> = SYSCALLS.iter().map(|syscall| (syscall.name, syscall.nr)).collect();
        assert_eq!(numbers, [("unlink", Some(87)), ("unlinkat", Some(263)), ("rmdir", Some(84))]);
    }
}
