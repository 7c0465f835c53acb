//! Groups of calls, by what they are about. Their members are those of strace's `%file`, `%process`, `%network` and
//! `%memory`, in all tables.

/// The calls that take the name of a file, and getcwd(2), which returns one.
#[rustfmt::skip]
pub const FILE: &[&str] = &[
    "access", "acct", "chdir", "chmod", "chown", "chown32", "chroot", "creat", "execve", "execveat",
    "faccessat", "faccessat2", "fanotify_mark", "fchmodat", "fchmodat2", "fchownat", "file_getattr",
    "file_setattr", "fsconfig", "fspick", "fstatat", "fstatat64", "futimesat", "getcwd", "getxattr",
    "getxattrat", "inotify_add_watch", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr",
    "listxattrat", "llistxattr", "lremovexattr", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod",
    "mknodat", "mount", "mount_setattr", "move_mount", "name_to_handle_at", "newfstatat", "oldlstat", "oldstat",
    "open", "open_tree", "open_tree_attr", "openat", "openat2", "pivot_root", "quotactl", "readlink",
    "readlinkat", "removexattr", "removexattrat", "rename", "renameat", "renameat2", "rmdir", "setxattr",
    "setxattrat", "stat", "stat64", "statfs", "statfs64", "statx", "swapoff", "swapon", "symlink", "symlinkat",
    "truncate", "truncate64", "umount", "umount2", "unlink", "unlinkat", "uselib", "utime", "utimensat",
    "utimensat_time64", "utimes",
];

/// The calls that make, replace, end, signal or await a process.
#[rustfmt::skip]
pub const PROCESS: &[&str] = &[
    "clone", "clone3", "execve", "execveat", "exit", "exit_group", "fork", "kill", "pidfd_send_signal",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "tkill", "vfork", "wait4", "waitid", "waitpid",
];

/// The calls about sockets. 32-bit x86 has one for all of them, socketcall(2).
#[rustfmt::skip]
pub const NETWORK: &[&str] = &[
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendfile", "sendfile64", "sendmmsg",
    "sendmsg", "sendto", "setsockopt", "shutdown", "socket", "socketcall", "socketpair",
];

/// The calls about a process's memory.
#[rustfmt::skip]
pub const MEMORY: &[&str] = &[
    "brk", "get_mempolicy", "io_destroy", "io_setup", "io_uring_register", "madvise", "map_shadow_stack",
    "mbind", "migrate_pages", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "move_pages",
    "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_mprotect",
    "remap_file_pages", "set_mempolicy", "set_mempolicy_home_node", "shmat", "shmdt",
];

/// The groups by name.
pub const GROUPS: &[(&str, &[&str])] =
    &[("file", FILE), ("process", PROCESS), ("network", NETWORK), ("memory", MEMORY)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::Abi;
    use crate::syscall::arguments::{Kind, arguments_of, names};

    #[test]
    fn every_member_is_a_call() {
        for (group, calls) in GROUPS {
            assert!(calls.is_sorted(), "{group}");
            for name in *calls {
                assert!(Abi::ALL.iter().any(|abi| abi.number(name).is_some()), "{name} of {group}");
            }
        }
    }

    #[test]
    fn calls_with_a_path_are_about_files() {
        for abi in Abi::ALL {
            for name in names(abi) {
                let has_path = arguments_of(name, abi).unwrap().iter().any(|argument| argument.kind == Kind::Path);
                assert!(!has_path || FILE.contains(&name), "{name}");
            }
        }
    }
}
