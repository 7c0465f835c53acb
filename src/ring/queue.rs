//! The bounded queue of raw records between the drain thread and the readers. Its descriptor tells when there are any.
//!
//! Invariant: the descriptor is readable exactly when a chunk is queued, or a chunk was popped and its successor not
//! yet asked for, or the queue is closed. Everything happens under the mutex, including the eventfd's system calls.
//! Once the queue is closed the descriptor stays readable, so that no waiter can miss the close. `tests/model` tries
//! every order of the threads against this invariant.
//!
//! The queue also knows how much of the ring it has: readers wait for a position of the ring ([`Queue::wait_for`]). A
//! drain thread that waits for room ends such a wait, because only a reader makes room.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::memory::aligned::AlignedBytes;
use crate::memory::{OutOfMemory, probe};
use crate::ring::chunk::{CHUNK_BYTES, Chunk};
use crate::ring::sync::{
    AtomicU64, Condvar, EfdFlags, EventFd, Mutex, MutexGuard, Ordering, Receiver, Sender, bounded,
};

/// The number of empty chunks kept for the drain thread to fill again.
const SPARE_CHUNKS: usize = 8;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
#[derive(Debug, Default)]
struct State {
    /// The latest records, as long as they do not fill a chunk. Without it an isolated record would cost a whole chunk.
    tail: Chunk,
    /// The chunks that were still in the ring at the close.
    rest: VecDeque<Chunk>,
    armed: bool,
    closed: bool,
    failure: Option<String>,
    /// A push waits for room, and no pop has made any since.
    full: bool,
    /// The drain thread found no free chunk, and no pop has come since. Only a reader returns one.
    starved: bool,
    /// The number of threads in [`Queue::wait_for`].
    waiting: usize,
    /// The position passed to [`Queue::announce`].
    announced: Option<u64>,
}

fn eventfd() -> Result<EventFd> {
    let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
    EventFd::from_value_and_flags(0, flags).map_err(Error::os("cannot make an eventfd"))
}

/// The queue. Full chunks go through a bounded crossbeam channel. Both its ends are used under the mutex.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    room: Condvar,
    readable: EventFd,
    sender: Sender<Chunk>,
    receiver: Receiver<Chunk>,
    spare: (Sender<Chunk>, Receiver<Chunk>),
    events: AtomicU64,
    /// The ring position up to which everything is in the queue. It is written with the mutex held.
    reached: AtomicU64,
    progress: Condvar,
    /// Created on first use, because only event loops wait for it.
    announcement: OnceLock<EventFd>,
}

