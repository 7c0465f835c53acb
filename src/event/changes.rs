//! What an event has in common with an earlier one, so that it need not be made again.

use crate::event::Event;
use crate::fields::Scope;
use crate::record::segments::NameStatus;
use crate::record::{Identity, same_identity};

/// What [`Scope::Call`] is made of, beside the call itself.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    cpu: u32,
    lost: u32,
    dfd: i32,
    flags: u32,
    status: NameStatus,
    ret: Option<i64>,
}

impl Call {
    fn of(event: &Event<'_>) -> Self {
        let record = event.enter.record;
        Self {
            cpu: record.cpu,
            lost: event.lost(),
            dfd: record.dfd,
            flags: record.flags,
            status: event.name_status(),
            ret: event.ret(),
        }
    }
}

/// What [`Scope::Exec`] is made of.
#[derive(Debug, Default)]
struct ExecInfo {
    id: u64,
    ancestors: Vec<u8>,
}

/// `==`, but for two empty ones without memcmp: with AVX-512 it touches what an empty slice points to, which is nowhere,
/// and that takes the processor over 100 ns.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

impl ExecInfo {
    /// Makes this what the event has; true when it was something else.
    #[inline]
    fn update(&mut self, event: &Event<'_>) -> bool {
        let id = event.program.map_or(0, crate::event::exec_cache::ExecInfo::id);
        let ancestors = event.enter.segments.ancestors();
        if self.id == id && same(&self.ancestors, ancestors) {
            return false;
        }
        self.id = id;
        self.ancestors.clear();
        self.ancestors.extend_from_slice(ancestors);
        true
    }
}

/// Which parts of an event differ from those of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    call: bool,
    caller: bool,
    program: bool,
}

impl Changes {
    /// Everything: there is none before.
    pub const ALL: Self = Self { call: true, caller: true, program: true };

    /// Whether this scope does.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        match scope {
            Scope::Event => true,
            Scope::Call => self.call,
            Scope::Thread => self.caller,
            Scope::Exec => self.program,
        }
    }
}

/// The last event seen, as far as the next is compared with it.
#[derive(Debug)]
pub struct Previous {
    tid: u32,
    identity: Identity,
    call: Call,
    program: ExecInfo,
}

impl Previous {
    /// Remembers the event.
    #[must_use]
    pub fn new(event: &Event<'_>) -> Self {
        let mut program = ExecInfo::default();
        program.update(event);
        Self { tid: event.enter.record.tid, identity: *event.enter.identity(), call: Call::of(event), program }
    }

    /// Remembers this event instead, and says where it differs.
    #[inline]
    pub fn update(&mut self, event: &Event<'_>) -> Changes {
        let tid = event.enter.record.tid;
        let (identity, call) = (event.enter.identity(), Call::of(event));
        let caller = self.tid != tid || !same_identity(&self.identity, identity);
        // What a number is to the call depends on which call it is.
        let differs = caller || self.call != call;
        if caller {
            (self.tid, self.identity) = (tid, *identity);
        }
        if differs {
            self.call = call;
        }
        Changes { call: differs, caller, program: self.program.update(event) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exec_cache::ExecCache;
    use crate::record::segments::Segments;
    use crate::record::testing::add_segment;
    use crate::record::{Enter, Exit, enter_record, exit_record};
    use crate::skel::types::{name_status, segment_kind};

    fn changed(scope: &[Scope]) -> Changes {
        let has = |one| scope.contains(&one);
        Changes { call: has(Scope::Call), caller: has(Scope::Thread), program: has(Scope::Exec) }
    }

    #[test]
    fn a_difference_is_told_once_and_by_its_part() {
        let mut record = enter_record::default();
        let enter = Enter { record: &record, segments: Segments::default() };
        let mut last = Previous::new(&Event { enter: &enter, exit: None, offset_ns: 0, program: None, lost_before: 0 });
        let mut see = |record, segments: &[u8], ret: Option<i64>, parts: &[Scope]| {
            let segments = Segments::read(segments).unwrap();
            let exit = ret.map(|ret| exit_record { ret, ..Default::default() });
            let exit = exit.as_ref().map(Exit::new);
            let event = Event {
                enter: &Enter { record: &record, segments },
                exit: exit.as_ref(),
                offset_ns: 0,
                program: None,
                lost_before: 0,
            };
            assert_eq!(last.update(&event), changed(parts));
            assert_eq!(last.update(&event), changed(&[]));
        };
        record.ts_ns = 9;
        record.seq = 9;
        see(record, b"", None, &[]);
        see(record, b"", Some(-2), &[Scope::Call]);
        let of_call: [fn(&mut enter_record); 4] =
            [|it| it.cpu = 1, |it| it.lost = 1, |it| it.dfd = 1, |it| it.flags = 1];
        for set in of_call {
            set(&mut record);
            see(record, b"", None, &[Scope::Call]);
        }
        let of_caller: [fn(&mut enter_record); 5] =
            [|it| it.tid = 1, |it| it.pid = 1, |it| it.nr = 1, |it| it.comm[15] = 1, |it| it.parent_comm[15] = 1];
        for set in of_caller {
            set(&mut record);
            see(record, b"", None, &[Scope::Call, Scope::Thread]);
        }
        let mut segments = Vec::new();
        add_segment(&mut segments, segment_kind::SEGMENT_FILENAME.0, name_status::NAME_FAULT.0, b"");
        see(record, &segments, None, &[Scope::Call]);
        for ancestors in [b"\x01".as_slice(), b"\x02", b""] {
            add_segment(&mut segments, segment_kind::SEGMENT_ANCESTORS.0, 0, ancestors);
            see(record, &segments, None, &[Scope::Exec]);
        }
    }

    #[test]
    fn a_program_is_known_by_its_number() {
        let mut programs = ExecCache::default();
        let mut argv = Vec::new();
        add_segment(&mut argv, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, b"a\0");
        let enter = Enter { record: &enter_record::default(), segments: Segments::read(&argv).unwrap() };
        let mut last = Previous::new(&Event { enter: &enter, exit: None, offset_ns: 0, program: None, lost_before: 0 });
        for _ in 0..2 {
            programs.learn(&enter).unwrap();
            let program = programs.get(0).map(|program| &**program);
            let event = Event { enter: &enter, exit: None, offset_ns: 0, program, lost_before: 0 };
            assert_eq!(last.update(&event), changed(&[Scope::Exec]));
            assert_eq!(last.update(&event), changed(&[]));
        }
    }
}
