//! The tables of numbers, and what is found in them.

use super::*;
use crate::skel::types::call_trait;

#[test]
fn numbers_are_those_of_the_kernels_tables() {
    let table = |abi: Abi| ["unlink", "unlinkat", "rmdir", "renameat2", "openat2"].map(|name| abi.number(name));
    assert_eq!(table(Abi::X86_64), [Some(87), Some(263), Some(84), Some(316), Some(437)]);
    assert_eq!(table(Abi::I386), [Some(10), Some(301), Some(40), Some(353), Some(437)]);
    assert_eq!(table(Abi::Aarch64), [None, Some(35), None, Some(276), Some(437)]);
    assert_eq!(table(Abi::Arm), [Some(10), Some(328), Some(40), Some(382), Some(437)]);
    assert_eq!(Abi::X32.number("unlinkat"), Some(0x4000_0107));
    assert_eq!(Abi::I386.name(263), Some("timer_delete"));
    assert_eq!(Abi::X32.name(263), None);
    assert_eq!(Abi::X86_64.name(100_000), None);
    assert_eq!(Abi::X86_64.number("timer_remove"), None);
}

#[test]
fn names_and_numbers_are_each_other() {
    for abi in Abi::ALL {
        for number in (0..600).map(|number| if abi == Abi::X32 { number | X32_BIT } else { number }) {
            if let Some(name) = abi.name(number) {
                assert_eq!(abi.number(name), Some(number), "{name} of {}", abi.as_str());
            }
        }
    }
}

#[test]
fn records_find_their_call_by_table() {
    for call in all() {
        for (abi, nr) in numbers(call).into_iter().enumerate() {
            assert!(nr.is_none_or(|nr| of_record(abi as u32, nr) == Some(call) && (nr as usize) < TABLE));
        }
    }
    assert_eq!(of_record(0, u32::MAX), None);
    assert_eq!(of_record(types::abi::ABI_NATIVE.0, 520), None);
    let changes: Vec<_> = FILE_CHANGES.iter().filter(|name| by_name(name).unwrap().action.is_none()).collect();
    assert_eq!((changes.len() + LOSS.len(), FILE_CHANGES.len()), (FILE_CHANGES.len(), FILE_CHANGES.len()));
    assert!(["mkdirat", "linkat", "fchmod", "setxattr", "umount2"].iter().all(|name| changes.contains(&name)));
    let groups = [DELETE, RENAME, TRUNCATE, &["fallocate", "ioctl", "mq_unlink"]].concat();
    assert_eq!(groups, LOSS);
    assert!(groups.iter().all(|name| by_name(name).is_some()));
}

#[test]
fn numbers_without_a_name_have_the_places_that_calls_leave() {
    let unnamed: Vec<_> = unnamed_places().collect();
    let named: Vec<_> = all().iter().flat_map(places).collect();
    assert!(unnamed.iter().all(|place| !named.contains(place)));
    assert!([(0, 999), (1, 999), (0, UNNAMED), (1, UNNAMED)].iter().all(|place| unnamed.contains(place)));
    let mut both = [unnamed, named].concat();
    both.sort_unstable();
    both.dedup();
    assert_eq!(both.len(), 2 * TABLE);
}

#[test]
fn a_number_without_a_name_is_named_by_it() {
    assert_eq!(unnamed(types::abi::ABI_NATIVE.0, 999), "syscall_0x3e7");
    assert_eq!(unnamed(types::abi::ABI_COMPAT.0, 0x4000_03e7), "syscall_0x400003e7");
    assert_eq!(unnamed(types::abi::ABI_X32.0, 999), "syscall_0x400003e7");
}

#[test]
fn x32_has_numbers_of_its_own() {
    for (number, name) in [(514, "ioctl"), (520, "execve"), (547, "pwritev2")] {
        let found = of_record(types::abi::ABI_X32.0, number).map(|call| call.name);
        assert_eq!(found, cfg!(target_arch = "x86_64").then_some(name));
    }
}

#[test]
fn a_call_that_events_have_no_keys_for_has_no_path() {
    let call = by_name("getppid").unwrap();
    assert_eq!((call.action, call.shape.path, call.shape.dfd), (None, 0, 0));
    assert_eq!(u32::from(call.shape.traits), call_trait::CALL_PATHLESS.0);
    assert!(names().any(|name| name == "getppid") && by_name("getpppid").is_none());
}

#[test]
fn the_flags_decide_about_the_action() {
    let action = |name, flags| by_name(name).unwrap().action_of(flags).map(Action::as_str);
    // include/uapi/linux/falloc.h; FALLOC_FL_KEEP_SIZE is 1.
    let modes = [(3, "punch"), (8, "collapse"), (0x10, "zero"), (0x11, "zero"), (0x80, "zero")];
    assert!(modes.iter().all(|(mode, word)| action("fallocate", *mode) == Some(*word)));
    let commands = [
        (0x5000_940f, "delete"),
        (0x5000_943f, "delete"),
        (0x4030_5829, "punch"),
        (0x402c_582b, "punch"),
        (0x4030_5839, "zero"),
        (0x402c_5839, "zero"),
        (0x4030_580b, "truncate"),
    ];
    assert!(commands.iter().all(|(command, word)| action("ioctl", *command) == Some(*word)));
    let removes_directory = libc::AT_REMOVEDIR as u32;
    assert_eq!(
        ["unlinkat", "mq_unlink", "renameat2"].map(|name| action(name, 0)),
        ["delete", "delete", "rename"].map(Some)
    );
    assert_eq!(action("unlinkat", removes_directory), Some("rmdir"));
    assert_eq!(action("open_by_handle_at", removes_directory | libc::O_TRUNC as u32), Some("truncate"));
    // What makes nothing go has none: preallocation, TCGETS, an open to read or to make a file.
    assert_eq!([action("fallocate", 1), action("ioctl", 0x5401), action("openat", 0o102)], [None; 3]);
    assert_eq!(action("openat2", libc::O_TRUNC as u32), Some("truncate"));
}
