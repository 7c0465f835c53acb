//! Descriptors that the child of a fork must close.
//!
//! A child inherits the parent's descriptors but not its drain thread. If the child kept its copies of the link
//! descriptors, the programs would stay attached after the parent's `close()` for as long as the child lives.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use crate::error::{Error, Result};

const SLOTS: usize = 1024;
const FREE: RawFd = -1;

/// The descriptors that a child closes. They are atomics because a fork handler may not take a lock.
static DESCRIPTORS: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];
static GENERATION: AtomicU64 = AtomicU64::new(0);
static REGISTER: Once = Once::new();

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for slot in &DESCRIPTORS {
        let fd = slot.swap(FREE, Ordering::Relaxed);
        if fd != FREE {
            // SAFETY: close(2) is async-signal-safe, and the child's owner of this descriptor forgets it
            // (CloseOnForkFd::drop).
            unsafe { libc::close(fd) };
        }
    }
}

/// Returns the number of forks that led to this process. A child has another number than its parent.
#[must_use]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// A descriptor that keeps a program attached, in the process that opened it and in no other.
#[derive(Debug)]
pub struct CloseOnForkFd {
    fd: Option<OwnedFd>,
    slot: usize,
    generation: u64,
}

impl CloseOnForkFd {
    /// Takes the descriptor over.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] when this process has no free slot left.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        REGISTER.call_once(|| {
            // SAFETY: the handler calls only async-signal-safe functions. CPython never unloads the module.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        let raw = fd.as_raw_fd();
        let free = |slot: &AtomicI32| slot.compare_exchange(FREE, raw, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let slot = DESCRIPTORS
            .iter()
            .position(free)
            .ok_or_else(|| Error::Value(format!("this process has {} tracers open: close some", SLOTS / 2)))?;
        Ok(Self { fd: Some(fd), slot, generation: generation() })
    }

    /// Returns the descriptor. From here on a fork would keep the program attached.
    ///
    /// # Panics
    ///
    /// In the child of a fork.
    #[must_use]
    pub fn release(mut self) -> OwnedFd {
        assert!(self.generation == generation());
        self.fd.take().expect("only release and drop take it")
    }
}

impl AsFd for CloseOnForkFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("only release and drop take it").as_fd()
    }
}

impl Drop for CloseOnForkFd {
    fn drop(&mut self) {
        if self.generation == generation() {
            DESCRIPTORS[self.slot].store(FREE, Ordering::Relaxed);
        } else {
            // The fork handler has closed the descriptor, and its number may belong to somebody else by now.
            std::mem::forget(self.fd.take());
        }
    }
}
