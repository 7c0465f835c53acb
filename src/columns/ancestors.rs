//! The column of ancestors, which are lists of processes, as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

#[cfg(any(test, feature = "python"))]
use arrow_array::{Array, cast::AsArray, types::UInt32Type};
use arrow_array::{ArrayRef, Int32Array, ListArray, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;

use crate::columns::bits::Validity;
use crate::columns::list::ListBuilder;
use crate::columns::raw_bytes::{RawBytes, Zeros};
use crate::columns::schema::{ancestor, ancestor_members, item};
use crate::columns::text::{TextBuilder, shown_bytes};
use crate::error::Result;
use crate::event::values::texts;
use crate::lineage::chain::{Ancestor, ancestors};
use crate::memory::{OutOfMemory, reserve, reserve_to};

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The latest lists that [`Shared`] knows: a few times as many as processes usually delete at once.
const KNOWN_LISTS: usize = 16;

/// The rows that have the list of an earlier row.
///
/// Most events of a batch come from a few processes, whose ancestors take more bytes than all other columns together.
#[derive(Debug, Default)]
struct Shared {
    /// For each row, the row that has its list.
    rows: Vec<Option<i32>>,
    /// Lists and their rows. The one that was added first gives way to the next.
    known: Vec<(Vec<u8>, i32)>,
    next: usize,
}

impl Shared {
    fn find(&self, content: &[u8]) -> Option<i32> {
        self.known.iter().find(|(known, _)| known == content).map(|(_, row)| *row)
    }

    fn add(&mut self, content: &[u8], row: i32) -> Refusable {
        let mut copy = Vec::new();
        reserve(&mut copy, content.len())?;
        copy.extend_from_slice(content);
        if self.known.len() < KNOWN_LISTS {
            reserve(&mut self.known, 1)?;
            self.known.push((copy, row));
        } else {
            self.known[self.next] = (copy, row);
            self.next = (self.next + 1) % KNOWN_LISTS;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct AncestorsColumn {
    offsets: Vec<i32>,
    pids: Vec<u32>,
    comms: TextBuilder,
    /// The bytes of commands that are not text. Usually there are none.
    comm_bytes: RawBytes,
    argvs: ListBuilder,
    has_argv: Validity,
    argv_bytes: RawBytes,
    zeros: Zeros,
    /// The last row, for repeats.
    last: Vec<u8>,
    /// Where a list that an earlier row has is not stored again.
    shared: Option<Shared>,
}

/// Returns the number of values that are not text, and of their bytes.
fn raw<'a>(values: impl Iterator<Item = &'a [u8]>) -> (usize, usize) {
    let raw = values.filter(|value| str::from_utf8(value).is_err());
    raw.fold((0, 0), |(count, bytes), value| (count + 1, bytes + value.len()))
}

impl AncestorsColumn {
    /// Creates the column. If it `shares`, a list that an earlier row has is empty, and another array has that row.
    pub(crate) fn new(shares: bool) -> Self {
        Self {
            offsets: vec![0],
            pids: Vec::new(),
            comms: TextBuilder::new(),
            comm_bytes: RawBytes::default(),
            argvs: ListBuilder { offsets: vec![0], items: TextBuilder::new() },
            has_argv: Validity::default(),
            argv_bytes: RawBytes::default(),
            zeros: Zeros::default(),
            last: Vec::new(),
            shared: shares.then(Shared::default),
        }
    }

    /// Makes room for `rows` rows without a process.
    pub(crate) fn reserve_to(&mut self, rows: usize) -> Refusable {
        if let Some(shared) = &mut self.shared {
            reserve_to(&mut shared.rows, rows)?;
        }
        reserve_to(&mut self.offsets, rows + 1)
    }

    /// Makes room to repeat the last row `more` times.
    pub(crate) fn reserve_repeats(&mut self, more: usize) -> Refusable {
        if self.shared.is_some() {
            return Ok(());
        }
        self.reserve_items(more)
    }

    fn reserve_items(&mut self, more: usize) -> Refusable {
        let comms = || ancestors(&self.last).map(|ancestor| ancestor.comm);
        let argvs = || ancestors(&self.last).filter_map(|ancestor| ancestor.argv);
        let words = || argvs().flat_map(texts);
        let items = more.saturating_mul(comms().count());
        reserve(&mut self.pids, items)?;
        self.comms.reserve(items, more.saturating_mul(comms().map(shown_bytes).sum()))?;
        reserve(&mut self.argvs.offsets, items)?;
        let bytes = more.saturating_mul(words().map(shown_bytes).sum());
        self.argvs.items.reserve(more.saturating_mul(words().count()), bytes)?;
        self.has_argv.reserve_to(self.pids.len() + items)?;
        if self.pids.len() + items > self.zeros.rows() {
            self.zeros.reserve_to(self.pids.capacity())?;
        }
        for (column, (count, bytes)) in [(&mut self.comm_bytes, raw(comms())), (&mut self.argv_bytes, raw(argvs()))] {
            column.reserve(more.saturating_mul(count), more.saturating_mul(bytes))?;
        }
        Ok(())
    }

    pub(crate) fn push(&mut self, content: &[u8]) -> Refusable {
        let row = self.offsets.len() as i32 - 1;
        if let Some(shared) = &mut self.shared {
            let known = shared.find(content);
            if known.is_none() {
                shared.add(content, row)?;
            }
            shared.rows.push(known);
            if known.is_some() {
                self.offsets.push(self.pids.len() as i32);
                return Ok(());
            }
        }
        self.last.clear();
        reserve(&mut self.last, content.len())?;
        self.last.extend_from_slice(content);
        self.reserve_items(1)?;
        for Ancestor { pid, comm, argv } in ancestors(&self.last) {
            if !self.comms.push(comm)? {
                self.comm_bytes.push(self.pids.len(), comm)?;
            }
            if let Some(argv) = argv {
                if !self.argvs.push(argv)? {
                    self.argv_bytes.push(self.pids.len(), argv)?;
                }
                self.has_argv.append_valid(1);
            } else {
                self.argvs.end();
                self.has_argv.append_nulls(1);
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
        if let Some(shared) = &mut self.shared {
            shared.rows.resize(self.offsets.len() - 1, None);
        }
    }

    /// Repeats the last row `more` times. There must be room.
    pub(crate) fn repeat(&mut self, more: usize) {
        let [.., first, end] = self.offsets[..] else { return };
        if let Some(shared) = &mut self.shared {
            let last = self.offsets.len() as i32 - 2;
            let row = shared.rows.last().copied().flatten().or((end > first).then_some(last));
            self.offsets.resize(self.offsets.len() + more, end);
            shared.rows.resize(self.offsets.len() - 1, row);
            return;
        }
        let (first, items) = (first as usize, (end - first) as usize);
        self.comms.repeat(items, more);
        self.argvs.repeat_lists(items, more);
        for _ in 0..more {
            self.pids.extend_from_within(first..first + items);
            for ancestor in ancestors(&self.last) {
                if ancestor.argv.is_some() {
                    self.has_argv.append_valid(1);
                } else {
                    self.has_argv.append_nulls(1);
                }
            }
        }
        self.comm_bytes.repeat_last(first, items, more);
        self.argv_bytes.repeat_last(first, items, more);
        self.offsets.extend((1..=more).map(|row| end + (row * items) as i32));
    }

    /// Removes all rows after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        if let Some(shared) = &mut self.shared {
            shared.rows.truncate(rows);
        }
        let items = self.offsets.last().map_or(0, |end| *end as usize);
        self.pids.truncate(items);
        self.comms.truncate(items);
        self.comm_bytes.truncate(items);
        self.argvs.truncate(items);
        self.has_argv.truncate(items);
        self.argv_bytes.truncate(items);
    }

    /// Makes the array, and that of the rows whose lists others have, if it shares them.
    pub(crate) fn finish(self) -> Result<(ArrayRef, Option<ArrayRef>)> {
        let (items, nothing) = (self.pids.len(), self.zeros.finish(self.pids.len())?);
        let ListBuilder { offsets, items: words } = self.argvs;
        let (offsets, words) = (OffsetBuffer::new(offsets.into()), Arc::new(words.finish(None)));
        let members: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.pids)),
            Arc::new(self.comms.finish(None)),
            self.comm_bytes.finish(items, &nothing)?,
            Arc::new(ListArray::try_new(item(DataType::Utf8), offsets, words, self.has_argv.finish())?),
            self.argv_bytes.finish_lists(items, &nothing)?,
        ];
        let items = StructArray::try_new(ancestor_members(), members, None)?;
        let lists = ListArray::try_new(ancestor(), OffsetBuffer::new(self.offsets.into()), Arc::new(items), None)?;
        let rows = self.shared.map(|shared| Arc::new(Int32Array::from(shared.rows)) as ArrayRef);
        Ok((Arc::new(lists), rows))
    }
}

