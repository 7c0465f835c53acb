//! Bitmaps in Arrow's layout, for booleans and for the validity of rows.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

use crate::memory::{OutOfMemory, reserve_to};

/// A bitmap. The lowest bit of a byte comes first.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    /// Bits from `len` on are zero.
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// Makes room for `total` bits in all.
    pub(crate) fn reserve_to(&mut self, total: usize) -> Result<(), OutOfMemory> {
        // Whole cache lines, as in Arrow's own buffers.
        let bytes = total.div_ceil(8).next_multiple_of(64);
        reserve_to(&mut self.bytes, bytes)
    }

    #[inline]
    pub(crate) fn append(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        let at = self.len / 8;
        self.bytes[at] |= u8::from(bit) << (self.len % 8);
        self.len += 1;
    }

    pub(crate) fn append_n(&mut self, more: usize, bit: bool) {
        let first = more.min(self.len.next_multiple_of(8) - self.len);
        (0..first).for_each(|_| self.append(bit));
        let (bytes, rest) = ((more - first) / 8, (more - first) % 8);
        self.bytes.resize(self.bytes.len() + bytes, if bit { u8::MAX } else { 0 });
        self.len += 8 * bytes;
        (0..rest).for_each(|_| self.append(bit));
    }

    pub(crate) fn last(&self) -> Option<bool> {
        let last = self.len.checked_sub(1)?;
        Some(self.bytes[last / 8] >> (last % 8) & 1 == 1)
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.bytes.truncate(len.div_ceil(8));
            if let (Some(last), used @ 1..) = (self.bytes.last_mut(), len % 8) {
                *last &= (1 << used) - 1;
            }
        }
    }

    pub(crate) fn finish(self) -> BooleanBuffer {
        BooleanBuffer::new(Buffer::from_vec(self.bytes), 0, self.len)
    }
}

/// The bitmap of rows that have a value. While every row has one, it is only a number of rows.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    bits: Bits,
    rows: usize,
    has_nulls: bool,
}

impl Validity {
    pub(crate) fn reserve_to(&mut self, rows: usize) -> Result<(), OutOfMemory> {
        self.bits.reserve_to(rows)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    pub(crate) fn append_valid(&mut self, more: usize) {
        self.rows += more;
        if self.has_nulls {
            self.bits.append_n(more, true);
        }
    }

    pub(crate) fn append_nulls(&mut self, more: usize) {
        if !self.has_nulls {
            self.has_nulls = true;
            self.bits.append_n(self.rows, true);
        }
        self.rows += more;
        self.bits.append_n(more, false);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.bits.truncate(rows);
    }

    pub(crate) fn finish(self) -> Option<NullBuffer> {
        self.has_nulls.then(|| NullBuffer::new(self.bits.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_length_at_any_place() {
        for first in 0..20 {
            for second in 0..20 {
                let mut bits = Bits::default();
                bits.append_n(first, true);
                bits.append_n(second, false);
                bits.append(true);
                assert_eq!((bits.len, bits.last()), (first + second + 1, Some(true)));
                let expected: Vec<bool> = (0..=first + second).map(|at| at < first || at == first + second).collect();
                for cut in 0..=expected.len() {
                    let mut cut_off = Bits { bytes: bits.bytes.clone(), len: bits.len };
                    cut_off.truncate(cut);
                    // The bits behind the cut must be gone.
                    cut_off.append(false);
                    let made: Vec<bool> = cut_off.finish().iter().collect();
                    assert_eq!(made, [&expected[..cut], &[false]].concat());
                }
            }
        }
    }

    #[test]
    fn without_nulls_there_are_no_bits() {
        let mut validity = Validity::default();
        validity.append_valid(3);
        assert!(validity.finish().is_none());
        let mut validity = Validity::default();
        validity.append_valid(2);
        validity.append_nulls(1);
        validity.append_valid(1);
        assert_eq!(validity.rows(), 4);
        validity.truncate(3);
        let nulls: Vec<bool> = validity.finish().unwrap().iter().collect();
        assert_eq!(nulls, [true, true, false]);
    }
}
