//! The records of a call's beginning and end to events: what is open is held here, and not in the kernel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use crate::error::{Malformed, Result};
use crate::event::Event;
use crate::programs::{Program, Programs};
use crate::queue::Chunk;
use crate::record::{Enter, Exit, Record, completion_record, enter_record, exit_record, fetch_ahead, parse, record_at};
use crate::segments::NameStatus;
use crate::skel::types::via;

/// How much the records of open calls may take. One beyond it is delivered at once, without its result.
const OPEN_BYTES: usize = 16 << 20;

/// A completion's `ret` of a request that ended without one (`NO_RESULT`).
const NO_RESULT: i64 = i64::MIN;

/// What the readers count. One thread at a time writes (the reader's lock); any may read.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events whose enter record was decoded.
    pub decoded: AtomicU64,
    /// Of them, those whose exit is waited for.
    pub pending: AtomicU64,
    /// Of them, those that were handed to the caller.
    pub delivered: AtomicU64,
    /// Of them, those that could not be: an exception while they were made into objects.
    pub discarded: AtomicU64,
    /// Of them, those that the filters left out.
    pub filtered: AtomicU64,
    /// Lost before those, and told by no event.
    pub untold: AtomicU64,
    /// Exit records of events that were delivered without waiting for them any longer.
    pub unpaired: AtomicU64,
    /// Events whose name could not be read.
    pub name_faults: AtomicU64,
    /// Events whose name was longer than a path can be.
    pub truncated: AtomicU64,
}

impl Counts {
    /// Of those that count as delivered, so many were not.
    pub fn take_back(&self, events: u64) {
        self.delivered.store(self.delivered.load(Ordering::Relaxed).saturating_sub(events), Ordering::Relaxed);
        add(&self.discarded, events);
    }
}

/// Adds to a counter that has a single writer: cheaper than an atomic addition.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// An enter record whose call is still open, copied out of its chunk.
#[derive(Debug)]
struct Open {
    offset_ns: i64,
    call: (u16, u32),
    ts_ns: u64,
    program: Option<Arc<Program>>,
    record: Vec<u8>,
}

/// What tells which end belongs to which beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// The thread: it is in one system call at a time.
    Thread(u32),
    /// The CPU that a request was submitted on, and the number that it got there.
    Request(u32, u64),
}

impl Key {
    fn of(record: &enter_record) -> Self {
        if via(record.via.into()) == via::VIA_IO_URING {
            Self::Request(record.cpu, record.seq)
        } else {
            Self::Thread(record.tid)
        }
    }
}

/// The calls that are open.
#[derive(Debug, Default)]
pub struct Join {
    open: FxHashMap<Key, Open>,
    open_bytes: usize,
    programs: Programs,
    /// Given up: to be delivered without a result.
    ready: VecDeque<Open>,
    spare: Vec<Vec<u8>>,
}

