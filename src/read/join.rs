//! Joins enter and exit records to events. Open calls are kept here, not in the kernel.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::{Malformed, Result};
use crate::event::Event;
use crate::event::exec_cache::{ExecCache, ExecInfo};
use crate::memory::aligned::AlignedBytes;
use crate::memory::{OutOfMemory, fallible, reserve};
use crate::read::counters::{ReaderCounters, add, take_off};
use crate::record::segments::{NameStatus, Segments};
use crate::record::{
    Enter, Exit, Record, Truth, completion_record, enter_record, exit_record, fetch_ahead, parse, record_at,
    truth_record,
};
use crate::ring::chunk::Chunk;
use crate::skel::types::{abi, enter_mark, via};

/// The bytes that the records of open calls may take. A call beyond that is delivered at once, without its result.
const OPEN_BYTES: usize = 16 << 20;

/// The `ret` in the completion of a request that ended without a result (`NO_RESULT`).
const NO_RESULT: i64 = i64::MIN;

/// The number of records whose memory is kept for the next open calls.
const SPARE_RECORDS: usize = 64;

/// The result of making an event into an `R`, for which memory may be missing.
pub type Refusable<R> = std::result::Result<R, OutOfMemory>;

/// An enter record whose call is still open, copied out of its chunk.
#[derive(Debug)]
struct Open {
    offset_ns: i64,
    call: (u16, u32),
    ts_ns: u64,
    exec: Option<Arc<ExecInfo>>,
    record: AlignedBytes,
    /// The last truth record, or nothing.
    truth: AlignedBytes,
}

impl Open {
    fn bytes(&self) -> usize {
        self.record.len() + self.truth.len()
    }
}

/// The identity of a call, by which its exit finds its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CallId {
    /// The thread, which is in one system call at a time.
    Thread(u32),
    /// The CPU that a request was submitted on, and its number there.
    Request(u32, u64),
}

impl CallId {
    fn of(record: &enter_record) -> Self {
        let is_at_function = u32::from(record.marks) & enter_mark::ENTER_AT_FUNCTION.0 != 0;
        if via(record.via.into()) == via::VIA_IO_URING && !is_at_function {
            Self::Request(record.cpu, record.seq)
        } else {
            Self::Thread(record.tid)
        }
    }

    fn of_truth(record: &truth_record) -> Self {
        if via(record.via) == via::VIA_IO_URING {
            Self::Request(record.cpu, record.seq)
        } else {
            Self::Thread(record.tid)
        }
    }
}

/// The open calls.
#[derive(Debug, Default)]
pub struct Join {
    open: FxHashMap<CallId, Open>,
    open_bytes: usize,
    exec_cache: ExecCache,
    /// Calls that were given up, to be delivered without a result.
    ready: VecDeque<Open>,
    spare: Vec<AlignedBytes>,
}

