//! A parser of BTF, the kernel's description of its types. See Documentation/bpf/btf.rst.

use std::ffi::CStr;
use std::ops::Range;

use crate::memory;

pub(crate) const MAGIC: u32 = 0xeb9f;
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: u32 = 24;
const TYPE_WORDS: usize = 3;

pub(crate) const INT: u32 = 1;
pub(crate) const PTR: u32 = 2;
pub(crate) const ARRAY: u32 = 3;
pub(crate) const STRUCT: u32 = 4;
pub(crate) const UNION: u32 = 5;
pub(crate) const ENUM: u32 = 6;
pub(crate) const FWD: u32 = 7;
pub(crate) const TYPEDEF: u32 = 8;
pub(crate) const VOLATILE: u32 = 9;
pub(crate) const CONST: u32 = 10;
pub(crate) const RESTRICT: u32 = 11;
pub(crate) const FUNC: u32 = 12;
pub(crate) const FUNC_PROTO: u32 = 13;
pub(crate) const VAR: u32 = 14;
pub(crate) const DATASEC: u32 = 15;
pub(crate) const FLOAT: u32 = 16;
pub(crate) const DECL_TAG: u32 = 17;
pub(crate) const TYPE_TAG: u32 = 18;
pub(crate) const ENUM64: u32 = 19;

pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

pub(crate) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; N]> {
    bytes.chunks_exact(4 * N).map(|chunk| std::array::from_fn(|i| word(chunk, 4 * i).unwrap_or_default()))
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// One type as it is encoded.
#[derive(Clone, Copy)]
pub(crate) struct Type<'a> {
    pub(crate) name: u32,
    pub(crate) info: u32,
    /// The size, or the id of the type it is made of.
    pub(crate) size: u32,
    pub(crate) rest: &'a [u8],
}

impl<'a> Type<'a> {
    /// Reads the type that begins at `start`. `None` if it is cut off or of an unknown kind.
    fn at(types: &'a [u8], start: usize) -> Option<Self> {
        let (head, rest) = types.get(start..)?.split_at_checked(4 * TYPE_WORDS)?;
        let [name, info, size] = words(head).next()?;
        let bare = Self { name, info, size, rest };
        let more = match bare.kind() {
            PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => 0,
            INT | VAR | DECL_TAG => 1,
            ARRAY => 3,
            STRUCT | UNION | DATASEC | ENUM64 => 3 * bare.count(),
            ENUM | FUNC_PROTO => 2 * bare.count(),
            _ => return None,
        };
        Some(Self { rest: rest.get(..4 * more)?, ..bare })
    }

    pub(crate) fn kind(&self) -> u32 {
        kind(self.info)
    }

    pub(crate) fn count(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn bytes(&self) -> usize {
        4 * TYPE_WORDS + self.rest.len()
    }
}

/// A whole BTF.
pub(crate) struct Types<'a> {
    encoded: &'a [u8],
    pub(crate) strings: &'a [u8],
    /// The offset of each type, by id. The first one, void, has none.
    starts: Vec<u32>,
}

impl<'a> Types<'a> {
    pub(crate) fn new(btf: &'a [u8]) -> Option<Self> {
        let version = u32::from(*btf.get(2)?);
        if word(btf, 0)? & 0xffff != MAGIC || version != VERSION {
            return None;
        }
        let body = btf.get(word(btf, 4)? as usize..)?;
        let section = |at| {
            let (start, bytes) = (word(btf, at)? as usize, word(btf, at + 4)? as usize);
            body.get(start..start.checked_add(bytes)?)
        };
        let (types, strings) = (section(8)?, section(16)?);
        // A guess at the number of types. Most take a little more than their three fixed words.
        let mut starts = memory::with_capacity(types.len() / (8 * TYPE_WORDS) + 1).ok()?;
        starts.push(u32::MAX);
        let mut start = 0;
        while start < types.len() {
            memory::reserve(&mut starts, 1).ok()?;
            starts.push(start as u32);
            start += Type::at(types, start)?.bytes();
        }
        Some(Self { encoded: types, strings, starts })
    }

    pub(crate) fn get(&self, id: u32) -> Option<Type<'a>> {
        Type::at(self.encoded, *self.starts.get(id as usize)? as usize)
    }

    pub(crate) fn ids(&self) -> Range<u32> {
        1..self.starts.len() as u32
    }

    /// Returns the name and kind alone, for callers that scan all types.
    pub(crate) fn head(&self, id: u32) -> Option<(u32, u32)> {
        let head = self.encoded.get(*self.starts.get(id as usize)? as usize..)?.get(..8)?;
        words(head).next().map(|[name, info]| (name, kind(info)))
    }

    /// Finds the first type of each name and kind, as the kernel does. It scans the types once for all of them.
    pub(crate) fn find<const N: usize>(&self, wanted: [(&str, u32); N]) -> [Option<u32>; N] {
        let mut found = [None; N];
        let kinds = wanted.iter().fold(0_u32, |kinds, (_, kind)| kinds | 1 << kind);
        for id in self.ids() {
            let Some((at, kind)) = self.head(id).filter(|(_, kind)| kinds >> kind & 1 == 1) else { continue };
            let Some(strings) = self.strings.get(at as usize..) else { continue };
            for (found, (name, of_kind)) in found.iter_mut().zip(wanted) {
                let is_name = || strings.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
                if kind == of_kind && found.is_none() && is_name() {
                    *found = Some(id);
                }
            }
        }
        found
    }

    pub(crate) fn name(&self, offset: u32) -> Option<&'a [u8]> {
        Some(CStr::from_bytes_until_nul(self.strings.get(offset as usize..)?).ok()?.to_bytes())
    }
}