impl Join {
    /// Makes the next event, by `make`, out of the chunk's records from `position` on; `None` when they are used up.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Malformed`].
    #[inline(always)]
    pub fn next<R>(
        &mut self,
        chunk: &Chunk,
        position: &mut usize,
        counts: &Counts,
        make: &mut impl FnMut(&Event<'_>) -> R,
    ) -> Result<Option<R>> {
        loop {
            if let Some(open) = self.ready.pop_front() {
                return self.finish(open, None, counts, make).map(Some);
            }
            let start = *position;
            let Some((bytes, end)) = record_at(&chunk.bytes, start)? else { return Ok(None) };
            fetch_ahead(&chunk.bytes, end);
            *position = end;
            // By reference: a record is large.
            match &parse(bytes)? {
                Record::Enter(enter) => {
                    let key = Key::of(enter.record);
                    let ends = !enter.has_no_exit();
                    let alone = !self.open.contains_key(&key);
                    if !ends
                        && !alone
                        && let Some(earlier) = self.take(key)
                    {
                        // The thread is in its next call: the exit of the one before was lost. That one comes first.
                        self.ready.push_back(earlier);
                        *position = start;
                        continue;
                    }
                    add(&counts.decoded, 1);
                    self.programs.learn(enter);
                    let exit = if ends && alone { exit_at(chunk, end, enter) } else { None };
                    if let Some((_, end)) = &exit {
                        *position = *end;
                    }
                    let full = self.open_bytes + bytes.len() > OPEN_BYTES;
                    if exit.is_some() || !ends || (alone && full) {
                        let returned = returned_at_exit(enter);
                        let returned = returned.as_ref().map(Exit::new);
                        let exit = exit.as_ref().map(|(exit, _)| exit).or(returned.as_ref());
                        let program = self.programs.of(enter.record.pid).map(|program| &**program);
                        let event = Event { enter, exit, offset_ns: chunk.offset_ns, program, lost_before: 0 };
                        return Ok(Some(deliver(&event, counts, make)));
                    }
                    self.hold(key, enter, bytes, chunk.offset_ns, counts);
                }
                Record::Exit(exit) => {
                    if let Some(open) = self.close(exit, counts) {
                        return self.finish(open, Some(exit), counts, make).map(Some);
                    }
                }
                Record::Completion(record) => match self.take(Key::Request(record.cpu, record.seq)) {
                    Some(open) => {
                        let exit = exit_of(record);
                        let exit = exit.as_ref().map(Exit::new);
                        return self.finish(open, exit.as_ref(), counts, make).map(Some);
                    }
                    None => add(&counts.unpaired, 1),
                },
                // The drain thread has looked at it already.
                Record::Cgroup(_) => {}
            }
        }
    }

    /// Gives up all open calls, oldest first: at the end of the session no exit will come any more. True when that made
    /// events ready.
    pub fn give_up(&mut self) -> bool {
        let mut open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        open.sort_by_key(|open| open.ts_ns);
        self.open_bytes = 0;
        self.ready.extend(open);
        !self.ready.is_empty()
    }

    fn hold(&mut self, key: Key, enter: &Enter<'_>, bytes: &[u8], offset_ns: i64, counts: &Counts) {
        let mut record = self.spare.pop().unwrap_or_default();
        record.extend_from_slice(bytes);
        self.open_bytes += bytes.len();
        add(&counts.pending, 1);
        let call = (enter.record.abi, enter.record.nr);
        let program = self.programs.of(enter.record.pid).cloned();
        let open = Open { offset_ns, call, ts_ns: enter.record.ts_ns, program, record };
        if let Some(earlier) = self.open.insert(key, open) {
            // The thread is in its next call: the exit of the one before was lost.
            self.open_bytes -= earlier.record.len();
            self.ready.push_back(earlier);
        }
    }

    fn take(&mut self, key: Key) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.open_bytes -= open.record.len();
        Some(open)
    }

    /// The open call that this exit ends.
    fn close(&mut self, exit: &Exit<'_>, counts: &Counts) -> Option<Open> {
        let open = self.take(Key::Thread(exit.record.tid));
        if exit.record.lost_exits > 0 {
            // Some of the open calls are over and nothing tells which: late without a result is better than never.
            self.give_up();
        }
        match open {
            Some(open) if open.call == (exit.record.abi, exit.record.nr) => return Some(open),
            Some(other) => self.ready.push_back(other),
            None => {}
        }
        add(&counts.unpaired, 1);
        None
    }