/// An ancestor in a cell. The bytes are those of values whose text does not show all of them.
#[cfg(any(test, feature = "python"))]
#[derive(Clone)]
pub(crate) struct Cell<'a> {
    pub(crate) pid: u32,
    pub(crate) comm: &'a str,
    pub(crate) comm_bytes: Option<&'a [u8]>,
    /// The texts, and their bytes if one of them is not whole.
    pub(crate) argv: Option<ArrayRef>,
    pub(crate) argv_bytes: Option<ArrayRef>,
}

/// The processes of a cell.
#[cfg(any(test, feature = "python"))]
pub(crate) fn cells(items: &dyn Array) -> impl Iterator<Item = Cell<'_>> + Clone {
    let items = items.as_struct();
    let (pids, comms) = (items.column(0).as_primitive::<UInt32Type>(), items.column(1).as_string::<i32>());
    let comm_bytes = items.column(2).as_binary::<i32>();
    let [argvs, argv_bytes] = [3, 4].map(|at| items.column(at).as_list::<i32>());
    (0..items.len()).map(move |at| Cell {
        pid: pids.value(at),
        comm: comms.value(at),
        comm_bytes: comm_bytes.is_valid(at).then(|| comm_bytes.value(at)),
        argv: argvs.is_valid(at).then(|| argvs.value(at)),
        argv_bytes: argv_bytes.is_valid(at).then(|| argv_bytes.value(at)),
    })
}
