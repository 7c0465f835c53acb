//! A column of few different texts, each kept once.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use rustc_hash::FxHashMap;

use crate::columns::text::{TextBuilder, escape};
use crate::memory::{OutOfMemory, fallible, probe, reserve};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The different texts of a column, and the index of each row's text.
#[derive(Debug)]
pub(crate) struct DictionaryBuilder {
    pub(crate) rows: Vec<i32>,
    /// The index of each text and whether it shows all bytes, by the bytes as they came.
    pub(crate) known: FxHashMap<Box<[u8]>, (i32, bool)>,
    /// The last bytes, which usually come again.
    pub(crate) last: Vec<u8>,
    pub(crate) last_is: (i32, bool),
    pub(crate) text: TextBuilder,
}

impl DictionaryBuilder {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Refusable<bool> {
        if self.last != bytes || self.known.is_empty() {
            self.last.clear();
            reserve(&mut self.last, bytes.len())?;
            self.last_is = match self.known.get(bytes) {
                Some(known) => *known,
                None => self.add(bytes)?,
            };
            self.last.extend_from_slice(bytes);
        }
        let (at, whole) = self.last_is;
        self.rows.push(at);
        Ok(whole)
    }

    #[cold]
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Refusable<(i32, bool)> {
        fallible(|| self.known.try_reserve(2))?;
        // For the two keys, which are as long as a name and stay.
        probe(8 * bytes.len() + 4096)?;
        let next = self.text.offsets.len() as i32 - 1;
        let mut shown = String::new();
        escape(bytes, &mut shown);
        let whole = shown.as_bytes() == bytes;
        // An escaped text may equal another plain text, and a dictionary has each text once.
        let at = self.known.get(shown.as_bytes()).map_or(next, |(at, _)| *at);
        if at == next {
            self.text.push(shown.as_bytes())?;
            self.known.insert(shown.into_bytes().into(), (at, true));
        }
        self.known.insert(bytes.into(), (at, whole));
        Ok((at, whole))
    }
}
