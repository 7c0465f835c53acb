//! Records in all orders, and the events that come of them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::record::testing::{
    aligned, at_function, cgroup, completion, end_of_exec, end_of_function, enter, exec, exit, framed, gone, named,
    request, truth, unseen,
};
use crate::skel::types::name_status;

fn begin(tid: u32, name: &str) -> Vec<u8> {
    framed(&named(enter(tid, 263, u64::from(tid)), name_status::NAME_OK, name.as_bytes()), 0)
}

fn end(tid: u32, ret: i64) -> Vec<u8> {
    framed(&exit(tid, 263, ret, 0), 0)
}

/// Feeds chunks, and gives "name:ret" of what comes out.
fn feed(join: &mut Join, counters: &ReaderCounters, records: &[Vec<u8>]) -> Vec<String> {
    let chunk = Chunk { bytes: aligned(&records.concat()), ..Chunk::default() };
    let mut make = |event: &Event<'_>| {
        let ret = event.exit.map_or_else(|| "None".into(), |exit| exit.record.ret.to_string());
        Ok(format!("{}:{ret}", String::from_utf8_lossy(event.filename().unwrap().bytes)))
    };
    let mut position = 0;
    let mut events = Vec::new();
    while let Some(one) = join.next(&chunk, &mut position, counters, &mut make).unwrap() {
        events.push(one);
    }
    events
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn neighbours_interleaved_and_across_chunks() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    assert_eq!(feed(&mut join, &counters, &[begin(1, "a"), end(1, 0), begin(2, "b"), begin(3, "c")]), ["a:0"]);
    assert_eq!(value(&counters.pending), 2);
    assert_eq!(feed(&mut join, &counters, &[end(3, -2), end(2, -13)]), ["c:-2", "b:-13"]);
    assert_eq!((value(&counters.decoded), value(&counters.pending), value(&counters.unpaired)), (3, 0, 0));
    assert_eq!(join.open_bytes, 0);
}

#[test]
fn without_results_each_entry_is_an_event() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let alone = |name: &str| framed(&named(request(0, 1, 5, true), name_status::NAME_OK, name.as_bytes()), 0);
    assert_eq!(feed(&mut join, &counters, &[alone("a"), alone("b")]), ["a:None", "b:None"]);
    assert_eq!(value(&counters.pending), 0);
}

#[test]
fn a_call_that_does_not_return_is_an_event_at_once() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let ends = framed(&named(gone(1, 231, 5), name_status::NAME_OK, b"exit"), 0);
    assert_eq!(feed(&mut join, &counters, &[begin(1, "call"), ends]), ["call:None", "exit:None"]);
    assert_eq!(value(&counters.pending), 0);
}

#[test]
fn an_exec_ends_by_its_process() {
    let begin_exec = |pid, name: &str| framed(&named(exec(7, pid), name_status::NAME_OK, name.as_bytes()), 0);
    let end_exec = |pid, ret| framed(&end_of_exec(7, pid, ret), 0);
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let alone =
        [begin_exec(100, "alone"), end_exec(100, 0), begin_exec(100, "apart"), begin(1, "call"), end_exec(100, -8)];
    assert_eq!(feed(&mut join, &counters, &alone), ["alone:0", "apart:-8"]);
    assert_eq!(value(&counters.unpaired), 0);
    // The first one is held by a debugger, and the second has its thread's id.
    let held = [begin_exec(100, "held"), begin_exec(200, "other"), end_exec(100, 0), end_exec(200, -2)];
    assert_eq!(feed(&mut join, &counters, &held), ["held:None", "other:-2"]);
    let held = [begin_exec(100, "held"), begin(7, "other"), end_exec(100, 0), end(7, -2)];
    assert_eq!(feed(&mut join, &counters, &held), ["held:None", "other:-2"]);
    assert_eq!((value(&counters.unpaired), value(&counters.pending)), (2, 1));
}

