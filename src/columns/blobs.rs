//! A column of bytes as it grows.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "offsets fit both, as in `column.rs`")]

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};

use crate::error::Result;
use crate::memory::{OutOfMemory, reserve};

/// The offsets and bytes of a column.
#[derive(Debug)]
pub(crate) struct BlobBuilder {
    pub(crate) offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl BlobBuilder {
    pub(crate) fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    /// Ends rows that have no bytes.
    pub(crate) fn end_to(&mut self, rows: usize) {
        self.offsets.resize(rows + 1, self.bytes.len() as i32);
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> std::result::Result<(), OutOfMemory> {
        reserve(&mut self.offsets, 1)?;
        reserve(&mut self.bytes, bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        self.offsets.push(self.bytes.len() as i32);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(self.offsets.into());
        Ok(Arc::new(BinaryArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)?))
    }
}
