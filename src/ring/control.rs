//! Controls the drain thread from other threads: ends it, or has it empty the ring at once.

use std::sync::PoisonError;

use crate::error::{Error, Result};
use crate::ring::buffer::Written;
use crate::ring::sync::{AtomicBool, AtomicU64, EfdFlags, EventFd, Mutex, Ordering};

/// What the drain thread and the others share.
#[derive(Debug)]
pub struct Control {
    /// `None` once the tracer is closed: it would keep the ring's memory.
    written: Mutex<Option<Written>>,
    flushed: AtomicU64,
    stopped: AtomicBool,
    wake: EventFd,
}

impl Control {
    /// Of the thread that drains the ring that is `written`.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when there is no descriptor left.
    pub fn new(written: Written) -> Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            written: Mutex::new(Some(written)),
            flushed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            wake: EventFd::from_value_and_flags(0, flags).map_err(Error::os("cannot make an eventfd"))?,
        })
    }

    fn wake(&self) {
        // A counter that is cleared far more often than it could overflow.
        let _ = self.wake.write(1);
    }

    /// The position up to which the ring is written; 0 once the tracer is closed.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Written::position)
    }

    /// Lets go of the ring.
    pub fn release(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Has the thread empty the ring up to this position without gathering. [`crate::ring::queue::Queue::wait_for`] tells when it
    /// has.
    pub fn flush(&self, position: u64) {
        self.flushed.fetch_max(position, Ordering::Release);
        self.wake();
    }

    /// The highest position that was asked for.
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Has the thread end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the thread is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// What the thread waits for, readable from a [`Control::flush`] or [`Control::stop`] on.
    #[must_use]
    pub fn wakeups(&self) -> &EventFd {
        &self.wake
    }

    /// Makes `wakeups` unreadable. To be called before the ring and the stop are looked at: what comes after that wakes the
    /// thread once more.
    pub fn clear(&self) {
        let _ = self.wake.read();
    }
}
