//! An event: one call, made of its records. Every value is the same whichever record it came in.
//!
//! * `args`: the arguments of the call
//! * `changes`: what an event shares with the one before
//! * `exec_cache`: exe and argv of the processes
//! * `ints`: a value that is several integers
//! * `file_facts`: what is known of the file itself
//! * `real_name`, `real_paths`: the paths that the kernel found
//! * `directory_lookup`: the directories of names that it did not show
//! * `names`: names of users
//! * `values`: the value of each key

pub mod args;
pub mod changes;
mod directory_lookup;
pub mod exec_cache;
pub mod file_facts;
pub mod ints;
mod names;
pub mod real_name;
pub mod real_paths;
pub mod values;

use crate::event::exec_cache::ExecInfo;
use crate::record::segments::{Directory, Name, NameStatus, Segments};
use crate::record::{Enter, Exit};
use crate::skel::types::{call, call_trait, range, via};
use crate::syscall::{Abi, Action, Call, of_record, unnamed};

/// The audit id of a task that nobody has set one for (`AUDIT_UID_UNSET`, include/uapi/linux/audit.h).
const UNSET: u32 = u32::MAX;

/// The largest errno. The kernel returns a failure as its negative errno (`MAX_ERRNO`, include/linux/err.h).
const MAX_ERRNO: i64 = 4095;

/// The `dfd` of a request whose descriptor is not known (`NO_DFD`).
const NO_DFD: i32 = i32::MIN;

/// A call, as far as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The enter record.
    pub enter: &'a Enter<'a>,
    /// The exit record.
    pub exit: Option<&'a Exit<'a>>,
    /// The offset from the record's clock to Unix time.
    pub offset_ns: i64,
    /// The exe and argv of the process, if they were asked for.
    pub exec: Option<&'a ExecInfo>,
    /// Losses before filtered events that came since the last delivered one. See [`Event::lost`].
    pub lost_before: u32,
    /// What a hook on the kernel's own functions saw of the call.
    pub truth: Option<&'a Segments<'a>>,
}

impl<'a> Event<'a> {
    /// Unix time of the entry, or of the exit if the entry was not seen.
    #[must_use]
    pub fn ts_ns(&self) -> i64 {
        self.enter.record.ts_ns.cast_signed().wrapping_add(self.offset_ns)
    }

    /// Unix time at which the process started.
    #[must_use]
    pub fn start_ns(&self) -> i64 {
        self.enter.record.start_ns.cast_signed().wrapping_add(self.offset_ns)
    }