#[test]
fn requests_end_in_any_order_and_among_calls_of_their_thread() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let begin_request =
        |cpu, seq, name: &str| framed(&named(request(cpu, seq, 5, false), name_status::NAME_OK, name.as_bytes()), 0);
    let end_request = |cpu, seq, ret| framed(&completion(cpu, seq, ret), 0);
    let begun = [begin_request(0, 1, "a"), begin_request(1, 1, "b"), begin_request(0, 2, "c"), begin(0, "call")];
    assert!(feed(&mut join, &counters, &begun).is_empty());
    let ended = [end_request(0, 2, -2), end(0, 0), end_request(1, 1, NO_RESULT), end_request(1, 1, 0)];
    assert_eq!(feed(&mut join, &counters, &ended), ["c:-2", "call:0", "b:None"]);
    assert_eq!((value(&counters.pending), value(&counters.unpaired)), (1, 1));
    assert!(join.give_up().unwrap());
    assert_eq!(feed(&mut join, &counters, &[]), ["a:None"]);
    assert_eq!((value(&counters.pending), join.open_bytes), (0, 0));
}

#[test]
fn a_cgroup_record_between_is_no_event_and_separates_no_call() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let told = framed(&cgroup(2, 7, true, b"/a"), 0);
    let run = [told.clone(), begin(1, "a"), told.clone(), end(1, 0), told];
    assert_eq!(feed(&mut join, &counters, &run), ["a:0"]);
    assert_eq!((value(&counters.decoded), value(&counters.unpaired), value(&counters.pending)), (1, 0, 0));
}

/// Feeds chunks, and gives the inode numbers of the truths of what comes out.
fn inodes(join: &mut Join, counters: &ReaderCounters, records: &[Vec<u8>]) -> Vec<Option<u64>> {
    let chunk = Chunk { bytes: aligned(&records.concat()), ..Chunk::default() };
    let mut make = |event: &Event<'_>| Ok(event.truth.map(|truth| truth.file().expect("a truth has a file").ino));
    let mut position = 0;
    std::iter::from_fn(|| join.next(&chunk, &mut position, counters, &mut make).unwrap()).collect()
}

fn of_thread(tid: u32, ino: u64) -> Vec<u8> {
    framed(&truth(tid, None, ino), 0)
}

#[test]
fn a_truth_in_a_row_with_its_call_takes_no_table() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let row = [begin(1, "a"), of_thread(1, 7), end(1, 0), begin(1, "b"), end(1, 0)];
    assert_eq!(inodes(&mut join, &counters, &row), [Some(7), None]);
    // The last one counts.
    let row = [begin(1, "c"), of_thread(1, 7), of_thread(1, 8), end(1, 0)];
    assert_eq!(inodes(&mut join, &counters, &row), [Some(8)]);
    assert_eq!((join.open.capacity(), join.spare.len()), (0, 0));
    assert_eq!((value(&counters.decoded), value(&counters.pending), value(&counters.unpaired)), (3, 0, 0));
}

#[test]
fn truths_of_open_calls_interleaved_and_across_chunks() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let begun = [begin(1, "a"), begin(2, "b"), of_thread(2, 20), of_thread(1, 9), begin(3, "c")];
    assert!(inodes(&mut join, &counters, &begun).is_empty());
    let before = join.open_bytes;
    assert!(inodes(&mut join, &counters, &[of_thread(1, 10)]).is_empty());
    assert_eq!(join.open_bytes, before, "another truth in place of the one before");
    let ended = [end(2, 0), end(3, 0), end(1, 0)];
    assert_eq!(inodes(&mut join, &counters, &ended), [Some(20), None, Some(10)]);
    assert_eq!((join.open_bytes, value(&counters.unpaired), value(&counters.lost_truths)), (0, 0, 0));
    // What a thread's call before has left in memory is none of this one's.
    assert_eq!(inodes(&mut join, &counters, &[begin(1, "d"), begin(2, "e"), end(1, 0), end(2, 0)]), [None, None]);
}

#[test]
fn a_truth_of_a_request_and_one_of_its_thread() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let of_request = |cpu, seq, ino| framed(&truth(0, Some((cpu, seq)), ino), 0);
    let run = [
        framed(&named(request(0, 1, 5, false), name_status::NAME_OK, b"a"), 0),
        framed(&named(request(1, 1, 5, false), name_status::NAME_OK, b"b"), 0),
        begin(0, "call"),
        of_request(1, 1, 11),
        of_thread(0, 12),
        of_request(0, 1, 13),
        framed(&completion(1, 1, 0), 0),
        framed(&completion(0, 1, 0), 0),
        end(0, 0),
    ];
    assert_eq!(inodes(&mut join, &counters, &run), [Some(11), Some(13), Some(12)]);
}

