//! The lock that threads take to read one tracer.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::event::values::Values;
use crate::py::dict::Dicts;
use crate::read::Reader;

/// The state that the lock protects.
pub(crate) struct ReadState {
    pub(crate) reader: Reader,
    pub(crate) values: Values,
    pub(crate) dicts: Dicts,
}

/// The lock.
pub(crate) struct ReaderLock {
    state: Mutex<ReadState>,
    /// The address of a thread-local variable of the holder; 0 when nobody holds the lock.
    holder: AtomicUsize,
    /// Whether a recorder reads instead. It is only set, and with the lock held.
    is_given_away: AtomicBool,
}

fn this_thread() -> usize {
    thread_local! { static HERE: u8 = const { 0 }; }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl ReaderLock {
    pub(crate) fn new(state: ReadState) -> Self {
        Self { state: Mutex::new(state), holder: AtomicUsize::new(0), is_given_away: AtomicBool::new(false) }
    }

    /// Takes the lock. Making a dict can run the garbage collector, and with it any finalizer. A finalizer that reads from
    /// the same tracer would wait for itself, so that it gets `RuntimeError`.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<ReaderGuard<'_>> {
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
pub(crate) struct ReaderGuard<'a> {
    state: MutexGuard<'a, ReadState>,
    lock: &'a ReaderLock,
}

#[cfg(feature = "history")]
impl ReaderGuard<'_> {
    /// Refuses everybody from now on.
    pub(crate) fn give_away(&self) {
        self.lock.is_given_away.store(true, Ordering::Relaxed);
    }
}

impl Deref for ReaderGuard<'_> {
    type Target = ReadState;

    fn deref(&self) -> &ReadState {
        &self.state
    }
}

impl DerefMut for ReaderGuard<'_> {
    fn deref_mut(&mut self) -> &mut ReadState {
        &mut self.state
    }
}

impl Drop for ReaderGuard<'_> {
    fn drop(&mut self) {
        self.lock.holder.store(0, Ordering::Relaxed);
    }
}