impl Join {
    /// Makes the next event from the chunk's records, starting at `position`, by calling `make`. `None` when no record
    /// is left.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Malformed`], and [`crate::error::Error::Memory`] from `make` or for an open call. After
    /// the latter everything is unchanged, and the same call makes the same event.
    #[inline(always)]
    pub fn next<R>(
        &mut self,
        chunk: &Chunk,
        position: &mut usize,
        counters: &ReaderCounters,
        make: &mut impl FnMut(&Event<'_>) -> Refusable<R>,
    ) -> Result<Option<R>> {
        loop {
            if let Some(open) = self.ready.pop_front() {
                let result = finish(&open, None, counters, make);
                return self.done(open, result, |join, open| join.ready.push_front(open)).map(Some);
            }
            let start = *position;
            let Some((bytes, end)) = record_at(&chunk.bytes, start)? else { return Ok(None) };
            fetch_ahead(&chunk.bytes, end);
            *position = end;
            // By reference, because a record is large.
            match &parse(bytes)? {
                Record::Enter(enter) => {
                    let key = CallId::of(enter.record);
                    let ends = !enter.has_no_exit();
                    let alone = !self.open.contains_key(&key);
                    if !ends && !alone {
                        if let Err(refused) = self.reserve_ready(1) {
                            *position = start;
                            return Err(refused.into());
                        }
                        // The thread is in its next call, so the exit of the one before was lost. That call comes
                        // first.
                        let earlier = self.take(key);
                        self.ready.extend(earlier);
                        *position = start;
                        continue;
                    }
                    if let Err(refused) = self.exec_cache.learn(enter) {
                        *position = start;
                        return Err(refused.into());
                    }
                    add(&counters.decoded, 1);
                    let rest = if ends && alone { rest_at(chunk, end, enter) } else { None };
                    let (exit, truth) = match &rest {
                        Some(rest) => {
                            *position = rest.end;
                            (Some(&rest.exit), rest.truth.as_ref())
                        }
                        None => (None, None),
                    };
                    let full = self.open_bytes + bytes.len() > OPEN_BYTES;
                    if exit.is_some() || !ends || (alone && full) {
                        let returned = returned_at_exit(enter);
                        let returned = returned.as_ref().map(Exit::new);
                        let exit = exit.or(returned.as_ref());
                        let exec = self.exec_cache.get(enter.record.pid).map(|exec| &**exec);
                        let truth = truth.or_else(|| own_truth(enter));
                        let event = Event { enter, exit, offset_ns: chunk.offset_ns, exec, lost_before: 0, truth };
                        let result = deliver(&event, counters, make);
                        if result.is_err() {
                            take_off(&counters.decoded, 1);
                            *position = start;
                        }
                        return Ok(Some(result?));
                    }
                    if let Err(refused) = self.hold(key, enter, bytes, chunk.offset_ns, counters) {
                        take_off(&counters.decoded, 1);
                        *position = start;
                        return Err(refused.into());
                    }
                }
                Record::Exit(exit) => {
                    let key = CallId::Thread(exit.record.tid);
                    if let Some(result) =
                        self.end(key, Some(exit), |join| join.close(key, exit, counters), counters, make)
                    {
                        if result.is_err() {
                            *position = start;
                        } else {
                            self.after_exit(exit);
                        }
                        return result.map(Some);
                    }
                }
                Record::Completion(record) => {
                    let (key, exit) = (CallId::Request(record.cpu, record.seq), exit_of(record));
                    let take = |join: &mut Self| {
                        join.reserve_open()?;
                        let open = join.take(key);
                        if open.is_none() {
                            add(&counters.unpaired, 1);
                        }
                        Ok(open)
                    };
                    let exit = exit.as_ref().map(Exit::new);
                    if let Some(result) = self.end(key, exit.as_ref(), take, counters, make) {
                        if result.is_err() {
                            *position = start;
                        }
                        return result.map(Some);
                    }
                }
                Record::Truth(truth) => {
                    if let Err(refused) = self.keep_truth(truth, bytes, counters) {
                        *position = start;
                        return Err(refused.into());
                    }
                }
                // The drain thread has read the reports already.
                Record::Cgroup(_) | Record::Mounts(_) | Record::Fork(_) | Record::Exec(_) => {}
            }
        }
    }

    /// Gives up all open calls, the oldest first, because no exit comes after the end of the session. Returns true if
    /// that made events ready.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when all calls are still open.
    pub fn give_up(&mut self) -> Refusable<bool> {
        self.reserve_ready(self.open.len())?;
        self.give_up_reserved();
        Ok(!self.ready.is_empty())
    }

    fn give_up_reserved(&mut self) {
        let before = self.ready.len();
        self.ready.extend(self.open.drain().map(|(_, open)| open));
        self.ready.make_contiguous()[before..].sort_unstable_by_key(|open| open.ts_ns);
        self.open_bytes = 0;
    }

    /// Makes room for one more open call, or for one that is put back.
    fn reserve_open(&mut self) -> Refusable<()> {
        if self.open.len() < self.open.capacity() { Ok(()) } else { fallible(|| self.open.try_reserve(1)) }
    }

    fn reserve_ready(&mut self, more: usize) -> Refusable<()> {
        if self.ready.capacity() - self.ready.len() >= more {
            return Ok(());
        }
        fallible(|| self.ready.try_reserve(more))
    }

    fn hold(
        &mut self,
        key: CallId,
        enter: &Enter<'_>,
        bytes: &[u8],
        offset_ns: i64,
        counters: &ReaderCounters,
    ) -> Refusable<()> {
        self.reserve_open()?;
        self.reserve_ready(1)?;
        let mut record = self.spare.pop().unwrap_or_default();
        record.extend_from_slice(bytes)?;
        self.open_bytes += bytes.len();
        add(&counters.pending, 1);
        let call = call_of(enter);
        let exec = self.exec_cache.get(enter.record.pid).cloned();
        let truth = AlignedBytes::default();
        let open = Open { offset_ns, call, ts_ns: enter.record.ts_ns, exec, record, truth };
        if let Some(earlier) = self.open.insert(key, open) {
            // The thread is in its next call, so the exit of the one before was lost.
            self.open_bytes -= earlier.bytes();
            self.ready.push_back(earlier);
        }
        Ok(())
    }

    /// Keeps a truth record with its call. A call's truth can come more than once, and then the last one counts. A
    /// truth of no open call is of one that was already delivered, whose exit counts as unpaired.
    fn keep_truth(&mut self, truth: &Truth<'_>, bytes: &[u8], counters: &ReaderCounters) -> Refusable<()> {
        let Some(open) = self.open.get_mut(&CallId::of_truth(truth.record)) else { return Ok(()) };
        let other_bytes = self.open_bytes - open.truth.len();
        if other_bytes + bytes.len() > OPEN_BYTES {
            add(&counters.lost_truths, 1);
            return Ok(());
        }
        // In new memory, so that a lack of it leaves the truth before.
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.extend_from_slice(bytes)?;
        open.truth = kept;
        self.open_bytes = other_bytes + bytes.len();
        Ok(())
    }

    fn take(&mut self, key: CallId) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.open_bytes -= open.bytes();
        Some(open)
    }

