//! Keeps those of the kernel's types that an object's CO-RE relocations can refer to.
//!
//! CO-RE looks up each type of the object by its name among all types of the kernel: a hundred thousand, on every load.
//! It can find and follow only a few hundred of them. The subset made here leads to the same relocations.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::btf::parse::{
    ARRAY, CONST, ENUM, ENUM64, FLOAT, FUNC_PROTO, FWD, HEADER_BYTES, INT, MAGIC, PTR, RESTRICT, STRUCT, TYPE_TAG,
    TYPEDEF, Type, Types, UNION, VERSION, VOLATILE, word, words,
};
use crate::memory;

/// The way a type is reached. By value its members matter. By shape, as a parameter of a function, its pointers are
/// followed, and the name of a structure is enough.
const BY_VALUE: u8 = 1;
const BY_SHAPE: u8 = 2;

/// Returns a name without its flavour: `io_open` for `io_open___delayed`.
fn essential(name: &[u8]) -> &[u8] {
    let is_flavour = |five: &[u8]| five[0] != b'_' && five[1..4] == *b"___" && five[4] != b'_';
    name.windows(5).rposition(is_flavour).map_or(name, |at| &name[..=at])
}

/// All names in the object. They include some more strings, such as lines of its source.
fn wanted<'a>(object: &Types<'a>) -> FxHashSet<&'a [u8]> {
    object.strings.split(|&byte| byte == 0).flat_map(|name| [name, essential(name)]).collect()
}

/// Returns the first three bytes of a name. NULs stand for missing bytes and for those of a flavour. These bytes alone
/// rule out most of the kernel's names.
fn beginning(name: &[u8]) -> [u8; 3] {
    let mut beginning = [0; 3];
    for (to, &byte) in beginning.iter_mut().zip(name) {
        if byte == 0 || byte == b'_' {
            break;
        }
        *to = byte;
    }
    beginning
}

fn beginnings(wanted: &FxHashSet<&[u8]>) -> FxHashSet<[u8; 3]> {
    wanted.iter().map(|name| beginning(name)).collect()
}

/// Allocates a number for each of the kernel's types. There are many, so the allocation may fail.
fn zeros<T: Copy + Default>(count: usize) -> Option<Vec<T>> {
    let mut made = memory::with_capacity(count).ok()?;
    made.resize(count, T::default());
    Some(made)
}

