//! Finds out where a field is and what it is, by the kernel's types.

use crate::btf::parse::{ARRAY, ENUM, ENUM64, FWD, INT, PTR, STRUCT, Type, UNION};
use crate::btf::split::{Member, SplitTypes};
use crate::btf::tracepoints::Argument;
use crate::error::{Error, Result};
use crate::nearest::suggestion;
use crate::raw_tracepoint::field_path::{Step, parse};
use crate::raw_tracepoint::kind::{Kind, Names, Scalar};

/// The most structures without a name inside one another that are looked into. Real ones are four deep.
const NESTED_MAX: usize = 16;

/// The most members that an error names.
const TOLD_MAX: usize = 12;

/// The most bytes of a value that is no text.
const VALUE_BYTES_MAX: u64 = 4096;

/// The way from the tracepoint's arguments to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The index of the argument.
    pub(crate) argument: usize,
    /// The offsets at which the next address is read, one after the other.
    pub(crate) hops: Vec<i32>,
    pub(crate) read: Read,
}

/// The last step of an access. Offsets are from the last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// The argument itself is the value.
    Argument,
    /// So many bytes.
    Memory { offset: i32, bytes: u32 },
    /// A text up to a NUL.
    Text { offset: i32 },
}

/// What is asked of the kernel's types.
pub(crate) struct Resolver<'t, 'a> {
    pub(crate) types: &'t SplitTypes<'a>,
    pub(crate) tracepoint: &'t str,
    pub(crate) arguments: &'t [Argument],
    /// The kernel, for messages.
    pub(crate) kernel: &'t str,
    /// Whether addresses are values.
    pub(crate) pointers: bool,
    /// The most bytes of a text, with its NUL.
    pub(crate) text_bytes: u32,
}

/// A place on the way.
struct Place {
    hops: Vec<i32>,
    /// The offset from the last address, in bits; `None` for the argument itself.
    offset: Option<u64>,
    /// The size of a bit-field; 0 for others.
    bits: u32,
    id: u32,
}

/// The first names of many, for a message.
fn told(names: &[String]) -> String {
    let more = if names.len() > TOLD_MAX { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(TOLD_MAX)].join(", "))
}

