//! Records are read as they were written. Bytes that are no record cause no panic.

use std::mem::offset_of;

use _core::cgroup::reports::CgroupReports;
use _core::record::segments::{Directory, Name, NameStatus, Segments, WalkStatus};
use _core::record::{
    DISCARDED, Record, cgroup_record, completion_record, enter_record, exit_record, parse, record_at, same_identity,
};
use _core::skel::types::{directory, name_status, record_kind, segment_kind, walk_status};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{cases, sound};

/// A segment to write: its kind, status and content.
type Written = (u16, u16, Vec<u8>);

/// Makes segments of known and unknown kinds. Their content is never shorter than the header of a directory.
fn written() -> impl Strategy<Value = Written> {
    (0..18_u16, 0..6_u16, vec(any::<u8>(), size_of::<directory>()..80), any::<u32>()).prop_map(
        |(kind, status, mut content, above)| {
            let names = (content.len() - size_of::<directory>()) as u32;
            let at = offset_of!(directory, above_bytes);
            content[at..at + 4].copy_from_slice(&(above % (names + 1)).to_ne_bytes());
            (kind, status, content)
        },
    )
}

fn segment(run: &mut Vec<u8>, (kind, status, content): &Written) {
    run.extend(kind.to_ne_bytes());
    run.extend(status.to_ne_bytes());
    run.extend(u32::try_from(content.len()).unwrap().to_ne_bytes());
    run.extend(content);
    run.resize(run.len().next_multiple_of(8), 0xaa);
}

fn record(kind: record_kind, fixed: &[u8], segments: &[Written]) -> Vec<u8> {
    let mut bytes = kind.0.to_ne_bytes().to_vec();
    bytes.extend(&fixed[4..]);
    for written in segments {
        segment(&mut bytes, written);
    }
    bytes
}

fn framed(record: &[u8], flags: u32) -> Vec<u8> {
    let mut run = (u32::try_from(record.len()).unwrap() | flags).to_ne_bytes().to_vec();
    run.extend([0; 4]);
    run.extend(record);
    run.resize(run.len().next_multiple_of(8), 0xaa);
    run
}

fn name((_, status, bytes): &Written) -> Name<'_> {
    let status = match name_status((*status).into()) {
        name_status::NAME_OK => NameStatus::Ok,
        name_status::NAME_TRUNCATED => NameStatus::Truncated,
        _ => NameStatus::Fault,
    };
    Name { status, bytes }
}

fn walk((_, status, bytes): &Written) -> Directory<'_> {
    let status = match walk_status((*status).into()) {
        walk_status::WALK_WHOLE => WalkStatus::Whole,
        walk_status::WALK_DELETED => WalkStatus::Deleted,
        walk_status::WALK_NONE => WalkStatus::None,
        walk_status::WALK_DETACHED => WalkStatus::Detached,
        walk_status::WALK_INTERNAL => WalkStatus::Internal,
        walk_status::WALK_PSEUDO => WalkStatus::Pseudo,
        _ => WalkStatus::Partial,
    };
    let root_bytes = u32::from_ne_bytes(bytes[..4].try_into().unwrap());
    let names = size_of::<directory>()..bytes.len() - u32_at(bytes, offset_of!(directory, above_bytes)) as usize;
    Directory { status, root_bytes: (root_bytes != u32::MAX).then_some(root_bytes), names: &bytes[names] }
}

/// Returns the values of these segments. Of several segments of one kind the last one counts.
fn expected(segments: &[Written]) -> Told<'_> {
    let last = |kind: segment_kind| segments.iter().rfind(|written| u32::from(written.0) == kind.0);
    let names = [segment_kind::SEGMENT_FILENAME, segment_kind::SEGMENT_NEW_FILENAME, segment_kind::SEGMENT_ARGV];
    let directories = [
        segment_kind::SEGMENT_DIRECTORY,
        segment_kind::SEGMENT_NEW_DIRECTORY,
        segment_kind::SEGMENT_EXE,
        segment_kind::SEGMENT_ROOT,
        segment_kind::SEGMENT_CWD,
    ];
    let ancestors = last(segment_kind::SEGMENT_ANCESTORS).map_or(b"".as_slice(), |(_, _, content)| content);
    let result = last(segment_kind::SEGMENT_RESULT).and_then(|(_, _, content)| content.first_chunk());
    let result = result.map(|bytes| i64::from_ne_bytes(*bytes));
    (names.map(|kind| last(kind).map(name)), directories.map(|kind| last(kind).map(walk)), ancestors, result)
}

