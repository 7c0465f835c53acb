//! Any bytes as the registers of a call and as what they point to: every argument of the call, in every table, is made a
//! value of them. An input is what [`Input`] reads; `record` has the same as segments of a record.

#![no_main]

use std::sync::LazyLock;

use _core::syscall::Abi;
use _core::syscall::arguments::{
    Argument, ArgumentValue, Copied, CopyStatus, Count, Kind, Place, REGISTERS, Shape, TEXT_BYTES, arguments_of,
    decode, names,
};
use libfuzzer_sys::fuzz_target;

/// The calls of each table, in its order.
static CALLS: LazyLock<Vec<(Abi, Vec<&str>)>> =
    LazyLock::new(|| Abi::ALL.into_iter().map(|abi| (abi, names(abi).collect())).collect());

/// Takes numbers from the front of an input; there are zeros behind its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number(&mut self, bytes: usize) -> u64 {
        self.bytes(bytes).iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// What a register points to: a status, a length, and that many bytes.
    fn pointed(&mut self) -> Option<Copied<'a>> {
        let status = match self.number(1) {
            0 => return None,
            1 => CopyStatus::Whole,
            2 => CopyStatus::Truncated,
            _ => CopyStatus::Fault,
        };
        let bytes = self.number(2) as usize % (2 * usize::from(TEXT_BYTES));
        Some(Copied { bytes: self.bytes(bytes), status })
    }
}

/// Whether a value is of the shape that its column has.
fn is_of(value: &ArgumentValue<'_>, shape: Shape) -> bool {
    match value {
        ArgumentValue::None => true,
        ArgumentValue::Int(_) => matches!(shape, Shape::Int | Shape::Word | Shape::Any),
        ArgumentValue::Uint(_) => matches!(shape, Shape::Uint | Shape::Word | Shape::Any),
        ArgumentValue::Seconds(_) => matches!(shape, Shape::Seconds | Shape::Any),
        ArgumentValue::Text(_) => matches!(shape, Shape::Text | Shape::Any),
        ArgumentValue::Texts(_) => shape == Shape::Texts,
        ArgumentValue::Bytes(_) => shape == Shape::Bytes,
        ArgumentValue::Word(_) => matches!(shape, Shape::Word | Shape::Seconds | Shape::Any),
        ArgumentValue::Flags(_) => matches!(shape, Shape::Flags | Shape::Any),
        ArgumentValue::Ints(_) => shape == Shape::Ints,
    }
}

fn check(argument: &Argument, value: &ArgumentValue<'_>, copied: Option<Copied<'_>>, ret: Option<i64>) {
    assert!(is_of(value, argument.kind.shape()), "{}: {value:?}", argument.name);
    let is_in_memory = argument.place != Place::Register;
    if is_in_memory && copied.is_none() && !matches!(argument.kind, Kind::Depends(_)) {
        assert_eq!(value, &ArgumentValue::None, "{} of nothing", argument.name);
    }
    if matches!(argument.place, Place::Out(_)) && ret.is_none() {
        assert_eq!(value, &ArgumentValue::None, "{} of a call that did not return", argument.name);
    }
    match value {
        ArgumentValue::Text(text)
            if argument.count == Count::Own && !matches!(argument.kind, Kind::SocketAddress(_)) =>
        {
            assert!(!text.contains(&0), "a NUL in {}", argument.name);
        }
        ArgumentValue::Seconds(seconds) => assert!(seconds.is_finite()),
        ArgumentValue::Flags(flags) => assert!(flags.iter().all(|name| !name.is_empty())),
        ArgumentValue::Ints(ints) => {
            assert!(copied.is_some_and(|copied| ints.iter().count() == copied.bytes.len() / 4));
        }
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let (abi, calls) = &CALLS[input.number(1) as usize % CALLS.len()];
    let name = calls[input.number(2) as usize % calls.len()];
    let ret = (input.number(1) & 1 != 0).then_some(input.number(8).cast_signed());
    let registers: [u64; REGISTERS] = std::array::from_fn(|_| input.number(8));
    let pointed: [_; REGISTERS] = std::array::from_fn(|_| input.pointed());
    let arguments = arguments_of(name, *abi).expect("it is one of the table");
    for argument in arguments.iter() {
        let copied = pointed[usize::from(argument.register)];
        let value = decode(argument, &registers, *abi, copied, ret);
        check(argument, &value, copied, ret);
        // The columns and the rendering walk through the same values.
        assert!(!format!("{value:?}").is_empty());
    }
});
