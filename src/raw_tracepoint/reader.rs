//! Reads the events of a raw tracepoint from the queue, in the caller's thread.

use std::sync::Arc;

use crate::error::{Error, Malformed, Result};
use crate::memory::check;
use crate::raw_tracepoint::event::RawEvent;
use crate::raw_tracepoint::layout::Layout;
use crate::read::counters::{ReaderCounters, add};
use crate::read::cursor::Cursor;
use crate::read::join::Refusable;
use crate::read::waiting;
use crate::record::{parse_raw, record_at};
use crate::ring::chunk::Chunk;
use crate::ring::queue::Queue;

/// The reader of a session with one raw tracepoint.
#[derive(Debug)]
pub struct RawReader {
    cursor: Cursor,
    counters: Arc<ReaderCounters>,
    layout: Arc<Layout>,
}

/// Returns the event at a position, and the position behind it. `None` at the end.
fn event_at<'a>(
    chunk: &'a Chunk,
    position: usize,
    layout: &Layout,
) -> std::result::Result<Option<(RawEvent<'a>, usize)>, Malformed> {
    let Some((bytes, end)) = record_at(&chunk.bytes, position)? else { return Ok(None) };
    let (record, bytes) = parse_raw(bytes)?;
    if bytes.len() != layout.bytes {
        return Err(Malformed("a raw record of another layout"));
    }
    Ok(Some((RawEvent::new(record, bytes, chunk.offset_ns), end)))
}

impl RawReader {
    /// Creates a reader of the queue.
    #[must_use]
    pub fn new(queue: Arc<Queue>, counters: Arc<ReaderCounters>, layout: Arc<Layout>) -> Self {
        Self { cursor: Cursor::new(queue), counters, layout }
    }

    /// The fields of the events.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// See [`waiting`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(self.cursor.queue(), &self.counters)
    }

    /// Hands the next event to `emit`. `None` when there is none now. An event for which `emit` lacks memory stays the
    /// next one.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] from `emit`. [`Error::Malformed`]; the rest of that chunk is skipped.
    pub fn next<R>(&mut self, mut emit: impl FnMut(&RawEvent<'_>) -> Refusable<R>) -> Result<Option<R>> {
        check()?;
        let Self { cursor, counters, layout } = self;
        loop {
            match event_at(&cursor.chunk, cursor.position, layout) {
                Ok(Some((event, end))) => {
                    let made = emit(&event)?;
                    add(&counters.decoded, 1);
                    add(&counters.name_faults, event.has_fault().into());
                    add(&counters.truncated, event.is_truncated(layout).into());
                    cursor.position = end;
                    cursor.refill_if_used();
                    return Ok(Some(made));
                }
                Ok(None) => cursor.skip(),
                Err(malformed) => {
                    cursor.skip();
                    cursor.refill_if_used();
                    return Err(Error::from(malformed));
                }
            }
            let was_closed = cursor.queue().is_closed();
            cursor.refill();
            // A close that came between the pop and the check has brought the rest of the ring.
            if cursor.is_empty() && (was_closed || !cursor.queue().is_closed()) {
                return Ok(None);
            }
        }
    }
}
