//! The arguments of system calls: one table for all of them, and what the values look like.
//!
//! [`arguments_of`] finds the arguments of a call by its name and table. [`Arguments::copy_rules`] says what the BPF
//! programs have to copy for each register. [`decode`] makes a value of an argument out of the registers and of what was
//! copied. It borrows from the copy; only the address of a socket is made into text of its own.
//!
//! | file | purpose |
//! |---|---|
//! | `calls.rs`, `sets.rs` | the text of the table, and of the sets of names |
//! | `table.rs`, `flags.rs` | that text read |
//! | `kind.rs` | what an argument can be |
//! | `decode.rs`, `address.rs` | bytes to values |
//!
//! The names are those of section 2 of the man pages (6.03), and where those have none, the kernel's. A part of a structure
//! is named with a dot, as `how.flags`; several arguments then share a register. Arguments that do not fit a register, or
//! that another argument makes meaningless, as the mode of an open(2) that makes no file, are
//! [`ArgumentValue::None`].

mod address;
mod calls;
mod decode;
mod flags;
mod kind;
mod sets;
mod table;

use std::sync::OnceLock;

pub use decode::{ArgumentValue, Copied, CopyStatus, Ints, decode};
pub use flags::{FlagNames, Set, SetKind};
pub use kind::{Choice, Count, Kind, Place, Shape, Width};

use crate::syscall::Abi;

/// The registers with arguments.
pub const REGISTERS: usize = 6;

/// `PATH_MAX`: a bound on text. A longer path is none to the kernel.
pub const TEXT_BYTES: u16 = 4096;

/// A bound on the text of all of a list.
pub const TEXTS_BYTES: u16 = 4096;

/// `sizeof(struct sockaddr_storage)`: the kernel takes no longer address.
pub const ADDRESS_BYTES: u16 = 128;

/// One argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// The name in the man page.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// How wide its number is.
    pub width: Width,
    /// Where its value is read.
    pub place: Place,
    /// How many bytes are copied.
    pub count: Count,
    /// Its first register, from 0 on.
    pub register: u8,
}

/// The arguments of a call in one table.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    list: Vec<Argument>,
    registers: u8,
    abi: Abi,
}

/// What the BPF programs copy for a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyRule {
    /// How much is copied.
    pub how: How,
    /// The register with the count, or with the count's address, from 1 on; 0 is none.
    pub by: u8,
    /// A bound on the bytes; the number of them for [`How::Bytes`].
    pub bytes: u16,
    /// Whether it is copied when the call exits. Otherwise it is copied when the call enters.
    pub at_exit: bool,
}

/// How much is copied from the address in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum How {
    /// Nothing: the register's value is all.
    #[default]
    Value = 0,
    /// Up to a NUL.
    String = 1,
    /// A number of bytes.
    Bytes = 2,
    /// As many bytes as another register says.
    Counted = 3,
    /// As many bytes as the `__u32` says that another register has the address of, read at the same time.
    CountedAt = 4,
    /// As many bytes as the call returned.
    Returned = 5,
    /// The texts of a list of addresses, each up to its NUL, up to a NULL.
    Strings = 6,
}

impl Arguments {
    /// The arguments, in the order of their registers.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Argument> {
        self.list.iter()
    }

    /// How many registers the call has arguments in. On arm that includes one that is left out so that the next has an
    /// even number.
    #[must_use]
    pub fn registers(&self) -> usize {
        self.registers.into()
    }

    /// Returns what is copied for each register when `buffers` bytes of a buffer's content were asked for.
    #[must_use]
    pub fn copy_rules(&self, buffers: u16) -> [CopyRule; REGISTERS] {
        let mut rules = [CopyRule::default(); REGISTERS];
        for argument in &self.list {
            if let Some(rule) = rules.get_mut(usize::from(argument.register)) {
                let part = argument.copy_rule(self.abi, buffers);
                // The parts of a structure are copied at once.
                *rule = if part.bytes > rule.bytes { part } else { *rule };
            }
        }
        rules
    }
}

impl Argument {
    fn copy_rule(&self, abi: Abi, buffers: u16) -> CopyRule {
        let (offset, at_exit) = match self.place {
            Place::Register => return CopyRule::default(),
            Place::In(offset) => (offset, false),
            Place::Out(offset) => (offset, true),
        };
        let most = match self.kind {
            Kind::Buffer => buffers,
            Kind::SocketAddress(_) => ADDRESS_BYTES,
            Kind::Texts => return CopyRule { how: How::Strings, by: 0, bytes: TEXTS_BYTES, at_exit },
            _ => TEXT_BYTES,
        };
        let (how, by, bytes) = match self.count {
            _ if most == 0 => return CopyRule::default(),
            Count::Register(register) => (How::Counted, register + 1, most),
            Count::At(register) => (How::CountedAt, register + 1, most),
            Count::Returned => (How::Returned, 0, most),
            Count::Fixed(bytes) => (How::Bytes, 0, bytes),
            Count::Own if matches!(self.kind, Kind::Path | Kind::Text) => (How::String, 0, most),
            Count::Own => (How::Bytes, 0, offset + self.own_bytes(abi) as u16),
        };
        CopyRule { how, by, bytes, at_exit }
    }

    /// The bytes of its kind in memory.
    fn own_bytes(&self, abi: Abi) -> usize {
        match self.kind {
            kind if kind.is_time() => 2 * self.width.bytes(abi),
            Kind::Depends(choice) => choice
                .cases
                .iter()
                .filter(|(_, kind, _)| kind.is_time())
                .map(|(_, _, width)| 2 * width.bytes(abi))
                .max()
                .unwrap_or_default(),
            _ => self.width.bytes(abi),
        }
    }
}

/// Returns the arguments of a call; `None` for one that the table does not have. The table is read at the first use.
#[must_use]
pub fn arguments_of(name: &str, abi: Abi) -> Option<&'static Arguments> {
    let calls = calls_of(abi);
    let at = calls.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(&calls[at].1)
}

/// Returns the names of all calls of a table whose arguments are known.
pub fn names(abi: Abi) -> impl Iterator<Item = &'static str> {
    calls_of(abi).iter().map(|(name, _)| *name).filter(move |name| abi.number(name).is_some())
}

fn calls_of(abi: Abi) -> &'static [(&'static str, Arguments)] {
    static CALLS: [OnceLock<Vec<(&'static str, Arguments)>>; Abi::ALL.len()] =
        [const { OnceLock::new() }; Abi::ALL.len()];
    CALLS[abi as usize].get_or_init(|| table::read(abi))
}

#[cfg(test)]
mod tests;
