//! The events of one tracer, and the ways in which its readers take them.
//!
//! All readers share one loop, [`Feed::next`]. A reader that waits for no end notes the position of the ring at its call,
//! and reads once the queue has caught up with it. It asks nothing of the drain thread when the queue has caught up
//! already, or holds as much as the reader wants.

#[cfg(feature = "history")]
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[cfg(feature = "history")]
use crate::config::outcome::Outcome;
use crate::error::Error;
#[cfg(feature = "history")]
use crate::event::values::Values;
use crate::memory::{OutOfMemory, hold_step};
use crate::py::errors::RawtpError;
use crate::py::reader_lock::ReaderLock;
use crate::py::source::{Source, TracerSource};
#[cfg(feature = "history")]
use crate::read::Reader;
use crate::read::in_flight::InFlight;
#[cfg(feature = "history")]
use crate::read::residual_filter::ResidualFilter;
#[cfg(feature = "history")]
use crate::ring::{chunk::CHUNK_BYTES, queue::Queue};
use crate::session::Session;

/// The time for which a reader that may wait leaves the drain thread alone, which gathers for a millisecond at most. To
/// wake it more often would cost the traced process more and bring this reader nothing.
const PATIENCE: Duration = Duration::from_millis(2);

/// The longest delay of a signal that comes between the check for signals and the wait.
pub(crate) const SIGNAL_CHECK: Duration = Duration::from_millis(250);

/// The result that a reader fills.
pub(crate) trait Sink<'py, S: Source> {
    /// Takes queued events, as long as it wants more.
    fn take(&mut self, feed: &Feed<S>, py: Python<'py>) -> PyResult<()>;
    /// The number of events that it has.
    fn taken(&self) -> usize;
    /// The number of events that it still wants.
    fn wanted(&self) -> usize;
}

/// The end of a wait for events.
pub(crate) enum Next<T> {
    /// The reader got this.
    Read(T),
    /// The deadline came first.
    Timeout,
    /// The tracer is closed, and everything is read.
    Closed,
}

/// A session, and the lock of its readers.
pub(crate) struct Feed<S = TracerSource> {
    pub(crate) session: Arc<Session>,
    pub(crate) lock: ReaderLock<S>,
    pub(crate) schema: SchemaRef,
}

#[cfg(feature = "history")]
impl Feed {
    /// Gives the reader to somebody who reads without Python. From then on nobody else may read.
    pub(crate) fn take_over(&self, py: Python<'_>) -> PyResult<(Reader, Values)> {
        let mut guard = self.lock.take(py)?;
        // Nobody reads from these.
        let queue = Arc::new(Queue::new(CHUNK_BYTES)?);
        let reader = Reader::new(queue, Arc::default(), ResidualFilter::new(Outcome::Any, Vec::new()));
        let values = Values::new(guard.values.fields());
        let taken = (mem::replace(&mut guard.reader, reader), mem::replace(&mut guard.values, values));
        guard.give_away();
        Ok(taken)
    }
}

impl<S: Source> Feed<S> {
    pub(crate) fn check_process(&self) -> PyResult<()> {
        if self.session.is_forked() {
            return Err(PyRuntimeError::new_err(
                "this tracer belongs to the process that created it; a forked child creates its own",
            ));
        }
        Ok(())
    }

    pub(crate) fn failure(&self) -> PyResult<()> {
        match self.session.queue().take_failure() {
            Some(failure) => Err(RawtpError::new_err(format!("the drain thread gave up: {failure}"))),
            None => Ok(()),
        }
    }

    /// Reads until `read` gives something, the deadline comes, or the tracer is closed.
    pub(crate) fn next<T>(
        &self,
        py: Python<'_>,
        deadline: Option<Instant>,
        mut read: impl FnMut() -> PyResult<Option<T>>,
    ) -> PyResult<Next<T>> {
        loop {
            // Looked at before the read: what was queued before the close must come out before the end.
            let closed = self.session.queue().is_closed();
            if let Some(read) = read()? {
                return Ok(Next::Read(read));
            }
            if closed {
                return self.failure().map(|()| Next::Closed);
            }
            if !self.wait(py, deadline)? {
                return Ok(Next::Timeout);
            }
        }
    }

