//! A guard for events between the queue and the caller.

use std::mem;

use crate::read::counters::{ReaderCounters, add};

/// Counts events that have left the queue but not reached the caller. [`deliver`](Self::deliver) counts them as
/// delivered. Dropping the guard, on an error or a panic, counts them as discarded.
pub struct InFlight<'a> {
    counters: &'a ReaderCounters,
    /// The number of events in flight.
    pub events: u64,
}

impl<'a> InFlight<'a> {
    /// Starts with no events.
    #[must_use]
    pub fn new(counters: &'a ReaderCounters) -> Self {
        Self { counters, events: 0 }
    }

    /// Counts the events as delivered, because the caller has them.
    pub fn deliver(mut self) {
        add(&self.counters.delivered, mem::take(&mut self.events));
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        add(&self.counters.discarded, self.events);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn undelivered_events_are_discarded() {
        let counters = ReaderCounters::default();
        let mut in_flight = InFlight::new(&counters);
        in_flight.events = 3;
        in_flight.deliver();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut in_flight = InFlight::new(&counters);
            in_flight.events = 2;
            panic!("in the middle");
        }));
        assert!(panicked.is_err());
        let [delivered, discarded] = [&counters.delivered, &counters.discarded].map(|it| it.load(Ordering::Relaxed));
        assert_eq!((delivered, discarded), (3, 2));
    }
}
