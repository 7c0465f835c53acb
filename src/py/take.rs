//! Reads what had happened: what those of [`Tracer`]'s methods share that do not go on for ever.
//!
//! A reader notes the position of the ring at its call, and reads once the queue has caught up with it. Nothing is asked of
//! the drain thread when it has already, or when as much is queued as the reader wants.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::columns::builder::BatchBuilder;
use crate::py::objects;
use crate::py::reader_lock::Reading;
use crate::py::tracer::Tracer;

/// How long a reader that may wait leaves the drain thread alone, which gathers for a millisecond at the most: to wake it
/// more often would cost the traced process more, and bring this reader nothing.
const PATIENCE: Duration = Duration::from_millis(2);

/// A signal that comes between the look for one and the wait is seen this late at the worst.
const SIGNAL_CHECK: Duration = Duration::from_millis(250);

/// Where events go.
pub(crate) trait Sink<'py> {
    /// Takes what is queued, as long as it wants more.
    fn take(&mut self, tracer: &Tracer, py: Python<'py>) -> PyResult<()>;
    /// How many events it has.
    fn taken(&self) -> usize;
    /// How many more it wants.
    fn wanted(&self) -> usize;
}

/// A single event.
impl<'py> Sink<'py> for Option<Bound<'py, PyDict>> {
    fn take(&mut self, tracer: &Tracer, py: Python<'py>) -> PyResult<()> {
        *self = tracer.read_one(py)?;
        Ok(())
    }

    fn taken(&self) -> usize {
        usize::from(self.is_some())
    }

    fn wanted(&self) -> usize {
        usize::from(self.is_none())
    }
}

/// A list of dicts.
pub(crate) struct Listed<'py> {
    events: Bound<'py, PyList>,
    /// How many readings have brought that came to their end: what a failed one had in hand, it has counted itself.
    taken: usize,
    most: usize,
}

impl<'py> Listed<'py> {
    pub(crate) fn new(py: Python<'py>, most: usize) -> PyResult<Self> {
        Ok(Self { events: objects::list(py)?, taken: 0, most })
    }

    pub(crate) fn finish(self) -> Bound<'py, PyList> {
        self.events
    }
}

impl<'py> Sink<'py> for Listed<'py> {
    fn take(&mut self, tracer: &Tracer, py: Python<'py>) -> PyResult<()> {
        match tracer.read(py, self.wanted(), |event| self.events.append(event)) {
            Ok(read) => self.taken += read as usize,
            // What came before is a result, and the event that there is no memory for stays the next.
            Err(error) if error.is_instance_of::<PyMemoryError>(py) && self.taken > 0 => self.most = self.taken,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn taken(&self) -> usize {
        self.taken
    }

    fn wanted(&self) -> usize {
        self.most.saturating_sub(self.taken())
    }
}

/// BatchBuilder.
pub(crate) struct Rows {
    columns: BatchBuilder,
    most: usize,
}

impl Rows {
    /// With room for what is queued.
    pub(crate) fn new(tracer: &Tracer, py: Python<'_>, most: usize) -> PyResult<Self> {
        let turn = tracer.turns.take(py)?;
        Ok(Self { columns: BatchBuilder::new(&turn.values, turn.reader.waiting().min(most))?, most })
    }

    pub(crate) fn finish(self) -> BatchBuilder {
        self.columns
    }
}

impl<'py> Sink<'py> for Rows {
    fn take(&mut self, tracer: &Tracer, py: Python<'py>) -> PyResult<()> {
        let mut turn = tracer.turns.take(py)?;
        let Reading { reader, values, .. } = &mut *turn;
        Ok(py.detach(|| self.columns.fill(reader, values, tracer.session.counts(), self.most))?)
    }

    fn taken(&self) -> usize {
        self.columns.rows()
    }

    fn wanted(&self) -> usize {
        if self.columns.is_full() { 0 } else { self.most.saturating_sub(self.taken()) }
    }
}

impl Tracer {
    /// Takes what had happened by the call; when that is nothing, what comes first until the deadline. Of a closed tracer it
    /// takes the rest; a `ValueError` says that there is none.
    pub(crate) fn collect<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py>,
        deadline: Option<Instant>,
    ) -> PyResult<()> {
        self.check_process()?;
        self.collect_up_to(py, sink, deadline, self.session.control().written())
    }

    /// The same up to a position of the ring.
    pub(crate) fn collect_up_to<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py>,
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
        sink: &mut impl Sink<'py>,
        deadline: Option<Instant>,
        position: u64,
    ) -> PyResult<()> {
        loop {
            let closed = self.take_up_to(py, sink, deadline, position)?;
            if sink.taken() > 0 {
                return Ok(());
            }
            if closed {
                self.failure()?;
                return Err(PyValueError::new_err("the tracer is closed"));
            }
            if !self.wait(py, deadline)? {
                return Ok(());
            }
        }
    }

    /// Takes all up to a position of the ring, and what has come since. True when the tracer was closed, so that nothing is
    /// left.
    pub(crate) fn take_up_to<'py>(
        &self,
        py: Python<'py>,
        sink: &mut impl Sink<'py>,
        deadline: Option<Instant>,
        position: u64,
    ) -> PyResult<bool> {
        let queue = self.session.queue();
        let mut enough = sink.wanted();
        loop {
            if !queue.has(position) && self.session.waiting() < enough {
                self.flush(py, deadline, position, enough)?;
            }
            // Both looked at before the reading: what was queued by then is part of it.
            let (closed, complete) = (queue.is_closed(), queue.has(position));
            sink.take(self, py)?;
            if closed || complete || sink.wanted() == 0 {
                return Ok(closed);
            }
            // The queue was full; or filters have left out what was queued, and no number of it is enough then.
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
            if py.detach(|| queue.wait_for(position, left, || self.session.waiting() >= enough)) {
                return Ok(());
            }
            py.check_signals()?;
            left = Duration::ZERO;
        }
    }

    /// Waits until there may be something to read; false at the deadline.
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
                Ok(0) | Err(Errno::EINTR) => {}
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
            // Only who has the turn may count.
            let _turn = self.turns.take(py)?;
            self.session.counts().take_back(events as u64);
        }
        Ok(())
    }
}
