//! Any call with any registers and any copies has arguments, in every table. No length and no byte makes a panic.

use _core::syscall::Abi;
use _core::syscall::arguments::{ArgumentValue, Copied, CopyStatus, REGISTERS, arguments_of, decode, names};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

fn register() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..70_u64, Just(u64::from(u32::MAX)), any::<u32>().prop_map(u64::from)]
}

/// The beginning of an address, and whatever follows.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let family = prop_oneof![select(vec![1_u16, 2, 10, 16, 40]), any::<u16>()];
    let address =
        (family, vec(any::<u8>(), 0..140)).prop_map(|(family, rest)| [&family.to_le_bytes()[..], &rest].concat());
    prop_oneof![address, vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_call_has_arguments(
        registers in [register(), register(), register(), register(), register(), register()],
        copies in vec(bytes(), REGISTERS),
        status in select(vec![CopyStatus::Whole, CopyStatus::Truncated, CopyStatus::Fault]),
        ret in prop_oneof![Just(None), any::<i64>().prop_map(Some), (-600..10_i64).prop_map(Some)],
        copied in any::<u8>(),
    ) {
        for abi in Abi::ALL {
            for name in names(abi) {
                let arguments = arguments_of(name, abi).unwrap();
                for argument in arguments.iter() {
                    let at = usize::from(argument.register);
                    let copy = Copied { bytes: &copies[at], status };
                    let copy = (copied & 1 << at != 0).then_some(copy);
                    match decode(argument, &registers, abi, copy, ret) {
                        ArgumentValue::Flags(names) => prop_assert!(names.iter().count() <= 64),
                        ArgumentValue::Seconds(seconds) => prop_assert!(seconds.is_finite()),
                        ArgumentValue::Ints(ints) => prop_assert!(ints.iter().count() <= 50),
                        ArgumentValue::Text(text) => prop_assert!(copy.is_some() && text.len() < 300),
                        ArgumentValue::Bytes(bytes) | ArgumentValue::Texts(bytes) => prop_assert_eq!(bytes, &copies[at][..]),
                        _ => {}
                    }
                }
                prop_assert!(arguments.registers() <= REGISTERS);
            }
        }
    }
}