impl<'a> Resolver<'_, 'a> {
    /// Returns the fields that a caller gets who names none: every argument that is a value by itself.
    pub(crate) fn default_fields(&self) -> Vec<String> {
        let is_value = |argument: &&Argument| self.field(&argument.name).is_ok();
        self.arguments.iter().filter(is_value).map(|argument| argument.name.clone()).collect()
    }

    /// Resolves the path of a field.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which names the structure, the kernel and the nearest name.
    pub(crate) fn field(&self, path: &str) -> Result<(Access, Kind)> {
        let (name, steps) = parse(path)?;
        let argument = self.arguments.iter().position(|it| it.name == name).ok_or_else(|| self.no_argument(name))?;
        let mut place = Place { hops: Vec::new(), offset: None, bits: 0, id: self.arguments[argument].id };
        for step in steps {
            match step {
                Step::Member(member) => self.enter(path, &mut place, member)?,
                Step::Element(index) => self.index(path, &mut place, index)?,
            }
        }
        let (read, kind) = self.value(path, &mut place)?;
        Ok((Access { argument, hops: place.hops, read }, kind))
    }

    fn no_argument(&self, name: &str) -> Error {
        let known: Vec<_> = self.arguments.iter().map(|argument| argument.name.as_str()).collect();
        let near = suggestion(name, known.iter().copied());
        let all = if known.is_empty() { "it has none".into() } else { format!("it has {}", known.join(", ")) };
        let end = if near.is_empty() { format!(": {all}") } else { format!("{near} ({all})") };
        Error::Value(format!("{} of Linux {} has no argument {name:?}{end}", self.tracepoint, self.kernel))
    }

    fn wrong<T>(&self, path: &str, why: &str) -> Result<T> {
        Err(Error::Value(format!("{path:?} of {}: {why}", self.tracepoint)))
    }

    /// Goes on to a member, through a pointer if there is one.
    fn enter(&self, path: &str, place: &mut Place, name: &str) -> Result<()> {
        let mut found = self.types.bare(place.id);
        if let Some((_, pointer)) = found.filter(|(_, found)| found.kind() == PTR) {
            self.follow(path, place)?;
            found = self.types.bare(pointer.size);
            place.id = pointer.size;
        }
        let Some((id, mut within)) = found else {
            return self.wrong(path, &format!("what is before {name:?} is void, which has no members"));
        };
        if within.kind() == FWD {
            let Some((_, whole)) = self.types.whole(within).and_then(|id| self.types.bare(id)) else {
                let declared = self.types.c_name(id);
                return self.wrong(
                    path,
                    &format!("the types of Linux {} have no more of {declared} than its name", self.kernel),
                );
            };
            within = whole;
        }
        if !matches!(within.kind(), STRUCT | UNION) {
            return self.wrong(path, &format!("{} has no members", self.types.c_name(place.id)));
        }
        let Some(offset) = place.offset else {
            return self.wrong(path, "a structure that is passed by value has no members here");
        };
        let Some(member) = self.member(within, name.as_bytes(), NESTED_MAX) else {
            let names = self.member_names(within);
            let mut end = suggestion(name, names.iter().map(String::as_str));
            if end.is_empty() {
                end = format!(": it has {}", told(&names));
            }
            let structure = self.types.c_name(id);
            return Err(Error::Value(format!(
                "{path:?} of {}: {structure} of Linux {} has no member {name:?}{end}",
                self.tracepoint, self.kernel
            )));
        };
        place.offset = Some(offset + u64::from(member.offset_bits));
        (place.bits, place.id) = (member.bits, member.id);
        Ok(())
    }

    /// Goes on to an element of an array.
    fn index(&self, path: &str, place: &mut Place, index: u32) -> Result<()> {
        let array = self.types.bare(place.id).and_then(|(_, found)| SplitTypes::array(found));
        let (Some((element, count)), Some(offset)) = (array, place.offset) else {
            return self.wrong(path, &format!("{} is no array", self.types.c_name(place.id)));
        };
        if index >= count {
            return self.wrong(path, &format!("{} has no element {index}", self.types.c_name(place.id)));
        }
        let bytes = self.types.size(element).unwrap_or(0);
        place.offset = Some(offset + u64::from(index) * bytes * 8);
        place.id = element;
        Ok(())
    }

    /// Takes the value at the place as an address.
    fn follow(&self, path: &str, place: &mut Place) -> Result<()> {
        if place.offset.is_some() {
            place.hops.push(self.offset(path, place)?);
        }
        place.offset = Some(0);
        Ok(())
    }

    /// The place's offset in bytes.
    fn offset(&self, path: &str, place: &Place) -> Result<i32> {
        let offset = place.offset.and_then(|bits| i32::try_from(bits / 8).ok());
        offset.map_or_else(|| self.wrong(path, "it is too far from the beginning of its structure"), Ok)
    }

    /// Finds a member, also inside members that have no name.
    fn member(&self, within: Type<'a>, name: &[u8], deep: usize) -> Option<Member<'a>> {
        self.types.members(within).find_map(|member| {
            if member.name == name {
                return Some(member);
            }
            let inner = self.unnamed(&member, deep)?;
            let found = self.member(inner, name, deep - 1)?;
            Some(Member { offset_bits: member.offset_bits + found.offset_bits, ..found })
        })
    }

    /// The structure or union of a member without a name.
    fn unnamed(&self, member: &Member<'a>, deep: usize) -> Option<Type<'a>> {
        let is_unnamed = member.name.is_empty() && deep > 0;
        let (_, inner) = is_unnamed.then(|| self.types.bare(member.id)).flatten()?;
        matches!(inner.kind(), STRUCT | UNION).then_some(inner)
    }

    fn member_names(&self, within: Type<'a>) -> Vec<String> {
        let mut names = Vec::new();
        self.add_names(within, NESTED_MAX, &mut names);
        names
    }

    fn add_names(&self, within: Type<'a>, deep: usize, names: &mut Vec<String>) {
        for member in self.types.members(within) {
            match self.unnamed(&member, deep) {
                Some(inner) => self.add_names(inner, deep - 1, names),
                None if member.name.is_empty() => {}
                None => names.push(String::from_utf8_lossy(member.name).into_owned()),
            }
        }
    }

    /// Returns the member that tells most by itself: the first text, else the first number, else the first.
    fn example(&self, within: Type<'a>) -> Option<String> {
        let is_text =
            |found: Type<'a>| SplitTypes::array(found).is_some_and(|(element, _)| self.types.size(element) == Some(1));
        let rank = |name: &String| match self.member(within, name.as_bytes(), NESTED_MAX) {
            Some(member) => match self.types.bare(member.id) {
                Some((_, found)) if found.kind() == ARRAY && is_text(found) => 0,
                Some((_, found)) if matches!(found.kind(), INT | ENUM | ENUM64) => 1,
                _ => 2,
            },
            None => 2,
        };
        self.member_names(within).into_iter().min_by_key(rank)
    }

    /// Decides what the value at the place is, and how it is read.
    fn value(&self, path: &str, place: &mut Place) -> Result<(Read, Kind)> {
        let whole = place.id;
        self.unwrap_single(place);
        let c_name = || self.types.c_name(whole);
        let Some((_, found)) = self.types.bare(place.id) else { return self.wrong(path, "it is void") };
        match found.kind() {
            INT => {
                let Some(int) = self.types.int(found) else { return self.wrong(path, "it is of an unknown type") };
                if u64::from(int.bits) != 8 * u64::from(int.bytes) && place.bits == 0 {
                    // A bit-field in the encoding of old compilers.
                    place.bits = int.bits;
                    place.offset = place.offset.map(|offset| offset + u64::from(int.offset_bits));
                }
                let (read, scalar) = self.scalar(path, place, int.bytes, int.is_signed)?;
                Ok((read, if int.is_bool { Kind::Bool(scalar) } else { Kind::Int(scalar) }))
            }
            ENUM | ENUM64 => {
                let names = self.types.enumerators(found);
                // Before Linux 6.0 nothing tells whether the values of an enumeration are signed but their high bits.
                let sign = 1 << (8 * found.size.clamp(1, 8) - 1);
                let is_signed = SplitTypes::is_signed_enum(found)
                    || found.kind() == ENUM && names.iter().any(|(value, _)| value & sign != 0);
                let (read, scalar) = self.scalar(path, place, found.size, is_signed)?;
                let names = names
                    .into_iter()
                    .map(|(value, name)| (scalar.extend(value), String::from_utf8_lossy(name).into_owned()));
                Ok((read, Kind::Enum(scalar, Names::new(names.collect()))))
            }
            PTR if self.types.is_text(found.size) => {
                self.follow(path, place)?;
                Ok((Read::Text { offset: 0 }, Kind::Text))
            }
            PTR if self.pointers => Ok((self.scalar(path, place, 8, false)?.0, Kind::Pointer)),
            PTR => {
                let member = self.types.bare(found.size).and_then(|(_, to)| self.example(to));
                let end =
                    member.map_or_else(String::new, |name| format!("name a member, such as \"{path}.{name}\", or "));
                self.wrong(path, &format!("it is an address ({}): {end}pass pointers=True", c_name()))
            }
            ARRAY => self.array(path, place, found),
            STRUCT | UNION => {
                let members = told(&self.member_names(found));
                self.wrong(path, &format!("it is a {}: name one of its members ({members})", c_name()))
            }
            _ => self.wrong(path, &format!("{} is no value", c_name())),
        }
    }

    /// Goes into structures that only wrap one value, such as `kuid_t` and `atomic_t`.
    fn unwrap_single(&self, place: &mut Place) {
        for _ in 0..NESTED_MAX {
            let Some((_, found)) = self.types.bare(place.id).filter(|(_, found)| found.kind() == STRUCT) else {
                return;
            };
            let mut members = self.types.members(found);
            let (Some(only), None) = (members.next(), members.next()) else { return };
            place.offset = place.offset.map(|offset| offset + u64::from(only.offset_bits));
            (place.bits, place.id) = (only.bits, only.id);
        }
    }

    fn is_char(&self, id: u32) -> bool {
        let int = self.types.bare(id).and_then(|(_, found)| self.types.int(found));
        int.is_some_and(|int| int.is_char)
    }

    fn scalar(&self, path: &str, place: &Place, bytes: u32, is_signed: bool) -> Result<(Read, Scalar)> {
        let Some(bits) = place.offset else {
            return match bytes {
                1..=8 => Ok((Read::Argument, Scalar::whole(bytes as u8, is_signed))),
                _ => self.wrong(path, &format!("a number of {bytes} bytes cannot be read")),
            };
        };
        let offset = self.offset(path, place)?;
        let (shift, bits) = if place.bits > 0 { ((bits % 8) as u32, place.bits) } else { (0, 8 * bytes) };
        let bytes = (shift + bits).div_ceil(8);
        if bits == 0 || bytes > 8 {
            return self.wrong(path, &format!("a number of {bits} bits cannot be read"));
        }
        let scalar = Scalar { bytes: bytes as u8, shift: shift as u8, bits: bits as u8, is_signed };
        Ok((Read::Memory { offset, bytes }, scalar))
    }

    fn array(&self, path: &str, place: &Place, found: Type<'a>) -> Result<(Read, Kind)> {
        let (Some((element, count)), true) = (SplitTypes::array(found), place.offset.is_some()) else {
            return self.wrong(path, "an array that is passed by value cannot be read");
        };
        let offset = self.offset(path, place)?;
        let bytes = self.types.size(place.id).unwrap_or(0);
        if self.is_char(element) {
            let read = match u32::try_from(bytes) {
                Ok(bytes @ 1..) if bytes <= self.text_bytes => Read::Memory { offset, bytes },
                // Also an array without a length, at the end of its structure.
                _ => Read::Text { offset },
            };
            return Ok((read, Kind::Text));
        }
        if bytes == 0 || bytes > VALUE_BYTES_MAX {
            let c_name = self.types.c_name(place.id);
            return self.wrong(path, &format!("{c_name} has {bytes} bytes, where 1 to {VALUE_BYTES_MAX} can be read: name an element, such as \"{path}[0]\""));
        }
        let read = Read::Memory { offset, bytes: bytes as u32 };
        let item = self.types.bare(element).map(|(_, item)| item);
        match item.map(|item| (item, item.kind())) {
            Some((item, INT)) => match self.types.int(item) {
                Some(int) if int.bytes == 1 => Ok((read, Kind::Bytes)),
                Some(int) if matches!(int.bytes, 2 | 4 | 8) => {
                    Ok((read, Kind::Ints(Scalar::whole(int.bytes as u8, int.is_signed))))
                }
                _ => self.wrong(path, "numbers of this size cannot be read"),
            },
            Some((_, PTR)) if self.pointers => Ok((read, Kind::Ints(Scalar::whole(8, false)))),
            _ => {
                let c_name = self.types.c_name(place.id);
                let end = if count > 0 { format!(": name an element, such as \"{path}[0]\"") } else { String::new() };
                self.wrong(path, &format!("it is {c_name}, which is no value{end}"))
            }
        }
    }
}
