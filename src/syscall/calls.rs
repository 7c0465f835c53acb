//! The calls with arguments that events have keys of their own for: paths, descriptors, flags, lengths.

use crate::skel::types::{call, call_condition, call_trait};
use crate::syscall::call::Action::{self, Delete, Rename, Rmdir, Truncate};
use crate::syscall::call::Call;

const ALWAYS: call_condition = call_condition::CALL_ALWAYS;
const O_TRUNC: call_condition = call_condition::CALL_O_TRUNC;
const HOW: call_condition = call_condition::CALL_HOW_O_TRUNC;

const fn watched(name: &'static str, action: Action, condition: call_condition, at: [u8; 5]) -> Call {
    let [dfd, path, flags, new_dfd, new_path] = at;
    let is_work = !matches!(condition, call_condition::CALL_FALLOCATE | call_condition::CALL_IOCTL);
    let traits = if is_work { call_trait::CALL_WORKS.0 as u16 } else { 0 };
    let condition = condition.0 as u8;
    let shape = call { condition, dfd, path, flags, new_dfd, new_path, length: 0, reserved: 0, traits };
    Call { name, action: Some(action), shape }
}

/// A call that makes nothing go.
pub(super) const fn changing(name: &'static str, at: [u8; 5]) -> Call {
    let [dfd, path, flags, new_dfd, new_path] = at;
    let condition = call_condition::CALL_ALWAYS.0 as u8;
    let traits = if dfd | path == 0 { call_trait::CALL_PATHLESS.0 as u16 } else { 0 };
    let shape = call { condition, dfd, path, flags, new_dfd, new_path, length: 0, reserved: 0, traits };
    Call { name, action: None, shape }
}

/// A call that returns twice, the second time in a thread that did not call it.
const fn forking(name: &'static str) -> Call {
    let mut call = changing(name, [0; 5]);
    call.shape.traits |= call_trait::CALL_FORKS.0 as u16;
    call
}

/// A call that begins another program in its process.
const fn executing(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_EXECS.0 as u16;
    call
}

/// A call that ends its thread, or goes on where a signal's handler interrupted it.
const fn not_returning(name: &'static str) -> Call {
    let mut call = changing(name, [0; 5]);
    call.shape.traits |= call_trait::CALL_NO_RETURN.0 as u16;
    call
}

/// A call whose flags can be `AT_EMPTY_PATH` and `AT_SYMLINK_NOFOLLOW`.
const fn by_at_flags(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_AT.0 as u16;
    call
}

/// A call whose flags can be `AT_EMPTY_PATH` and `AT_SYMLINK_FOLLOW`.
const fn linking(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_AT_LINK.0 as u16;
    call
}

/// A call that opens the file and returns its descriptor.
const fn opening(mut opened: Call) -> Call {
    opened.shape.traits |= (call_trait::CALL_OPENS.0 | call_trait::CALL_FOLLOWS.0) as u16;
    opened
}

/// A call that follows a symbolic link as the last component of its name.
const fn following(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_FOLLOWS.0 as u16;
    call
}

/// A call with a range of bytes as its last arguments.
const fn ranging(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_RANGES.0 as u16;
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
    sized.shape.traits |= call_trait::CALL_SPLITS_LENGTH.0 as u16;
    sized
}

/// A call whose name, or descriptor, leads to no path.
const fn pathless(mut call: Call) -> Call {
    call.shape.traits |= call_trait::CALL_PATHLESS.0 as u16;
    call
}

/// The calls that make names or content go.
pub(super) const LOSSES: &[Call] = &[
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
    // A handle is no name, and the descriptor only says in which file system it is.
    pathless(opening(watched("open_by_handle_at", Truncate, O_TRUNC, [1, 0, 3, 0, 0]))),
    // The flags decide about the action of the next two.
    ranging(watched("fallocate", Action::Punch, call_condition::CALL_FALLOCATE, [1, 0, 2, 0, 0])),
    watched("ioctl", Delete, call_condition::CALL_IOCTL, [1, 0, 2, 0, 0]),
    // The name of a queue, whose file system need not be mounted anywhere.
    pathless(watched("mq_unlink", Delete, ALWAYS, [0, 1, 0, 0, 0])),
];

