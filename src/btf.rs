//! Of the kernel's types, those that the programs can ask for.
//!
//! CO-RE looks for each type of an object's by its name, among all of the kernel's: a hundred thousand, every time. What
//! it can find and follow is a few hundred of them. What is made here of those leads to the same relocations.

use std::ffi::CStr;

use rustc_hash::{FxHashMap, FxHashSet};

// Documentation/bpf/btf.rst
const MAGIC: u32 = 0xeb9f;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 24;
const TYPE_WORDS: usize = 3;

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// A type can be reached by its value, and its members matter; or by its shape, as what a function takes: then pointers
/// are followed, and of a structure its name is enough.
const BY_VALUE: u8 = 1;
const BY_SHAPE: u8 = 2;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; N]> {
    bytes.chunks_exact(4 * N).map(|chunk| std::array::from_fn(|i| word(chunk, 4 * i).unwrap_or_default()))
}

/// One type, as it is encoded.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// Or the type that it is made of.
    size: u32,
    rest: &'a [u8],
}

impl<'a> Type<'a> {
    /// What begins there; `None` for what is cut, or of a kind that is not known.
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

    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn count(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn bytes(&self) -> usize {
        4 * TYPE_WORDS + self.rest.len()
    }
}

/// A whole BTF.
struct Types<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each begins, by id; the first, void, is nowhere.
    starts: Vec<u32>,
}

impl<'a> Types<'a> {
    fn new(btf: &'a [u8]) -> Option<Self> {
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
        let mut starts = vec![u32::MAX];
        let mut start = 0;
        while start < types.len() {
            starts.push(start as u32);
            start += Type::at(types, start)?.bytes();
        }
        Some(Self { types, strings, starts })
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        Type::at(self.types, *self.starts.get(id as usize)? as usize)
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        1..self.starts.len() as u32
    }

    fn name(&self, offset: u32) -> Option<&'a [u8]> {
        Some(CStr::from_bytes_until_nul(self.strings.get(offset as usize..)?).ok()?.to_bytes())
    }
}

/// A name without its flavour: `io_open` of `io_open___delayed`.
fn essential(name: &[u8]) -> &[u8] {
    let is_flavour = |five: &[u8]| five[0] != b'_' && five[1..4] == *b"___" && five[4] != b'_';
    name.windows(5).rposition(is_flavour).map_or(name, |at| &name[..=at])
}

/// All that the object has a name for, and some more: lines of its source.
fn wanted<'a>(object: &Types<'a>) -> FxHashSet<&'a [u8]> {
    object.strings.split(|&byte| byte == 0).flat_map(|name| [name, essential(name)]).collect()
}

/// How each type is reached, by id.
fn reach(kernel: &Types<'_>, wanted: &FxHashSet<&[u8]>) -> Option<Vec<u8>> {
    let mut reached = vec![0; kernel.starts.len()];
    let mut todo = Vec::new();
    for id in kernel.ids() {
        let root = kernel.get(id)?;
        if matches!(root.kind(), STRUCT | UNION | ENUM | ENUM64 | TYPEDEF) && root.name != 0 {
            if wanted.contains(essential(kernel.name(root.name)?)) {
                todo.push((id, BY_VALUE | BY_SHAPE));
            }
        }
    }
    while let Some((id, how)) = todo.pop() {
        let known = reached.get_mut(id as usize)?;
        let new = how & !*known;
        if id == 0 || new == 0 {
            continue;
        }
        *known |= new;
        let found = kernel.get(id)?;
        match found.kind() {
            INT | ENUM | ENUM64 | FWD | FLOAT => {}
            STRUCT | UNION if new & BY_VALUE == 0 => {}
            STRUCT | UNION => {
                for [name, member, _] in words(found.rest) {
                    if is_followed(kernel, wanted, name)? {
                        todo.push((member, BY_VALUE));
                    }
                }
            }
            PTR | FUNC_PROTO if new & BY_SHAPE == 0 => {}
            PTR | FUNC_PROTO => {
                todo.push((found.size, BY_SHAPE));
                todo.extend(words(found.rest).map(|[_, parameter]| (parameter, BY_SHAPE)));
            }
            ARRAY => {
                let [element, index, _] = words(found.rest).next()?;
                todo.extend([(element, new), (index, new)]);
            }
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => todo.push((found.size, new)),
            _ => return None,
        }
    }
    Some(reached)
}

