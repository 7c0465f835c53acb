//! What is known of a call: what it asks for, and the positions of its arguments.

use crate::skel::types::{call, call_condition, call_trait, fallocate_mode, ioctl_command};

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
    /// The call makes a hole in a file. Its size stays.
    Punch,
    /// The call replaces a part of a file's content by zeros.
    Zero,
    /// The call takes a part out of a file and moves the rest up.
    Collapse,
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
            Self::Punch => "punch",
            Self::Zero => "zero",
            Self::Collapse => "collapse",
        }
    }
}

/// A call that can be watched. Arguments are numbered from 1; 0 means that the call has no such argument.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The name in the man page.
    pub name: &'static str,
    /// The kind of loss that the call asks for; `None` for a call that makes nothing go.
    pub action: Option<Action>,
    /// The positions of its arguments, for the BPF programs.
    pub shape: call,
}

impl Call {
    /// Returns the action of a call with these flags; `None` where such a call makes nothing go.
    #[must_use]
    pub fn action_of(&self, flags: u32) -> Option<Action> {
        match call_condition(self.shape.condition.into()) {
            call_condition::CALL_FALLOCATE => action_of_mode(flags),
            call_condition::CALL_IOCTL => action_of_command(flags),
            call_condition::CALL_O_TRUNC | call_condition::CALL_HOW_O_TRUNC => self.action.filter(|_| truncates(flags)),
            _ if self.action == Some(Action::Delete) && flags & libc::AT_REMOVEDIR as u32 != 0 => Some(Action::Rmdir),
            _ => self.action,
        }
    }

    /// Whether the call begins another program when it succeeds.
    #[must_use]
    pub fn is_exec(&self) -> bool {
        u32::from(self.shape.traits) & call_trait::CALL_EXECS.0 != 0
    }

    /// Whether the call ends its thread, or goes on where a signal's handler interrupted it.
    #[must_use]
    pub fn never_returns(&self) -> bool {
        u32::from(self.shape.traits) & call_trait::CALL_NO_RETURN.0 != 0
    }
}

/// The work of a function of the kernel's that removes (`enum work`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Removes a name.
    Remove,
    /// Gives a file another name.
    Rename,
    /// Sets a file's size.
    Truncate,
}

impl Work {
    /// All kinds, in the order of the programs'.
    pub const ALL: [Self; 3] = [Self::Remove, Self::Rename, Self::Truncate];
}

impl Call {
    /// Returns the work of the function that carries the call out; `None` for a call that has no such function.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        let condition = call_condition(self.shape.condition.into());
        if matches!(condition, call_condition::CALL_FALLOCATE | call_condition::CALL_IOCTL) {
            return None;
        }
        match self.action? {
            Action::Delete if u32::from(self.shape.traits) & call_trait::CALL_PATHLESS.0 != 0 => None,
            Action::Delete | Action::Rmdir => Some(Work::Remove),
            Action::Rename => Some(Work::Rename),
            _ => Some(Work::Truncate),
        }
    }

    /// Whether a function carries the call out that `hook="vfs"` sees.
    #[must_use]
    pub fn is_seen_by_functions(&self) -> bool {
        self.work().is_some()
    }
}

/// Whether an open with these flags can remove content: `truncates` of `bpf/lib/syscall.bpf.h`.
fn truncates(flags: u32) -> bool {
    let has = |one: i32| flags & one.cast_unsigned() == one.cast_unsigned();
    let is_new = has(libc::O_CREAT) && has(libc::O_EXCL);
    has(libc::O_TRUNC) && !has(libc::O_PATH) && !has(libc::O_DIRECTORY) && !is_new
}

/// Returns the action of fallocate(2). The kernel refuses more than one of these modes.
fn action_of_mode(mode: u32) -> Option<Action> {
    let has = |one: fallocate_mode| mode & one.0 != 0;
    Some(match () {
        () if has(fallocate_mode::FALLOC_FL_PUNCH_HOLE) => Action::Punch,
        () if has(fallocate_mode::FALLOC_FL_COLLAPSE_RANGE) => Action::Collapse,
        () if has(fallocate_mode::FALLOC_FL_ZERO_RANGE) || has(fallocate_mode::FALLOC_FL_WRITE_ZEROES) => Action::Zero,
        () => return None,
    })
}

/// Returns the action of ioctl(2).
fn action_of_command(command: u32) -> Option<Action> {
    Some(match ioctl_command(command) {
        ioctl_command::BTRFS_IOC_SNAP_DESTROY | ioctl_command::BTRFS_IOC_SNAP_DESTROY_V2 => Action::Delete,
        ioctl_command::FS_IOC_UNRESVSP
        | ioctl_command::FS_IOC_UNRESVSP64
        | ioctl_command::FS_IOC_UNRESVSP_32
        | ioctl_command::FS_IOC_UNRESVSP64_32 => Action::Punch,
        ioctl_command::FS_IOC_ZERO_RANGE | ioctl_command::FS_IOC_ZERO_RANGE_32 => Action::Zero,
        // These set the file's size.
        ioctl_command::XFS_IOC_ALLOCSP
        | ioctl_command::XFS_IOC_FREESP
        | ioctl_command::XFS_IOC_ALLOCSP64
        | ioctl_command::XFS_IOC_FREESP64
        | ioctl_command::XFS_IOC_ALLOCSP_32
        | ioctl_command::XFS_IOC_FREESP_32
        | ioctl_command::XFS_IOC_ALLOCSP64_32
        | ioctl_command::XFS_IOC_FREESP64_32 => Action::Truncate,
        _ => return None,
    })
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
