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
pub mod load;
mod program;
pub mod reader;
mod resolve;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::Result;
use crate::load::loaded::Loaded;
use crate::mounts::host_root::HostRoot;
use crate::raw_tracepoint::layout::Layout;
use crate::raw_tracepoint::reader::RawReader;
use crate::session::Session;

/// Starts the drain thread of what was loaded for the fields, by this process or by the broker at the other end of a
/// connection.
///
/// # Errors
///
/// All of [`crate::error::Error`].
pub fn open(
    layout: &Arc<Layout>,
    loaded: Loaded,
    queue_bytes: usize,
    broker: Option<OwnedFd>,
) -> Result<(Session, RawReader)> {
    let session = Session::drain(loaded, queue_bytes, broker, false, HostRoot::default())?;
    let reader = RawReader::new(Arc::clone(session.queue()), Arc::clone(session.reader_counters()), Arc::clone(layout));
    Ok((session, reader))
}