/// Finds out how each type is reached, by id.
fn reach(kernel: &Types<'_>, wanted: &FxHashSet<&[u8]>) -> Option<Vec<u8>> {
    let beginnings = beginnings(wanted);
    let mut reached = zeros::<u8>(kernel.ids().end as usize)?;
    let mut todo = Vec::new();
    for id in kernel.ids() {
        let (name, kind) = kernel.head(id)?;
        let is_named = matches!(kind, STRUCT | UNION | ENUM | ENUM64 | TYPEDEF) && name != 0;
        let can_be = || kernel.strings.get(name as usize..).is_some_and(|name| beginnings.contains(&beginning(name)));
        if is_named && can_be() && wanted.contains(essential(kernel.name(name)?)) {
            todo.push((id, BY_VALUE | BY_SHAPE));
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

/// Whether CO-RE follows the member. It looks for members by name, and inside members without a name.
fn is_followed(kernel: &Types<'_>, wanted: &FxHashSet<&[u8]>, name: u32) -> Option<bool> {
    Some(name == 0 || wanted.contains(kernel.name(name)?))
}

/// A BTF in the making.
struct Written<'a> {
    kernel: &'a Types<'a>,
    wanted: &'a FxHashSet<&'a [u8]>,
    /// The new id of each type; 0, which is void, for a type that is left out.
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

/// Returns a BTF of those types of `kernel` that an object with the BTF `object` can be relocated by. `None` if one of
/// the two is not a BTF that this module knows.
#[must_use]
pub fn subset(kernel: &[u8], object: &[u8]) -> Option<Vec<u8>> {
    subset_of(&Types::new(kernel)?, object)
}

/// Does the same for a kernel's BTF that is parsed already.
pub(crate) fn subset_of(kernel: &Types<'_>, object: &[u8]) -> Option<Vec<u8>> {
    let object = Types::new(object)?;
    let wanted = wanted(&object);
    let reached = reach(kernel, &wanted)?;
    let mut ids = zeros::<u32>(reached.len())?;
    for (new, id) in (1..).zip(kernel.ids().filter(|&id| reached[id as usize] != 0)) {
        ids[id as usize] = new;
    }
    let mut written =
        Written { kernel, wanted: &wanted, ids, types: Vec::new(), strings: vec![0], known: FxHashMap::default() };
    for id in kernel.ids() {
        let how = reached[id as usize];
        if how != 0 {
            written.put_type(kernel.get(id)?, how)?;
        }
    }
    Some(written.whole())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::parse::FUNC;

    /// A BTF in the making.
    struct Made {
        types: Vec<u32>,
        ids: u32,
        strings: Vec<u8>,
    }

    impl Made {
        fn new(names: &[&str]) -> Self {
            let strings = [""].iter().chain(names).flat_map(|name| name.bytes().chain([0])).collect();
            Self { types: Vec::new(), ids: 0, strings }
        }

        fn name(&self, name: &str) -> u32 {
            let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
            self.strings.windows(wanted.len()).position(|found| found == wanted).map_or(0, |at| at as u32 + 1)
        }

        fn add(&mut self, name: &str, kind: u32, count: u32, size: u32, rest: &[u32]) -> u32 {
            self.types.extend([self.name(name), kind << 24 | count, size]);
            self.types.extend(rest);
            self.ids += 1;
            self.ids
        }

        fn bytes(&self) -> Vec<u8> {
            let types = self.types.len() as u32 * 4;
            let header = [MAGIC | VERSION << 16, HEADER_BYTES, 0, types, types, self.strings.len() as u32];
            let words = header.iter().chain(&self.types).flat_map(|word| word.to_ne_bytes());
            words.chain(self.strings.iter().copied()).collect()
        }
    }

    /// Lists all types: kind, name and members, each member with its type and offset.
    fn listed(btf: &[u8]) -> Vec<String> {
        let types = Types::new(btf).unwrap();
        let name = |at| String::from_utf8(types.name(at).unwrap().to_vec()).unwrap();
        let list = |found: Type<'_>| {
            let members = words(found.rest).map(|[member, of, at]| {
                let of = types.get(of).map_or_else(|| "void".into(), |of| format!("{}:{}", of.kind(), name(of.name)));
                format!(" {}={of}@{at}", name(member))
            });
            let members: String =
                if matches!(found.kind(), STRUCT | UNION) { members.collect() } else { String::new() };
            format!("{} {}{members}", found.kind(), name(found.name))
        };
        types.ids().map(|id| list(types.get(id).unwrap())).collect()
    }

    fn kernel() -> Made {
        let mut made =
            Made::new(&["int", "cred", "uid", "other", "task", "pid", "nobody", "hook", "len", "task___old"]);
        let names = ["uid", "pid", "nobody", "len"].map(|member| made.name(member));
        let [uid, pid, nobody, len] = names;
        let int = made.add("int", INT, 0, 4, &[32]);
        let cred = made.add("cred", STRUCT, 1, 4, &[uid, int, 0]);
        let to_cred = made.add("", PTR, 0, cred, &[]);
        let other = made.add("other", STRUCT, 1, 4, &[len, int, 0]);
        let anonymous = made.add("", UNION, 2, 8, &[len, to_cred, 0, nobody, other, 0]);
        let list = made.add("", ARRAY, 0, 0, &[int, int, 2]);
        made.add("task", STRUCT, 4, 40, &[pid, list, 64, nobody, other, 128, 0, anonymous, 160, uid, to_cred, 224]);
        let to_other = made.add("", PTR, 0, other, &[]);
        let takes = made.add("", FUNC_PROTO, 1, 0, &[0, to_other]);
        let hook = made.add("", PTR, 0, takes, &[]);
        made.add("hook", TYPEDEF, 0, hook, &[]);
        made.add("task___old", STRUCT, 1, 4, &[nobody, other, 0]);
        made.add("nobody", FUNC, 0, takes, &[]);
        made
    }

    #[test]
    fn a_type_is_found_by_its_whole_name_and_its_kind() {
        let kernel = kernel().bytes();
        let kernel = Types::new(&kernel).unwrap();
        let found = [("task", STRUCT), ("hook", TYPEDEF), ("nobody", FUNC), ("nobody", STRUCT), ("tas", STRUCT)];
        assert_eq!(kernel.find(found), [Some(7), Some(11), Some(13), None, None]);
    }

    #[test]
    fn types_with_a_wanted_name_and_their_members_are_kept() {
        let object = Made::new(&["task", "pid", "len", "uid"]).bytes();
        let kept = subset(&kernel().bytes(), &object).unwrap();
        let wanted = [
            "1 int",
            "2 ",
            "5  len=2:@0",
            "3 ",
            "4 task pid=3:@64 =5:@160 uid=2:@224",
            // The kernel has no types with a flavour, but libbpf would match this one.
            "4 task___old",
        ];
        assert_eq!(listed(&kept), wanted);
    }

    #[test]
    fn structures_that_a_function_takes_keep_only_their_names() {
        let object = Made::new(&["hook___flavour", "len"]).bytes();
        let kept = subset(&kernel().bytes(), &object).unwrap();
        assert_eq!(listed(&kept), ["4 other", "2 ", "13 ", "2 ", "8 hook"]);
        let types = Types::new(&kept).unwrap();
        assert_eq!([5, 4, 3, 2].map(|id| types.get(id).unwrap().size), [4, 3, 0, 1]);
    }

    #[test]
    fn a_subset_of_a_subset_is_the_same() {
        let object = Made::new(&["hook", "task", "pid", "nobody"]).bytes();
        let kept = subset(&kernel().bytes(), &object).unwrap();
        assert_eq!(subset(&kept, &object).unwrap(), kept);
    }

    #[test]
    fn a_cut_or_unknown_btf_is_refused() {
        let (whole, object) = (kernel().bytes(), Made::new(&["task"]).bytes());
        for bytes in 0..whole.len() {
            assert_eq!(subset(&whole[..bytes], &object), None, "{bytes}");
        }
        let mut made = kernel();
        made.add("task", 31, 0, 0, &[]);
        assert_eq!(subset(&made.bytes(), &object), None);
        let mut made = kernel();
        made.add("task", TYPEDEF, 0, 99, &[]);
        assert_eq!(subset(&made.bytes(), &object), None);
        assert_eq!(subset(&whole, b"no BTF"), None);
    }

    #[test]
    fn a_flavour_follows_the_last_three_underscores() {
        let names = ["io_open___delayed", "a___b___c", "___a", "a___", "a____b", "task"];
        let essentials = names.map(|name| std::str::from_utf8(essential(name.as_bytes())).unwrap());
        assert_eq!(essentials, ["io_open", "a___b", "___a", "a___", "a____b", "task"]);
    }
}