/// The other calls that change files otherwise than by writing into them.
pub(super) const CHANGES: &[Call] = &[
    // New names.
    changing("mkdir", [0, 1, 0, 0, 0]),
    changing("mkdirat", [1, 2, 0, 0, 0]),
    changing("mknod", [0, 1, 0, 0, 0]),
    changing("mknodat", [1, 2, 0, 0, 0]),
    changing("link", [0, 1, 0, 0, 2]),
    linking(changing("linkat", [1, 2, 5, 3, 4])),
    // What a symbolic link says is a text. Its path is that of the link.
    changing("symlink", [0, 2, 0, 0, 0]),
    changing("symlinkat", [2, 3, 0, 0, 0]),
    // What is written about a file.
    following(changing("chmod", [0, 1, 0, 0, 0])),
    changing("fchmod", [1, 0, 0, 0, 0]),
    following(changing("fchmodat", [1, 2, 0, 0, 0])),
    by_at_flags(changing("fchmodat2", [1, 2, 4, 0, 0])),
    following(changing("chown", [0, 1, 0, 0, 0])),
    changing("lchown", [0, 1, 0, 0, 0]),
    changing("fchown", [1, 0, 0, 0, 0]),
    by_at_flags(changing("fchownat", [1, 2, 5, 0, 0])),
    following(changing("chown32", [0, 1, 0, 0, 0])),
    changing("lchown32", [0, 1, 0, 0, 0]),
    changing("fchown32", [1, 0, 0, 0, 0]),
    following(changing("setxattr", [0, 1, 5, 0, 0])),
    changing("lsetxattr", [0, 1, 5, 0, 0]),
    changing("fsetxattr", [1, 0, 5, 0, 0]),
    by_at_flags(changing("setxattrat", [1, 2, 3, 0, 0])),
    following(changing("removexattr", [0, 1, 0, 0, 0])),
    changing("lremovexattr", [0, 1, 0, 0, 0]),
    changing("fremovexattr", [1, 0, 0, 0, 0]),
    by_at_flags(changing("removexattrat", [1, 2, 3, 0, 0])),
    following(changing("utime", [0, 1, 0, 0, 0])),
    following(changing("utimes", [0, 1, 0, 0, 0])),
    following(changing("futimesat", [1, 2, 0, 0, 0])),
    by_at_flags(changing("utimensat", [1, 2, 4, 0, 0])),
    by_at_flags(changing("utimensat_time64", [1, 2, 4, 0, 0])),
    // What paths lead to.
    following(changing("mount", [0, 2, 4, 0, 0])),
    following(changing("umount", [0, 1, 0, 0, 0])),
    following(changing("umount2", [0, 1, 2, 0, 0])),
    changing("move_mount", [1, 2, 5, 3, 4]),
    following(changing("pivot_root", [0, 1, 0, 0, 2])),
    following(changing("swapon", [0, 1, 2, 0, 0])),
    following(changing("swapoff", [0, 1, 0, 0, 0])),
];

