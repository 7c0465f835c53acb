//! Bytes that begin at a multiple of eight, as records do in the ring.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::slice;

use crate::memory::{OutOfMemory, reserve, with_capacity};

const WORD_BYTES: usize = size_of::<u64>();

/// A buffer of bytes whose type aligns them for every record.
#[derive(Default)]
pub struct AlignedBytes {
    /// All of the room. Zeros would be written only to be overwritten.
    words: Vec<MaybeUninit<u64>>,
    /// How many bytes of it are written.
    len: usize,
}

impl AlignedBytes {
    /// An empty buffer with room for `bytes`.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub fn with_capacity(bytes: usize) -> Result<Self, OutOfMemory> {
        let mut made = Self { words: with_capacity(bytes.div_ceil(WORD_BYTES))?, len: 0 };
        made.take_all_room();
        Ok(made)
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub fn copy_of(bytes: &[u8]) -> Result<Self, OutOfMemory> {
        let mut made = Self::with_capacity(bytes.len())?;
        made.extend_from_slice(bytes)?;
        Ok(made)
    }

    fn take_all_room(&mut self) {
        // SAFETY: the room is there, and a word that may be uninitialised is one without being written.
        unsafe { self.words.set_len(self.words.capacity()) };
    }

    /// How many bytes there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.words.len() * WORD_BYTES
    }

    /// Makes room for `more` bytes behind those that are there.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    #[inline]
    pub fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        if self.capacity() - self.len < more {
            let words = self.len.saturating_add(more).div_ceil(WORD_BYTES) - self.words.len();
            reserve(&mut self.words, words)?;
            self.take_all_room();
        }
        Ok(())
    }

    /// Appends a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        self.reserve(bytes.len())?;
        // SAFETY: there is room for them, and what is borrowed mutably overlaps with nothing.
        unsafe {
            self.end().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            self.advance(bytes.len());
        }
        Ok(())
    }

    /// The address behind the last byte: to write what [`AlignedBytes::reserve`] has made room for.
    pub fn end(&mut self) -> *mut u8 {
        // SAFETY: inside the room, or right behind it.
        unsafe { self.words.as_mut_ptr().cast::<u8>().add(self.len) }
    }

    /// Takes over what was written at the end.
    ///
    /// # Safety
    ///
    /// There was room for `more` bytes, and all of them are written.
    pub unsafe fn advance(&mut self, more: usize) {
        self.len += more;
    }

    /// Forgets the bytes, and keeps the room.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: so many are written.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_holds_stays_as_it_grows_and_is_aligned() {
        let mut buffer = AlignedBytes::default();
        assert_eq!((buffer.capacity(), &*buffer), (0, b"".as_slice()));
        for byte in 0..=255 {
            buffer.extend_from_slice(&[byte; 3]).unwrap();
            assert!(buffer.as_ptr().addr().is_multiple_of(8));
        }
        let expected: Vec<u8> = (0..=255).flat_map(|byte| [byte; 3]).collect();
        assert_eq!(&*buffer, &*expected);
        let room = buffer.capacity();
        buffer.clear();
        assert_eq!((buffer.len(), buffer.capacity()), (0, room));
        assert_eq!(buffer.reserve(usize::MAX / 16), Err(OutOfMemory));
        assert_eq!(AlignedBytes::with_capacity(9).unwrap().capacity(), 16);
    }
}
