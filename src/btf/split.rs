//! The types of the kernel, followed by those of one of its modules.
//!
//! A module's BTF is split: its ids and string offsets continue those of the kernel's own BTF, to which it refers.

use std::borrow::Cow;

use crate::btf::parse::{
    ARRAY, CONST, ENUM, ENUM64, FLOAT, FWD, INT, PTR, RESTRICT, STRUCT, TYPE_TAG, TYPEDEF, Type, Types, UNION,
    VOLATILE, words,
};

/// The longest chain of typedefs and qualifiers that is followed. The kernel's verifier of BTF allows 32.
const CHAIN_MAX: usize = 32;

/// The bit of a structure's `info` that tells that its members' offsets hold the sizes of bit-fields too. For an
/// enumeration it tells that the values are signed.
const KIND_FLAG: u32 = 1 << 31;

/// The bit of an integer's encoding that tells that it is signed, and the one that tells that it is a boolean.
const ENCODED_SIGNED: u32 = 1;
const ENCODED_BOOL: u32 = 4;

/// The types that one tracepoint's arguments can have.
pub(crate) struct SplitTypes<'a> {
    vmlinux: &'a Types<'a>,
    module: Option<Types<'a>>,
}

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Int {
    pub(crate) bytes: u32,
    pub(crate) is_signed: bool,
    pub(crate) is_bool: bool,
    /// Whether its name is `char`: an array of these is a text.
    pub(crate) is_char: bool,
    /// The number of bits, if it is a bit-field in the old encoding.
    pub(crate) bits: u32,
    /// The offset of those bits.
    pub(crate) offset_bits: u32,
}

/// A member of a structure or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) id: u32,
    pub(crate) offset_bits: u32,
    /// The size of a bit-field; 0 for other members.
    pub(crate) bits: u32,
}

impl<'a> SplitTypes<'a> {
    pub(crate) fn new(vmlinux: &'a Types<'a>, module: Option<Types<'a>>) -> Self {
        Self { vmlinux, module }
    }

