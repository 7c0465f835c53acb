//! A column of lists of texts as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use crate::columns::text::TextBuilder;
use crate::event::values::texts;
use crate::memory::OutOfMemory;

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The offsets and items of a column of lists.
#[derive(Debug)]
pub(crate) struct ListBuilder {
    pub(crate) offsets: Vec<i32>,
    pub(crate) items: TextBuilder,
}

impl ListBuilder {
    pub(crate) fn end(&mut self) {
        self.offsets.push(self.items.offsets.len() as i32 - 1);
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        let mut whole = true;
        for text in texts(bytes) {
            whole &= self.items.push(text)?;
        }
        self.end();
        Ok(whole)
    }

    /// Makes room to repeat the last row `more` times.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> Refusable {
        let [.., first, end] = self.offsets[..] else { return Ok(()) };
        let bytes = self.items.text.len() - self.items.offsets[first as usize] as usize;
        self.items.reserve(more.saturating_mul((end - first) as usize), more.saturating_mul(bytes))
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.items.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(crate) fn repeat(&mut self, more: usize) {
        self.repeat_lists(1, more);
    }

    /// Repeats the last `lists` rows `more` times. There must be room, apart from the offsets.
    pub(crate) fn repeat_lists(&mut self, lists: usize, more: usize) {
        let first = self.offsets.len() - 1 - lists;
        let items = (self.offsets[first + lists] - self.offsets[first]) as usize;
        self.items.repeat(items, more);
        for shift in (1..=more).map(|again| (again * items) as i32) {
            for at in first + 1..=first + lists {
                self.offsets.push(self.offsets[at] + shift);
            }
        }
    }
}
