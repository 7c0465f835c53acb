//! A value that is several integers.

/// Integers that lie one after the other, as in the kernel's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ints<'a> {
    /// Their bytes.
    pub bytes: &'a [u8],
    /// The bytes of one: 1 to 8.
    pub item_bytes: u8,
    /// Whether they are signed.
    pub is_signed: bool,
}

impl Ints<'_> {
    /// The integers, extended to 64 bits.
    pub fn iter(&self) -> impl Iterator<Item = i64> + Clone {
        let unused = 64 - 8 * u32::from(self.item_bytes.clamp(1, 8));
        self.bytes.chunks_exact(self.item_bytes.clamp(1, 8).into()).map(move |bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let high = u64::from_le_bytes(word) << unused;
            if self.is_signed { high.cast_signed() >> unused } else { (high >> unused).cast_signed() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_right_sign() {
        let bytes = &[0xff, 0xff, 1, 0, 0, 0x80, 9];
        let all = |is_signed| Ints { bytes, item_bytes: 2, is_signed }.iter().collect::<Vec<_>>();
        assert_eq!(all(true), [-1, 1, -32768]);
        assert_eq!(all(false), [65535, 1, 32768]);
    }
}
