//! A call, made of its records: what a caller asks for, whatever record it came in.

use crate::record::{Enter, Exit, Name, NameStatus, Segments};
use crate::skel::types::via;
use crate::syscalls::{Action, Call, of_record};

/// A call, as far as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its entry.
    pub enter: Enter<'a>,
    /// Its return.
    pub exit: Option<Exit<'a>>,
    /// From the record's clock to Unix time.
    pub offset_ns: i64,
}

impl<'a> Event<'a> {
    /// Unix time of the entry.
    #[must_use]
    pub fn ts_ns(&self) -> i64 {
        self.enter.record.ts_ns.cast_signed().wrapping_add(self.offset_ns)
    }

    /// Unix time at which the process started.
    #[must_use]
    pub fn start_ns(&self) -> i64 {
        self.enter.record.start_ns.cast_signed().wrapping_add(self.offset_ns)
    }

    /// From the entry to the return.
    #[must_use]
    pub fn duration_ns(&self) -> Option<u64> {
        self.exit.map(|exit| exit.record.ts_ns.saturating_sub(self.enter.record.ts_ns))
    }

    /// The name: what was read at the return where the entry could not read it.
    #[must_use]
    pub fn filename(&self) -> Option<Name<'a>> {
        self.later(self.enter.segments.filename, |segments| segments.filename)
    }

    /// The new name of a rename, in the same way.
    #[must_use]
    pub fn new_filename(&self) -> Option<Name<'a>> {
        self.later(self.enter.segments.new_filename, |segments| segments.new_filename)
    }

    fn later(&self, name: Option<Name<'a>>, of: impl Fn(&Segments<'a>) -> Option<Name<'a>>) -> Option<Name<'a>> {
        let faulted = name.is_some_and(|name| name.status == NameStatus::Fault);
        self.exit.filter(|_| faulted).and_then(|exit| of(&exit.segments)).or(name)
    }

    /// Of both names, the status that says most.
    #[must_use]
    pub fn name_status(&self) -> NameStatus {
        let statuses =
            [self.filename(), self.new_filename()].map(|name| name.map_or(NameStatus::Ok, |name| name.status));
        let has = |status| statuses.contains(&status);
        match () {
            () if has(NameStatus::Fault) => NameStatus::Fault,
            () if has(NameStatus::Truncated) => NameStatus::Truncated,
            () => NameStatus::Ok,
        }
    }

    /// How it came into the kernel.
    #[must_use]
    pub fn via(&self) -> &'static str {
        if via(self.enter.record.via.into()) == via::VIA_IO_URING { "io_uring" } else { "syscall" }
    }

    /// The call; `None` for a number that is not watched, which no program sends.
    #[must_use]
    pub fn call(&self) -> Option<&'static Call> {
        of_record(self.enter.record.abi.into(), self.enter.record.nr)
    }

    /// What was asked for.
    #[must_use]
    pub fn action(&self) -> Action {
        let removes_directory = self.enter.record.flags & libc::AT_REMOVEDIR as u32 != 0;
        match self.call().map_or(Action::Delete, |call| call.action) {
            Action::Delete if removes_directory => Action::Rmdir,
            action => action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::enter_record;

    #[test]
    fn actions() {
        let nr = |name| crate::syscalls::Abi::NATIVE.number(name);
        let action = |nr, flags| {
            let record = enter_record { nr, flags, ..Default::default() };
            Event { enter: Enter { record, segments: Segments::default() }, exit: None, offset_ns: 0 }.action()
        };
        let flag = libc::AT_REMOVEDIR as u32;
        assert_eq!(nr("unlinkat").map(|nr| action(nr, flag)), Some(Action::Rmdir));
        assert_eq!(nr("unlinkat").map(|nr| action(nr, 0)), Some(Action::Delete));
        assert!(nr("rmdir").is_none_or(|nr| action(nr, 0) == Action::Rmdir));
        assert_eq!(nr("renameat2").map(|nr| action(nr, flag)), Some(Action::Rename));
        assert_eq!(nr("openat").map(|nr| action(nr, flag)), Some(Action::Truncate));
    }
}
