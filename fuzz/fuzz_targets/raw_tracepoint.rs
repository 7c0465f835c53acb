//! Any bytes as the paths of fields and records of a raw tracepoint: they are read as `rawtp.RawTracepoint` reads them,
//! up to where Python begins, to values and to columns. An input is a line with the paths, separated by commas, and then
//! a chunk of the ring.

#![no_main]

// The module below is the crate's own, which takes the numbers of BTF from there.
mod btf {
    pub mod parse {
        pub const MAGIC: u32 = 0xeb9f;
        pub const VERSION: u32 = 1;
        pub const HEADER_BYTES: u32 = 24;
        pub const INT: u32 = 1;
        pub const PTR: u32 = 2;
        pub const ARRAY: u32 = 3;
        pub const STRUCT: u32 = 4;
        pub const UNION: u32 = 5;
        pub const ENUM: u32 = 6;
        pub const TYPEDEF: u32 = 8;
        pub const CONST: u32 = 10;
        pub const FUNC: u32 = 12;
        pub const FUNC_PROTO: u32 = 13;
    }
}
#[path = "../../src/btf/testing.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod testing;

use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use _core::event::values::Value;
use _core::fields::ValueType;
use _core::memory::OutOfMemory;
use _core::memory::aligned::AlignedBytes;
use _core::raw_tracepoint::columns::{RawBatchBuilder, schema};
use _core::raw_tracepoint::event::RawEvent;
use _core::raw_tracepoint::layout::{HEAD, Layout, Wanted};
use _core::raw_tracepoint::reader::RawReader;
use _core::read::counters::ReaderCounters;
use _core::record::record_at;
use _core::ring::chunk::Chunk;
use _core::ring::queue::Queue;
use _core::skel::types::{raw_record, record_kind};
use libfuzzer_sys::fuzz_target;

static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| testing::made_kernel("__probestub_"));

