//! Controls the drain thread from other threads: ends it, or makes it empty the ring at once.

use std::sync::PoisonError;

use crate::error::{Error, Result};
use crate::ring::buffer::Written;
use crate::ring::sync::{AtomicBool, AtomicU64, EfdFlags, EventFd, Mutex, Ordering};

/// The state that the drain thread shares with other threads.
#[derive(Debug)]
pub struct Control {
    /// `None` once the tracer is closed, because it keeps the ring's memory mapped.
    written: Mutex<Option<Written>>,
    flushed: AtomicU64,
    stopped: AtomicBool,
    wake: EventFd,
}

impl Control {
    /// Creates the control of the thread that drains the ring behind `written`.
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
        // It cannot overflow: the thread clears the counter far more often.
        let _ = self.wake.write(1);
    }

    /// Returns the position up to which the ring is written, or 0 once the tracer is closed.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Written::position)
    }

    /// Unmaps the ring.
    pub fn release(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Makes the thread empty the ring up to this position without gathering. [`crate::ring::queue::Queue::wait_for`]
    /// returns when it has.
    pub fn flush(&self, position: u64) {
        self.flushed.fetch_max(position, Ordering::Release);
        self.wake();
    }

    /// The highest position passed to [`Control::flush`].
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Makes the thread end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether [`Control::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The descriptor the thread waits for. It is readable after a [`Control::flush`] or [`Control::stop`].
    #[must_use]
    pub fn wakeups(&self) -> &EventFd {
        &self.wake
    }

    /// Makes `wakeups` unreadable. Call it before looking at the ring and at the stop, so that a later request wakes
    /// the thread once more.
    pub fn clear(&self) {
        let _ = self.wake.read();
    }
}
