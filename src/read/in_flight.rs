//! What a reader has in hand.

use std::mem;

use crate::read::join::{ReaderCounters, add};

/// Events that were taken for a caller who does not have them yet. Dropped before that, by an error or a panic, they are
/// counted as discarded: they have left the queue, and he gets the exception in their place.
pub struct InFlight<'a> {
    counts: &'a ReaderCounters,
    /// How many.
    pub events: u64,
}

impl<'a> InFlight<'a> {
    /// None yet.
    #[must_use]
    pub fn new(counts: &'a ReaderCounters) -> Self {
        Self { counts, events: 0 }
    }

    /// The caller has them.
    pub fn deliver(mut self) {
        add(&self.counts.delivered, mem::take(&mut self.events));
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        add(&self.counts.discarded, self.events);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_is_not_delivered_is_discarded() {
        let counts = ReaderCounters::default();
        let mut taken = InFlight::new(&counts);
        taken.events = 3;
        taken.deliver();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut taken = InFlight::new(&counts);
            taken.events = 2;
            panic!("in the middle");
        }));
        assert!(panicked.is_err());
        let [delivered, discarded] = [&counts.delivered, &counts.discarded].map(|it| it.load(Ordering::Relaxed));
        assert_eq!((delivered, discarded), (3, 2));
    }
}
