//! `rawtp.RawTracepoint`: any raw tracepoint of the kernel, by its types.
//!
//! [`layout`] looks the fields up in the kernel's BTF. `program` assembles a BPF program for them, `load` loads it. The
//! session, its drain thread and its ledger are the tracer's own; only what is in a record differs.
//!
//! * `assembler`: BPF instructions with labels
//! * `columns`: events to Arrow's columns
//! * `event`: a record's values
//! * `field_path`: parses paths of fields
//! * `kind`: kinds of values
//! * `layout`: the fields, and their places in a record
//! * `load`: loads and attaches the program
//! * `program`: assembles the program
//! * `reader`: reads the queue
//! * `resolve`: finds fields in the kernel's types

pub(crate) mod assembler;
pub mod columns;
pub mod event;
mod field_path;
pub mod kind;
pub mod layout;
mod load;
mod program;
pub mod reader;
mod resolve;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::Result;
use crate::raw_tracepoint::layout::Layout;
use crate::raw_tracepoint::reader::RawReader;
use crate::session::Session;

/// Attaches to the tracepoint and starts the drain thread. Events are seen from here on, those of the processes `pids`
/// alone if there are any.
///
/// # Errors
///
/// All of [`crate::error::Error`].
pub fn open(layout: &Arc<Layout>, ring_bytes: u32, queue_bytes: usize, pids: &[u32]) -> Result<(Session, RawReader)> {
    let session = Session::drain(load::load(layout, ring_bytes, pids)?, queue_bytes, None, false)?;
    let reader = RawReader::new(Arc::clone(session.queue()), Arc::clone(session.reader_counters()), Arc::clone(layout));
    Ok((session, reader))
}
