//! Reads the queue in the caller's thread and makes events of its chunks.
//!
//! * `counters`: the readers' counters
//! * `cursor`: a position in the chunks of the queue
//! * `in_flight`: counts events on their way to the caller
//! * `join`: joins enter and exit records
//! * `residual_filter`: the filters that only user space can decide

pub mod counters;
pub(crate) mod cursor;
pub mod in_flight;
pub mod join;
pub mod residual_filter;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::memory::check;
use crate::read::counters::{ReaderCounters, add};
use crate::read::cursor::Cursor;
use crate::read::join::{Join, Refusable};
use crate::read::residual_filter::ResidualFilter;
use crate::ring::queue::Queue;

/// The reader of a session. All of its events pass through here.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    /// `None` when it would let every event through.
    residual_filter: Option<ResidualFilter>,
}

/// The unfiltered events of the queue.
#[derive(Debug)]
struct Source {
    cursor: Cursor,
    counters: Arc<ReaderCounters>,
    join: Join,
}

impl Reader {
    /// Creates a reader of the queue.
    #[must_use]
    pub fn new(queue: Arc<Queue>, counters: Arc<ReaderCounters>, residual_filter: ResidualFilter) -> Self {
        let residual_filter = Some(residual_filter).filter(|residual_filter| !residual_filter.is_off());
        let source = Source { cursor: Cursor::new(queue), counters, join: Join::default() };
        Self { source, residual_filter }
    }

    /// Hands the next event to `emit`. `None` when there is none now. An event for which `emit` lacks memory stays the
    /// next one.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] from `emit`, or when memory for the reader's own state is missing. [`Error::Malformed`]; the
    /// rest of that chunk is skipped.
    pub fn next<R>(&mut self, mut emit: impl FnMut(&Event<'_>) -> Refusable<R>) -> Result<Option<R>> {
        check()?;
        let Self { source, residual_filter } = self;
        let Some(residual_filter) = residual_filter else { return source.next(emit) };
        let made = loop {
            let pass = |event: &Event<'_>| match residual_filter.pass(event) {
                Some(event) => emit(&event).map(Some).inspect_err(|_| residual_filter.put_back(&event)),
                None => Ok(None),
            };
            match source.next(pass) {
                Ok(Some(None)) => add(&source.counters.filtered, 1),
                Ok(Some(made)) => break Ok(made),
                Ok(None) => {
                    residual_filter.refresh_idle();
                    break Ok(None);
                }
                Err(error) => break Err(error),
            }
        };
        source.counters.unreported_losses.store(residual_filter.unreported_losses(), Ordering::Relaxed);
        made
    }

    /// See [`waiting`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(self.source.cursor.queue(), &self.source.counters)
    }
}

/// Returns about how many events can be read. Open calls and records in the ring do not count.
#[must_use]
pub fn waiting(queue: &Queue, counters: &ReaderCounters) -> usize {
    let decoded = counters.decoded.load(Ordering::Relaxed);
    usize::try_from(queue.events().saturating_sub(decoded)).unwrap_or(usize::MAX)
}

impl Source {
    /// Does the same as [`Reader::next`], unfiltered.
    fn next<R>(&mut self, mut emit: impl FnMut(&Event<'_>) -> Refusable<R>) -> Result<Option<R>> {
        let Self { cursor, counters, join } = self;
        loop {
            let made = join.next(&cursor.chunk, &mut cursor.position, counters, &mut emit);
            if matches!(&made, Err(error) if !matches!(error, Error::Memory(_))) {
                cursor.skip();
            }
            cursor.refill_if_used();
            let made = made?;
            if made.is_some() || (cursor.is_empty() && is_done(cursor, join)?) {
                return Ok(made);
            }
        }
    }
}

/// Whether nothing can be read now. After the close no exit comes, so open calls are given up.
fn is_done(cursor: &mut Cursor, join: &mut Join) -> Result<bool> {
    if !cursor.queue().is_closed() {
        return Ok(true);
    }
    // The close, which brings the rest of the ring, may have come between the last pop and this check.
    cursor.refill();
    Ok(cursor.is_empty() && !join.give_up()?)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::config::outcome::Outcome;
    use crate::record::testing::{aligned, enter, exit, framed, named};
    use crate::ring::chunk::Chunk;
    use crate::skel::types::name_status;

    #[test]
    fn a_panic_while_an_event_is_made_leaves_the_filters_on() {
        let call = |ret| {
            let begin = framed(&named(enter(1, 263, 1), name_status::NAME_OK, b"x"), 0);
            [begin, framed(&exit(1, 263, ret, 0), 0)].concat()
        };
        let queue = Arc::new(Queue::new(1 << 20).unwrap());
        let bytes = aligned(&[call(0), call(-2), call(7)].concat());
        queue.push(Chunk { bytes, events: 3, ..Chunk::default() }, || false).unwrap();
        let counters = Arc::new(ReaderCounters::default());
        let mut reader = Reader::new(queue, Arc::clone(&counters), ResidualFilter::new(Outcome::Ok, Vec::new()));
        let panicked = catch_unwind(AssertUnwindSafe(|| reader.next(|_| -> Refusable<()> { panic!("in the middle") })));
        assert!(panicked.is_err());
        assert_eq!(reader.next(|event| Ok((event.ret(), event.errno()))).unwrap(), Some((Some(7), None)));
        assert_eq!(counters.filtered.load(Ordering::Relaxed), 1);
    }
}