    /// Takes up to `most` queued events, and hands each to `take`. It takes fewer where memory ends: an event that got no
    /// dict stays to be read. `MemoryError` is raised only when there is no memory for the first.
    pub(crate) fn read<'py>(
        &self,
        py: Python<'py>,
        most: usize,
        mut take: impl FnMut(Bound<'py, PyDict>) -> PyResult<()>,
    ) -> PyResult<u64> {
        let mut guard = self.lock.take(py)?;
        let mut taken = InFlight::new(self.session.reader_counters());
        while taken.events < most as u64 {
            let mut refused = None;
            let made = guard.next(py, |dict| {
                taken.events += 1;
                match dict.and_then(&mut take) {
                    Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
                        taken.events -= 1;
                        refused = Some(error);
                        Err(OutOfMemory)
                    }
                    made => Ok(made),
                }
            });
            match made {
                Ok(Some(made)) => made?,
                Ok(None) => break,
                Err(Error::Memory(_)) if taken.events > 0 => break,
                Err(error) => return Err(refused.unwrap_or_else(|| error.into())),
            }
        }
        let events = taken.events;
        taken.deliver();
        Ok(events)
    }

    pub(crate) fn read_one<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut one = None;
        self.read(py, 1, |dict| {
            one = Some(dict);
            Ok(())
        })?;
        Ok(one)
    }

    /// Takes up to `most` queued events, as columns.
    pub(crate) fn read_batch(&self, py: Python<'_>, most: usize) -> PyResult<RecordBatch> {
        let mut guard = self.lock.take(py)?;
        let source = &mut *guard;
        let _held = hold_step()?;
        let counters = self.session.reader_counters();
        Ok(py.detach(|| source.read(&self.schema, counters, most))?)
    }

    /// Takes the events that had happened by the call. When there are none it waits for the first until the deadline. A
    /// closed tracer gives the rest, and then `ValueError`.
    pub(crate) fn collect<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py, S>,
        deadline: Option<Instant>,
    ) -> PyResult<()> {
        self.check_process()?;
        self.collect_up_to(py, sink, deadline, self.session.control().written())
    }

    /// Does the same up to a position of the ring.
    pub(crate) fn collect_up_to<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py, S>,
        deadline: Option<Instant>,
        position: u64,
    ) -> PyResult<()> {
        let collected = self.wait_and_take(py, sink, deadline, position);
        if collected.is_err() {
            self.take_back(py, sink.taken())?;
        }
        collected
    }

    fn wait_and_take<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py, S>,
        deadline: Option<Instant>,
        position: u64,
    ) -> PyResult<()> {
        let next = self.next(py, deadline, || {
            self.take_up_to(py, sink, deadline, position)?;
            Ok((sink.taken() > 0).then_some(()))
        })?;
        match next {
            Next::Closed => Err(PyValueError::new_err("the tracer is closed")),
            Next::Read(()) | Next::Timeout => Ok(()),
        }
    }

    /// Takes all events up to a position of the ring, and those that have come since. True when the tracer was closed, so
    /// that nothing is left.
    pub(crate) fn take_up_to<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py, S>,
        deadline: Option<Instant>,
        position: u64,
    ) -> PyResult<bool> {
        let queue = self.session.queue();
        let mut enough = sink.wanted();
        loop {
            if !queue.has_reached(position) && self.session.waiting() < enough {
                self.flush(py, deadline, position, enough)?;
            }
            // Looked at before the read: what was queued by then is part of it.
            let (closed, complete) = (queue.is_closed(), queue.has_reached(position));
            sink.take(self, py)?;
            if closed || complete || sink.wanted() == 0 {
                return Ok(closed);
            }
            // The queue was full. Or filters have left out what was queued: then no number of queued events is enough.
            enough = usize::MAX;
        }
    }

    /// Returns when the queue has what the ring had up to a position, or holds `enough` events, or is full or closed.
    fn flush(&self, py: Python<'_>, deadline: Option<Instant>, position: u64, enough: usize) -> PyResult<()> {
        let queue = self.session.queue();
        let patience = Instant::now() + PATIENCE;
        let end = deadline.map_or(patience, |deadline| deadline.min(patience));
        let mut left = end.saturating_duration_since(Instant::now());
        let mut asked = false;
        loop {
            if left.is_zero() {
                if !asked {
                    self.session.control().flush(position);
                    asked = true;
                }
                left = SIGNAL_CHECK;
            }
            let is_over = py.detach(|| queue.wait_for(position, left, || self.session.waiting() >= enough));
            // Before what has come is taken: what a signal's handler raises would lose it.
            py.check_signals()?;
            if is_over {
                return Ok(());
            }
            left = Duration::ZERO;
        }
    }

    /// Waits until there may be something to read; false at the deadline. What a path filter means is found out by
    /// reading, so it never waits for long.
    pub(crate) fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<bool> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SIGNAL_CHECK, |left| left.min(SIGNAL_CHECK));
            // Rounded up: a rest below a millisecond must not become a busy loop.
            let timeout = PollTimeout::try_from(slice + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
            let ready =
                py.detach(|| poll(&mut [PollFd::new(self.session.queue().as_fd(), PollFlags::POLLIN)], timeout));
            py.check_signals()?;
            match ready {
                Err(Errno::EINTR) => {}
                Ok(0) if left == Some(Duration::ZERO) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(errno) => return Err(std::io::Error::from(errno).into()),
            }
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
        }
    }

    /// Counts as discarded what was taken and cannot be given.
    pub(crate) fn take_back(&self, py: Python<'_>, events: usize) -> PyResult<()> {
        if events > 0 {
            // Only the holder of the lock may count.
            let _guard = self.lock.take(py)?;
            self.session.reader_counters().take_back(events as u64);
        }
        Ok(())
    }
}
