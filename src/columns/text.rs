//! A column of texts as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use arrow_array::StringArray;
use arrow_buffer::{NullBuffer, OffsetBuffer};

use crate::memory::{OutOfMemory, reserve, reserve_text};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// Texts, stored one after the other.
#[derive(Debug)]
pub(crate) struct TextBuilder {
    pub(crate) offsets: Vec<i32>,
    pub(crate) text: String,
}

impl TextBuilder {
    pub(crate) fn new() -> Self {
        Self { offsets: vec![0], text: String::new() }
    }

    /// Makes room for `more` texts that take `bytes` bytes when shown.
    pub(crate) fn reserve(&mut self, more: usize, bytes: usize) -> Refusable {
        reserve(&mut self.offsets, more)?;
        reserve_text(&mut self.text, bytes)
    }

    /// Repeats the last `items` texts `more` times. Each step copies all copies so far, so that the number of steps is
    /// logarithmic.
    pub(crate) fn repeat(&mut self, items: usize, more: usize) {
        let Self { offsets, text } = self;
        let first = offsets.len() - 1 - items;
        let start = offsets[first] as usize;
        let bytes = text.len() - start;
        let mut lists = 1;
        while lists <= more {
            let again = lists.min(more + 1 - lists);
            text.extend_from_within(start..start + again * bytes);
            let (added, shift) = (offsets.len(), (lists * bytes) as i32);
            offsets.extend_from_within(first + 1..=first + again * items);
            offsets[added..].iter_mut().for_each(|offset| *offset += shift);
            lists += again;
        }
    }

    /// Removes all texts after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.text.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    /// Ends the current text.
    pub(crate) fn end(&mut self) {
        self.offsets.push(self.text.len() as i32);
    }

    /// Adds a text, with `\xNN` for each byte that is not UTF-8. Returns false if there was such a byte.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        let whole = text_of(bytes);
        if let Some(text) = whole {
            self.reserve(1, text.len())?;
            self.text.push_str(text);
        } else {
            self.reserve(1, shown_bytes(bytes))?;
            escape(bytes, &mut self.text);
        }
        self.end();
        Ok(whole.is_some())
    }

    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> StringArray {
        let offsets = OffsetBuffer::new(self.offsets.into());
        // SAFETY: the bytes are a string's, and each offset was once its length, so it lies between two characters.
        unsafe { StringArray::new_unchecked(offsets, self.text.into_bytes().into(), nulls) }
    }
}

/// Returns the bytes as text if they are UTF-8. Checking for ASCII first saves 3 of a basic event's 42 ns.
#[inline]
pub(crate) fn text_of(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { str::from_utf8_unchecked(bytes) });
    }
    str::from_utf8(bytes).ok()
}

/// Returns the length of the text that [`escape`] makes of the bytes.
pub(crate) fn shown_bytes(bytes: &[u8]) -> usize {
    bytes.utf8_chunks().map(|chunk| chunk.valid().len() + 4 * chunk.invalid().len()).sum()
}

pub(crate) fn escape(bytes: &[u8], text: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
}
