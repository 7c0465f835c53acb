//! The column of ancestors as it grows: lists of processes.

use std::sync::Arc;

#[cfg(any(test, feature = "python"))]
use arrow_array::{Array, cast::AsArray, types::UInt32Type};
use arrow_array::{ArrayRef, BinaryArray, ListArray, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields};

use crate::column::Text;
use crate::segments::ancestors;

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
    lengths: Vec<usize>,
    pids: Vec<u32>,
    comms: Text,
    /// Of which process the text is not all that the command was: few, as a rule none.
    lossy: Vec<(usize, Vec<u8>)>,
    /// The last row, to repeat it.
    last: Vec<u8>,
}

impl Ancestry {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { lengths: Vec::with_capacity(capacity), pids: vec![], comms: Text::new(0), lossy: vec![], last: vec![] }
    }

    pub(crate) fn push(&mut self, content: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(content);
        self.repeat(1);
    }

    pub(crate) fn repeat(&mut self, more: usize) {
        for _ in 0..more {
            let before = self.pids.len();
            for (pid, comm) in ancestors(&self.last) {
                if !self.comms.push(comm) {
                    self.lossy.push((self.pids.len(), comm.to_vec()));
                }
                self.pids.push(pid);
            }
            self.lengths.push(self.pids.len() - before);
        }
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, ArrowError> {
        let mut lossy = self.lossy.iter().peekable();
        let bytes = |at| lossy.next_if(|(lossy, _)| *lossy == at).map(|(_, bytes)| bytes);
        let bytes: BinaryArray = (0..self.pids.len()).map(bytes).collect();
        let comms = Arc::new(self.comms.finish(None));
        let items = vec![Arc::new(UInt32Array::from(self.pids)) as ArrayRef, comms, Arc::new(bytes)];
        let items = StructArray::try_new(members(), items, None)?;
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(item(), offsets, Arc::new(items), None)?))
    }
}

/// The processes of a cell: id, text, and the bytes where the text is not all of them.
#[cfg(any(test, feature = "python"))]
pub(crate) fn cells(items: &dyn Array) -> impl Iterator<Item = (u32, &str, Option<&[u8]>)> {
    let items = items.as_struct();
    let (pids, comms) = (items.column(0).as_primitive::<UInt32Type>(), items.column(1).as_string::<i32>());
    let bytes = items.column(2).as_binary::<i32>();
    (0..items.len()).map(move |at| (pids.value(at), comms.value(at), bytes.is_valid(at).then(|| bytes.value(at))))
}