/// Calls that change no file, or what is in it.
pub(super) const OTHERS: &[Call] = &[
    executing(following(changing("execve", [0, 1, 0, 0, 0]))),
    executing(by_at_flags(changing("execveat", [1, 2, 5, 0, 0]))),
    following(changing("chdir", [0, 1, 0, 0, 0])),
    changing("fchdir", [1, 0, 0, 0, 0]),
    following(changing("chroot", [0, 1, 0, 0, 0])),
    following(changing("stat", [0, 1, 0, 0, 0])),
    changing("lstat", [0, 1, 0, 0, 0]),
    changing("fstat", [1, 0, 0, 0, 0]),
    by_at_flags(changing("newfstatat", [1, 2, 4, 0, 0])),
    following(changing("stat64", [0, 1, 0, 0, 0])),
    changing("lstat64", [0, 1, 0, 0, 0]),
    changing("fstat64", [1, 0, 0, 0, 0]),
    by_at_flags(changing("fstatat64", [1, 2, 4, 0, 0])),
    by_at_flags(changing("statx", [1, 2, 3, 0, 0])),
    following(changing("access", [0, 1, 0, 0, 0])),
    following(changing("faccessat", [1, 2, 0, 0, 0])),
    by_at_flags(changing("faccessat2", [1, 2, 4, 0, 0])),
    changing("readlink", [0, 1, 0, 0, 0]),
    changing("readlinkat", [1, 2, 0, 0, 0]),
    following(changing("statfs", [0, 1, 0, 0, 0])),
    changing("fstatfs", [1, 0, 0, 0, 0]),
    following(changing("getxattr", [0, 1, 0, 0, 0])),
    changing("lgetxattr", [0, 1, 0, 0, 0]),
    changing("fgetxattr", [1, 0, 0, 0, 0]),
    following(changing("listxattr", [0, 1, 0, 0, 0])),
    changing("llistxattr", [0, 1, 0, 0, 0]),
    changing("flistxattr", [1, 0, 0, 0, 0]),
    linking(changing("name_to_handle_at", [1, 2, 5, 0, 0])),
    by_at_flags(changing("open_tree", [1, 2, 3, 0, 0])),
    changing("inotify_add_watch", [0, 2, 0, 0, 0]),
    changing("fanotify_mark", [4, 5, 2, 0, 0]),
    following(changing("acct", [0, 1, 0, 0, 0])),
    // By a descriptor alone.
    changing("read", [1, 0, 0, 0, 0]),
    changing("readv", [1, 0, 0, 0, 0]),
    changing("pread64", [1, 0, 0, 0, 0]),
    changing("preadv", [1, 0, 0, 0, 0]),
    changing("preadv2", [1, 0, 0, 0, 0]),
    changing("write", [1, 0, 0, 0, 0]),
    changing("writev", [1, 0, 0, 0, 0]),
    changing("pwrite64", [1, 0, 0, 0, 0]),
    changing("pwritev", [1, 0, 0, 0, 0]),
    changing("pwritev2", [1, 0, 0, 0, 0]),
    changing("close", [1, 0, 0, 0, 0]),
    changing("fsync", [1, 0, 0, 0, 0]),
    changing("fdatasync", [1, 0, 0, 0, 0]),
    changing("syncfs", [1, 0, 0, 0, 0]),
    changing("flock", [1, 0, 0, 0, 0]),
    changing("lseek", [1, 0, 0, 0, 0]),
    changing("getdents", [1, 0, 0, 0, 0]),
    changing("getdents64", [1, 0, 0, 0, 0]),
    changing("dup", [1, 0, 0, 0, 0]),
    changing("dup2", [1, 0, 0, 0, 0]),
    changing("dup3", [1, 0, 3, 0, 0]),
    changing("fcntl", [1, 0, 0, 0, 0]),
    changing("fcntl64", [1, 0, 0, 0, 0]),
    changing("fadvise64", [1, 0, 0, 0, 0]),
    changing("readahead", [1, 0, 0, 0, 0]),
    changing("sync_file_range", [1, 0, 4, 0, 0]),
    changing("sendfile", [1, 0, 0, 0, 0]),
    changing("copy_file_range", [1, 0, 0, 3, 0]),
    forking("clone"),
    forking("clone3"),
    forking("fork"),
    forking("vfork"),
    not_returning("exit"),
    not_returning("exit_group"),
    not_returning("sigreturn"),
    not_returning("rt_sigreturn"),
];

/// Returns the names of calls.
pub(super) const fn names_of<const N: usize>(lists: &[&[Call]]) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut row = 0;
        while row < lists[list].len() {
            names[at] = lists[list][row].name;
            row += 1;
            at += 1;
        }
        list += 1;
    }
    names
}
