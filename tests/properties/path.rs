//! Compares the paths of calls with those of a much simpler reference. They are absolute and normal.

use _core::path::resolve::{DELETED, PathKind, Paths};
use _core::record::segments::{Directory, Name, NameStatus, WalkStatus};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

/// Makes the name of a directory entry.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("not in a name", |byte| !matches!(byte, 0 | b'/'));
    prop_oneof![vec(byte, 1..6), Just(b"...".to_vec()), Just(b" ".to_vec())]
        .prop_filter("not an entry's name", |name| !matches!(name.as_slice(), b"." | b".."))
}

/// Makes a name as a program may pass it: any bytes without a NUL, in most cases names, dots and slashes.
fn passed() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![entry(), Just(b"".to_vec()), Just(b".".to_vec()), Just(b"..".to_vec())];
    prop_oneof![9 => vec(part, 1..9).prop_map(|parts| parts.join(&b'/')), 1 => vec(1..=u8::MAX, 1..40)]
        .prop_filter("the empty name has no path", |name| !name.is_empty())
}

fn relative() -> impl Strategy<Value = Vec<u8>> {
    passed().prop_map(|passed| if passed[0] == b'/' { [b".", passed.as_slice()].concat() } else { passed })
}

fn status() -> impl Strategy<Value = WalkStatus> {
    prop::sample::select(vec![WalkStatus::Whole, WalkStatus::Partial, WalkStatus::Deleted, WalkStatus::Pseudo])
}

/// Returns the names as the BPF programs send them: from the leaf to the root, each followed by a NUL.
fn upwards(names: &[Vec<u8>]) -> Vec<u8> {
    names.iter().rev().flat_map(|name| [name.as_slice(), &[0]].concat()).collect()
}

fn joined(names: &[Vec<u8>]) -> Vec<u8> {
    [b"/".as_slice(), &names.join(&b'/')].concat()
}

/// Walks from the process's root with a stack of names, from which `..` pops the last one.
fn reference(passed: &[u8], directory: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stack = if passed[0] == b'/' { Vec::new() } else { directory.to_vec() };
    for part in passed.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(stack.pop()),
            name => stack.push(name.to_vec()),
        }
    }
    stack
}