    /// The number of events lost on this CPU just before this one.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.enter.record.lost.saturating_add(self.lost_before)
    }

    /// The time from the entry to the exit; `None` when one of them was not seen.
    #[must_use]
    pub fn duration_ns(&self) -> Option<u64> {
        self.exit
            .filter(|_| !self.enter.is_at_exit())
            .map(|exit| exit.record.ts_ns.saturating_sub(self.enter.record.ts_ns))
    }

    /// The name. It comes from the exit record if the entry could not read it.
    #[must_use]
    #[inline]
    pub fn filename(&self) -> Option<Name<'a>> {
        self.later(Segments::filename)
    }

    /// The new name of a rename, read in the same way.
    #[must_use]
    #[inline]
    pub fn new_filename(&self) -> Option<Name<'a>> {
        self.later(Segments::new_filename)
    }

    #[inline]
    fn later(&self, of: impl Fn(&Segments<'a>) -> Option<Name<'a>>) -> Option<Name<'a>> {
        let name = of(&self.enter.segments);
        if self.enter.segments.are_names_whole() {
            return name;
        }
        let faulted = name.is_some_and(|name| name.status == NameStatus::Fault);
        self.exit.filter(|_| faulted).and_then(|exit| of(&exit.segments())).or(name)
    }

    /// The more severe status of the two names.
    #[must_use]
    #[inline]
    pub fn name_status(&self) -> NameStatus {
        if self.enter.segments.are_names_whole() {
            return NameStatus::Ok;
        }
        let statuses =
            [self.filename(), self.new_filename()].map(|name| name.map_or(NameStatus::Ok, |name| name.status));
        let has = |status| statuses.contains(&status);
        match () {
            () if has(NameStatus::Fault) => NameStatus::Fault,
            () if has(NameStatus::Truncated) => NameStatus::Truncated,
            () => NameStatus::Ok,
        }
    }

    /// The call; `None` for a number that no table has.
    #[must_use]
    pub fn call(&self) -> Option<&'static Call> {
        of_record(self.enter.record.abi.into(), self.enter.record.nr)
    }

    fn has(&self, argument: impl Fn(&call) -> u8) -> bool {
        self.call().is_some_and(|call| argument(&call.shape) > 0)
    }

    /// The directory's descriptor, for a call that takes one.
    #[must_use]
    pub fn dfd(&self) -> Option<i32> {
        self.has(|shape| shape.dfd).then_some(self.enter.record.dfd).filter(|dfd| *dfd != NO_DFD)
    }

    /// The flags, for a call that takes some, if they could be read.
    #[must_use]
    pub fn flags(&self) -> Option<u32> {
        (self.has(|shape| shape.flags) && !self.enter.has_no_flags()).then_some(self.enter.record.flags)
    }

    /// Whether the call opens a file.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.call().is_some_and(|call| u32::from(call.shape.traits) & call_trait::CALL_OPENS.0 != 0)
    }

    /// Whether the call opens the file, and by that empties it.
    #[must_use]
    pub fn opens_to_truncate(&self) -> bool {
        self.opens() && self.action().is_some()
    }

    /// Whether the call takes a second name.
    #[must_use]
    pub fn has_new_name(&self) -> bool {
        self.has(|shape| shape.new_path)
    }

    /// Whether the call follows a symbolic link that its first name leads to.
    #[must_use]
    pub fn follows(&self) -> bool {
        let Some(call) = self.call() else { return false };
        let has = |one: call_trait| u32::from(call.shape.traits) & one.0 != 0;
        let flags = self.enter.record.flags.cast_signed();
        match () {
            () if has(call_trait::CALL_AT) => flags & libc::AT_SYMLINK_NOFOLLOW == 0,
            () if has(call_trait::CALL_AT_LINK) => flags & libc::AT_SYMLINK_FOLLOW != 0,
            () => has(call_trait::CALL_FOLLOWS),
        }
    }

    /// The return value of the call.
    #[must_use]
    pub fn ret(&self) -> Option<i64> {
        self.exit.map(|exit| exit.record.ret)
    }

    /// The error number that the call returned.
    #[must_use]
    pub fn errno(&self) -> Option<u16> {
        self.ret().filter(|ret| (-MAX_ERRNO..0).contains(ret)).map(|ret| ret.unsigned_abs() as u16)
    }

    /// The system call table that the call came through.
    #[must_use]
    pub fn abi(&self) -> Abi {
        Abi::of_record(self.enter.record.abi.into())
    }

    /// Whether it is a request of `io_uring`, whose relative names the kernel resolves when the request runs.
    #[must_use]
    pub fn is_request(&self) -> bool {
        via(self.enter.record.via.into()) == via::VIA_IO_URING
    }

    /// Whether a thread of the kernel's did it, without a call.
    #[must_use]
    pub fn is_by_kernel(&self) -> bool {
        via(self.enter.record.via.into()) == via::VIA_KERNEL
    }

    /// How the call reached the kernel.
    #[must_use]
    pub fn via(&self) -> &'static str {
        match via(self.enter.record.via.into()) {
            via::VIA_IO_URING => "io_uring",
            via::VIA_KERNEL => "kernel",
            _ => "syscall",
        }
    }

    /// The name of a call whose number no table has: `syscall_0x3e7`.
    #[must_use]
    pub fn unnamed(&self) -> Option<String> {
        let record = self.enter.record;
        (self.call().is_none() && !self.is_by_kernel()).then(|| unnamed(record.abi.into(), record.nr))
    }

    /// The name of the call; `None` for one that no table has. What the kernel does by itself is none.
    #[must_use]
    pub fn syscall(&self) -> Option<&'static str> {
        self.call().filter(|_| !self.is_by_kernel()).map(|call| call.name)
    }

    /// The login user.
    #[must_use]
    pub fn auid(&self) -> Option<u32> {
        Some(self.enter.record.auid).filter(|id| *id != UNSET)
    }

    /// The login session.
    #[must_use]
    pub fn session_id(&self) -> Option<u32> {
        Some(self.enter.record.session_id).filter(|id| *id != UNSET)
    }

    /// The arguments, each followed by a NUL.
    #[must_use]
    pub fn argv(&self) -> Option<Name<'a>> {
        self.exec.and_then(ExecInfo::argv)
    }

    /// The executable.
    #[must_use]
    pub fn exe(&self) -> Option<Directory<'a>> {
        self.exec.and_then(ExecInfo::exe)
    }

    /// Whether the executable's file is deleted.
    #[must_use]
    pub fn is_exe_deleted(&self) -> bool {
        self.exec.is_some_and(ExecInfo::is_exe_deleted)
    }

    /// The kind of loss that the call asked for. A file that it has made had nothing to lose.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.call()?.action_of(self.enter.record.flags).filter(|_| !self.is_created())
    }

    /// Whether the call made the file that it opened.
    #[must_use]
    pub fn is_created(&self) -> bool {
        self.exit.is_some_and(|exit| exit.record.is_created != 0)
    }

    /// The bytes of the file that the call removes, as far as they were passed as a range.
    #[must_use]
    pub fn range(&self) -> Option<range> {
        self.enter.segments.range()
    }

    /// Whether the call's name is no path.
    #[must_use]
    pub fn has_pathless_name(&self) -> bool {
        // First what is at hand: the name of nearly every call comes with a directory.
        let segments = &self.enter.segments;
        segments.directory().is_none()
            && segments.filename().is_some()
            && self.has(|shape| u8::from(u32::from(shape.traits) & call_trait::CALL_PATHLESS.0 != 0))
    }
}

