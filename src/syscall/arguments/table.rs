//! The text of the calls to arguments, for each table of system calls.

use super::calls::CALLS;
use super::flags::{self, Family, Set, number};
use super::kind::{Choice, Count, Kind, Place, Width};
use super::{Argument, Arguments, REGISTERS};
use crate::syscall::Abi;

/// Reads the calls of a table, in the order of their names. A row that is malformed is left out; a test reads them all.
pub(super) fn read(abi: Abi) -> Vec<(&'static str, Arguments)> {
    let mut calls: Vec<_> = rows(abi).filter_map(|(name, row)| Some((name, row?))).collect();
    calls.sort_by_key(|(name, _)| *name);
    calls
}

/// The rows of a table, in the order of the text. The first of a name is the one that counts.
fn rows(abi: Abi) -> impl Iterator<Item = (&'static str, Option<Arguments>)> {
    // They live as long as the process does, as the tables that refer to them.
    let sets: Option<&'static [Set]> = flags::read(family(abi)).map(|sets| &*sets.leak());
    let mut seen = Vec::new();
    CALLS.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let (name, tables) = split(words.next().filter(|word| !word.starts_with('#'))?);
        if !tables.is_none_or(|tables| tables.split(',').any(|table| is_of(table, abi))) || seen.contains(&name) {
            return None;
        }
        seen.push(name);
        Some((name, sets.and_then(|sets| arguments(words, abi, sets))))
    })
}

fn split(word: &'static str) -> (&'static str, Option<&'static str>) {
    word.split_once('@').map_or((word, None), |(name, tables)| (name, Some(tables)))
}

pub(super) fn family(abi: Abi) -> Family {
    match abi {
        Abi::X86_64 | Abi::X32 | Abi::I386 => Family::X86,
        Abi::Aarch64 | Abi::Arm => Family::Arm,
    }
}

/// Whether the name of a table, or of several, in the text is this one.
fn is_of(text: &str, abi: Abi) -> bool {
    match text {
        "64" => matches!(abi, Abi::X86_64 | Abi::X32 | Abi::Aarch64),
        "32" => matches!(abi, Abi::I386 | Abi::Arm),
        // x32 shares the native calls.
        "x86_64" => matches!(abi, Abi::X86_64 | Abi::X32),
        _ => text == abi.as_str(),
    }
}