fn is_normal(path: &[u8]) -> bool {
    let mut parts = path.split(|byte| *byte == b'/');
    parts.next() == Some(b"") && (path == b"/" || parts.all(|part| !matches!(part, b"" | b"." | b"..")))
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn it_is_the_references(
        passed in passed(), below in vec(entry(), 0..5), above in vec(entry(), 0..3), is_cwd: bool,
    ) {
        let names = [upwards(&below), upwards(&above)].concat();
        let root_bytes = Some(u32::try_from(upwards(&below).len()).unwrap());
        let directory = Directory { status: WalkStatus::Whole, root_bytes, names: &names };
        let mut paths = Paths::default();
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: &passed }), Some(directory), None, is_cwd);

        let expected = reference(&passed, &below);
        let path = joined(&expected);
        prop_assert!(is_normal(&path), "the reference itself");
        prop_assert_eq!(paths.path(), Some(path.as_slice()));
        let host_path = joined(&[above.clone(), expected].concat());
        prop_assert_eq!(paths.host_path(), (!above.is_empty()).then_some(host_path.as_slice()));
        let kind = match (passed[0], is_cwd) {
            (b'/', _) => PathKind::Absolute,
            (_, true) => PathKind::Cwd,
            (_, false) => PathKind::Dirfd,
        };
        prop_assert_eq!(paths.kind(), kind);
    }

    #[test]
    fn a_path_of_a_path_is_itself(passed in passed(), below in vec(entry(), 0..5)) {
        let names = upwards(&below);
        let root_bytes = Some(u32::try_from(names.len()).unwrap());
        let directory = Directory { status: WalkStatus::Whole, root_bytes, names: &names };
        let mut paths = Paths::default();
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: &passed }), Some(directory), None, true);
        let once = paths.path().unwrap().to_vec();
        prop_assert!(is_normal(&once));
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: &once }), Some(directory), None, true);
        prop_assert_eq!(paths.path(), Some(once.as_slice()));
    }

    #[test]
    fn without_its_beginning_it_is_the_end_of_the_truth(
        passed in relative(), missing in vec(entry(), 1..4), met in vec(entry(), 0..4),
    ) {
        let names = upwards(&met);
        let directory = Directory { status: WalkStatus::Partial, root_bytes: None, names: &names };
        let mut paths = Paths::default();
        paths.resolve(Some(Name { status: NameStatus::Ok, bytes: &passed }), Some(directory), None, true);
        prop_assert_eq!(paths.host_path(), None);
        if let Some(path) = paths.path() {
            prop_assert_eq!(paths.kind(), PathKind::Partial);
            prop_assert!(is_normal(&[b"/", path].concat()) && !path.is_empty(), "{}", path.escape_ascii());
            let truth = joined(&reference(&passed, &[missing, met].concat()));
            prop_assert!(truth.ends_with(path), "{}", path.escape_ascii());
        } else {
            prop_assert!(reference(&passed, &met).is_empty());
        }
    }

    #[test]
    fn no_bytes_are_too_odd(
        passed in prop::option::of(vec(any::<u8>(), 0..40)),
        names in vec(prop_oneof![Just(0), Just(b'/'), Just(b'.'), any::<u8>()], 0..40),
        status in status(),
        name_status in prop::sample::select(vec![NameStatus::Ok, NameStatus::Truncated, NameStatus::Fault]),
        root_bytes in prop::option::of(prop_oneof![0..50_u32, any::<u32>()]),
        is_cwd: bool,
        is_known: bool,
        has_root: bool,
        is_deleted: bool,
    ) {
        let directory = is_known.then_some(Directory { status, root_bytes, names: &names });
        let root = directory.filter(|_| has_root);
        let name = passed.as_deref().map(|bytes| Name { status: name_status, bytes });
        let mut paths = Paths::default();
        paths.resolve(name, directory, root, is_cwd);
        prop_assert_eq!(paths.path().is_some(), paths.kind() != PathKind::Unknown);
        prop_assert_ne!(paths.path(), Some(b"".as_slice()));
        match paths.kind() {
            PathKind::Absolute => prop_assert!(is_normal(paths.path().unwrap())),
            PathKind::Cwd | PathKind::Dirfd => prop_assert!(paths.path().unwrap().starts_with(b"/")),
            PathKind::Unknown | PathKind::Partial => {}
        }
        prop_assert!(paths.host_path().is_none_or(|path| path.starts_with(b"/")));
        if let Some(directory) = directory {
            paths.resolve_file(Some(directory), is_deleted);
            let is_marked = is_deleted || directory.status == WalkStatus::Pseudo;
            prop_assert!(paths.file_path().is_none_or(|path| path.starts_with(b"/")));
            prop_assert!(!is_marked || paths.file_path().is_none_or(|path| path.ends_with(DELETED)));
        }
    }

    /// A directory's cached path is not used for another directory.
    #[test]
    fn it_does_not_depend_on_the_one_before(
        names in vec((passed(), prop::sample::select(vec![0, 1, 2]), any::<bool>()), 1..6),
        directories in [vec(entry(), 0..3), vec(entry(), 0..3), vec(entry(), 0..3)],
    ) {
        let mut paths = Paths::default();
        for (passed, at, is_cwd) in names {
            let names = upwards(&directories[at]);
            let directory = Directory { status: WalkStatus::Whole, root_bytes: Some(names.len() as u32), names: &names };
            let name = Some(Name { status: NameStatus::Ok, bytes: &passed });
            paths.resolve(name, Some(directory), None, is_cwd);
            let expected = joined(&reference(&passed, &directories[at]));
            prop_assert_eq!(paths.path(), Some(expected.as_slice()));
        }
    }
}