    /// Puts back what was taken, for which there is room.
    fn put_back(&mut self, key: CallId, open: Open) {
        self.open_bytes += open.bytes();
        self.open.insert(key, open);
    }

    /// Takes the open call that this exit ends.
    fn close(&mut self, key: CallId, exit: &Exit<'_>, counters: &ReaderCounters) -> Refusable<Option<Open>> {
        self.reserve_open()?;
        self.reserve_ready(1 + if exit.record.lost_exits > 0 { self.open.len() } else { 0 })?;
        match self.take(key) {
            Some(open) if open.call == (exit.record.abi, exit.record.nr) => return Ok(Some(open)),
            // Of another thread, which had this id when its exec began.
            Some(open) if u32::from(exit.record.abi) == abi::ABI_EXEC.0 => {
                self.put_back(key, open);
                self.after_exit(exit);
            }
            Some(other) => {
                self.after_exit(exit);
                self.ready.push_back(other);
            }
            None => self.after_exit(exit),
        }
        add(&counters.unpaired, 1);
        Ok(None)
    }

    /// Gives up all calls after lost exits. [`Join::close`] made room for that.
    fn after_exit(&mut self, exit: &Exit<'_>) {
        if exit.record.lost_exits > 0 {
            // Some open calls are over, and nothing tells which. An event without its result is better than none.
            self.give_up_reserved();
        }
    }