    fn finish<R>(
        &mut self,
        open: Open,
        exit: Option<&Exit<'_>>,
        counts: &Counts,
        make: &mut impl FnMut(&Event<'_>) -> R,
    ) -> Result<R> {
        counts.pending.store(counts.pending.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        let Record::Enter(enter) = &parse(&open.record)? else {
            return Err(Malformed("an open call that is no enter record").into());
        };
        let result = deliver(
            &Event { enter, exit, offset_ns: open.offset_ns, program: open.program.as_deref(), lost_before: 0 },
            counts,
            make,
        );
        let mut record = open.record;
        record.clear();
        if self.spare.len() < 64 {
            self.spare.push(record);
        }
        Ok(result)
    }
}

/// The end of a request, in the terms of a call's; `None` when it ended without a result.
fn exit_of(record: &completion_record) -> Option<exit_record> {
    let exit = exit_record { ts_ns: record.ts_ns, ret: record.ret, ..Default::default() };
    (record.ret != NO_RESULT).then_some(exit)
}

/// The exit that an enter record tells of which was written at it.
#[inline(always)]
fn returned_at_exit(enter: &Enter<'_>) -> Option<exit_record> {
    if !enter.is_at_exit() {
        return None;
    }
    enter.segments.result().map(|ret| exit_record { ts_ns: enter.record.ts_ns, ret, ..Default::default() })
}

/// The exit right behind its own enter: the ordinary case, which needs no table. What is malformed there is met again in
/// its turn: the enter record is sound.
#[inline(always)]
fn exit_at<'a>(chunk: &'a Chunk, position: usize, enter: &Enter<'_>) -> Option<(Exit<'a>, usize)> {
    let Ok(Some((bytes, end))) = record_at(&chunk.bytes, position) else { return None };
    let Ok(Record::Exit(exit)) = parse(bytes) else { return None };
    let own = Key::of(enter.record) == Key::Thread(exit.record.tid)
        && (exit.record.abi, exit.record.nr) == (enter.record.abi, enter.record.nr)
        && exit.record.lost_exits == 0;
    own.then_some((exit, end))
}

#[inline(always)]
fn deliver<R>(event: &Event<'_>, counts: &Counts, make: &mut impl FnMut(&Event<'_>) -> R) -> R {
    match event.name_status() {
        NameStatus::Ok => {}
        NameStatus::Truncated => add(&counts.truncated, 1),
        NameStatus::Fault => add(&counts.name_faults, 1),
    }
    make(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cgroup, completion, enter, exit, framed, named, request, unseen};
    use crate::skel::types::name_status;

    fn begin(tid: u32, name: &str) -> Vec<u8> {
        framed(&named(enter(tid, 263, u64::from(tid)), name_status::NAME_OK, name.as_bytes()), 0)
    }

    fn end(tid: u32, ret: i64) -> Vec<u8> {
        framed(&exit(tid, 263, ret, 0), 0)
    }

    /// Feeds chunks, and gives "name:ret" of what comes out.
    fn feed(join: &mut Join, counts: &Counts, records: &[Vec<u8>]) -> Vec<String> {
        let chunk = Chunk { bytes: records.concat(), ..Chunk::default() };
        let mut make = |event: &Event<'_>| {
            let ret = event.exit.map_or_else(|| "None".into(), |exit| exit.record.ret.to_string());
            format!("{}:{ret}", String::from_utf8_lossy(event.filename().unwrap().bytes))
        };
        let mut position = 0;
        let mut events = Vec::new();
        while let Some(one) = join.next(&chunk, &mut position, counts, &mut make).unwrap() {
            events.push(one);
        }
        events
    }

    fn value(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    #[test]
    fn neighbours_interleaved_and_across_chunks() {
        let (mut join, counts) = (Join::default(), Counts::default());
        assert_eq!(feed(&mut join, &counts, &[begin(1, "a"), end(1, 0), begin(2, "b"), begin(3, "c")]), ["a:0"]);
        assert_eq!(value(&counts.pending), 2);
        assert_eq!(feed(&mut join, &counts, &[end(3, -2), end(2, -13)]), ["c:-2", "b:-13"]);
        assert_eq!((value(&counts.decoded), value(&counts.pending), value(&counts.unpaired)), (3, 0, 0));
        assert_eq!(join.open_bytes, 0);
    }

    #[test]
    fn without_results_each_entry_is_an_event() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let alone = |name: &str| framed(&named(request(0, 1, 5, true), name_status::NAME_OK, name.as_bytes()), 0);
        assert_eq!(feed(&mut join, &counts, &[alone("a"), alone("b")]), ["a:None", "b:None"]);
        assert_eq!(value(&counts.pending), 0);
    }

    #[test]
    fn requests_end_in_any_order_and_beside_calls_of_their_thread() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let begin_request = |cpu, seq, name: &str| {
            framed(&named(request(cpu, seq, 5, false), name_status::NAME_OK, name.as_bytes()), 0)
        };
        let end_request = |cpu, seq, ret| framed(&completion(cpu, seq, ret), 0);
        let begun = [begin_request(0, 1, "a"), begin_request(1, 1, "b"), begin_request(0, 2, "c"), begin(0, "call")];
        assert!(feed(&mut join, &counts, &begun).is_empty());
        let ended = [end_request(0, 2, -2), end(0, 0), end_request(1, 1, NO_RESULT), end_request(1, 1, 0)];
        assert_eq!(feed(&mut join, &counts, &ended), ["c:-2", "call:0", "b:None"]);
        assert_eq!((value(&counts.pending), value(&counts.unpaired)), (1, 1));
        assert!(join.give_up());
        assert_eq!(feed(&mut join, &counts, &[]), ["a:None"]);
        assert_eq!((value(&counts.pending), join.open_bytes), (0, 0));
    }

    #[test]
    fn a_cgroup_between_is_no_event_and_parts_no_call() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let told = framed(&cgroup(2, 7, true, b"/a"), 0);
        let run = [told.clone(), begin(1, "a"), told.clone(), end(1, 0), told];
        assert_eq!(feed(&mut join, &counts, &run), ["a:0"]);
        assert_eq!((value(&counts.decoded), value(&counts.unpaired), value(&counts.pending)), (1, 0, 0));
    }

    #[test]
    fn an_exit_alone_is_counted_and_dropped() {
        let (mut join, counts) = (Join::default(), Counts::default());
        assert!(feed(&mut join, &counts, &[end(1, 0)]).is_empty());
        assert_eq!(value(&counts.unpaired), 1);
    }

    #[test]
    fn a_threads_next_call_gives_up_the_one_before() {
        let (mut join, counts) = (Join::default(), Counts::default());
        assert!(feed(&mut join, &counts, &[begin(1, "lost its exit")]).is_empty());
        let made = feed(&mut join, &counts, &[begin(1, "next"), end(1, 0)]);
        assert_eq!(made, ["lost its exit:None", "next:0"]);
        assert_eq!((value(&counts.pending), join.open_bytes), (0, 0));
    }

    #[test]
    fn a_call_whose_entry_was_not_seen() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let at_exit = |name: &str, ret| framed(&unseen(1, 263, name.as_bytes(), ret), 0);
        assert_eq!(feed(&mut join, &counts, &[at_exit("a", Some(-2)), at_exit("b", None)]), ["a:-2", "b:None"]);
        // The exit of what the thread was in before was lost: that call comes first, and without a result.
        let made = feed(&mut join, &counts, &[begin(1, "c"), begin(2, "d"), at_exit("e", Some(7)), end(2, 0)]);
        assert_eq!(made, ["c:None", "e:7", "d:0"]);
        assert_eq!((value(&counts.decoded), value(&counts.pending), value(&counts.unpaired)), (5, 0, 0));
        let bytes = unseen(1, 263, b"a", Some(0));
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        let returned = returned_at_exit(&enter).unwrap();
        let exit = Some(&Exit::new(&returned)).copied();
        let event = Event { enter: &enter, exit: exit.as_ref(), offset_ns: 0, program: None, lost_before: 0 };
        assert_eq!((event.ret(), event.duration_ns(), event.ts_ns()), (Some(0), None, 900));
    }

    #[test]
    fn an_exit_of_another_call_is_not_taken_for_its_own() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let other = framed(&exit(1, 84, 0, 0), 0);
        assert_eq!(feed(&mut join, &counts, &[begin(1, "a"), other]), ["a:None"]);
        assert_eq!(value(&counts.unpaired), 1);
    }

    #[test]
    fn lost_exits_give_up_what_is_open() {
        let (mut join, counts) = (Join::default(), Counts::default());
        assert!(feed(&mut join, &counts, &[begin(5, "b"), begin(2, "a"), begin(9, "c")]).is_empty());
        let told = framed(&exit(9, 263, 0, 3), 0);
        assert_eq!(feed(&mut join, &counts, &[told]), ["c:0", "a:None", "b:None"]);
        assert_eq!(value(&counts.pending), 0);
    }

    #[test]
    fn open_calls_are_bounded() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let long = "x".repeat(4000);
        let most = OPEN_BYTES / 4000;
        let made: usize =
            (0..most as u32 + 100).map(|tid| feed(&mut join, &counts, &[begin(tid + 1, &long)]).len()).sum();
        assert!(made >= 100 && join.open_bytes <= OPEN_BYTES, "{made} {}", join.open_bytes);
        assert_eq!(value(&counts.decoded), value(&counts.pending) + made as u64);
    }

    #[test]
    fn what_stands_before_something_malformed_is_not_lost() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let chunk = Chunk { bytes: [begin(1, "a"), framed(b"neither of them", 0)].concat(), ..Chunk::default() };
        assert!(join.next(&chunk, &mut 0, &counts, &mut |_| ()).is_err());
        assert_eq!((value(&counts.decoded), value(&counts.pending)), (1, 1));
        assert_eq!(feed(&mut join, &counts, &[end(1, 0)]), ["a:0"]);
    }

    #[test]
    fn a_name_read_at_the_exit_counts() {
        let (mut join, counts) = (Join::default(), Counts::default());
        let blind = framed(&named(enter(1, 263, 1), name_status::NAME_FAULT, b""), 0);
        let seen = framed(&named(exit(1, 263, 0, 0), name_status::NAME_OK, b"late"), 0);
        assert_eq!(feed(&mut join, &counts, &[blind.clone(), seen]), ["late:0"]);
        assert_eq!(value(&counts.name_faults), 0);
        assert_eq!(feed(&mut join, &counts, &[blind, end(1, -14)]), [":-14"]);
        assert_eq!(value(&counts.name_faults), 1);
    }
}