/// Reads the arguments of a row.
fn arguments(words: impl Iterator<Item = &'static str>, abi: Abi, sets: &'static [Set]) -> Option<Arguments> {
    let words: Vec<&'static str> = words.collect();
    // Others may be named before their own place in the row is reached.
    let mut registers: Vec<(&'static str, u8)> = Vec::new();
    let mut next = 0;
    for word in &words {
        let (head, kind) = word.split_once(':')?;
        if head.starts_with('+') {
            registers.push(*registers.last()?);
            continue;
        }
        let width = if head.contains(['&', '>']) { Width::Long } else { self::kind(kind, sets, &[])?.1 };
        if width == Width::Wide && abi == Abi::Arm {
            next += next % 2;
        }
        registers.push((head.split(['&', '>']).next()?, next));
        next += width.registers(abi);
    }
    let read = |(word, (_, register)): (&&'static str, &(&str, u8))| argument(word, *register, abi, sets, &registers);
    let list = words.iter().zip(&registers).map(read).collect::<Option<_>>()?;
    (usize::from(next) <= REGISTERS).then_some(Arguments { list, registers: next, abi })
}

/// Reads one argument: `name:kind`, `name&offset:kind` or `name>offset:kind`.
fn argument(
    word: &'static str,
    register: u8,
    abi: Abi,
    sets: &'static [Set],
    registers: &[(&str, u8)],
) -> Option<Argument> {
    let (head, rest) = word.trim_start_matches('+').split_once(':')?;
    let (spelled, count) = match rest.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        Some((spelled, inner)) if spelled != "by" => (spelled, Some(inner)),
        _ => (rest, None),
    };
    let (kind, width) = kind(spelled, sets, registers)?;
    let count = match count {
        None => Count::Own,
        Some("ret") => Count::Returned,
        Some(count) => match (count.strip_prefix('*'), number(count)) {
            (_, Some(fixed)) => Count::Fixed(fixed.try_into().ok()?),
            (Some(name), None) => Count::At(of_name(registers, name)?),
            (None, None) => Count::Register(of_name(registers, count)?),
        },
    };
    let (name, place) = match (head.split_once('&'), head.split_once('>')) {
        (Some((name, at)), _) => (name, Place::In(offset(at, abi)?)),
        (None, Some((name, at))) => (name, Place::Out(offset(at, abi)?)),
        (None, None) if matches!(kind, Kind::Path | Kind::Text | Kind::Texts) => (head, Place::In(0)),
        (None, None) => (head, Place::Register),
    };
    Some(Argument { name, kind, width, place, count, register })
}

fn of_name(registers: &[(&str, u8)], name: &str) -> Option<u8> {
    registers.iter().find(|(known, _)| *known == name).map(|(_, register)| *register)
}

/// Reads an offset: `N`, or `N|M` where that of 32-bit tables is M, or nothing for 0.
fn offset(text: &str, abi: Abi) -> Option<u16> {
    let text = match text.split_once('|') {
        Some((_, narrow)) if super::kind::is_narrow(abi) => narrow,
        Some((wide, _)) => wide,
        None if text.is_empty() => "0",
        None => text,
    };
    text.parse().ok()
}

/// Reads a kind, with its width: its own, or the one behind a slash.
fn kind(text: &'static str, sets: &'static [Set], registers: &[(&str, u8)]) -> Option<(Kind, Width)> {
    if let Some(inner) = text.strip_prefix("by(").and_then(|text| text.strip_suffix(')')) {
        // Where only the width matters there are no registers yet.
        let choice =
            if registers.is_empty() { return Some((Kind::Int, Width::Long)) } else { choice(inner, sets, registers)? };
        return Some((Kind::Depends(Box::leak(Box::new(choice))), Width::Long));
    }
    let text = text.split('(').next()?;
    let (name, width) = text.split_once('/').map_or((text, None), |(name, width)| (name, Some(width)));
    let (kind, own) = match name {
        "int" => (Kind::Int, Width::Bytes(4)),
        "uint" => (Kind::Uint, Width::Bytes(4)),
        "long" => (Kind::Int, Width::Long),
        "ulong" | "size" => (Kind::Uint, Width::Long),
        "off" => (Kind::Int, Width::Wide),
        "u64" => (Kind::Uint, Width::Wide),
        "pair" => (Kind::Int, Width::Pair),
        "fd" => (Kind::Fd, Width::Bytes(4)),
        "id" => (Kind::Id, Width::Bytes(4)),
        "oldid" => (Kind::Id, Width::OldId),
        "mode" => (Kind::Mode, Width::Bytes(4)),
        "cmode" => (Kind::CreateMode, Width::Bytes(4)),
        "ptr" => (Kind::Address, Width::Long),
        "path" => (Kind::Path, Width::Long),
        "str" => (Kind::Text, Width::Long),
        "argv" => (Kind::Texts, Width::Long),
        "buf" => (Kind::Buffer, Width::Long),
        "sa" => (Kind::SocketAddress(set("family", sets)?), Width::Long),
        "ints" => (Kind::Ints, Width::Long),
        "ts" => (Kind::Timespec, Width::Long),
        "ts64" => (Kind::Timespec, Width::Bytes(8)),
        "filetime" => (Kind::FileTime(set("utime", sets)?), Width::Long),
        "filetime64" => (Kind::FileTime(set("utime", sets)?), Width::Bytes(8)),
        "tv" => (Kind::Timeval, Width::Long),
        _ => {
            let set = set(name, sets)?;
            let kind = if set.kind() == flags::SetKind::Flags { Kind::Flags(set) } else { Kind::Word(set) };
            (kind, Width::Bytes(4))
        }
    };
    let width = match width {
        None => own,
        Some("long") => Width::Long,
        Some("wide") => Width::Wide,
        Some(bytes) => Width::Bytes(bytes.parse().ok().filter(|bytes| [1, 2, 4, 8].contains(bytes))?),
    };
    Some((kind, width))
}

fn set(name: &str, sets: &'static [Set]) -> Option<&'static Set> {
    sets.iter().find(|set| set.name() == name)
}

/// Reads `other;1,2=kind;*=kind`, or `other%mask;…`.
fn choice(text: &'static str, sets: &'static [Set], registers: &[(&str, u8)]) -> Option<Choice> {
    let mut parts = text.split(';');
    let other = parts.next()?;
    let (other, mask) = other.split_once('%').map_or((other, "0xffffffff"), |(other, mask)| (other, mask));
    let register = of_name(registers, other)?;
    let mut found = Choice { register, mask: number(mask)? as u32, cases: Vec::new(), otherwise: None };
    for part in parts {
        let (values, spelled) = part.split_once('=')?;
        let (kind, width) = kind(spelled, sets, registers)?;
        if values == "*" {
            found.otherwise = Some((kind, width));
            continue;
        }
        for value in values.split(',') {
            found.cases.push((number(value)? as u32, kind, width));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for abi in Abi::ALL {
            let malformed: Vec<_> = rows(abi).filter(|(_, row)| row.is_none()).map(|(name, _)| name).collect();
            assert!(malformed.is_empty(), "{}: {malformed:?}", abi.as_str());
        }
    }

    /// A row for no call of any table is one that is misspelt.
    #[test]
    fn every_row_is_of_a_call() {
        let has = |name: &str, abi: &Abi| *abi != Abi::X32 && abi.number(name).is_some();
        for line in CALLS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, tables) = split(line.split_ascii_whitespace().next().unwrap());
            let of = |abi: &&Abi| tables.is_none_or(|tables| tables.split(',').any(|table| is_of(table, **abi)));
            assert!(Abi::ALL.iter().filter(of).any(|abi| has(name, abi)), "{line}");
            for table in tables.into_iter().flat_map(|tables| tables.split(',')) {
                assert!(Abi::ALL.iter().any(|abi| is_of(table, *abi) && has(name, abi)), "{table} of {line}");
            }
        }
    }
}
