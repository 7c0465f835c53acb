//! Batches: of the events that had happened, and of all events of a while.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use pyo3::prelude::*;

use crate::memory::hold_step;
use crate::py::feed::{Feed, Sink};
use crate::py::sinks::Rows;
use crate::py::source::{RowBuilder, Source};

/// The time for which a first event waits for more.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `end`, or until the queue fills. One reading of many events costs less than many of one.
pub(crate) fn pause<S: Source>(feed: &Feed<S>, py: Python<'_>, end: Instant) -> PyResult<()> {
    let queue = feed.session.queue();
    while Instant::now() < end && !queue.is_filling() && !queue.is_closed() {
        py.detach(|| thread::sleep(PAUSE / 50));
        py.check_signals()?;
    }
    Ok(())
}

/// Takes the events that had happened by the call, or waits for the first one, as [`Feed::collect`] does.
pub(crate) fn batch<S: Source>(
    feed: &Feed<S>,
    py: Python<'_>,
    deadline: Option<Instant>,
    most: usize,
) -> PyResult<RecordBatch> {
    feed.check_process()?;
    let _held = hold_step()?;
    let mut rows = Rows::new(feed, py, most)?;
    feed.collect(py, &mut rows, deadline)?;
    finish(feed, py, rows)
}

/// Takes all that comes until `end` or the close, or `most` of it when those come sooner. What was taken by the time of an
/// exception, Ctrl-C above all, is counted as discarded.
pub(crate) fn collect<S: Source>(
    feed: &Feed<S>,
    py: Python<'_>,
    end: Option<Instant>,
    most: usize,
) -> PyResult<RecordBatch> {
    feed.check_process()?;
    let _held = hold_step()?;
    let mut rows = Rows::new(feed, py, most)?;
    if let Err(error) = fill(&mut rows, feed, py, end) {
        feed.take_back(py, rows.taken())?;
        return Err(error);
    }
    finish(feed, py, rows)
}

fn finish<S: Source>(feed: &Feed<S>, py: Python<'_>, rows: Rows<S>) -> PyResult<RecordBatch> {
    let taken = rows.taken();
    let made = py.detach(|| rows.finish().finish(Arc::clone(&feed.schema)));
    if made.is_err() {
        feed.take_back(py, taken)?;
    }
    Ok(made?)
}

fn fill<S: Source>(rows: &mut Rows<S>, feed: &Feed<S>, py: Python<'_>, end: Option<Instant>) -> PyResult<()> {
    loop {
        let over = end.is_some_and(|end| Instant::now() >= end);
        // Only what had happened at the end is worth waking the drain thread.
        let position = if over { feed.session.control().written() } else { 0 };
        let closed = feed.take_up_to(py, rows, end, position)?;
        if closed && rows.taken() == 0 {
            feed.failure()?;
        }
        if closed || over || rows.wanted() == 0 {
            return Ok(());
        }
        feed.wait(py, end)?;
        let pause_end = Instant::now() + PAUSE;
        pause(feed, py, end.map_or(pause_end, |end| end.min(pause_end)))?;
    }
}
