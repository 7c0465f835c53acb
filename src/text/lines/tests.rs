//! Lines of events, whole; and every allocation that may fail, failing.

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::config::outcome::Outcome;
use crate::fields::Key;
use crate::memory::refusal;
use crate::read::residual_filter::ResidualFilter;
use crate::record::enter_record;
use crate::record::testing::{add_segment, aligned, enter, exit, framed};
use crate::ring::chunk::Chunk;
use crate::ring::queue::Queue;
use crate::skel::types::{name_status, segment_kind};
use crate::syscall::Abi;

/// The entry and the exit of a deletion.
fn call(tid: u32, lost: u32, name: &[u8], ret: i64, argv: Option<&[u8]>) -> Vec<u8> {
    let nr = Abi::NATIVE.number("unlinkat").unwrap();
    let mut record = enter(tid, nr, 1 << 60);
    let mut set = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
    set(offset_of!(enter_record, lost), &lost.to_ne_bytes());
    set(offset_of!(enter_record, comm), b"r\xf0m");
    add_segment(&mut record, segment_kind::SEGMENT_FILENAME.0, name_status::NAME_OK.0, name);
    if let Some(argv) = argv {
        add_segment(&mut record, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, argv);
    }
    [framed(&record, 0), framed(&exit(tid, nr, ret, 0), 0)].concat()
}

fn writer(names: &[&str], utc: Option<bool>) -> Result<LineWriter> {
    writer_of(Format::JsonLines, names, utc)
}

fn writer_of(format: Format, names: &[&str], utc: Option<bool>) -> Result<LineWriter> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    LineWriter::new(format, Fields::ALL, &names, utc.map(Clock::new))
}