impl<'a> Name<'a> {
    /// The bytes, unless they could not be read.
    #[must_use]
    pub fn readable(self) -> Option<&'a [u8]> {
        (self.status != NameStatus::Fault).then_some(self.bytes)
    }
}

/// Returns a command's name: the bytes before the NUL.
#[must_use]
pub fn command(comm: &[u8]) -> &[u8] {
    comm.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{enter_record, exit_record};

    #[test]
    fn actions() {
        let nr = |name| crate::syscall::Abi::NATIVE.number(name);
        let action = |nr, flags| {
            let record = enter_record { nr, flags, ..Default::default() };
            Event {
                enter: &Enter { record: &record, segments: Segments::default() },
                exit: None,
                offset_ns: 0,
                exec: None,
                lost_before: 0,
                truth: None,
            }
            .action()
            .unwrap()
        };
        let flag = libc::AT_REMOVEDIR as u32;
        assert_eq!(nr("unlinkat").map(|nr| action(nr, flag)), Some(Action::Rmdir));
        assert_eq!(nr("unlinkat").map(|nr| action(nr, 0)), Some(Action::Delete));
        assert!(nr("rmdir").is_none_or(|nr| action(nr, 0) == Action::Rmdir));
        assert_eq!(nr("renameat2").map(|nr| action(nr, flag)), Some(Action::Rename));
        assert_eq!(nr("openat").map(|nr| action(nr, libc::O_TRUNC as u32)), Some(Action::Truncate));
    }

    #[test]
    fn results() {
        let of = |ret: Option<i64>| {
            let exit = ret.map(|ret| exit_record { ret, ..Default::default() });
            let exit = exit.as_ref().map(Exit::new);
            let enter = Enter { record: &enter_record::default(), segments: Segments::default() };
            let event =
                Event { enter: &enter, exit: exit.as_ref(), offset_ns: 0, exec: None, lost_before: 0, truth: None };
            (event.ret(), event.errno())
        };
        assert_eq!(of(None), (None, None));
        for (ret, errno) in [(0, None), (7, None), (-1, Some(1)), (-4095, Some(4095)), (-4096, None), (i64::MIN, None)]
        {
            assert_eq!(of(Some(ret)), (Some(ret), errno));
        }
    }

    #[test]
    fn commands() {
        assert_eq!(command(b"rm\0old\0"), b"rm");
        assert_eq!(command(b"all sixteen byte"), b"all sixteen byte");
        assert_eq!(command(b"\0\0"), b"");
    }
}
