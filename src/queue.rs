//! From the drain thread to the readers: chunks of raw records, bounded, with a descriptor that says when there are any.
//!
//! Invariant, all of it under the mutex, the eventfd's system calls included: the descriptor is readable exactly when a
//! chunk is queued, or was popped and its successor not yet asked for, or the queue is closed. Once closed it stays
//! readable, so that no one who waits can miss the close.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};

/// The size of a chunk: a few hundred records, which a reader decodes while they are in its cache.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Empty chunks kept for the drain thread to fill again.
const SPARE_CHUNKS: usize = 8;

/// A run of records as they lay in the ring.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Headers and records, [`CHUNK_BYTES`] at the most.
    pub bytes: Vec<u8>,
    /// How many of the records are events.
    pub events: u32,
    /// From the records' clock to Unix time.
    pub offset_ns: i64,
}

#[derive(Debug, Default)]
struct State {
    /// What the drain thread last brought, as long as it is not full: an isolated record must not cost a chunk.
    tail: Chunk,
    /// After the close: what was still in the ring.
    rest: VecDeque<Chunk>,
    armed: bool,
    closed: bool,
    failure: Option<String>,
}

/// The queue. Full chunks go through a bounded crossbeam channel, whose both ends are used under the mutex.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    room: Condvar,
    readable: EventFd,
    sender: Sender<Chunk>,
    receiver: Receiver<Chunk>,
    spare: (Sender<Chunk>, Receiver<Chunk>),
    events: AtomicU64,
}

impl Queue {
    /// A queue of `bytes`, a multiple of [`CHUNK_BYTES`].
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when there is no descriptor left.
    pub fn new(bytes: usize) -> Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let readable = EventFd::from_value_and_flags(0, flags).map_err(Error::os("cannot make an eventfd"))?;
        let (sender, receiver) = bounded(bytes / CHUNK_BYTES);
        Ok(Self {
            state: Mutex::default(),
            room: Condvar::new(),
            readable,
            sender,
            receiver,
            spare: bounded(SPARE_CHUNKS),
            events: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, state: &mut State) {
        if !mem::replace(&mut state.armed, true) {
            // One write on a counter at zero: it can neither block nor overflow.
            let _ = self.readable.write(1);
        }
    }

    /// An empty chunk.
    #[must_use]
    pub fn take_spare(&self) -> Chunk {
        self.spare.1.try_recv().unwrap_or_else(|_| Chunk { bytes: Vec::with_capacity(CHUNK_BYTES), ..Chunk::default() })
    }

    /// Gives a chunk back that was read to its end.
    pub fn give_spare(&self, mut chunk: Chunk) {
        chunk.bytes.clear();
        chunk.events = 0;
        // Beyond the bound it is simply freed.
        let _ = self.spare.0.try_send(chunk);
    }

    /// Queues a chunk; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// Gives the chunk back when `stopped` turns true while waiting (see [`Queue::wake_producer`]).
    pub fn push(&self, chunk: Chunk, stopped: impl Fn() -> bool) -> std::result::Result<(), Chunk> {
        let mut state = self.lock();
        let merged = state.tail.bytes.len() + chunk.bytes.len() <= CHUNK_BYTES
            && (state.tail.bytes.is_empty() || state.tail.offset_ns == chunk.offset_ns);
        if !merged {
            while self.sender.is_full() {
                if stopped() {
                    return Err(chunk);
                }
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        self.events.fetch_add(chunk.events.into(), Ordering::Relaxed);
        if merged && !state.tail.bytes.is_empty() {
            state.tail.bytes.extend_from_slice(&chunk.bytes);
            state.tail.events += chunk.events;
            self.give_spare(chunk);
        } else {
            let full = mem::replace(&mut state.tail, chunk);
            if !full.bytes.is_empty() {
                // There is room: this thread alone sends, and waited for it above.
                let _ = self.sender.try_send(full);
            }
        }
        self.arm(&mut state);
        Ok(())
    }

    /// Takes the oldest chunk.
    pub fn pop(&self) -> Option<Chunk> {
        let mut state = self.lock();
        if let Ok(chunk) = self.receiver.try_recv() {
            self.room.notify_one();
            return Some(chunk);
        }
        if !state.tail.bytes.is_empty() {
            return Some(mem::take(&mut state.tail));
        }
        if let Some(chunk) = state.rest.pop_front() {
            return Some(chunk);
        }
        if state.armed && !state.closed {
            state.armed = false;
            let _ = self.readable.read();
        }
        None
    }

    /// Ends the queue: `rest` can still be popped, nothing more will come.
    pub fn close(&self, rest: Vec<Chunk>, failure: Option<String>) {
        let mut state = self.lock();
        self.events.fetch_add(rest.iter().map(|chunk| u64::from(chunk.events)).sum(), Ordering::Relaxed);
        state.rest.extend(rest);
        state.failure = failure;
        state.closed = true;
        self.arm(&mut state);
    }

    /// Wakes a push that waits for room, so that it looks whether it was stopped.
    pub fn wake_producer(&self) {
        // With the mutex held the push is either before its look or in its wait, never in between.
        let _state = self.lock();
        self.room.notify_all();
    }

    /// Whether [`Queue::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Why the drain thread gave up, if it did. Said once.
    #[must_use]
    pub fn take_failure(&self) -> Option<String> {
        self.lock().failure.take()
    }

    /// Events that were ever queued.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}
