//! The subset of a BTF is a valid BTF again, for any bytes. Bytes that are no BTF have no subset.

use std::iter;

use _core::btf::subset::subset;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

const NAMES: &[u8] = b"\0a\0b\0a___b\0";

/// Makes the words of types that are nearly valid: with known kinds, few members, small names and small ids.
fn types() -> impl Strategy<Value = Vec<u32>> {
    let head = (0..12_u32, 0..21_u32, 0..3_u32, 0..9_u32, vec(0..12_u32, 0..7));
    let one = head.prop_map(|(name, kind, count, size, rest)| {
        iter::once(name).chain([kind << 24 | count, size]).chain(rest).collect::<Vec<_>>()
    });
    vec(one, 0..9).prop_map(|types| types.concat())
}

fn btf(types: &[u32]) -> Vec<u8> {
    let bytes = types.len() as u32 * 4;
    let header = [0x1_eb9f, 24, 0, bytes, bytes, NAMES.len() as u32];
    header.iter().chain(types).flat_map(|word| word.to_ne_bytes()).chain(NAMES.iter().copied()).collect()
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_part_of_a_part_is_the_part(types in types()) {
        let object = btf(&[]);
        if let Some(part) = subset(&btf(&types), &object) {
            prop_assert_eq!(subset(&part, &object), Some(part));
        }
    }

    #[test]
    fn any_bytes(kernel in vec(any::<u8>(), 0..200), types in types(), at in any::<prop::sample::Index>()) {
        let mut broken = btf(&types);
        let at = at.index(broken.len());
        for (place, byte) in broken[at..].iter_mut().zip(&kernel) {
            *place = *byte;
        }
        for (kernel, object) in [(&kernel, &broken), (&broken, &kernel), (&broken, &broken)] {
            if let Some(part) = subset(kernel, object) {
                prop_assert!(subset(&part, &part).is_some());
            }
        }
    }
}
