//! Which events a look-up serves, and the last one of all.

use std::sync::Arc;

use crate::event::Event;
use crate::event::directory_lookup::found::Found;
use crate::record::segments::{Directory, WalkStatus};

/// How long a look-up serves later events. Links and mounts can change without an event.
const LIFE_NS: u64 = 5_000_000;

/// The times of the events that a look-up serves, first and last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Served {
    first_ns: u64,
    last_ns: u64,
}

impl Served {
    /// What was found at a time serves all events before it: another look would come later still.
    pub(super) fn found(at_ns: u64) -> Self {
        Self { first_ns: 0, last_ns: at_ns + LIFE_NS }
    }

    /// What hangs on the event's moment: a path can come into the kernel's cache, and a thread be gone.
    pub(super) fn near(ts_ns: u64) -> Self {
        Self { first_ns: ts_ns.saturating_sub(LIFE_NS), last_ns: ts_ns + LIFE_NS }
    }

    pub(super) fn has(self, ts_ns: u64) -> bool {
        (self.first_ns..=self.last_ns).contains(&ts_ns)
    }
}

/// The look-up of the last name. It is known by what the record says, which costs less than to put a path together.
#[derive(Debug, Default)]
pub(super) struct Last {
    pub(super) is_set: bool,
    served: Served,
    mnt_ns: u32,
    prefix: Vec<u8>,
    directory: Walked,
    root: Walked,
    pub(super) found: Option<Arc<Found>>,
}

/// A copy of a walk.
#[derive(Debug, Default)]
struct Walked(Option<(WalkStatus, Option<u32>)>, Vec<u8>);

impl Walked {
    fn set(&mut self, walk: Option<Directory<'_>>) {
        self.0 = walk.map(|walk| (walk.status, walk.root_bytes));
        self.1.clear();
        self.1.extend_from_slice(walk.map_or(&[], |walk| walk.names));
    }

    fn is(&self, walk: Option<Directory<'_>>) -> bool {
        self.0 == walk.map(|walk| (walk.status, walk.root_bytes)) && self.1 == walk.map_or(&[][..], |walk| walk.names)
    }
}

impl Last {
    pub(super) fn is_of(
        &self,
        event: &Event<'_>,
        prefix: &[u8],
        directory: Option<Directory<'_>>,
        root: Option<Directory<'_>>,
    ) -> bool {
        let record = event.enter.record;
        self.is_set
            && self.mnt_ns == record.mnt_ns
            && self.served.has(record.ts_ns)
            && self.prefix == prefix
            && self.directory.is(directory)
            && self.root.is(root)
    }

    pub(super) fn set(
        &mut self,
        event: &Event<'_>,
        served: Served,
        prefix: &[u8],
        directory: Option<Directory<'_>>,
        root: Option<Directory<'_>>,
        found: Option<Arc<Found>>,
    ) {
        self.is_set = true;
        self.served = served;
        self.mnt_ns = event.enter.record.mnt_ns;
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.directory.set(directory);
        self.root.set(root);
        self.found = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_serves_what_came_before() {
        let found = Served::found(1_000_000_000);
        assert!(found.has(0) && found.has(1_000_000_000 + LIFE_NS));
        assert!(!found.has(1_000_000_001 + LIFE_NS));
        let near = Served::near(1_000_000_000);
        assert!(near.has(1_000_000_000 - LIFE_NS) && near.has(1_000_000_000 + LIFE_NS));
        assert!(!near.has(999_999_999 - LIFE_NS) && !near.has(1_000_000_001 + LIFE_NS));
    }
}
