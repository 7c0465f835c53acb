//! Fails each allocation that may fail, one per run. Every event must still be read exactly once, with the same values.

use std::mem::offset_of;

use super::tests::{cell, processes};
use super::*;
use crate::columns::schema::schema;
use crate::config::outcome::Outcome;
use crate::fields::Fields;
use crate::fields::Key;
use crate::memory::refusal;
use crate::read::join::Refusable;
use crate::read::residual_filter::ResidualFilter;
use crate::record::enter_record;
use crate::record::testing::{add_segment, aligned, completion, enter, exit, framed, image, request, walked};
use crate::ring::chunk::Chunk;
use crate::ring::queue::Queue;
use crate::skel::types::{name_status, segment_kind, walk_status};

/// All keys whose values need no look-up on this host.
fn wanted() -> Fields {
    let left_out = [Key::Cwd, Key::User, Key::Login];
    let names = Key::ALL.iter().filter(|key| !left_out.contains(key)).map(|key| key.as_str().into());
    Fields::from_names(&names.collect::<Vec<_>>()).unwrap()
}

/// Returns the entry of a call. Names differ by `tid`, and some are not text.
fn begin(tid: u32, lost: u32, argv: Option<&[u8]>) -> Vec<u8> {
    let mut record = enter(tid, 263, tid.into());
    let mut set = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
    set(offset_of!(enter_record, pid), &(tid / 4).to_ne_bytes());
    set(offset_of!(enter_record, lost), &lost.to_ne_bytes());
    set(offset_of!(enter_record, comm), &[b'c', if tid % 8 == 3 { 0xfe } else { b'0' + (tid % 8) as u8 }]);
    let name = if tid.is_multiple_of(5) { b"na\xffme".repeat(20) } else { format!("name {tid}").into_bytes() };
    add_segment(&mut record, segment_kind::SEGMENT_FILENAME.0, name_status::NAME_OK.0, &name);
    let directory = walked(Some(0), b"directory\0");
    add_segment(&mut record, segment_kind::SEGMENT_DIRECTORY.0, walk_status::WALK_WHOLE.0, &directory);
    if let Some(argv) = argv {
        add_segment(&mut record, segment_kind::SEGMENT_EXE.0, walk_status::WALK_WHOLE.0, &walked(None, b"rm\0bin\0"));
        add_segment(&mut record, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, argv);
    }
    let (init, lossy) = (image(1, 0, 0, b"init"), image(2, 5, 1, b"\xff"));
    let above = if tid % 12 < 4 { [lossy.clone(), lossy, init].concat() } else { init.repeat(1 + tid as usize % 3) };
    let ancestors = [image(3, 6, u64::from(tid % 2), b"sh"), above].concat();
    add_segment(&mut record, segment_kind::SEGMENT_ANCESTORS.0, 0, &ancestors);
    framed(&record, 0)
}

/// Returns calls that end at once, late, by the completion of a request, with a lost exit, and never.
fn chunks() -> [Chunk; 2] {
    let end = |tid, ret, lost_exits| framed(&exit(tid, 263, ret, lost_exits), 0);
    let argv = |tid: u32| Some(if tid.is_multiple_of(8) { b"rm\0\xff\0".as_slice() } else { b"rm\0-rf\0everything\0" });
    let mut first = Vec::new();
    for tid in 0..60 {
        let is_first = tid % 4 == 0;
        first.push(begin(tid, u32::from(tid % 7 == 0), if is_first { argv(tid) } else { None }));
        first.push(end(tid, if tid % 3 == 0 { 0 } else { -2 }, 0));
        // The same call again, so that rows repeat.
        (0..tid % 3).for_each(|_| first.extend([begin(tid, 0, None), end(tid, -2, 0)]));
    }
    let mut second: Vec<_> = (200..210).map(|tid| begin(tid, 0, None)).collect();
    second.extend((200..204).rev().map(|tid| end(tid, 0, 0)));
    second.extend([framed(&request(1, 5, 77, false), 0), framed(&completion(1, 5, -2), 0)]);
    second.push(begin(205, 0, None));
    second.extend([end(206, -2, 1), framed(&request(1, 6, 78, false), 0), end(999, 0, 0)]);
    second.push(begin(300, 0, None));
    let is_event = |record: &&Vec<u8>| record[8] == crate::skel::types::record_kind::RECORD_ENTER.0 as u8;
    [first, second].map(|records| {
        let events = records.iter().filter(is_event).count() as u32;
        Chunk { bytes: aligned(&records.concat()), events, offset_ns: 7, ..Chunk::default() }
    })
}

struct Read {
    rows: Vec<String>,
    refused: usize,
    counters: [u64; 6],
}

