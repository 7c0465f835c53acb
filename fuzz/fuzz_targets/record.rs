//! Any bytes as a chunk of the ring: they are read as a tracer reads them, up to where Python begins. An input is a chunk as
//! it is, so that whatever is found can be read as one.

#![no_main]

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use _core::cgroup::reports::CgroupReports;
use _core::event::Event;
use _core::event::args::Args;
use _core::lineage::chain::{Chain, ancestors};
use _core::lineage::processes::Processes;
use _core::memory::aligned::AlignedBytes;
use _core::path::resolve::Paths;
use _core::read::counters::ReaderCounters;
use _core::read::join::Join;
use _core::record::segments::images;
use _core::record::{record_at, same_identity};
use _core::ring::chunk::Chunk;
use libfuzzer_sys::fuzz_target;

/// Asks an event for all that there is.
fn told(event: &Event<'_>) -> String {
    let record = &event.enter.record;
    let segments = &event.enter.segments;
    assert!(same_identity(event.enter.identity(), event.enter.identity()));
    let mut paths = Paths::default();
    paths.resolve(event.filename(), segments.directory(), segments.root(), record.dfd == -100);
    let path = (paths.path().map(<[u8]>::to_vec), paths.host_path().map(<[u8]>::to_vec), paths.kind());
    assert!(path.0.as_ref().is_none_or(|path| !path.is_empty()));
    paths.resolve(event.new_filename(), segments.new_directory(), segments.root(), true);
    let new_path = (paths.path().map(<[u8]>::to_vec), paths.kind());
    paths.resolve_file(event.exe(), event.is_exe_deleted());
    let exe = paths.file_path().map(<[u8]>::to_vec);
    let mut chain = Chain::default();
    chain.find(images(segments.ancestors()), record.ts_ns, &Processes::new(|| 0));
    let ancestors: Vec<_> = ancestors(chain.ancestors()).collect();
    paths.resolve_directory(segments.cwd());
    let cwd = paths.host_path().map(<[u8]>::to_vec);
    let times = (event.ts_ns(), event.start_ns(), event.duration_ns());
    let call = (event.call().map(|call| call.name), event.action(), event.name_status(), event.filename());
    let ret = event.exit.map(|exit| exit.record.ret);
    let truth = event.truth.map(|truth| {
        let places = (truth.real_place(), truth.new_real_place());
        (truth.file().is_some(), truth.replaced().is_some(), truth.real(), truth.new_real(), places)
    });
    let mut args = Vec::new();
    if let Some(known) = Args::of(event) {
        let taken = known.each(|name, value| {
            args.push(format!("{name}={value:?}"));
            Ok::<_, Infallible>(())
        });
        assert_eq!(taken, Ok(()));
    }
    let facts = event.file_facts();
    assert!(facts.replaced.is_none() || facts.is_replacing == Some(true));
    format!(
        "{times:?} {call:?} {ret:?} {path:?} {new_path:?} {exe:?} {cwd:?} {:?} {ancestors:?} {truth:?} {facts:?} {args:?}",
        event.argv()
    )
}

/// The events of the chunks, and whether there was something malformed: what is behind it in its chunk is passed over.
fn read(chunks: &[&[u8]]) -> (Vec<String>, bool) {
    let (mut join, counts) = (Join::default(), ReaderCounters::default());
    let mut events = Vec::new();
    let mut is_malformed = false;
    let end = [];
    for (at, bytes) in chunks.iter().chain([&end.as_slice()]).enumerate() {
        if at == chunks.len() {
            let pending = counts.pending.load(Ordering::Relaxed);
            assert_eq!(counts.decoded.load(Ordering::Relaxed), events.len() as u64 + pending, "in the ledger");
            join.give_up().expect("there is memory");
        }
        let chunk = Chunk {
            bytes: AlignedBytes::copy_of(bytes).expect("there is memory"),
            offset_ns: 1_700_000_000_000_000_000,
            ..Chunk::default()
        };
        let mut position = 0;
        loop {
            match join.next(&chunk, &mut position, &counts, &mut |event: &Event<'_>| Ok(told(event))) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => {
                    is_malformed = true;
                    break;
                }
            }
        }
    }
    assert_eq!(counts.decoded.load(Ordering::Relaxed), events.len() as u64, "an event went missing, or came twice");
    assert_eq!(counts.pending.load(Ordering::Relaxed), 0);
    (events, is_malformed)
}

/// The boundaries of the records, as far as they are sound.
fn pieces(run: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut position = 0;
    while let Ok(Some((_, end))) = record_at(run, position) {
        // The last one may lack its padding.
        pieces.push(&run[position..end.min(run.len())]);
        position = end;
    }
    pieces
}

fuzz_target!(|run: &[u8]| {
    CgroupReports::default().keep(run);
    Processes::new(|| 0).keep(run);
    let (events, is_malformed) = read(&[run]);
    if !is_malformed {
        assert_eq!(read(&pieces(run)).0, events, "it depends on how the ring was cut into chunks");
    }
});