impl Queue {
    /// Creates a queue of `bytes`, a multiple of [`CHUNK_BYTES`].
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when no descriptor is left, [`Error::Memory`] when there is no memory for the queue or for one
    /// chunk.
    pub fn new(bytes: usize) -> Result<Self> {
        let readable = eventfd()?;
        let chunks = bytes / CHUNK_BYTES;
        // The channel allocates a slot for each chunk, which holds the chunk and a stamp. It aborts if it cannot.
        probe(chunks.saturating_mul(size_of::<Chunk>() + 2 * size_of::<usize>()))
            .map_err(Error::memory("make a queue of queue_bytes"))?;
        let (sender, receiver) = bounded(chunks);
        let queue = Self {
            state: Mutex::default(),
            room: Condvar::new(),
            readable,
            sender,
            receiver,
            spare: bounded(SPARE_CHUNKS),
            events: AtomicU64::new(0),
            reached: AtomicU64::new(0),
            progress: Condvar::new(),
            announcement: OnceLock::new(),
        };
        // At least one chunk always exists between the drain thread and the readers, so a lack of memory never stops
        // both for good.
        let chunk = queue.take_spare().map_err(Error::memory("make a queue of queue_bytes"))?;
        queue.give_spare(chunk);
        Ok(queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, state: &mut State) {
        if !mem::replace(&mut state.armed, true) {
            // One write on a counter at zero can neither block nor overflow.
            let _ = self.readable.write(1);
        }
    }

    /// Returns an empty chunk.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when no spare chunk is left and none can be made.
    pub fn take_spare(&self) -> std::result::Result<Chunk, OutOfMemory> {
        let made = || Ok(Chunk { bytes: AlignedBytes::with_capacity(CHUNK_BYTES)?, ..Chunk::default() });
        self.spare.1.try_recv().or_else(|_| made())
    }

    /// Returns a chunk that was read to its end.
    pub fn give_spare(&self, mut chunk: Chunk) {
        chunk.bytes.clear();
        chunk.events = 0;
        chunk.reports = 0;
        // Beyond the bound it is freed.
        let _ = self.spare.0.try_send(chunk);
    }

    /// Queues a chunk, and waits while the queue is full.
    ///
    /// # Errors
    ///
    /// Returns the chunk when `stopped` turns true while it waits (see [`Queue::wake_producer`]).
    pub fn push(&self, chunk: Chunk, stopped: impl Fn() -> bool) -> std::result::Result<(), Chunk> {
        let mut state = self.lock();
        let is_first = state.tail.bytes.is_empty();
        let merged = !is_first
            && state.tail.bytes.len() + chunk.bytes.len() <= CHUNK_BYTES
            && state.tail.offset_ns == chunk.offset_ns
            && state.tail.bytes.extend_from_slice(&chunk.bytes).is_ok();
        if !(is_first || merged) {
            while self.sender.is_full() {
                if stopped() {
                    return Err(chunk);
                }
                state.full = true;
                self.tell(&mut state);
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        self.events.fetch_add(chunk.events.into(), Ordering::Relaxed);
        if merged {
            state.tail.events += chunk.events;
            self.give_spare(chunk);
        } else {
            let full = mem::replace(&mut state.tail, chunk);
            // A reader may have taken the tail during the wait.
            if !full.bytes.is_empty() {
                // There is room: only this thread sends, and it waited for room above.
                let _ = self.sender.try_send(full);
            }
        }
        self.arm(&mut state);
        Ok(())
    }

    /// Takes the oldest chunk.
    pub fn pop(&self) -> Option<Chunk> {
        let mut state = self.lock();
        state.starved = false;
        if let Ok(chunk) = self.receiver.try_recv() {
            state.full = false;
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

    /// Ends the queue. `rest` can still be popped, and nothing more comes.
    pub fn close(&self, rest: Vec<Chunk>, failure: Option<String>) {
        let mut state = self.lock();
        self.events.fetch_add(rest.iter().map(|chunk| u64::from(chunk.events)).sum(), Ordering::Relaxed);
        // Moved, not copied, because there may be no memory for a copy.
        state.rest = rest.into();
        state.failure = failure;
        state.closed = true;
        self.arm(&mut state);
        self.tell(&mut state);
    }

    /// Whether everything before that ring position is or was in the queue.
    #[must_use]
    pub fn has_reached(&self, position: u64) -> bool {
        self.reached.load(Ordering::Acquire) >= position
    }

    /// Notes that everything before that ring position is in the queue.
    pub fn reach(&self, position: u64) {
        let mut state = self.lock();
        self.reached.fetch_max(position, Ordering::Release);
        self.tell(&mut state);
    }

    /// Ends the waits for a position: [`Queue::take_spare`] has failed, so a reader must return a chunk first.
    pub fn starve(&self) {
        let mut state = self.lock();
        state.starved = true;
        self.tell(&mut state);
    }

    /// Whether a wait for a position is over: it is reached, a reader has to make room first, or nothing more comes.
    fn is_answered(&self, state: &State, position: u64) -> bool {
        state.closed || state.full || state.starved || self.has_reached(position)
    }

    fn tell(&self, state: &mut State) {
        if state.waiting > 0 {
            self.progress.notify_all();
        }
        if state.announced.is_some_and(|position| self.is_answered(state, position)) {
            state.announced = None;
            if let Some(announcement) = self.announcement.get() {
                // The counter is at zero since `announce`, so this can neither block nor overflow.
                let _ = announcement.write(1);
            }
        }
    }

    /// Waits until everything before that ring position is in the queue, `enough` returns true, or the queue is full or
    /// closed. Returns false at the timeout.
    pub fn wait_for(&self, position: u64, timeout: Duration, enough: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        state.waiting += 1;
        let answered = loop {
            if self.is_answered(&state, position) || enough() {
                break true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting -= 1;
        answered
    }

    /// Returns a descriptor that becomes readable as soon as [`Queue::wait_for`] would return, for one caller at a
    /// time. `None` when it would return at once.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when no descriptor is left.
    pub fn announce(&self, position: u64) -> Result<Option<&EventFd>> {
        let mut state = self.lock();
        if self.is_answered(&state, position) {
            return Ok(None);
        }
        if self.announcement.get().is_none() {
            // This is the only set, because the mutex is held.
            let _ = self.announcement.set(eventfd()?);
        }
        let announcement = self.announcement.get();
        if let Some(announcement) = announcement {
            // An earlier caller may have been told but gone before it looked.
            let _ = announcement.read();
        }
        state.announced = Some(position);
        Ok(announcement)
    }

    /// Wakes a push that waits for room, so that it checks whether it was stopped.
    pub fn wake_producer(&self) {
        // While the mutex is held, the push is either before its check or in its wait, never in between.
        let _state = self.lock();
        self.room.notify_all();
    }

    /// Whether [`Queue::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether a quarter of the queue is full. A reader that postpones reading should begin.
    #[must_use]
    pub fn is_filling(&self) -> bool {
        self.receiver.len() * 4 >= self.receiver.capacity().unwrap_or(0)
    }

    /// Takes the reason why the drain thread gave up, if it did.
    #[must_use]
    pub fn take_failure(&self) -> Option<String> {
        self.lock().failure.take()
    }

    /// The number of events ever queued.
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn chunk(bytes: usize, mark: u8) -> Chunk {
        Chunk { bytes: AlignedBytes::copy_of(&vec![mark; bytes]).unwrap(), events: 1, ..Chunk::default() }
    }

    fn readable(queue: &Queue) -> bool {
        poll(&mut [PollFd::new(queue.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
    }

    fn marks(queue: &Queue) -> Vec<(u8, usize)> {
        std::iter::from_fn(|| queue.pop()).map(|chunk| (chunk.bytes[0], chunk.bytes.len())).collect()
    }

    #[test]
    fn readable_exactly_while_there_is_something() {
        let queue = Queue::new(CHUNK_BYTES).unwrap();
        assert!(!readable(&queue));
        queue.push(chunk(10, 1), || false).unwrap();
        assert!(readable(&queue));
        assert_eq!(queue.pop().unwrap().bytes.len(), 10);
        assert!(readable(&queue), "the popped chunk is being read");
        assert!(queue.pop().is_none());
        assert!(!readable(&queue));
        queue.close(vec![chunk(5, 2)], None);
        assert!(readable(&queue));
        assert_eq!(marks(&queue), [(2, 5)]);
        assert!(readable(&queue), "closed");
        assert_eq!(queue.events(), 2);
    }

    #[test]
    fn small_chunks_are_gathered_and_order_is_kept() {
        let queue = Queue::new(4 * CHUNK_BYTES).unwrap();
        for _ in 0..1000 {
            queue.push(chunk(100, 1), || false).unwrap();
        }
        assert_eq!(marks(&queue), [(1, 655 * 100), (1, 345 * 100)]);
        for mark in 1..=4 {
            queue.push(chunk(CHUNK_BYTES, mark), || false).unwrap();
        }
        queue.close(vec![chunk(3, 5)], None);
        assert_eq!(marks(&queue).iter().map(|(mark, _)| *mark).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn chunks_of_different_clocks_are_not_mixed() {
        let queue = Queue::new(CHUNK_BYTES).unwrap();
        queue.push(chunk(10, 1), || false).unwrap();
        queue.push(Chunk { offset_ns: 7, ..chunk(10, 2) }, || false).unwrap();
        assert_eq!(marks(&queue), [(1, 10), (2, 10)]);
    }

    #[test]
    fn a_full_queue_waits_for_a_pop_or_the_stop() {
        let queue = Queue::new(CHUNK_BYTES).unwrap();
        queue.push(chunk(CHUNK_BYTES, 1), || false).unwrap();
        queue.push(chunk(CHUNK_BYTES, 2), || false).unwrap();
        let stop = AtomicBool::new(false);
        let stopped = || stop.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let third = scope.spawn(|| queue.push(chunk(CHUNK_BYTES, 3), stopped));
            assert_eq!(queue.pop().unwrap().bytes[0], 1);
            assert!(third.join().unwrap().is_ok());
            let fourth = scope.spawn(|| queue.push(chunk(CHUNK_BYTES, 4), stopped));
            stop.store(true, Ordering::Relaxed);
            queue.wake_producer();
            assert_eq!(fourth.join().unwrap().unwrap_err().bytes[0], 4);
        });
        assert_eq!(queue.events(), 3, "what was given back was not queued");
    }

    #[test]
    fn a_drain_thread_without_memory_ends_the_waits() {
        let queue = Queue::new(CHUNK_BYTES).unwrap();
        let is_over = || queue.wait_for(1, Duration::ZERO, || false);
        let announced = queue.announce(1).unwrap().unwrap();
        assert!(!is_over());
        queue.starve();
        assert!(is_over());
        assert_eq!(announced.read().unwrap(), 1);
        assert!(queue.announce(1).unwrap().is_none());
        // Who reads gives a chunk back, and waits again.
        assert!(queue.pop().is_none());
        assert!(!is_over());
        queue.reach(1);
        assert!(is_over());
    }
}
