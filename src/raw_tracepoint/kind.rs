//! The kinds of values that a field can have.

use crate::fields::ValueType;

/// A number of up to 64 bits, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    /// The bytes that hold it: up to 8.
    pub bytes: u8,
    /// The lowest bit.
    pub shift: u8,
    /// The number of bits: more than 0, and none beyond the bytes.
    pub bits: u8,
    /// Whether the highest bit is a sign.
    pub is_signed: bool,
}

impl Scalar {
    /// A number that takes all bits of its bytes.
    #[must_use]
    pub fn whole(bytes: u8, is_signed: bool) -> Self {
        Self { bytes, shift: 0, bits: 8 * bytes, is_signed }
    }

    /// Reads the number, sign-extended to 64 bits. Bytes that are missing are 0.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        let count = bytes.len().min(self.bytes.into()).min(8);
        word[..count].copy_from_slice(&bytes[..count]);
        self.extend(u64::from_le_bytes(word) >> self.shift)
    }

    /// Extends the low bits of a number to 64.
    #[must_use]
    pub fn extend(self, value: u64) -> u64 {
        let unused = 64_u32.saturating_sub(self.bits.into()).min(63);
        let high = value << unused;
        if self.is_signed { (high.cast_signed() >> unused).cast_unsigned() } else { high >> unused }
    }
}

/// The values of an enumeration with their names, sorted by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<(u64, String)>);

impl Names {
    /// Of several names for a value, the first counts.
    #[must_use]
    pub fn new(mut names: Vec<(u64, String)>) -> Self {
        names.sort_by_key(|(value, _)| *value);
        names.dedup_by_key(|(value, _)| *value);
        Self(names)
    }

    /// The name of a value.
    #[must_use]
    pub fn get(&self, value: u64) -> Option<&str> {
        self.0.binary_search_by_key(&value, |(value, _)| *value).ok().map(|at| self.0[at].1.as_str())
    }
}

/// A kind of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int(Scalar),
    /// A boolean.
    Bool(Scalar),
    /// An enumeration.
    Enum(Scalar, Names),
    /// An address in the kernel.
    Pointer,
    /// A text, up to a NUL.
    Text,
    /// Bytes, all of them.
    Bytes,
    /// Integers.
    Ints(Scalar),
}

impl Kind {
    /// The type of its values in a dict or a column.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Int(Scalar { bits: ..=32, is_signed: true, .. }) => ValueType::I32,
            Self::Int(Scalar { is_signed: true, .. }) => ValueType::I64,
            Self::Int(Scalar { bits: ..=32, .. }) => ValueType::U32,
            Self::Int(_) | Self::Pointer => ValueType::U64,
            Self::Bool(_) => ValueType::Bool,
            Self::Enum(..) => ValueType::Keyword,
            Self::Text => ValueType::Bytes,
            Self::Bytes => ValueType::Blob,
            Self::Ints(Scalar { is_signed: true, .. }) => ValueType::I64List,
            Self::Ints(_) => ValueType::U64List,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_right_sign() {
        let bytes = [0xff, 0xfe, 0xff, 0xff, 1, 0, 0, 0x80];
        let read = |bytes_of, is_signed| Scalar::whole(bytes_of, is_signed).read(&bytes);
        assert_eq!(read(1, true).cast_signed(), -1);
        assert_eq!(read(1, false), 255);
        assert_eq!(read(2, true).cast_signed(), -257);
        assert_eq!(read(4, false), 0xffff_feff);
        assert_eq!(read(4, true).cast_signed(), -257);
        assert_eq!(read(8, false), 0x8000_0001_ffff_feff);
        let part = |shift, bits, is_signed| Scalar { bytes: 4, shift, bits, is_signed }.read(&bytes);
        assert_eq!(part(8, 1, false), 0);
        assert_eq!(part(9, 1, false), 1);
        assert_eq!(part(9, 1, true).cast_signed(), -1);
        assert_eq!(part(4, 6, false), 0b10_1111);
    }

    #[test]
    fn the_first_name_of_a_value_counts() {
        let names = Names::new(vec![(3, "c".into()), (1, "a".into()), (3, "again".into())]);
        assert_eq!((names.get(1), names.get(3), names.get(2)), (Some("a"), Some("c"), None));
    }
}
