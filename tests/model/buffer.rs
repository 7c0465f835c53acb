//! A model of `src/ring/buffer.rs`, as far as the drain thread's control needs it.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};

/// The position up to which the kernel has written a ring.
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