    /// Makes the event of the open call that `take` finds, if there is one.
    fn end<R>(
        &mut self,
        key: CallId,
        exit: Option<&Exit<'_>>,
        take: impl FnOnce(&mut Self) -> Refusable<Option<Open>>,
        counters: &ReaderCounters,
        make: &mut impl FnMut(&Event<'_>) -> Refusable<R>,
    ) -> Option<Result<R>> {
        let open = match take(self) {
            Ok(open) => open?,
            Err(refused) => return Some(Err(refused.into())),
        };
        let result = finish(&open, exit, counters, make);
        Some(self.done(open, result, |join, open| join.put_back(key, open)))
    }

    /// Keeps the memory of a call whose event was made, or puts back a call whose event was refused.
    fn done<R>(
        &mut self,
        open: Open,
        result: Result<Refusable<R>>,
        put_back: impl FnOnce(&mut Self, Open),
    ) -> Result<R> {
        let result = result?;
        if result.is_err() {
            put_back(self, open);
        } else {
            for mut used in [open.record, open.truth] {
                if used.capacity() > 0 && self.spare.len() < SPARE_RECORDS && reserve(&mut self.spare, 1).is_ok() {
                    used.clear();
                    self.spare.push(used);
                }
            }
        }
        Ok(result?)
    }
}

/// Makes the event of an open call. The call is no longer pending unless its event is refused.
fn finish<R>(
    open: &Open,
    exit: Option<&Exit<'_>>,
    counters: &ReaderCounters,
    make: &mut impl FnMut(&Event<'_>) -> Refusable<R>,
) -> Result<Refusable<R>> {
    take_off(&counters.pending, 1);
    let Record::Enter(enter) = &parse(&open.record)? else {
        return Err(Malformed("an open call that is no enter record").into());
    };
    let truth = if open.truth.is_empty() { None } else { Some(truth_of(&open.truth)?) };
    let truth = truth.as_ref().or_else(|| own_truth(enter));
    let event = Event { enter, exit, offset_ns: open.offset_ns, exec: open.exec.as_deref(), lost_before: 0, truth };
    let result = deliver(&event, counters, make);
    if result.is_err() {
        add(&counters.pending, 1);
    }
    Ok(result)
}

fn truth_of(bytes: &[u8]) -> Result<Segments<'_>> {
    match parse(bytes)? {
        Record::Truth(truth) => Ok(truth.segments),
        _ => Err(Malformed("a kept truth that is none").into()),
    }
}

/// Returns the table and the number that the call's exit record has. The exit of a function does not know them, and a
/// successful exec has those of execve(2) in the program that it begins (`set_personality_64bit`,
/// `arch/x86/kernel/process_64.c`), so that goes by its process.
#[inline(always)]
fn call_of(enter: &Enter<'_>) -> (u16, u32) {
    match () {
        () if enter.is_at_function() => (abi::ABI_FUNCTION.0 as u16, 0),
        () if enter.is_exec() => (abi::ABI_EXEC.0 as u16, enter.record.pid),
        () => (enter.record.abi, enter.record.nr),
    }
}

/// Returns the segments of a truth in the enter record itself.
#[inline(always)]
fn own_truth<'a>(enter: &'a Enter<'a>) -> Option<&'a Segments<'a>> {
    enter.is_at_function().then_some(&enter.segments)
}

/// Converts the completion of a request to an exit; `None` when it ended without a result.
fn exit_of(record: &completion_record) -> Option<exit_record> {
    let exit = exit_record { ts_ns: record.ts_ns, ret: record.ret, ..Default::default() };
    (record.ret != NO_RESULT).then_some(exit)
}

/// Returns the exit of an enter record that was written at the exit.
#[inline(always)]
fn returned_at_exit(enter: &Enter<'_>) -> Option<exit_record> {
    if !enter.is_at_exit() {
        return None;
    }
    enter.segments.result().map(|ret| exit_record { ts_ns: enter.record.ts_ns, ret, ..Default::default() })
}

/// The records of a call after its entry.
struct Rest<'a> {
    truth: Option<Segments<'a>>,
    exit: Exit<'a>,
    end: usize,
}

/// Returns the exit that directly follows its own entry, or its truth. That is the usual case and needs no table. A
/// malformed record there is reported when its turn comes, because the enter record is sound.
#[inline(always)]
fn rest_at<'a>(chunk: &'a Chunk, position: usize, enter: &Enter<'_>) -> Option<Rest<'a>> {
    let (mut truth, mut position) = (None, position);
    loop {
        let Ok(Some((bytes, end))) = record_at(&chunk.bytes, position) else { return None };
        match parse(bytes) {
            Ok(Record::Exit(exit)) => {
                let own = CallId::of(enter.record) == CallId::Thread(exit.record.tid)
                    && (exit.record.abi, exit.record.nr) == call_of(enter)
                    && exit.record.lost_exits == 0;
                return own.then_some(Rest { truth, exit, end });
            }
            Ok(Record::Truth(found)) if CallId::of(enter.record) == CallId::of_truth(found.record) => {
                truth = Some(found.segments);
                position = end;
            }
            _ => return None,
        }
    }
}

#[inline(always)]
fn deliver<R>(
    event: &Event<'_>,
    counters: &ReaderCounters,
    make: &mut impl FnMut(&Event<'_>) -> Refusable<R>,
) -> Refusable<R> {
    let result = make(event)?;
    match event.name_status() {
        NameStatus::Ok => {}
        NameStatus::Truncated => add(&counters.truncated, 1),
        NameStatus::Fault => add(&counters.name_faults, 1),
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