#[test]
fn a_truth_without_its_exit_is_delivered_at_the_end() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    assert!(inodes(&mut join, &counters, &[begin(1, "a"), of_thread(1, 7)]).is_empty());
    assert!(join.give_up().unwrap());
    assert_eq!(inodes(&mut join, &counters, &[]), [Some(7)]);
    assert_eq!(join.open_bytes, 0);
}

#[test]
fn what_a_function_made_has_its_truth_in_it_and_its_result_by_the_thread() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let made = |tid, by, ino| framed(&at_function(tid, 263, by, ino), 0);
    let end = |tid, ret| framed(&end_of_function(tid, ret), 0);
    let run = [made(1, via::VIA_SYSCALL, 7), end(1, 0)];
    assert_eq!(inodes(&mut join, &counters, &run), [Some(7)]);
    // Requests and kernel threads are in one function at a time too.
    let run = [made(1, via::VIA_IO_URING, 8), made(2, via::VIA_KERNEL, 9), end(2, 0), end(1, -2)];
    assert_eq!(inodes(&mut join, &counters, &run), [Some(9), Some(8)]);
    // The exit of a call is not that of a function.
    let run = [made(3, via::VIA_SYSCALL, 5), framed(&exit(3, 263, 0, 0), 0)];
    assert_eq!(inodes(&mut join, &counters, &run), [Some(5)]);
    assert_eq!((value(&counters.unpaired), value(&counters.pending)), (1, 0));
}

#[test]
fn a_truth_of_another_call_separates_no_call_and_belongs_to_none() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let run = [of_thread(1, 1), begin(1, "a"), of_thread(2, 2), end(1, 0), of_thread(1, 3)];
    assert_eq!(inodes(&mut join, &counters, &run), [None]);
    // The exit of a call that was already delivered counts as unpaired. Its truth does not count once more.
    assert!(inodes(&mut join, &counters, &[of_thread(1, 4), end(1, 0)]).is_empty());
    assert_eq!((value(&counters.unpaired), value(&counters.lost_truths), value(&counters.pending)), (1, 0, 0));
}

#[test]
fn truths_of_open_calls_are_bounded() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let long = "x".repeat(4000);
    let calls = (OPEN_BYTES / begin(1, &long).len()) as u32;
    for tid in 1..=calls {
        assert!(feed(&mut join, &counters, &[begin(tid, &long)]).is_empty());
    }
    for tid in 1..=calls {
        assert!(inodes(&mut join, &counters, &[of_thread(tid, tid.into())]).is_empty());
    }
    let lost = value(&counters.lost_truths);
    assert!(join.open_bytes <= OPEN_BYTES && lost > 0, "{} {lost}", join.open_bytes);
    let ended: Vec<_> = (1..=calls).map(|tid| end(tid, 0)).collect();
    let found = inodes(&mut join, &counters, &ended);
    assert_eq!((found.len() as u32, found[0]), (calls, Some(1)));
    assert_eq!(found.iter().filter(|ino| ino.is_none()).count() as u64, lost);
}

#[test]
fn a_malformed_truth_is_reported_after_the_event_before_it() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let mut bad = truth(1, None, 7);
    let at = size_of::<truth_record>() + 4;
    bad[at..at + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
    let bytes = aligned(&[begin(2, "a"), end(2, 0), begin(1, "b"), framed(&bad, 0), end(1, 0)].concat());
    let chunk = Chunk { bytes, ..Chunk::default() };
    let mut position = 0;
    let mut next = || join.next(&chunk, &mut position, &counters, &mut |event| Ok(event.truth.is_some()));
    assert_eq!(next().unwrap(), Some(false));
    assert!(next().unwrap_err().to_string().contains("a segment longer than its record"));
    assert_eq!(inodes(&mut join, &counters, &[end(1, 0)]), [None]);
}