    pub(crate) fn get(&self, id: u32) -> Option<Type<'a>> {
        let first = self.vmlinux.ids().end;
        if id < first { self.vmlinux.get(id) } else { self.module.as_ref()?.get(id - first + 1) }
    }

    pub(crate) fn name(&self, offset: u32) -> Option<&'a [u8]> {
        let first = self.vmlinux.strings.len() as u32;
        if offset < first { self.vmlinux.name(offset) } else { self.module.as_ref()?.name(offset - first) }
    }

    /// Calls `see` with the name, kind and id of each type of the module, or of the kernel's own without a module.
    pub(crate) fn scan(&self, mut see: impl FnMut(&'a [u8], u32, u32)) {
        let (types, shift) = match &self.module {
            Some(module) => (module, self.vmlinux.ids().end - 1),
            None => (self.vmlinux, 0),
        };
        for id in types.ids() {
            let Some((name, kind)) = types.head(id).filter(|(name, _)| *name != 0) else { continue };
            if let Some(name) = self.name(name) {
                see(name, kind, id + shift);
            }
        }
    }

    /// Returns the type behind typedefs and qualifiers, and its id. `None` for void.
    pub(crate) fn bare(&self, mut id: u32) -> Option<(u32, Type<'a>)> {
        for _ in 0..CHAIN_MAX {
            let found = self.get(id)?;
            match found.kind() {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => id = found.size,
                _ => return Some((id, found)),
            }
        }
        None
    }

    /// Returns the whole structure or union of that name, for a type of which only the name is declared.
    pub(crate) fn whole(&self, declared: Type<'a>) -> Option<u32> {
        let name = self.name(declared.name)?;
        let kind = if declared.info & KIND_FLAG == 0 { STRUCT } else { UNION };
        let mut whole = None;
        self.scan(|found, of_kind, id| {
            if of_kind == kind && found == name {
                whole.get_or_insert(id);
            }
        });
        whole.or_else(|| {
            let [id] = self.vmlinux.find([(str::from_utf8(name).ok()?, kind)]);
            id
        })
    }

    pub(crate) fn members(&self, of: Type<'a>) -> impl Iterator<Item = Member<'a>> {
        let has_bits = of.info & KIND_FLAG != 0;
        words(of.rest).filter_map(move |[name, id, offset]| {
            let (offset_bits, bits) = if has_bits { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            Some(Member { name: self.name(name)?, id, offset_bits, bits })
        })
    }

    /// Returns the element's type and the number of elements.
    pub(crate) fn array(of: Type<'a>) -> Option<(u32, u32)> {
        let [element, _, count] = words(of.rest).next()?;
        (of.kind() == ARRAY).then_some((element, count))
    }

    pub(crate) fn int(&self, of: Type<'a>) -> Option<Int> {
        let [encoding] = words(of.rest).next()?;
        let name = self.name(of.name)?;
        (of.kind() == INT).then_some(Int {
            bytes: of.size,
            is_signed: encoding >> 24 & ENCODED_SIGNED != 0,
            is_bool: encoding >> 24 & ENCODED_BOOL != 0 || name == b"_Bool",
            is_char: of.size == 1 && name == b"char",
            bits: encoding & 0xff,
            offset_bits: encoding >> 16 & 0xff,
        })
    }

    /// Whether a pointer to this type leads to a text: to `char`, or to `unsigned char` by that very name, as that of
    /// `struct qstr` does. A pointer to `u8`, which is the same by another name, leads to bytes.
    pub(crate) fn is_text(&self, id: u32) -> bool {
        let mut named = id;
        for _ in 0..CHAIN_MAX {
            match self.get(named) {
                Some(found) if matches!(found.kind(), CONST | VOLATILE | RESTRICT | TYPE_TAG) => named = found.size,
                _ => break,
            }
        }
        let is_char = |found: Type<'a>| self.int(found).is_some_and(|int| int.is_char);
        let is_unsigned = |found: Type<'a>| found.kind() == INT && self.name(found.name) == Some(b"unsigned char");
        self.bare(id).is_some_and(|(_, found)| is_char(found)) || self.get(named).is_some_and(is_unsigned)
    }

    /// Whether an enumeration's values are signed.
    pub(crate) fn is_signed_enum(of: Type<'a>) -> bool {
        of.info & KIND_FLAG != 0
    }

    /// Returns the names and values of an enumeration. Only the low bytes of a value, as many as the type has, count.
    pub(crate) fn enumerators(&self, of: Type<'a>) -> Vec<(u64, &'a [u8])> {
        let names = |[name, low, high]: [u32; 3]| Some((u64::from(high) << 32 | u64::from(low), self.name(name)?));
        match of.kind() {
            ENUM => words(of.rest).filter_map(|[name, low]| names([name, low, 0])).collect(),
            ENUM64 => words(of.rest).filter_map(names).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the size of a type in bytes. `None` when it has none, such as void or a function.
    pub(crate) fn size(&self, id: u32) -> Option<u64> {
        let mut count = 1_u64;
        let mut id = id;
        for _ in 0..CHAIN_MAX {
            let (_, bare) = self.bare(id)?;
            match bare.kind() {
                PTR => return count.checked_mul(8),
                INT | STRUCT | UNION | ENUM | ENUM64 | FLOAT => return count.checked_mul(bare.size.into()),
                ARRAY => {
                    let (element, elements) = Self::array(bare)?;
                    count = count.checked_mul(elements.into())?;
                    id = element;
                }
                _ => return None,
            }
        }
        None
    }

    /// Returns the type as C writes it, such as `const struct cred *`.
    pub(crate) fn c_name(&self, id: u32) -> String {
        self.c_name_within(id, CHAIN_MAX)
    }

    fn c_name_within(&self, id: u32, deep: usize) -> String {
        let (Some(found), Some(deep)) = (self.get(id), deep.checked_sub(1)) else { return "void".into() };
        let inner = |id| self.c_name_within(id, deep);
        let own = || match self.name(found.name) {
            Some(b"") | None => Cow::Borrowed("{…}"),
            Some(name) => String::from_utf8_lossy(name),
        };
        match found.kind() {
            PTR => {
                let to = inner(found.size);
                let star = if to.ends_with('*') { "" } else { " " };
                format!("{to}{star}*")
            }
            CONST if self.get(found.size).is_some_and(|to| to.kind() == PTR) => format!("{} const", inner(found.size)),
            CONST => format!("const {}", inner(found.size)),
            VOLATILE => format!("volatile {}", inner(found.size)),
            RESTRICT | TYPE_TAG => inner(found.size),
            ARRAY => {
                let (element, count) = Self::array(found).unwrap_or_default();
                format!("{}[{count}]", inner(element))
            }
            STRUCT => format!("struct {}", own()),
            UNION => format!("union {}", own()),
            FWD => format!("{} {}", if found.info & KIND_FLAG == 0 { "struct" } else { "union" }, own()),
            ENUM | ENUM64 => format!("enum {}", own()),
            INT | FLOAT | TYPEDEF => own().into_owned(),
            _ => "function".into(),
        }
    }
}
