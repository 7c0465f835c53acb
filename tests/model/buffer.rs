//! A model of what `src/ring/buffer.rs` tells of a ring.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};

/// How far a ring is written.
#[derive(Debug, Clone)]
pub struct Written(Arc<AtomicU64>);

impl Written {
    pub(crate) fn new(position: u64) -> Self {
        Self(Arc::new(AtomicU64::new(position)))
    }

    pub(crate) fn position(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, position: u64) {
        self.0.store(position, Ordering::Release);
    }
}