/// The lines of these calls, in portions; and how often memory was missing.
fn lines(writer: &mut LineWriter, calls: &[Vec<u8>], granted: usize) -> (Vec<String>, usize, [u64; 2]) {
    let queue = Arc::new(Queue::new(1 << 20).unwrap());
    let chunk = Chunk { bytes: aligned(&calls.concat()), events: calls.len() as u32, offset_ns: 7, ..Chunk::default() };
    queue.push(chunk, || false).unwrap();
    queue.close(Vec::new(), None);
    let counters = Arc::new(ReaderCounters::default());
    let mut reader = Reader::new(queue, Arc::clone(&counters), ResidualFilter::new(Outcome::Any, Vec::new()));
    let mut values = Values::new(Fields::ALL);
    let (mut portions, mut refused, mut lost, mut events) = (Vec::new(), 0, 0, 0);
    let mut portion = Portion::default();
    refusal::after(granted);
    loop {
        portion.clear();
        match portion.fill(writer, &mut reader, &mut values, &counters, 2) {
            Ok(()) if portion.events == 0 => break,
            Ok(()) => {
                events += portion.events as u64;
                lost += portion.lost;
                portions.push(String::from_utf8(portion.text.clone()).unwrap());
            }
            Err(Error::Memory(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    refusal::end();
    assert_eq!(counters.delivered.load(Ordering::Relaxed), events);
    (portions, refused, [events, lost])
}

#[test]
fn keys_come_in_their_order_with_what_is_exact() {
    let keys = ["filename", "ret", "errno", "comm", "ts_ns", "seq", "argv", "ino", "duration_ns"];
    let mut writer = writer(&keys, Some(true)).unwrap();
    let calls = [
        call(5, 3, b"caf\xe9 \"", 0, Some(b"rm\0\xff\0")),
        call(6, 0, b"b", -2, None),
        call(5, 0, b"c", 0, None),
        call(5, 0, b"d", -13, None),
    ];
    let (portions, refused, counts) = lines(&mut writer, &calls, usize::MAX);
    let same = |name: &str, result: &str, argv: &str| {
        format!(
            "{{\"type\":\"event\",\"time\":\"2006-07-14T23:58:24.606846983Z\",\"filename\":{name},{result},\
             \"comm\":\"r\\\\xf0m\",\"comm_bytes\":\"cvBt\",\"ts_ns\":1152921504606846983,\
             \"ts_ns_str\":\"1152921504606846983\",\"seq\":0,\"argv\":{argv},\"ino\":null,\"duration_ns\":0}}\n"
        )
    };
    let own = r#"["rm","\\xff"],"argv_bytes":["cm0=","/w=="]"#;
    let expected = [
        "{\"type\":\"lost\",\"count\":3,\"cpu\":0,\"via\":\"syscall\",\"seq\":0}\n".to_owned()
            + &same(r#""caf\\xe9 \"","filename_bytes":"Y2Fm6SAi""#, r#""ret":0,"errno":null"#, own)
            + &same("\"b\"", r#""ret":-2,"errno":"ENOENT""#, own),
        same("\"c\"", r#""ret":0,"errno":null"#, own) + &same("\"d\"", r#""ret":-13,"errno":"EACCES""#, own),
    ];
    assert_eq!(portions, expected);
    assert_eq!((refused, counts), (0, [4, 3]));
}

#[test]
fn records_of_csv_end_with_what_is_exact() {
    let keys = ["filename", "ret", "errno", "comm", "argv"];
    let mut writer = writer_of(Format::Csv, &keys, Some(true)).unwrap();
    let calls = [call(5, 3, b"caf\xe9 \"", 0, Some(b"rm\0a\0")), call(5, 0, b"c", -13, None)];
    let (portions, _, counts) = lines(&mut writer, &calls, usize::MAX);
    let expected = concat!(
        "2006-07-14T23:58:24.606846983Z,\"caf\\xe9 \"\"\",0,,r\\xf0m,\"[\"\"rm\"\",\"\"a\"\"]\",",
        "\"{\"\"filename\"\":\"\"Y2Fm6SAi\"\",\"\"comm\"\":\"\"cvBt\"\"}\"\r\n",
        "2006-07-14T23:58:24.606846983Z,c,-13,EACCES,r\\xf0m,\"[\"\"rm\"\",\"\"a\"\"]\",",
        "\"{\"\"comm\"\":\"\"cvBt\"\"}\"\r\n",
    );
    assert_eq!(portions.concat(), expected);
    assert_eq!(counts, [2, 3]);
}

#[test]
fn keys_that_the_events_do_not_have_are_refused() {
    let error = |names: &[&str]| writer(names, None).unwrap_err().to_string();
    assert!(error(&["pidd"]).starts_with("unknown field \"pidd\""));
    assert!(error(&[]).starts_with("fields is empty"));
    assert_eq!(error(&["pid", "args"]), "the tracer was not asked for the field \"args\"");
}

#[test]
fn keys_in_their_own_order_are_copied_at_once() {
    let all: Vec<_> = Fields::ALL.keys().map(Key::as_str).collect();
    let spans = writer(&all, None).unwrap().spans;
    assert!(spans.len() < 14, "{spans:?}");
    let keys: usize = spans.iter().map(|span| span.last + 1 - span.first).sum();
    assert_eq!(keys, all.len());
}

#[test]
fn a_refused_allocation_changes_no_line() {
    [Format::JsonLines, Format::Csv].into_iter().for_each(each_refusal);
}

fn each_refusal(format: Format) {
    let all: Vec<_> = Fields::ALL.keys().map(Key::as_str).collect();
    let writer = |names: &[&str]| writer_of(format, names, Some(true)).unwrap();
    let calls: Vec<_> = (0..12)
        .map(|tid| call(tid % 5, tid % 2, &b"na\xffme".repeat(20), -i64::from(tid % 3), Some(b"rm\0\xff\0")))
        .collect();
    let whole = lines(&mut writer(&all), &calls, usize::MAX);
    let mut failed = 0;
    for granted in 0.. {
        let (portions, refused, counts) = lines(&mut writer(&all), &calls, granted);
        assert_eq!((portions.concat(), counts), (whole.0.concat(), whole.2), "{granted}");
        failed += refused;
        if granted > 600 {
            break;
        }
    }
    assert!(failed > 20, "{failed}");
}