/// What segments tell: names, directories, ancestors, a result.
type Told<'a> = ([Option<Name<'a>>; 3], [Option<Directory<'a>>; 5], &'a [u8], Option<i64>);

fn told<'a>(segments: &Segments<'a>) -> Told<'a> {
    let names = [segments.filename(), segments.new_filename(), segments.argv()];
    let directories = [segments.directory(), segments.new_directory(), segments.exe(), segments.root(), segments.cwd()];
    (names, directories, segments.ancestors(), segments.result())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Seeds of an old layout are of no use to the fuzzer. When the layout of records changes, `fuzz/seeds.rs` must make
/// them again.
#[test]
fn the_fuzzers_seeds_are_records_of_this_layout() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/record");
    if !std::path::Path::new(seeds).ancestors().nth(2).unwrap().exists() {
        // A source distribution does not contain the fuzzer.
        return;
    }
    for seed in std::fs::read_dir(seeds).unwrap().map(Result::unwrap) {
        let run = std::fs::read(seed.path()).unwrap();
        let (mut position, mut exes) = (0, Vec::new());
        while let Some((bytes, end)) = record_at(&run, position).unwrap() {
            position = end;
            if let Record::Enter(enter) = parse(bytes).unwrap_or_else(|error| panic!("{seed:?}: {error}")) {
                exes.extend(enter.segments.exe().map(|exe| exe.names.to_vec()));
            }
        }
        // The first record of a process carries its exe. If several threads make their first calls at once, each of
        // these records does.
        assert!(position == run.len() && !exes.is_empty(), "{seed:?}");
        assert!(exes.iter().all(|exe| exe == b"seeds\0tmp\0"), "{seed:?}");
    }
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn an_enter_record_comes_back(
        fixed in vec(any::<u8>(), size_of::<enter_record>()), segments in vec(written(), 0..8),
    ) {
        let bytes = record(record_kind::RECORD_ENTER, &fixed, &segments);
        let Record::Enter(enter) = sound(parse(&bytes))? else { return Err(TestCaseError::fail("another kind")) };
        prop_assert_eq!(told(&enter.segments), expected(&segments));
        prop_assert_eq!(enter.record.ts_ns, u64_at(&fixed, offset_of!(enter_record, ts_ns)));
        prop_assert_eq!(enter.record.pid, u32_at(&fixed, offset_of!(enter_record, pid)));
        prop_assert_eq!(&enter.record.parent_comm[..], &fixed[offset_of!(enter_record, parent_comm)..][..16]);
        let words: Vec<u64> = fixed[offset_of!(enter_record, nr)..].chunks_exact(8).map(|word| u64_at(word, 0)).collect();
        prop_assert_eq!(&enter.identity()[..], &words[..]);
    }

    #[test]
    fn an_exit_record_comes_back(fixed in vec(any::<u8>(), size_of::<exit_record>()), segments in vec(written(), 0..8)) {
        let bytes = record(record_kind::RECORD_EXIT, &fixed, &segments);
        let Record::Exit(exit) = sound(parse(&bytes))? else { return Err(TestCaseError::fail("another kind")) };
        prop_assert_eq!(told(&exit.segments()), expected(&segments));
        prop_assert_eq!(exit.record.ret.cast_unsigned(), u64_at(&fixed, offset_of!(exit_record, ret)));
        prop_assert_eq!(exit.record.lost_exits, u32_at(&fixed, offset_of!(exit_record, lost_exits)));
    }

    #[test]
    fn a_completion_record_comes_back(fixed in vec(any::<u8>(), size_of::<completion_record>())) {
        let bytes = record(record_kind::RECORD_COMPLETION, &fixed, &[]);
        let Record::Completion(end) = sound(parse(&bytes))? else { return Err(TestCaseError::fail("another kind")) };
        prop_assert_eq!((end.cpu, end.seq), (u32_at(&fixed, 4), u64_at(&fixed, offset_of!(completion_record, seq))));
        prop_assert_eq!(end.ret.cast_unsigned(), u64_at(&fixed, offset_of!(completion_record, ret)));
    }

    #[test]
    fn a_cgroup_record_comes_back(fixed in vec(any::<u8>(), size_of::<cgroup_record>()), path in vec(any::<u8>(), 0..60)) {
        let bytes = [record(record_kind::RECORD_CGROUP, &fixed, &[]), path.clone()].concat();
        let Record::Cgroup(cgroup) = sound(parse(&bytes))? else { return Err(TestCaseError::fail("another kind")) };
        prop_assert_eq!(cgroup.record.id, u64_at(&fixed, offset_of!(cgroup_record, id)));
        prop_assert_eq!(cgroup.path, &path[..]);
        let reports = CgroupReports::default();
        prop_assert!(reports.keep(&framed(&bytes, 0)));
        let taken = reports.take();
        prop_assert_eq!((taken.len(), taken[0].id, &taken[0].path[..]), (1, cgroup.record.id, &path[..]));
        prop_assert_eq!(taken[0].is_new, fixed[offset_of!(cgroup_record, is_new)..][..2] != [0, 0]);
    }

    #[test]
    fn identities_are_the_same_when_all_their_bytes_are(
        fixed in vec(any::<u8>(), size_of::<enter_record>()), at in 4..size_of::<enter_record>(), change in 1..=u8::MAX,
    ) {
        let mut changed = fixed.clone();
        changed[at] ^= change;
        let [one, other] = [&fixed, &changed].map(|fixed| {
            let bytes = record(record_kind::RECORD_ENTER, fixed, &[]);
            match parse(&bytes).unwrap() {
                Record::Enter(enter) => *enter.identity(),
                _ => panic!("another kind"),
            }
        });
        prop_assert!(same_identity(&one, &one));
        prop_assert_eq!(same_identity(&one, &other), at < offset_of!(enter_record, nr));
    }

    #[test]
    fn a_run_gives_its_records_in_order(
        records in vec((vec(any::<u8>(), 0..50), prop_oneof![3 => Just(0), 1 => Just(DISCARDED)]), 0..12),
    ) {
        let run: Vec<u8> = records.iter().flat_map(|(bytes, flags)| framed(bytes, *flags)).collect();
        let mut position = 0;
        for (bytes, _) in records.iter().filter(|(_, flags)| *flags == 0) {
            let (found, end) = sound(record_at(&run, position))?.unwrap();
            prop_assert_eq!(found, &bytes[..]);
            position = end;
        }
        prop_assert!(sound(record_at(&run, position))?.is_none());
    }

    #[test]
    fn no_bytes_are_too_odd(
        kind in prop_oneof![Just(1), Just(2), Just(3), Just(4), any::<u32>()],
        fixed in prop::sample::select(
            vec![size_of::<enter_record>(), size_of::<exit_record>(), size_of::<cgroup_record>()],
        ),
        mut segments in vec((0..9_u32, prop_oneof![0..20_u32, any::<u32>()], vec(any::<u8>(), 0..20)), 0..6),
        rest in vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = vec![0x55; fixed];
        bytes[..4].copy_from_slice(&u32::to_ne_bytes(kind));
        for (kind, length, content) in &mut segments {
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(length.to_ne_bytes());
            bytes.append(content);
        }
        bytes.extend(rest);
        for cut in 0..bytes.len() {
            let _ = parse(&bytes[..cut]);
            let _ = parse(&bytes[cut..]);
        }
    }

    #[test]
    fn a_run_of_any_bytes_ends(run in vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..300)) {
        let mut position = 0;
        while let Ok(Some((bytes, end))) = record_at(&run, position) {
            prop_assert!(end >= position + 8 + bytes.len());
            position = end;
        }
        CgroupReports::default().keep(&run);
    }
}
