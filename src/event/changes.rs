//! Finds out what an event shares with the one before, so that shared values are not converted again.

use crate::event::Event;
use crate::event::file_facts::FileFacts;
use crate::fields::Scope;
use crate::record::segments::NameStatus;
use crate::record::{Identity, same_identity};

/// The values of [`Scope::Call`], without the call itself.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    cpu: u32,
    lost: u32,
    dfd: i32,
    flags: u32,
    status: NameStatus,
    ret: Option<i64>,
    is_created: bool,
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
            is_created: event.is_created(),
        }
    }
}

/// The values of [`Scope::Exec`].
#[derive(Debug, Default)]
struct ExecInfo {
    id: u64,
    ancestors: Vec<u8>,
}

/// Compares two slices, but two empty ones without memcmp. With AVX-512, memcmp touches the address of an empty slice,
/// which is not mapped, and that takes the processor over 100 ns.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

impl ExecInfo {
    /// Stores the event's values. Returns true if they differ from the stored ones.
    #[inline]
    fn update(&mut self, event: &Event<'_>) -> bool {
        let id = event.exec.map_or(0, crate::event::exec_cache::ExecInfo::id);
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

/// The scopes in which an event differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// A bit for each scope.
    scopes: u8,
}

impl Changes {
    /// All scopes differ, as for the first event.
    pub const ALL: Self = Self { scopes: u8::MAX };

    /// The scopes of which the second value is true, and that of the event itself.
    fn of(scopes: &[(Scope, bool)]) -> Self {
        let bits = scopes
            .iter()
            .fold(1 << Scope::Event as u8, |bits, (scope, differs)| bits | u8::from(*differs) << *scope as u8);
        Self { scopes: bits }
    }

    /// Whether the event differs in this scope.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.scopes >> scope as u8 & 1 == 1
    }
}

/// The previous event, as far as the next one is compared with it.
#[derive(Debug)]
pub struct Previous {
    tid: u32,
    identity: Identity,
    call: Call,
    exec: ExecInfo,
    /// `None` where no value of [`Scope::File`] is wanted: finding them out took a tenth of a batch's time.
    file: Option<FileFacts>,
}

impl Previous {
    /// Stores the first event. `with_file` compares the values of [`Scope::File`] too.
    #[must_use]
    pub fn new(event: &Event<'_>, with_file: bool) -> Self {
        let mut exec = ExecInfo::default();
        exec.update(event);
        Self {
            tid: event.enter.record.tid,
            identity: *event.enter.identity(),
            call: Call::of(event),
            exec,
            file: with_file.then(|| event.file_facts()),
        }
    }

    /// Stores this event instead and returns the differences.
    #[inline]
    pub fn update(&mut self, event: &Event<'_>) -> Changes {
        let tid = event.enter.record.tid;
        let (identity, call) = (event.enter.identity(), Call::of(event));
        let thread = self.tid != tid || !same_identity(&self.identity, identity);
        // The call decides what its numbers mean.
        let differs = thread || self.call != call;
        if thread {
            (self.tid, self.identity) = (tid, *identity);
        }
        if differs {
            self.call = call;
        }
        let has_other_file = self.file.as_mut().is_some_and(|file| {
            let next = event.file_facts();
            let differs = *file != next;
            if differs {
                *file = next;
            }
            differs
        });
        let exec = self.exec.update(event);
        Changes::of(&[
            (Scope::Call, differs),
            (Scope::Thread, thread),
            (Scope::Exec, exec),
            (Scope::File, has_other_file),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exec_cache::ExecCache;
    use crate::record::segments::Segments;
    use crate::record::testing::add_segment;
    use crate::record::{Enter, Exit, enter_record, exit_record};
    use crate::skel::types::{file_info, name_status, segment_kind};

    fn changed(scopes: &[Scope]) -> Changes {
        Changes::of(&scopes.iter().map(|scope| (*scope, true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_difference_is_reported_once_and_by_its_scope() {
        let mut record = enter_record::default();
        let enter = Enter { record: &record, segments: Segments::default() };
        let mut last = Previous::new(
            &Event { enter: &enter, exit: None, offset_ns: 0, exec: None, lost_before: 0, truth: None },
            true,
        );
        let mut see = |record, segments: &[u8], ret: Option<i64>, parts: &[Scope]| {
            let segments = Segments::read(segments).unwrap();
            let exit = ret.map(|ret| exit_record { ret, ..Default::default() });
            let exit = exit.as_ref().map(Exit::new);
            let event = Event {
                enter: &Enter { record: &record, segments },
                exit: exit.as_ref(),
                offset_ns: 0,
                exec: None,
                lost_before: 0,
                truth: None,
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
    fn an_exec_info_is_known_by_its_number() {
        let mut cache = ExecCache::default();
        let mut argv = Vec::new();
        add_segment(&mut argv, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, b"a\0");
        let enter = Enter { record: &enter_record::default(), segments: Segments::read(&argv).unwrap() };
        let mut last = Previous::new(
            &Event { enter: &enter, exit: None, offset_ns: 0, exec: None, lost_before: 0, truth: None },
            true,
        );
        for _ in 0..2 {
            cache.learn(&enter).unwrap();
            let exec = cache.get(0).map(|exec| &**exec);
            let event = Event { enter: &enter, exit: None, offset_ns: 0, exec, lost_before: 0, truth: None };
            assert_eq!(last.update(&event), changed(&[Scope::Exec]));
            assert_eq!(last.update(&event), changed(&[]));
        }
    }

    #[test]
    fn files_are_compared_only_where_they_are_wanted() {
        let record = enter_record::default();
        let file = |bytes: u8| {
            let mut segments = Vec::new();
            add_segment(&mut segments, segment_kind::SEGMENT_FILE.0, 0, &[bytes; size_of::<file_info>()]);
            segments
        };
        let (one, other) = (file(1), file(2));
        for (with_file, expected) in [(true, &[Scope::File][..]), (false, &[])] {
            let enters =
                [&one, &other].map(|bytes| Enter { record: &record, segments: Segments::read(bytes).unwrap() });
            let [first, second] = enters.each_ref().map(|enter| Event {
                enter,
                exit: None,
                offset_ns: 0,
                exec: None,
                lost_before: 0,
                truth: None,
            });
            let mut last = Previous::new(&first, with_file);
            assert_eq!(last.update(&first), changed(&[]));
            assert_eq!(last.update(&second), changed(expected));
            assert_eq!(last.update(&second), changed(&[]));
        }
    }
}
