//! Compares batches with the values of the same events.

use std::convert::Infallible;
use std::hash::BuildHasher;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use proptest::prelude::*;
use rustc_hash::FxBuildHasher;

use super::*;
use crate::columns;
use crate::columns::schema::schema;
use crate::event::exec_cache::{ExecCache, ExecInfo};
use crate::event::values::{Value, texts};
use crate::fields::{Fields, Key, ValueType};
use crate::lineage::chain::ancestors;
use crate::lineage::processes::Processes;
use crate::record::segments::Segments;
use crate::record::testing::{add_segment, framed, image, reported, walked};
use crate::record::{Enter, Exit, enter_record, exit_record};
use crate::skel::types::{name_status, segment_kind, walk_status};

/// The parts of an event, each out of few values, so that they repeat.
#[derive(Debug, Clone)]
struct Sample {
    record: enter_record,
    ret: Option<i64>,
    names: [Option<(bool, Vec<u8>)>; 2],
    directory: Option<Vec<u8>>,
    exec: Option<Vec<u8>>,
    ancestors: Vec<u8>,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(
        [b"a".as_slice(), b"/", b"\\xff", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\n", b"name"].to_vec(),
    );
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn sample() -> impl Strategy<Value = Sample> {
    let nr = prop::sample::select(vec![263_u32, 87, 316, 77, 9999]);
    let numbers = (nr, 0..3_u32, 0..2_u32, -1..2_i32, prop::sample::select(vec![0, 0x200, u32::MAX]));
    let bytes = || {
        prop::option::of(name().prop_map(|mut bytes| {
            bytes.push(0);
            bytes
        }))
    };
    let names = [prop::option::of((any::<bool>(), name())), prop::option::of((any::<bool>(), name()))];
    let ret = prop::option::of(prop::sample::select(vec![0, 3, -2, -4095, i64::MIN]));
    let ancestors = prop::collection::vec(
        prop::sample::select(vec![image(1, 0, 0, b"init"), image(2, 5, 1, b"\xff"), image(3, 6, 1, b"sh")]),
        0..4,
    );
    (numbers, any::<u32>(), ret, names, bytes(), bytes(), ancestors).prop_map(
        |(numbers, other, ret, names, directory, exec, ancestors)| {
            let ancestors = ancestors.concat();
            let (nr, tid, cpu, dfd, flags) = numbers;
            let mut record = enter_record { nr, tid, pid: tid, cpu, dfd, flags, auid: flags, ..Default::default() };
            record.ts_ns = other.into();
            record.comm[..2].copy_from_slice(&[b"a\xffb"[tid as usize], b"\0\xfec"[cpu as usize]]);
            Sample { record, ret, names, directory, exec, ancestors }
        },
    )
}

const NAMES: [segment_kind; 2] = [segment_kind::SEGMENT_FILENAME, segment_kind::SEGMENT_NEW_FILENAME];

fn with_event<R>(sample: &Sample, then: impl FnOnce(&Event<'_>) -> R) -> R {
    let (mut run, mut exec_run) = (Vec::new(), Vec::new());
    for (name, kind) in sample.names.iter().zip(NAMES) {
        match name {
            Some((true, bytes)) => add_segment(&mut run, kind.0, name_status::NAME_OK.0, bytes),
            Some((false, _)) => add_segment(&mut run, kind.0, name_status::NAME_FAULT.0, b""),
            None => {}
        }
    }
    if let Some(names) = &sample.directory {
        let content = walked(Some(0), names);
        add_segment(&mut run, segment_kind::SEGMENT_DIRECTORY.0, walk_status::WALK_WHOLE.0, &content);
        add_segment(&mut run, segment_kind::SEGMENT_NEW_DIRECTORY.0, walk_status::WALK_WHOLE.0, &content);
        add_segment(&mut exec_run, segment_kind::SEGMENT_EXE.0, walk_status::WALK_WHOLE.0, &content);
    }
    if let Some(argv) = &sample.exec {
        add_segment(&mut exec_run, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, argv);
    }
    add_segment(&mut run, segment_kind::SEGMENT_ANCESTORS.0, 0, &sample.ancestors);
    let segments = Segments::read(&run).unwrap();
    let exec_segments = Segments::read(&exec_run).unwrap();
    // Equal exec infos have one number, as for the events of one process.
    let id = FxBuildHasher.hash_one((&sample.directory, &sample.exec));
    let exec = Some(&ExecInfo::new(id, &exec_segments));
    let exit = sample.ret.map(|ret| exit_record { ret, ts_ns: u64::MAX, ..Default::default() });
    let exit = exit.as_ref().map(Exit::new);
    then(&Event {
        enter: &Enter { record: &sample.record, segments },
        exit: exit.as_ref(),
        offset_ns: 7,
        exec,
        lost_before: 0,
        truth: None,
    })
}

fn listed(argv: &[u8]) -> Vec<&[u8]> {
    texts(argv).collect()
}

/// Knows what processes 2 and 3 of [`sample`] run, some of which is not text.
pub(super) fn processes() -> Arc<Processes> {
    let processes = Processes::new(|| 0);
    let (init, [two, three]) = (image(1, 0, 0, b"init"), [image(2, 5, 1, b"\xff"), image(3, 6, 1, b"sh")]);
    for report in [reported(Some(b"a\0\xff\0\0"), &two, &init), reported(Some(b"sh\0x\0"), &three, &init)] {
        processes.keep(&framed(&report, 0));
    }
    Arc::new(processes)
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::None => "none".into(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Keyword(word) => format!("{:?}", word.as_bytes()),
        Value::Bytes(bytes) | Value::Blob(bytes) => format!("{bytes:?}"),
        Value::Args(args) => panic!("no sample has arguments: {args:?}"),
        Value::BytesList(bytes) => format!("{:?}", texts(bytes).collect::<Vec<_>>()),
        Value::Ints(item, bytes) => format!("{:?}", item.all(bytes).collect::<Vec<_>>()),
        Value::Ancestors(bytes) => {
            format!("{:?}", ancestors(bytes).map(|one| (one.pid, one.comm, one.argv.map(listed))).collect::<Vec<_>>())
        }
    }
}

/// Returns the text for these bytes, computed in another way than the columns do.
fn text_of(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            let bad = error.error_len().unwrap_or(rest.len());
            let escapes = rest[..bad].iter().map(|byte| format!("\\x{byte:02x}")).collect::<Vec<_>>().concat();
            format!("{}{escapes}{}", str::from_utf8(valid).unwrap(), text_of(&rest[bad..]))
        }
    }
}

/// Formats a cell as [`shown`] formats the value. Checks that the raw bytes are there exactly when the text does not
/// show all.
pub(super) fn cell(key: Key, column: &ArrayRef, bytes: Option<&ArrayRef>, row: usize) -> String {
    if column.is_null(row) {
        assert!(key.or_none() && bytes.is_none_or(|bytes| bytes.is_null(row)), "{key:?}");
        return "none".into();
    }
    let raw_bytes = bytes.filter(|bytes| bytes.is_valid(row));
    let original = |text: &str, bytes: Option<&[u8]>| {
        let original = bytes.unwrap_or(text.as_bytes());
        assert_eq!((text_of(original).as_str(), str::from_utf8(original).is_err()), (text, bytes.is_some()));
        original.to_vec()
    };
    let one = |text: &str| format!("{:?}", original(text, raw_bytes.map(|bytes| bytes.as_binary::<i32>().value(row))));
    match key.value_type() {
        ValueType::Time => column.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        ValueType::I32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        ValueType::I64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        ValueType::U32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
        ValueType::U64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        ValueType::Bool => column.as_boolean().value(row).to_string(),
        ValueType::Keyword | ValueType::DictBytes => {
            let dictionary = column.as_dictionary::<Int32Type>();
            one(dictionary.values().as_string::<i32>().value(dictionary.key(row).unwrap()))
        }
        ValueType::Bytes => one(column.as_string::<i32>().value(row)),
        ValueType::Ancestors => {
            let items = column.as_list::<i32>().value(row);
            let all = columns::ancestors::cells(&items).map(|cell| {
                let argv = cell.argv.map(|texts| {
                    let shown: Vec<_> = texts.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
                    let Some(bytes) = cell.argv_bytes else {
                        return shown.into_iter().map(String::into_bytes).collect();
                    };
                    let bytes: Vec<_> = bytes.as_binary::<i32>().iter().map(|one| one.unwrap().to_vec()).collect();
                    assert_eq!(bytes.iter().map(|bytes| text_of(bytes)).collect::<Vec<_>>(), shown);
                    assert!(bytes.iter().any(|bytes| str::from_utf8(bytes).is_err()));
                    bytes
                });
                (cell.pid, original(cell.comm, cell.comm_bytes), argv)
            });
            format!("{:?}", all.collect::<Vec<_>>())
        }
        ValueType::BytesList => {
            let items = column.as_list::<i32>().value(row);
            let shown: Vec<_> = items.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
            let Some(bytes) = raw_bytes else {
                return format!("{:?}", shown.iter().map(String::as_bytes).collect::<Vec<_>>());
            };
            let items = bytes.as_list::<i32>().value(row);
            let bytes: Vec<_> = items.as_binary::<i32>().iter().map(Option::unwrap).collect();
            assert_eq!(bytes.iter().map(|bytes| text_of(bytes)).collect::<Vec<_>>(), shown);
            assert!(bytes.iter().any(|bytes| str::from_utf8(bytes).is_err()));
            format!("{bytes:?}")
        }
        kind @ (ValueType::Args | ValueType::Blob | ValueType::I64List | ValueType::U64List) => {
            panic!("no key of a sample is {kind:?}")
        }
    }
}

fn check(samples: &[Sample], wanted: Fields) {
    let mut values = Values::new(wanted);
    values.look_up_in(processes());
    let mut builder = BatchBuilder::new(&values, 3).unwrap();
    for sample in samples {
        with_event(sample, |event| builder.push(event, &mut values).unwrap());
    }
    let batch = builder.finish(schema(wanted)).unwrap();
    assert_eq!(batch.num_rows(), samples.len());
    for (row, sample) in samples.iter().enumerate() {
        let mut expected = vec![None; Key::ALL.len()];
        with_event(sample, |event| {
            for scope in Scope::ALL {
                let Ok(()) = values.visit(scope, event, |key, value| {
                    expected[key as usize] = Some(shown(value));
                    Ok::<_, Infallible>(())
                });
            }
        });
        for key in Key::ALL {
            let bytes = batch.column_by_name(&format!("{}_bytes", key.as_str()));
            let found = batch.column_by_name(key.as_str()).map(|column| cell(*key, column, bytes, row));
            assert_eq!((key, &found), (key, &expected[*key as usize]));
            assert_eq!(found.is_some(), wanted.contains(*key));
        }
    }
}

proptest! {
    #[test]
    fn columns_hold_the_values_of_the_events(samples in prop::collection::vec(sample(), 0..20)) {
        check(&samples, Fields::ALL);
    }

    #[test]
    fn any_keys(samples in prop::collection::vec(sample(), 0..4), keys in prop::sample::subsequence(Key::ALL, 1..=Key::ALL.len())) {
        let names: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        check(&samples, Fields::from_names(&names).unwrap());
    }
}

#[test]
fn a_dictionary_has_each_text_once() {
    let wanted = Fields::from_names(&["comm".into()]).unwrap();
    let mut values = Values::new(wanted);
    let mut builder = BatchBuilder::new(&values, 0).unwrap();
    for comm in [b"\xff\0\0\0", b"\\xff", b"\xff\0\0\0", b"rm\0\0"] {
        let mut record = enter_record::default();
        record.comm[..4].copy_from_slice(comm);
        let enter = Enter { record: &record, segments: Segments::default() };
        let event = Event { enter: &enter, exit: None, offset_ns: 0, exec: None, lost_before: 0, truth: None };
        builder.push(&event, &mut values).unwrap();
    }
    let batch = builder.finish(schema(wanted)).unwrap();
    let comm = batch.column(0).as_dictionary::<Int32Type>();
    assert_eq!(comm.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["\\xff", "rm"]);
    assert_eq!(comm.keys().values(), &[0, 0, 0, 1]);
    let bytes: Vec<_> = batch.column(1).as_binary::<i32>().iter().collect();
    assert_eq!(bytes, [Some(b"\xff".as_slice()), None, Some(b"\xff"), None]);
}

#[test]
fn texts_are_bounded() {
    let wanted = Fields::from_names(&["argv".into()]).unwrap();
    let mut values = Values::new(wanted);
    let mut builder = BatchBuilder::new(&values, 0).unwrap();
    let mut argv = Vec::new();
    add_segment(&mut argv, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, &[b'a'; 1023]);
    let enter = Enter { record: &enter_record::default(), segments: Segments::read(&argv).unwrap() };
    let mut cache = ExecCache::default();
    cache.learn(&enter).unwrap();
    let exec = cache.get(0).map(|exec| &**exec);
    while !builder.is_full() {
        builder
            .push(&Event { enter: &enter, exit: None, offset_ns: 0, exec, lost_before: 0, truth: None }, &mut values)
            .unwrap();
    }
    assert_eq!(builder.rows(), MAX_TEXT_BYTES / 1024);
}
