//! The column of ancestors as it grows: lists of processes.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

#[cfg(any(test, feature = "python"))]
use arrow_array::{Array, cast::AsArray, types::UInt32Type};
use arrow_array::{ArrayRef, ListArray, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};

use crate::columns::column::{Text, shown_bytes};
use crate::columns::raw_bytes::{Lossy, Zeros};
use crate::error::Result;
use crate::memory::{OutOfMemory, reserve, reserve_to};
use crate::record::segments::ancestors;

fn members() -> Fields {
    let [pid, comm] =
        [("pid", DataType::UInt32), ("comm", DataType::Utf8)].map(|(name, kind)| Field::new(name, kind, false));
    [pid, comm, Field::new("comm_bytes", DataType::Binary, true)].into_iter().collect()
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(members()), false))
}

/// What its cells are.
pub(crate) fn kind() -> DataType {
    DataType::List(item())
}

#[derive(Debug)]
pub(crate) struct Ancestry {
    offsets: Vec<i32>,
    pids: Vec<u32>,
    comms: Text,
    /// What the text of a process does not say: few, as a rule none.
    lossy: Lossy,
    zeros: Zeros,
    /// The last row, to repeat it.
    last: Vec<u8>,
}

impl Ancestry {
    pub(crate) fn new() -> Self {
        let (comms, lossy, zeros) = (Text::new(), Lossy::default(), Zeros::default());
        Self { offsets: vec![0], pids: Vec::new(), comms, lossy, zeros, last: Vec::new() }
    }

    /// Makes room for so many rows without a process.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> std::result::Result<(), OutOfMemory> {
        reserve_to(&mut self.offsets, rows + 1)
    }

    /// Makes room for the last row so many times again.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> std::result::Result<(), OutOfMemory> {
        let (processes, bytes) =
            ancestors(&self.last).fold((0, 0), |(count, bytes), (_, comm)| (count + 1, bytes + shown_bytes(comm)));
        let items = more.saturating_mul(processes);
        reserve(&mut self.pids, items)?;
        self.comms.reserve(items, more.saturating_mul(bytes))?;
        if self.pids.len() + items > self.zeros.rows() {
            self.zeros.reserve_to(self.pids.capacity())?;
        }
        let lossy = ancestors(&self.last).map(|(_, comm)| comm).filter(|comm| str::from_utf8(comm).is_err());
        let (count, bytes) = lossy.fold((0, 0), |(count, bytes), comm| (count + 1, bytes + comm.len()));
        self.lossy.reserve(more.saturating_mul(count), more.saturating_mul(bytes))
    }

    pub(crate) fn push(&mut self, content: &[u8]) -> std::result::Result<(), OutOfMemory> {
        self.last.clear();
        reserve(&mut self.last, content.len())?;
        self.last.extend_from_slice(content);
        self.reserve_repeats(1)?;
        for (pid, comm) in ancestors(&self.last) {
            if !self.comms.push(comm)? {
                self.lossy.push(self.pids.len(), comm)?;
            }
            self.pids.push(pid);
        }
        self.offsets.push(self.pids.len() as i32);
        Ok(())
    }

    /// So many rows without a process.
    pub(crate) fn push_empty(&mut self, more: usize) {
        self.last.clear();
        self.offsets.resize(self.offsets.len() + more, self.pids.len() as i32);
    }

    /// The last row so many times again, for which there is room.
    pub(crate) fn repeat(&mut self, more: usize) {
        let [.., first, end] = self.offsets[..] else { return };
        let (first, items) = (first as usize, (end - first) as usize);
        self.comms.repeat(items, more);
        for _ in 0..more {
            self.pids.extend_from_within(first..first + items);
        }
        self.lossy.repeat_last(first, items, more);
        self.offsets.extend((1..=more).map(|row| end + (row * items) as i32));
    }

    /// Takes away what stands behind so many rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let items = self.offsets.last().map_or(0, |end| *end as usize);
        self.pids.truncate(items);
        self.comms.truncate(items);
        self.lossy.truncate(items);
    }

    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let bytes = self.lossy.finish(self.pids.len(), &self.zeros.finish(self.pids.len())?)?;
        let items = vec![Arc::new(UInt32Array::from(self.pids)) as ArrayRef, Arc::new(self.comms.finish(None)), bytes];
        let items = StructArray::try_new(members(), items, None)?;
        Ok(Arc::new(ListArray::try_new(item(), OffsetBuffer::new(self.offsets.into()), Arc::new(items), None)?))
    }
}

/// The processes of a cell: id, text, and the bytes where the text is not all of them.
#[cfg(any(test, feature = "python"))]
pub(crate) fn cells(items: &dyn Array) -> impl Iterator<Item = (u32, &str, Option<&[u8]>)> + Clone {
    let items = items.as_struct();
    let (pids, comms) = (items.column(0).as_primitive::<UInt32Type>(), items.column(1).as_string::<i32>());
    let bytes = items.column(2).as_binary::<i32>();
    (0..items.len()).map(move |at| (pids.value(at), comms.value(at), bytes.is_valid(at).then(|| bytes.value(at))))
}
