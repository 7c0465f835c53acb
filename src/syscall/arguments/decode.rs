//! Registers and copied bytes to values.

use std::borrow::Cow;

use super::kind::{Choice, is_narrow, long};
use super::{Argument, Count, FlagNames, Kind, Place, REGISTERS, Set, SetKind, Width, address};
use crate::syscall::Abi;

/// What was copied from the address in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether they are all.
    pub status: CopyStatus,
}

/// Whether all was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStatus {
    /// It was.
    Whole,
    /// There was more than the bound on it.
    Truncated,
    /// There was no memory to read, or only a part of it.
    Fault,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgumentValue<'a> {
    /// It is not known, or is no argument of this call.
    None,
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A span or a point of time.
    Seconds(f64),
    /// Text, of any bytes: the name of a file, the address of a socket.
    Text(Cow<'a, [u8]>),
    /// A list of text, each followed by a NUL. The last one may be cut, and then has none.
    Texts(&'a [u8]),
    /// The content of a buffer.
    Bytes(&'a [u8]),
    /// The name of a number.
    Word(&'static str),
    /// The names of bits.
    Flags(FlagNames),
    /// A list of numbers.
    Ints(Ints<'a>),
}

/// A list of `int`, as it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ints<'a>(&'a [u8]);

impl Ints<'_> {
    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = i32> {
        self.0.chunks_exact(4).filter_map(|chunk| Some(i32::from_ne_bytes(*chunk.first_chunk()?)))
    }
}

/// Returns the value of an argument.
///
/// `registers` are those of the enter. `copied` is what was copied by the rule of the argument's register, if anything
/// was; `ret` is what the call returned, if that is known.
#[must_use]
pub fn decode<'a>(
    argument: &Argument,
    registers: &[u64; REGISTERS],
    abi: Abi,
    copied: Option<Copied<'a>>,
    ret: Option<i64>,
) -> ArgumentValue<'a> {
    let call = Call { registers, abi, copied: copied.filter(|copied| is_usable(argument, *copied)), ret };
    call.value(argument).unwrap_or(ArgumentValue::None)
}

/// A part of a text says something, a part of a structure that may not have it does not.
fn is_usable(argument: &Argument, copied: Copied<'_>) -> bool {
    copied.status != CopyStatus::Fault
        || matches!(argument.kind, Kind::Texts | Kind::Buffer) && !copied.bytes.is_empty()
}

/// What is known about a call.
struct Call<'r, 'a> {
    registers: &'r [u64; REGISTERS],
    abi: Abi,
    copied: Option<Copied<'a>>,
    ret: Option<i64>,
}

/// `-EINTR`, and what the kernel says in place of it when it is going to call again (`ERESTART_RESTARTBLOCK`).
const INTERRUPTED: [i64; 2] = [-4, -516];

impl<'a> Call<'_, 'a> {
    fn value(&self, argument: &Argument) -> Option<ArgumentValue<'a>> {
        if matches!(argument.place, Place::Out(_)) && !self.is_written(argument) {
            return None;
        }
        Some(match argument.kind {
            Kind::Path | Kind::Text => ArgumentValue::Text(Cow::Borrowed(self.text(argument)?)),
            Kind::Texts => ArgumentValue::Texts(self.copied?.bytes),
            Kind::Buffer => ArgumentValue::Bytes(self.copied?.bytes),
            Kind::Ints => ArgumentValue::Ints(Ints(self.copied?.bytes)),
            Kind::SocketAddress(families) => ArgumentValue::Text(self.address(argument, families)?),
            Kind::Timespec | Kind::FileTime(_) | Kind::Timeval => self.time(argument.kind, argument.width, argument)?,
            Kind::Depends(choice) => self.dependent(choice, argument)?,
            Kind::CreateMode if !self.creates(argument.register) => return None,
            kind => number(kind, self.raw(argument)?, argument.width.bytes(self.abi)),
        })
    }

    /// Whether the call has written what is read at its exit.
    fn is_written(&self, argument: &Argument) -> bool {
        self.ret.is_some_and(|ret| match argument.name {
            // What is left of a sleep is only written when a signal has interrupted it.
            "rem" | "remain" => INTERRUPTED.contains(&ret),
            // With WNOHANG there may be no status.
            "wstatus" => ret > 0,
            _ => !(-4095..0).contains(&ret),
        })
    }

    fn register(&self, at: u8) -> Option<u64> {
        let value = *self.registers.get(usize::from(at))?;
        Some(if is_narrow(self.abi) { value & u64::from(u32::MAX) } else { value })
    }

    /// The number of an argument, in the lowest bits.
    fn raw(&self, argument: &Argument) -> Option<u64> {
        match argument.place {
            Place::Register => self.in_registers(argument.register, argument.width),
            Place::In(offset) | Place::Out(offset) => self.in_memory(offset, argument.width.bytes(self.abi)),
        }
    }

    fn in_registers(&self, at: u8, width: Width) -> Option<u64> {
        let low = self.register(at)?;
        if is_narrow(self.abi) && matches!(width, Width::Wide | Width::Pair) {
            return Some(self.register(at + 1)? << 32 | low);
        }
        Some(low)
    }

    fn in_memory(&self, offset: u16, bytes: usize) -> Option<u64> {
        let start = usize::from(offset);
        let bytes = self.copied?.bytes.get(start..start + bytes)?;
        // All of the tables are little-endian.
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A text up to its NUL, or as long as it was said to be.
    fn text(&self, argument: &Argument) -> Option<&'a [u8]> {
        let bytes = self.copied?.bytes;
        Some(if argument.count == Count::Own { bytes.split(|byte| *byte == 0).next()? } else { bytes })
    }

    fn address(&self, argument: &Argument, families: &Set) -> Option<Cow<'a, [u8]>> {
        let bytes = self.copied?.bytes;
        let length = match argument.count {
            Count::Register(register) => self.register(register)? as u32 as usize,
            _ => bytes.len(),
        };
        address::text(bytes, length, Some(families))
    }

    fn time(&self, kind: Kind, width: Width, argument: &Argument) -> Option<ArgumentValue<'a>> {
        let (Place::In(offset) | Place::Out(offset)) = argument.place else { return None };
        let bytes = width.bytes(self.abi);
        let seconds = extended(self.in_memory(offset, bytes)?, bytes);
        let part = self.in_memory(offset + bytes as u16, bytes)?;
        // In a 32-bit task the kernel ignores the upper half of nanoseconds.
        let part = if bytes > long(self.abi) { part & u64::from(u32::MAX) } else { part };
        if let Kind::FileTime(set) = kind
            && let Some(word) = set.word(part)
        {
            return Some(ArgumentValue::Word(word));
        }
        let unit = if kind == Kind::Timeval { 1e6 } else { 1e9 };
        #[expect(clippy::cast_precision_loss, reason = "a second's fraction is exact to 0.24 µs today")]
        let seconds = seconds as f64 + extended(part, bytes.min(long(self.abi))) as f64 / unit;
        Some(ArgumentValue::Seconds(seconds))
    }

    fn dependent(&self, choice: &Choice, argument: &Argument) -> Option<ArgumentValue<'a>> {
        let decisive = self.register(choice.register)? as u32 & choice.mask;
        let case = choice.cases.iter().find(|(value, ..)| *value == decisive);
        let (kind, width) = case.map(|(_, kind, width)| (*kind, *width)).or(choice.otherwise)?;
        if kind.is_time() {
            return self.time(kind, width, argument);
        }
        Some(number(kind, self.in_registers(argument.register, width)?, width.bytes(self.abi)))
    }

    /// Whether the flags in the register before are those of an open(2) that makes a file.
    fn creates(&self, register: u8) -> bool {
        let flags = register.checked_sub(1).and_then(|before| self.register(before)).unwrap_or_default();
        // O_CREAT, and O_TMPFILE without O_DIRECTORY, whose bit is another one on arm.
        flags & (0x40 | 0x40_0000) != 0
    }
}

/// The sign of a number of so many bytes extended to 64 bits.
fn extended(value: u64, bytes: usize) -> i64 {
    let unused = 64 - 8 * bytes.clamp(1, 8);
    (value << unused).cast_signed() >> unused
}

fn number<'a>(kind: Kind, value: u64, bytes: usize) -> ArgumentValue<'a> {
    let signed = extended(value, bytes);
    let unused = 64 - 8 * bytes.clamp(1, 8);
    let unsigned = value << unused >> unused;
    match kind {
        Kind::Int | Kind::Fd => ArgumentValue::Int(signed),
        Kind::Id => ArgumentValue::Int(if signed == -1 { -1 } else { unsigned.cast_signed() }),
        Kind::Flags(set) => ArgumentValue::Flags(FlagNames::new(set, unsigned)),
        Kind::Word(set) => match (set.word(signed.cast_unsigned()), set.kind()) {
            (Some(word), _) => ArgumentValue::Word(word),
            (None, SetKind::UnsignedWords) => ArgumentValue::Uint(unsigned),
            (None, _) => ArgumentValue::Int(signed),
        },
        _ => ArgumentValue::Uint(unsigned),
    }
}
