//! A value that is several integers.

/// The type of an integer among several. It is a single byte, so that a [`crate::event::values::Value`] does not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntItem(u8);

const SIGNED: u8 = 0x80;

impl IntItem {
    /// An integer of 1 to 8 bytes.
    #[must_use]
    pub fn new(bytes: u8, is_signed: bool) -> Self {
        Self(bytes.clamp(1, 8) | if is_signed { SIGNED } else { 0 })
    }

    /// Whether it is signed.
    #[must_use]
    pub fn is_signed(self) -> bool {
        self.0 & SIGNED != 0
    }

    /// The number of its bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.0 & !SIGNED).clamp(1, 8)
    }

    /// Returns the integers that lie one after the other, as in the kernel's memory, extended to 64 bits.
    pub fn all(self, bytes: &[u8]) -> impl Iterator<Item = i64> + Clone {
        let unused = 64 - 8 * self.bytes();
        bytes.chunks_exact(self.bytes()).map(move |bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let high = u64::from_le_bytes(word) << unused;
            if self.is_signed() { high.cast_signed() >> unused } else { (high >> unused).cast_signed() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_right_sign() {
        let bytes = [0xff, 0xff, 1, 0, 0, 0x80, 9];
        let all = |is_signed| IntItem::new(2, is_signed).all(&bytes).collect::<Vec<_>>();
        assert_eq!(all(true), [-1, 1, -32768]);
        assert_eq!(all(false), [65535, 1, 32768]);
        assert_eq!(IntItem::new(8, true).all(&[0xfe; 8]).collect::<Vec<_>>(), [i64::from_le_bytes([0xfe; 8])]);
    }
}
