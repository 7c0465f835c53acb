//! What an argument is: its kind, its width, and where its value is read.

use super::flags::Set;
use crate::syscall::Abi;

/// The kind of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A signed number.
    Int,
    /// An unsigned number.
    Uint,
    /// A file descriptor, or `AT_FDCWD`, which is -100.
    Fd,
    /// A user's or group's id. All ones are -1.
    Id,
    /// A file's mode.
    Mode,
    /// The mode of a file that open(2) makes. It is no argument unless the flags, in the register before, say so.
    CreateMode,
    /// An address as a number.
    Address,
    /// Flags, by name.
    Flags(&'static Set),
    /// One of several numbers, by name.
    Word(&'static Set),
    /// The path of a file.
    Path,
    /// Any other text.
    Text,
    /// A list of text that ends with NULL.
    Texts,
    /// The content of a buffer, which is only copied when it was asked for.
    Buffer,
    /// The address of a socket. The set has the names of the families.
    SocketAddress(&'static Set),
    /// A list of `int`.
    Ints,
    /// Seconds and nanoseconds, both as wide as a `long`, or 64 bits.
    Timespec,
    /// A timespec of `utimensat(2)`, whose nanoseconds may say now, or omit.
    FileTime(&'static Set),
    /// Seconds and microseconds, both as wide as a `long`.
    Timeval,
    /// The kind depends on another argument.
    Depends(&'static Choice),
}

/// The kinds of an argument by the value of another one.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The register of the other argument.
    pub(super) register: u8,
    /// The bits of it that decide.
    pub(super) mask: u32,
    /// Its values, and the kind and width that each of them means.
    pub(super) cases: Vec<(u32, Kind, Width)>,
    /// The kind and width for all other values. Without them there is no argument.
    pub(super) otherwise: Option<(Kind, Width)>,
}

/// How wide a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// So many bytes, in a register or in memory.
    Bytes(u8),
    /// Those of a `long`.
    Long,
    /// 64 bits, which 32-bit programs pass in two registers. On arm the first of them is one with an even number.
    Wide,
    /// Two registers, each of a `long`, everywhere. 64-bit kernels ignore the second.
    Pair,
    /// 16 bits in 32-bit tables and 32 in others: the ids of old calls.
    OldId,
}

/// Where an argument's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In its register.
    Register,
    /// So many bytes behind the address in its register, when the call enters.
    In(u16),
    /// So many bytes behind the address in its register, when the call exits.
    Out(u16),
}

/// How many bytes are at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As many as the kind has.
    Own,
    /// This many.
    Fixed(u16),
    /// As many as a register says.
    Register(u8),
    /// As many as the `__u32` says that a register has the address of.
    At(u8),
    /// As many as the call returned.
    Returned,
}

/// What a value looks like, for those that make columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// [`Int`](super::ArgumentValue::Int).
    Int,
    /// [`Uint`](super::ArgumentValue::Uint).
    Uint,
    /// [`Seconds`](super::ArgumentValue::Seconds), or a word in their place.
    Seconds,
    /// [`Text`](super::ArgumentValue::Text).
    Text,
    /// [`Texts`](super::ArgumentValue::Texts).
    Texts,
    /// [`Bytes`](super::ArgumentValue::Bytes).
    Bytes,
    /// [`Word`](super::ArgumentValue::Word), or a number in its place.
    Word,
    /// [`Flags`](super::ArgumentValue::Flags).
    Flags,
    /// [`Ints`](super::ArgumentValue::Ints).
    Ints,
    /// Any of them: it depends on another argument.
    Any,
}

/// Whether the table is one of 32 bits.
pub(super) fn is_narrow(abi: Abi) -> bool {
    matches!(abi, Abi::I386 | Abi::Arm)
}

/// The bytes of a `long`.
pub(super) fn long(abi: Abi) -> usize {
    if is_narrow(abi) { 4 } else { 8 }
}

impl Width {
    /// The bytes in memory, which a register can be narrower than.
    #[must_use]
    pub fn bytes(self, abi: Abi) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.into(),
            Self::Long => long(abi),
            Self::Wide | Self::Pair => 8,
            Self::OldId => {
                if is_narrow(abi) {
                    2
                } else {
                    4
                }
            }
        }
    }

    /// How many registers it takes.
    pub(super) fn registers(self, abi: Abi) -> u8 {
        match self {
            Self::Wide if is_narrow(abi) => 2,
            Self::Pair => 2,
            _ => 1,
        }
    }
}

impl Kind {
    /// What its values look like.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::Int | Self::Fd | Self::Id => Shape::Int,
            Self::Uint | Self::Mode | Self::CreateMode | Self::Address => Shape::Uint,
            Self::Flags(_) => Shape::Flags,
            Self::Word(_) => Shape::Word,
            Self::Path | Self::Text | Self::SocketAddress(_) => Shape::Text,
            Self::Texts => Shape::Texts,
            Self::Buffer => Shape::Bytes,
            Self::Ints => Shape::Ints,
            Self::Timespec | Self::FileTime(_) | Self::Timeval => Shape::Seconds,
            Self::Depends(_) => Shape::Any,
        }
    }

    /// Whether it is seconds and a fraction, which are always in memory.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Timespec | Self::FileTime(_) | Self::Timeval)
    }
}
