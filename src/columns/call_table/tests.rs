use arrow_array::types::{Float64Type, Int64Type, UInt64Type};

use super::*;
use crate::columns::args::ArgsBuilder;
use crate::event::Event;
use crate::event::args::Args;
use crate::record::segments::Segments;
use crate::record::testing::add_segment;
use crate::record::{Enter, Exit, enter_record, exit_record};
use crate::skel::types::segment_kind;

/// Registers, what they point to at the entry, and the result.
type Call<'a> = ([u64; 6], &'a [(u32, &'a [u8])], i64);

/// Makes the columns of these calls.
fn table(name: &str, calls: &[Call<'_>]) -> Vec<(String, ArrayRef)> {
    let mut args = ArgsBuilder::new();
    for (registers, pointed, ret) in calls {
        let record = enter_record { nr: Abi::NATIVE.number(name).unwrap(), ..Default::default() };
        let mut segments = Vec::new();
        let words: Vec<u8> = registers.iter().flat_map(|word| word.to_ne_bytes()).collect();
        add_segment(&mut segments, segment_kind::SEGMENT_ARGUMENTS.0, 0, &words);
        for (register, bytes) in *pointed {
            add_segment(&mut segments, segment_kind::SEGMENT_ARGUMENT_1.0 + register, 0, bytes);
        }
        let enter = Enter { record: &record, segments: Segments::read(&segments).unwrap() };
        let exit = exit_record { ret: *ret, ..Default::default() };
        let exit = Exit::new(&exit);
        let event = Event { enter: &enter, exit: Some(&exit), offset_ns: 0, exec: None, lost_before: 0, truth: None };
        args.push(Args::of(&event).unwrap()).unwrap();
    }
    let [texts, bytes] = args.finish(calls.len(), None).unwrap();
    let made = columns(name, &texts, &bytes).unwrap();
    made.into_iter().map(|(field, column)| (field.name().clone(), column)).collect()
}

fn names(table: &[(String, ArrayRef)]) -> Vec<&str> {
    table.iter().map(|(name, _)| name.as_str()).collect()
}

fn column<'a>(table: &'a [(String, ArrayRef)], name: &str) -> &'a ArrayRef {
    &table.iter().find(|(known, _)| known == name).unwrap().1
}

fn texts(column: &ArrayRef) -> Vec<Option<&str>> {
    column.as_string::<i32>().iter().collect()
}

fn lists(column: &ArrayRef) -> Vec<Option<Vec<String>>> {
    let list = |items: ArrayRef| items.as_string::<i32>().iter().map(|item| item.unwrap().to_owned()).collect();
    column.as_list::<i32>().iter().map(|items| items.map(list)).collect()
}

#[test]
fn numbers_texts_and_flags() {
    let at = (-100_i64).cast_unsigned();
    let made = table(
        "openat",
        &[
            ([at, 1, 0x42, 0o600, 0, 0], &[(1, b"a\"\\\n\0")], 3),
            ([7, 1, 0, 0o777, 0, 0], &[(1, b"\xff\\xff\0")], -2),
            ([7, 0, 0x8000_0000, 0, 0, 0], &[], -14),
        ],
    );
    assert_eq!(names(&made), ["dirfd", "pathname", "pathname_bytes", "flags", "mode"]);
    assert_eq!(column(&made, "dirfd").as_primitive::<Int64Type>().values(), &[-100, 7, 7]);
    assert_eq!(texts(column(&made, "pathname")), [Some("a\"\\\n"), Some("\\xff\\xff"), None]);
    let bytes: Vec<_> = column(&made, "pathname_bytes").as_binary::<i32>().iter().collect();
    assert_eq!(bytes, [None, Some(b"\xff\\xff".as_slice()), None]);
    let flags = [vec!["O_RDWR", "O_CREAT"], vec!["O_RDONLY"], vec!["O_RDONLY", "0x80000000"]];
    assert_eq!(lists(column(&made, "flags")), flags.map(|names| Some(names.into_iter().map(Into::into).collect())));
    let modes: Vec<_> = column(&made, "mode").as_primitive::<UInt64Type>().iter().collect();
    assert_eq!(modes, [Some(0o600), None, None]);
}

#[test]
fn the_parts_of_a_structure_are_one_column() {
    let how = [0_u64, 0, 8].map(u64::to_ne_bytes).concat();
    let made = table(
        "openat2",
        &[([3, 1, 2, 24, 0, 0], &[(1, b"x\0"), (2, &how)], 4), ([3, 1, 0, 24, 0, 0], &[(1, b"x\0")], -14)],
    );
    assert_eq!(names(&made), ["dirfd", "pathname", "pathname_bytes", "how", "size"]);
    let how = column(&made, "how").as_struct();
    assert_eq!(how.column_names(), ["flags", "mode", "resolve"]);
    assert_eq!((how.is_valid(0), how.is_valid(1)), (true, false));
    assert_eq!(lists(how.column(2)), [Some(vec!["RESOLVE_BENEATH".to_owned()]), None]);
}

#[test]
fn lists_buffers_and_times() {
    let made =
        table("execve", &[([1, 2, 3, 0, 0, 0], &[(1, b"a\0\0\xff\0")], 0), ([1, 2, 3, 0, 0, 0], &[(1, b"")], 0)]);
    assert_eq!(names(&made), ["pathname", "pathname_bytes", "argv", "argv_bytes", "envp"]);
    assert_eq!(lists(column(&made, "argv")), [Some(vec!["a".into(), String::new(), "\\xff".into()]), Some(vec![])]);
    let bytes = column(&made, "argv_bytes").as_list::<i32>();
    assert_eq!((bytes.value_length(0), bytes.is_null(1)), (3, true));
    let made = table("write", &[([1, 2, 3, 0, 0, 0], &[(1, b"\0\xff\"")], 3), ([1, 2, 0, 0, 0, 0], &[], 0)]);
    let buffers: Vec<_> = column(&made, "buf").as_binary::<i32>().iter().collect();
    assert_eq!(buffers, [Some(b"\0\xff\"".as_slice()), None]);
    let time = |seconds: u64, part: u64| [seconds, part].map(u64::to_ne_bytes).concat();
    let both = [time(1, 500_000_000), time(0, 0x3fff_ffff)].concat();
    let made = table("utimensat", &[([3, 0, 1, 0, 0, 0], &[(2, &both)], 0), ([3, 0, 0, 0, 0, 0], &[], 0)]);
    let seconds = |name| column(&made, name).as_primitive::<Float64Type>().iter().collect::<Vec<_>>();
    assert_eq!((seconds("times[0]"), seconds("times[1]")), (vec![Some(1.5), None], vec![None, None]));
    assert_eq!(texts(column(&made, "times[1]_word")), [Some("UTIME_NOW"), None]);
    let made = table("pipe2", &[([1, 0, 0, 0, 0, 0], &[], 0)]);
    assert_eq!(
        column(&made, "pipefd").data_type(),
        &DataType::List(Arc::new(Field::new("item", DataType::Int64, false)))
    );
}

#[test]
fn what_depends_on_another_argument_is_text() {
    let made =
        table("fcntl", &[([3, 2, 1, 0, 0, 0], &[], 0), ([3, 4, 0x800, 0, 0, 0], &[], 0), ([3, 1, 9, 0, 0, 0], &[], 0)]);
    assert_eq!(texts(column(&made, "cmd")), [Some("F_SETFD"), Some("F_SETFL"), Some("F_GETFD")]);
    assert_eq!(texts(column(&made, "arg")), [Some("FD_CLOEXEC"), Some("O_RDONLY|O_NONBLOCK"), None]);
    let made = table("lseek", &[([3, 0, 99, 0, 0, 0], &[], -22)]);
    assert_eq!(texts(column(&made, "whence")), [Some("99")], "a number without a name");
}

#[test]
fn every_call_has_columns_of_its_own_names() {
    for call in crate::syscall::names() {
        let made = columns(
            call,
            &arrow_array::StringArray::from(vec![Some("{}"), None]),
            &ArgsBuilder::new().finish(2, None).unwrap()[1],
        );
        let mut all: Vec<_> = made.unwrap().into_iter().map(|(field, _)| field.name().clone()).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{call}: {all:?}");
    }
    assert_eq!(arguments("no such call"), []);
}

#[test]
fn columns_of_something_else_are_refused() {
    let [texts, bytes] = ArgsBuilder::new().finish(0, None).unwrap();
    assert!(columns("openat", &bytes, &texts).is_err());
    assert!(columns("openat", &arrow_array::StringArray::from(vec!["[]"]), &bytes).is_err());
}
