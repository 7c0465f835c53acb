//! The lock that threads take to read one tracer.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// The lock.
pub(crate) struct ReaderLock<S> {
    state: Mutex<S>,
    /// The address of a thread-local variable of the holder; 0 when nobody holds the lock.
    holder: AtomicUsize,
    /// Whether a recorder reads instead. It is only set, and with the lock held.
    is_given_away: AtomicBool,
}

fn this_thread() -> usize {
    thread_local! { static HERE: u8 = const { 0 }; }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl<S> ReaderLock<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { state: Mutex::new(state), holder: AtomicUsize::new(0), is_given_away: AtomicBool::new(false) }
    }

    /// Takes the lock. Making a dict can run the garbage collector, and with it any finalizer. A finalizer that reads from
    /// the same tracer would wait for itself, so that it gets `RuntimeError`.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<ReaderGuard<'_, S>> {
        if self.holder.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err("this thread is already reading from this tracer"));
        }
        let state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if self.is_given_away.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("a recorder reads this tracer"));
        }
        self.holder.store(this_thread(), Ordering::Relaxed);
        Ok(ReaderGuard { state, lock: self })
    }

    /// Checks that nobody else reads for good.
    #[cfg(feature = "history")]
    pub(crate) fn check_free(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py).map(drop)
    }
}

/// The held lock. Dropping it releases the lock.
pub(crate) struct ReaderGuard<'a, S> {
    state: MutexGuard<'a, S>,
    lock: &'a ReaderLock<S>,
}

#[cfg(feature = "history")]
impl<S> ReaderGuard<'_, S> {
    /// Refuses everybody from now on.
    pub(crate) fn give_away(&self) {
        self.lock.is_given_away.store(true, Ordering::Relaxed);
    }
}

impl<S> Deref for ReaderGuard<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S> DerefMut for ReaderGuard<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.state
    }
}

impl<S> Drop for ReaderGuard<'_, S> {
    fn drop(&mut self) {
        self.lock.holder.store(0, Ordering::Relaxed);
    }
}
