//! The column of ancestors, which are lists of processes, as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

#[cfg(any(test, feature = "python"))]
use arrow_array::{Array, cast::AsArray, types::UInt32Type};
use arrow_array::{ArrayRef, ListArray, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;

use crate::columns::raw_bytes::{RawBytes, Zeros};
use crate::columns::schema::{ancestor, ancestor_members};
use crate::columns::text::{TextBuilder, shown_bytes};
use crate::error::Result;
use crate::memory::{OutOfMemory, reserve, reserve_to};
use crate::record::segments::ancestors;

#[derive(Debug)]
pub(crate) struct AncestorsColumn {
    offsets: Vec<i32>,
    pids: Vec<u32>,
    comms: TextBuilder,
    /// The bytes of commands that are not text. Usually there are none.
    raw_bytes: RawBytes,
    zeros: Zeros,
    /// The last row, for repeats.
    last: Vec<u8>,
}

impl AncestorsColumn {
    pub(crate) fn new() -> Self {
        let (comms, raw_bytes, zeros) = (TextBuilder::new(), RawBytes::default(), Zeros::default());
        Self { offsets: vec![0], pids: Vec::new(), comms, raw_bytes, zeros, last: Vec::new() }
    }

    /// Makes room for `rows` rows without a process.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> std::result::Result<(), OutOfMemory> {
        reserve_to(&mut self.offsets, rows + 1)
    }

    /// Makes room to repeat the last row `more` times.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> std::result::Result<(), OutOfMemory> {
        let (processes, bytes) =
            ancestors(&self.last).fold((0, 0), |(count, bytes), (_, comm)| (count + 1, bytes + shown_bytes(comm)));
        let items = more.saturating_mul(processes);
        reserve(&mut self.pids, items)?;
        self.comms.reserve(items, more.saturating_mul(bytes))?;
        if self.pids.len() + items > self.zeros.rows() {
            self.zeros.reserve_to(self.pids.capacity())?;
        }
        let raw_bytes = ancestors(&self.last).map(|(_, comm)| comm).filter(|comm| str::from_utf8(comm).is_err());
        let (count, bytes) = raw_bytes.fold((0, 0), |(count, bytes), comm| (count + 1, bytes + comm.len()));
        self.raw_bytes.reserve(more.saturating_mul(count), more.saturating_mul(bytes))
    }

    pub(crate) fn push(&mut self, content: &[u8]) -> std::result::Result<(), OutOfMemory> {
        self.last.clear();
        reserve(&mut self.last, content.len())?;
        self.last.extend_from_slice(content);
        self.reserve_repeats(1)?;
        for (pid, comm) in ancestors(&self.last) {
            if !self.comms.push(comm)? {
                self.raw_bytes.push(self.pids.len(), comm)?;
            }
            self.pids.push(pid);
        }
        self.offsets.push(self.pids.len() as i32);
        Ok(())
    }

    /// Adds `more` rows without a process.
    pub(crate) fn push_empty(&mut self, more: usize) {
        self.last.clear();
        self.offsets.resize(self.offsets.len() + more, self.pids.len() as i32);
    }

    /// Repeats the last row `more` times. There must be room.
    pub(crate) fn repeat(&mut self, more: usize) {
        let [.., first, end] = self.offsets[..] else { return };
        let (first, items) = (first as usize, (end - first) as usize);
        self.comms.repeat(items, more);
        for _ in 0..more {
            self.pids.extend_from_within(first..first + items);
        }
        self.raw_bytes.repeat_last(first, items, more);
        self.offsets.extend((1..=more).map(|row| end + (row * items) as i32));
    }

    /// Removes all rows after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let items = self.offsets.last().map_or(0, |end| *end as usize);
        self.pids.truncate(items);
        self.comms.truncate(items);
        self.raw_bytes.truncate(items);
    }

    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let bytes = self.raw_bytes.finish(self.pids.len(), &self.zeros.finish(self.pids.len())?)?;
        let items = vec![Arc::new(UInt32Array::from(self.pids)) as ArrayRef, Arc::new(self.comms.finish(None)), bytes];
        let items = StructArray::try_new(ancestor_members(), items, None)?;
        Ok(Arc::new(ListArray::try_new(ancestor(), OffsetBuffer::new(self.offsets.into()), Arc::new(items), None)?))
    }
}

/// The processes of a cell: id, text, and the bytes if the text does not show all of them.
#[cfg(any(test, feature = "python"))]
pub(crate) fn cells(items: &dyn Array) -> impl Iterator<Item = (u32, &str, Option<&[u8]>)> + Clone {
    let items = items.as_struct();
    let (pids, comms) = (items.column(0).as_primitive::<UInt32Type>(), items.column(1).as_string::<i32>());
    let bytes = items.column(2).as_binary::<i32>();
    (0..items.len()).map(move |at| (pids.value(at), comms.value(at), bytes.is_valid(at).then(|| bytes.value(at))))
}
