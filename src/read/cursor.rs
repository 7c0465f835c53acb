//! The position of a reader in the chunks of the queue.

use std::sync::Arc;

use crate::ring::chunk::Chunk;
use crate::ring::queue::Queue;

/// The chunk that is being read, and the position in it.
#[derive(Debug)]
pub(crate) struct Cursor {
    queue: Arc<Queue>,
    pub(crate) chunk: Chunk,
    pub(crate) position: usize,
}

impl Cursor {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, chunk: Chunk::default(), position: 0 }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Skips the rest of the chunk.
    pub(crate) fn skip(&mut self) {
        self.position = self.chunk.bytes.len();
    }

    /// Takes the next chunk if this one is used up.
    #[inline]
    pub(crate) fn refill_if_used(&mut self) {
        // At once, not in the next call: the queue's descriptor must not stay readable for a chunk that is used up.
        if self.position >= self.chunk.bytes.len() {
            self.refill();
        }
    }

    /// Takes the next chunk, or an empty one when there is none.
    pub(crate) fn refill(&mut self) {
        let next = self.queue.pop().unwrap_or_default();
        let used = std::mem::replace(&mut self.chunk, next);
        self.position = 0;
        if used.bytes.capacity() > 0 {
            self.queue.give_spare(used);
        }
    }

    /// Whether nothing is left of the chunks that were taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.chunk.bytes.is_empty()
    }
}
