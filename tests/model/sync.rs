//! Models of the primitives in `src/ring/sync.rs`. Those on which threads wait for each other are loom's, so that loom
//! sees every switch between threads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex as Plain};

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};

/// The error of a receive from an empty channel.
#[derive(Debug)]
pub(crate) struct Empty;

/// One end of a channel. The queue uses it only under its own mutex, so loom need not see what happens in it.
pub(crate) struct End<T> {
    items: Arc<Plain<VecDeque<T>>>,
    room: usize,
}

pub(crate) type Sender<T> = End<T>;
pub(crate) type Receiver<T> = End<T>;

pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let items = Arc::<Plain<VecDeque<T>>>::default();
    (End { items: Arc::clone(&items), room }, End { items, room })
}

impl<T> End<T> {
    pub(crate) fn len(&self) -> usize {
        self.items.lock().unwrap().len()
    }

    #[expect(clippy::unnecessary_wraps, reason = "a channel of crossbeam's may have no bound")]
    pub(crate) fn capacity(&self) -> Option<usize> {
        Some(self.room)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.room
    }

    pub(crate) fn try_send(&self, item: T) -> Result<(), T> {
        let mut items = self.items.lock().unwrap();
        if items.len() >= self.room {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    pub(crate) fn try_recv(&self) -> Result<T, Empty> {
        self.items.lock().unwrap().pop_front().ok_or(Empty)
    }
}

impl<T> fmt::Debug for End<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

pub(crate) struct EfdFlags;

impl EfdFlags {
    pub(crate) const EFD_NONBLOCK: u8 = 1;
    pub(crate) const EFD_CLOEXEC: u8 = 2;
}

/// The state of an eventfd that poll(2) sees.
#[derive(Default)]
pub(crate) struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    /// Waits until the eventfd is readable. A missed wake-up makes this wait a deadlock, which loom reports.
    pub(crate) fn poll(&self) {
        let mut count = self.count.lock().unwrap();
        while *count == 0 {
            count = self.changed.wait(count).unwrap();
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        *self.count.lock().unwrap() > 0
    }
}

thread_local! {
    /// The state of the eventfd that was created last. It may be thread-local, because loom runs all of a model's
    /// threads on one thread of the system.
    static MADE: RefCell<Option<Arc<Signal>>> = const { RefCell::new(None) };
}

/// Returns the state of the eventfd that was created last.
pub(crate) fn made() -> Arc<Signal> {
    MADE.with_borrow(|made| Arc::clone(made.as_ref().unwrap()))
}

pub(crate) struct EventFd(Arc<Signal>);

impl EventFd {
    /// The state that poll(2) sees.
    pub(crate) fn signal(&self) -> &Signal {
        &self.0
    }

    #[expect(clippy::unnecessary_wraps, reason = "the real one can fail")]
    pub(crate) fn from_value_and_flags(value: u32, _flags: u8) -> nix::Result<Self> {
        assert_eq!(value, 0);
        let signal = Arc::new(Signal::default());
        MADE.set(Some(Arc::clone(&signal)));
        Ok(Self(signal))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the real one can fail")]
    pub(crate) fn write(&self, value: u64) -> nix::Result<usize> {
        *self.0.count.lock().unwrap() += value;
        self.0.changed.notify_all();
        Ok(8)
    }

    /// Takes the whole count at once, as an eventfd without `EFD_SEMAPHORE` does.
    pub(crate) fn read(&self) -> nix::Result<u64> {
        match std::mem::take(&mut *self.0.count.lock().unwrap()) {
            0 => Err(nix::errno::Errno::EAGAIN),
            count => Ok(count),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        unreachable!("a model has no descriptor")
    }
}

impl fmt::Debug for EventFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventFd")
    }
}