fn shown(batch: &RecordBatch, row: usize) -> String {
    let column = |name: &str| batch.column_by_name(name);
    let cells = Key::ALL.iter().filter_map(|key| {
        let bytes = column(&format!("{}_bytes", key.as_str()));
        column(key.as_str()).map(|found| format!("{key:?}={}", cell(*key, found, bytes, row)))
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// Reads everything, with one allocation refused after `granted` ones.
fn read_all(
    granted: usize,
    outcome: Outcome,
    batch: impl Fn(&mut Reader, &mut Values, &ReaderCounters) -> Result<RecordBatch>,
) -> (Read, bool) {
    let queue = Arc::new(Queue::new(1 << 20).unwrap());
    for chunk in chunks() {
        queue.push(chunk, || false).unwrap();
    }
    queue.close(Vec::new(), None);
    let counters = Arc::new(ReaderCounters::default());
    let mut reader = Reader::new(queue, Arc::clone(&counters), ResidualFilter::new(outcome, Vec::new()));
    let mut values = Values::new(wanted());
    values.look_up_in(processes());
    let mut read = Read { rows: Vec::new(), refused: 0, counters: [0; 6] };
    refusal::after(granted);
    loop {
        match batch(&mut reader, &mut values, &counters) {
            Ok(batch) if batch.num_rows() == 0 => break,
            Ok(batch) => read.rows.extend((0..batch.num_rows()).map(|row| shown(&batch, row))),
            Err(Error::Memory(_)) => read.refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let was_refused = refusal::end();
    let counters = [
        &counters.decoded,
        &counters.pending,
        &counters.delivered,
        &counters.discarded,
        &counters.filtered,
        &counters.unpaired,
    ];
    read.counters = counters.map(|counter| counter.load(std::sync::atomic::Ordering::Relaxed));
    (read, was_refused)
}

/// Tries each refusal, or every `step`th where most repeat each other.
fn each_refusal(
    outcome: Outcome,
    step: usize,
    batch: impl Fn(&mut Reader, &mut Values, &ReaderCounters) -> Result<RecordBatch> + Copy,
) {
    let (whole, was_refused) = read_all(usize::MAX, outcome, batch);
    let [decoded, pending, delivered, discarded, filtered, unpaired] = whole.counters;
    assert!(!was_refused && whole.refused == 0 && whole.rows.len() as u64 == delivered && delivered > 60);
    assert_eq!((decoded, pending, discarded), (delivered + filtered, 0, 0));
    let (mut failed, mut shortened) = (0, 0);
    for granted in (0..).step_by(step) {
        let (read, was_refused) = read_all(granted, outcome, batch);
        if !was_refused {
            break;
        }
        assert!(read.refused <= 1, "{granted}");
        failed += read.refused;
        shortened += 1 - read.refused;
        let discarded = read.counters[3];
        assert_eq!(read.counters, [decoded, 0, delivered - discarded, discarded, filtered, unpaired], "{granted}");
        assert_eq!(read.rows.len() as u64, delivered - discarded, "{granted}");
        if discarded == 0 {
            assert_eq!(read.rows, whole.rows, "{granted}");
        } else {
            // The bytes of names that are not text are collected after their rows have left the queue.
            assert_eq!(read.refused, 1, "{granted}");
            let mut rest = whole.rows.iter();
            assert!(read.rows.iter().all(|row| rest.any(|one| one == row)), "{granted}");
        }
    }
    assert!(failed > 0 && shortened > 0, "{failed} {shortened}");
}

#[test]
fn batches_of_any_size() {
    for (max_rows, step) in [(7, 29), (1000, 1)] {
        each_refusal(Outcome::Any, step, move |reader, values, counters| {
            read(reader, values, &schema(wanted()), counters, max_rows)
        });
    }
}

#[test]
fn with_a_filter_that_reports_earlier_losses_later() {
    each_refusal(Outcome::Failed, 1, |reader, values, counters| {
        read(reader, values, &schema(wanted()), counters, 1000)
    });
}

#[test]
fn a_batch_filled_several_times() {
    each_refusal(Outcome::Any, 3, |reader, values, counters| {
        let mut builder = BatchBuilder::new(values, 0)?;
        let filled = (1..4).try_for_each(|turn| {
            if builder.is_full() { Ok(()) } else { builder.fill(reader, values, counters, 40 * turn) }
        });
        let rows = builder.rows() as u64;
        let made = filled.and_then(|()| builder.finish(schema(wanted())));
        made.inspect_err(|_| counters.take_back(rows))
    });
}

#[test]
fn a_refused_event_stays_the_next() {
    let queue = Arc::new(Queue::new(1 << 20).unwrap());
    for chunk in chunks() {
        queue.push(chunk, || false).unwrap();
    }
    queue.close(Vec::new(), None);
    let counters = Arc::new(ReaderCounters::default());
    let mut reader = Reader::new(queue, counters, ResidualFilter::new(Outcome::Failed, Vec::new()));
    let mut seen = Vec::new();
    loop {
        let mut told = Vec::new();
        for _ in 0..3 {
            let refused = reader.next(|event| -> Refusable<()> {
                told.push((event.enter.record.tid, event.enter.record.ts_ns, event.ret(), event.lost()));
                Err(OutOfMemory)
            });
            assert!(matches!(refused, Err(Error::Memory(_)) | Ok(None)));
        }
        let next =
            reader.next(|event| Ok((event.enter.record.tid, event.enter.record.ts_ns, event.ret(), event.lost())));
        let Some(next) = next.unwrap() else { break };
        assert_eq!(told, [next; 3]);
        seen.push(next);
    }
    // The next event that passes the filter reports losses before filtered ones.
    assert!(seen.len() > 60 && seen.iter().any(|(tid, .., lost)| tid % 7 != 0 && *lost == 1), "{seen:?}");
}