/// Members are looked for by name, and in those without a name.
fn is_followed(kernel: &Types<'_>, wanted: &FxHashSet<&[u8]>, name: u32) -> Option<bool> {
    Some(name == 0 || wanted.contains(kernel.name(name)?))
}

/// A BTF as it is written.
struct Written<'a> {
    kernel: &'a Types<'a>,
    wanted: &'a FxHashSet<&'a [u8]>,
    /// The new number of each type; 0, void, for what is left out.
    ids: Vec<u32>,
    types: Vec<u8>,
    strings: Vec<u8>,
    known: FxHashMap<u32, u32>,
}

impl Written<'_> {
    fn put(&mut self, word: u32) {
        self.types.extend(word.to_ne_bytes());
    }

    fn put_name(&mut self, offset: u32) -> Option<()> {
        let new = if offset == 0 {
            0
        } else if let Some(&known) = self.known.get(&offset) {
            known
        } else {
            let new = self.strings.len() as u32;
            self.strings.extend(self.kernel.name(offset)?);
            self.strings.push(0);
            self.known.insert(offset, new);
            new
        };
        self.put(new);
        Some(())
    }

    fn put_id(&mut self, id: u32) -> Option<()> {
        let new = *self.ids.get(id as usize)?;
        self.put(new);
        Some(())
    }

    fn put_type(&mut self, found: Type<'_>, how: u8) -> Option<()> {
        let head = self.types.len();
        self.put_name(found.name)?;
        self.put(found.info);
        match found.kind() {
            STRUCT | UNION => {
                self.put(found.size);
                let mut members = 0;
                for [name, member, offset] in words(found.rest) {
                    if how & BY_VALUE != 0 && is_followed(self.kernel, self.wanted, name)? {
                        members += 1;
                        self.put_name(name)?;
                        self.put_id(member)?;
                        self.put(offset);
                    }
                }
                self.types[head + 4..head + 8].copy_from_slice(&(found.info & !0xffff | members).to_ne_bytes());
            }
            INT | FWD | FLOAT => {
                self.put(found.size);
                self.types.extend(found.rest);
            }
            ENUM | ENUM64 => {
                self.put(found.size);
                let value_words = if found.kind() == ENUM { 2 } else { 3 };
                for value in found.rest.chunks_exact(4 * value_words) {
                    self.put_name(word(value, 0)?)?;
                    self.types.extend(&value[4..]);
                }
            }
            ARRAY => {
                self.put(found.size);
                let [element, index, count] = words(found.rest).next()?;
                self.put_id(element)?;
                self.put_id(index)?;
                self.put(count);
            }
            _ => {
                self.put_id(found.size)?;
                for [name, parameter] in words(found.rest) {
                    self.put_name(name)?;
                    self.put_id(parameter)?;
                }
            }
        }
        Some(())
    }

    fn whole(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let header = [MAGIC | VERSION << 16, HEADER_BYTES, 0, types, types, strings];
        let header = header.into_iter().flat_map(u32::to_ne_bytes);
        header.chain(self.types).chain(self.strings).collect()
    }
}

/// A BTF of those of the `kernel`'s types that an object with the BTF `object` can be relocated by. `None` where one of
/// them is not a BTF as it is known here.
#[must_use]
pub fn part_of(kernel: &[u8], object: &[u8]) -> Option<Vec<u8>> {
    let kernel = Types::new(kernel)?;
    let object = Types::new(object)?;
    let wanted = wanted(&object);
    let reached = reach(&kernel, &wanted)?;
    let mut ids = vec![0; reached.len()];
    for (new, id) in (1..).zip(kernel.ids().filter(|&id| reached[id as usize] != 0)) {
        ids[id as usize] = new;
    }
    let mut written = Written {
        kernel: &kernel,
        wanted: &wanted,
        ids,
        types: Vec::new(),
        strings: vec![0],
        known: FxHashMap::default(),
    };
    for id in kernel.ids() {
        let how = reached[id as usize];
        if how != 0 {
            written.put_type(kernel.get(id)?, how)?;
        }
    }
    Some(written.whole())
}
