//! What a caller's thread does: takes chunks from the queue and makes events of them.

pub mod in_flight;
pub mod join;
pub mod residual_filter;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::memory::check;
use crate::read::join::{Join, ReaderCounters, Refusable, add};
use crate::read::residual_filter::ResidualFilter;
use crate::ring::queue::{Chunk, Queue};

/// The one place where a session is read.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    /// `None` when it would let everything through.
    residual_filter: Option<ResidualFilter>,
}

/// All events that come out of the queue.
#[derive(Debug)]
struct Source {
    queue: Arc<Queue>,
    counts: Arc<ReaderCounters>,
    chunk: Chunk,
    position: usize,
    join: Join,
}

impl Reader {
    /// Reads from the queue.
    #[must_use]
    pub fn new(queue: Arc<Queue>, counts: Arc<ReaderCounters>, residual_filter: ResidualFilter) -> Self {
        let residual_filter = Some(residual_filter).filter(|residual_filter| !residual_filter.is_off());
        let source = Source { queue, counts, chunk: Chunk::default(), position: 0, join: Join::default() };
        Self { source, residual_filter }
    }

    /// Hands the next event to `emit`; `None` when there is none now. An event that `emit` has no memory for stays the next.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`]: `emit`'s, or there is none for what is kept from one event to the next. [`Error::Malformed`]; the
    /// rest of that chunk is passed over.
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
                Ok(Some(None)) => add(&source.counts.filtered, 1),
                Ok(made) => break Ok(made.flatten()),
                Err(error) => break Err(error),
            }
        };
        source.counts.unreported_losses.store(residual_filter.unreported_losses(), Ordering::Relaxed);
        made
    }

    /// See [`waiting`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(&self.source.queue, &self.source.counts)
    }
}

/// How many events there are to read, about: open calls are not among them, nor is what is still in the ring.
#[must_use]
pub fn waiting(queue: &Queue, counts: &ReaderCounters) -> usize {
    let decoded = counts.decoded.load(Ordering::Relaxed);
    usize::try_from(queue.events().saturating_sub(decoded)).unwrap_or(usize::MAX)
}

impl Source {
    /// As [`Reader::next`], unfiltered.
    fn next<R>(&mut self, mut emit: impl FnMut(&Event<'_>) -> Refusable<R>) -> Result<Option<R>> {
        loop {
            let made = self.join.next(&self.chunk, &mut self.position, &self.counts, &mut emit);
            if matches!(&made, Err(error) if !matches!(error, Error::Memory(_))) {
                self.position = self.chunk.bytes.len();
            }
            // At once, not at the next call: the queue's descriptor must not say "readable" for a chunk that is used up.
            if self.position >= self.chunk.bytes.len() {
                self.refill();
            }
            let made = made?;
            if made.is_some() || (self.chunk.bytes.is_empty() && self.is_done()?) {
                return Ok(made);
            }
        }
    }

    fn refill(&mut self) {
        let next = self.queue.pop().unwrap_or_default();
        let used = std::mem::replace(&mut self.chunk, next);
        self.position = 0;
        if used.bytes.capacity() > 0 {
            self.queue.give_spare(used);
        }
    }

    /// Whether there is nothing to read now, although the queue was empty. Once it is closed no exit will come any more,
    /// and the open calls are given up.
    fn is_done(&mut self) -> Result<bool> {
        if !self.queue.is_closed() {
            return Ok(true);
        }
        // The close may have come between the last pop and this look, and brought the ring's rest with it.
        self.refill();
        Ok(self.chunk.bytes.is_empty() && !self.join.give_up()?)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::config::outcome::Outcome;
    use crate::record::testing::{aligned, enter, exit, framed, named};
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
        let counts = Arc::new(ReaderCounters::default());
        let mut reader = Reader::new(queue, Arc::clone(&counts), ResidualFilter::new(Outcome::Ok, Vec::new()));
        let panicked = catch_unwind(AssertUnwindSafe(|| reader.next(|_| -> Refusable<()> { panic!("in the middle") })));
        assert!(panicked.is_err());
        assert_eq!(reader.next(|event| Ok((event.ret(), event.errno()))).unwrap(), Some((Some(7), None)));
        assert_eq!(counts.filtered.load(Ordering::Relaxed), 1);
    }
}