fn layout(paths: &str) -> Option<Layout> {
    let fields = (!paths.is_empty()).then(|| paths.split(',').map(str::to_owned).collect());
    let wanted = Wanted { tracepoint: "made".into(), fields, pointers: false, text_bytes: 64 };
    match Layout::of_btf(&KERNEL, &wanted, "9.9") {
        Ok(layout) => layout,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Whether a value is of its key's type.
fn is_of(value: &Value<'_>, kind: ValueType) -> bool {
    match value {
        Value::None => true,
        Value::I32(_) => kind == ValueType::I32,
        Value::I64(_) => matches!(kind, ValueType::I64 | ValueType::Time),
        Value::U32(_) => kind == ValueType::U32,
        Value::U64(_) => kind == ValueType::U64,
        Value::Bool(_) => kind == ValueType::Bool,
        Value::Keyword(_) => kind == ValueType::Keyword,
        Value::Bytes(_) => matches!(kind, ValueType::Bytes | ValueType::DictBytes),
        Value::Blob(_) => kind == ValueType::Blob,
        Value::Ints(item, _) if item.is_signed() => kind == ValueType::I64List,
        Value::Ints(..) => kind == ValueType::U64List,
        _ => false,
    }
}

/// All that an event says.
fn told(event: &RawEvent<'_>, layout: &Layout) -> Vec<String> {
    let (mut all, mut text) = (Vec::new(), String::new());
    let mut keys = layout.keys().map(|(_, kind)| kind);
    let visited = event.visit(layout, &mut text, |value| {
        let kind = keys.next().ok_or("more values than keys")?;
        assert!(is_of(&value, kind), "{value:?} is no {kind:?}");
        all.push(match value {
            Value::Ints(item, bytes) => format!("{:?}", item.all(bytes).collect::<Vec<_>>()),
            value => format!("{value:?}"),
        });
        Ok::<_, &str>(())
    });
    assert_eq!((visited, all.len()), (Ok(()), HEAD.len() + layout.fields.len()));
    all.push(format!("{} {}", event.has_fault(), event.is_truncated(layout)));
    all
}

fn reader(layout: &Arc<Layout>, chunks: &[&[u8]]) -> (RawReader, Arc<ReaderCounters>) {
    let queue = Arc::new(Queue::new(1 << 20).expect("there are descriptors"));
    let chunk = |bytes: &&[u8]| Chunk {
        bytes: AlignedBytes::copy_of(bytes).expect("there is memory"),
        offset_ns: 1_700_000_000_000_000_000,
        ..Chunk::default()
    };
    queue.close(chunks.iter().map(chunk).collect(), None);
    let counters = Arc::new(ReaderCounters::default());
    (RawReader::new(queue, Arc::clone(&counters), Arc::clone(layout)), counters)
}

/// The events of the chunks, and whether there was something malformed: what is behind it in its chunk is passed over.
fn read(layout: &Arc<Layout>, chunks: &[&[u8]]) -> (Vec<Vec<String>>, bool) {
    let (mut reader, counters) = reader(layout, chunks);
    let (mut events, mut is_malformed) = (Vec::new(), false);
    loop {
        match reader.next(|event| Ok::<_, OutOfMemory>(told(event, layout))) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break,
            Err(_) => is_malformed = true,
        }
    }
    assert_eq!(counters.decoded.load(Ordering::Relaxed), events.len() as u64, "an event went missing, or came twice");
    (events, is_malformed)
}

/// The rows of a batch of the chunks.
fn rows(layout: &Arc<Layout>, chunks: &[&[u8]]) -> usize {
    let (mut reader, counters) = reader(layout, chunks);
    let mut made = RawBatchBuilder::new(layout, 16).expect("there is memory");
    while made.fill(&mut reader, &counters, usize::MAX).is_err() {}
    let batch = made.finish(schema(layout)).expect("the columns are those of the schema");
    assert_eq!(counters.delivered.load(Ordering::Relaxed), batch.num_rows() as u64);
    batch.num_rows()
}

/// The boundaries of the records, as far as they are sound.
fn pieces(run: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut position) = (Vec::new(), 0);
    while let Ok(Some((_, end))) = record_at(run, position) {
        // The last one may lack its padding.
        pieces.push(&run[position..end.min(run.len())]);
        position = end;
    }
    pieces
}

/// The same bytes as sound records of the layout, one after the other. What is in a register cannot be out of reach, and
/// no program says so.
fn framed(run: &[u8], layout: &Layout) -> Vec<u8> {
    let mut framed: Vec<u8> = Vec::new();
    let can_fault = layout.fields.iter().enumerate().fold(0, |all, (at, field)| all | u64::from(field.or_none()) << at);
    for body in run.chunks(layout.bytes - 4) {
        framed.extend((layout.bytes as u32).to_ne_bytes());
        framed.extend([0; 4]);
        framed.extend(record_kind::RECORD_RAW.0.to_ne_bytes());
        framed.extend(body);
        framed.resize(framed.len().next_multiple_of(layout.bytes + 8), 0);
        let at = framed.len() - layout.bytes + offset_of!(raw_record, faults);
        let faults = &mut framed[at..at + 8];
        let known = u64::from_ne_bytes((&*faults).try_into().expect("it has 8 bytes")) & can_fault;
        faults.copy_from_slice(&known.to_ne_bytes());
    }
    framed
}

fuzz_target!(|input: &[u8]| {
    let at = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (paths, run) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Some(layout) = str::from_utf8(paths).ok().and_then(layout).map(Arc::new) else { return };
    let (events, is_malformed) = read(&layout, &[run]);
    if !is_malformed {
        assert_eq!(read(&layout, &pieces(run)).0, events, "it depends on how the ring was cut into chunks");
    }
    let framed = framed(run, &layout);
    let (events, is_malformed) = read(&layout, &[&framed]);
    assert_eq!((events.len(), is_malformed), (framed.len() / (layout.bytes + 8), false));
    assert_eq!(rows(&layout, &[&framed]), events.len());
});
