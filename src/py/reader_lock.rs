//! The threads that read one tracer take lock.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::event::values::Values;
use crate::py::dict::Dicts;
use crate::read::Reader;

/// What they take lock at.
pub(crate) struct ReadState {
    pub(crate) reader: Reader,
    pub(crate) values: Values,
    pub(crate) dicts: Dicts,
}

/// Whose turn it is.
pub(crate) struct ReaderLock {
    reading: Mutex<ReadState>,
    /// The thread that holds `reading`, as an address of its own; 0 for none.
    holder: AtomicUsize,
}

fn this_thread() -> usize {
    thread_local! { static HERE: u8 = const { 0 }; }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl ReaderLock {
    pub(crate) fn new(reading: ReadState) -> Self {
        Self { reading: Mutex::new(reading), holder: AtomicUsize::new(0) }
    }

    /// Takes the turn. Making a dict can run the garbage collector, and that any finalizer: one that reads from this
    /// tracer again would wait for itself.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<ReaderGuard<'_>> {
        if self.holder.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err("this thread is already reading from this tracer"));
        }
        let reading = self.reading.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        self.holder.store(this_thread(), Ordering::Relaxed);
        Ok(ReaderGuard { reading, holder: &self.holder })
    }
}

/// A turn; dropped, it is the next one's.
pub(crate) struct ReaderGuard<'a> {
    reading: MutexGuard<'a, ReadState>,
    holder: &'a AtomicUsize,
}

impl Deref for ReaderGuard<'_> {
    type Target = ReadState;

    fn deref(&self) -> &ReadState {
        &self.reading
    }
}

impl DerefMut for ReaderGuard<'_> {
    fn deref_mut(&mut self) -> &mut ReadState {
        &mut self.reading
    }
}

impl Drop for ReaderGuard<'_> {
    fn drop(&mut self) {
        self.holder.store(0, Ordering::Relaxed);
    }
}