#[test]
fn an_exit_alone_is_counted_and_dropped() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    assert!(feed(&mut join, &counters, &[end(1, 0)]).is_empty());
    assert_eq!(value(&counters.unpaired), 1);
}

#[test]
fn a_threads_next_call_gives_up_the_one_before() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    assert!(feed(&mut join, &counters, &[begin(1, "lost its exit")]).is_empty());
    let made = feed(&mut join, &counters, &[begin(1, "next"), end(1, 0)]);
    assert_eq!(made, ["lost its exit:None", "next:0"]);
    assert_eq!((value(&counters.pending), join.open_bytes), (0, 0));
}

#[test]
fn a_call_whose_entry_was_not_seen() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let at_exit = |name: &str, ret| framed(&unseen(1, 263, name.as_bytes(), ret), 0);
    assert_eq!(feed(&mut join, &counters, &[at_exit("a", Some(-2)), at_exit("b", None)]), ["a:-2", "b:None"]);
    // The exit of what the thread was in before was lost: that call comes first, and without a result.
    let made = feed(&mut join, &counters, &[begin(1, "c"), begin(2, "d"), at_exit("e", Some(7)), end(2, 0)]);
    assert_eq!(made, ["c:None", "e:7", "d:0"]);
    assert_eq!((value(&counters.decoded), value(&counters.pending), value(&counters.unpaired)), (5, 0, 0));
    let bytes = aligned(&unseen(1, 263, b"a", Some(0)));
    let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
    let returned = returned_at_exit(&enter).unwrap();
    let exit = Some(&Exit::new(&returned)).copied();
    let event = Event { enter: &enter, exit: exit.as_ref(), offset_ns: 0, exec: None, lost_before: 0, truth: None };
    assert_eq!((event.ret(), event.duration_ns(), event.ts_ns()), (Some(0), None, 900));
}

#[test]
fn an_exit_of_another_call_is_not_taken_for_its_own() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let other = framed(&exit(1, 84, 0, 0), 0);
    assert_eq!(feed(&mut join, &counters, &[begin(1, "a"), other]), ["a:None"]);
    assert_eq!(value(&counters.unpaired), 1);
}

#[test]
fn lost_exits_give_up_open_calls() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    assert!(feed(&mut join, &counters, &[begin(5, "b"), begin(2, "a"), begin(9, "c")]).is_empty());
    let told = framed(&exit(9, 263, 0, 3), 0);
    assert_eq!(feed(&mut join, &counters, &[told]), ["c:0", "a:None", "b:None"]);
    assert_eq!(value(&counters.pending), 0);
}

#[test]
fn open_calls_are_bounded() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let long = "x".repeat(4000);
    let most = OPEN_BYTES / 4000;
    let made: usize =
        (0..most as u32 + 100).map(|tid| feed(&mut join, &counters, &[begin(tid + 1, &long)]).len()).sum();
    assert!(made >= 100 && join.open_bytes <= OPEN_BYTES, "{made} {}", join.open_bytes);
    assert_eq!(value(&counters.decoded), value(&counters.pending) + made as u64);
}

#[test]
fn events_before_a_malformed_record_are_not_lost() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let chunk = Chunk { bytes: aligned(&[begin(1, "a"), framed(b"neither of them", 0)].concat()), ..Chunk::default() };
    assert!(join.next(&chunk, &mut 0, &counters, &mut |_| Ok(())).is_err());
    assert_eq!((value(&counters.decoded), value(&counters.pending)), (1, 1));
    assert_eq!(feed(&mut join, &counters, &[end(1, 0)]), ["a:0"]);
}

#[test]
fn a_name_read_at_the_exit_counts() {
    let (mut join, counters) = (Join::default(), ReaderCounters::default());
    let blind = framed(&named(enter(1, 263, 1), name_status::NAME_FAULT, b""), 0);
    let seen = framed(&named(exit(1, 263, 0, 0), name_status::NAME_OK, b"late"), 0);
    assert_eq!(feed(&mut join, &counters, &[blind.clone(), seen]), ["late:0"]);
    assert_eq!(value(&counters.name_faults), 0);
    assert_eq!(feed(&mut join, &counters, &[blind, end(1, -14)]), [":-14"]);
    assert_eq!(value(&counters.name_faults), 1);
}
