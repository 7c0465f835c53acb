//! Names for numbers: flags, of which a value may have several, and words, of which it has one.

use super::sets::SETS;

/// One name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The bits that the name is about.
    mask: u64,
    /// The value of those bits.
    value: u64,
    name: &'static str,
}

/// Names for the values of an argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    name: &'static str,
    /// A name of several bits comes before those of each of them, and one of no bits before others of the same mask.
    entries: Vec<Entry>,
    kind: SetKind,
}

/// What a value of a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// Any number of the names.
    Flags,
    /// One of the names. A number without a name is signed.
    Words,
    /// One of the names. A number without a name is unsigned.
    UnsignedWords,
}

/// The architectures whose numbers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    X86,
    Arm,
}

impl Set {
    /// The name of the set in the table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a value is.
    #[must_use]
    pub fn kind(&self) -> SetKind {
        self.kind
    }

    /// Returns the name of a value, with its sign extended to 64 bits.
    #[must_use]
    pub fn word(&self, value: u64) -> Option<&'static str> {
        self.entries.iter().find(|entry| entry.value == value & entry.mask).map(|entry| entry.name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.name)
    }
}

/// The names of a value's bits, in the order of the set. What has no name is in [`rest`](Self::rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagNames {
    set: &'static Set,
    bits: u64,
}

impl FlagNames {
    pub(super) fn new(set: &'static Set, bits: u64) -> Self {
        Self { set, bits }
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + use<> {
        let mut bits = self.bits;
        self.set.entries.iter().filter(move |entry| take(&mut bits, entry)).map(|entry| entry.name)
    }

    /// The bits without a name.
    #[must_use]
    pub fn rest(&self) -> u64 {
        let mut bits = self.bits;
        for entry in &self.set.entries {
            take(&mut bits, entry);
        }
        bits
    }
}

/// Takes the bits of a name out of a value that has them.
fn take(bits: &mut u64, entry: &Entry) -> bool {
    let has = *bits & entry.mask == entry.value;
    if has {
        *bits &= !entry.value;
    }
    has
}

/// Reads the sets of a family of architectures; `None` where the text is malformed.
pub(super) fn read(family: Family) -> Option<Vec<Set>> {
    let mut sets: Vec<Set> = Vec::new();
    // Without a mask a name has the bits of its value.
    let mut mask = None;
    for token in SETS.split_ascii_whitespace() {
        if let Some(name) = token.strip_suffix(':') {
            sets.push(Set { name, entries: Vec::new(), kind: SetKind::Flags });
            continue;
        }
        let signals =
            if token == "@signal" { sets.iter().find(|set| set.name == "signal")?.entries.clone() } else { vec![] };
        let set = sets.last_mut()?;
        match token {
            "bits" => mask = None,
            "words" => (set.kind, mask) = (SetKind::Words, Some(u64::MAX)),
            "uwords" => (set.kind, mask) = (SetKind::UnsignedWords, Some(u64::MAX)),
            "@signal" => set.entries.extend(signals.iter().map(|signal| Entry { mask: mask.unwrap_or(0), ..*signal })),
            _ => match token.strip_prefix("mask:") {
                Some(bits) => mask = Some(number(bits)?),
                None => set.entries.extend(entry(token, mask, family)?),
            },
        }
    }
    Some(sets)
}

/// Reads a name and its value. The outer `None` is a malformed one, the inner one a flag that the family does not have.
#[expect(clippy::option_option, reason = "two kinds of nothing, told apart by the one caller")]
fn entry(token: &'static str, mask: Option<u64>, family: Family) -> Option<Option<Entry>> {
    let (name, value) = token.split_once('=')?;
    let value = match (value.split_once('|'), family) {
        (Some((x86, _)), Family::X86) => number(x86)?,
        (Some((_, arm)), Family::Arm) => number(arm)?,
        (None, _) => number(value)?,
    };
    Some(match mask {
        None if value == 0 => None,
        None => Some(Entry { mask: value, value, name }),
        // A word is compared with its sign extended from 32 bits.
        Some(u64::MAX) => {
            Some(Entry { mask: u64::MAX, value: i64::from((value as u32).cast_signed()).cast_unsigned(), name })
        }
        Some(mask) => Some(Entry { mask, value, name }),
    })
}

/// Reads a number in decimal or hexadecimal, which may be negative.
pub(super) fn number(text: &str) -> Option<u64> {
    let (text, negative) = text.strip_prefix('-').map_or((text, false), |text| (text, true));
    let value = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}
